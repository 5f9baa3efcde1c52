//! Distance fields and inflation.

use crate::grid::Grid;

/// Cost of a cell that is an obstacle (nav2_costmap_2d: LETHAL_OBSTACLE).
pub const LETHAL: u8 = 254;
/// Cost of a cell in which the robot's centre would touch an obstacle (nav2_costmap_2d: INSCRIBED_INFLATED_OBSTACLE).
pub const INSCRIBED: u8 = 253;
/// Highest cost of a cell the robot's centre may stand in.
pub const MAX_FREE: u8 = 252;

/// Distance (m) from the centre of every cell to the centre of the nearest cell for which `obstacle` holds; infinite
/// everywhere if there is none. Exact and linear in the number of cells (Felzenszwalb and Huttenlocher, "Distance
/// transforms of sampled functions", 2012).
pub fn distance_field<T: Copy>(grid: &Grid<T>, obstacle: impl Fn(T) -> bool) -> Grid<f32> {
    let (width, height) = (grid.width(), grid.height());
    let mut squared: Vec<f64> = grid.data().iter().map(|value| if obstacle(*value) { 0.0 } else { f64::INFINITY }).collect();
    let longest = width.max(height);
    let mut scratch = Scratch { hull: vec![0; longest], bounds: vec![0.0; longest + 1], input: vec![0.0; longest] };
    for x in 0..width {
        scratch.input.clear();
        scratch.input.extend((0..height).map(|y| squared[y * width + x]));
        let mut row = 0;
        scratch.transform(|value| {
            squared[row * width + x] = value;
            row += 1;
        });
    }
    for y in 0..height {
        scratch.input.clear();
        scratch.input.extend_from_slice(&squared[y * width..(y + 1) * width]);
        let mut column = 0;
        scratch.transform(|value| {
            squared[y * width + column] = value;
            column += 1;
        });
    }
    grid.with_data(squared.into_iter().map(|value| (value.sqrt() * grid.resolution()) as f32).collect())
}

struct Scratch {
    hull: Vec<usize>,
    bounds: Vec<f64>,
    input: Vec<f64>,
}

impl Scratch {
    /// One-dimensional squared distance transform of `input`: the lower envelope of parabolas.
    fn transform(&mut self, mut emit: impl FnMut(f64)) {
        let n = self.input.len();
        let mut count = 0usize;
        for q in 0..n {
            if !self.input[q].is_finite() {
                continue;
            }
            let own = self.input[q] + (q * q) as f64;
            let mut start = f64::NEG_INFINITY;
            while count > 0 {
                let p = self.hull[count - 1];
                let cross = (own - (self.input[p] + (p * p) as f64)) / (2.0 * (q - p) as f64);
                if cross > self.bounds[count - 1] {
                    start = cross;
                    break;
                }
                count -= 1;
            }
            self.hull[count] = q;
            self.bounds[count] = start;
            count += 1;
        }
        if count == 0 {
            (0..n).for_each(|_| emit(f64::INFINITY));
            return;
        }
        let mut k = 0;
        for q in 0..n {
            while k + 1 < count && self.bounds[k + 1] < q as f64 {
                k += 1;
            }
            let offset = q as f64 - self.hull[k] as f64;
            emit(offset * offset + self.input[self.hull[k]]);
        }
    }
}

/// How obstacles grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inflation {
    /// Radius of the robot plus what must always be kept free, m: nearer is forbidden ([`INSCRIBED`]).
    pub inscribed_m: f64,
    /// Distance from which an obstacle costs nothing, m.
    pub outer_m: f64,
    /// How fast the cost falls between the two, 1/m (nav2_costmap_2d: cost_scaling_factor).
    pub decay_per_m: f64,
}

impl Inflation {
    /// Cost of a cell at a distance (m) from the nearest obstacle.
    pub fn cost(&self, distance: f64) -> u8 {
        if distance <= 0.0 {
            LETHAL
        } else if distance <= self.inscribed_m {
            INSCRIBED
        } else if distance >= self.outer_m || !distance.is_finite() {
            0
        } else {
            (f64::from(MAX_FREE) * (-self.decay_per_m * (distance - self.inscribed_m)).exp()) as u8
        }
    }
}

/// Costs of a distance field.
pub fn inflate(distances: &Grid<f32>, inflation: &Inflation) -> Grid<u8> {
    distances.map(|distance| inflation.cost(f64::from(distance)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{FREE, OCCUPIED};
    use glam::DVec2;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_field_equals_brute_force(obstacles in proptest::collection::vec((0i32..17, 0i32..11), 0..12)) {
            let mut grid = Grid::filled(17, 11, 0.1, DVec2::ZERO, FREE).unwrap();
            for (x, y) in &obstacles { grid.set(crate::Cell::new(*x, *y), OCCUPIED); }
            let field = distance_field(&grid, |v| v == OCCUPIED);
            for index in 0..grid.data().len() {
                let cell = grid.cell_at(index);
                let brute = obstacles.iter().map(|(x, y)| grid.centre(cell).distance(grid.centre(crate::Cell::new(*x, *y)))).fold(f64::INFINITY, f64::min);
                let got = f64::from(field.data()[index]);
                prop_assert!((brute.is_infinite() && got.is_infinite()) || (got - brute).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn cost_falls_with_distance() {
        let inflation = Inflation { inscribed_m: 0.2, outer_m: 0.6, decay_per_m: 5.0 };
        assert_eq!(inflation.cost(0.0), LETHAL);
        assert_eq!(inflation.cost(0.2), INSCRIBED);
        assert!(inflation.cost(0.21) <= MAX_FREE && inflation.cost(0.21) > inflation.cost(0.4));
        assert_eq!(inflation.cost(0.6), 0);
        assert_eq!(inflation.cost(f64::INFINITY), 0);
    }
}
