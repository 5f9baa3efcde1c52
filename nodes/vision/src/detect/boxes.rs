//! Boxes in a picture.

/// A box in the picture, 0..1 of its sides, from the top left corner. Always inside the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl BoundingBox {
    /// The part of a box given by its edges that lies inside the picture; `None` if nothing does or an edge is not a number.
    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Option<Self> {
        let (left, top, right, bottom) =
            (left.clamp(0.0, 1.0), top.clamp(0.0, 1.0), right.clamp(0.0, 1.0), bottom.clamp(0.0, 1.0));
        // Comparisons with NaN are false, so a NaN ends here as well.
        (right > left && bottom > top).then(|| Self {
            x: left,
            y: top,
            width: (right - left).min(1.0 - left),
            height: (bottom - top).min(1.0 - top),
        })
    }

    /// Area, 0..1 of the picture's.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Centre.
    pub fn center(&self) -> (f32, f32) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Left, top, right and bottom edge.
    pub fn edges(&self) -> [f32; 4] {
        [self.x, self.y, self.x + self.width, self.y + self.height]
    }

    /// Intersection over union with another box, 0..1.
    pub fn iou(&self, other: &Self) -> f32 {
        iou(&self.edges(), &other.edges())
    }
}

/// Intersection over union of two boxes given by left, top, right and bottom edge, 0..1; 0 if neither has an area.
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let overlap = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let area = |e: &[f32; 4]| (e[2] - e[0]) * (e[3] - e[1]);
    let shared = overlap(0, 2) * overlap(1, 3);
    let all = area(a) + area(b) - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn iou_of_known_boxes() {
        let a = BoundingBox { x: 0.0, y: 0.0, width: 0.5, height: 0.5 };
        let b = BoundingBox { x: 0.25, y: 0.0, width: 0.5, height: 0.5 };
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(a.iou(&BoundingBox { x: 0.6, y: 0.6, width: 0.1, height: 0.1 }), 0.0);
    }

    proptest! {
        #[test]
        fn boxes_never_leave_the_picture(l in -3.0_f32..3.0, t in -3.0_f32..3.0, r in -3.0_f32..3.0, b in -3.0_f32..3.0) {
            if let Some(b) = BoundingBox::from_edges(l, t, r, b) {
                prop_assert!(b.x >= 0.0 && b.y >= 0.0 && b.x + b.width <= 1.0 && b.y + b.height <= 1.0 && b.area() > 0.0);
            }
        }
    }
}
