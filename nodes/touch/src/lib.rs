//! Touch: raw contact forces of the body's zones become debounced press states.
//!
//! [`filter`] holds the algorithm (hysteresis, debounce, plausibility of the normal); the node is a thin coat around it.

pub mod filter;
mod node;

pub use node::Touch;
