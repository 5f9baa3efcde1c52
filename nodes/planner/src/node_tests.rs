//! The planner on a bench, with a body that obeys.

use super::*;
use graph::testing::Bench;
use msgs::omnimind_msgs::action::{ActResult, SpeakResult};
use msgs::omnimind_msgs::msg::{BeliefObject, PlanAction};
use msgs::tf2_msgs::msg::TFMessage;
use spatial::{Pose2, Pose3};

/// A body that goes where it is told at once, and a voice that says things at once.
struct Puppet {
    pose: Pose2,
    tf: Publisher<TFMessage>,
    belief: Publisher<Belief>,
    cup: Pose3,
    seen: bool,
    held: bool,
}

impl Node for Puppet {
    const NAME: &'static str = "puppet";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        for name in CAPABILITIES {
            s.action_server::<Act>(name, move |n: &mut Self, ctx, h| n.act(ctx, name, &h), |_, _, _| Ok(()))?;
        }
        s.action_server::<Speak>(
            "speak",
            |_: &mut Self, ctx, h| {
                h.succeed(ctx, SpeakResult { success: true, ..SpeakResult::default() });
                Ok(())
            },
            |_, _, _| Ok(()),
        )?;
        s.timer(Duration::from_millis(100), Self::tell)?;
        Ok(Self {
            pose: Pose2::new(5.0, 2.0, 0.0),
            tf: s.publisher("/tf", Qos::reliable(10))?,
            belief: s.publisher("fusion/belief", Qos::state())?,
            cup: Pose3::from_translation(glam::DVec3::new(3.0, 6.0, 0.5)),
            seen: false,
            held: false,
        })
    }
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        graph::snapshot::pack(&(self.pose, self.cup, self.seen, self.held))
    }
    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        (self.pose, self.cup, self.seen, self.held) = graph::snapshot::unpack(state)?;
        Ok(())
    }
}

impl Puppet {
    fn act(&mut self, ctx: &mut Context, name: &str, handle: &GoalHandle<Act>) -> HandlerResult {
        let target = Pose3::from(&handle.goal().target.pose);
        match name {
            "move" | "dock" => self.pose = target.to_pose2(),
            "observe" => self.seen |= self.pose.position().distance(self.cup.translation.truncate()) < 1.2,
            "grasp" => self.held = true,
            "release" => {
                self.held = false;
                self.cup = target;
            }
            _ => {}
        }
        handle.succeed(ctx, ActResult { success: true, ..ActResult::default() });
        Ok(())
    }

    fn tell(&mut self, ctx: &mut Context) -> HandlerResult {
        let now = ctx.now().as_nanos();
        let transforms = vec![convert::transform_stamped("map", "base_link", now, self.pose.to_pose3())];
        self.tf.publish(ctx, TFMessage { transforms });
        let mut belief = Belief { gripping: self.held, ..Belief::default() };
        if self.seen {
            let position = convert::point(self.cup.translation);
            belief.objects.push(BeliefObject {
                id: 1,
                label: "cup".into(),
                position,
                confidence: 0.95,
                sightings: 9,
                held: self.held,
                ..BeliefObject::default()
            });
        }
        self.belief.publish(ctx, belief);
        Ok(())
    }
}

fn empty() -> Bench {
    // Written once: another test may read it already.
    static HOME: std::sync::LazyLock<std::path::PathBuf> = std::sync::LazyLock::new(|| {
        let home = std::env::temp_dir().join(format!("omnimind-planner-home-{}.yaml", std::process::id()));
        std::fs::write(&home, crate::world::tests::HOME).unwrap();
        home
    });
    let mut bench = Bench::new();
    bench.add::<Planner>(&[("home", HOME.to_string_lossy().into_owned().into())]).unwrap();
    bench.add::<Puppet>(&[]).unwrap();
    bench
}

fn bench(percentage: f32) -> Bench {
    let mut bench = empty();
    let battery = BatteryState { percentage, capacity: 26.0 / 14.4, voltage: 14.4, current: -0.9, ..BatteryState::default() };
    bench.publish("battery_state", battery);
    bench
}

