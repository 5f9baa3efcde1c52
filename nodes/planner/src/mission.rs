//! The mission: keeps goals, plans and the running action together. It is told what happens and answers with orders.

use std::collections::BTreeMap;

use glam::{DVec2, DVec3};
use spatial::{Grid, Home, Pose2};

use crate::domain::{Action, Timing};
use crate::energy::{Charge, EnergyModel, Forecast, forecast};
use crate::goals::{AcceptError, Goal, GoalBook, Request, Status};
use crate::search::Plan;
use crate::travel::{self, Distances};
use crate::world::{self, DOCK, Place, PlaceKind, SeenObject};

pub mod events;
pub(crate) mod frozen;
mod planning;
#[cfg(test)]
mod tests;

/// Settings of the mission.
#[derive(Clone, Debug, PartialEq)]
pub struct MissionSettings {
    /// Durations of actions.
    pub timing: Timing,
    /// Never to be touched, Wh.
    pub reserve_wh: f64,
    /// Low threshold of the state of charge.
    pub low_at: f64,
    /// State of charge to wait for at the dock when a plan charges first.
    pub charge_to: f64,
    /// Belief needed to act on an object.
    pub believe: f64,
    /// Sightings needed to act on an object.
    pub sightings: u32,
    /// Tries of one kind of action for a goal.
    pub tries: u32,
    /// New plans for one goal.
    pub replans: u32,
    /// Looks at every surface before a search is given up.
    pub looks: u32,
    /// After a look, time for the belief to catch up, s.
    pub settle_s: f64,
    /// Radius with margin for travel distances, m.
    pub radius_m: f64,
    /// Room needed around a thing that is put down, m.
    pub clear_m: f64,
}

impl Default for MissionSettings {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            reserve_wh: 0.8,
            low_at: 0.20,
            charge_to: 0.8,
            believe: 0.6,
            sightings: 3,
            tries: 3,
            replans: 40,
            looks: 2,
            settle_s: 1.0,
            radius_m: 0.18,
            clear_m: 0.18,
        }
    }
}

/// Name of an action server. (Written out, serde would want to borrow it.)
pub type Capability = &'static str;

/// Something for the body to do.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Order {
    /// Number of the order; results quote it.
    pub token: u64,
    /// Name of the action server: move, grasp, release, push, pull, rotate, observe, wait, dock.
    #[serde(with = "frozen::word")]
    pub capability: Capability,
    /// Where in the map: position, m, and yaw, rad.
    #[serde(with = "frozen::target")]
    pub target: Option<(DVec3, f64)>,
    /// Label of the object, empty if none is meant.
    pub object: String,
    /// For push and pull, m.
    pub distance_m: f64,
    /// For rotate and observe, rad.
    pub angle: f64,
    /// For wait, s.
    pub duration_s: f64,
}

/// What the mission wants done.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Command {
    /// Begin an action.
    Start(Order),
    /// Cancel the action with this token.
    Cancel(u64),
    /// Say something.
    Speak(String),
    /// The plan has changed: publish it.
    PlanChanged,
    /// A goal has changed: publish it.
    GoalChanged(Goal),
    /// Log a sentence.
    Log(String),
}

/// State of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum StepStatus {
    /// Not begun.
    Planned = 0,
    /// Running.
    InProgress = 1,
    /// Done.
    Completed = 2,
    /// Did not work.
    Failed = 3,
    /// Called off.
    Cancelled = 4,
}

/// A plan being carried out.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Running {
    /// The goal it serves.
    pub goal_id: String,
    /// The plan.
    pub plan: Plan,
    /// Its places.
    pub places: Vec<Place>,
    /// State of every step.
    pub statuses: Vec<StepStatus>,
    /// Index of the step in progress; the number of steps when all are done.
    pub current: usize,
    /// Why this plan.
    pub explanation: String,
    /// Other plans and why they were not taken, a line each.
    pub alternatives: Vec<String>,
    /// Probability that it works out as it stands.
    pub confidence: f64,
    /// Label of the object.
    pub object: String,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Ongoing {
    order: Order,
    started_s: f64,
    limit_s: f64,
    cancelled: Option<f64>,
    last_step: Option<usize>,
}

/// The mission.
#[derive(Clone, Debug)]
pub struct Mission {
    settings: MissionSettings,
    home: Home,
    /// Goals.
    goals: GoalBook,
    model: EnergyModel,
    charge: Option<Charge>,
    charge_s: Option<f64>,
    pose: Option<Pose2>,
    speed: f64,
    objects: Vec<SeenObject>,
    gripping: bool,
    costs: Option<Grid<u8>>,
    table: Option<Distances>,
    running: Option<Running>,
    action: Option<Ongoing>,
    settling_until_s: Option<f64>,
    looks: BTreeMap<usize, u32>,
    tried: BTreeMap<&'static str, u32>,
    blocked: BTreeMap<usize, f64>,
    replans: u32,
    next_token: u64,
    next_plan_s: f64,
    dock_retry_s: f64,
    silent_until_s: f64,
    out: Vec<Command>,
}

