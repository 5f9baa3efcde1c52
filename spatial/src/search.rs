//! Grid search: A* over an inflated cost grid and any-angle smoothing.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use glam::DVec2;

use crate::distance::{INSCRIBED, MAX_FREE};
use crate::grid::{Cell, Grid};
use crate::ray;

/// Why there is no path.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SearchError {
    /// Start or goal lies outside the grid.
    #[error("{which} ({x:.2}, {y:.2}) lies outside the map")]
    Outside {
        /// "start" or "goal".
        which: &'static str,
        /// m
        x: f64,
        /// m
        y: f64,
    },
    /// Start or goal cannot be stood in, and no free cell is near enough.
    #[error("{which} ({x:.2}, {y:.2}) is blocked")]
    Blocked {
        /// "start" or "goal".
        which: &'static str,
        /// m
        x: f64,
        /// m
        y: f64,
    },
    /// Both are free, but nothing connects them.
    #[error("no way from start to goal ({expanded} cells searched)")]
    NoPath {
        /// Cells expanded.
        expanded: usize,
    },
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchOptions {
    /// How much more a metre costs at the highest free cost than in the open (0: the shortest path).
    pub cost_weight: f64,
    /// How far (m) start and goal may be moved to the nearest free cell if they are blocked.
    pub snap_m: f64,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { cost_weight: 6.0, snap_m: 0.0 }
    }
}

/// A path over the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Way points from start to goal, m. The first and the last are the points asked for unless they were moved.
    pub points: Vec<DVec2>,
    /// Cost of the path in equivalent metres.
    pub cost: f64,
    /// Cells expanded.
    pub expanded: usize,
}

impl Path {
    /// Length, m.
    pub fn length(&self) -> f64 {
        length(&self.points)
    }
}

/// Length of a polyline, m.
pub fn length(points: &[DVec2]) -> f64 {
    points.windows(2).map(|pair| pair[0].distance(pair[1])).sum()
}

#[derive(PartialEq)]
struct Open {
    estimate: f64,
    // Later discovered first among equals: a fixed order, and fewer expansions.
    sequence: u64,
    index: usize,
}

impl Eq for Open {}
impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        other.estimate.total_cmp(&self.estimate).then(self.sequence.cmp(&other.sequence))
    }
}
impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

const NEIGHBOURS: [(i32, i32); 8] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)];

/// Whether the robot's centre may stand in a cell of this cost.
pub fn passable(cost: u8) -> bool {
    cost < INSCRIBED
}

/// The cheapest 8-connected path between two points (m) over a grid of costs (see [`crate::distance`]): cells at or above
/// [`INSCRIBED`] are forbidden, diagonals never cut a corner, cheaper cells are preferred. The path goes through cell
/// centres; [`smooth`] straightens it.
pub fn a_star(costs: &Grid<u8>, start: DVec2, goal: DVec2, options: &SearchOptions) -> Result<Path, SearchError> {
    let from = anchor(costs, start, "start", options.snap_m)?;
    let to = anchor(costs, goal, "goal", options.snap_m)?;
    let target = costs.cell_at(to);
    let weight = options.cost_weight.max(0.0) / f64::from(MAX_FREE);
    let cells = costs.data().len();
    let mut best = vec![f64::INFINITY; cells];
    let mut parent = vec![usize::MAX; cells];
    let mut closed = vec![false; cells];
    let mut open = BinaryHeap::new();
    let mut sequence = 0u64;
    best[from] = 0.0;
    open.push(Open { estimate: octile(costs.cell_at(from), target), sequence, index: from });
    let mut expanded = 0;
    while let Some(Open { index, .. }) = open.pop() {
        if closed[index] {
            continue;
        }
        closed[index] = true;
        expanded += 1;
        if index == to {
            return Ok(trace(costs, &parent, (from, start), (to, goal), best[to] * costs.resolution(), expanded));
        }
        let here = costs.cell_at(index);
        let here_cost = f64::from(costs.data()[index]);
        for (dx, dy) in NEIGHBOURS {
            let Some(next) = costs.index(Cell::new(here.x + dx, here.y + dy)) else { continue };
            let next_cost = costs.data()[next];
            if closed[next] || !passable(next_cost) {
                continue;
            }
            let diagonal = dx != 0 && dy != 0;
            if diagonal {
                let side = |x, y| costs.get(Cell::new(x, y)).is_some_and(passable);
                if !side(here.x + dx, here.y) || !side(here.x, here.y + dy) {
                    continue;
                }
            }
            let step = if diagonal { std::f64::consts::SQRT_2 } else { 1.0 };
            let total = best[index] + step * (1.0 + weight * 0.5 * (here_cost + f64::from(next_cost)));
            if total < best[next] {
                best[next] = total;
                parent[next] = index;
                sequence += 1;
                open.push(Open { estimate: total + octile(costs.cell_at(next), target), sequence, index: next });
            }
        }
    }
    Err(SearchError::NoPath { expanded })
}

