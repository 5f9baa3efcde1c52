//! The node on a bench: what it publishes and how its actions end.

use std::time::Duration;

use graph::testing::Bench;
use graph::{ActionClient, Context, GoalId, HandlerResult, Level, Node, Outcome, Publisher, Qos, Setup, SetupError};
use msgs::geometry_msgs::msg::{PoseWithCovarianceStamped, TwistStamped};
use msgs::nav_msgs::msg::{OccupancyGrid, Odometry};
use msgs::omnimind_msgs::action::{Act, ActFeedback, ActGoal};
use msgs::omnimind_msgs::msg::SafetyState;
use msgs::sensor_msgs::msg::{JointState, LaserScan};
use msgs::std_msgs::msg::String as Text;
use msgs::tf2_msgs::msg::TFMessage;
use msgs::trajectory_msgs::msg::JointTrajectory;
use omnimind_motion::Motion;
use spatial::grid::{FREE, OCCUPIED};
use spatial::{Grid, Pose2, convert, map_file, ray};

const HOME: &str = "rooms: [{name: hall, label: hall, polygon: [[0,0],[6,0],[6,4],[0,4]]}]\ndock: {x: 1.0, y: 0.4, yaw: -1.5707963}\nstart: {x: 2.0, y: 2.0, yaw: 0.0}\n";

fn map() -> Grid<i8> {
    let mut map = Grid::filled(120, 80, 0.05, glam::DVec2::ZERO, OCCUPIED).unwrap();
    map.fill_box(glam::DVec2::splat(0.1), glam::DVec2::new(5.9, 3.9), FREE);
    map
}

/// A perfect base: turns cmd_vel into odometry and scans.
struct Base {
    pose: Pose2,
    command: (f64, f64),
    map: Grid<i8>,
    ticks: u64,
    odom: Publisher<Odometry>,
    scan: Publisher<LaserScan>,
    joints: Publisher<JointState>,
    arm: Vec<f64>,
}

impl Node for Base {
    const NAME: &'static str = "base";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("cmd_vel", Qos::reliable(10), |node: &mut Self, _, twist: std::sync::Arc<TwistStamped>| {
            node.command = (twist.twist.linear.x, twist.twist.angular.z);
            Ok(())
        })?;
        s.subscribe("arm/command", Qos::reliable(10), |node: &mut Self, _, arm: std::sync::Arc<JointTrajectory>| {
            node.arm = arm.points[0].positions.clone();
            Ok(())
        })?;
        s.timer(Duration::from_millis(20), |node: &mut Self, ctx| {
            let ns = ctx.now().as_nanos();
            node.pose = node.pose.drive(node.command.0, node.command.1, 0.02);
            let mut odom = Odometry { header: convert::header("odom", ns), ..Default::default() };
            odom.pose.pose = node.pose.into();
            odom.twist.twist = convert::twist(node.command.0, node.command.1);
            node.odom.publish(ctx, odom);
            let joints = ["lift_joint", "extend_joint", "finger_left_joint", "finger_right_joint"];
            let position = vec![node.arm[0], node.arm[1], node.arm[2] / 2.0, node.arm[2] / 2.0];
            node.joints.publish(ctx, JointState { name: joints.map(str::to_owned).to_vec(), position, ..Default::default() });
            if node.ticks % 5 == 0 {
                let ranges = (0..360)
                    .map(|i| {
                        ray::cast(&node.map, node.pose.position(), node.pose.yaw + f64::from(i).to_radians(), 12.0, |v| {
                            v == OCCUPIED
                        })
                        .map_or(f32::INFINITY, |r| r as f32)
                    })
                    .collect();
                node.scan.publish(
                    ctx,
                    LaserScan {
                        header: convert::header("laser", ns),
                        angle_increment: 1f32.to_radians(),
                        range_min: 0.16,
                        range_max: 12.0,
                        ranges,
                        ..Default::default()
                    },
                );
            }
            node.ticks += 1;
            Ok(())
        })?;
        Ok(Self {
            pose: Pose2::new(2.0, 2.0, 0.0),
            command: (0.0, 0.0),
            map: map(),
            ticks: 0,
            odom: s.publisher("odom", Qos::sensor_data())?,
            scan: s.publisher("scan", Qos::sensor_data())?,
            joints: s.publisher("joint_states", Qos::sensor_data())?,
            arm: vec![0.0; 3],
        })
    }
}

/// Sends a goal and says on a topic how it ended.
struct Asker {
    client: ActionClient<Act>,
    told: Publisher<Text>,
    sent: Option<GoalId>,
    ticks: u64,
}

impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let action = s.param("action", "move".to_owned()).declare()?;
        let (x, y) = (s.param("x", 4.0).declare()?, s.param("y", 2.5).declare()?);
        let (frame, cancel) = (s.param("frame", "map".to_owned()).declare()?, s.param("cancel", false).declare()?);
        let client = s.action_client::<Act>(
            &action.get(),
            |_: &mut Self, _: &mut Context, _, _: ActFeedback| -> HandlerResult { Ok(()) },
            |node: &mut Self, ctx: &mut Context, _, outcome: Outcome<Act>| -> HandlerResult {
                let data = match outcome {
                    Outcome::Succeeded(result) => format!("succeeded {} {:.3}", result.success, result.energy_wh),
                    Outcome::Aborted(result) => format!("aborted {}", result.reason),
                    Outcome::Canceled(result) => format!("canceled {}", result.reason),
                    other => format!("{other:?}"),
                };
                node.told.publish(ctx, Text { data });
                Ok(())
            },
        )?;
        s.timer(Duration::from_millis(500), move |node: &mut Self, ctx| {
            node.ticks += 1;
            if node.ticks == 2 {
                let target = convert::pose_stamped(&frame.get(), ctx.now().as_nanos(), Pose2::new(x.get(), y.get(), 1.0));
                node.sent = Some(node.client.send(ctx, ActGoal { target, ..Default::default() }));
            }
            if let (7, true, Some(id)) = (node.ticks, cancel.get(), node.sent) {
                node.client.cancel(ctx, id);
            }
            Ok(())
        })?;
        Ok(Self { client, told: s.publisher("told", Qos::reliable(10))?, sent: None, ticks: 0 })
    }
}

