//! Battery: state of charge by coulomb counting, started and slowly corrected by the open-circuit voltage.

pub mod gauge;
mod node;

pub use node::Battery;