/// The cell to start or end in: the point's own, or the nearest passable one within reach.
fn anchor(costs: &Grid<u8>, point: DVec2, which: &'static str, snap_m: f64) -> Result<usize, SearchError> {
    let cell = costs.cell(point);
    let Some(index) = costs.index(cell) else { return Err(SearchError::Outside { which, x: point.x, y: point.y }) };
    if passable(costs.data()[index]) {
        return Ok(index);
    }
    nearest_passable(costs, point, snap_m).and_then(|cell| costs.index(cell)).ok_or(SearchError::Blocked {
        which,
        x: point.x,
        y: point.y,
    })
}

/// The nearest passable cell within a distance (m) of a point.
pub fn nearest_passable(costs: &Grid<u8>, point: DVec2, within_m: f64) -> Option<Cell> {
    let centre = costs.cell(point);
    let reach = (within_m / costs.resolution()).ceil().clamp(0.0, 1000.0) as i32;
    let mut found: Option<(f64, Cell)> = None;
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let cell = Cell::new(centre.x.saturating_add(dx), centre.y.saturating_add(dy));
            if !costs.get(cell).is_some_and(passable) {
                continue;
            }
            let distance = costs.centre(cell).distance(point);
            if distance <= within_m && found.is_none_or(|(nearest, _)| distance < nearest) {
                found = Some((distance, cell));
            }
        }
    }
    found.map(|(_, cell)| cell)
}

fn octile(a: Cell, b: Cell) -> f64 {
    let (dx, dy) = (f64::from((a.x - b.x).abs()), f64::from((a.y - b.y).abs()));
    dx.max(dy) + (std::f64::consts::SQRT_2 - 1.0) * dx.min(dy)
}

fn trace(costs: &Grid<u8>, parent: &[usize], from: (usize, DVec2), to: (usize, DVec2), cost: f64, expanded: usize) -> Path {
    let mut indices = vec![to.0];
    let mut index = to.0;
    while index != from.0 {
        index = parent[index];
        indices.push(index);
    }
    indices.reverse();
    let mut points: Vec<DVec2> = indices.iter().map(|index| costs.centre(costs.cell_at(*index))).collect();
    let keep = |point: DVec2, index: usize| costs.index(costs.cell(point)) == Some(index);
    if points.len() == 1 {
        points.push(points[0]);
    }
    let last = points.len() - 1;
    if keep(from.1, from.0) {
        points[0] = from.1;
    }
    if keep(to.1, to.0) {
        points[last] = to.1;
    }
    Path { points, cost, expanded }
}

