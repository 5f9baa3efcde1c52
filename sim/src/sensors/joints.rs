//! Encoders: positions in whole counts, velocities and efforts with noise.

use super::JointReading;
use crate::noise::Noise;
use crate::physics::JointTruth;
use std::f64::consts::TAU;

/// Counts per turn of a wheel (Create 3: 508.8).
const WHEEL_COUNTS: f64 = 508.8;
/// Of the sliders' scales, m.
const SLIDER_STEP_M: f64 = 1e-4;

/// Reads joints that begin with `wheel` as wheels, all others as sliders.
pub fn read(truth: &[JointTruth], noise: &mut Noise) -> JointReading {
    let mut out = JointReading::default();
    for j in truth {
        let wheel = j.name.starts_with("wheel");
        let (step, speed_sigma, effort_sigma) =
            if wheel { (TAU / WHEEL_COUNTS, 0.02, 0.005) } else { (SLIDER_STEP_M, 5e-4, 0.1) };
        out.names.push(j.name.clone());
        out.positions.push((j.position / step).floor() * step);
        out.velocities.push(j.velocity + noise.gaussian(speed_sigma));
        out.efforts.push(j.effort + noise.gaussian(effort_sigma));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheel_angles_come_in_whole_counts_just_below_the_truth() {
        let truth = [JointTruth { name: "wheel_left_joint".into(), position: 1.234, velocity: 2.0, effort: 0.1 }];
        let r = read(&truth, &mut Noise::new(1, "t"));
        let counts = r.positions[0] / (TAU / WHEEL_COUNTS);
        assert!((counts - counts.round()).abs() < 1e-9);
        assert!(r.positions[0] <= 1.234 && 1.234 - r.positions[0] < TAU / WHEEL_COUNTS);
    }
}
