//! Missions played against a small world without graph: actions succeed or fail as told.

use super::events::ActionEnd;
use super::*;
use crate::goals::Aim;
use crate::world::tests::{cup, home};

/// A body that does what it is told, at once, in a world with one cup.
struct Body {
    mission: Mission,
    now_s: f64,
    pose: Pose2,
    wh: f64,
    charging: bool,
    cup_at: (f64, f64),
    cup_known: bool,
    holding: bool,
    grasps_to_fail: u32,
    said: Vec<String>,
    done: Vec<&'static str>,
    ended: Vec<Goal>,
}

impl Body {
    fn new(wh: f64, cup_at: (f64, f64)) -> Self {
        let mission = Mission::new(MissionSettings::default(), home(), EnergyModel::default());
        Self {
            mission,
            now_s: 0.0,
            pose: Pose2::new(5.0, 2.0, 0.0),
            wh,
            charging: false,
            cup_at,
            cup_known: false,
            holding: false,
            grasps_to_fail: 0,
            said: vec![],
            done: vec![],
            ended: vec![],
        }
    }

    fn ask(&mut self, aim: Aim) -> String {
        let request = Request { id: String::new(), aim, description: "test".into(), priority: 0.5, deadline_s: 0.0 };
        self.mission.accept(request, self.now_s).unwrap()
    }

    fn fetch(&mut self) -> String {
        self.ask(Aim::Fetch { object: "cup".into(), room: "living_room".into() })
    }

    /// Half a second of life.
    fn live(&mut self) {
        self.now_s += 0.5;
        self.wh += if self.charging { 7.5 } else { -12.5 } * 0.5 / 3600.0;
        let charge =
            Charge { wh: self.wh, capacity_wh: 26.0, draw_w: if self.charging { -7.5 } else { 12.5 }, charging: self.charging };
        self.mission.set_charge(charge, self.now_s);
        self.mission.set_pose(self.pose, 0.0);
        let mut objects = vec![];
        if self.cup_known {
            let at = if self.holding { (self.pose.x, self.pose.y) } else { self.cup_at };
            objects.push(SeenObject { held: self.holding, ..cup(at.0, at.1, 0.9) });
        }
        self.mission.set_belief(objects, self.holding, self.now_s);
        for command in self.mission.tick(self.now_s) {
            match command {
                Command::Start(order) => self.act(&order),
                Command::Speak(text) => self.said.push(text),
                Command::GoalChanged(goal) if goal.status.is_final() => self.ended.push(goal),
                _ => {}
            }
        }
    }

    fn act(&mut self, order: &Order) {
        let (position, yaw) = order.target.unwrap();
        let mut success = true;
        self.charging = order.capability == "dock" || (self.charging && order.capability == "wait");
        match order.capability {
            "move" | "dock" => self.pose = Pose2::at(position.truncate(), yaw),
            "observe" => {
                let near = DVec2::new(self.cup_at.0, self.cup_at.1).distance(self.pose.position()) < 1.2;
                self.cup_known |= near;
            }
            "grasp" => {
                assert!(position.truncate().distance(DVec2::new(self.cup_at.0, self.cup_at.1)) < 0.1);
                success = self.grasps_to_fail == 0;
                self.grasps_to_fail = self.grasps_to_fail.saturating_sub(1);
                self.holding = success;
            }
            "release" => {
                self.holding = false;
                self.cup_at = (position.x, position.y);
            }
            "wait" => {
                self.wh += order.duration_s * 7.5 / 3600.0;
            }
            _ => {}
        }
        self.done.push(order.capability);
        let reason = if success { "" } else { "slipped" }.to_owned();
        self.mission.ended(&ActionEnd { token: order.token, success, reason }, self.now_s);
    }

    fn live_for(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.live();
        }
    }
}

#[test]
fn a_cup_of_unknown_place_is_searched_found_and_delivered_with_a_report() {
    for cup_at in [(0.4, 6.1), (3.0, 6.0), (9.6, 5.9)] {
        let mut body = Body::new(20.0, cup_at);
        body.fetch();
        body.live_for(60);
        assert_eq!(body.said, ["I brought the cup to the living room."], "{cup_at:?} {:?}", body.done);
        assert_eq!(body.ended[0].status, Status::Achieved);
        assert!(home().surface("shelf").unwrap().position().distance(DVec2::new(body.cup_at.0, body.cup_at.1)) < 0.5);
        assert!(body.ended[0].energy_wh > 0.0);
    }
}

#[test]
fn a_failed_grasp_is_tried_again_after_another_look() {
    let mut body = Body::new(20.0, (3.0, 6.0));
    body.grasps_to_fail = 2;
    body.fetch();
    body.live_for(80);
    assert_eq!(body.ended[0].status, Status::Achieved, "{:?}", body.done);
    let grasps: Vec<usize> = body.done.iter().enumerate().filter(|d| *d.1 == "grasp").map(|d| d.0).collect();
    assert_eq!(grasps.len(), 3);
    assert!(grasps.iter().all(|i| body.done[i - 1] == "observe"));
}

