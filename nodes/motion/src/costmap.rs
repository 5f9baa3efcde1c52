//! What is in the way: the known map, places the robot must keep out of, and what the lidar and the bumper found.

use glam::DVec2;
use spatial::distance::{Inflation, distance_field, inflate};
use spatial::grid::{FREE, OCCUPIED};
use spatial::{Cell, Grid, Home, Pose2, ray};

use crate::config::Config;
use crate::senses::Scan;

/// Returns this near to something known are that, m.
const KNOWN: f32 = 0.12;
/// Evidence at which a cell counts as occupied, and the most it can gather.
const ENOUGH: u8 = 2;
const MOST: u8 = 6;

/// The map around the robot.
#[derive(Clone, Debug)]
pub struct Costmap {
    known: Grid<i8>,
    known_distance: Grid<f32>,
    evidence: Grid<u8>,
    touched: Vec<(DVec2, f64)>,
    distance: Grid<f32>,
}

/// A circle of the robot's outline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// Centre ahead of base_link, m.
    pub x: f64,
    /// Radius, m.
    pub radius: f64,
}

impl Costmap {
    /// The costmap of a map and a home: the dock is too low for the lidar and is entered from the home.
    pub fn new(map: &Grid<i8>, home: &Home) -> Self {
        let mut known = map.map(|value| if value >= OCCUPIED / 2 { OCCUPIED } else { FREE });
        let dock = home.dock_pose();
        for index in 0..known.data().len() {
            let place = dock.inverse_transform(known.centre(known.cell_at(index)));
            if (0.17..0.33).contains(&place.x) && place.y.abs() < 0.15 {
                known.data_mut()[index] = OCCUPIED;
            }
        }
        let known_distance = distance_field(&known, |value| value == OCCUPIED);
        let evidence = known.map(|_| 0);
        let distance = known_distance.clone();
        Self { known, known_distance, evidence, touched: Vec::new(), distance }
    }

    /// Enters a scan taken from a pose of base_link.
    pub fn observe(&mut self, scan: &Scan, pose: Pose2, now_s: f64, config: &Config) {
        let from = pose.transform(DVec2::new(config.laser_x, 0.0));
        for (bearing, range) in scan.beams() {
            let direction = DVec2::from_angle(pose.yaw + bearing);
            let reach = range.unwrap_or(0.0).min(config.obstacle_range);
            let hit =
                range.filter(|range| *range <= config.obstacle_range).map(|range| self.evidence.cell(from + direction * range));
            let mut previous = None;
            for (cell, _) in ray::Traversal::new(&self.evidence, from, direction, reach) {
                if Some(cell) == hit {
                    break;
                }
                // The last cell before the return may belong to the same surface: leave it.
                if let Some(index) = previous {
                    let value: &mut u8 = &mut self.evidence.data_mut()[index];
                    *value = value.saturating_sub(1);
                }
                previous = self.evidence.index(cell);
            }
            if let Some(index) = hit.and_then(|cell| self.evidence.index(cell))
                && self.known_distance.data()[index] > KNOWN
            {
                let value = &mut self.evidence.data_mut()[index];
                *value = (*value + 2).min(MOST);
            }
        }
        self.refresh(now_s);
    }

    /// Enters a place that the bumper touched; it counts until a time.
    pub fn touch(&mut self, place: DVec2, now_s: f64, config: &Config) {
        self.touched.retain(|(other, _)| other.distance(place) > 0.05);
        self.touched.push((place, now_s + config.contact_memory));
        self.refresh(now_s);
    }

    /// Forgets everything that is not in the map.
    pub fn clear(&mut self) {
        self.evidence.data_mut().fill(0);
        self.touched.clear();
        self.distance = self.known_distance.clone();
    }

    fn refresh(&mut self, now_s: f64) {
        self.touched.retain(|(_, until)| *until > now_s);
        let mut occupied = self.known.clone();
        for (value, evidence) in occupied.data_mut().iter_mut().zip(self.evidence.data()) {
            if *evidence >= ENOUGH {
                *value = OCCUPIED;
            }
        }
        for (place, _) in &self.touched {
            let cell = occupied.cell(*place);
            occupied.set(cell, OCCUPIED);
        }
        self.distance = distance_field(&occupied, |value| value == OCCUPIED);
    }