impl Mission {
    /// A mission in a home.
    #[must_use]
    pub fn new(settings: MissionSettings, home: Home, model: EnergyModel) -> Self {
        Self {
            settings,
            home,
            goals: GoalBook::default(),
            model,
            charge: None,
            charge_s: None,
            pose: None,
            speed: 0.0,
            objects: Vec::new(),
            gripping: false,
            costs: None,
            table: None,
            running: None,
            action: None,
            settling_until_s: None,
            looks: BTreeMap::new(),
            tried: BTreeMap::new(),
            blocked: BTreeMap::new(),
            replans: 0,
            next_token: 1,
            next_plan_s: 0.0,
            dock_retry_s: 0.0,
            silent_until_s: f64::NEG_INFINITY,
            out: Vec::new(),
        }
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The goals.
    #[must_use]
    pub fn goals(&self) -> &GoalBook {
        &self.goals
    }

    /// The plan being carried out.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// The learnt power numbers.
    #[must_use]
    pub fn model(&self) -> &EnergyModel {
        &self.model
    }

    /// Takes the map (occupancy 0..100, -1 unknown).
    pub fn set_map(&mut self, map: &Grid<i8>) {
        self.costs = Some(travel::costs(map, self.settings.radius_m));
        self.table = None;
    }

    /// Takes the robot's pose in the map and its speed (m/s).
    pub fn set_pose(&mut self, pose: Pose2, speed: f64) {
        if pose.is_finite() && speed.is_finite() {
            self.pose = Some(pose);
            self.speed = speed;
        }
    }

    /// Takes the battery's state; learns power numbers and books the energy on the active goal.
    pub fn set_charge(&mut self, charge: Charge, now_s: f64) {
        if !(charge.wh.is_finite() && charge.capacity_wh > 0.0 && charge.draw_w.is_finite()) {
            return;
        }
        if let Some(last) = self.charge_s {
            let dt = (now_s - last).clamp(0.0, 2.0);
            if !charge.charging {
                let arm =
                    self.action.as_ref().is_some_and(|a| matches!(a.order.capability, "grasp" | "release" | "push" | "pull"));
                self.model.learn(charge.draw_w, self.speed, dt, arm);
                self.goals.spend(charge.draw_w.max(0.0) * dt / 3600.0);
            }
        }
        self.charge_s = Some(now_s);
        self.charge = Some(charge);
    }

    /// The forecast, once pose and charge are known.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        let (charge, pose) = (self.charge?, self.pose?);
        let distance = self.distance_to_dock(pose.position());
        let problem_cost = |distance_m: f64| {
            self.model.cost(&crate::energy::Effort {
                duration_s: distance_m / self.settings.timing.speed + self.settings.timing.turn_s + self.settings.timing.dock_s,
                distance_m,
                arm_actions: 0.0,
            })
        };
        let rest = self.running.as_ref().map_or(&[][..], |r| &r.plan.steps[r.current.min(r.plan.steps.len())..]);
        let spending = rest.iter().filter(|s| s.energy.wh > 0.0);
        let plan = crate::energy::Energy {
            wh: spending.clone().map(|s| s.energy.wh).sum(),
            sigma_wh: spending.map(|s| s.energy.sigma_wh.powi(2)).sum::<f64>().sqrt(),
        };
        let charges = rest.iter().any(|s| s.energy.wh < 0.0);
        let to_dock = problem_cost(distance);
        let after = match (rest.last(), self.running.as_ref()) {
            (Some(last), Some(running)) => {
                running.places.get(last.place).map_or(to_dock, |p| problem_cost(self.distance_to_dock(p.pose.position())))
            }
            _ => to_dock,
        };
        let ends_docked = rest.last().is_some_and(|s| s.place == DOCK);
        let after = if ends_docked || charges { crate::energy::Energy::default() } else { after };
        let reserve = if ends_docked { 0.0 } else { self.settings.reserve_wh };
        let plan = if charges { crate::energy::Energy::default() } else { plan };
        Some(forecast(charge, to_dock, plan, after, reserve, self.settings.low_at))
    }

