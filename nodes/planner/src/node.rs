//! The node: a coat around the mission. Ports in, orders out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graph::{
    ActionClient, Context, FreezeError, GoalHandle, GoalId, HandlerResult, Level, Node, NodeError, Outcome, Publisher, Qos,
    Setup, SetupError,
};
use msgs::nav_msgs::msg::{OccupancyGrid, Odometry};
use msgs::omnimind_msgs::action::{Act, ExecuteGoal, ExecuteGoalFeedback, ExecuteGoalResult, Speak, SpeakGoal};
use msgs::omnimind_msgs::msg::{Belief, EnergyForecast, Goal, GoalStatus, Plan, Transcript};
use msgs::omnimind_msgs::srv::{SetGoal, SetGoalRequest, SetGoalResponse};
use msgs::sensor_msgs::msg::BatteryState;
use spatial::{Home, TfBuffer, convert};
use tf::Listener;

use crate::domain::Timing;
use crate::energy::{Charge, EnergyModel};
use crate::goals::Request;
use crate::intent::{self, Refusal, Vocabulary};
use crate::mission::events::ActionEnd;
use crate::mission::{Command, Mission, MissionSettings, Order};
use crate::wire::{self, Asked};

const CAPABILITIES: [&str; 9] = ["move", "grasp", "release", "push", "pull", "rotate", "observe", "wait", "dock"];

/// Older than this, the robot's pose gets a sentence on /diagnostics.
const POSE_AGE: Duration = Duration::from_secs(2);

/// The planner node.
pub struct Planner {
    pub(crate) mission: Mission,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) tf: Listener,
    pub(crate) speed: f64,
    pub(crate) nominal_v: f64,
    pub(crate) clients: BTreeMap<&'static str, ActionClient<Act>>,
    pub(crate) speaker: ActionClient<Speak>,
    pub(crate) sent: Vec<(GoalId, u64, &'static str)>,
    pub(crate) handles: BTreeMap<String, GoalHandle<ExecuteGoal>>,
    pub(crate) plan_out: Publisher<Plan>,
    pub(crate) forecast_out: Publisher<EnergyForecast>,
    pub(crate) status_out: Publisher<GoalStatus>,
    pub(crate) last_plan: Option<Plan>,
}

impl Node for Planner {
    const NAME: &'static str = "planner";
    /// Not where the home's file is, but what is in it is compared.
    const FREE_PARAMETERS: &'static [&'static str] = &["home"];

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let home_file = s
            .param("home", "config/home.yaml".to_owned())
            .describe("model of the home: rooms, dock, surfaces")
            .read_only()
            .declare()?
            .get();
        let home = Home::load(Path::new(&home_file)).map_err(|e| s.failed(format!("parameter home: {e}")))?;
        let labels = ["cup", "bottle", "bowl", "apple", "teddy bear"].map(str::to_owned).to_vec();
        let vocabulary = Vocabulary {
            objects: s
                .param("objects", labels)
                .describe("labels of the objects that may be asked for")
                .read_only()
                .declare()?
                .get(),
            rooms: home.rooms.iter().map(|r| r.label.clone()).collect(),
            wake_required: s
                .param("wake_required", false)
                .describe("refuse sentences without the wake word")
                .read_only()
                .declare()?
                .get(),
            threshold: s
                .param("intent_threshold", 0.55)
                .range(0.0, 1.0)
                .describe("least confidence of an intent to act upon")
                .read_only()
                .declare()?
                .get(),
        };
        let settings = settings(s)?;
        let mut number = |name: &str, default: f64, unit: &'static str, max: f64, what: &str| -> Result<f64, SetupError> {
            Ok(s.param(name, default).unit(unit).range(0.0, max).describe(what).read_only().declare()?.get())
        };
        let model = EnergyModel::new(
            number("idle_w", 12.5, "W", 500.0, "first guess of the standing power")?,
            number("drive_j_per_m", 15.0, "J/m", 500.0, "first guess of the energy of driving")?,
            number("arm_j", 120.0, "J", 10_000.0, "first guess of the energy of one arm action")?,
            number("charge_w", 20.0, "W", 1000.0, "power of the dock into the battery")?,
        );
        let nominal_v = s
            .param("nominal_v", 14.4)
            .unit("V")
            .range(1.0, 1000.0)
            .describe("nominal voltage of the pack")
            .read_only()
            .declare()?
            .get();
        s.subscribe("speech/transcript", Qos::reliable(10), Self::on_transcript)?;
        s.subscribe("planner/goal", Qos::reliable(10), Self::on_goal)?;
        s.subscribe("fusion/belief", Qos::state(), Self::on_belief)?;
        s.subscribe("battery_state", Qos::state(), Self::on_battery)?;
        s.subscribe("map", Qos::state(), Self::on_map)?;
        s.subscribe("odom", Qos::sensor_data(), Self::on_odom)?;
        let tf = Listener::declare(s, TfBuffer::default())?;
        s.service::<SetGoal>("planner/set_goal", Self::set_goal)?;
        s.action_server::<ExecuteGoal>("execute_goal", Self::on_execute, Self::on_execute_cancel)?;
        let mut clients = BTreeMap::new();
        for name in CAPABILITIES {
            let client = s.action_client::<Act>(
                name,
                |_: &mut Self, _, _, _| Ok(()),
                |node: &mut Self, ctx, id, outcome| node.on_done(ctx, id, outcome),
            )?;
            clients.insert(name, client);
        }
        let speaker = s.action_client::<Speak>(
            "speak",
            |_: &mut Self, _, _, _| Ok(()),
            |node: &mut Self, ctx, _, outcome| {
                node.mission.spoken(ctx.now().as_secs_f64());
                if let Outcome::Unavailable(why) = outcome {
                    ctx.warn(format!("could not speak: {why}"));
                }
                Ok(())
            },
        )?;
        s.timer(Duration::from_millis(100), Self::tick)?;
        s.timer(Duration::from_millis(1000), Self::tell_energy)?;
        Ok(Self {
            mission: Mission::new(settings, home, model),
            vocabulary,
            tf,
            speed: 0.0,
            nominal_v,
            clients,
            speaker,
            sent: Vec::new(),
            handles: BTreeMap::new(),
            plan_out: s.publisher("planner/plan", Qos::state())?,
            forecast_out: s.publisher("planner/energy_forecast", Qos::state())?,
            status_out: s.publisher("planner/goal_status", Qos::latched(10))?,
            last_plan: None,
        })
    }

    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        self.frozen()
    }

    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        self.take_up(state)
    }
}

