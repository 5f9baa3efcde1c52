//! What there is to see: the description that the loader makes from SDF and the renderer draws.
//!
//! Metres, radians, right-handed, z up. A shape without a body stands still in the world; a shape with a body moves with
//! that body, and its pose is then local to the body. The renderer gets the bodies' present poses with every frame.

use glam::{DQuat, DVec3, EulerRot};

/// Position and orientation of something in a parent frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Position in the parent frame, m.
    pub position: DVec3,
    /// Rotation from the local frame to the parent frame, unit quaternion.
    pub orientation: DQuat,
}

impl Default for Pose {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Pose {
    /// The parent frame itself.
    pub const IDENTITY: Self = Self { position: DVec3::ZERO, orientation: DQuat::IDENTITY };

    /// A pose from SDF's six numbers: x y z (m) roll pitch yaw (rad, fixed axes x, y, z).
    pub fn from_xyz_rpy(v: [f64; 6]) -> Self {
        Self {
            position: DVec3::new(v[0], v[1], v[2]),
            orientation: DQuat::from_euler(EulerRot::ZYX, v[5], v[4], v[3]).normalize(),
        }
    }

    /// A pose on the floor: x, y in m, heading in rad.
    pub fn planar(x: f64, y: f64, yaw: f64) -> Self {
        Self { position: DVec3::new(x, y, 0.0), orientation: DQuat::from_rotation_z(yaw) }
    }

    /// The pose of `child`, given in this pose's frame, in this pose's parent frame.
    pub fn then(&self, child: &Self) -> Self {
        Self {
            position: self.position + self.orientation * child.position,
            orientation: (self.orientation * child.orientation).normalize(),
        }
    }

    /// A point of the local frame in the parent frame.
    pub fn transform(&self, point: DVec3) -> DVec3 {
        self.position + self.orientation * point
    }

    /// The parent frame seen from the local frame.
    pub fn inverse(&self) -> Self {
        let orientation = self.orientation.conjugate();
        Self { position: -(orientation * self.position), orientation }
    }

    /// Heading about z, rad in (-pi, pi].
    pub fn yaw(&self) -> f64 {
        let x = self.orientation * DVec3::X;
        x.y.atan2(x.x)
    }
}

/// A solid, centred on its pose.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Full edge lengths along x, y, z, m.
    Box {
        /// Edge lengths, m.
        size: DVec3,
    },
    /// Axis along z.
    Cylinder {
        /// Radius, m.
        radius: f64,
        /// Length along z, m.
        length: f64,
    },
    /// A ball.
    Sphere {
        /// Radius, m.
        radius: f64,
    },
    /// A procedural mesh known to the renderer by name, scaled into a box of this size.
    Mesh {
        /// Name of the procedural mesh, e.g. "cup".
        name: String,
        /// Full edge lengths of its bounding box, m.
        size: DVec3,
    },
}

/// One thing to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `model/link/visual` of the SDF file.
    pub name: String,
    /// Instance id in the id picture: the same for all items of one model, from 1; 0 is the background.
    pub id: u32,
    /// What a person calls the model, for models that carry `<omni:label>`.
    pub label: Option<String>,
    /// Geometry.
    pub shape: Shape,
    /// Pose in the body's frame, or in the world where `body` is none.
    pub pose: Pose,
    /// Index into [`Scene::bodies`], and into the poses that a frame is drawn with.
    pub body: Option<usize>,
    /// Base colour, linear 0..1 red, green, blue (SDF `<diffuse>`).
    pub colour: [f32; 3],
    /// Name of the procedural material (`<omni:look>`), empty: a plain surface of `colour`.
    pub look: String,
}

/// A body that moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// `model/link`.
    pub name: String,
    /// Where it stands at the beginning.
    pub pose: Pose,
}

/// Where light comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Light {
    /// Parallel light, e.g. the sun through the windows.
    Directional {
        /// The way the light travels, unit vector.
        direction: DVec3,
        /// Linear 0..1.
        colour: [f32; 3],
        /// True if it casts shadows.
        shadows: bool,
    },
    /// A lamp.
    Point {
        /// Where it hangs, m.
        position: DVec3,
        /// Linear 0..1.
        colour: [f32; 3],
        /// Distance beyond which it adds nothing, m.
        range: f64,
    },
}

/// Everything that can be seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// Things to draw.
    pub items: Vec<Item>,
    /// Moving bodies.
    pub bodies: Vec<Body>,
    /// Lights.
    pub lights: Vec<Light>,
    /// Light from everywhere, linear 0..1.
    pub ambient: [f32; 3],
    /// Colour where nothing is hit, linear 0..1.
    pub background: [f32; 3],
}

/// A pin-hole camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Horizontal field of view, rad.
    pub horizontal_fov: f64,
    /// Nearest visible depth, m.
    pub near: f64,
    /// Farthest visible depth, m.
    pub far: f64,
}

impl Camera {
    /// Focal length in pixels, the same in both directions.
    pub fn focal(&self) -> f64 {
        self.width as f64 / 2.0 / (self.horizontal_fov / 2.0).tan()
    }
}