/// Straightens a grid path to any angle: a chain of points is replaced by one segment where that segment is passable and
/// costs no more than the chain. Ends stay where they are.
pub fn smooth(costs: &Grid<u8>, points: &[DVec2], options: &SearchOptions) -> Vec<DVec2> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut chain_cost = vec![0.0; points.len()];
    for i in 1..points.len() {
        let segment = segment_cost(costs, points[i - 1], points[i], options).unwrap_or_else(|| points[i - 1].distance(points[i]));
        chain_cost[i] = chain_cost[i - 1] + segment;
    }
    let mut kept = vec![points[0]];
    let mut at = 0;
    while at + 1 < points.len() {
        // The farthest point that is worth a straight line; the next point always is.
        let jump = ((at + 2)..points.len())
            .rev()
            .find(|&to| {
                segment_cost(costs, points[at], points[to], options)
                    .is_some_and(|straight| straight <= (chain_cost[to] - chain_cost[at]) * 1.0001)
            })
            .unwrap_or(at + 1);
        kept.push(points[jump]);
        at = jump;
    }
    kept
}

/// Cost of a straight segment in equivalent metres; None where it touches a forbidden cell.
pub fn segment_cost(costs: &Grid<u8>, from: DVec2, to: DVec2, options: &SearchOptions) -> Option<f64> {
    let total = from.distance(to);
    let weight = options.cost_weight.max(0.0) / f64::from(MAX_FREE);
    let mut cost = 0.0;
    let mut previous: Option<(f64, u8)> = None;
    for (cell, entered) in ray::Traversal::new(costs, from, to - from, total) {
        let value = costs.get(cell).filter(|value| passable(*value))?;
        if let Some((at, before)) = previous {
            cost += (entered - at) * (1.0 + weight * f64::from(before));
        }
        previous = Some((entered, value));
    }
    if let Some((at, before)) = previous {
        cost += (total - at) * (1.0 + weight * f64::from(before));
    }
    Some(cost)
}

