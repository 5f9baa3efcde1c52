//! The recorder: every message of the graph into an MCAP file that ROS 2 tools read.
//!
//! [`McapWriter`] writes files and knows no graph; [`Recorder`] is the node.

pub mod depth;
mod node;
mod select;
pub mod writer;

pub use node::Recorder;
pub use select::{Decimator, Exclude};
pub use writer::{McapWriter, OpenError, RecordingSummary, WriteError, WriterOptions};
