//! The four strategies over the modalities' tokens.
//!
//! - early: the features of all modalities side by side, each scaled by its modality's weight;
//! - late: what modalities share (their decisions) pooled by weight, over those that have it;
//! - hybrid: both, joined by a gate that trusts the pooled decisions as far as the modalities agree;
//! - attention: scaled dot-product attention (Vaswani et al. 2017) of a query, the confidence-weighted mean of all tokens,
//!   over the tokens; weights are the softmax of similarity, confidence and recency.
//!
//! Nothing here is trained: it is the analytic first version, and the provenance says so.

use std::collections::BTreeMap;

use crate::tokens::{Modality, Token};

/// How to fuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Feature level.
    Early,
    /// Decision level.
    Late,
    /// Both, gated.
    Hybrid,
    /// By attention.
    Attention,
}

impl Strategy {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Late => "late",
            Self::Hybrid => "hybrid",
            Self::Attention => "attention",
        }
    }

    /// The strategy of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Early, Self::Late, Self::Hybrid, Self::Attention].into_iter().find(|s| s.name() == name)
    }
}

/// Why tokens could not be fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FuseError {
    /// There is nothing to fuse.
    #[error("there is no token to fuse")]
    Empty,
}

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FuseSettings {
    /// Time constant with which a modality's weight fades while it says nothing new, s.
    pub recency_s: f64,
    /// Temperature of the attention's softmax.
    pub temperature: f64,
}

impl Default for FuseSettings {
    fn default() -> Self {
        Self { recency_s: 5.0, temperature: 0.5 }
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Fused features, 0..1.
    pub features: BTreeMap<String, f64>,
    /// Weight per modality present, in the order of [`Modality::ALL`]; the sum is 1.
    pub weights: Vec<(Modality, f64)>,
    /// Confidence, 0..1: the weighted mean of the modalities' confidences.
    pub confidence: f64,
    /// How far the modalities agree on what they share, 0..1 (1 when nothing is shared).
    pub agreement: f64,
    /// A sentence.
    pub interpretation: String,
}

/// Fuses tokens at a time. Several tokens of one modality are joined first, weighted by confidence.
///
/// # Errors
/// [`FuseError::Empty`] without any token.
pub fn fuse(tokens: &[Token], strategy: Strategy, now_ns: i64, settings: &FuseSettings) -> Result<Fused, FuseError> {
    let tokens = join(tokens);
    if tokens.is_empty() {
        return Err(FuseError::Empty);
    }
    let prior: Vec<f64> = tokens
        .iter()
        .map(|t| {
            let age_s = (now_ns - t.stamp_ns).max(0) as f64 * 1e-9;
            t.confidence * (-age_s / settings.recency_s.max(1e-3)).exp()
        })
        .collect();
    let weights = match strategy {
        Strategy::Attention => attention(&tokens, &prior, settings.temperature),
        _ => normalise(&prior),
    };
    let agreement = agreement(&tokens, &weights);
    let features = match strategy {
        Strategy::Early => early(&tokens, &weights),
        Strategy::Late | Strategy::Attention => late(&tokens, &weights),
        Strategy::Hybrid => {
            let mut all = BTreeMap::new();
            for (name, value) in early(&tokens, &weights) {
                all.insert(format!("early_{name}"), value * (1.0 - 0.5 * agreement));
            }
            for (name, value) in late(&tokens, &weights) {
                all.insert(format!("late_{name}"), value * (0.5 + 0.5 * agreement));
            }
            all
        }
    };
    let confidence = tokens.iter().zip(&weights).map(|(t, w)| t.confidence * w).sum::<f64>().clamp(0.0, 1.0);
    let weights: Vec<(Modality, f64)> = tokens.iter().map(|t| t.modality).zip(weights).collect();
    let interpretation = interpret(&weights, agreement);
    Ok(Fused { features, weights, confidence, agreement, interpretation })
}

fn join(tokens: &[Token]) -> Vec<Token> {
    let mut joined = Vec::new();
    for modality in Modality::ALL {
        let same: Vec<&Token> = tokens.iter().filter(|t| t.modality == modality).collect();
        let Some(newest) = same.iter().max_by_key(|t| t.stamp_ns) else { continue };
        let total: f64 = same.iter().map(|t| t.confidence).sum();
        let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for token in &same {
            // Equal shares where no token is sure of anything.
            let share = if total > 0.0 { token.confidence } else { 1.0 };
            for (name, value) in &token.features {
                let sum = sums.entry(name.clone()).or_default();
                sum.0 += share * value;
                sum.1 += share;
            }
        }
        let features = sums.into_iter().filter(|(_, s)| s.1 > 0.0).map(|(name, (sum, share))| (name, sum / share)).collect();
        let confidence = same.iter().map(|t| t.confidence).fold(0.0, f64::max);
        joined.push(Token { modality, features, confidence, stamp_ns: newest.stamp_ns, bearing: newest.bearing });
    }
    joined
}

fn normalise(prior: &[f64]) -> Vec<f64> {
    let total: f64 = prior.iter().sum();
    if total > 1e-12 { prior.iter().map(|p| p / total).collect() } else { vec![1.0 / prior.len() as f64; prior.len()] }
}

fn attention(tokens: &[Token], prior: &[f64], temperature: f64) -> Vec<f64> {
    const SLOTS: [&str; 4] = ["activity", "salience", "certainty", "proximity"];
    // What a modality cannot say is in the middle, so that its absence neither attracts nor repels.
    let embed = |t: &Token| SLOTS.map(|slot| 2.0 * t.features.get(slot).copied().unwrap_or(0.5) - 1.0);
    let keys: Vec<[f64; 4]> = tokens.iter().map(embed).collect();
    let shares = normalise(prior);
    let mut query = [0.0; 4];
    for (key, share) in keys.iter().zip(&shares) {
        for (q, k) in query.iter_mut().zip(key) {
            *q += share * k;
        }
    }
    let scale = (SLOTS.len() as f64).sqrt() * temperature.max(1e-3);
    let logits: Vec<f64> = keys
        .iter()
        .zip(prior)
        .map(|(key, p)| key.iter().zip(&query).map(|(k, q)| k * q).sum::<f64>() / scale + p.max(1e-9).ln())
        .collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    normalise(&logits.iter().map(|l| (l - highest).exp()).collect::<Vec<_>>())
}

fn early(tokens: &[Token], weights: &[f64]) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for (token, weight) in tokens.iter().zip(weights) {
        for (name, value) in &token.features {
            out.insert(format!("{}_{name}", token.modality.name()), value * weight);
        }
    }
    out
}

