//! A straight edge in front of the robot, from the scan: a table's front, the wall behind the dock.

use glam::DVec2;

/// A line fitted to scan points in base_link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Distance from base_link to the line, m.
    pub distance: f64,
    /// Bearing of its nearest point, rad: 0 when the robot faces it squarely, positive when it lies to the left.
    pub bearing: f64,
    /// Root mean square distance of the inliers from the line, m.
    pub rms: f64,
    /// Points that fit.
    pub inliers: usize,
}

/// Fits a line to the points between `near` and `far` (m ahead) and within `half_width` (m) to either side: the line
/// through two points that most others agree with (within 2.5 cm), then total least squares on those. None if fewer than
/// eight points fit, or they fill less than half of what they must, or the line is turned by more than 0.6 rad.
pub fn front_edge(points: &[DVec2], near: f64, far: f64, half_width: f64) -> Option<Edge> {
    const INLIER: f64 = 0.025;
    let window: Vec<DVec2> = points.iter().copied().filter(|p| p.x >= near && p.x <= far && p.y.abs() <= half_width).collect();
    let mut best: (usize, DVec2, DVec2) = (0, DVec2::ZERO, DVec2::ZERO);
    // Every pair that is far enough apart: at most some thousand pairs of a 1 degree scan.
    for (i, a) in window.iter().enumerate() {
        for b in &window[i + 1..] {
            let along = *b - *a;
            if along.length() < 0.6 * half_width || along.y.abs() < along.x.abs() {
                continue;
            }
            let normal = along.perp().normalize();
            let count = window.iter().filter(|p| normal.dot(**p - *a).abs() < INLIER).count();
            if count > best.0 {
                best = (count, *a, normal);
            }
        }
    }
    if best.0 < 8 || best.0 * 2 < window.len() {
        return None;
    }
    let mut inliers: Vec<DVec2> = window.iter().copied().filter(|p| best.2.dot(*p - best.1).abs() < INLIER).collect();
    let mut fitted = total_least_squares(&inliers);
    for _ in 0..2 {
        inliers = window.iter().copied().filter(|p| (fitted.0.dot(*p) - fitted.1).abs() < INLIER).collect();
        if inliers.len() < 8 {
            return None;
        }
        fitted = total_least_squares(&inliers);
    }
    let (normal, distance) = fitted;
    let rms = (inliers.iter().map(|p| (normal.dot(*p) - distance).powi(2)).sum::<f64>() / inliers.len() as f64).sqrt();
    let bearing = normal.to_angle();
    (bearing.abs() < 0.6).then_some(Edge { distance, bearing, rms, inliers: inliers.len() })
}

/// Unit normal pointing away from the origin, and the distance along it.
fn total_least_squares(points: &[DVec2]) -> (DVec2, f64) {
    let mean = points.iter().sum::<DVec2>() / points.len().max(1) as f64;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for p in points {
        let d = *p - mean;
        xx += d.x * d.x;
        xy += d.x * d.y;
        yy += d.y * d.y;
    }
    // Direction of largest spread of a symmetric 2 x 2 matrix.
    let along = DVec2::from_angle(0.5 * (2.0 * xy).atan2(xx - yy));
    let normal = along.perp();
    let distance = normal.dot(mean);
    if distance < 0.0 { (-normal, -distance) } else { (normal, distance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge_points(distance: f64, bearing: f64) -> Vec<DVec2> {
        let normal = DVec2::from_angle(bearing);
        (-30..=30i32)
            .map(|i| {
                let ripple = 0.008 * f64::from((i * 7).rem_euclid(5) - 2) / 2.0;
                normal * (distance + ripple) + normal.perp() * (f64::from(i) * 0.012)
            })
            .collect()
    }

    #[test]
    fn finds_distance_and_bearing_of_a_noisy_edge() {
        for bearing in [-0.3, -0.05, 0.0, 0.2] {
            let edge = front_edge(&edge_points(0.6, bearing), 0.2, 1.2, 0.4).unwrap();
            assert!((edge.distance - 0.6).abs() < 0.004, "{edge:?}");
            assert!((edge.bearing - bearing).abs() < 0.01, "{edge:?}");
        }
    }

    #[test]
    fn a_thing_before_the_edge_does_not_move_it() {
        let mut points = edge_points(0.6, 0.1);
        points.extend((0..12).map(|i| DVec2::new(0.4, 0.1 + 0.005 * f64::from(i))));
        let edge = front_edge(&points, 0.2, 1.2, 0.4).unwrap();
        assert!((edge.distance - 0.6).abs() < 0.005 && (edge.bearing - 0.1).abs() < 0.015);
    }

    #[test]
    fn clutter_and_emptiness_are_no_edge() {
        assert_eq!(front_edge(&[], 0.2, 1.2, 0.4), None);
        let cloud: Vec<DVec2> =
            (0..60).map(|i| DVec2::new(0.3 + 0.013 * f64::from(i * 37 % 61), -0.39 + 0.013 * f64::from(i))).collect();
        assert_eq!(front_edge(&cloud, 0.2, 1.2, 0.4), None);
    }
}
