//! Polygons in the plane: rooms.

use glam::DVec2;

/// Whether a point lies inside a simple polygon (even-odd rule; which side a point exactly on an edge belongs to is not
/// promised). Fewer than three corners contain nothing.
pub fn contains(polygon: &[DVec2], point: DVec2) -> bool {
    if polygon.len() < 3 {
        return false;
    }
    let mut inside = false;
    let mut previous = polygon[polygon.len() - 1];
    for &current in polygon {
        if (current.y > point.y) != (previous.y > point.y) {
            let crossing = current.x + (point.y - current.y) / (previous.y - current.y) * (previous.x - current.x);
            if point.x < crossing {
                inside = !inside;
            }
        }
        previous = current;
    }
    inside
}

/// Signed area (m2), positive when the corners run counter-clockwise.
pub fn signed_area(polygon: &[DVec2]) -> f64 {
    edges(polygon).map(|(a, b)| a.perp_dot(b)).sum::<f64>() * 0.5
}

/// Centre of area; the mean of the corners where the area is zero; None for no corners.
pub fn centroid(polygon: &[DVec2]) -> Option<DVec2> {
    if polygon.is_empty() {
        return None;
    }
    let area = signed_area(polygon);
    if area.abs() < 1e-12 {
        return Some(polygon.iter().sum::<DVec2>() / polygon.len() as f64);
    }
    Some(edges(polygon).map(|(a, b)| (a + b) * a.perp_dot(b)).sum::<DVec2>() / (6.0 * area))
}

/// Distance from a point to the nearest edge, m; infinite for no corners.
pub fn distance_to_edge(polygon: &[DVec2], point: DVec2) -> f64 {
    edges(polygon).map(|(a, b)| distance_to_segment(a, b, point)).fold(f64::INFINITY, f64::min)
}

/// Distance from a point to a segment, m.
pub fn distance_to_segment(a: DVec2, b: DVec2, point: DVec2) -> f64 {
    let along = b - a;
    let length_squared = along.length_squared();
    let t = if length_squared > 0.0 { ((point - a).dot(along) / length_squared).clamp(0.0, 1.0) } else { 0.0 };
    point.distance(a + along * t)
}

fn edges(polygon: &[DVec2]) -> impl Iterator<Item = (DVec2, DVec2)> + '_ {
    polygon.iter().copied().zip(polygon.iter().copied().cycle().skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn l_shape() -> Vec<DVec2> {
        [[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 3.0]].iter().map(|c| DVec2::from_array(*c)).collect()
    }

    #[test]
    fn a_concave_polygon_knows_its_inside() {
        let l = l_shape();
        assert!(contains(&l, DVec2::new(3.0, 0.5)));
        assert!(contains(&l, DVec2::new(0.5, 2.5)));
        assert!(!contains(&l, DVec2::new(2.0, 2.0)));
        assert!(!contains(&l, DVec2::new(-0.1, 0.5)));
        assert!(!contains(&l[..2], DVec2::new(0.5, 0.0)));
    }

    #[test]
    fn area_and_centroid_of_a_square() {
        let square: Vec<DVec2> = [[1.0, 1.0], [3.0, 1.0], [3.0, 3.0], [1.0, 3.0]].iter().map(|c| DVec2::from_array(*c)).collect();
        assert_eq!(signed_area(&square), 4.0);
        assert!((centroid(&square).unwrap() - DVec2::splat(2.0)).length() < 1e-12);
        assert!((signed_area(&l_shape()) - 6.0).abs() < 1e-12);
        assert_eq!(centroid(&[]), None);
    }

    #[test]
    fn distance_to_the_boundary() {
        assert!((distance_to_edge(&l_shape(), DVec2::new(2.0, 2.0)) - 1.0).abs() < 1e-12);
        assert_eq!(distance_to_edge(&[], DVec2::ZERO), f64::INFINITY);
    }
}
