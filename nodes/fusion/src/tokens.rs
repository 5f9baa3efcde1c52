//! Feature tokens: what each modality says now, normalised to 0..1 over a schema with units and ranges.

use std::collections::BTreeMap;

/// The four modalities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Modality {
    /// Camera.
    Vision,
    /// Microphones.
    Audio,
    /// Words.
    Text,
    /// Joints, touch, force, motion.
    Proprioception,
}

impl Modality {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Vision, Self::Audio, Self::Text, Self::Proprioception];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Text => "text",
            Self::Proprioception => "proprioception",
        }
    }

    /// The modality of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// A raw feature with its range: (modality, name, lowest, highest). Names that several modalities share (activity,
/// salience, certainty, proximity) are the decisions that late fusion and attention pool.
pub const SCHEMA: &[(Modality, &str, f64, f64)] = &[
    (Modality::Vision, "activity", 0.0, 1.0),            // motion between frames
    (Modality::Vision, "salience", 0.0, 10.0),           // detections in view
    (Modality::Vision, "certainty", 0.0, 1.0),           // best detection score
    (Modality::Vision, "proximity", 5.0, 0.0),           // nearest detection, m: near is 1
    (Modality::Vision, "edge_density", 0.0, 0.5),        // share of edge pixels
    (Modality::Vision, "texture", 0.0, 1.0),             // entropy
    (Modality::Vision, "color_diversity", 0.0, 1.0),     // entropy
    (Modality::Audio, "activity", 0.0, 1.0),             // speech probability
    (Modality::Audio, "salience", -60.0, 0.0),           // dB relative to full scale
    (Modality::Audio, "certainty", 0.0, 1.0),            // 1 with a known direction
    (Modality::Audio, "pitch", 0.0, 400.0),              // Hz
    (Modality::Audio, "spectral_centroid", 0.0, 8000.0), // Hz
    (Modality::Text, "activity", 0.0, 20.0),             // words
    (Modality::Text, "salience", 0.0, 1.0),              // share of words that name something remembered
    (Modality::Text, "certainty", 0.0, 1.0),             // recogniser's confidence
    (Modality::Proprioception, "activity", 0.0, 0.31),   // speed, m/s
    (Modality::Proprioception, "salience", 0.0, 1.0),    // share of touch zones pressed
    (Modality::Proprioception, "certainty", 1.0, 0.0),   // pose standard deviation, m: small is 1
    (Modality::Proprioception, "proximity", 3.0, 0.0),   // nearest lidar return, m: near is 1
    (Modality::Proprioception, "gripping", 0.0, 1.0),    // 1 when something is held
];

/// Why a raw feature was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// Not in the schema.
    #[error("{modality} has no feature '{name}' in the schema")]
    Unknown {
        /// Modality.
        modality: &'static str,
        /// Feature.
        name: String,
    },
    /// NaN or infinite.
    #[error("feature '{name}' of {modality} is not a number")]
    NotFinite {
        /// Modality.
        modality: &'static str,
        /// Feature.
        name: String,
    },
}

/// What one modality says at one time.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Token {
    /// Which modality.
    pub modality: Modality,
    /// Normalised features, 0..1.
    pub features: BTreeMap<String, f64>,
    /// Confidence, 0..1.
    pub confidence: f64,
    /// When, ns.
    pub stamp_ns: i64,
    /// Bearing in the map that it speaks of, rad.
    pub bearing: Option<f64>,
}

impl Token {
    /// A token from raw features, normalised over [`SCHEMA`] and clamped to 0..1; the confidence is clamped to 0..1.
    ///
    /// # Errors
    /// [`FeatureError`] for a feature that is not in the schema or not a number.
    pub fn from_raw(modality: Modality, raw: &[(&str, f64)], confidence: f64, stamp_ns: i64) -> Result<Self, FeatureError> {
        let mut features = BTreeMap::new();
        for &(name, value) in raw {
            let entry = SCHEMA.iter().find(|e| e.0 == modality && e.1 == name);
            let Some(&(_, _, low, high)) = entry else {
                return Err(FeatureError::Unknown { modality: modality.name(), name: name.to_owned() });
            };
            if !value.is_finite() {
                return Err(FeatureError::NotFinite { modality: modality.name(), name: name.to_owned() });
            }
            features.insert(name.to_owned(), ((value - low) / (high - low)).clamp(0.0, 1.0));
        }
        let confidence = if confidence.is_finite() { confidence.clamp(0.0, 1.0) } else { 0.0 };
        Ok(Self { modality, features, confidence, stamp_ns, bearing: None })
    }

    /// The same token with a bearing in the map, rad; NaN means none.
    #[must_use]
    pub fn with_bearing(mut self, bearing: f64) -> Self {
        self.bearing = bearing.is_finite().then_some(bearing);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_are_normalised_and_clamped() {
        let t = Token::from_raw(Modality::Audio, &[("pitch", 200.0), ("salience", 12.0)], 2.0, 0).unwrap();
        assert_eq!(t.features["pitch"], 0.5);
        assert_eq!(t.features["salience"], 1.0);
        assert_eq!(t.confidence, 1.0);
        let near = Token::from_raw(Modality::Vision, &[("proximity", 0.5)], 1.0, 0).unwrap();
        assert!((near.features["proximity"] - 0.9).abs() < 1e-12);
    }

    #[test]
    fn unknown_and_broken_features_are_refused() {
        assert!(Token::from_raw(Modality::Text, &[("pitch", 1.0)], 1.0, 0).is_err());
        assert!(Token::from_raw(Modality::Audio, &[("pitch", f64::NAN)], 1.0, 0).is_err());
        assert_eq!(Token::from_raw(Modality::Text, &[], f64::NAN, 0).unwrap().confidence, 0.0);
        assert_eq!(Modality::parse("audio"), Some(Modality::Audio));
        assert_eq!(Modality::parse("smell"), None);
    }
}