fn settings(s: &mut Setup<Planner>) -> Result<MissionSettings, SetupError> {
    let d = MissionSettings::default();
    let t = Timing::default();
    let mut number = |name: &str, default: f64, unit: &'static str, min: f64, max: f64, what: &str| -> Result<f64, SetupError> {
        Ok(s.param(name, default).unit(unit).range(min, max).describe(what).read_only().declare()?.get())
    };
    let timing = Timing {
        speed: number("speed", t.speed, "m/s", 0.01, 2.0, "mean driving speed")?,
        turn_s: number("turn_s", t.turn_s, "s", 0.0, 60.0, "turning and settling per drive")?,
        observe_s: number("observe_s", t.observe_s, "s", 0.0, 60.0, "looking at a surface")?,
        grasp_s: number("grasp_s", t.grasp_s, "s", 0.0, 300.0, "grasping")?,
        release_s: number("release_s", t.release_s, "s", 0.0, 300.0, "putting down")?,
        push_s: number("push_s", t.push_s, "s", 0.0, 300.0, "pushing or pulling")?,
        dock_s: number("dock_s", t.dock_s, "s", 0.0, 300.0, "docking manoeuvre")?,
    };
    let mut settings = MissionSettings {
        timing,
        reserve_wh: number("reserve_wh", d.reserve_wh, "Wh", 0.0, 100.0, "charge that no plan may touch")?,
        low_at: number("low", d.low_at, "1", 0.0, 1.0, "state of charge below which the robot docks when idle")?,
        charge_to: number("charge_to", d.charge_to, "1", 0.1, 1.0, "state of charge to wait for when a plan charges first")?,
        believe: number("believe", d.believe, "1", 0.0, 1.0, "belief needed to act on an object")?,
        settle_s: number("settle_s", d.settle_s, "s", 0.0, 10.0, "time for the belief to catch up after a look")?,
        radius_m: number("radius_m", d.radius_m, "m", 0.01, 1.0, "radius for travel distances")?,
        clear_m: number("clear_m", d.clear_m, "m", 0.0, 1.0, "room needed around a thing that is put down")?,
        ..d
    };
    let mut count = |name: &str, default: u32, max: i64, what: &str| -> Result<u32, SetupError> {
        let value = s.param(name, i64::from(default)).range(1.0, max as f64).describe(what).read_only().declare()?.get();
        Ok(u32::try_from(value).unwrap_or(default))
    };
    settings.sightings = count("sightings", settings.sightings, 100, "sightings needed to act on an object")?;
    settings.tries = count("tries", settings.tries, 20, "tries of one kind of action for a goal")?;
    settings.looks = count("looks", settings.looks, 20, "looks at every surface before a search is given up")?;
    settings.replans = count("replans", settings.replans, 1000, "plans for one goal")?;
    Ok(settings)
}

