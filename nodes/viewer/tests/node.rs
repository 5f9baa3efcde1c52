//! The viewer as a node of a graph: what it is fed ends in a file.

use std::time::Duration;

use graph::testing::Bench;
use msgs::nav_msgs::msg::OccupancyGrid;
use msgs::omnimind_msgs::msg::{AudioFeatures, SpeakerMatch, Spectrogram, SpeechEmotion};
use msgs::omnimind_msgs::msg::{Belief, BeliefObject, Plan, PlanAction, SimObject, SimState, Transcript};
use msgs::sensor_msgs::msg::{BatteryState, CameraInfo, Image, LaserScan};
use msgs::vision_msgs::msg::{Detection2D, Detection2DArray, ObjectHypothesisWithPose};
use omnimind_viewer::Viewer;

fn feed(bench: &mut Bench, t: f64) {
    let (width, height) = (640_u32, 480_u32);
    let pixels = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [(x / 3) as u8, (y / 2) as u8, ((x / 40 + y / 40) % 2 * 120) as u8]));
    bench.publish(
        "camera/image_raw",
        Image { width, height, encoding: "rgb8".into(), step: width * 3, data: pixels.collect(), ..Image::default() },
    );
    let depth = (0..height * width).flat_map(|i| (1.0_f32 + (i % width) as f32 / 200.0).to_le_bytes());
    bench.publish(
        "camera/depth/image_raw",
        Image { width, height, encoding: "32FC1".into(), step: width * 4, data: depth.collect(), ..Image::default() },
    );
    let mut info = CameraInfo { width, height, ..CameraInfo::default() };
    info.k = [522.0, 0.0, 320.0, 0.0, 522.0, 240.0, 0.0, 0.0, 1.0];
    bench.publish("camera/camera_info", info);
    let mut cup = Detection2D { results: vec![ObjectHypothesisWithPose::default()], ..Detection2D::default() };
    cup.results[0].hypothesis.class_id = "cup".into();
    cup.results[0].hypothesis.score = 0.87;
    cup.id = "7".into();
    cup.bbox.center.position.x = 300.0 + 10.0 * t;
    cup.bbox.center.position.y = 250.0;
    (cup.bbox.size_x, cup.bbox.size_y) = (60.0, 80.0);
    bench.publish("vision/detections", Detection2DArray { detections: vec![cup], ..Detection2DArray::default() });
    let ranges = (0..360).map(|i| 1.5 + (i as f32 * 0.05).sin()).collect();
    let increment = std::f32::consts::TAU / 360.0;
    bench.publish(
        "scan",
        LaserScan { angle_increment: increment, range_min: 0.16, range_max: 12.0, ranges, ..LaserScan::default() },
    );
    let mut belief = Belief { robot_room: "hall".into(), ..Belief::default() };
    belief.header.frame_id = "map".into();
    belief.robot_pose.pose.position.x = 4.5 + 0.3 * t;
    belief.robot_pose.pose.position.y = 2.0 + 0.1 * t;
    belief.robot_pose.pose.orientation.w = 1.0;
    let mut seen = BeliefObject { label: "cup".into(), confidence: 0.9, position_sigma: 0.05, ..BeliefObject::default() };
    (seen.position.x, seen.position.y, seen.position.z) = (2.0, 6.0, 0.4);
    belief.objects.push(seen);
    bench.publish("fusion/belief", belief);
    let mut object = SimObject { name: "cup_1".into(), ..SimObject::default() };
    (object.pose.position.x, object.pose.position.y, object.pose.position.z) = (2.02, 6.03, 0.4);
    bench.publish("sim/state", SimState { objects: vec![object], ..SimState::default() });
    let step = |type_, status, description: &str| PlanAction {
        type_,
        status,
        description: description.into(),
        energy_wh: 0.05,
        charge_after_wh: 5.0,
        ..PlanAction::default()
    };
    let mut plan = Plan {
        current: 1,
        admissible: true,
        expected_duration: 80.0,
        expected_energy_wh: 0.4,
        confidence: 0.8,
        ..Plan::default()
    };
    plan.goal.description = "bring the cup to the kitchen".into();
    plan.actions = vec![
        step(PlanAction::OBSERVE, PlanAction::COMPLETED, "look for the cup"),
        step(PlanAction::MOVE, PlanAction::IN_PROGRESS, "to the table"),
        step(PlanAction::GRASP, PlanAction::PLANNED, "the cup"),
    ];
    bench.publish("planner/plan", plan);
    bench.publish(
        "battery_state",
        BatteryState { percentage: 0.25 - 0.002 * t as f32, voltage: 14.2, current: -0.9, ..BatteryState::default() },
    );
    let levels = (0..20 * 96).map(|i| (i % 96 * 2) as u8).collect::<Vec<_>>().into();
    bench.publish(
        "audio/spectrogram",
        Spectrogram { hop: 0.01, bands: 96, max_frequency: 8_000.0, levels, ..Spectrogram::default() },
    );
    bench.publish("audio/features", AudioFeatures { dbfs: -30.0, voiced: true, pitch: 120.0, ..AudioFeatures::default() });
    bench.publish("speech/speaker", SpeakerMatch { speaker_id: "ann".into(), similarity: 0.8, ..SpeakerMatch::default() });
    bench.publish("speech/emotion", SpeechEmotion { emotion: "calm".into(), confidence: 0.7, ..SpeechEmotion::default() });
    if t == 0.0 {
        let mut map = OccupancyGrid::default();
        (map.info.width, map.info.height, map.info.resolution) = (200, 160, 0.05);
        map.data = (0..160)
            .flat_map(|y| (0..200).map(move |x| if x % 199 == 0 || y % 159 == 0 || (x == 100 && y > 60) { 100 } else { 0 }))
            .collect();
        bench.publish("map", map);
        bench.publish(
            "speech/transcript",
            Transcript { text: "hey omni, bring the cup to the kitchen".into(), ..Transcript::default() },
        );
    }
}

