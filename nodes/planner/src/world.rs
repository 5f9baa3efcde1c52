//! Places, what is believed of objects, and where to look first.

use std::collections::BTreeMap;

use glam::{DVec2, DVec3};
use spatial::{Home, Pose2};

use crate::travel::Distances;

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PlaceKind {
    /// Where the robot is now.
    Robot,
    /// The dock.
    Dock,
    /// In front of a surface (index into the home's surfaces).
    Surface(usize),
    /// Somewhere else.
    Waypoint,
}

/// A place the robot can stand at.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Name, for explanations.
    pub name: String,
    /// Base pose.
    pub pose: Pose2,
    /// What it is.
    pub kind: PlaceKind,
}

/// Index of the robot's own place in [`places`].
pub const ROBOT: usize = 0;
/// Index of the dock in [`places`].
pub const DOCK: usize = 1;
/// Index of the first surface in [`places`].
pub const FIRST_SURFACE: usize = 2;

/// All places: the robot, the dock, the surfaces in the home's order, then one waypoint for `extra`.
#[must_use]
pub fn places(home: &Home, robot: Pose2, extra: Option<(&str, Pose2)>) -> Vec<Place> {
    let mut all = vec![
        Place { name: "here".into(), pose: robot, kind: PlaceKind::Robot },
        Place { name: "the dock".into(), pose: home.dock_pose(), kind: PlaceKind::Dock },
    ];
    for (i, s) in home.surfaces.iter().enumerate() {
        all.push(Place { name: format!("the {}", s.label), pose: s.stand.into(), kind: PlaceKind::Surface(i) });
    }
    if let Some((name, pose)) = extra {
        all.push(Place { name: name.to_owned(), pose, kind: PlaceKind::Waypoint });
    }
    all
}

/// An object as the fused belief has it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SeenObject {
    /// Identity in the belief.
    pub id: u32,
    /// Label.
    pub label: String,
    /// Centre in the map, m.
    #[serde(with = "spatial::plain::dvec3")]
    pub position: DVec3,
    /// Standard deviation of the position, m.
    pub sigma: f64,
    /// 0..1.
    pub confidence: f64,
    /// Number of sightings.
    pub sightings: u32,
    /// When it was last seen, s.
    pub last_seen_s: f64,
    /// In the gripper.
    pub held: bool,
    /// Its greater horizontal extent, m; zero when not known.
    pub width_m: f64,
}

/// What is wider than this is furniture, or a part of it that the detector took for some: nothing that stands on a surface, m.
pub const WIDEST_THING_M: f64 = 0.35;

/// How near to a surface's point an object must be to stand on it, m.
pub const ON_SURFACE_M: f64 = 0.75;

/// The surface (index) an object stands on.
#[must_use]
pub fn surface_of(home: &Home, position: DVec3) -> Option<usize> {
    home.surfaces
        .iter()
        .enumerate()
        .map(|(i, s)| (s.position().distance(position.truncate()), i))
        .filter(|(d, _)| *d <= ON_SURFACE_M)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, i)| i)
}

/// The most believed object of a label.
#[must_use]
pub fn best<'a>(objects: &'a [SeenObject], label: &str) -> Option<&'a SeenObject> {
    objects
        .iter()
        .filter(|o| o.label == label)
        .max_by(|a, b| a.confidence.total_cmp(&b.confidence).then(a.last_seen_s.total_cmp(&b.last_seen_s)).then(b.id.cmp(&a.id)))
}

/// Chance to miss an object that is there when a surface is looked at.
pub const MISS: f64 = 0.15;

/// How much less likely an object is in the room it is wanted in: people ask for what is elsewhere.
pub const ALREADY_THERE: f64 = 0.3;

