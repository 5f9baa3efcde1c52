//! Scan sanitation after REP 117: -Inf is too close, +Inf is no return, NaN is an erroneous beam.

/// Geometry of a scan as far as it is checked; angles in rad, ranges in m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanGeometry {
    /// Angle of the first beam, rad.
    pub angle_min: f64,
    /// Angle of the last beam, rad.
    pub angle_max: f64,
    /// Angle between beams, rad.
    pub angle_increment: f64,
    /// Shortest measurable range, m.
    pub range_min: f64,
    /// Longest measurable range, m.
    pub range_max: f64,
}

/// Why a scan was refused as a whole.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScanError {
    /// A number of the geometry is not finite, or limits are inverted.
    #[error("the scan's geometry makes no sense: {0}")]
    Geometry(&'static str),
    /// The number of ranges does not fit the angles.
    #[error("the scan has {got} ranges, its angles say {expected}")]
    Count {
        /// Ranges in the message.
        got: usize,
        /// Ranges by the angles.
        expected: usize,
    },
    /// Too many beams are erroneous.
    #[error("{share:.0}% of the beams are erroneous", share = .share * 100.0)]
    Blind {
        /// Share of NaN beams, 0..1.
        share: f64,
    },
}

/// Counts of what was found in a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Beams with a range.
    pub valid: usize,
    /// Beams closer than the minimum.
    pub too_close: usize,
    /// Beams without return.
    pub no_return: usize,
    /// Erroneous beams.
    pub erroneous: usize,
}

/// Rewrites `ranges` in the words of REP 117 and counts them. Zero or negative ranges are erroneous.
///
/// # Errors
/// [`ScanError`] when the geometry is wrong or more than `max_erroneous` (0..1) of the beams are erroneous.
pub fn sanitise(geometry: &ScanGeometry, ranges: &mut [f32], max_erroneous: f64) -> Result<ScanReport, ScanError> {
    let g = geometry;
    if ![g.angle_min, g.angle_max, g.angle_increment, g.range_min, g.range_max].iter().all(|v| v.is_finite()) {
        return Err(ScanError::Geometry("a number is not finite"));
    }
    if g.angle_increment.abs() < 1e-9 {
        return Err(ScanError::Geometry("the angle increment is zero"));
    }
    if g.range_min < 0.0 || g.range_max <= g.range_min {
        return Err(ScanError::Geometry("range_max is not above range_min"));
    }
    let steps = (g.angle_max - g.angle_min) / g.angle_increment;
    // Drivers disagree whether angle_max is the last beam or one beyond it; both are accepted.
    let expected = steps.round().max(0.0) as usize + 1;
    if ranges.is_empty() || ranges.len().abs_diff(expected) > 1 {
        return Err(ScanError::Count { got: ranges.len(), expected });
    }
    let mut report = ScanReport::default();
    for range in ranges.iter_mut() {
        let r = f64::from(*range);
        if r.is_nan() || (r <= 0.0 && r.is_finite()) {
            *range = f32::NAN;
            report.erroneous += 1;
        } else if r < g.range_min {
            *range = f32::NEG_INFINITY;
            report.too_close += 1;
        } else if r > g.range_max {
            *range = f32::INFINITY;
            report.no_return += 1;
        } else {
            report.valid += 1;
        }
    }
    let share = report.erroneous as f64 / ranges.len() as f64;
    if share > max_erroneous {
        return Err(ScanError::Blind { share });
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn geometry(n: usize) -> ScanGeometry {
        let inc = 2.0 * PI / n as f64;
        ScanGeometry { angle_min: -PI, angle_max: PI - inc, angle_increment: inc, range_min: 0.164, range_max: 12.0 }
    }

    #[test]
    fn ranges_follow_rep_117() {
        let mut r = [1.0, 0.1, 13.0, f32::NAN, 0.0, -2.0, f32::INFINITY, f32::NEG_INFINITY];
        let report = sanitise(&geometry(8), &mut r, 0.5).unwrap();
        assert_eq!(report, ScanReport { valid: 1, too_close: 2, no_return: 2, erroneous: 3 });
        assert_eq!(r[0], 1.0);
        assert_eq!(r[1], f32::NEG_INFINITY);
        assert_eq!(r[2], f32::INFINITY);
        assert!(r[3].is_nan() && r[4].is_nan() && r[5].is_nan());
    }

    #[test]
    fn a_blind_scan_is_refused() {
        let mut r = [f32::NAN; 8];
        assert!(matches!(sanitise(&geometry(8), &mut r, 0.5), Err(ScanError::Blind { .. })));
    }

    #[test]
    fn a_wrong_count_and_a_wrong_geometry_are_refused() {
        assert!(matches!(sanitise(&geometry(8), &mut [1.0; 5], 0.5), Err(ScanError::Count { got: 5, expected: 8 })));
        assert!(sanitise(&geometry(8), &mut [], 0.5).is_err());
        let bad = ScanGeometry { angle_increment: 0.0, ..geometry(8) };
        assert!(matches!(sanitise(&bad, &mut [1.0; 8], 0.5), Err(ScanError::Geometry(_))));
        let bad = ScanGeometry { range_max: f64::NAN, ..geometry(8) };
        assert!(sanitise(&bad, &mut [1.0; 8], 0.5).is_err());
    }
}
