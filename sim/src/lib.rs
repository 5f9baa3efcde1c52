//! OmniMind's embedded simulator: a home, a robot in it, and everything the robot senses, from a seed and nothing else.
//!
//! [`sdf`] reads worlds, [`scene`] describes what can be seen, [`render`] draws it, [`Simulation`] moves it.

pub mod render;
pub mod scene;
pub mod sdf;
