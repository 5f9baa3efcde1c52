//! How well pairs of modalities fit together: in time, in content and in direction.

use spatial::angle;

use crate::tokens::Token;

/// Time over which the temporal score falls from 1 to 0, s.
pub const TIME_DECAY_S: f64 = 10.0;
/// Standard deviation of a sound bearing against an image bearing, rad.
pub const BEARING_SIGMA: f64 = 0.35;

/// Alignment of one pair.
#[derive(Clone, Debug, PartialEq)]
pub struct PairAlignment {
    /// `<a>_to_<b>`.
    pub pair: String,
    /// 0..1: mean of the temporal score, the feature score and, where both have one, the bearing score.
    pub score: f64,
    /// How far b lies behind a, s.
    pub lag_s: f64,
}

/// Alignment of every pair of different modalities, in the order given. Fewer than two tokens align nothing.
#[must_use]
pub fn align(tokens: &[Token]) -> Vec<PairAlignment> {
    let mut out = Vec::new();
    for (i, a) in tokens.iter().enumerate() {
        for b in tokens[i + 1..].iter().filter(|b| b.modality != a.modality) {
            let lag_s = (b.stamp_ns - a.stamp_ns) as f64 * 1e-9;
            let temporal = (1.0 - lag_s.abs() / TIME_DECAY_S).max(0.0);
            let mut parts = vec![temporal, content(a, b)];
            if let (Some(x), Some(y)) = (a.bearing, b.bearing) {
                parts.push(bearing(x, y));
            }
            let score = parts.iter().sum::<f64>() / parts.len() as f64;
            out.push(PairAlignment { pair: format!("{}_to_{}", a.modality.name(), b.modality.name()), score, lag_s });
        }
    }
    out
}

/// 1 minus the mean difference of the shared features; 0.5 when nothing is shared.
fn content(a: &Token, b: &Token) -> f64 {
    let gaps: Vec<f64> = a.features.iter().filter_map(|(name, x)| b.features.get(name).map(|y| (x - y).abs())).collect();
    if gaps.is_empty() { 0.5 } else { (1.0 - gaps.iter().sum::<f64>() / gaps.len() as f64).clamp(0.0, 1.0) }
}

/// Agreement of two bearings in the same frame, rad: 1 when equal.
#[must_use]
pub fn bearing(a: f64, b: f64) -> f64 {
    let gap = angle::difference(a, b) / BEARING_SIGMA;
    (-0.5 * gap * gap).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Modality;

    fn token(modality: Modality, activity: f64, stamp_s: i64, bearing: f64) -> Token {
        Token::from_raw(modality, &[("certainty", activity)], 1.0, stamp_s * 1_000_000_000).unwrap().with_bearing(bearing)
    }

    #[test]
    fn three_modalities_make_three_pairs() {
        let t = [
            token(Modality::Vision, 0.5, 0, f64::NAN),
            token(Modality::Audio, 0.5, 0, f64::NAN),
            token(Modality::Text, 0.5, 5, f64::NAN),
        ];
        let pairs = align(&t);
        let names: Vec<&str> = pairs.iter().map(|p| p.pair.as_str()).collect();
        assert_eq!(names, ["vision_to_audio", "vision_to_text", "audio_to_text"]);
        assert_eq!(pairs[0].score, 1.0);
        assert!((pairs[1].score - 0.75).abs() < 1e-12 && pairs[1].lag_s == 5.0);
        assert!(align(&t[..1]).is_empty());
    }

    #[test]
    fn a_sound_from_where_nothing_is_seen_fits_worse() {
        let v = token(Modality::Vision, 0.5, 0, 3.1);
        let near = align(&[v.clone(), token(Modality::Audio, 0.5, 0, -3.1)])[0].score;
        let far = align(&[v, token(Modality::Audio, 0.5, 0, 0.0)])[0].score;
        assert!(near > 0.99 && far < 0.7, "{near} {far}");
    }
}
