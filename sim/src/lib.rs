//! OmniMind's embedded simulator: a home, a robot in it, and everything the robot senses, from a seed and nothing else.
//!
//! [`sdf`] reads worlds, [`scene`] describes what can be seen, [`render`] draws it, [`physics`] moves it.

pub mod noise;
pub mod physics;
pub mod render;
pub mod scene;
pub mod sdf;
pub mod sensors;