/// Probability of every surface to have the object: even at first, except for the room it is `wanted_in`, lowered by every look that did not find it, raised
/// where the belief has seen it. Sums to 1 unless there are no surfaces.
#[must_use]
pub fn location(
    home: &Home,
    objects: &[SeenObject],
    label: &str,
    wanted_in: Option<&str>,
    looks: &BTreeMap<usize, u32>,
) -> Vec<f64> {
    let mut weights: Vec<f64> = home
        .surfaces
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let prior = if wanted_in == Some(s.room.as_str()) { ALREADY_THERE } else { 1.0 };
            prior * MISS.powi(looks.get(&i).copied().unwrap_or(0).min(20) as i32)
        })
        .collect();
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        weights.iter_mut().for_each(|w| *w /= total);
    }
    for object in objects.iter().filter(|o| o.label == label && !o.held) {
        if let Some(i) = surface_of(home, object.position) {
            let c = object.confidence.clamp(0.0, 0.98);
            weights.iter_mut().for_each(|w| *w *= 1.0 - c);
            weights[i] += c;
        }
    }
    weights
}

/// Expected seconds to find the object, from each surface as the first one looked at on, by dynamic programming over
/// (where the robot is, what has been looked at): the search problem of minimum expected latency. Only the `WIDE` most
/// likely surfaces are ordered exactly; the rest is taken as one more look each.
///
/// Returns for each surface the expected time that follows if it is looked at first and the object is not there.
#[must_use]
pub fn miss_penalties(probabilities: &[f64], distances: &Distances, speed: f64, look_s: f64) -> Vec<f64> {
    const WIDE: usize = 10;
    let mut order: Vec<usize> = (0..probabilities.len()).filter(|i| probabilities[*i] > 1e-6).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b)));
    order.truncate(WIDE);
    order.sort_unstable();
    let n = order.len();
    let mut out = vec![0.0; probabilities.len()];
    if n < 2 {
        return out;
    }
    let full = (1usize << n) - 1;
    let left = |mask: usize| (0..n).filter(|i| mask & (1 << i) == 0).map(|i| probabilities[order[i]]).sum::<f64>();
    // value[mask][i]: expected time to go, standing at i, having looked at mask, given that it was not there.
    let mut value = vec![0.0f64; (full + 1) * n];
    for mask in (1..full).rev() {
        let remaining = left(mask);
        if remaining <= 1e-9 {
            continue;
        }
        for i in (0..n).filter(|i| mask & (1 << i) != 0) {
            let mut best = f64::INFINITY;
            for j in (0..n).filter(|j| mask & (1 << j) == 0) {
                let go = distances.get(FIRST_SURFACE + order[i], FIRST_SURFACE + order[j]) / speed + look_s;
                let miss = (1.0 - probabilities[order[j]] / remaining).max(0.0);
                best = best.min(go + miss * value[(mask | (1 << j)) * n + j]);
            }
            // Surfaces out of reach end the search there.
            value[mask * n + i] = if best.is_finite() { best } else { 0.0 };
        }
    }
    for i in 0..n {
        out[order[i]] = (1.0 - probabilities[order[i]]).max(0.0) * value[(1 << i) * n + i];
    }
    out
}

