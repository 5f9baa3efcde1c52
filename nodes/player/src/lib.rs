//! Plays recordings: the messages of an MCAP file come back as topics of the graph, in their order and at their pace.
//!
//! [`reader`] reads files, whole or cut off; [`Player`] is the node.

mod images;
mod node;
pub mod reader;

pub use node::Player;
