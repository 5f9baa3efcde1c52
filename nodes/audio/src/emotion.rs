//! Mood of a voice from its prosody. This is a rule of thumb, not a trained classifier: pitch height, pitch range,
//! brightness and speech rate against what phonetics reports for acted emotions (Scherer, "Vocal communication of
//! emotion", 2003). It rejects to `unknown` unless one prototype is clearly nearest, and says so by its provenance.

use crate::features::{SAMPLE_RATE, Spectrum, rms, spectral_centroid};
use crate::pitch::Yin;

/// Name that stands in the provenance of every result.
pub const ALGORITHM: &str = "prosody_rules";
/// Version of the rule's table.
pub const VERSION: &str = "2";
/// Labels in use; the last one means "not clear enough".
pub const LABELS: [&str; 8] = ["neutral", "happy", "sad", "angry", "excited", "calm", "fearful", "unknown"];

/// Measured prosody of one utterance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prosody {
    /// Median pitch of the voiced frames, Hz.
    pub pitch_hz: f32,
    /// Spread of the pitch, semitones between the 10th and the 90th percentile.
    pub pitch_range_st: f32,
    /// Mean spectral centroid of the loud frames, Hz: a pressed voice is brighter.
    pub centroid_hz: f32,
    /// Syllable-like loudness peaks per second.
    pub rate_hz: f32,
    /// Share of frames that are voiced, 0..1.
    pub voiced_share: f32,
    /// Length, s.
    pub duration_s: f32,
}

/// A label with how sure the rule is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mood {
    /// One of [`LABELS`].
    pub label: &'static str,
    /// Share of the nearest prototype, 0..1; for `unknown`, of the best one rejected.
    pub confidence: f32,
}

/// Prototypes: pitch height (semitones from a neutral voice), range, brightness (octaves), rate, in units of the
/// spread between speakers.
const PROTOTYPES: [(&str, [f32; 4]); 7] = [
    ("neutral", [0.0, 0.0, 0.0, 0.0]),
    ("happy", [1.0, 1.4, 0.5, 0.5]),
    ("sad", [-0.7, -1.2, -1.0, -1.2]),
    ("angry", [0.6, 1.0, 1.6, 0.8]),
    ("excited", [2.0, 1.8, 0.8, 1.4]),
    ("calm", [-0.5, -0.8, -0.6, -0.4]),
    ("fearful", [2.0, -0.6, 0.6, 1.6]),
];

/// A neutral voice: pitch range in semitones, spectral centroid in Hz, loudness peaks per second. The mean of five synthetic voices that speak plainly
/// (`hearing moods --prosody`).
const NEUTRAL: (f32, f32, f32) = (4.0, 1_175.0, 3.1);
/// Spread within a mood, in units of the spread between speakers: small enough that neighbours like neutral and calm can be told.
const WITHIN: f32 = 0.65;

/// Measures the prosody of 16 kHz mono speech; `None` if less than half a second or hardly voiced.
pub fn prosody(samples: &[f32]) -> Option<Prosody> {
    let duration_s = samples.len() as f32 / SAMPLE_RATE as f32;
    if duration_s < 0.5 {
        return None;
    }
    let track = Yin { threshold: 0.2, ..Yin::default() }.track(samples, 160);
    let mut pitches: Vec<f32> = track.iter().filter(|p| p.voiced).map(|p| p.hz).collect();
    let voiced_share = pitches.len() as f32 / track.len().max(1) as f32;
    if pitches.len() < 20 {
        return None;
    }
    pitches.sort_by(f32::total_cmp);
    let percentile = |p: f32| pitches[((pitches.len() - 1) as f32 * p) as usize];
    let pitch_range_st = 12.0 * (percentile(0.9) / percentile(0.1)).log2();

    let levels: Vec<f32> = samples.chunks_exact(160).map(rms).collect();
    let peak = levels.iter().copied().fold(0.0, f32::max);
    let mut spectrum = Spectrum::new(400, 512);
    let (mut centroid, mut loud) = (0.0, 0.0);
    for (frame, level) in samples.windows(400).step_by(160).zip(&levels) {
        if *level > 0.2 * peak {
            centroid += spectral_centroid(&spectrum.power(frame), SAMPLE_RATE);
            loud += 1.0;
        }
    }
    // Loudness smoothed over 70 ms; a peak counts once it has fallen by a fifth.
    let smooth: Vec<f32> = levels.windows(7).map(|w| w.iter().sum::<f32>() / 7.0).collect();
    let (mut peaks, mut high, mut low) = (0, 0.0_f32, f32::MAX);
    for level in smooth {
        if level > low * 1.25 + 0.02 * peak {
            high = high.max(level);
        }
        if high > 0.1 * peak && level < 0.8 * high {
            peaks += 1;
            high = 0.0;
            low = level;
        }
        low = low.min(level);
    }
    Some(Prosody {
        pitch_hz: percentile(0.5),
        pitch_range_st,
        centroid_hz: if loud > 0.0 { centroid / loud } else { 0.0 },
        rate_hz: peaks as f32 / duration_s,
        voiced_share,
        duration_s,
    })
}

