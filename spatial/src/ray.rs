//! Rays and lines through a grid.

use glam::DVec2;

use crate::grid::{Cell, Grid};

/// The cells a ray passes through, in order, with the distance (m) at which each is entered. Exact traversal
/// (Amanatides and Woo, "A fast voxel traversal algorithm for ray tracing", 1987).
pub struct Traversal {
    cell: Cell,
    step: Cell,
    next: DVec2,
    delta: DVec2,
    entered: f64,
    max_range: f64,
}

impl Traversal {
    /// Starts at a point in a direction (need not be a unit vector), up to a range in metres.
    pub fn new<T: Copy>(grid: &Grid<T>, from: DVec2, direction: DVec2, max_range: f64) -> Self {
        let direction = direction.normalize_or_zero();
        let cell = grid.cell(from);
        let axis = |origin: f64, from: f64, along: f64, cell: i32| -> (i32, f64, f64) {
            if along > 0.0 {
                (
                    1,
                    (origin + f64::from(cell).mul_add(grid.resolution(), grid.resolution()) - from) / along,
                    grid.resolution() / along,
                )
            } else if along < 0.0 {
                (-1, (origin + f64::from(cell) * grid.resolution() - from) / along, -grid.resolution() / along)
            } else {
                (0, f64::INFINITY, f64::INFINITY)
            }
        };
        let (step_x, next_x, delta_x) = axis(grid.origin().x, from.x, direction.x, cell.x);
        let (step_y, next_y, delta_y) = axis(grid.origin().y, from.y, direction.y, cell.y);
        Self {
            cell,
            step: Cell::new(step_x, step_y),
            next: DVec2::new(next_x, next_y),
            delta: DVec2::new(delta_x, delta_y),
            entered: 0.0,
            // A ray without a direction stays in its first cell.
            max_range: if direction == DVec2::ZERO { 0.0 } else { max_range },
        }
    }
}

impl Iterator for Traversal {
    type Item = (Cell, f64);

    fn next(&mut self) -> Option<(Cell, f64)> {
        if !(self.entered <= self.max_range) {
            return None;
        }
        let item = (self.cell, self.entered);
        if self.next.x < self.next.y {
            self.entered = self.next.x;
            self.next.x += self.delta.x;
            self.cell.x = self.cell.x.saturating_add(self.step.x);
        } else {
            self.entered = self.next.y;
            self.next.y += self.delta.y;
            self.cell.y = self.cell.y.saturating_add(self.step.y);
        }
        if self.entered == self.max_range && self.max_range == 0.0 {
            self.max_range = -1.0;
        }
        Some(item)
    }
}

/// Distance (m) along a ray to the first cell for which `hit` holds; None if the ray leaves the grid or the range first.
/// `angle` is in the grid's frame, rad.
pub fn cast<T: Copy>(grid: &Grid<T>, from: DVec2, angle: f64, max_range: f64, hit: impl Fn(T) -> bool) -> Option<f64> {
    for (cell, distance) in Traversal::new(grid, from, DVec2::from_angle(angle), max_range) {
        if hit(grid.get(cell)?) {
            return Some(distance);
        }
    }
    None
}

/// The cells a straight segment passes through, in order, both ends included.
pub fn line<T: Copy>(grid: &Grid<T>, from: DVec2, to: DVec2) -> impl Iterator<Item = Cell> {
    Traversal::new(grid, from, to - from, from.distance(to)).map(|(cell, _)| cell)
}

/// Whether two points see each other: no cell between them is blocked (cells outside the grid block).
pub fn line_of_sight<T: Copy>(grid: &Grid<T>, from: DVec2, to: DVec2, blocked: impl Fn(T) -> bool) -> bool {
    line(grid, from, to).all(|cell| grid.get(cell).is_some_and(|value| !blocked(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{FREE, OCCUPIED};
    use proptest::prelude::*;

    /// A 4 x 4 m box with walls one cell thick.
    fn room() -> Grid<i8> {
        let mut grid = Grid::filled(80, 80, 0.05, DVec2::ZERO, OCCUPIED).unwrap();
        grid.fill_box(DVec2::splat(0.05), DVec2::splat(3.95), FREE);
        grid
    }

    #[test]
    fn rays_end_at_the_wall() {
        let grid = room();
        let from = DVec2::new(1.0, 2.01);
        assert!((cast(&grid, from, 0.0, 12.0, |v| v == OCCUPIED).unwrap() - 2.95).abs() < 1e-9);
        assert!((cast(&grid, from, std::f64::consts::PI, 12.0, |v| v == OCCUPIED).unwrap() - 0.95).abs() < 1e-9);
        assert_eq!(cast(&grid, from, 0.0, 1.0, |v| v == OCCUPIED), None);
        assert_eq!(cast(&grid, DVec2::new(-5.0, 0.0), 0.0, 12.0, |v| v == OCCUPIED), None);
        assert!(!line_of_sight(&grid, from, DVec2::new(5.0, 2.0), |v| v == OCCUPIED));
        assert!(line_of_sight(&grid, from, from, |v| v == OCCUPIED));
    }

    proptest! {
        #[test]
        fn a_ray_hits_where_geometry_says(x in 0.2f64..3.8, y in 0.2f64..3.8, angle in -3.1f64..3.1) {
            let grid = room();
            let d = DVec2::from_angle(angle);
            let to_x = if d.x > 0.0 { (3.95 - x) / d.x } else { (0.05 - x) / d.x };
            let to_y = if d.y > 0.0 { (3.95 - y) / d.y } else { (0.05 - y) / d.y };
            let hit = cast(&grid, DVec2::new(x, y), angle, 12.0, |v| v == OCCUPIED).unwrap();
            prop_assert!((hit - to_x.min(to_y)).abs() < 1e-6);
        }
    }
}