/// The point a distance (m) along a polyline; its last point beyond the end, None for no points.
pub fn along(points: &[DVec2], distance: f64) -> Option<DVec2> {
    let mut left = distance;
    for pair in points.windows(2) {
        let step = pair[0].distance(pair[1]);
        if step > 0.0 && left <= step {
            return Some(pair[0].lerp(pair[1], (left / step).max(0.0)));
        }
        left -= step;
    }
    points.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::{Inflation, distance_field, inflate};
    use crate::grid::{FREE, OCCUPIED};
    use proptest::prelude::*;

    fn open_costs(width: usize, height: usize) -> Grid<u8> {
        Grid::filled(width, height, 0.1, DVec2::ZERO, 0u8).unwrap()
    }

    /// Two rooms with a 1 m door.
    fn two_rooms() -> Grid<u8> {
        let mut grid = Grid::filled(80, 60, 0.05, DVec2::ZERO, FREE).unwrap();
        grid.fill_box(DVec2::new(1.95, 0.0), DVec2::new(2.05, 3.0), OCCUPIED);
        grid.fill_box(DVec2::new(1.95, 1.0), DVec2::new(2.05, 2.0), FREE);
        let field = distance_field(&grid, |v| v == OCCUPIED);
        inflate(&field, &Inflation { inscribed_m: 0.2, outer_m: 0.6, decay_per_m: 5.0 })
    }

    #[test]
    fn goes_through_the_door_and_smooths_to_few_points() {
        let costs = two_rooms();
        let (start, goal) = (DVec2::new(0.5, 0.5), DVec2::new(3.5, 2.6));
        let options = SearchOptions::default();
        let path = a_star(&costs, start, goal, &options).unwrap();
        assert_eq!((path.points[0], *path.points.last().unwrap()), (start, goal));
        assert!(path.points.iter().all(|p| passable(costs.at(*p).unwrap())));
        let smooth_points = smooth(&costs, &path.points, &options);
        assert!(smooth_points.len() < path.points.len() / 2);
        assert!(length(&smooth_points) <= path.length() + 1e-9);
        for pair in smooth_points.windows(2) {
            assert!(segment_cost(&costs, pair[0], pair[1], &options).is_some());
        }
    }

    #[test]
    fn errors_tell_outside_from_blocked_from_no_way() {
        let mut costs = open_costs(20, 20);
        let options = SearchOptions::default();
        let inside = DVec2::splat(0.5);
        assert!(matches!(a_star(&costs, DVec2::splat(-1.0), inside, &options), Err(SearchError::Outside { which: "start", .. })));
        assert!(matches!(
            a_star(&costs, inside, DVec2::splat(f64::NAN), &options),
            Err(SearchError::Outside { which: "goal", .. })
        ));
        for y in 0..20 {
            costs.set(Cell::new(10, y), 254);
        }
        let other_side = DVec2::new(1.5, 0.5);
        assert!(matches!(a_star(&costs, inside, other_side, &options), Err(SearchError::NoPath { .. })));
        assert!(matches!(
            a_star(&costs, inside, DVec2::new(1.05, 0.5), &options),
            Err(SearchError::Blocked { which: "goal", .. })
        ));
        assert!(a_star(&costs, inside, DVec2::new(1.05, 0.5), &SearchOptions { snap_m: 0.2, ..options }).is_ok());
    }

    #[test]
    fn diagonals_do_not_cut_corners() {
        let mut costs = open_costs(4, 4);
        costs.set(Cell::new(1, 0), 254);
        costs.set(Cell::new(0, 1), 254);
        let shut_in = a_star(&costs, DVec2::splat(0.05), DVec2::splat(0.35), &SearchOptions::default());
        assert!(matches!(shut_in, Err(SearchError::NoPath { .. })));
    }

    proptest! {
        /// Oracle: Bellman-Ford style relaxation to a fixed point.
        #[test]
        fn a_star_is_optimal(values in proptest::collection::vec(prop_oneof![3 => Just(0u8), 2 => 0u8..250, 1 => Just(254u8)], 100)) {
            let mut costs = Grid::new(10, 10, 1.0, DVec2::ZERO, values).unwrap();
            costs.set(Cell::new(0, 0), 0);
            costs.set(Cell::new(9, 9), 0);
            let options = SearchOptions { cost_weight: 4.0, snap_m: 0.0 };
            let mut best = [f64::INFINITY; 100];
            best[0] = 0.0;
            loop {
                let mut changed = false;
                for index in 0..100 {
                    let here = costs.cell_at(index);
                    for (dx, dy) in NEIGHBOURS {
                        let Some(next) = costs.index(Cell::new(here.x + dx, here.y + dy)) else { continue };
                        let free = |x, y| costs.get(Cell::new(x, y)).is_some_and(passable);
                        if !passable(costs.data()[next]) || !passable(costs.data()[index]) { continue; }
                        if dx != 0 && dy != 0 && !(free(here.x + dx, here.y) && free(here.x, here.y + dy)) { continue; }
                        let step = f64::from(dx * dx + dy * dy).sqrt();
                        let total = best[index] + step * (1.0 + 4.0 / 252.0 * 0.5 * (f64::from(costs.data()[index]) + f64::from(costs.data()[next])));
                        if total < best[next] - 1e-12 { best[next] = total; changed = true; }
                    }
                }
                if !changed { break; }
            }
            match a_star(&costs, DVec2::splat(0.5), DVec2::splat(9.5), &options) {
                Ok(path) => prop_assert!((path.cost - best[99]).abs() < 1e-9),
                Err(SearchError::NoPath { .. }) => prop_assert!(best[99].is_infinite()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn walking_along_a_polyline() {
        let points = [DVec2::ZERO, DVec2::X, DVec2::ONE];
        assert_eq!(along(&points, 1.5), Some(DVec2::new(1.0, 0.5)));
        assert_eq!(along(&points, 9.0), Some(DVec2::ONE));
        assert_eq!(along(&[], 1.0), None);
    }
}