/// The nearest prototype, or `unknown` if its share stays below `min_confidence` or its lead over the next is small.
pub fn classify(prosody: &Prosody, min_confidence: f32) -> Mood {
    // A neutral voice lies near 118 or 205 Hz (Hollien, 1994); the nearer one is taken as this speaker's.
    let semitones = |base: f32| 12.0 * (prosody.pitch_hz / base).log2();
    let (low, high) = (semitones(118.0), semitones(205.0));
    let height = if low.abs() < high.abs() { low } else { high };
    let point = [
        height / 3.0,
        (prosody.pitch_range_st - NEUTRAL.0) / 3.0,
        (prosody.centroid_hz.max(1.0) / NEUTRAL.1).log2() / 0.5,
        (prosody.rate_hz - NEUTRAL.2) / 1.0,
    ];
    let mut scores = PROTOTYPES.map(|(label, centre)| {
        let distance: f32 = centre.iter().zip(&point).map(|(c, p)| (c - p) * (c - p)).sum();
        (label, (-0.5 * distance / (WITHIN * WITHIN)).exp())
    });
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    // A constant "none of these" keeps far-away voices from being shared out among the prototypes.
    let total: f32 = scores.iter().map(|s| s.1).sum::<f32>() + 0.15;
    let (label, best) = scores[0];
    let confidence = best / total;
    let lead = (best - scores[1].1) / total;
    if confidence < min_confidence || lead < 0.1 || prosody.voiced_share < 0.15 {
        return Mood { label: "unknown", confidence };
    }
    Mood { label, confidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Prosody =
        Prosody { pitch_hz: 118.0, pitch_range_st: 4.0, centroid_hz: 1_175.0, rate_hz: 3.1, voiced_share: 0.6, duration_s: 2.0 };

    #[test]
    fn prototypes_are_recognised_and_what_lies_between_is_unknown() {
        assert_eq!(classify(&PLAIN, 0.4).label, "neutral");
        let sad = Prosody { pitch_hz: 104.0, pitch_range_st: 0.8, centroid_hz: 830.0, rate_hz: 1.9, ..PLAIN };
        assert_eq!(classify(&sad, 0.4).label, "sad");
        let excited = Prosody { pitch_hz: 290.0, pitch_range_st: 9.4, centroid_hz: 1_550.0, rate_hz: 4.5, ..PLAIN };
        assert_eq!(classify(&excited, 0.4).label, "excited");
        let far = Prosody { pitch_hz: 480.0, pitch_range_st: 30.0, centroid_hz: 6_000.0, rate_hz: 12.0, ..PLAIN };
        assert_eq!(classify(&far, 0.4).label, "unknown");
        assert_eq!(classify(&Prosody { voiced_share: 0.05, ..PLAIN }, 0.4).label, "unknown");
    }

    #[test]
    fn a_gliding_hum_has_its_pitch_and_range() {
        // 100 to 200 Hz in 2 s on a logarithmic glide: one octave; the 80 % range is 9.6 semitones.
        let mut phase = 0.0_f64;
        let samples: Vec<f32> = (0..32_000)
            .map(|i| {
                phase += std::f64::consts::TAU * 100.0 * 2.0_f64.powf(f64::from(i) / 32_000.0) / 16_000.0;
                (0.3 * phase.sin()) as f32
            })
            .collect();
        let p = prosody(&samples).unwrap();
        assert!((p.pitch_hz - 141.4).abs() < 5.0 && (p.pitch_range_st - 9.6).abs() < 0.7, "{p:?}");
        assert!(p.voiced_share > 0.95);
    }

    #[test]
    fn silence_noise_and_snippets_have_no_prosody() {
        assert_eq!(prosody(&[0.0; 16_000]), None);
        assert_eq!(prosody(&[0.1; 4_000]), None);
    }
}
