//! Vectors as arrays of their numbers, for serde's `with`: exact, and without a feature of glam that would have all of it compiled anew.

/// A point or vector in the plane.
pub mod dvec2 {
    use glam::DVec2;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As `[x, y]`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(v: &DVec2, serializer: S) -> Result<S::Ok, S::Error> {
        v.to_array().serialize(serializer)
    }

    /// From `[x, y]`.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DVec2, D::Error> {
        <[f64; 2]>::deserialize(deserializer).map(DVec2::from_array)
    }
}

/// A point or vector in space.
pub mod dvec3 {
    use glam::DVec3;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As `[x, y, z]`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(v: &DVec3, serializer: S) -> Result<S::Ok, S::Error> {
        v.to_array().serialize(serializer)
    }

    /// From `[x, y, z]`.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DVec3, D::Error> {
        <[f64; 3]>::deserialize(deserializer).map(DVec3::from_array)
    }
}

/// An orientation.
pub mod dquat {
    use glam::DQuat;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As `[x, y, z, w]`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(q: &DQuat, serializer: S) -> Result<S::Ok, S::Error> {
        q.to_array().serialize(serializer)
    }

    /// From `[x, y, z, w]`.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DQuat, D::Error> {
        <[f64; 4]>::deserialize(deserializer).map(DQuat::from_array)
    }
}
