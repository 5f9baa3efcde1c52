//! What the robot is told of its home beforehand, made from the world file: rooms, dock and surfaces as YAML, and the map
//! that a lidar would draw, in the format of ROS 2's map_server.

use crate::scene::{Pose, Shape};
use crate::sdf::World;
use glam::{DVec2, DVec3};
use std::fmt::Write as _;
use std::path::Path;

/// How far in front of a free edge the robot stands to look, m.
pub const STAND_M: f64 = 0.60;
/// Edge of a map cell, m.
pub const RESOLUTION_M: f64 = 0.05;
/// Height of the map's slice: the lidar's, m.
pub const SLICE_M: f64 = 0.16;
/// Cells around the building, so that its outer walls are whole.
const MARGIN: usize = 4;
/// map_server: occupied, free, unknown.
const OCCUPIED: u8 = 0;
const FREE: u8 = 254;
const UNKNOWN: u8 = 205;

/// A map as map_server stores it: row 0 is the top (greatest y).
#[derive(Clone, Debug, PartialEq)]
pub struct HomeMap {
    /// Cells.
    pub width: usize,
    /// Cells.
    pub height: usize,
    /// World position of the lower left corner of the lower left cell, m.
    pub origin: DVec2,
    /// 0 occupied, 254 free, 205 unknown.
    pub pixels: Vec<u8>,
}

/// Draws the map: a cell is occupied if a static solid crosses it at [`SLICE_M`], free inside a room or a doorway, and
/// unknown elsewhere.
pub fn map_of(world: &World) -> HomeMap {
    let corners: Vec<DVec2> = world.rooms.iter().flat_map(|r| r.polygon.iter().copied()).collect();
    let low = corners.iter().copied().reduce(DVec2::min).unwrap_or(DVec2::ZERO);
    let high = corners.iter().copied().reduce(DVec2::max).unwrap_or(DVec2::ONE);
    let margin = MARGIN as f64 * RESOLUTION_M;
    let origin = low - margin;
    let size = ((high - low + 2.0 * margin) / RESOLUTION_M).round();
    let (width, height) = (size.x as usize, size.y as usize);
    let solids: Vec<(Pose, &Shape)> = world
        .models
        .iter()
        .filter(|m| m.is_static)
        .flat_map(|m| m.links.iter().map(move |l| (m, l)))
        .flat_map(|(m, l)| l.collisions.iter().map(move |c| (m.pose.then(&l.pose).then(&c.pose), &c.shape)))
        .collect();
    let mut pixels = vec![UNKNOWN; width * height];
    for row in 0..height {
        for column in 0..width {
            let centre = origin + DVec2::new(column as f64 + 0.5, (height - 1 - row) as f64 + 0.5) * RESOLUTION_M;
            let inside = !world.room_at(centre).is_empty();
            // Nine points of the cell: a wall of half a cell is not missed.
            let hit = (0..9).any(|k| {
                let offset = DVec2::new(f64::from(k % 3 - 1), f64::from(k / 3 - 1)) * (RESOLUTION_M * 0.49);
                let p = (centre + offset).extend(SLICE_M);
                solids.iter().any(|(pose, shape)| contains(pose, shape, p))
            });
            pixels[row * width + column] = match (hit, inside) {
                (true, _) => OCCUPIED,
                (false, true) => FREE,
                (false, false) => UNKNOWN,
            };
        }
    }
    HomeMap { width, height, origin, pixels }
}

fn contains(pose: &Pose, shape: &Shape, point: DVec3) -> bool {
    let p = pose.inverse().transform(point);
    match shape {
        Shape::Box { size } | Shape::Mesh { size, .. } => p.abs().cmple(*size / 2.0).all(),
        Shape::Cylinder { radius, length } => p.z.abs() <= length / 2.0 && p.truncate().length() <= *radius,
        Shape::Sphere { radius } => p.length() <= *radius,
    }
}

impl HomeMap {
    /// The picture as binary PGM (P5).
    pub fn to_pgm(&self) -> Vec<u8> {
        let mut out = format!("P5\n{} {}\n255\n", self.width, self.height).into_bytes();
        out.extend_from_slice(&self.pixels);
        out
    }