#[test]
fn what_the_robot_sees_and_plans_ends_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    // A fixed place on request, so that a person can look at the result.
    let path = std::env::var("VIEWER_TEST_RRD").map_or_else(|_| dir.path().join("new/a.rrd"), Into::into);
    let mut bench = Bench::new();
    bench.add::<Viewer>(&[("path", path.to_str().unwrap().into())]).unwrap();
    for i in 0..50 {
        feed(&mut bench, f64::from(i) * 0.2);
        bench.run_for(Duration::from_millis(200));
    }
    bench.stop();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(&bytes[..4], b"RRF2", "the magic of Rerun files");
    let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    for entity in [
        "/world/robot/camera/image",
        "/world/robot/camera/image/detections/tracks",
        "#7 cup 87 %",
        "/world/robot/scan",
        "/world/map",
        "/world/beliefs",
        "/plan",
        "/battery/percent",
        "/log/speech",
        "/log/voice",
        "/sound/spectrogram",
        "/sound/level_dbfs",
    ] {
        assert!(has(entity), "{entity}");
    }
}

#[test]
fn an_unusable_path_is_an_error_at_set_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let mut bench = Bench::new();
    let error = bench.add::<Viewer>(&[("path", file.join("a.rrd").to_str().unwrap().into())]).unwrap_err();
    assert!(error.to_string().contains("cannot make the folder"), "{error}");
}

#[test]
fn odd_messages_do_not_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rrd");
    let mut bench = Bench::new();
    bench.add::<Viewer>(&[("path", path.to_str().unwrap().into())]).unwrap();
    bench.publish("camera/image_raw", Image { width: 100, height: 100, encoding: "rgb8".into(), ..Image::default() });
    bench.publish(
        "camera/depth/image_raw",
        Image { width: 100, height: 100, encoding: "32FC1".into(), step: 400, ..Image::default() },
    );
    bench.publish("map", OccupancyGrid::default());
    bench.publish("camera/camera_info", CameraInfo::default());
    bench.run_for(Duration::from_millis(100));
    bench.stop();
    assert!(path.is_file());
}
