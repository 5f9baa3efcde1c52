//! Touch zones: bumper sectors and fingers.

use super::TouchReading;
use crate::sdf::TouchZone;
use glam::DVec3;
use std::f64::consts::TAU;

/// Sorts touches on the base (bearing in base_link, force) and on the fingers into zones. Links say which zones they
/// carry; a zone without a sector takes the finger of its name.
pub fn read(zones: &[TouchZone], base: &[(f64, f64)], fingers: [f64; 2]) -> Vec<TouchReading> {
    zones
        .iter()
        .map(|zone| {
            let strongest = match zone.sector {
                Some((from, to)) => base.iter().copied().filter(|(b, _)| within(*b, from, to)).max_by(|a, b| a.1.total_cmp(&b.1)),
                // A finger's pad faces the other finger: left is pushed to the left.
                None if zone.zone.ends_with("left") => Some((-std::f64::consts::FRAC_PI_2, fingers[0])),
                None => Some((std::f64::consts::FRAC_PI_2, fingers[1])),
            };
            match strongest {
                Some((bearing, force)) if force > 0.0 => {
                    TouchReading { zone: zone.zone.clone(), force, normal: DVec3::new(-bearing.cos(), -bearing.sin(), 0.0) }
                }
                _ => TouchReading { zone: zone.zone.clone(), ..TouchReading::default() },
            }
        })
        .collect()
}

// True for a bearing on the way counter-clockwise from `from` to `to`.
fn within(bearing: f64, from: f64, to: f64) -> bool {
    (bearing - from).rem_euclid(TAU) <= (to - from).rem_euclid(TAU)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, sector: Option<(f64, f64)>) -> TouchZone {
        TouchZone { zone: name.into(), sector }
    }

    #[test]
    fn a_touch_from_behind_is_in_the_zone_that_crosses_the_back() {
        let zones = [zone("front", Some((-0.5, 0.5))), zone("rear", Some((1.75, -1.75)))];
        let r = read(&zones, &[(3.1, 2.0), (-3.0, 5.0)], [0.0; 2]);
        assert_eq!((r[0].force, r[1].force), (0.0, 5.0));
        // Touched at the back, the robot is pushed forward.
        assert!(r[1].normal.x > 0.9);
    }

    #[test]
    fn fingers_report_their_own_force() {
        let r = read(&[zone("finger_left", None), zone("finger_right", None)], &[], [3.0, 4.0]);
        assert_eq!((r[0].force, r[1].force), (3.0, 4.0));
        assert!(r[0].normal.y > 0.9 && r[1].normal.y < -0.9);
    }
}
