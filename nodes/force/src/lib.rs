//! Force: the wrist's wrench, tared while unloaded and at rest, low-pass filtered, with over-range detection.

pub mod filter;
mod node;

pub use node::Force;