/// Free spots on a surface to put something down: points along its edge, the one with most room first, each at least
/// `clear_m` away from everything believed to stand there.
#[must_use]
pub fn put_spot(home: &Home, surface: usize, objects: &[SeenObject], label: &str, clear_m: f64) -> Option<DVec3> {
    let s = home.surfaces.get(surface)?;
    let stand: Pose2 = s.stand.into();
    let along = DVec2::from_angle(stand.yaw).perp();
    let taken: Vec<DVec2> = objects
        .iter()
        .filter(|o| !o.held && o.label != label && o.confidence > 0.3 && o.width_m <= WIDEST_THING_M)
        .map(|o| o.position.truncate())
        .filter(|p| p.distance(s.position()) < 1.0)
        .collect();
    [0.0, 0.2, -0.2, 0.1, -0.1, 0.27, -0.27]
        .into_iter()
        .map(|offset| s.position() + along * offset)
        .find(|spot| taken.iter().all(|t| t.distance(*spot) >= clear_m))
        .map(|spot| spot.extend(s.height))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const HOME: &str = "
rooms:
  - {name: kitchen, label: kitchen, polygon: [[0, 4], [5, 4], [5, 8], [0, 8]]}
  - {name: living_room, label: living room, polygon: [[5, 4], [10, 4], [10, 8], [5, 8]]}
  - {name: hall, label: hall, polygon: [[0, 0], [10, 0], [10, 4], [0, 4]]}
dock: {x: 5.0, y: 0.3, yaw: -1.57}
surfaces:
  - {name: sideboard, room: kitchen, label: sideboard, height: 0.42, x: 0.4, y: 6.0, stand: {x: 1.1, y: 6.0, yaw: 3.1416}}
  - {name: table, room: kitchen, label: table, height: 0.45, x: 3.0, y: 6.0, stand: {x: 3.0, y: 5.3, yaw: 1.5708}}
  - {name: shelf, room: living_room, label: shelf, height: 0.40, x: 9.6, y: 6.0, stand: {x: 8.9, y: 6.0, yaw: 0.0}}
waypoints:
  - {name: kitchen, x: 4.0, y: 5.0}
  - {name: hall, x: 5.0, y: 2.0}
";

    pub(crate) fn home() -> Home {
        Home::parse(HOME).unwrap()
    }

    pub(crate) fn cup(x: f64, y: f64, confidence: f64) -> SeenObject {
        SeenObject {
            id: 1,
            label: "cup".into(),
            position: DVec3::new(x, y, 0.47),
            sigma: 0.02,
            confidence,
            sightings: 5,
            last_seen_s: 0.0,
            held: false,
            width_m: 0.1,
        }
    }

    #[test]
    fn beliefs_and_looks_shape_the_distribution() {
        let home = home();
        let mut looks = BTreeMap::new();
        let even = location(&home, &[], "cup", None, &looks);
        assert!(even.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12));
        looks.insert(0, 2);
        let p = location(&home, &[], "cup", None, &looks);
        assert!(p[0] < 0.05 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let p = location(&home, &[], "cup", Some("living_room"), &BTreeMap::new());
        assert!((p[2] / p[0] - ALREADY_THERE).abs() < 1e-12);
        let p = location(&home, &[cup(9.6, 6.1, 0.9)], "cup", None, &looks);
        assert!(p[2] > 0.9 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(surface_of(&home, DVec3::new(5.0, 5.0, 0.0)), None);
    }

    #[test]
    fn penalties_match_the_expectation_by_hand() {
        // Two surfaces, 4 m apart at 1 m/s, 2 s per look: looking first at one of probability p costs (1-p)*6 after.
        let points = [DVec2::ZERO, DVec2::ZERO, DVec2::ZERO, DVec2::new(4.0, 0.0)];
        let mut d = Distances::between(&points, None);
        let scale = 4.0 / d.get(2, 3);
        let penalties = miss_penalties(&[0.75, 0.25], &d, 1.0 / scale, 2.0);
        assert!((penalties[0] - 0.25 * 6.0).abs() < 1e-9, "{penalties:?}");
        assert!((penalties[1] - 0.75 * 6.0).abs() < 1e-9);
        d.replace(0, &points, None);
        assert_eq!(miss_penalties(&[1.0], &d, 1.0, 2.0), [0.0]);
    }

    #[test]
    fn things_are_put_where_there_is_room() {
        let home = home();
        let free = put_spot(&home, 0, &[], "cup", 0.18).unwrap();
        assert_eq!((free.x, free.y, free.z), (0.4, 6.0, 0.42));
        let vase = SeenObject { label: "vase".into(), ..cup(0.4, 6.0, 0.9) };
        let spot = put_spot(&home, 0, std::slice::from_ref(&vase), "cup", 0.18).unwrap();
        assert!((spot.truncate() - vase.position.truncate()).length() >= 0.18);
        let many: Vec<SeenObject> =
            (-3..=3).map(|i| SeenObject { position: DVec3::new(0.4, 6.0 + 0.12 * f64::from(i), 0.5), ..vase.clone() }).collect();
        assert_eq!(put_spot(&home, 0, &many, "cup", 0.18), None);
        // A table top that was taken for a bed takes up no room on itself.
        let bed = SeenObject { label: "bed".into(), width_m: 0.5, ..vase };
        assert_eq!(put_spot(&home, 0, &[bed], "cup", 0.18), Some(free));
    }
}
