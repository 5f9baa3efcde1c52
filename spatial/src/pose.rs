//! Rigid poses in the plane and in space.
//!
//! A pose is read "pose of the child in the parent": it maps child coordinates to parent coordinates, and
//! `a_in_map * b_in_a` is b in the map.

use std::ops::Mul;

use glam::{DMat3, DQuat, DVec2, DVec3, EulerRot};

use crate::angle;

/// A pose in the plane: position in metres, yaw in radians (counter-clockwise, kept in (-pi, pi] by every operation).
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pose2 {
    /// Position along the parent's x axis, m.
    pub x: f64,
    /// Position along the parent's y axis, m.
    pub y: f64,
    /// Heading, rad, counter-clockwise from the parent's x axis.
    pub yaw: f64,
}

impl Pose2 {
    /// The pose that changes nothing.
    pub const IDENTITY: Self = Self { x: 0.0, y: 0.0, yaw: 0.0 };

    /// A pose from its numbers; the yaw is wrapped.
    pub fn new(x: f64, y: f64, yaw: f64) -> Self {
        Self { x, y, yaw: angle::wrap(yaw) }
    }

    /// A pose at a point with a heading.
    pub fn at(point: DVec2, yaw: f64) -> Self {
        Self::new(point.x, point.y, yaw)
    }

    /// The position.
    pub fn position(&self) -> DVec2 {
        DVec2::new(self.x, self.y)
    }

    /// The unit vector along the heading, in the parent's frame.
    pub fn heading(&self) -> DVec2 {
        DVec2::from_angle(self.yaw)
    }

    /// A point of the child frame in the parent frame.
    pub fn transform(&self, point: DVec2) -> DVec2 {
        self.position() + self.heading().rotate(point)
    }

    /// A point of the parent frame in the child frame.
    pub fn inverse_transform(&self, point: DVec2) -> DVec2 {
        DVec2::from_angle(-self.yaw).rotate(point - self.position())
    }

    /// The parent's pose in the child frame.
    pub fn inverse(&self) -> Self {
        let back = self.inverse_transform(DVec2::ZERO);
        Self::at(back, -self.yaw)
    }

    /// This pose seen from `frame`, where both have the same parent.
    pub fn relative_to(&self, frame: &Self) -> Self {
        frame.inverse() * *self
    }

    /// Straight distance between the two positions, m.
    pub fn distance(&self, other: &Self) -> f64 {
        self.position().distance(other.position())
    }

    /// The pose a fraction `t` of the way to `other`: straight line, shortest turn.
    pub fn interpolate(&self, other: &Self, t: f64) -> Self {
        Self::at(self.position().lerp(other.position(), t), angle::interpolate(self.yaw, other.yaw, t))
    }

    /// The pose after driving with constant forward speed (m/s) and turn rate (rad/s) for a time (s): an exact arc.
    pub fn drive(&self, linear: f64, angular: f64, seconds: f64) -> Self {
        let turn = angular * seconds;
        let length = linear * seconds;
        // sinc form: no division by a small turn rate.
        let half = 0.5 * turn;
        let chord = if half.abs() < 1e-6 { length * (1.0 - half * half / 6.0) } else { length * half.sin() / half };
        let direction = DVec2::from_angle(self.yaw + half);
        Self::at(self.position() + direction * chord, self.yaw + turn)
    }

    /// The same pose in space, on the plane z = 0.
    pub fn to_pose3(&self) -> Pose3 {
        Pose3 { translation: DVec3::new(self.x, self.y, 0.0), rotation: DQuat::from_rotation_z(self.yaw) }
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.yaw.is_finite()
    }
}

impl Mul for Pose2 {
    type Output = Self;
    // Poses are composed by turning, then adding.
    #[allow(clippy::suspicious_arithmetic_impl)]
    fn mul(self, inner: Self) -> Self {
        Self::at(self.transform(inner.position()), self.yaw + inner.yaw)
    }
}

/// A pose in space.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pose3 {
    /// Position, m.
    #[serde(with = "crate::plain::dvec3")]
    pub translation: DVec3,
    /// Orientation, a unit quaternion.
    #[serde(with = "crate::plain::dquat")]
    pub rotation: DQuat,
}

impl Default for Pose3 {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Pose3 {
    /// The pose that changes nothing.
    pub const IDENTITY: Self = Self { translation: DVec3::ZERO, rotation: DQuat::IDENTITY };

    /// A pose from a position and a rotation; the rotation is normalised (a zero quaternion becomes the identity).
    pub fn new(translation: DVec3, rotation: DQuat) -> Self {
        let rotation = if rotation.length_squared() > 1e-12 { rotation.normalize() } else { DQuat::IDENTITY };
        Self { translation, rotation }
    }

    /// A pose from a position and roll, pitch, yaw about fixed axes x, y, z (URDF and SDF convention), rad.
    pub fn from_xyz_rpy(translation: DVec3, roll: f64, pitch: f64, yaw: f64) -> Self {
        Self { translation, rotation: DQuat::from_euler(EulerRot::ZYX, yaw, pitch, roll) }
    }

    /// A pure translation.
    pub fn from_translation(translation: DVec3) -> Self {
        Self { translation, rotation: DQuat::IDENTITY }
    }