#[test]
fn words_become_a_plan_that_is_carried_out_and_reported() {
    let mut bench = bench(0.8);
    bench.run_for(Duration::from_millis(300));
    bench.publish(
        "speech/transcript",
        Transcript { text: "hey only bring the cap to the living room".into(), ..Transcript::default() },
    );
    bench.run_for(Duration::from_secs(20));
    let statuses: Vec<u8> = bench.take::<GoalStatus>("planner/goal_status").iter().map(|s| s.status).collect();
    assert_eq!(statuses, [GoalStatus::PENDING, GoalStatus::ACTIVE, GoalStatus::ACHIEVED]);
    let plans = bench.take::<Plan>("planner/plan");
    let last = plans.last().unwrap();
    assert_eq!((last.goal_status, last.current), (GoalStatus::ACHIEVED, -1));
    assert!(plans.iter().any(|p| p.current == 0 && p.actions[0].status == PlanAction::IN_PROGRESS));
    assert!(plans.iter().all(|p| p.admissible && !p.explanation.is_empty()));
    assert!(bench.logs().iter().any(|l| l.message.contains("I brought the cup to the living room.")));
    assert!(!bench.take::<EnergyForecast>("planner/energy_forecast").is_empty());
}

/// What was said but for what is measured.
fn said(bench: &mut Bench) -> Vec<(String, u64, i64, Vec<u8>)> {
    let all = bench.take_all().into_iter().filter(|m| &*m.topic != "/graph/statistics" && &*m.publisher != "/bench");
    all.map(|m| (m.topic.to_string(), m.sequence, m.stamp.as_nanos(), m.to_cdr())).collect()
}

#[test]
fn a_mission_that_goes_on_from_a_snapshot_is_the_same_mission_at_every_moment_of_it() {
    let words = Transcript { text: "hey only bring the cap to the living room".into(), ..Transcript::default() };
    let mut first = bench(0.8);
    first.run_for(Duration::from_millis(300));
    first.publish("speech/transcript", words);
    let mut frozen = Vec::new();
    for _ in 0..14 {
        first.run_for(Duration::from_millis(700));
        frozen.push((first.snapshot().unwrap(), first.now()));
    }
    let whole = said(&mut first);
    assert!(whole.iter().filter(|m| m.0 == "/planner/plan").count() > 5);
    for (bytes, at) in frozen {
        let mut again = empty();
        assert_eq!(again.resume(&bytes).unwrap(), at);
        again.run_for(Duration::from_secs_f64(first.now().seconds_since(at)));
        let expected: Vec<_> = whole.iter().filter(|m| m.2 > at.as_nanos()).collect();
        let found = said(&mut again);
        for (a, b) in expected.iter().zip(&found) {
            assert!(**a == *b, "from {} s on: {} {} at {} ns", at.as_secs_f64(), a.0, a.1, a.2);
        }
        assert_eq!(expected.len(), found.len());
        assert!(again.snapshot().unwrap() == first.snapshot().unwrap());
    }
}

#[test]
fn a_low_battery_without_a_goal_docks() {
    let mut bench = bench(0.15);
    bench.run_for(Duration::from_secs(3));
    let plans = bench.take::<Plan>("planner/plan");
    assert_eq!(plans[0].goal.kind, Goal::DOCK);
    assert_eq!(plans[0].actions[0].type_, PlanAction::MOVE);
}

#[test]
fn the_service_answers_in_words() {
    let mut bench = bench(0.8);
    bench.run_for(Duration::from_millis(300));
    let ask = |description: &str| SetGoalRequest { goal: Goal { description: description.into(), ..Goal::default() } };
    let answer = bench.call::<SetGoal>("planner/set_goal", ask("bring the apple to the hall")).unwrap();
    assert!(answer.accepted && !answer.goal_id.is_empty(), "{}", answer.message);
    let answer = bench.call::<SetGoal>("planner/set_goal", ask("bring the helicopter to the hall")).unwrap();
    assert!(!answer.accepted && answer.message.contains("teddy bear"), "{}", answer.message);
    let goal = Goal { kind: Goal::FETCH, object_label: "cup".into(), room: "attic".into(), ..Goal::default() };
    let answer = bench.call::<SetGoal>("planner/set_goal", SetGoalRequest { goal }).unwrap();
    assert!(!answer.accepted && answer.message.contains("attic"), "{}", answer.message);
    let answer = bench.call::<SetGoal>("planner/set_goal", ask("stop")).unwrap();
    assert!(answer.accepted);
    bench.run_for(Duration::from_millis(300));
    let last = bench.take::<GoalStatus>("planner/goal_status").last().map(|s| s.status);
    assert_eq!(last, Some(GoalStatus::ABORTED));
}
