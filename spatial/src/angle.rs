//! Angles on the circle.

use std::f64::consts::{PI, TAU};

/// The same angle in (-pi, pi]. NaN and infinities give NaN.
pub fn wrap(angle: f64) -> f64 {
    let turned = angle.rem_euclid(TAU);
    if turned > PI { turned - TAU } else { turned }
}

/// The signed shortest turn from `from` to `to`, in (-pi, pi].
pub fn difference(to: f64, from: f64) -> f64 {
    wrap(to - from)
}

/// The angle a fraction `t` of the shortest way from `from` to `to`.
pub fn interpolate(from: f64, to: f64, t: f64) -> f64 {
    wrap(from + difference(to, from) * t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wrap_keeps_the_half_open_interval() {
        assert_eq!(wrap(PI), PI);
        assert!((wrap(-PI) - PI).abs() < 1e-12);
        assert!((wrap(3.0 * PI) - PI).abs() < 1e-12);
        assert_eq!(wrap(0.5), 0.5);
        assert!(wrap(f64::INFINITY).is_nan());
    }

    #[test]
    fn interpolation_takes_the_short_way_over_the_seam() {
        let middle = interpolate(PI - 0.1, -PI + 0.1, 0.5);
        assert!((middle.abs() - PI).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn wrapped_angles_have_the_same_sine_and_cosine(a in -1e3f64..1e3) {
            let w = wrap(a);
            prop_assert!(w > -PI - 1e-12 && w <= PI + 1e-12);
            prop_assert!((w.sin() - a.sin()).abs() < 1e-9 && (w.cos() - a.cos()).abs() < 1e-9);
        }
    }
}
