//! The viewer: the robot's world, plan, battery and words as a Rerun recording (.rrd), or live in a Rerun viewer.
//!
//! [`scene`] turns messages into Rerun's words, [`Stream`] writes them from a thread of its own, [`Viewer`] is the node.

pub mod blueprint;
mod node;
pub mod plan_text;
pub mod scene;
pub mod sound;
mod stream;
pub mod tracks;

pub use node::Viewer;
pub use stream::{OpenError, Stream, Target};
