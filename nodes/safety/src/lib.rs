//! Safety: the last word on every command to the body.
//!
//! [`limits`] clamps commands, [`bumper`] takes away motion towards an obstacle that is touched, [`ladder`] decides the
//! level from NOMINAL up to E_STOP, [`supervisor`] joins them. None of it knows the graph.

pub mod bumper;
pub mod ladder;
pub mod limits;
mod node;
pub mod supervisor;

pub use node::Safety;
