//! The model of the home: rooms, the dock, and the surfaces things stand on (`config/home.yaml`).

use std::fs;
use std::path::{Path, PathBuf};

use glam::DVec2;
use serde::{Deserialize, Serialize};

use crate::polygon;
use crate::pose::Pose2;

/// Why a home was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not YAML, or not the fields of a home.
    #[error("not a home description: {0}")]
    Yaml(String),
    /// The fields contradict each other.
    #[error("home description is not usable: {0}")]
    Invalid(String),
}

/// A pose as it is written in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HomePose {
    /// m, map frame.
    pub x: f64,
    /// m, map frame.
    pub y: f64,
    /// rad, map frame.
    #[serde(default)]
    pub yaw: f64,
}

impl From<HomePose> for Pose2 {
    fn from(pose: HomePose) -> Self {
        Pose2::new(pose.x, pose.y, pose.yaw)
    }
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Room {
    /// Name in messages, e.g. "living_room".
    pub name: String,
    /// What a person calls it, e.g. "living room".
    pub label: String,
    /// Corners in the map frame, m.
    pub polygon: Vec<[f64; 2]>,
}

impl Room {
    /// The corners.
    pub fn corners(&self) -> Vec<DVec2> {
        self.polygon.iter().map(|corner| DVec2::from_array(*corner)).collect()
    }

    /// Whether a point (map frame) lies in the room.
    pub fn contains(&self, point: DVec2) -> bool {
        polygon::contains(&self.corners(), point)
    }

    /// Centre of area, m.
    pub fn centre(&self) -> DVec2 {
        polygon::centroid(&self.corners()).unwrap_or_default()
    }
}

/// A table or shelf from which the robot can take things and on which it can put them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    /// Name in messages, e.g. "kitchen_table".
    pub name: String,
    /// Name of the room it stands in.
    pub room: String,
    /// What a person calls it.
    pub label: String,
    /// Height of the top above the floor, m.
    pub height: f64,
    /// Where things stand on it, m, map frame.
    pub x: f64,
    /// Where things stand on it, m, map frame.
    pub y: f64,
    /// Width along the free edge, m; 0 if the file does not say.
    #[serde(default)]
    pub width: f64,
    /// Base pose in front of the free edge, facing it.
    pub stand: HomePose,
}

impl Surface {
    /// Where things stand on it, map frame.
    pub fn position(&self) -> DVec2 {
        DVec2::new(self.x, self.y)
    }

    /// Base pose in front of the free edge, facing it.
    pub fn stand_pose(&self) -> Pose2 {
        self.stand.into()
    }
}

/// A named place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waypoint {
    /// Name.
    pub name: String,
    /// Where it is.
    #[serde(flatten)]
    pub pose: HomePose,
}

/// The home.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Home {
    /// The rooms.
    pub rooms: Vec<Room>,
    /// Pose of base_link when docked.
    pub dock: HomePose,
    /// Where the robot is switched on; see [`Home::start_pose`].
    #[serde(default)]
    pub start: Option<HomePose>,
    /// The surfaces.
    #[serde(default)]
    pub surfaces: Vec<Surface>,
    /// Named places.
    #[serde(default)]
    pub waypoints: Vec<Waypoint>,
}

