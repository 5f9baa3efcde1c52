//! Fusion on a bench: a detection with depth becomes a believed object.

use super::*;
use graph::testing::Bench;
use msgs::omnimind_msgs::msg::Contact;
use msgs::tf2_msgs::msg::TFMessage;
use msgs::vision_msgs::msg::{Detection2D, ObjectHypothesisWithPose};

fn camera() -> Pinhole {
    Pinhole::from_horizontal_fov(160, 120, 1.1).unwrap()
}

fn frames(bench: &mut Bench) {
    let ns = bench.now().as_nanos();
    let optical = Pose3::from_xyz_rpy(DVec3::new(0.05, 0.0, 0.62), 0.0, 0.35, 0.0) * Pose3::optical();
    let fixed = vec![convert::transform_stamped("base_link", "camera_optical_frame", ns, optical)];
    bench.publish("/tf_static", TFMessage { transforms: fixed });
    let moving = vec![
        convert::transform_stamped("map", "base_link", ns, Pose2::new(1.0, 2.0, 0.0).to_pose3()),
        convert::transform_stamped("base_link", "wrist", ns, Pose3::from_translation(DVec3::new(1.0, 0.0, 0.3))),
    ];
    bench.publish("/tf", TFMessage { transforms: moving });
}

fn look(bench: &mut Bench) {
    frames(bench);
    let ns = bench.now().as_nanos();
    bench.publish("camera/camera_info", convert::camera_info("camera_optical_frame", ns, &camera()));
    let data: Vec<u8> = std::iter::repeat_n(1.0f32.to_le_bytes(), 160 * 120).flatten().collect();
    let header = convert::header("camera_optical_frame", ns);
    let depth = Image {
        header: header.clone(),
        width: 160,
        height: 120,
        encoding: "32FC1".into(),
        step: 640,
        data: data.into(),
        ..Image::default()
    };
    let mut detection = Detection2D::default();
    let mut result = ObjectHypothesisWithPose::default();
    result.hypothesis.class_id = "cup".into();
    result.hypothesis.score = 0.8;
    detection.results.push(result);
    detection.bbox.center.position.x = 79.5;
    detection.bbox.center.position.y = 59.5;
    detection.bbox.size_x = 14.0;
    detection.bbox.size_y = 14.0;
    // Detections take a while: they come after the depth picture of the same stamp.
    bench.publish("camera/depth/image_raw", depth);
    bench.run_for(Duration::from_millis(60));
    bench.publish("vision/detections", Detection2DArray { header, detections: vec![detection] });
    bench.run_for(Duration::from_millis(140));
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.add::<Fusion>(&[("home", "".into())]).unwrap();
    bench
}

