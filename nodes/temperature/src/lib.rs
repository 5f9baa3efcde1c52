//! Temperature: plausibility checks and a median filter for the body's thermometer.

pub mod filter;
mod node;

pub use node::Temperature;
