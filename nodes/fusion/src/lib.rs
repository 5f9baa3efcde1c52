//! Fusion: one belief about the world from every sense.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`depth`] | robust distance of a detection from the depth image, and its place and size in the map |
//! | [`memory`] | object memory: association, Kalman update, evidence for and against |
//! | [`held`] | what is in the gripper |
//! | [`tokens`] | normalised features per modality |
//! | [`strategies`] | early, late, hybrid and attention fusion of the tokens |
//! | [`alignment`] | how well two modalities agree in time, content and direction |
//! | [`query`] | which remembered object fits some words |
//! | [`category`] | detector labels to the eight categories |
//!
//! None of these knows the graph; the node is a thin coat around them.

pub mod alignment;
pub mod category;
pub mod depth;
mod frozen;
pub mod held;
pub mod memory;
mod node;
pub mod query;
pub mod strategies;
pub mod tokens;
pub mod world;

pub use node::Fusion;
