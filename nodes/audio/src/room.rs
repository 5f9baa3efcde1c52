//! Rooms for tests and benchmarks: what microphones hear of a source in a box with reflecting walls, by the image method
//! (Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65, 1979), with fractional delays.

use crate::direction::SPEED_OF_SOUND;
use crate::features::SAMPLE_RATE;
use realfft::RealFftPlanner;

/// Samples on each side of a fractional delay's windowed sinc.
const HALF: i64 = 24;

/// A box of air from (0, 0, 0) to `size`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Length, width, height, m.
    pub size: [f64; 3],
    /// Share of the energy that each wall takes, 0..1; 1 is open air.
    pub absorption: f64,
    /// Most reflections of one path.
    pub max_order: i32,
}

impl Room {
    /// No walls.
    pub const OPEN_AIR: Self = Self { size: [1e3; 3], absorption: 1.0, max_order: 0 };

    /// Reverberation time (60 dB) by Eyring's formula, s.
    pub fn reverberation_s(&self) -> f64 {
        let [x, y, z] = self.size;
        let surface = 2.0 * (x * y + y * z + z * x);
        -0.161 * x * y * z / (surface * (1.0 - self.absorption.min(1.0 - 1e-9)).ln())
    }

    /// What an impulse at `source` (m) is at `microphone` (m), 16 kHz; amplitude 1 at 1 m.
    pub fn impulse_response(&self, source: [f64; 3], microphone: [f64; 3]) -> Vec<f32> {
        let reflection = (1.0 - self.absorption).max(0.0).sqrt();
        let mut response: Vec<f64> = Vec::new();
        let order = self.max_order;
        for nx in -order..=order {
            for ny in -order..=order {
                for nz in -order..=order {
                    let walls = nx.abs() + ny.abs() + nz.abs();
                    if walls > order {
                        continue;
                    }
                    let squared: f64 = [nx, ny, nz]
                        .into_iter()
                        .enumerate()
                        .map(|(axis, n)| (image(source[axis], self.size[axis], n) - microphone[axis]).powi(2))
                        .sum();
                    let distance = squared.sqrt().max(0.01);
                    let delay = distance / SPEED_OF_SOUND * f64::from(SAMPLE_RATE);
                    add_impulse(&mut response, delay, reflection.powi(walls) / distance);
                }
            }
        }
        response.into_iter().map(|v| v as f32).collect()
    }

    /// What each microphone hears of a dry sound `[n]` -> `[microphones][n + tail]`, all of one length.
    pub fn hear(&self, source: [f64; 3], microphones: &[[f64; 3]], dry: &[f32]) -> Vec<Vec<f32>> {
        let responses: Vec<Vec<f32>> = microphones.iter().map(|m| self.impulse_response(source, *m)).collect();
        let tail = responses.iter().map(Vec::len).max().unwrap_or(0);
        let length = dry.len() + tail;
        let size = length.next_power_of_two().max(2);
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let transform = |x: &[f32]| {
            let mut input = x.to_vec();
            input.resize(size, 0.0);
            let mut output = forward.make_output_vec();
            // The buffers come from the plan itself, so their lengths fit.
            let done = forward.process(&mut input, &mut output);
            debug_assert!(done.is_ok());
            output
        };
        let sound = transform(dry);
        responses
            .iter()
            .map(|response| {
                let mut product: Vec<_> = transform(response).iter().zip(&sound).map(|(a, b)| a * b / size as f32).collect();
                let mut output = inverse.make_output_vec();
                let done = inverse.process(&mut product, &mut output);
                debug_assert!(done.is_ok());
                output.truncate(length);
                output
            })
            .collect()
    }
}

/// Coordinate of the source's image after `n` reflections at the two walls of an axis.
fn image(at: f64, size: f64, n: i32) -> f64 {
    let n_size = f64::from(n) * size;
    if n % 2 == 0 { n_size + at } else { n_size + size - at }
}

/// Adds an impulse at a fractional sample: a sinc under a Hann window.
fn add_impulse(response: &mut Vec<f64>, delay: f64, amplitude: f64) {
    let centre = delay.round() as i64;
    if response.len() < (centre + HALF + 1) as usize {
        response.resize((centre + HALF + 1) as usize, 0.0);
    }
    for i in (centre - HALF).max(0)..=centre + HALF {
        let x = i as f64 - delay;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let window = 0.5 + 0.5 * (std::f64::consts::PI * x / (HALF as f64 + 1.0)).cos();
        response[i as usize] += amplitude * sinc * window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_air_is_one_delayed_and_weaker_copy() {
        // 3.432 m are 160 samples.
        let response = Room::OPEN_AIR.impulse_response([503.432, 500.0, 500.0], [500.0; 3]);
        assert!((response[160] - 1.0 / 3.432).abs() < 1e-6);
        assert!(response.iter().enumerate().all(|(i, v)| i == 160 || v.abs() < 1e-6));
    }

    #[test]
    fn a_fraction_of_a_sample_shifts_a_tone_by_that_much() {
        let distance = 3.0;
        let dry: Vec<f32> = (0..4_000).map(|i| (i as f32 * 0.5).sin()).collect();
        let heard = Room::OPEN_AIR.hear([500.0 + distance, 500.0, 500.0], &[[500.0; 3]], &dry);
        let delay = distance / SPEED_OF_SOUND * 16_000.0;
        for i in 500..3_500 {
            let want = ((i as f64 - delay) * 0.5).sin() / distance;
            assert!((f64::from(heard[0][i]) - want).abs() < 1e-3, "{i}");
        }
    }

    #[test]
    fn the_room_rings_for_about_as_long_as_eyring_says() {
        let room = Room { size: [5.0, 4.0, 3.0], absorption: 0.4, max_order: 18 };
        let response = room.impulse_response([1.0, 1.5, 1.2], [3.5, 2.5, 1.4]);
        // Schroeder: energy that is still to come; from -5 to -25 dB, three times that is 60 dB.
        let mut energy: Vec<f64> = response
            .iter()
            .rev()
            .map(|v| f64::from(*v).powi(2))
            .scan(0.0, |s, e| {
                *s += e;
                Some(*s)
            })
            .collect();
        energy.reverse();
        let below = |db: f64| energy.iter().position(|e| *e < energy[0] * 10.0_f64.powf(db / 10.0)).unwrap() as f64 / 16_000.0;
        let measured = 3.0 * (below(-25.0) - below(-5.0));
        let said = room.reverberation_s();
        assert!((measured / said - 1.0).abs() < 0.4, "{measured:.3} s, Eyring {said:.3} s");
    }
}
