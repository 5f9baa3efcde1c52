//! The GPU manager's voice: what processors and graphics cards there are, which models are loaded and what they do.
//!
//! The work itself, admission, priorities, counting, is done by [`models::Broker`] inside the process.

pub mod convert;
mod node;

pub use node::GpuManager;