impl Home {
    /// Loads and checks a home file.
    pub fn load(path: &Path) -> Result<Self, HomeError> {
        let text = fs::read_to_string(path).map_err(|source| HomeError::Io { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks a home description.
    pub fn parse(yaml: &str) -> Result<Self, HomeError> {
        let home: Self = serde_yaml_ng::from_str(yaml).map_err(|error| HomeError::Yaml(error.to_string()))?;
        home.check()?;
        Ok(home)
    }

    fn check(&self) -> Result<(), HomeError> {
        let bad = |text: String| Err(HomeError::Invalid(text));
        if self.rooms.is_empty() {
            return bad("there are no rooms".to_owned());
        }
        for (i, room) in self.rooms.iter().enumerate() {
            if room.name.is_empty() || self.rooms[..i].iter().any(|other| other.name == room.name) {
                return bad(format!("room name '{}' is empty or used twice", room.name));
            }
            if room.polygon.len() < 3
                || room.polygon.iter().flatten().any(|number| !number.is_finite())
                || polygon::signed_area(&room.corners()).abs() < 1e-6
            {
                return bad(format!("room '{}' has no area", room.name));
            }
        }
        for (i, surface) in self.surfaces.iter().enumerate() {
            if surface.name.is_empty() || self.surfaces[..i].iter().any(|other| other.name == surface.name) {
                return bad(format!("surface name '{}' is empty or used twice", surface.name));
            }
            if self.room(&surface.room).is_none() {
                return bad(format!("surface '{}' stands in room '{}', which does not exist", surface.name, surface.room));
            }
            let finite = Pose2::from(surface.stand).is_finite() && surface.position().is_finite();
            if !finite || !(0.0..3.0).contains(&surface.height) {
                return bad(format!("surface '{}' has a number that is not finite or a height outside 0..3 m", surface.name));
            }
        }
        let places = self.waypoints.iter().map(|waypoint| waypoint.pose).chain([self.dock]).chain(self.start);
        if places.into_iter().any(|pose| !(pose.x.is_finite() && pose.y.is_finite() && pose.yaw.is_finite())) {
            return bad("dock, start or a waypoint is not finite".to_owned());
        }
        Ok(())
    }

    /// A room by its name.
    pub fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| room.name == name)
    }

    /// A room by what a person calls it: the label or the name, whatever the case, underscores as spaces.
    pub fn room_called(&self, spoken: &str) -> Option<&Room> {
        let wanted = plain(spoken);
        self.rooms.iter().find(|room| plain(&room.label) == wanted || plain(&room.name) == wanted)
    }

    /// The room a point lies in (map frame); the first in the file's order where rooms overlap.
    pub fn room_at(&self, point: DVec2) -> Option<&Room> {
        self.rooms.iter().find(|room| room.contains(point))
    }

    /// A surface by its name.
    pub fn surface(&self, name: &str) -> Option<&Surface> {
        self.surfaces.iter().find(|surface| surface.name == name)
    }

    /// The surfaces of a room.
    pub fn surfaces_in<'a>(&'a self, room: &'a str) -> impl Iterator<Item = &'a Surface> {
        self.surfaces.iter().filter(move |surface| surface.room == room)
    }

    /// The surface nearest to a point (map frame), within a distance (m).
    pub fn surface_near(&self, point: DVec2, within_m: f64) -> Option<&Surface> {
        self.surfaces
            .iter()
            .map(|surface| (surface.position().distance(point), surface))
            .filter(|(distance, _)| *distance <= within_m)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, surface)| surface)
    }

    /// Pose of base_link when docked.
    pub fn dock_pose(&self) -> Pose2 {
        self.dock.into()
    }

    /// Where the robot is switched on: `start`, or else the way point "hall", or else 0.6 m straight behind the dock pose.
    pub fn start_pose(&self) -> Pose2 {
        self.start
            .map(Pose2::from)
            .or_else(|| self.waypoint("hall"))
            .unwrap_or_else(|| self.dock_pose() * Pose2::new(-0.6, 0.0, 0.0))
    }

    /// A waypoint by its name.
    pub fn waypoint(&self, name: &str) -> Option<Pose2> {
        self.waypoints.iter().find(|waypoint| waypoint.name == name).map(|waypoint| waypoint.pose.into())
    }
}

fn plain(text: &str) -> String {
    text.trim().to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
rooms:
  - {name: kitchen, label: kitchen, polygon: [[0, 4.5], [5, 4.5], [5, 8], [0, 8]]}
  - {name: living_room, label: Living Room, polygon: [[5, 3.5], [10, 3.5], [10, 8], [5, 8]]}
dock: {x: 5.0, y: 0.3, yaw: -1.57}
surfaces:
  - {name: shelf, room: kitchen, label: shelf, height: 0.4, x: 1.0, y: 7.5, stand: {x: 1.0, y: 6.9, yaw: 1.57}, colour: red}
waypoints:
  - {name: door, x: 5.0, y: 6.0}
";

    #[test]
    fn a_home_answers_where_things_are() {
        let home = Home::parse(GOOD).unwrap();
        assert_eq!(home.room_at(DVec2::new(6.0, 4.0)).unwrap().name, "living_room");
        assert_eq!(home.room_at(DVec2::new(-1.0, 4.0)), None);
        assert_eq!(home.room_called(" living  room".replace("  ", " ").as_str()).unwrap().name, "living_room");
        assert_eq!(home.surface_near(DVec2::new(1.2, 7.5), 0.5).unwrap().name, "shelf");
        assert!(home.surface_near(DVec2::new(3.2, 7.5), 0.5).is_none());
        assert_eq!(home.surfaces_in("kitchen").count(), 1);
        assert_eq!(home.waypoint("door"), Some(Pose2::new(5.0, 6.0, 0.0)));
        assert!((home.start_pose().y - 0.9).abs() < 1e-2);
        assert!((home.rooms[0].centre() - DVec2::new(2.5, 6.25)).length() < 1e-12);
    }

    #[test]
    fn a_broken_home_says_what_is_wrong() {
        let error = |from: &str, to: &str| Home::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
        assert!(error("dock:", "dck:").contains("dock"));
        assert!(error("room: kitchen", "room: attic").contains("attic"));
        assert!(error("living_room", "kitchen").contains("twice"));
        assert!(error("[[0, 4.5], [5, 4.5], [5, 8], [0, 8]]", "[[0, 4.5], [5, 4.5]]").contains("no area"));
        assert!(error("height: 0.4", "height: .nan").contains("shelf"));
        assert!(error("y: 0.3", "y: .inf").contains("finite"));
        assert!(Home::load(Path::new("/nonexistent/home.yaml")).unwrap_err().to_string().contains("home.yaml"));
    }
}
