//! Worlds from SDF 1.9: what Gazebo takes, and nothing that we would pass over in silence.
//!
//! The part of SDF that the embedded simulator honours is read into the plain types of [`model`]; an element, attribute or
//! value outside that part is an error with file, line and element. Our extras live in the namespace [`xml::OMNI`].
//! Reference: SDFormat 1.9 specification, sdformat.org/spec.

pub mod model;
mod parse;
mod robot;
#[cfg(test)]
mod tests;
pub mod xml;

pub use model::*;
pub use parse::load_world;

use std::path::PathBuf;

/// Why a world could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Not well-formed XML.
    #[error("{}: not well-formed XML: {source}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What the parser says, with its position.
        source: roxmltree::Error,
    },
    /// An element that is not supported here.
    #[error("{}:{line}: <{element}> is not supported in <{parent}>", file.display())]
    UnknownElement {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// What it stands in.
        parent: String,
    },
    /// An attribute that is not supported here.
    #[error("{}:{line}: <{element}> has no attribute {attribute:?}", file.display())]
    UnknownAttribute {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// The attribute.
        attribute: String,
    },
    /// Something that has to be there is not.
    #[error("{}:{line}: <{element}> lacks {what}", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// What is missing.
        what: String,
    },
    /// A value that means nothing here.
    #[error("{}:{line}: <{element}> holds {text:?}, expected {expected}", file.display())]
    BadValue {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// What was read.
        text: String,
        /// What would have been right.
        expected: String,
    },
    /// The same thing twice.
    #[error("{}:{line}: {what} stands there twice", file.display())]
    Duplicate {
        /// The file.
        file: PathBuf,
        /// Line of the second one, from 1.
        line: u32,
        /// What.
        what: String,
    },
    /// A name that belongs to nothing.
    #[error("{}:{line}: <{element}> names {name:?}, which is not there", file.display())]
    UnknownReference {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// The name.
        name: String,
    },
    /// A file includes itself, directly or through others.
    #[error("{}:{line}: including {} closes a cycle", file.display(), target.display())]
    IncludeCycle {
        /// The file with the include.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
        /// The file that is already being read.
        target: PathBuf,
    },
}