#[test]
fn after_three_failed_grasps_the_goal_fails_and_the_robot_says_so() {
    let mut body = Body::new(20.0, (3.0, 6.0));
    body.grasps_to_fail = 9;
    body.fetch();
    body.live_for(80);
    assert_eq!(body.ended[0].status, Status::Failed);
    assert!(body.said[0].starts_with("I could not bring the cup: grasp failed 3 times"), "{:?}", body.said);
}

#[test]
fn an_object_that_is_nowhere_is_given_up() {
    let mut body = Body::new(20.0, (-50.0, 0.0));
    body.fetch();
    body.live_for(120);
    assert_eq!(body.ended[0].status, Status::Failed);
    assert!(body.said[0].contains("could not find the cup"), "{:?}", body.said);
    assert_eq!(body.done.iter().filter(|d| **d == "observe").count(), 6, "two looks at each of three surfaces");
}

#[test]
fn low_charge_without_a_goal_sends_the_robot_to_the_dock() {
    let mut body = Body::new(0.19 * 26.0, (3.0, 6.0));
    body.live_for(10);
    assert_eq!(body.done, ["dock"]);
    assert!(body.charging);
    assert_eq!(body.ended[0].status, Status::Achieved);
}

#[test]
fn a_delivery_just_above_the_threshold_ends_at_the_dock() {
    let mut body = Body::new(0.2015 * 26.0, (3.0, 6.0));
    body.fetch();
    body.live_for(60);
    assert_eq!(body.said, ["I brought the cup to the living room."]);
    body.live_for(20);
    assert_eq!(body.done.last(), Some(&"dock"));
    assert!(body.charging);
}

#[test]
fn with_too_little_for_the_task_the_robot_charges_first_and_then_delivers() {
    let mut body = Body::new(1.2, (3.0, 6.0));
    body.fetch();
    body.live_for(80);
    assert_eq!(body.done[..2], ["dock", "wait"], "{:?}", body.done);
    assert!(body.said.contains(&"I brought the cup to the living room.".to_owned()), "{:?}", body.said);
}

#[test]
fn stop_aborts_everything() {
    let mut body = Body::new(20.0, (3.0, 6.0));
    body.fetch();
    body.live();
    body.mission.abort(None, "stopped", body.now_s);
    body.live();
    assert_eq!(body.ended[0].status, Status::Aborted);
    assert!(body.mission.running().is_none());
}

#[test]
fn a_goal_of_higher_priority_interrupts_and_the_first_is_taken_up_again() {
    let mut body = Body::new(20.0, (3.0, 6.0));
    let first = body.fetch();
    body.live();
    let request = Request {
        id: String::new(),
        aim: Aim::GoToRoom { room: "hall".into() },
        description: "come".into(),
        priority: 0.9,
        deadline_s: 0.0,
    };
    body.mission.accept(request, body.now_s).unwrap();
    body.live_for(100);
    assert_eq!(body.said, ["I am in the hall.", "I brought the cup to the living room."]);
    assert_eq!(body.mission.goals().get(&first).unwrap().status, Status::Achieved);
}

#[test]
fn plans_explain_themselves_and_show_computed_alternatives() {
    let mut body = Body::new(20.0, (3.0, 6.0));
    body.fetch();
    body.mission.set_charge(Charge { wh: 20.0, capacity_wh: 26.0, draw_w: 12.0, charging: false }, 0.0);
    body.mission.set_pose(body.pose, 0.0);
    body.mission.tick(0.1);
    let running = body.mission.running().unwrap();
    assert!(running.explanation.contains("it may be at"), "{}", running.explanation);
    assert!(running.alternatives.iter().any(|a| a.starts_with("charge first: ")), "{:?}", running.alternatives);
    assert!(running.alternatives.iter().any(|a| a.starts_with("not look at ")), "{:?}", running.alternatives);
    assert!(running.confidence > 0.1 && running.confidence < 0.9);
    let f = body.mission.forecast().unwrap();
    assert!(f.admissible && f.plan.wh > 0.1 && f.to_dock_wh > 0.0);
}

#[test]
fn saying_it_twice_is_one_goal_and_the_same_life_gives_the_same_actions() {
    let mut body = Body::new(20.0, (9.6, 6.0));
    let a = body.fetch();
    assert_eq!(body.fetch(), a);
    body.live_for(60);
    let mut other = Body::new(20.0, (9.6, 6.0));
    other.fetch();
    other.live_for(60);
    assert_eq!(body.done, other.done);
}