fn bench(asker: &[(&str, graph::ParamValue)]) -> (Bench, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    map_file::save(&map(), &dir.path().join("map.yaml")).unwrap();
    std::fs::write(dir.path().join("home.yaml"), HOME).unwrap();
    let mut bench = Bench::new();
    let text = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    bench.add::<Motion>(&[("home", text("home.yaml").into()), ("map", text("map.yaml").into())]).unwrap();
    bench.add::<Base>(&[]).unwrap();
    bench.add::<Asker>(asker).unwrap();
    (bench, dir)
}

#[test]
fn a_move_goal_drives_there_and_everything_is_published_on_the_way() {
    let (mut bench, _dir) = bench(&[]);
    bench.run_for(Duration::from_secs(30));
    let told: Vec<_> = bench.take::<Text>("told").iter().map(|t| t.data.clone()).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("succeeded true 0."), "{told:?}");
    let pose = bench.take::<PoseWithCovarianceStamped>("amcl_pose");
    let last = Pose2::from(&pose.last().unwrap().pose.pose);
    assert!(last.distance(&Pose2::new(4.0, 2.5, 1.0)) < 0.02 && (last.yaw - 1.0).abs() < 0.03, "{last:?}");
    assert_eq!(bench.take::<OccupancyGrid>("map").len(), 1);
    assert!((29..=31).contains(&bench.take::<OccupancyGrid>("motion/costmap").len()));
    let tf = bench.take::<TFMessage>("/tf");
    assert_eq!((tf[0].transforms[0].header.frame_id.as_str(), tf[0].transforms[0].child_frame_id.as_str()), ("map", "odom"));
    assert!(bench.take::<msgs::nav_msgs::msg::Path>("motion/path").iter().any(|path| path.poses.len() >= 2));
    for twist in bench.take::<TwistStamped>("cmd_vel") {
        assert!(twist.twist.linear.x.abs() <= 0.31 && twist.twist.angular.z.abs() <= 1.9);
    }
    let (level, sentence) = bench.status("motion", "localisation").unwrap();
    assert_eq!(level, Level::Ok, "{sentence}");
}

#[test]
fn cancelling_ends_the_goal_as_cancelled() {
    let (mut bench, _dir) = bench(&[("cancel", true.into())]);
    bench.run_for(Duration::from_secs(8));
    let told = bench.take::<Text>("told");
    assert_eq!(told[0].data, "canceled cancelled");
    let speed = bench.take::<TwistStamped>("cmd_vel").last().unwrap().twist.linear.x;
    assert_eq!(speed, 0.0);
}

#[test]
fn goals_that_make_no_sense_are_aborted_with_the_reason() {
    for (action, frame, word) in
        [("move", "moon", "moon"), ("grasp", "", "target"), ("release", "map", "holds nothing"), ("push", "map", "distance")]
    {
        let (mut bench, _dir) = bench(&[("action", action.into()), ("frame", frame.into())]);
        bench.run_for(Duration::from_secs(3));
        let told = bench.take::<Text>("told");
        assert!(told[0].data.starts_with("aborted") && told[0].data.contains(word), "{}", told[0].data);
    }
}

#[test]
fn safety_has_the_last_word() {
    let (mut bench, _dir) = bench(&[]);
    bench.publish("safety/state", SafetyState { level: SafetyState::SAFE_STOP, reason: "test".into(), ..Default::default() });
    bench.run_for(Duration::from_secs(5));
    assert!(
        bench.take::<TwistStamped>("cmd_vel").iter().all(|twist| twist.twist.linear.x == 0.0 && twist.twist.angular.z == 0.0)
    );
}

#[test]
fn without_odometry_and_scans_it_stands_still_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    map_file::save(&map(), &dir.path().join("map.yaml")).unwrap();
    std::fs::write(dir.path().join("home.yaml"), HOME).unwrap();
    let mut bench = Bench::new();
    let text = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    bench.add::<Motion>(&[("home", text("home.yaml").into()), ("map", text("map.yaml").into())]).unwrap();
    bench.run_for(Duration::from_secs(5));
    let (level, sentence) = bench.status("motion", "odometry").unwrap();
    assert_eq!(level, Level::Error);
    assert!(sentence.contains("standing still"));
    bench.publish("scan", LaserScan::default());
    bench.publish("odom", Odometry::default());
    bench.run_for(Duration::from_secs(1));
    assert!(bench.take::<TwistStamped>("cmd_vel").iter().all(|twist| twist.twist.linear.x == 0.0));
}

#[test]
fn a_missing_map_is_said_at_once() {
    let mut bench = Bench::new();
    let error = bench.add::<Motion>(&[("home", "/nonexistent/home.yaml".into())]).unwrap_err().to_string();
    assert!(error.contains("home.yaml"), "{error}");
}
