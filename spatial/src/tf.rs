//! The tree of frames: who stands where relative to whom, over time.

use std::collections::{BTreeMap, VecDeque};

use crate::pose::Pose3;

/// Why a lookup has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TfError {
    /// Nobody has ever told where the frame is.
    #[error("unknown frame '{frame}' (known: {known})")]
    UnknownFrame {
        /// The frame asked for.
        frame: String,
        /// Comma-separated known frames.
        known: String,
    },
    /// Both frames are known, but they stand in different trees.
    #[error(
        "frames '{target_frame}' and '{source_frame}' are not connected (their roots are '{target_root}' and '{source_root}')"
    )]
    Disconnected {
        /// Frame the answer was wanted in.
        target_frame: String,
        /// Frame that was asked about.
        source_frame: String,
        /// Root of the target's tree.
        target_root: String,
        /// Root of the source's tree.
        source_root: String,
    },
    /// The time asked for lies outside what is remembered by more than the limit.
    #[error(
        "frame '{frame}' is known from {oldest_s:.3} s to {newest_s:.3} s, asked for {asked_s:.3} s: extrapolation beyond {limit_s:.3} s"
    )]
    Extrapolation {
        /// The child frame of the edge that is too old or too new.
        frame: String,
        /// Oldest remembered stamp, s.
        oldest_s: f64,
        /// Newest remembered stamp, s.
        newest_s: f64,
        /// Asked stamp, s.
        asked_s: f64,
        /// Limit of the buffer, s.
        limit_s: f64,
    },
}

