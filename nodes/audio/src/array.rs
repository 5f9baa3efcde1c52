//! Direction of arrival from an array of any number of microphones: steered response power with phase transform, the sum of
//! GCC-PHAT over all pairs (DiBiase, "A High-Accuracy, Low-Latency Technique for Talker Localization in Reverberant Environments",
//! 2000), for a far source in the horizontal plane.
//!
//! Microphones on one line cannot tell one side of the line from the other: the answer is then the one on the side of +x (of +y, if
//! the line is the x axis). An array that spans a plane tells the full circle.

use crate::direction::{Correlator, DirectionError, Lags, SPEED_OF_SOUND};
use crate::features::SAMPLE_RATE;
use std::f64::consts::{PI, TAU};

/// Where a sound came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrayBearing {
    /// Bearing about z in rad, -pi..pi: 0 ahead (+x), positive to the left (+y).
    pub bearing_rad: f64,
    /// Mean height of the pairs' correlations there, 0..1: 1 for one source without echo or noise.
    pub strength: f64,
    /// The other bearing that fits as well, for microphones on one line.
    pub mirror_rad: Option<f64>,
}

/// An array of at least two microphones at given places.
pub struct ArrayFinder {
    /// Places in the horizontal plane, m.
    positions: Vec<[f64; 2]>,
    /// Direction of the line, for microphones on one line.
    line: Option<f64>,
    correlator: Correlator,
}

/// An array must have at least two microphones, at different places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an array needs at least two microphones at different places")]
pub struct NoArray;

impl ArrayFinder {
    /// Steps of the first search, one degree.
    const STEPS: usize = 360;

    /// An array of microphones at `positions` (x ahead, y left, m), in the order of the channels.
    ///
    /// # Errors
    /// [`NoArray`].
    pub fn new(positions: &[[f64; 2]]) -> Result<Self, NoArray> {
        let first = *positions.first().ok_or(NoArray)?;
        let offset = |p: &[f64; 2]| [p[0] - first[0], p[1] - first[1]];
        let length = |p: &[f64; 2]| p[0].hypot(p[1]);
        let offsets: Vec<[f64; 2]> = positions.iter().map(offset).collect();
        let far = offsets.iter().copied().max_by(|a, b| length(a).total_cmp(&length(b))).ok_or(NoArray)?;
        if !(length(&far) > 1e-3) || positions.iter().flatten().any(|v| !v.is_finite()) {
            return Err(NoArray);
        }
        let across = |p: &[f64; 2]| (p[0] * far[1] - p[1] * far[0]).abs() / length(&far);
        let flat = offsets.iter().all(|p| across(p) < 0.02 * length(&far));
        let line = flat.then(|| far[1].atan2(far[0]));
        Ok(Self { positions: positions.to_vec(), line, correlator: Correlator::new() })
    }

    /// Number of microphones.
    pub fn microphones(&self) -> usize {
        self.positions.len()
    }

    /// Time by which a far source at `bearing` (rad) is heard later by microphone `index` than by the first, s.
    pub fn delay_s(&self, index: usize, bearing: f64) -> f64 {
        let (sine, cosine) = bearing.sin_cos();
        let first = self.positions.first().copied().unwrap_or_default();
        let at = self.positions.get(index).copied().unwrap_or(first);
        -((at[0] - first[0]) * cosine + (at[1] - first[1]) * sine) / SPEED_OF_SOUND
    }

    /// Mean of all channels (16 kHz) with the delays of a source at `bearing` (rad) taken out to the nearest sample: the source adds up, noise from
    /// elsewhere does not. As long as the first channel.
    pub fn aligned(&self, channels: &[impl AsRef<[f32]>], bearing: f64) -> Vec<f32> {
        let Some(first) = channels.first().map(AsRef::as_ref) else { return Vec::new() };
        let mut sum = first.to_vec();
        for (index, channel) in channels.iter().enumerate().skip(1) {
            let shift = (self.delay_s(index, bearing) * f64::from(SAMPLE_RATE)).round() as i64;
            for (i, s) in sum.iter_mut().enumerate() {
                let at = usize::try_from(i as i64 + shift).ok().and_then(|j| channel.as_ref().get(j));
                *s += at.unwrap_or(&first[i]);
            }
        }
        sum.iter_mut().for_each(|s| *s /= channels.len() as f32);
        sum
    }

