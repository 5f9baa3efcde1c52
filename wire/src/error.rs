//! Errors, one enum per operation.

/// Why the wire could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The configuration is not one that Zenoh takes.
    #[error("the wire's configuration is wrong: {0}")]
    Config(String),
    /// Something answers at the router's address, but not in Zenoh's protocol.
    #[error("{endpoint} is in use by a program that is not a Zenoh router ({reason}); stop it or choose another address")]
    NotZenoh {
        /// The address.
        endpoint: String,
        /// What Zenoh said.
        reason: String,
    },
    /// Nobody listens at the router's address and none may be started.
    #[error("no Zenoh router answers at {endpoint}: start one (`omnimind` does when it launches a graph) or give its address")]
    Unreachable {
        /// The address.
        endpoint: String,
    },
    /// A router could not be started.
    #[error("cannot start a router at {endpoint}: {reason}")]
    Router {
        /// The address.
        endpoint: String,
        /// What Zenoh said.
        reason: String,
    },
    /// The session could not be opened for another reason.
    #[error("cannot open a Zenoh session: {0}")]
    Session(String),
}

/// Why something could not be declared or sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The name cannot stand in a key expression.
    #[error("`{name}` is not a ROS name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Zenoh refused.
    #[error("zenoh: {0}")]
    Zenoh(String),
}

impl From<zenoh::Error> for WireError {
    fn from(error: zenoh::Error) -> Self {
        Self::Zenoh(error.to_string())
    }
}

/// Why a service call has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The request could not be sent.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Nobody serves this name with this type.
    #[error("nobody serves `{0}`")]
    Unavailable(String),
    /// A server is there but did not answer in time.
    #[error("`{name}` did not answer within {seconds} s")]
    Timeout {
        /// The service.
        name: String,
        /// How long it was waited for.
        seconds: f64,
    },
    /// The server answered with an error.
    #[error("`{name}` failed: {reason}")]
    Failed {
        /// The service.
        name: String,
        /// What it said.
        reason: String,
    },
}
