//! What can be wrong with a launch file. Every variant names the file and, where there is one, the line.

use std::fmt;
use std::path::PathBuf;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line from 1; 0 when the whole file is meant.
    pub line: usize,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { write!(f, "{}", self.file.display()) } else { write!(f, "{}:{}", self.file.display(), self.line) }
    }
}

/// Why a launch file cannot be used. The message is one sentence with its place in front.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The file is missing or unreadable.
    #[error("{at}: cannot read {}: {source}", path.display())]
    Read {
        /// Who asked for it (the file itself for the first one).
        at: At,
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not valid YAML.
    #[error("{at}: {message}")]
    Yaml {
        /// Where.
        at: At,
        /// What the parser says.
        message: String,
    },
    /// A key that this place does not have.
    #[error("{at}: unknown key `{key}` in {place}{hint}")]
    UnknownKey {
        /// Where.
        at: At,
        /// The key.
        key: String,
        /// Name of the mapping it stands in.
        place: &'static str,
        /// The nearest known key, as a half sentence, or nothing.
        hint: String,
    },
    /// A key that has to be there is not.
    #[error("{at}: {place} needs the key `{key}`")]
    MissingKey {
        /// Where.
        at: At,
        /// The key.
        key: &'static str,
        /// Name of the mapping.
        place: &'static str,
    },
    /// A value of the wrong kind.
    #[error("{at}: {what} must be {expected}, found {found}")]
    WrongType {
        /// Where.
        at: At,
        /// Which value.
        what: String,
        /// The kind that is needed.
        expected: String,
        /// The kind or value that is there.
        found: String,
    },
    /// A node type that this program does not have.
    #[error("{at}: there is no node type `{name}`{hint}")]
    UnknownNode {
        /// Where.
        at: At,
        /// The type as written.
        name: String,
        /// The nearest known type, or nothing.
        hint: String,
    },
    /// A parameter that the node does not declare.
    #[error("{at}: node type `{node}` has no parameter `{name}`{hint}")]
    UnknownParameter {
        /// Where.
        at: At,
        /// Node type.
        node: String,
        /// The parameter as written.
        name: String,
        /// The nearest known parameter, or nothing.
        hint: String,
    },
    /// A value outside its declared range or choices.
    #[error("{at}: {what} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Where.
        at: At,
        /// Which value.
        what: String,
        /// The value.
        value: String,
        /// The range or the choices.
        allowed: String,
    },
    /// An argument that the file does not declare.
    #[error("{at}: there is no argument `{name}`{hint}")]
    UnknownArgument {
        /// Where it was used or given.
        at: At,
        /// The name.
        name: String,
        /// The nearest declared one, or nothing.
        hint: String,
    },
    /// An argument without default that nobody gave.
    #[error("{at}: the argument `{name}` has no default: give `{name}:=<value>`")]
    MissingArgument {
        /// Where it is declared.
        at: At,
        /// The name.
        name: String,
    },
    /// `${` without its closing brace, or with nothing in it.
    #[error("{at}: `{text}` has a broken substitution: {why}")]
    Substitution {
        /// Where.
        at: At,
        /// The text.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Files that include each other.
    #[error("{at}: include goes round in a circle: {chain}")]
    CyclicInclude {
        /// Where the circle closes.
        at: At,
        /// `a.yaml -> b.yaml -> a.yaml`.
        chain: String,
    },
    /// Two nodes of one full name.
    #[error("{at}: a node named `{name}` is already there (see {first}); give this one another `name` or `namespace`")]
    DuplicateNode {
        /// Where the second one is.
        at: At,
        /// The full name.
        name: String,
        /// Where the first one is.
        first: At,
    },
    /// Nothing to run.
    #[error("{at}: the launch file starts no node")]
    NoNodes {
        /// The file.
        at: At,
    },
}
