//! How far it is from place to place over the map.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use glam::DVec2;
use spatial::distance::{Inflation, distance_field, inflate};
use spatial::search::{nearest_passable, passable};
use spatial::{Cell, Grid};

/// Costs for a round robot from an occupancy grid (0..100, -1 unknown); unknown cells count as free, because a plan may
/// go where nobody has been.
#[must_use]
pub fn costs(map: &Grid<i8>, radius_m: f64) -> Grid<u8> {
    let distances = distance_field(map, |v| v >= 50);
    inflate(&distances, &Inflation { inscribed_m: radius_m, outer_m: radius_m + 0.3, decay_per_m: 6.0 })
}

/// Distance from one point to every cell along passable cells, m; infinite where there is no way.
#[derive(Clone, Debug)]
pub struct Flood {
    distances: Grid<f32>,
}

impl Flood {
    /// Floods the grid from a point (or the nearest passable cell within 0.5 m of it). None if there is none.
    /// Every cell costs its length plus a share for being near an obstacle, as the motion's own search has it.
    #[must_use]
    pub fn from(costs: &Grid<u8>, start: DVec2) -> Option<Self> {
        let start = nearest_passable(costs, start, 0.5)?;
        let mut distances = costs.map(|_| f32::INFINITY);
        distances.set(start, 0.0);
        let mut queue = BinaryHeap::from([(Reverse(0u64), start.y, start.x)]);
        let step = costs.resolution();
        while let Some((Reverse(key), y, x)) = queue.pop() {
            let cell = Cell::new(x, y);
            let here = distances.get(cell)?;
            // Keys are millionths of a metre, so that the order is total and the same everywhere.
            if key > micro(f64::from(here)) {
                continue;
            }
            for (dx, dy) in [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)] {
                let next = Cell::new(x + dx, y + dy);
                let open = |c: Cell| costs.get(c).is_some_and(passable);
                if !open(next) || (dx != 0 && dy != 0 && !(open(Cell::new(x + dx, y)) && open(Cell::new(x, y + dy)))) {
                    continue;
                }
                let length = if dx != 0 && dy != 0 { step * std::f64::consts::SQRT_2 } else { step };
                let reached = f64::from(here) + length;
                if distances.get(next).is_some_and(|d| reached + 1e-6 < f64::from(d)) {
                    distances.set(next, reached as f32);
                    queue.push((Reverse(micro(reached as f32 as f64)), next.y, next.x));
                }
            }
        }
        Some(Self { distances })
    }

    /// Distance to a point, m: the shortest within half a metre of it; None if there is no way.
    #[must_use]
    pub fn to(&self, point: DVec2) -> Option<f64> {
        let centre = self.distances.cell(point);
        let reach = (0.5 / self.distances.resolution()).ceil() as i32;
        let mut best: Option<(i32, f64)> = None;
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let off = dx * dx + dy * dy;
                let value = self.distances.get(Cell::new(centre.x.saturating_add(dx), centre.y.saturating_add(dy)));
                if let Some(d) = value.filter(|d| d.is_finite()) {
                    if off <= reach * reach && best.is_none_or(|b| off < b.0) {
                        best = Some((off, f64::from(d) + f64::from(off).sqrt() * self.distances.resolution()));
                    }
                }
            }
        }
        best.map(|b| b.1)
    }
}

fn micro(metres: f64) -> u64 {
    (metres * 1e6) as u64
}

/// Distances between all places, m; infinite where there is no way.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Distances {
    size: usize,
    table: Vec<f64>,
}

/// Straight distances are longer on the floor by about this factor, when there is no map yet.
const DETOUR: f64 = 1.4;

impl Distances {
    /// Distances over the costs, or straight ones times a detour factor without a map.
    #[must_use]
    pub fn between(points: &[DVec2], costs: Option<&Grid<u8>>) -> Self {
        let size = points.len();
        let mut table = vec![f64::INFINITY; size * size];
        for i in 0..size {
            table[i * size + i] = 0.0;
            match costs.map(|c| Flood::from(c, points[i])) {
                // Each pair once: the way back is as long.
                Some(Some(flood)) => {
                    for j in i + 1..size {
                        let d = flood.to(points[j]).unwrap_or(f64::INFINITY);
                        table[i * size + j] = d;
                        table[j * size + i] = d;
                    }
                }
                Some(None) => {}
                None => {
                    for j in 0..size {
                        table[i * size + j] = points[i].distance(points[j]) * DETOUR;
                    }
                }
            }
        }
        Self { size, table }
    }

    /// The same table with the distances from and to place `i` replaced.
    pub fn replace(&mut self, i: usize, points: &[DVec2], costs: Option<&Grid<u8>>) {
        let flood = costs.map(|c| Flood::from(c, points[i]));
        for j in 0..self.size.min(points.len()) {
            let d = match &flood {
                _ if i == j => 0.0,
                Some(Some(flood)) => flood.to(points[j]).unwrap_or(f64::INFINITY),
                Some(None) => f64::INFINITY,
                None => points[i].distance(points[j]) * DETOUR,
            };
            self.table[i * self.size + j] = d;
            self.table[j * self.size + i] = d;
        }
    }

    /// From place to place, m; infinite for unknown places.
    #[must_use]
    pub fn get(&self, from: usize, to: usize) -> f64 {
        if from < self.size && to < self.size { self.table[from * self.size + to] } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 x 2 m, a wall across the middle with a door at the top.
    fn walled() -> Grid<u8> {
        let mut map = Grid::filled(80, 40, 0.05, DVec2::ZERO, 0i8).unwrap();
        map.fill_box(DVec2::new(1.95, 0.0), DVec2::new(2.05, 1.2), 100);
        costs(&map, 0.17)
    }

    #[test]
    fn the_way_around_a_wall_is_longer_than_the_straight_one() {
        let costs = walled();
        let d = Distances::between(&[DVec2::new(1.0, 0.3), DVec2::new(3.0, 0.3), DVec2::new(1.0, 1.6)], Some(&costs));
        assert!(d.get(0, 1) > 2.8 && d.get(0, 1) < 4.0, "{}", d.get(0, 1));
        assert!((d.get(0, 2) - 1.3).abs() < 0.1);
        assert_eq!(d.get(0, 1), d.get(1, 0));
        assert_eq!(d.get(0, 9), f64::INFINITY);
    }

    #[test]
    fn a_shut_in_place_is_out_of_reach() {
        let mut map = Grid::filled(80, 40, 0.05, DVec2::ZERO, 0i8).unwrap();
        map.fill_box(DVec2::new(1.95, 0.0), DVec2::new(2.05, 2.0), 100);
        let d = Distances::between(&[DVec2::new(1.0, 1.0), DVec2::new(3.0, 1.0)], Some(&costs(&map, 0.17)));
        assert_eq!(d.get(0, 1), f64::INFINITY);
    }

    #[test]
    fn without_a_map_distances_are_straight_with_a_detour() {
        let points = [DVec2::ZERO, DVec2::new(3.0, 4.0)];
        let mut d = Distances::between(&points, None);
        assert!((d.get(0, 1) - 7.0).abs() < 1e-12);
        d.replace(0, &[DVec2::new(3.0, 0.0), points[1]], None);
        assert!((d.get(1, 0) - 5.6).abs() < 1e-12);
    }
}