impl Planner {
    fn on_transcript(&mut self, ctx: &mut Context, heard: Arc<Transcript>) -> HandlerResult {
        let now_s = ctx.now().as_secs_f64();
        if self.mission.is_talking(now_s) {
            ctx.info(format!("not listening while talking: '{}'", heard.text));
            return Ok(());
        }
        match intent::understand(&heard.text, &self.vocabulary) {
            Ok(intent) => {
                ctx.info(format!("understood '{}' as {:?} ({:.2})", heard.text, intent.wish, intent.confidence));
                match wire::from_wish(&intent.wish, self.mission.home()) {
                    Some(aim) => {
                        let request =
                            Request { id: String::new(), aim, description: heard.text.clone(), priority: 0.5, deadline_s: 0.0 };
                        if let Err(error) = self.mission.accept(request, now_s) {
                            self.mission.say(&format!("I cannot take that on: {error}."), now_s);
                        }
                    }
                    None => self.stop_all("told to stop", now_s),
                }
            }
            Err(refusal @ (Refusal::Empty | Refusal::NotAddressed)) => {
                ctx.info(format!("'{}' ignored: {refusal}", heard.text));
            }
            Err(refusal) => {
                ctx.info(format!("'{}' refused: {refusal}", heard.text));
                self.mission.say(&refusal.to_string(), now_s);
            }
        }
        Ok(())
    }

    fn stop_all(&mut self, reason: &str, now_s: f64) {
        self.mission.abort(None, reason, now_s);
        self.mission.say("I stop.", now_s);
    }

