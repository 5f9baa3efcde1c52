//! What can go wrong while a node is set up and while it handles.

use std::fmt;

use crate::transport::TransportError;

/// A handler's complaint: logged, shown on /diagnostics; the node lives on.
pub struct NodeError(String);

impl NodeError {
    /// A complaint in words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeError({:?})", self.0)
    }
}

impl<E: std::error::Error> From<E> for NodeError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(message)
    }
}

/// What a handler returns.
pub type HandlerResult = Result<(), NodeError>;

/// Why a node could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A parameter that the node does not declare was given a value.
    #[error("node `{node}` has no parameter `{name}`{hint}")]
    UnknownParameter {
        /// The node.
        node: String,
        /// The name that was given.
        name: String,
        /// What was probably meant, in words, or nothing; see [`crate::suggest::hint`].
        hint: String,
    },
    /// A parameter's value does not fit its declaration.
    #[error("node `{node}`, parameter `{name}`: {reason}")]
    InvalidParameter {
        /// The node.
        node: String,
        /// The parameter.
        name: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// A topic or service name that ROS 2 does not allow.
    #[error("`{name}` is not a valid name: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Two ends of one name speak different types.
    #[error("`{name}` carries {existing}, but node `{node}` wants it to carry {wanted}")]
    TypeMismatch {
        /// Topic or service.
        name: String,
        /// The node that came second.
        node: String,
        /// The type in use.
        existing: &'static str,
        /// The type asked for.
        wanted: &'static str,
    },
    /// A service is already served by another node.
    #[error("service `{name}` is already served by node `{owner}`")]
    ServiceTaken {
        /// The service.
        name: String,
        /// Who serves it.
        owner: String,
    },
    /// Two nodes have one name.
    #[error("there are two nodes named `{0}`")]
    DuplicateNode(String),
    /// The wire refused an endpoint.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The node itself gave up, for instance because a file is missing.
    #[error("node `{node}`: {reason}")]
    Node {
        /// The node.
        node: String,
        /// Its reason.
        reason: String,
    },
    /// The node panicked while it was set up.
    #[error("node `{node}` panicked in its set-up: {message}")]
    Panic {
        /// The node.
        node: String,
        /// The panic's words.
        message: String,
    },
}

/// The words of a panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