    /// Costs for the global planner.
    pub fn costs(&self, config: &Config) -> Grid<u8> {
        let half = 0.5 * self.known.resolution();
        let inscribed_m = config.base_radius + config.clearance + half;
        inflate(
            &self.distance,
            &Inflation { inscribed_m, outer_m: config.inflation_radius.max(inscribed_m), decay_per_m: config.inflation_decay },
        )
    }

    /// Distance (m) from a point to the nearest surface of an obstacle; negative inside; zero outside the map.
    pub fn free_distance(&self, point: DVec2) -> f64 {
        if self.distance.index(self.distance.cell(point)).is_none() {
            return 0.0;
        }
        self.distance.interpolate(point).0 - 0.5 * self.distance.resolution()
    }

    /// Smallest distance (m) between the circles of the robot at a pose and anything; negative when they overlap it.
    pub fn clearance(&self, pose: Pose2, outline: &[Circle]) -> f64 {
        outline
            .iter()
            .map(|circle| self.free_distance(pose.transform(DVec2::new(circle.x, 0.0))) - circle.radius)
            .fold(f64::INFINITY, f64::min)
    }

    /// Number of cells that are occupied and not in the map.
    pub fn unexpected(&self) -> usize {
        self.evidence.data().iter().filter(|value| **value >= ENOUGH).count()
    }

    /// Whether a cell is occupied by anything, known or found.
    pub fn is_occupied(&self, cell: Cell) -> bool {
        self.distance.get(cell).is_some_and(|distance| distance == 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home::parse("rooms: [{name: a, label: a, polygon: [[0,0],[4,0],[4,4]]}]\ndock: {x: 2.0, y: 0.5, yaw: -1.5707963}")
            .unwrap()
    }

    fn scan(range: f32) -> Scan {
        Scan {
            stamp_ns: 0,
            angle_min: 0.0,
            angle_increment: 1f64.to_radians(),
            range_min: 0.1,
            range_max: 12.0,
            ranges: vec![range; 360],
        }
    }

    #[test]
    fn obstacles_appear_after_two_returns_and_go_when_seen_through() {
        let map = Grid::filled(80, 80, 0.05, DVec2::ZERO, FREE).unwrap();
        let config = Config::default();
        let mut costmap = Costmap::new(&map, &home());
        let pose = Pose2::new(2.0, 2.0, 0.0);
        costmap.observe(&scan(1.0), pose, 0.0, &config);
        let near = costmap.free_distance(DVec2::new(2.9, 2.0));
        assert!(near < 0.11, "{near}");
        assert!(costmap.unexpected() > 50);
        for _ in 0..8 {
            costmap.observe(&scan(1.8), pose, 1.0, &config);
        }
        assert!(costmap.free_distance(DVec2::new(2.9, 2.0)) > 0.5);
        costmap.clear();
        assert_eq!(costmap.unexpected(), 0);
    }

    #[test]
    fn the_dock_is_an_obstacle_though_the_lidar_cannot_see_it() {
        let map = Grid::filled(80, 80, 0.05, DVec2::ZERO, FREE).unwrap();
        let costmap = Costmap::new(&map, &home());
        assert!(costmap.free_distance(DVec2::new(2.0, 0.25)) < 0.0);
    }

    #[test]
    fn a_touched_place_is_forgotten_in_time() {
        let map = Grid::filled(80, 80, 0.05, DVec2::ZERO, FREE).unwrap();
        let config = Config::default();
        let mut costmap = Costmap::new(&map, &home());
        costmap.touch(DVec2::new(3.0, 3.0), 0.0, &config);
        assert!(costmap.free_distance(DVec2::new(3.0, 3.0)) < 0.03);
        costmap.observe(&scan(f32::NAN), Pose2::new(2.0, 2.0, 0.0), 20.0, &config);
        assert!(costmap.free_distance(DVec2::new(3.0, 3.0)) > 0.5);
    }

    #[test]
    fn outside_the_map_nothing_is_free() {
        let map = Grid::filled(10, 10, 0.05, DVec2::ZERO, FREE).unwrap();
        assert_eq!(Costmap::new(&map, &home()).free_distance(DVec2::splat(9.0)), 0.0);
    }
}