    /// Takes a goal message; the identity of the goal, or a sentence why not.
    fn take(&mut self, goal: &Goal, now_s: f64) -> Result<String, String> {
        match wire::asked(goal, self.mission.home(), &self.vocabulary) {
            Ok(Asked::Goal(request)) => self.mission.accept(request, now_s).map_err(|e| e.to_string()),
            Ok(Asked::Stop) => {
                self.stop_all("told to stop", now_s);
                Ok(String::new())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn on_goal(&mut self, ctx: &mut Context, goal: Arc<Goal>) -> HandlerResult {
        self.take(&goal, ctx.now().as_secs_f64()).map(|_| ()).map_err(|e| NodeError::new(format!("goal refused: {e}")))
    }

    fn set_goal(&mut self, ctx: &mut Context, request: SetGoalRequest) -> Result<SetGoalResponse, NodeError> {
        Ok(match self.take(&request.goal, ctx.now().as_secs_f64()) {
            Ok(goal_id) => SetGoalResponse { accepted: true, goal_id, message: "accepted".into() },
            Err(message) => SetGoalResponse { accepted: false, goal_id: String::new(), message },
        })
    }

    fn on_execute(&mut self, ctx: &mut Context, handle: GoalHandle<ExecuteGoal>) -> HandlerResult {
        match self.take(&handle.goal().goal, ctx.now().as_secs_f64()) {
            Ok(id) if id.is_empty() => handle.succeed(ctx, ExecuteGoalResult::default()),
            Ok(id) => drop(self.handles.insert(id, handle)),
            Err(why) => {
                ctx.warn(format!("goal refused: {why}"));
                handle.reject(ctx);
            }
        }
        Ok(())
    }

    fn on_execute_cancel(&mut self, ctx: &mut Context, id: GoalId) -> HandlerResult {
        let goal = self.handles.iter().find(|(_, h)| h.id() == id).map(|(goal, _)| goal.clone());
        if let Some(goal) = goal {
            self.mission.abort(Some(&goal), "cancelled by its client", ctx.now().as_secs_f64());
        }
        Ok(())
    }

    fn on_belief(&mut self, ctx: &mut Context, belief: Arc<Belief>) -> HandlerResult {
        let objects = belief.objects.iter().map(wire::seen).filter(|o| o.position.is_finite()).collect();
        self.mission.set_belief(objects, belief.gripping, ctx.now().as_secs_f64());
        Ok(())
    }

    fn on_battery(&mut self, ctx: &mut Context, b: Arc<BatteryState>) -> HandlerResult {
        let charging = b.power_supply_status == BatteryState::POWER_SUPPLY_STATUS_CHARGING
            || b.power_supply_status == BatteryState::POWER_SUPPLY_STATUS_FULL;
        // The message has Ah; the pack's nominal voltage makes Wh of them.
        let capacity_wh = f64::from(b.capacity) * self.nominal_v;
        let charge = Charge {
            wh: f64::from(b.percentage) * capacity_wh,
            capacity_wh,
            draw_w: -f64::from(b.current) * f64::from(b.voltage),
            charging,
        };
        self.mission.set_charge(charge, ctx.now().as_secs_f64());
        Ok(())
    }

    fn on_map(&mut self, _: &mut Context, map: Arc<OccupancyGrid>) -> HandlerResult {
        self.mission.set_map(&convert::grid_from_message(&map)?);
        Ok(())
    }

    fn on_odom(&mut self, _: &mut Context, odom: Arc<Odometry>) -> HandlerResult {
        self.speed = odom.twist.twist.linear.x;
        Ok(())
    }

    fn on_done(&mut self, ctx: &mut Context, id: GoalId, outcome: Outcome<Act>) -> HandlerResult {
        let Some(at) = self.sent.iter().position(|s| s.0 == id) else { return Ok(()) };
        let (_, token, name) = self.sent.remove(at);
        let (success, reason) = match outcome {
            Outcome::Succeeded(r) => (r.success, r.reason),
            Outcome::Aborted(r) | Outcome::Canceled(r) => (false, r.reason),
            Outcome::Rejected => (false, format!("'{name}' was rejected")),
            Outcome::Unavailable(why) => (false, why),
        };
        self.mission.ended(&ActionEnd { token, success, reason }, ctx.now().as_secs_f64());
        Ok(())
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        // Missing or old, it is on /diagnostics.
        if let Ok(pose) = self.tf.latest_or_say(ctx, "map", "base_link", POSE_AGE) {
            self.mission.set_pose(pose.to_pose2(), self.speed);
        }
        for command in self.mission.tick(ctx.now().as_secs_f64()) {
            match command {
                Command::Start(order) => self.start(ctx, &order),
                Command::Cancel(token) => {
                    if let Some((id, _, name)) = self.sent.iter().find(|s| s.1 == token) {
                        if let Some(client) = self.clients.get(name) {
                            client.cancel(ctx, *id);
                        }
                    }
                }
                Command::Speak(text) => {
                    ctx.info(format!("says: {text}"));
                    self.speaker.send(ctx, SpeakGoal { text, ..SpeakGoal::default() });
                }
                Command::PlanChanged => self.tell_plan(ctx),
                Command::GoalChanged(goal) => self.tell_goal(ctx, &goal),
                Command::Log(text) => ctx.info(text),
            }
        }
        Ok(())
    }

    fn start(&mut self, ctx: &mut Context, order: &Order) {
        if let Some(client) = self.clients.get(order.capability) {
            let id = client.send(ctx, wire::act_goal(order, ctx.now()));
            self.sent.push((id, order.token, order.capability));
        }
    }

    fn tell_plan(&mut self, ctx: &mut Context) {
        let now = ctx.now();
        let running = self.mission.running();
        let fresh = running.and_then(|r| Some((r, self.mission.goals().get(&r.goal_id)?)));
        let plan = match (fresh, self.last_plan.take()) {
            (Some((running, goal)), _) => wire::plan_msg(running, goal, now),
            (None, Some(mut last)) => {
                last.header = convert::header("map", now.as_nanos());
                last.current = -1;
                if let Some(goal) = self.mission.goals().get(&last.goal.goal_id) {
                    last.goal_status = goal.status as u8;
                }
                last
            }
            (None, None) => return,
        };
        if let Some(handle) = self.handles.get(&plan.goal.goal_id) {
            handle.feedback(ctx, ExecuteGoalFeedback { plan: plan.clone() });
        }
        self.last_plan = Some(plan.clone());
        self.plan_out.publish(ctx, plan);
    }

    fn tell_goal(&mut self, ctx: &mut Context, goal: &crate::goals::Goal) {
        let status = wire::status_msg(goal, ctx.now());
        ctx.info(format!("goal '{}' ({}): {:?}, {}", goal.id, goal.description, goal.status, goal.reason));
        if goal.status.is_final() {
            if let Some(handle) = self.handles.remove(&goal.id) {
                let result = ExecuteGoalResult { status: status.clone() };
                match goal.status {
                    crate::goals::Status::Achieved => handle.succeed(ctx, result),
                    crate::goals::Status::Aborted => handle.canceled(ctx, result),
                    _ => handle.abort(ctx, result),
                }
            }
        }
        self.status_out.publish(ctx, status);
    }

    fn tell_energy(&mut self, ctx: &mut Context) -> HandlerResult {
        match self.mission.forecast() {
            Some(f) => {
                let level = if f.admissible { Level::Ok } else { Level::Warn };
                ctx.status(level, "energy", f.advice.clone());
                self.forecast_out.publish(ctx, wire::forecast_msg(&f, ctx.now()));
            }
            None => ctx.status(Level::Stale, "energy", "no pose or no battery yet"),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