fn late(tokens: &[Token], weights: &[f64]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (token, weight) in tokens.iter().zip(weights) {
        for (name, value) in &token.features {
            let sum = sums.entry(name.clone()).or_default();
            sum.0 += weight * value;
            sum.1 += weight;
        }
    }
    // Over the modalities that have the feature: an absent one does not pull the value down.
    sums.into_iter().map(|(name, (sum, total))| (name, if total > 0.0 { sum / total } else { 0.0 })).collect()
}

fn agreement(tokens: &[Token], weights: &[f64]) -> f64 {
    let pooled = late(tokens, weights);
    let (mut gap, mut count) = (0.0, 0.0);
    for (name, mean) in &pooled {
        let having: Vec<f64> = tokens.iter().filter_map(|t| t.features.get(name).copied()).collect();
        if having.len() > 1 {
            gap += having.iter().map(|v| (v - mean).abs()).sum::<f64>() / having.len() as f64;
            count += 1.0;
        }
    }
    if count > 0.0 { (1.0 - 2.0 * gap / count).clamp(0.0, 1.0) } else { 1.0 }
}

fn interpret(weights: &[(Modality, f64)], agreement: f64) -> String {
    let mut sorted = weights.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let names: Vec<String> = sorted.iter().map(|(m, w)| format!("{} {:.0}%", m.name(), w * 100.0)).collect();
    format!("{}; agreement {:.0}%", names.join(", "), agreement * 100.0)
}

#[cfg(test)]
mod tests {
    use super::Strategy;
    use super::*;
    use proptest::prelude::*;

