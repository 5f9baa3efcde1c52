//! The tree of frames in a graph: [`Listener`], [`Broadcaster`], [`StaticBroadcaster`], with the quality of service of tf2_ros.

mod broadcaster;
mod kept;
mod listener;

pub use broadcaster::{Broadcaster, StaticBroadcaster};
pub use listener::{Listener, WaitError, WaitId};