    fn distance_to_dock(&self, from: DVec2) -> f64 {
        let dock = self.home.dock_pose().position();
        let over_map = self.table.as_ref().and_then(|t| {
            // From the nearest place whose distance is known: cheap enough for every second.
            let places = world::places(&self.home, Pose2::at(from, 0.0), None);
            places
                .iter()
                .enumerate()
                .skip(1)
                .map(|(i, p)| from.distance(p.pose.position()) * 1.2 + t.get(i, DOCK))
                .filter(|d| d.is_finite())
                .min_by(f64::total_cmp)
        });
        over_map.unwrap_or_else(|| from.distance(dock) * 1.4)
    }

    /// Accepts a goal.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn accept(&mut self, request: Request, now_s: f64) -> Result<String, AcceptError> {
        if let Some(same) = self.goals.live().iter().find(|g| g.aim == request.aim && request.id.is_empty()) {
            // Saying it twice is not asking for it twice.
            return Ok(same.id.clone());
        }
        let id = self.goals.accept(request, now_s)?;
        self.report_goal(&id);
        Ok(id)
    }

    /// Aborts one goal, or all of them with None.
    pub fn abort(&mut self, id: Option<&str>, reason: &str, now_s: f64) {
        let ids: Vec<String> = self.goals.live().iter().filter(|g| id.is_none_or(|i| i == g.id)).map(|g| g.id.clone()).collect();
        for id in ids {
            self.finish(&id, Status::Aborted, reason, now_s);
        }
    }

    /// Whether the robot itself has just been talking: what is heard then is likely its own voice.
    #[must_use]
    pub fn is_talking(&self, now_s: f64) -> bool {
        now_s < self.silent_until_s
    }

    /// Notes that speaking ended; its echo may still come.
    pub fn spoken(&mut self, now_s: f64) {
        self.silent_until_s = now_s + 1.5;
    }

    /// Says a sentence.
    pub fn say(&mut self, text: &str, now_s: f64) {
        let words = text.split_whitespace().count() as f64;
        self.silent_until_s = self.silent_until_s.max(now_s + 2.0 + 0.5 * words);
        self.out.push(Command::Speak(text.to_owned()));
    }

    fn report_goal(&mut self, id: &str) {
        if let Some(goal) = self.goals.get(id) {
            self.out.push(Command::GoalChanged(goal.clone()));
        }
    }

    /// Ends a goal, with everything that runs for it.
    fn finish(&mut self, id: &str, status: Status, reason: &str, now_s: f64) {
        let was_running = self.running.as_ref().is_some_and(|r| r.goal_id == id);
        if was_running {
            self.cancel_action(now_s);
        }
        if let Some(goal) = self.goals.end(id, status, reason, now_s) {
            self.out.push(Command::GoalChanged(goal));
        }
        if was_running {
            self.out.push(Command::PlanChanged);
            self.running = None;
            self.settling_until_s = None;
        }
    }

    fn cancel_action(&mut self, now_s: f64) {
        if let Some(action) = self.action.as_mut().filter(|a| a.cancelled.is_none()) {
            action.cancelled = Some(now_s);
            self.out.push(Command::Cancel(action.order.token));
            if let Some(running) = &mut self.running {
                if let Some(status) = running.statuses.get_mut(running.current) {
                    *status = StepStatus::Cancelled;
                }
            }
        }
    }

    /// The order for a step.
    fn order(&mut self, running: &Running, step: usize) -> Option<Order> {
        let s = running.plan.steps.get(step)?;
        let place = running.places.get(s.place)?;
        let stand = (place.pose.position().extend(0.0), place.pose.yaw);
        let token = self.next_token;
        self.next_token += 1;
        let mut order = Order {
            token,
            capability: s.action.name(),
            target: Some(stand),
            object: running.object.clone(),
            distance_m: 0.0,
            angle: 0.0,
            duration_s: 0.0,
        };
        match s.action {
            Action::Move { to: DOCK } => order.capability = "dock",
            Action::Move { .. } => order.object.clear(),
            Action::Rotate => {
                let yaw = self.pose.map_or(0.0, |p| p.yaw);
                order.angle = spatial::angle::difference(place.pose.yaw, yaw);
            }
            Action::Observe => {
                order.angle = 0.5;
                if let PlaceKind::Surface(i) = place.kind {
                    let surface = self.home.surfaces.get(i)?;
                    order.target = Some((surface.position().extend(surface.height), place.pose.yaw));
                }
            }
            Action::Grasp => {
                let object = self.object_at(&running.object, s.place)?;
                order.target = Some((object.position, place.pose.yaw));
            }
            Action::Release => {
                let PlaceKind::Surface(i) = place.kind else { return None };
                let spot = world::put_spot(&self.home, i, &self.objects, &running.object, self.settings.clear_m)?;
                order.target = Some((spot, place.pose.yaw));
            }
            Action::Push | Action::Pull => order.distance_m = 0.08,
            Action::Wait => order.duration_s = s.duration_s,
        }
        Some(order)
    }
}
