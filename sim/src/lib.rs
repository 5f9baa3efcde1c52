//! OmniMind's embedded simulator: a home, a robot in it, and everything the robot senses, from a seed and nothing else.
//!
//! [`sdf`] reads worlds, [`mission`] draws what a seed decides, [`physics`] moves, [`sensors`] measure, [`render`] draws,
//! [`Simulation`] ties them together.

mod build_scene;
pub mod mission;
pub mod noise;
pub mod physics;
pub mod render;
pub mod scene;
pub mod sdf;
pub mod sensors;
mod simulation;

pub use build_scene::scene_of;
pub use simulation::{Options, Readings, Simulation, SimulationError, Truth, TICK_S};