    /// A point of the child frame in the parent frame.
    pub fn transform(&self, point: DVec3) -> DVec3 {
        self.rotation * point + self.translation
    }

    /// A direction of the child frame in the parent frame.
    pub fn rotate(&self, vector: DVec3) -> DVec3 {
        self.rotation * vector
    }

    /// The parent's pose in the child frame.
    pub fn inverse(&self) -> Self {
        let rotation = self.rotation.conjugate();
        Self { translation: rotation * -self.translation, rotation }
    }

    /// This pose seen from `frame`, where both have the same parent.
    pub fn relative_to(&self, frame: &Self) -> Self {
        frame.inverse() * *self
    }

    /// The pose a fraction `t` of the way to `other`: straight line and spherical interpolation.
    pub fn interpolate(&self, other: &Self, t: f64) -> Self {
        Self {
            translation: self.translation.lerp(other.translation, t),
            rotation: self.rotation.slerp(other.rotation, t).normalize(),
        }
    }

    /// Heading about z, rad: the direction of the child's x axis seen from above.
    pub fn yaw(&self) -> f64 {
        let x_axis = self.rotation * DVec3::X;
        x_axis.y.atan2(x_axis.x)
    }

    /// Roll, pitch and yaw about fixed axes, rad.
    pub fn rpy(&self) -> (f64, f64, f64) {
        let (yaw, pitch, roll) = self.rotation.to_euler(EulerRot::ZYX);
        (roll, pitch, yaw)
    }

    /// The projection onto the floor.
    pub fn to_pose2(&self) -> Pose2 {
        Pose2::new(self.translation.x, self.translation.y, self.yaw())
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.translation.is_finite() && self.rotation.is_finite()
    }

    /// The rotation that turns a body frame (x forward, y left, z up) into its optical frame (z forward, x right, y down), REP 103.
    pub fn optical() -> Self {
        // Columns are the optical axes in the body frame: right = -y, down = -z, forward = x.
        let axes = DMat3::from_cols(DVec3::NEG_Y, DVec3::NEG_Z, DVec3::X);
        Self { translation: DVec3::ZERO, rotation: DQuat::from_mat3(&axes) }
    }
}

impl Mul for Pose3 {
    type Output = Self;
    fn mul(self, inner: Self) -> Self {
        Self { translation: self.transform(inner.translation), rotation: (self.rotation * inner.rotation).normalize() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::FRAC_PI_2;

    fn pose2() -> impl Strategy<Value = Pose2> {
        (-10.0..10.0, -10.0..10.0, -3.1..3.1).prop_map(|(x, y, yaw)| Pose2::new(x, y, yaw))
    }

    proptest! {
        #[test]
        fn a_pose_times_its_inverse_is_the_identity(p in pose2()) {
            let i = p * p.inverse();
            prop_assert!(i.x.abs() < 1e-9 && i.y.abs() < 1e-9 && i.yaw.abs() < 1e-9);
        }

        #[test]
        fn plane_and_space_agree(a in pose2(), b in pose2()) {
            let flat = a * b;
            let space = (a.to_pose3() * b.to_pose3()).to_pose2();
            prop_assert!(flat.distance(&space) < 1e-9 && angle::difference(flat.yaw, space.yaw).abs() < 1e-9);
        }

        #[test]
        fn an_arc_equals_many_small_steps(v in -0.5f64..0.5, w in -2.0f64..2.0) {
            let arc = Pose2::IDENTITY.drive(v, w, 1.0);
            let mut steps = Pose2::IDENTITY;
            for _ in 0..20_000 { steps = Pose2::new(steps.x + v * 5e-5 * steps.yaw.cos(), steps.y + v * 5e-5 * steps.yaw.sin(), steps.yaw + w * 5e-5); }
            prop_assert!(arc.distance(&steps) < 1e-4);
        }
    }

    #[test]
    fn optical_frame_looks_forward() {
        let optical = Pose3::optical();
        assert!((optical.transform(DVec3::Z) - DVec3::X).length() < 1e-12);
        assert!((optical.transform(DVec3::X) + DVec3::Y).length() < 1e-12);
        assert!((optical.transform(DVec3::Y) + DVec3::Z).length() < 1e-12);
    }

    #[test]
    fn rpy_round_trip_and_positive_pitch_looks_down() {
        let p = Pose3::from_xyz_rpy(DVec3::ZERO, 0.1, 0.35, 1.0);
        let (r, pitch, y) = p.rpy();
        assert!((r - 0.1).abs() < 1e-9 && (pitch - 0.35).abs() < 1e-9 && (y - 1.0).abs() < 1e-9);
        assert!(Pose3::from_xyz_rpy(DVec3::ZERO, 0.0, 0.35, 0.0).rotate(DVec3::X).z < 0.0);
    }

    #[test]
    fn a_quarter_turn_moves_x_to_y() {
        let p = Pose2::new(1.0, 2.0, FRAC_PI_2).transform(DVec2::X);
        assert!((p - DVec2::new(1.0, 3.0)).length() < 1e-12);
    }

    #[test]
    fn a_zero_quaternion_becomes_the_identity() {
        assert_eq!(Pose3::new(DVec3::ONE, DQuat::from_xyzw(0.0, 0.0, 0.0, 0.0)).rotation, DQuat::IDENTITY);
    }
}
