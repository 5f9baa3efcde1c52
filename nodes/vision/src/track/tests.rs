//! What holds for every tracker; scenes with known identities are in `tests/tracking.rs`.

use super::*;

const FRAME_NS: i64 = 33_333_333;

fn cup(x: f64, score: f32) -> Observation<'static> {
    Observation { edges: [x, 100.0, x + 40.0, 180.0], score, label: "cup" }
}

fn settings() -> TrackerSettings {
    TrackerSettings::default()
}

#[test]
fn an_object_counts_when_it_is_seen_again_and_keeps_its_number() {
    let mut tracker = Tracker::new();
    assert_eq!(tracker.update(&settings(), 0, &[]), []);
    assert_eq!(tracker.update(&settings(), FRAME_NS, &[cup(10.0, 0.9)]), [None]);
    for t in 2..20 {
        assert_eq!(tracker.update(&settings(), t * FRAME_NS, &[cup(10.0 + t as f64 * 2.0, 0.9)]), [Some(1)]);
    }
}

#[test]
fn what_is_seen_in_the_first_picture_counts_at_once() {
    let mut tracker = Tracker::new();
    assert_eq!(tracker.update(&settings(), 0, &[cup(10.0, 0.9), cup(300.0, 0.3)]), [Some(1), None]);
}

#[test]
fn only_high_scores_begin_a_track_and_low_ones_keep_it() {
    let mut tracker = Tracker::new();
    tracker.update(&settings(), 0, &[]);
    for t in 1..5 {
        assert_eq!(tracker.update(&settings(), t * FRAME_NS, &[cup(10.0, 0.4)]), [None]);
    }
    tracker.update(&settings(), 5 * FRAME_NS, &[cup(10.0, 0.6)]);
    assert_eq!(tracker.update(&settings(), 6 * FRAME_NS, &[cup(10.0, 0.6)]), [Some(1)]);
    assert_eq!(tracker.update(&settings(), 7 * FRAME_NS, &[cup(11.0, 0.2)]), [Some(1)]);
    assert_eq!(tracker.update(&settings(), 8 * FRAME_NS, &[cup(11.0, 0.05)]), [None], "too weak to be looked at");
    let careful = TrackerSettings { birth_margin: 0.2, ..settings() };
    let mut tracker = Tracker::new();
    assert_eq!(tracker.update(&careful, 0, &[cup(10.0, 0.6), cup(200.0, 0.75)]), [None, Some(1)]);
}

#[test]
fn a_lost_object_gets_its_number_back_within_the_buffer_only() {
    let run = |gap: i64| {
        let mut tracker = Tracker::new();
        for t in 0..10 {
            tracker.update(&settings(), t * FRAME_NS, &[cup(10.0, 0.9)]);
        }
        for t in 10..10 + gap {
            tracker.update(&settings(), t * FRAME_NS, &[]);
        }
        tracker.update(&settings(), (10 + gap) * FRAME_NS, &[cup(12.0, 0.9)])[0]
    };
    assert_eq!(run(20), Some(1));
    assert_eq!(run(31), None);
}

#[test]
fn time_counts_and_not_pictures() {
    // 20 px a frame of 30 Hz; then only every 6th picture comes. Without the stamps the box would be expected 20 px on, 40 wide, and missed.
    let mut tracker = Tracker::new();
    for t in 0..10 {
        tracker.update(&settings(), t * FRAME_NS, &[cup(20.0 * t as f64, 0.9)]);
    }
    for t in (15..60).step_by(6) {
        assert_eq!(tracker.update(&settings(), t * FRAME_NS, &[cup(20.0 * t as f64, 0.9)]), [Some(1)], "frame {t}");
    }
}

#[test]
fn when_time_goes_back_all_is_new_and_no_number_comes_twice() {
    let mut tracker = Tracker::new();
    for t in 100..105 {
        tracker.update(&settings(), t * FRAME_NS, &[cup(10.0, 0.9)]);
    }
    assert_eq!(tracker.update(&settings(), 0, &[cup(10.0, 0.9)]), [Some(2)]);
    // The same stamp again is no error.
    assert_eq!(tracker.update(&settings(), 0, &[cup(10.0, 0.9)]), [Some(2)]);
}

#[test]
fn another_label_at_the_same_place_is_another_object_if_so_wished() {
    let run = |other_label: f64| {
        let settings = TrackerSettings { other_label, ..settings() };
        let mut tracker = Tracker::new();
        for t in 0..5 {
            tracker.update(&settings, t * FRAME_NS, &[cup(10.0, 0.9)]);
        }
        let bowl = Observation { label: "bowl", ..cup(10.0, 0.9) };
        tracker.update(&settings, 5 * FRAME_NS, &[bowl]);
        tracker.update(&settings, 6 * FRAME_NS, &[bowl])[0]
    };
    assert_eq!((run(1.0), run(0.5), run(0.0)), (Some(1), Some(1), Some(2)));
}

#[test]
fn what_is_no_box_is_passed_over() {
    let mut tracker = Tracker::new();
    let bad = |edges, score| Observation { edges, score, label: "cup" };
    let seen = [
        bad([f64::NAN, 0.0, 10.0, 10.0], 0.9),
        bad([0.0, 0.0, f64::INFINITY, 10.0], 0.9),
        bad([10.0, 0.0, 0.0, 10.0], 0.9),
        bad([0.0, 5.0, 10.0, 5.0], 0.9),
        bad([0.0, 0.0, 10.0, 10.0], f32::NAN),
        cup(10.0, 0.9),
    ];
    for t in 0..3 {
        assert_eq!(tracker.update(&settings(), t * FRAME_NS, &seen), [None, None, None, None, None, Some(1)]);
    }
    // A stamp centuries later and one centuries before: nothing is left, nothing overflows.
    tracker.update(&settings(), i64::MAX, &seen);
    tracker.update(&settings(), i64::MIN, &seen);
}

#[test]
fn it_remembers_no_more_than_it_may() {
    let mut tracker = Tracker::new();
    let crowd: Vec<Observation<'_>> = (0..400).map(|n| cup(f64::from(n) * 50.0, 0.9)).collect();
    for t in 0..4 {
        tracker.update(&settings(), t * FRAME_NS, &crowd);
        assert!(tracker.len() <= MAX_TRACKS);
    }
}

#[test]
fn it_goes_on_from_its_bytes_as_if_nothing_had_been() {
    let scene = |t: i64| [cup(5.0 * t as f64, 0.9), cup(600.0 - 7.0 * t as f64, if t % 3 == 0 { 0.3 } else { 0.8 })];
    let mut whole = Tracker::new();
    let mut resumed = Tracker::new();
    for t in 0..60 {
        let expected = whole.update(&settings(), t * FRAME_NS, &scene(t));
        assert_eq!(resumed.update(&settings(), t * FRAME_NS, &scene(t)), expected);
        let bytes = graph::snapshot::pack(&resumed).unwrap();
        resumed = graph::snapshot::unpack(&bytes).unwrap();
        assert_eq!(graph::snapshot::pack(&whole).unwrap(), bytes);
    }
}