#[test]
fn three_sightings_make_a_believed_object_in_the_right_place() {
    let mut bench = bench();
    for i in 0..4 {
        look(&mut bench);
        let belief = bench.take::<Belief>("fusion/belief").last().cloned().unwrap();
        assert_eq!(belief.objects.len(), 1, "{:?}", bench.status("fusion", "sight"));
        if i < 2 {
            assert!(belief.objects[0].confidence <= 0.6);
        }
        if i == 3 {
            let o = &belief.objects[0];
            assert!(o.confidence > 0.8 && o.sightings == 4);
            // 1 m along an axis that points 0.35 rad down, from (1.05, 2, 0.62), and half the cup behind that.
            assert!((o.position.x - 2.03).abs() < 0.04 && (o.position.y - 2.0).abs() < 0.01, "{:?}", o.position);
            assert!((belief.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert_eq!(belief.modalities, ["vision", "proprioception"]);
            assert_eq!(belief.strategy, "hybrid");
        }
    }
    let request = FusionQueryRequest { query: "where is the cup".into(), ..FusionQueryRequest::default() };
    let answer = bench.call::<FusionQuery>("fusion/query", request).unwrap();
    assert_eq!(answer.matches[0].label, "cup");
    assert!(answer.similarity[0] > 0.4 && answer.reasons[0].contains("is a cup"));
    let request = FusionQueryRequest { query: "cup".into(), modalities: vec!["smell".into()], max_results: 1 };
    assert!(bench.call::<FusionQuery>("fusion/query", request).is_err());
}

#[test]
fn what_the_gripper_closes_on_is_held_and_words_and_sounds_are_taken_in() {
    let mut bench = bench();
    for _ in 0..3 {
        look(&mut bench);
    }
    let finger = |zone: &str| Contact { zone: zone.into(), pressed: true, ..Contact::default() };
    let joints = JointState {
        name: vec!["finger_left_joint".into(), "finger_right_joint".into()],
        position: vec![0.04, 0.04],
        ..JointState::default()
    };
    for _ in 0..40 {
        bench.publish("joint_states", joints.clone());
        bench.publish(
            "touch/contacts",
            Contacts { contacts: vec![finger("finger_left"), finger("finger_right")], ..Contacts::default() },
        );
        bench.run_for(Duration::from_millis(10));
    }
    let heard = Transcript {
        header: convert::header("base_link", bench.now().as_nanos()),
        text: "bring the cup to the kitchen".into(),
        confidence: 0.9,
        direction: 0.5,
        ..Transcript::default()
    };
    bench.publish("speech/transcript", heard);
    bench.run_for(Duration::from_millis(400));
    let belief = bench.take::<Belief>("fusion/belief").last().cloned().unwrap();
    assert!(belief.gripping && belief.objects[0].held);
    assert!((belief.objects[0].position.x - 2.0).abs() < 1e-6, "it is where the wrist is");
    assert_eq!(belief.objects[0].modalities, ["vision", "text", "proprioception"]);
    assert!((belief.sound_direction - 0.5).abs() < 1e-6);
    assert_eq!(belief.last_heard, "bring the cup to the kitchen");
    let alignment = bench.take::<Alignment>("fusion/alignment").last().cloned().unwrap();
    assert!(alignment.pairs.contains(&"vision_to_text".to_owned()));
    assert!(alignment.scores.iter().all(|s| (0.0..=1.0).contains(s)));
}

#[test]
fn a_belief_that_goes_on_from_a_snapshot_is_the_same_belief() {
    let mut first = bench();
    look(&mut first);
    look(&mut first);
    let bytes = first.snapshot().unwrap();
    let mut second = bench();
    second.resume(&bytes).unwrap();
    for bench in [&mut first, &mut second] {
        bench.take_all();
        look(bench);
        let heard = Transcript { text: "the cup".into(), confidence: 0.5, ..Transcript::default() };
        bench.publish("speech/transcript", heard);
        bench.run_for(Duration::from_secs(3));
    }
    // As bytes: an unknown direction is no number, and equal to nothing.
    let beliefs = |bench: &mut Bench| -> Vec<(u32, Vec<u8>)> {
        let all = bench.take::<Belief>("fusion/belief");
        all.iter().map(|b| (b.objects[0].sightings, msgs::Message::to_cdr(&**b))).collect()
    };
    let (one, other) = (beliefs(&mut first), beliefs(&mut second));
    assert!(one.len() > 10 && one.last().unwrap().0 == 3);
    assert!(one == other);
    assert!(first.snapshot().unwrap() == second.snapshot().unwrap());
}

#[test]
fn a_depth_image_of_another_encoding_is_an_error_and_silence_is_stale() {
    let mut bench = bench();
    bench.publish("camera/depth/image_raw", Image { encoding: "rgb8".into(), ..Image::default() });
    bench.run_for(Duration::from_millis(300));
    assert_eq!(bench.status("fusion", "depth").map(|s| s.0), Some(Level::Error));
    bench.run_for(Duration::from_secs(2));
    assert_eq!(bench.status("fusion", "sight").map(|s| s.0), Some(Level::Stale));
}

#[test]
fn a_scene_whose_motion_is_not_known_says_nothing_of_activity() {
    let mut bench = bench();
    let activity = |bench: &mut Bench, motion: f32| {
        bench.publish("vision/scene", SceneAnalysis { motion, ..SceneAnalysis::default() });
        bench.run_for(Duration::from_millis(20));
        bench.snapshot().unwrap()
    };
    let unknown = activity(&mut bench, f32::NAN);
    let contains = |bytes: &[u8]| bytes.windows(8).any(|w| w == b"activity");
    assert!(!contains(&unknown));
    assert!(contains(&activity(&mut bench, 0.5)) && !contains(&activity(&mut bench, f32::NAN)));
}
