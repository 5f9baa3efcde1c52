//! The judge: has the request spoken, watches the truth, says whether the world shows what was asked.

use crate::mission::{Mission, draw};
use crate::node::{SAY_TOPIC, world_params};
use graph::{Context, HandlerResult, Node, Param, Publisher, Qos, Setup, SetupError};
use msgs::omnimind_msgs::msg::{GoalStatus, MissionState, SimState};
use msgs::std_msgs::msg::String as Text;
use spatial::convert::header;
use std::sync::Arc;
use std::time::Duration;

/// An object at rest has not moved further than this in [`REST_S`], m.
const REST_M: f64 = 0.005;
/// s.
const REST_S: f64 = 1.0;
/// Standing on something means that the object's middle is higher than this; on the floor it was dropped, m.
const STANDING_M: f64 = 0.25;
/// How long a person waits for an answer before saying the request again, s.
const PATIENCE_S: f64 = 12.0;
/// How often a person says it at most.
const TRIES: u32 = 3;
/// Docked for so long counts as docked, s.
const DOCKED_S: f64 = 2.0;

/// What the judge concludes from the truth alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The object was in the gripper at some time.
    pub taken: bool,
    /// Taken, released in the asked room, standing, at rest.
    pub delivered: bool,
    /// In the dock now and for `DOCKED_S`.
    pub docked: bool,
    /// The charge grows.
    pub charging: bool,
}

/// Judges a mission from one state of the truth to the next.
#[derive(Clone, Debug)]
pub struct Judge {
    object: String,
    room: String,
    verdict: Verdict,
    rest: Option<(f64, [f64; 3])>,
    docked_since: Option<(f64, f32)>,
}

impl Judge {
    /// A judge of whether `object` (model name) gets to `room` (name), and the robot then to its dock.
    pub fn new(object: &str, room: &str) -> Self {
        Self { object: object.into(), room: room.into(), verdict: Verdict::default(), rest: None, docked_since: None }
    }

    /// Takes the truth at `time_s`, and says what it shows so far.
    pub fn see(&mut self, time_s: f64, state: &SimState) -> &Verdict {
        let held = state.held == self.object;
        self.verdict.taken |= held;
        if let Some(o) = state.objects.iter().find(|o| o.name == self.object) {
            let p = [o.pose.position.x, o.pose.position.y, o.pose.position.z];
            let moved = self.rest.is_none_or(|(_, q)| p.iter().zip(q).any(|(a, b)| (a - b).abs() > REST_M));
            if moved || held {
                self.rest = Some((time_s, p));
            }
            let still = self.rest.is_some_and(|(since, _)| time_s - since >= REST_S);
            self.verdict.delivered = self.verdict.taken && !held && still && o.room == self.room && p[2] > STANDING_M;
        }
        self.docked_since = match (state.docked, self.docked_since) {
            (true, None) => Some((time_s, state.charge_wh)),
            (true, since) => since,
            (false, _) => None,
        };
        let long = self.docked_since.is_some_and(|(since, _)| time_s - since >= DOCKED_S);
        self.verdict.docked = long;
        self.verdict.charging = long && self.docked_since.is_some_and(|(_, charge)| state.charge_wh > charge);
        &self.verdict
    }
}

/// The scenario of the demonstration as a node.
pub struct Scenario {
    mission: Mission,
    judge: Judge,
    verdict: Verdict,
    limit: Param<f64>,
    say_at: Param<f64>,
    dock_too: Param<bool>,
    say: Publisher<Text>,
    out: Publisher<MissionState>,
    began_s: f64,
    spoken: bool,
    /// Times the request was said, when it was said last, and whether the robot has answered with a goal.
    said: u32,
    said_at_s: f64,
    understood: bool,
    result: u8,
    reason: String,
    seen: bool,
}

impl Node for Scenario {
    const NAME: &'static str = "scenario";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let p = world_params(s)?;
        let mission = draw(&p.world, &p.options.requests, p.options.seed).map_err(|e| s.failed(e))?;
        let limit = s
            .param("time_limit_s", 600.0)
            .unit("s")
            .range(1.0, 86_400.0)
            .describe("simulated time after which the mission has failed")
            .declare()?;
        let say_at =
            s.param("say_at_s", 2.0).unit("s").range(0.0, 600.0).describe("when the person begins to speak").declare()?;
        let dock_too =
            s.param("require_dock", true).describe("the mission ends in the dock, charging, not with the delivery").declare()?;
        let say = s.publisher(SAY_TOPIC, Qos::reliable(10))?;
        let out = s.publisher("sim/mission", Qos::state())?;
        s.subscribe("sim/state", Qos::reliable(10), Self::on_state)?;
        // The robot's own word that it has a goal: the only thing the person hears back.
        s.subscribe("planner/goal_status", Qos::reliable(10), |node: &mut Self, _, _: Arc<GoalStatus>| {
            node.understood = true;
            Ok(())
        })?;
        s.timer(Duration::from_millis(100), Self::tick)?;
        Ok(Self {
            judge: Judge::new(&mission.object, &mission.room),
            mission,
            verdict: Verdict::default(),
            limit,
            say_at,
            dock_too,
            say,
            out,
            began_s: 0.0,
            spoken: false,
            said: 0,
            said_at_s: 0.0,
            understood: false,
            result: MissionState::RUNNING,
            reason: String::new(),
            seen: false,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.began_s = ctx.now().as_secs_f64();
        Ok(())
    }
}

impl Scenario {
    fn on_state(&mut self, ctx: &mut Context, m: Arc<SimState>) -> HandlerResult {
        self.seen = true;
        let delivered = self.verdict.delivered;
        self.verdict = self.judge.see(ctx.now().as_secs_f64() - self.began_s, &m).clone();
        // What was once brought and put down stays brought, unless it is taken up or falls again.
        if self.verdict.delivered && !delivered {
            ctx.info(format!("the {} stands in the {}", self.mission.object_label, self.mission.room_label));
        }
        Ok(())
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let time = ctx.now().as_secs_f64() - self.began_s;
        // A person whom nothing answers says it again.
        let again = self.spoken && !self.understood && self.said < TRIES && time - self.said_at_s >= PATIENCE_S;
        if again || (!self.spoken && time >= self.say_at.get()) {
            self.spoken = true;
            self.said += 1;
            self.said_at_s = time;
            if let Some(request) = &self.mission.request {
                self.say.publish(ctx, Text { data: request.file.clone() });
            }
        }
        if self.result == MissionState::RUNNING {
            self.decide(ctx, time);
        }
        Ok(())
    }