    fn token(modality: Modality, features: &[(&str, f64)], confidence: f64) -> Token {
        Token {
            modality,
            features: features.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
            confidence,
            stamp_ns: 0,
            bearing: None,
        }
    }

    fn three() -> Vec<Token> {
        vec![
            token(Modality::Vision, &[("activity", 0.2), ("texture", 0.5)], 0.8),
            token(Modality::Audio, &[("activity", 0.6), ("pitch", 0.5)], 0.4),
            token(Modality::Proprioception, &[("activity", 0.1)], 0.8),
        ]
    }

    #[test]
    fn early_keeps_every_feature_under_its_modality() {
        let f = fuse(&three(), Strategy::Early, 0, &FuseSettings::default()).unwrap();
        assert_eq!(f.features.len(), 5);
        assert!((f.features["audio_pitch"] - 0.5 * 0.2).abs() < 1e-12);
    }

    #[test]
    fn late_pools_only_over_those_who_have_a_feature() {
        let f = fuse(&three(), Strategy::Late, 0, &FuseSettings::default()).unwrap();
        assert!((f.features["texture"] - 0.5).abs() < 1e-12);
        assert!((f.features["activity"] - (0.4 * 0.2 + 0.2 * 0.6 + 0.4 * 0.1)).abs() < 1e-12);
    }

    #[test]
    fn hybrid_carries_both_and_attention_differs_from_late() {
        let h = fuse(&three(), Strategy::Hybrid, 0, &FuseSettings::default()).unwrap();
        assert!(h.features.contains_key("early_vision_activity") && h.features.contains_key("late_activity"));
        let a = fuse(&three(), Strategy::Attention, 0, &FuseSettings::default()).unwrap();
        let l = fuse(&three(), Strategy::Late, 0, &FuseSettings::default()).unwrap();
        assert_ne!(a.weights, l.weights);
        assert!(a.weights[1].1 < l.weights[1].1, "attention trusts the odd one out less");
    }

    #[test]
    fn a_silent_modality_fades_and_zero_confidence_is_survived() {
        let mut tokens = three();
        tokens[1].stamp_ns = -20_000_000_000;
        let f = fuse(&tokens, Strategy::Early, 0, &FuseSettings::default()).unwrap();
        assert!(f.weights[1].1 < 0.01);
        let zero = [token(Modality::Text, &[], 0.0), token(Modality::Vision, &[("activity", 1.0)], 0.0)];
        let f = fuse(&zero, Strategy::Attention, 0, &FuseSettings::default()).unwrap();
        assert!((f.weights.iter().map(|w| w.1).sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(fuse(&[], Strategy::Early, 0, &FuseSettings::default()), Err(FuseError::Empty));
    }

    #[test]
    fn two_tokens_of_one_modality_count_as_one() {
        let tokens = [token(Modality::Vision, &[("activity", 0.0)], 1.0), token(Modality::Vision, &[("activity", 1.0)], 1.0)];
        let f = fuse(&tokens, Strategy::Late, 0, &FuseSettings::default()).unwrap();
        assert_eq!(f.weights, [(Modality::Vision, 1.0)]);
        assert_eq!(f.features["activity"], 0.5);
        assert!(f.confidence <= 1.0);
    }

    proptest! {
        #[test]
        fn weights_sum_to_one_and_everything_stays_in_range(
            parts in proptest::collection::vec((0usize..4, 0.0f64..=1.0, 0.0f64..=1.0, -30i64..0), 1..9), which in 0usize..4
        ) {
            let tokens: Vec<Token> = parts.iter().map(|(m, v, c, age)| Token {
                stamp_ns: age * 1_000_000_000,
                ..token(Modality::ALL[*m], &[("activity", *v), ("salience", 1.0 - *v)], *c)
            }).collect();
            let strategy = [Strategy::Early, Strategy::Late, Strategy::Hybrid, Strategy::Attention][which];
            let f = fuse(&tokens, strategy, 0, &FuseSettings::default()).unwrap();
            prop_assert!((f.weights.iter().map(|w| w.1).sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&f.confidence) && (0.0..=1.0).contains(&f.agreement));
            for v in f.features.values() { prop_assert!((-1e-9..=1.0 + 1e-9).contains(v)); }
        }
    }
}