    /// Bearing of the strongest source in a piece of sound: one slice per microphone, all of one length, 16 kHz.
    ///
    /// # Errors
    /// [`DirectionError`].
    pub fn bearing(&self, channels: &[impl AsRef<[f32]>]) -> Result<ArrayBearing, DirectionError> {
        if channels.len() != self.positions.len() {
            return Err(DirectionError::Channels { channels: channels.len(), microphones: self.positions.len() });
        }
        let lengths: Vec<usize> = channels.iter().map(|c| c.as_ref().len()).collect();
        if let Some(other) = lengths.iter().find(|n| **n != lengths[0]) {
            return Err(DirectionError::Length { left: lengths[0], right: *other });
        }
        let frames: Vec<_> = channels.iter().map(|c| self.correlator.frames(c.as_ref())).collect();
        let mut pairs = Vec::new();
        for i in 0..frames.len() {
            for j in 0..i {
                let (a, b) = (self.positions[i], self.positions[j]);
                pairs.push(([a[0] - b[0], a[1] - b[1]], self.correlator.lags(&frames[i], &frames[j])?));
            }
        }
        let coarse = |bearing: f64| steered_power(&pairs, bearing, Lags::near);
        let power = |bearing: f64| steered_power(&pairs, bearing, Lags::exact);
        let step = TAU / Self::STEPS as f64;
        let mut best = (f64::NEG_INFINITY, 0.0);
        for k in 0..Self::STEPS {
            let bearing = k as f64 * step - PI;
            if self.is_on_the_chosen_side(bearing) && coarse(bearing) > best.0 {
                best = (coarse(bearing), bearing);
            }
        }
        best.0 = power(best.1);
        // Ever finer around the best.
        let mut width = 4.0 * step;
        while width > 1e-3 {
            for bearing in [best.1 - width, best.1 + width] {
                if self.is_on_the_chosen_side(bearing) && power(bearing) > best.0 {
                    best = (power(bearing), bearing);
                }
            }
            width /= 2.0;
        }
        let mirror_rad = self.line.map(|line| wrap(2.0 * line - best.1));
        Ok(ArrayBearing { bearing_rad: wrap(best.1), strength: best.0.clamp(0.0, 1.0), mirror_rad })
    }

    fn is_on_the_chosen_side(&self, bearing: f64) -> bool {
        let Some(line) = self.line else { return true };
        // The normal that looks ahead; to the left if the line goes ahead itself.
        let normal = if line.sin().abs() < 0.02 { PI / 2.0 } else { line - PI / 2.0 * line.sin().signum() };
        (bearing - normal).cos() >= -1e-9
    }
}

fn steered_power(pairs: &[([f64; 2], Lags)], bearing: f64, at: impl Fn(&Lags, f64) -> f64) -> f64 {
    let (sine, cosine) = bearing.sin_cos();
    let sum: f64 = pairs
        .iter()
        .map(|(apart, lags)| {
            // The microphone that is farther towards the source hears it earlier.
            let later_s = -(apart[0] * cosine + apart[1] * sine) / SPEED_OF_SOUND;
            at(lags, later_s)
        })
        .sum();
    sum / pairs.len() as f64
}

/// The same angle in -pi..pi.
fn wrap(angle: f64) -> f64 {
    (angle + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_array_is_refused() {
        assert!(ArrayFinder::new(&[]).is_err());
        assert!(ArrayFinder::new(&[[0.0, 0.0]]).is_err());
        assert!(ArrayFinder::new(&[[0.1, 0.2], [0.1, 0.2]]).is_err());
        assert!(ArrayFinder::new(&[[0.0, 0.0], [f64::NAN, 0.0]]).is_err());
    }

    #[test]
    fn channels_that_do_not_fit_are_refused() {
        let array = ArrayFinder::new(&[[0.0, 0.05], [0.0, -0.05]]).unwrap();
        assert!(matches!(array.bearing(&[vec![0.1; 2_000]]), Err(DirectionError::Channels { channels: 1, microphones: 2 })));
        assert!(matches!(array.bearing(&[vec![0.1; 2_000], vec![0.1; 1_999]]), Err(DirectionError::Length { .. })));
        assert_eq!(array.bearing(&[vec![0.0; 2_000], vec![0.0; 2_000]]), Err(DirectionError::TooLittle));
    }

    #[test]
    fn channels_are_brought_to_the_first_microphones_time() {
        // 0.2144 m are ten samples at 343 m/s.
        let apart = 10.0 * SPEED_OF_SOUND / 16_000.0;
        let array = ArrayFinder::new(&[[0.0, 0.0], [-apart, 0.0], [apart, 0.0]]).unwrap();
        let click = |at: usize| (0..100).map(|i| if i == at { 3.0 } else { 0.0 }).collect::<Vec<f32>>();
        let heard = array.aligned(&[click(50), click(60), click(40)], 0.0);
        assert_eq!(heard, click(50));
        assert_eq!(array.microphones(), 3);
        assert!(array.aligned(&Vec::<Vec<f32>>::new(), 0.0).is_empty());
    }

    #[test]
    fn a_line_answers_ahead_and_names_its_mirror() {
        let array = ArrayFinder::new(&[[0.0, 0.05], [0.0, -0.05]]).unwrap();
        assert!(array.is_on_the_chosen_side(0.3) && array.is_on_the_chosen_side(-1.5) && !array.is_on_the_chosen_side(3.0));
        let along = ArrayFinder::new(&[[0.05, 0.0], [-0.05, 0.0]]).unwrap();
        assert!(along.is_on_the_chosen_side(1.0) && !along.is_on_the_chosen_side(-1.0));
        let square = ArrayFinder::new(&[[0.05, 0.05], [0.05, -0.05], [-0.05, -0.05], [-0.05, 0.05]]).unwrap();
        assert!(square.is_on_the_chosen_side(3.0));
    }
}
