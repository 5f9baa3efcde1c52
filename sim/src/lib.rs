//! OmniMind's embedded simulator: a home, a robot in it, and everything the robot senses, from a seed and nothing else.
//!
//! [`sdf`] reads worlds, [`mission`] draws what a seed decides, [`physics`] moves, [`sensors`] measure, [`render`] draws,
//! [`Simulation`] ties them together. [`Simulator`] and [`Scenario`] are the nodes; [`home`] makes the robot's prior
//! knowledge of its home from the same world file.

pub mod bench;
mod build_scene;
pub mod home;
pub mod mission;
mod node;
pub mod noise;
pub mod physics;
pub mod render;
pub mod scenario;
pub mod scene;
pub mod sdf;
pub mod sensors;
mod simulation;
#[cfg(test)]
mod tests;

pub use build_scene::scene_of;
pub use node::{SAY_TOPIC, Simulator};
pub use scenario::Scenario;
pub use simulation::{Options, Readings, Simulation, SimulationError, TICK_S, Truth};
