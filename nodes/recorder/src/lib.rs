//! The recorder: every message of the graph into a bag that ROS 2 tools read.
//!
//! Files are written by the crate `bags`; [`Recorder`] is the node.

pub mod depth;
mod foreign;
mod node;

pub use node::Recorder;
