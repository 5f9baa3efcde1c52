//! The tree of frames against SciPy (tf_vectors.py), and what tf2's users rely on.

use glam::{DQuat, DVec3};
use spatial::{Pose3, TfBuffer, TfErrorKind};

const S: i64 = 1_000_000_000;

/// Near parallel quaternions are interpolated linearly and normalised, which is wrong by less than this (m, rad).
const CLOSE: f64 = 1e-6;

fn pose(words: &[&str]) -> Pose3 {
    let v: Vec<f64> = words.iter().map(|word| word.parse().expect("a number")).collect();
    Pose3::new(DVec3::new(v[0], v[1], v[2]), DQuat::from_xyzw(v[3], v[4], v[5], v[6]))
}

fn agree(ours: Pose3, theirs: Pose3, line: &str) {
    let turn = ours.rotation.angle_between(theirs.rotation);
    assert!((ours.translation - theirs.translation).length() < CLOSE && turn < CLOSE, "{line}\nours: {ours:?}");
}

#[test]
fn poses_equal_scipys_in_every_tree_at_every_time() {
    let mut tf = TfBuffer::strict();
    let (mut straight, mut through) = (0, 0);
    for line in include_str!("tf_vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let ns = |word: &str| word.parse::<i64>().expect("a stamp");
        match words[0] {
            "tree" => tf = TfBuffer::strict(),
            "static" => tf.insert_static(words[1], words[2], pose(&words[3..])).unwrap(),
            "move" => tf.insert(words[1], words[2], ns(words[3]), pose(&words[4..])).unwrap(),
            "at" => {
                agree(tf.lookup(words[1], words[2], ns(words[3])).unwrap(), pose(&words[4..]), line);
                straight += 1;
            }
            "through" => {
                let found = tf.lookup_through(words[1], ns(words[2]), words[3], ns(words[4]), words[5]).unwrap();
                agree(found, pose(&words[6..]), line);
                through += 1;
            }
            other => panic!("`{other}`"),
        }
    }
    assert_eq!((straight, through), (120, 120));
}

fn x(x: f64) -> Pose3 {
    Pose3::from_translation(DVec3::new(x, 0.0, 0.0))
}

fn robot() -> TfBuffer {
    let mut tf = TfBuffer::strict();
    for second in 1..=4 {
        tf.insert("odom", "base", second * S, x(second as f64)).unwrap();
    }
    for second in 1..=3 {
        tf.insert("map", "odom", second * S, x(10.0 * second as f64)).unwrap();
    }
    tf.insert_static("base", "laser", x(0.5)).unwrap();
    tf
}

#[test]
fn time_zero_of_tf2_is_the_latest_common_time() {
    let tf = robot();
    let (pose, stamp) = tf.lookup_common("map", "laser").unwrap();
    assert_eq!((pose.translation.x, stamp), (33.5, 3 * S));
    assert_eq!(tf.lookup_common("base", "laser").unwrap(), (x(0.5), 0));
    // Histories that do not overlap have no common time.
    let mut apart = robot();
    apart.insert("laser", "lens", 20 * S, x(0.0)).unwrap();
    assert_eq!(apart.lookup_common("map", "lens").unwrap_err().kind(), TfErrorKind::Extrapolation);
}

#[test]
fn errors_are_of_tf2s_kinds() {
    let mut tf = robot();
    tf.insert_static("other", "tree", x(0.0)).unwrap();
    let kind = |target: &str, source: &str, stamp| tf.can_transform(target, source, stamp).unwrap_err().kind();
    assert_eq!(kind("map", "nobody", S), TfErrorKind::Lookup);
    assert_eq!(kind("map", "", S), TfErrorKind::InvalidArgument);
    assert_eq!(kind("map", "tree", S), TfErrorKind::Connectivity);
    assert_eq!(kind("map", "base", 5 * S), TfErrorKind::Extrapolation);
    assert_eq!(kind("map", "base", S - 1), TfErrorKind::Extrapolation);
    assert_eq!(kind("map", "base", i64::MAX), TfErrorKind::Extrapolation);
    assert_eq!(kind("map", "base", i64::MIN), TfErrorKind::Extrapolation);
    tf.can_transform("map", "base", 2 * S).unwrap();
    assert_eq!([TfErrorKind::Lookup as u8, TfErrorKind::Timeout as u8], [1, 5]);
    // A frame in itself needs no tree (tf2).
    tf.can_transform("nobody", "nobody", 0).unwrap();
}

#[test]
fn what_is_too_old_will_never_come() {
    let mut tf = robot();
    assert!(tf.never("map", "base", 0).is_none(), "within the memory it may still come");
    assert!(tf.never("map", "base", 9 * S).is_none());
    for frame in [("map", "odom"), ("odom", "base")] {
        tf.insert(frame.0, frame.1, 30 * S, x(0.0)).unwrap();
    }
    assert_eq!(tf.never("map", "base", S).unwrap().kind(), TfErrorKind::Extrapolation);
}

#[test]
fn all_frames_are_listed_as_tf2_does() {
    assert_eq!(TfBuffer::strict().all_frames_yaml(None), "[]");
    let text = robot().all_frames_yaml(None);
    // The form that tf2_tools view_frames shows.
    assert!(
        text.starts_with(
            "base: \n  parent: 'odom'\n  broadcaster: 'default_authority'\n  rate: 1.333\n  most_recent_transform: 4.000000\n  \
             oldest_transform: 1.000000\n  buffer_length: 3.000\nlaser: \n  parent: 'base'\n  broadcaster: 'default_authority'\n  \
             rate: 10000.000\n  most_recent_transform: 0.000000\n"
        ),
        "{text}"
    );
    assert!(robot().all_frames_yaml(Some(5 * S)).contains("  transform_delay: 1.000\n  buffer_length"));
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    assert_eq!(yaml["odom"]["parent"].as_str(), Some("map"));
}