/// Why a transform was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TfInsertError {
    /// A frame name is empty, or child and parent are the same.
    #[error("transform from '{parent}' to '{child}' has an empty or repeated frame name")]
    BadName {
        /// Parent frame.
        parent: String,
        /// Child frame.
        child: String,
    },
    /// A number is NaN or infinite.
    #[error("transform from '{parent}' to '{child}' is not finite")]
    NotFinite {
        /// Parent frame.
        parent: String,
        /// Child frame.
        child: String,
    },
    /// The rotation is no unit quaternion (tf2 refuses it, too).
    #[error("transform from '{parent}' to '{child}' has a rotation that is no unit quaternion")]
    NotNormalised {
        /// Parent frame.
        parent: String,
        /// Child frame.
        child: String,
    },
    /// The edge would close a loop.
    #[error("transform from '{parent}' to '{child}' would close a loop: '{child}' is an ancestor of '{parent}'")]
    Loop {
        /// Parent frame.
        parent: String,
        /// Child frame.
        child: String,
    },
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Motion {
    Static(Pose3),
    Dynamic(VecDeque<(i64, Pose3)>),
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Edge {
    pub parent: String,
    pub motion: Motion,
}

/// A buffer of transforms, static and moving, as `/tf_static` and `/tf` tell them. Stamps are nanoseconds of the graph's clock.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Frozen")]
pub struct TfBuffer {
    pub(crate) edges: BTreeMap<String, Edge>,
    pub(crate) keep_ns: i64,
    extrapolate_ns: i64,
}

/// A buffer as it was written down.
#[derive(serde::Deserialize)]
struct Frozen {
    edges: BTreeMap<String, Edge>,
    keep_ns: i64,
    extrapolate_ns: i64,
}

/// Why a buffer that was written down is none.
#[derive(Debug, thiserror::Error)]
#[error("its transforms close a loop at '{0}'")]
struct NoTree(String);

impl TryFrom<Frozen> for TfBuffer {
    type Error = NoTree;

    fn try_from(Frozen { edges, keep_ns, extrapolate_ns }: Frozen) -> Result<Self, NoTree> {
        for frame in edges.keys() {
            let mut up = edges.get(frame);
            for _ in 0..edges.len() {
                up = up.and_then(|edge| edges.get(&edge.parent));
            }
            // After as many steps as there are edges every way up a tree is over.
            if up.is_some() {
                return Err(NoTree(frame.clone()));
            }
        }
        Ok(Self { edges, keep_ns, extrapolate_ns })
    }
}

impl Default for TfBuffer {
    /// Ten seconds of memory, extrapolation up to 0.2 s.
    fn default() -> Self {
        Self::new(10_000_000_000, 200_000_000)
    }
}

impl TfBuffer {
    /// Forgets where moving frames were; fixed ones stay (tf2: `BufferCore::clear`).
    pub fn clear(&mut self) {
        self.edges.retain(|_, edge| matches!(edge.motion, Motion::Static(_)));
    }

    /// A buffer that remembers `keep_ns` of each moving frame and answers up to `extrapolate_ns` outside what it
    /// remembers (with the nearest pose, not with a guessed motion).
    pub fn new(keep_ns: i64, extrapolate_ns: i64) -> Self {
        Self { edges: BTreeMap::new(), keep_ns: keep_ns.max(0), extrapolate_ns: extrapolate_ns.max(0) }
    }

    /// Takes a pose of `child` in `parent` that never changes.
    pub fn insert_static(&mut self, parent: &str, child: &str, pose: Pose3) -> Result<(), TfInsertError> {
        let (parent, child) = (clean(parent), clean(child));
        self.check(parent, child, &pose)?;
        self.edges.insert(child.to_owned(), Edge { parent: parent.to_owned(), motion: Motion::Static(pose) });
        Ok(())
    }

    /// Takes the pose of `child` in `parent` at a time. Stamps may come out of order; a second pose for the same stamp
    /// replaces the first; a new parent forgets the old history.
    pub fn insert(&mut self, parent: &str, child: &str, stamp_ns: i64, pose: Pose3) -> Result<(), TfInsertError> {
        let (parent, child) = (clean(parent), clean(child));
        self.check(parent, child, &pose)?;
        let edge = self
            .edges
            .entry(child.to_owned())
            .or_insert_with(|| Edge { parent: parent.to_owned(), motion: Motion::Dynamic(VecDeque::new()) });
        if edge.parent != parent || matches!(edge.motion, Motion::Static(_)) {
            *edge = Edge { parent: parent.to_owned(), motion: Motion::Dynamic(VecDeque::new()) };
        }
        if let Motion::Dynamic(history) = &mut edge.motion {
            let at = history.partition_point(|(stamp, _)| *stamp < stamp_ns);
            match history.get_mut(at) {
                Some(entry) if entry.0 == stamp_ns => entry.1 = pose,
                _ => history.insert(at, (stamp_ns, pose)),
            }
            let newest = history.back().map_or(stamp_ns, |(stamp, _)| *stamp);
            while history.len() > 1 && history.front().is_some_and(|(stamp, _)| *stamp < newest.saturating_sub(self.keep_ns)) {
                history.pop_front();
            }
        }
        Ok(())
    }

    /// Every frame that is a child or a parent, in alphabetical order.
    pub fn frames(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.edges.iter().flat_map(|(child, edge)| [child.as_str(), edge.parent.as_str()]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The parent of a frame, if it has one.
    pub fn parent(&self, frame: &str) -> Option<&str> {
        self.edges.get(clean(frame)).map(|edge| edge.parent.as_str())
    }

    /// The pose of `source` in `target` at a time: maps coordinates of `source` to coordinates of `target`.
    pub fn lookup(&self, target: &str, source: &str, stamp_ns: i64) -> Result<Pose3, TfError> {
        self.resolve(target, source, Some(stamp_ns))
    }

    /// The pose of `source` in `target` from the newest pose of every frame between them.
    pub fn lookup_latest(&self, target: &str, source: &str) -> Result<Pose3, TfError> {
        self.resolve(target, source, None)
    }

    /// The newest stamp at which every moving frame between the two is known; None if all of them are static.
    pub fn latest_common(&self, target: &str, source: &str) -> Result<Option<i64>, TfError> {
        let (up, down) = self.chains(target, source)?;
        Ok(up
            .iter()
            .chain(&down)
            .filter_map(|frame| match self.edges.get(*frame).map(|edge| &edge.motion) {
                Some(Motion::Dynamic(history)) => history.back().map(|(stamp, _)| *stamp),
                _ => None,
            })
            .min())
    }

    fn resolve(&self, target: &str, source: &str, stamp_ns: Option<i64>) -> Result<Pose3, TfError> {
        let (target_chain, source_chain) = self.chains(target, source)?;
        let source_in_common = self.fold(&source_chain, stamp_ns)?;
        let target_in_common = self.fold(&target_chain, stamp_ns)?;
        Ok(target_in_common.inverse() * source_in_common)
    }

    /// The frames from each side up to, but without, the common ancestor.
    fn chains<'a>(&'a self, target: &'a str, source: &'a str) -> Result<(Vec<&'a str>, Vec<&'a str>), TfError> {
        let (target, source) = (clean(target), clean(source));
        if target == source {
            return Ok((Vec::new(), Vec::new()));
        }
        let frames = self.frames();
        for frame in [target, source] {
            if frames.binary_search(&frame).is_err() {
                return Err(TfError::UnknownFrame { frame: frame.to_owned(), known: frames.join(", ") });
            }
        }
        let mut target_chain = self.ancestors(target);
        let mut source_chain = self.ancestors(source);
        let (target_root, source_root) = (target_chain.last().copied(), source_chain.last().copied());
        if target_root != source_root {
            return Err(TfError::Disconnected {
                target_frame: target.to_owned(),
                source_frame: source.to_owned(),
                target_root: target_root.unwrap_or_default().to_owned(),
                source_root: source_root.unwrap_or_default().to_owned(),
            });
        }
        // Drop what both have in common, from the root down.
        while let (Some(a), Some(b)) = (target_chain.last(), source_chain.last()) {
            if a != b {
                break;
            }
            target_chain.pop();
            source_chain.pop();
        }
        Ok((target_chain, source_chain))
    }

    /// The frame itself, its parent, ... up to the root.
    fn ancestors<'a>(&'a self, frame: &'a str) -> Vec<&'a str> {
        let mut chain = vec![frame];
        let mut current = frame;
        while let Some(edge) = self.edges.get(current) {
            current = &edge.parent;
            chain.push(current);
        }
        chain
    }

    fn fold(&self, chain: &[&str], stamp_ns: Option<i64>) -> Result<Pose3, TfError> {
        let mut pose = Pose3::IDENTITY;
        for frame in chain {
            if let Some(edge) = self.edges.get(*frame) {
                pose = self.edge_pose(frame, edge, stamp_ns)? * pose;
            }
        }
        Ok(pose)
    }

    fn edge_pose(&self, frame: &str, edge: &Edge, stamp_ns: Option<i64>) -> Result<Pose3, TfError> {
        let history = match &edge.motion {
            Motion::Static(pose) => return Ok(*pose),
            Motion::Dynamic(history) => history,
        };
        let (Some(oldest), Some(newest)) = (history.front(), history.back()) else {
            return Err(TfError::UnknownFrame { frame: frame.to_owned(), known: self.frames().join(", ") });
        };
        let Some(asked) = stamp_ns else { return Ok(newest.1) };
        let after = history.partition_point(|(stamp, _)| *stamp < asked);
        match (after.checked_sub(1).and_then(|before| history.get(before)), history.get(after)) {
            (Some((t0, p0)), Some((t1, p1))) => Ok(p0.interpolate(p1, (asked - t0) as f64 / (t1 - t0) as f64)),
            (None, Some((t1, p1))) if t1.saturating_sub(asked) <= self.extrapolate_ns => Ok(*p1),
            (Some((t0, p0)), None) if asked.saturating_sub(*t0) <= self.extrapolate_ns => Ok(*p0),
            _ => Err(TfError::Extrapolation {
                frame: frame.to_owned(),
                oldest_s: oldest.0 as f64 * 1e-9,
                newest_s: newest.0 as f64 * 1e-9,
                asked_s: asked as f64 * 1e-9,
                limit_s: self.extrapolate_ns as f64 * 1e-9,
            }),
        }
    }

    fn check(&self, parent: &str, child: &str, pose: &Pose3) -> Result<(), TfInsertError> {
        let names = || (parent.to_owned(), child.to_owned());
        if parent.is_empty() || child.is_empty() || parent == child {
            let (parent, child) = names();
            return Err(TfInsertError::BadName { parent, child });
        }
        if !pose.is_finite() {
            let (parent, child) = names();
            return Err(TfInsertError::NotFinite { parent, child });
        }
        if self.ancestors(parent).contains(&child) {
            let (parent, child) = names();
            return Err(TfInsertError::Loop { parent, child });
        }
        Ok(())
    }
}

/// tf2 forbids a leading slash; old tools still write one.
fn clean(frame: &str) -> &str {
    frame.strip_prefix('/').unwrap_or(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DVec3;

    const S: i64 = 1_000_000_000;

    fn at(x: f64, y: f64, yaw: f64) -> Pose3 {
        Pose3::from_xyz_rpy(DVec3::new(x, y, 0.0), 0.0, 0.0, yaw)
    }

    fn robot() -> TfBuffer {
        let mut tf = TfBuffer::default();
        tf.insert_static("base_link", "camera", at(0.05, 0.0, 0.0)).unwrap();
        tf.insert_static("base_link", "laser", at(0.0, 0.1, 0.0)).unwrap();
        tf.insert("odom", "base_link", 0, at(0.0, 0.0, 0.0)).unwrap();
        tf.insert("odom", "base_link", S, at(1.0, 0.0, 1.0)).unwrap();
        tf.insert("map", "odom", 0, at(5.0, 5.0, 0.0)).unwrap();
        tf.insert("map", "odom", S, at(5.0, 5.0, 0.0)).unwrap();
        tf
    }

    #[test]
    fn interpolates_between_stamps_and_goes_through_the_common_ancestor() {
        let tf = robot();
        let base = tf.lookup("map", "base_link", S / 2).unwrap();
        assert!((base.translation - DVec3::new(5.5, 5.0, 0.0)).length() < 1e-9);
        assert!((base.yaw() - 0.5).abs() < 1e-9);
        let laser_in_camera = tf.lookup("camera", "laser", 0).unwrap();
        assert!((laser_in_camera.translation - DVec3::new(-0.05, 0.1, 0.0)).length() < 1e-12);
        let there = tf.lookup("map", "camera", S).unwrap();
        let back = tf.lookup("camera", "map", S).unwrap();
        assert!((there * back).translation.length() < 1e-9);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let mut tf = robot();
        assert!(matches!(tf.lookup("map", "gripper", 0), Err(TfError::UnknownFrame { frame, .. }) if frame == "gripper"));
        tf.insert_static("world", "tree", at(0.0, 0.0, 0.0)).unwrap();
        assert!(matches!(tf.lookup("map", "tree", 0), Err(TfError::Disconnected { .. })));
        assert!(matches!(tf.lookup("map", "base_link", 2 * S), Err(TfError::Extrapolation { .. })));
        assert!(tf.lookup("map", "base_link", S + S / 10).is_ok());
        assert!(tf.lookup("map", "base_link", -S).is_err());
        assert_eq!(tf.lookup_latest("map", "base_link").unwrap().translation.x, 6.0);
        assert_eq!(tf.latest_common("map", "camera").unwrap(), Some(S));
        assert_eq!(tf.latest_common("camera", "laser").unwrap(), None);
    }

    #[test]
    fn what_was_written_down_is_the_same_and_a_loop_is_refused() {
        let tf = robot();
        let text = serde_yaml_ng::to_string(&tf).unwrap();
        let again: TfBuffer = serde_yaml_ng::from_str(&text).unwrap();
        assert_eq!(again.lookup("map", "camera", S / 3), tf.lookup("map", "camera", S / 3));
        assert_eq!(serde_yaml_ng::to_string(&again).unwrap(), text);
        let looped = text.replace("parent: map", "parent: base_link");
        assert_ne!(looped, text);
        let refused = serde_yaml_ng::from_str::<TfBuffer>(&looped).unwrap_err().to_string();
        assert!(refused.contains("close a loop"), "{refused}");
    }

    #[test]
    fn bad_transforms_are_refused() {
        let mut tf = robot();
        assert!(matches!(tf.insert("base_link", "map", 0, Pose3::IDENTITY), Err(TfInsertError::Loop { .. })));
        assert!(matches!(tf.insert("a", "a", 0, Pose3::IDENTITY), Err(TfInsertError::BadName { .. })));
        assert!(matches!(tf.insert("a", "b", 0, at(f64::NAN, 0.0, 0.0)), Err(TfInsertError::NotFinite { .. })));
    }

    #[test]
    fn old_poses_are_forgotten_and_out_of_order_stamps_are_sorted() {
        let mut tf = TfBuffer::new(2 * S, 0);
        for second in [0, 2, 1, 3, 4] {
            tf.insert("odom", "base", second * S, at(second as f64, 0.0, 0.0)).unwrap();
        }
        assert!((tf.lookup("odom", "base", 5 * S / 2).unwrap().translation.x - 2.5).abs() < 1e-9);
        assert!(tf.lookup("odom", "base", S).is_err());
    }
}