    fn decide(&mut self, ctx: &mut Context, time: f64) {
        let v = &self.verdict;
        let home = !self.dock_too.get() || (v.docked && v.charging);
        if v.delivered && home {
            self.result = MissionState::ACHIEVED;
            self.reason = format!("the {} is in the {}", self.mission.object_label, self.mission.room_label);
            if self.dock_too.get() {
                self.reason.push_str(" and the robot charges in its dock");
            }
        } else if time >= self.limit.get() {
            self.result = MissionState::FAILED;
            let missing = if !self.seen {
                "no state of a simulator was heard"
            } else if !v.taken {
                "the object was never taken"
            } else if !v.delivered {
                "the object was not delivered"
            } else if !v.docked {
                "the robot is not in its dock"
            } else {
                "the robot does not charge"
            };
            self.reason = format!("after {time:.0} s {missing}");
        }
        let state = self.message(ctx, time);
        self.out.publish(ctx, state);
        if self.result != MissionState::RUNNING {
            ctx.info(format!("mission over: {}", self.reason));
            ctx.shutdown(format!("mission over: {}", self.reason));
        }
    }

    fn message(&self, ctx: &Context, time: f64) -> MissionState {
        let v = &self.verdict;
        let phase = match (self.spoken, v.delivered, v.docked) {
            (false, ..) => "waiting",
            (true, true, true) => "docked",
            (true, true, false) => "delivered",
            (true, false, _) => "spoken",
        };
        let spoken = match &self.mission.request {
            Some(r) => r.text.clone(),
            None => format!("bring the {} to the {}", self.mission.object_label, self.mission.room_label),
        };
        MissionState {
            header: header("map", ctx.now().as_nanos()),
            spoken: if self.spoken { spoken } else { String::new() },
            object_name: self.mission.object.clone(),
            object_label: self.mission.object_label.clone(),
            room: self.mission.room.clone(),
            phase: phase.to_owned(),
            delivered: v.delivered,
            docked: v.docked,
            charging: v.charging,
            result: self.result,
            reason: self.reason.clone(),
            duration: time as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::omnimind_msgs::msg::SimObject;

    fn state(held: &str, room: &str, z: f64, docked: bool, charge: f32) -> SimState {
        let mut o = SimObject { name: "cup".into(), label: "cup".into(), room: room.into(), ..Default::default() };
        o.pose.position.z = z;
        SimState { objects: vec![o], held: held.into(), docked, charge_wh: charge, ..Default::default() }
    }

    fn play(judge: &mut Judge, from: f64, seconds: f64, s: &SimState) -> Verdict {
        let mut v = Verdict::default();
        for i in 0..(seconds * 10.0) as usize {
            v = judge.see(from + i as f64 * 0.1, s).clone();
        }
        v
    }

    #[test]
    fn delivered_means_taken_released_standing_at_rest_in_the_room() {
        let mut j = Judge::new("cup", "kitchen");
        assert!(!play(&mut j, 0.0, 3.0, &state("", "kitchen", 0.5, false, 5.0)).delivered, "never taken");
        assert!(!play(&mut j, 3.0, 2.0, &state("cup", "kitchen", 0.5, false, 5.0)).delivered, "still held");
        assert!(!play(&mut j, 5.0, 0.8, &state("", "kitchen", 0.49, false, 5.0)).delivered, "not at rest yet");
        assert!(play(&mut j, 5.8, 1.0, &state("", "kitchen", 0.49, false, 5.0)).delivered);
    }

    #[test]
    fn dropped_on_the_floor_or_left_in_another_room_is_not_delivered() {
        for s in [state("", "kitchen", 0.05, false, 5.0), state("", "hall", 0.5, false, 5.0)] {
            let mut j = Judge::new("cup", "kitchen");
            play(&mut j, 0.0, 1.0, &state("cup", "hall", 0.5, false, 5.0));
            assert!(!play(&mut j, 1.0, 5.0, &s).delivered);
        }
    }

    #[test]
    fn charging_means_docked_for_a_while_with_a_growing_charge() {
        let mut j = Judge::new("cup", "kitchen");
        play(&mut j, 0.0, 3.0, &state("", "hall", 0.5, true, 5.0));
        let v = play(&mut j, 3.0, 0.5, &state("", "hall", 0.5, true, 5.0));
        assert!(v.docked && !v.charging);
        assert!(play(&mut j, 3.5, 0.5, &state("", "hall", 0.5, true, 5.01)).charging);
        assert!(!play(&mut j, 4.0, 0.5, &state("", "hall", 0.5, false, 5.01)).docked);
    }
}
