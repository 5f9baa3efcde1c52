//! The motion of a box: a Kalman filter of constant velocity on centre, ratio of the sides and height.
//!
//! Source: Wojke et al. 2017 (DeepSORT) and Zhang et al. 2021 (ByteTrack): the noise is a share of the box's height, a twentieth for places and
//! a 160th for speeds, per frame of a video of 30 Hz. As no noise there links the four coordinates, each has a filter of its own with two
//! states; that is the same as the eight states of the papers. Between two pictures any time may pass: motion goes on for so long, and
//! the noise of so many frames is added.

use serde::{Deserialize, Serialize};

/// Frames a second of the videos that the noise was chosen for.
pub(super) const RATE_HZ: f64 = 30.0;
const PLACE: f64 = 1.0 / 20.0;
const SPEED: f64 = 1.0 / 160.0;
/// Of the ratio of the sides: of its value, its change and its measurement.
const RATIO: f64 = 1e-2;
const RATIO_SPEED: f64 = 1e-5;
const RATIO_MEASURED: f64 = 1e-1;
/// Place of the height among the coordinates.
const HEIGHT: usize = 3;
/// Place of the ratio.
const SHAPE: usize = 2;

/// One coordinate: value, speed per frame, and their covariance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Axis {
    value: f64,
    speed: f64,
    value_variance: f64,
    covariance: f64,
    speed_variance: f64,
}

/// A box in motion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Motion {
    /// Centre x, centre y, width over height, height.
    axes: [Axis; 4],
}

fn coordinates(edges: &[f64; 4]) -> [f64; 4] {
    let (width, height) = (edges[2] - edges[0], edges[3] - edges[1]);
    [edges[0] + width / 2.0, edges[1] + height / 2.0, width / height, height]
}

impl Motion {
    /// A box seen for the first time, at rest. Edges: left, top, right, bottom; with an area.
    pub fn new(edges: &[f64; 4]) -> Self {
        let seen = coordinates(edges);
        let height = seen[HEIGHT];
        let axis = |n: usize| {
            let (place, speed) = if n == SHAPE { (RATIO, RATIO_SPEED) } else { (2.0 * PLACE * height, 10.0 * SPEED * height) };
            Axis { value: seen[n], speed: 0.0, value_variance: place * place, covariance: 0.0, speed_variance: speed * speed }
        };
        Self { axes: [axis(0), axis(1), axis(2), axis(3)] }
    }

    /// Lets time pass, in frames.
    pub fn predict(&mut self, frames: f64) {
        let height = self.axes[HEIGHT].value;
        for (n, axis) in self.axes.iter_mut().enumerate() {
            let (place, speed) = if n == SHAPE { (RATIO, RATIO_SPEED) } else { (PLACE * height, SPEED * height) };
            axis.value += frames * axis.speed;
            axis.value_variance += frames * (2.0 * axis.covariance + frames * axis.speed_variance) + frames * place * place;
            axis.covariance += frames * axis.speed_variance;
            axis.speed_variance += frames * speed * speed;
        }
    }

    /// Takes a measurement in.
    pub fn update(&mut self, edges: &[f64; 4]) {
        let seen = coordinates(edges);
        let height = self.axes[HEIGHT].value;
        for (n, axis) in self.axes.iter_mut().enumerate() {
            let noise = if n == SHAPE { RATIO_MEASURED } else { PLACE * height };
            let total = axis.value_variance + noise * noise;
            let (gain, speed_gain) = (axis.value_variance / total, axis.covariance / total);
            let innovation = seen[n] - axis.value;
            axis.value += gain * innovation;
            axis.speed += speed_gain * innovation;
            axis.speed_variance -= speed_gain * axis.covariance;
            axis.covariance -= gain * axis.covariance;
            axis.value_variance -= gain * axis.value_variance;
        }
    }

    /// Stops a change of height: of what is not seen, it would grow on and on.
    pub fn hold_height(&mut self) {
        self.axes[HEIGHT].speed = 0.0;
    }

    /// Left, top, right and bottom edge.
    pub fn edges(&self) -> [f64; 4] {
        let [x, y, ratio, height] = self.axes.map(|a| a.value);
        let width = ratio * height;
        [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
    }

    /// Whether it still is a box.
    pub fn is_sound(&self) -> bool {
        let edges = self.edges();
        edges.iter().all(|v| v.is_finite()) && edges[2] > edges[0] && edges[3] > edges[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moving(t: f64) -> [f64; 4] {
        [100.0 + 3.0 * t, 50.0 - t, 140.0 + 3.0 * t, 130.0 - t]
    }

    #[test]
    fn constant_motion_is_learned_and_carried_on() {
        let mut motion = Motion::new(&moving(0.0));
        for t in 1..=30 {
            motion.predict(1.0);
            motion.update(&moving(f64::from(t)));
        }
        motion.predict(10.0);
        for (found, truth) in motion.edges().into_iter().zip(moving(40.0)) {
            assert!((found - truth).abs() < 1.5, "{found} is not {truth}");
        }
    }

    #[test]
    fn the_first_update_is_the_textbooks() {
        // Height 80: place 8^2 = 64, measurement 4^2 = 16 without a prediction: gain 64 / 80.
        let mut motion = Motion::new(&[0.0, 0.0, 40.0, 80.0]);
        motion.update(&[10.0, 0.0, 50.0, 80.0]);
        assert!((motion.axes[0].value - 28.0).abs() < 1e-12, "20 + 0.8 * 10");
        assert!((motion.axes[0].value_variance - 64.0 * 0.2).abs() < 1e-12);
        // After a frame: 64 + 5^2 + 4^2 = 105, and 25 between place and speed.
        let mut motion = Motion::new(&[0.0, 0.0, 40.0, 80.0]);
        motion.predict(1.0);
        motion.update(&[10.0, 0.0, 50.0, 80.0]);
        assert!((motion.axes[0].value - (20.0 + 10.0 * 105.0 / 121.0)).abs() < 1e-12);
        assert!((motion.axes[0].speed - 10.0 * 25.0 / 121.0).abs() < 1e-12);
    }
}