    /// The description that map_server reads beside the picture.
    pub fn to_yaml(&self, image: &str) -> String {
        format!(
            "# Map of sim/worlds/home.sdf at the lidar's height, for map_server. Written by `sim::home`.\n\
             image: {image}\nmode: trinary\nresolution: {RESOLUTION_M}\norigin: [{}, {}, 0]\nnegate: 0\n\
             occupied_thresh: 0.65\nfree_thresh: 0.196\n",
            number(self.origin.x),
            number(self.origin.y)
        )
    }
}

fn number(v: f64) -> String {
    let text = format!("{:.7}", if v.abs() < 5e-8 { 0.0 } else { v });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `config/home.yaml`: rooms, dock, surfaces with their put and stand poses, and a place to stand in each room.
pub fn to_yaml(world: &World) -> String {
    let mut out = String::from(
        "# Rooms, dock and surfaces of sim/worlds/home.sdf: what the robot knows of its home beforehand (not where objects are).\n\
         # Written from the SDF by `sim::home::to_yaml`; a test holds the two together. Metres and radians in the map frame, whose\n\
         # origin is the lower left corner of the home.\nrooms:\n",
    );
    // Writing to a String cannot fail.
    for r in &world.rooms {
        let corners: Vec<String> = r.polygon.iter().map(|p| format!("[{}, {}]", number(p.x), number(p.y))).collect();
        let _ = writeln!(out, "  - {{name: {}, label: {}, polygon: [{}]}}", r.name, r.label, corners.join(", "));
    }
    if let Some(d) = &world.dock {
        let _ = writeln!(
            out,
            "# base_link when docked: the charge contact is at the robot's front.\ndock: {{x: {}, y: {}, yaw: {}}}",
            number(d.position.x),
            number(d.position.y),
            number(d.yaw())
        );
    }
    out.push_str(
        "# x, y: where an object is put down, 0.07 m inside the free edge. Objects may stand up to 0.27 m to its left or right.\n\
         # stand: where base_link looks from, 0.60 m in front of the free edge, facing it. height: of the top above the floor.\n\
         # width: length of the free edge.\nsurfaces:\n",
    );
    for s in &world.surfaces {
        let (put, stand) = (s.at(crate::mission::INSIDE_M, 0.0), s.at(-STAND_M, 0.0));
        let _ = writeln!(
            out,
            "  - {{name: {}, room: {}, label: {}, height: {}, x: {}, y: {}, width: {}, stand: {{x: {}, y: {}, yaw: {}}}}}",
            s.name,
            s.room,
            s.label,
            number(s.height),
            number(put.x),
            number(put.y),
            number(s.width),
            number(stand.x),
            number(stand.y),
            number(s.yaw)
        );
    }
    out.push_str("# A place to stand in each room, away from everything.\nwaypoints:\n");
    let map = map_of(world);
    for r in &world.rooms {
        let (p, _) = map.clearest(world, &r.name);
        let _ = writeln!(out, "  - {{name: {}, x: {}, y: {}, yaw: 0}}", r.name, number(p.x), number(p.y));
    }
    out
}

impl HomeMap {
    /// World position of a cell's middle.
    fn middle(&self, row: usize, column: usize) -> DVec2 {
        self.origin + DVec2::new(column as f64 + 0.5, (self.height - 1 - row) as f64 + 0.5) * RESOLUTION_M
    }

    /// Distance from a point to the nearest occupied cell's middle, m.
    pub fn clearance(&self, point: DVec2) -> f64 {
        let mut best = f64::INFINITY;
        for row in 0..self.height {
            for column in 0..self.width {
                if self.pixels[row * self.width + column] == OCCUPIED {
                    best = best.min(self.middle(row, column).distance(point));
                }
            }
        }
        best
    }

    // The point of a room farthest from everything, on a grid of 0.2 m, and its clearance.
    fn clearest(&self, world: &World, room: &str) -> (DVec2, f64) {
        let mut best = (DVec2::ZERO, -1.0);
        for row in (0..self.height).step_by(4) {
            for column in (0..self.width).step_by(4) {
                let p = self.middle(row, column);
                if world.room_at(p) == room {
                    let c = self.clearance(p);
                    if c > best.1 + 1e-9 {
                        best = (p, c);
                    }
                }
            }
        }
        best
    }
}

/// Writes `home.yaml`, `home_map.yaml` and `home_map.pgm` into a folder.
///
/// # Errors
/// What the operating system says.
pub fn write_config(world: &World, folder: &Path) -> std::io::Result<()> {
    let map = map_of(world);
    std::fs::write(folder.join("home.yaml"), to_yaml(world))?;
    std::fs::write(folder.join("home_map.yaml"), map.to_yaml("home_map.pgm"))?;
    std::fs::write(folder.join("home_map.pgm"), map.to_pgm())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdf::load_world;
    use std::collections::VecDeque;

    fn home() -> World {
        load_world(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf")).unwrap()
    }

    #[test]
    fn committed_configuration_is_what_the_world_says() {
        // After a change of the world: OMNIMIND_WRITE_CONFIG=1 cargo test -p omnimind-sim home
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        let w = home();
        if std::env::var_os("OMNIMIND_WRITE_CONFIG").is_some() {
            write_config(&w, &folder).unwrap();
        }
        let map = map_of(&w);
        assert_eq!(std::fs::read_to_string(folder.join("home.yaml")).unwrap(), to_yaml(&w));
        assert_eq!(std::fs::read_to_string(folder.join("home_map.yaml")).unwrap(), map.to_yaml("home_map.pgm"));
        assert_eq!(std::fs::read(folder.join("home_map.pgm")).unwrap(), map.to_pgm());
    }

    #[test]
    fn every_stand_and_the_dock_can_be_reached_with_half_a_metre_of_passage() {
        let w = home();
        let map = map_of(&w);
        // Cells where a robot of 0.164 m keeps at least 6 cm; flood from the start.
        let n = map.width * map.height;
        let free: Vec<bool> =
            (0..n).map(|i| map.clearance(map.middle(i / map.width, i % map.width)) > 0.25 && map.pixels[i] == FREE).collect();
        let cell = |p: DVec2| {
            let c = ((p - map.origin) / RESOLUTION_M).floor();
            (map.height - 1 - c.y as usize) * map.width + c.x as usize
        };
        let start = cell(w.start.unwrap().pose.position.truncate());
        let mut seen = vec![false; n];
        let mut queue = VecDeque::from([start]);
        seen[start] = true;
        while let Some(i) = queue.pop_front() {
            for j in [i + 1, i - 1, i + map.width, i - map.width] {
                if free[j] && !seen[j] {
                    seen[j] = true;
                    queue.push_back(j);
                }
            }
        }
        for s in &w.surfaces {
            assert!(seen[cell(s.at(-STAND_M, 0.0))], "{} cannot be reached", s.name);
            assert_eq!(w.room_at(s.at(-STAND_M, 0.0)), s.room);
        }
        let dock = w.dock.unwrap();
        assert!(seen[cell(dock.transform(DVec3::new(-0.3, 0.0, 0.0)).truncate())], "the dock cannot be reached");
    }

    #[test]
    fn surfaces_lie_on_furniture_of_their_height() {
        let w = home();
        for s in &w.surfaces {
            let solid = |p: DVec3| {
                w.models.iter().filter(|m| m.is_static).any(|m| {
                    m.links
                        .iter()
                        .any(|l| l.collisions.iter().any(|c| contains(&m.pose.then(&l.pose).then(&c.pose), &c.shape, p)))
                })
            };
            for left in [-0.30, 0.0, 0.30] {
                assert!(solid(s.at(0.02, left).extend(s.height - 0.01)), "{}: no top at {left}", s.name);
                assert!(!solid(s.at(0.07, left).extend(s.height + 0.02)), "{}: something on it at {left}", s.name);
                assert!(!solid(s.at(-0.02, left).extend(s.height - 0.01)), "{}: the edge is not free at {left}", s.name);
            }
            assert!((0.30..=0.45).contains(&s.height) && s.width >= 0.7, "{}", s.name);
        }
    }

    #[test]
    fn the_map_shows_walls_doors_and_the_outside() {
        let map = map_of(&home());
        let at = |x: f64, y: f64| {
            let c = ((DVec2::new(x, y) - map.origin) / RESOLUTION_M).floor();
            map.pixels[(map.height - 1 - c.y as usize) * map.width + c.x as usize]
        };
        assert_eq!(at(3.85, 3.0), OCCUPIED, "wall of the bedroom");
        assert_eq!(at(3.85, 1.8), FREE, "door of the bedroom");
        assert_eq!(at(-0.15, 4.0), UNKNOWN, "outside");
        assert!(map.to_pgm().starts_with(b"P5\n"));
    }
}
