//! OmniMind's own software camera: RGB, depth and instance ids of a [`Scene`], without a GPU or a window system.
//!
//! One picture is made in four steps: visibility ([`raster`]), ambient openness ([`occlusion`]), light (`paint`, [`shade`]) and a
//! soft edge filter. Still casters are in the [`shadow`] map once, moving ones are added per picture. Appearance comes
//! from [`looks`] by name. The same inputs give the same picture bit for bit, with one thread or two.

pub mod bench;
pub mod camera;
pub mod furniture;
pub mod light;
pub mod looks;
pub mod mesh;
pub mod objects;
pub mod occlusion;
mod paint;
pub mod patterns;
pub mod raster;
mod renderer;
pub mod shade;
pub mod shadow;
#[cfg(test)]
mod tests;
pub mod texture;

pub use camera::{CameraPose, Intrinsics};
pub use renderer::{Frame, Renderer};

#[allow(unused_imports)]
use crate::scene::Scene;
