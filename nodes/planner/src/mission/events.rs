//! What happens to a mission: time, results of actions, news of the belief.

use super::{Command, Mission, Ongoing, Order, StepStatus};
use crate::domain::Action;
use crate::goals::{Aim, Goal, Request, Status};
use crate::world::{self, FIRST_SURFACE, PlaceKind, SeenObject};

/// How an action ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionEnd {
    /// Token of the order.
    pub token: u64,
    /// Whether it did what it should.
    pub success: bool,
    /// Why not.
    pub reason: String,
}

/// After a cancel, an action that does not answer for this long is given up, s.
const CANCEL_LIMIT_S: f64 = 5.0;
/// A place that could not be reached is left out for this long, s.
const BLOCK_S: f64 = 45.0;

impl Mission {
    /// Takes the fused belief: objects and whether something is in the gripper.
    pub fn set_belief(&mut self, objects: Vec<SeenObject>, gripping: bool, now_s: f64) {
        self.objects = objects;
        let lost = self.gripping && !gripping;
        self.gripping = gripping;
        let Some(running) = &self.running else { return };
        let label = running.object.clone();
        let Some(step) = running.plan.steps.get(running.current).copied() else { return };
        if lost && self.action.as_ref().is_some_and(|a| a.order.capability == "move" && a.cancelled.is_none()) {
            let carried = running.plan.steps[running.current..].iter().any(|s| s.action == Action::Release)
                && !running.plan.steps[running.current..].iter().any(|s| s.action == Action::Grasp);
            if carried {
                self.replan(&format!("the {label} was dropped on the way"), now_s);
                return;
            }
        }
        // Seen for certain on another surface than the one being gone to: a pleasant surprise.
        let searching = matches!(step.action, Action::Move { .. })
            && running.plan.steps.get(running.current + 1).is_some_and(|s| s.action == Action::Observe);
        if searching && !label.is_empty() && self.action.as_ref().is_some_and(|a| a.cancelled.is_none()) {
            let elsewhere = world::best(&self.objects, &label)
                .filter(|o| self.trusted(o) && o.confidence > 0.75)
                .and_then(|o| world::surface_of(&self.home, o.position))
                .map(|i| FIRST_SURFACE + i)
                .filter(|place| *place != step.place && self.blocked.get(place).is_none_or(|until| now_s >= *until));
            if let Some(place) = elsewhere {
                let name = running.places.get(place).map_or_else(String::new, |p| p.name.clone());
                self.replan(&format!("the {label} is seen at {name}"), now_s);
            }
        }
    }

    /// Lets time pass; call it regularly. Returns what is to be done, in order.
    pub fn tick(&mut self, now_s: f64) -> Vec<Command> {
        self.expire(now_s);
        self.watch_action(now_s);
        self.guard_energy(now_s);
        self.choose_goal(now_s);
        self.settle(now_s);
        self.advance(now_s);
        std::mem::take(&mut self.out)
    }

    fn expire(&mut self, now_s: f64) {
        for goal in self.goals.expire(now_s) {
            self.out.push(Command::GoalChanged(goal.clone()));
            if self.running.as_ref().is_some_and(|r| r.goal_id == goal.id) {
                self.cancel_action(now_s);
                self.running = None;
                self.settling_until_s = None;
                self.out.push(Command::PlanChanged);
            }
            self.say(&format!("I ran out of time: {}", goal.description), now_s);
        }
    }

    fn watch_action(&mut self, now_s: f64) {
        let Some(action) = &self.action else { return };
        match action.cancelled {
            Some(at) if now_s - at > CANCEL_LIMIT_S => {
                self.out.push(Command::Log(format!("'{}' does not answer to its cancellation", action.order.capability)));
                self.action = None;
            }
            None if now_s - action.started_s > action.limit_s => {
                let reason = format!("'{}' took longer than {:.0} s", action.order.capability, action.limit_s);
                self.out.push(Command::Cancel(action.order.token));
                let token = action.order.token;
                self.ended(&ActionEnd { token, success: false, reason }, now_s);
            }
            _ => {}
        }
    }

    /// Low and nothing to do, or hardly enough to get home: go to the dock.
    fn guard_energy(&mut self, now_s: f64) {
        let Some(forecast) = self.forecast() else { return };
        if forecast.charge.charging || now_s < self.dock_retry_s {
            return;
        }
        let docking = self.goals.live().iter().any(|g| g.aim == Aim::Dock);
        let idle = self.goals.live().is_empty();
        let urgent = forecast.charge.wh < forecast.to_dock_wh + 0.5 * forecast.reserve_wh;
        if !docking && ((forecast.low && idle) || urgent) {
            let description = format!("charge: {}", forecast.advice);
            let priority = if urgent { 1.0 } else { 0.3 };
            let request = Request { id: String::new(), aim: Aim::Dock, description, priority, deadline_s: 0.0 };
            if let Ok(id) = self.goals.accept(request, now_s) {
                self.out.push(Command::Log(format!("{id}: {}", forecast.advice)));
                self.report_goal(&id);
            }
        } else if !forecast.admissible && !docking && self.running.is_some() && self.settling_until_s.is_none() {
            // More was used than planned: plan again with what is left; that may bring the dock in.
            let hands_free = self.action.as_ref().is_some_and(|a| a.order.capability == "move" && a.cancelled.is_none());
            if hands_free && now_s >= self.next_plan_s {
                self.replan(&forecast.advice, now_s);
                self.next_plan_s = now_s + 10.0;
            }
        }
    }

    fn choose_goal(&mut self, now_s: f64) {
        let Some(id) = self.goals.choose().map(|g| g.id.clone()) else { return };
        let active = self.goals.active().map(|g| g.id.clone());
        if active.as_deref() != Some(&id) {
            if let Some(old) = active {
                self.cancel_action(now_s);
                self.running = None;
                self.settling_until_s = None;
                self.goals.activate(&id);
                self.report_goal(&old);
            } else {
                self.goals.activate(&id);
            }
            self.looks.clear();
            self.tried.clear();
            self.blocked.clear();
            self.replans = 0;
            self.next_plan_s = 0.0;
            self.report_goal(&id);
        }
        if self.running.is_none() && self.action.is_none() && now_s >= self.next_plan_s {
            self.plan_active(now_s);
        }
    }

    fn plan_active(&mut self, now_s: f64) {
        let Some(goal) = self.goals.active().cloned() else { return };
        if self.pose.is_none() || self.charge.is_none() {
            return;
        }
        if goal.aim == Aim::Dock && self.charge.is_some_and(|c| c.charging) {
            self.finish(&goal.id, Status::Achieved, "at the dock and charging", now_s);
            return;
        }
        if self.replans > self.settings.replans {
            self.fail(&goal, &format!("it still does not work after {} plans", self.replans), now_s);
            return;
        }
        self.replans += 1;
        match self.make_plan(&goal, now_s) {
            Ok(running) if running.plan.steps.is_empty() => self.complete(&goal, now_s),
            Ok(running) => {
                self.out.push(Command::Log(format!("{}: {}", goal.id, running.explanation)));
                self.running = Some(running);
                self.out.push(Command::PlanChanged);
            }
            Err(error) => {
                // A place that is blocked now may be free later.
                if let Some(until) = self.blocked.values().copied().filter(|u| *u > now_s).min_by(f64::total_cmp) {
                    self.out.push(Command::Log(format!("{}: {error}; I try again when the way may be free", goal.id)));
                    self.next_plan_s = until;
                } else {
                    self.fail(&goal, &error.to_string(), now_s);
                }
            }
        }
    }

    fn settle(&mut self, now_s: f64) {
        if self.settling_until_s.is_some_and(|until| now_s >= until) {
            self.settling_until_s = None;
            self.after_look(now_s);
        }
    }

    /// A look is over and the belief has had time: is the object there?
    fn after_look(&mut self, now_s: f64) {
        let Some(running) = &mut self.running else { return };
        let Some(step) = running.plan.steps.get(running.current).copied() else { return };
        let (label, place) = (running.object.clone(), step.place);
        let surface = place.saturating_sub(FIRST_SURFACE);
        if self.object_at(&label, place).is_some() {
            self.complete_step(now_s);
            return;
        }
        if let Some(running) = &mut self.running {
            running.statuses[running.current] = StepStatus::Failed;
        }
        *self.looks.entry(surface).or_insert(0) += 1;
        let n = self.home.surfaces.len();
        let seen_elsewhere = world::best(&self.objects, &label)
            .filter(|o| self.trusted(o))
            .and_then(|o| world::surface_of(&self.home, o.position))
            .is_some_and(|i| i != surface);
        let exhausted = (0..n).all(|i| {
            let blocked = self.blocked.get(&(FIRST_SURFACE + i)).is_some_and(|until| now_s < *until);
            blocked || self.looks.get(&i).copied().unwrap_or(0) >= self.settings.looks
        });
        if exhausted && !seen_elsewhere {
            if let Some(goal) = self.goals.active().cloned() {
                self.fail(&goal, &format!("I could not find the {label}"), now_s);
            }
            return;
        }
        let name = self.running.as_ref().and_then(|r| r.places.get(place)).map_or_else(String::new, |p| p.name.clone());
        self.replan(&format!("the {label} is not at {name}"), now_s);
    }

    fn advance(&mut self, now_s: f64) {
        if self.action.is_some() || self.settling_until_s.is_some() {
            return;
        }
        let Some(running) = self.running.take() else { return };
        let current = running.current;
        let order = self.order(&running, current);
        let expected = running.plan.steps.get(current).map_or(0.0, |s| s.duration_s);
        self.running = Some(running);
        match order {
            Some(order) => self.start(order, expected, now_s),
            None => self.replan("the next step is no longer possible", now_s),
        }
    }

    fn start(&mut self, order: Order, expected_s: f64, now_s: f64) {
        if let Some(running) = &mut self.running {
            if let Some(status) = running.statuses.get_mut(running.current) {
                *status = StepStatus::InProgress;
            }
        }
        let limit_s = if order.capability == "wait" { expected_s + 30.0 } else { 4.0 * expected_s + 60.0 };
        let last_step = self.running.as_ref().map(|r| r.current);
        self.out.push(Command::Start(order.clone()));
        self.out.push(Command::PlanChanged);
        self.action = Some(Ongoing { order, started_s: now_s, limit_s, cancelled: None, last_step });
    }

    /// Takes the end of an action.
    pub fn ended(&mut self, end: &ActionEnd, now_s: f64) {
        let Some(action) = self.action.take_if(|a| a.order.token == end.token) else { return };
        if action.cancelled.is_some() {
            return;
        }
        let current = self.running.as_ref().map(|r| r.current);
        if current != action.last_step {
            return;
        }
        let capability = action.order.capability;
        if capability == "observe" {
            // Whatever the look itself thought: the belief decides, once it has caught up.
            self.settling_until_s = Some(now_s + self.settings.settle_s);
        } else if end.success {
            self.complete_step(now_s);
        } else {
            self.failed_step(capability, &end.reason, now_s);
        }
    }

    fn complete_step(&mut self, now_s: f64) {
        let Some(running) = &mut self.running else { return };
        if let Some(status) = running.statuses.get_mut(running.current) {
            *status = StepStatus::Completed;
        }
        running.current += 1;
        let done = running.current >= running.plan.steps.len();
        self.out.push(Command::PlanChanged);
        if done {
            if let Some(goal) = self.goals.active().cloned() {
                self.complete(&goal, now_s);
            }
        }
    }

    fn complete(&mut self, goal: &Goal, now_s: f64) {
        let label = |room: &str| self.home.room(room).map_or_else(|| room.to_owned(), |r| r.label.clone());
        let report = match &goal.aim {
            Aim::Fetch { object, room } => format!("I brought the {object} to the {}.", label(room)),
            Aim::GoToRoom { room } => format!("I am in the {}.", label(room)),
            Aim::GoToPose(_) => "I am there.".to_owned(),
            Aim::Find { object } => {
                let place = world::best(&self.objects, object)
                    .and_then(|o| world::surface_of(&self.home, o.position))
                    .and_then(|i| self.home.surfaces.get(i));
                match place {
                    Some(s) => format!("The {object} is on the {} in the {}.", s.label, label(&s.room)),
                    None => format!("I found the {object}."),
                }
            }
            Aim::Dock => "I am at the dock.".to_owned(),
        };
        self.finish(&goal.id, Status::Achieved, &report, now_s);
        if goal.aim != Aim::Dock {
            self.say(&report, now_s);
        } else {
            // Give the charger time to show before docking again.
            self.dock_retry_s = now_s + 10.0;
        }
    }

    fn fail(&mut self, goal: &Goal, reason: &str, now_s: f64) {
        self.finish(&goal.id, Status::Failed, reason, now_s);
        let what = match &goal.aim {
            Aim::Fetch { object, .. } => format!("I could not bring the {object}"),
            Aim::GoToRoom { .. } | Aim::GoToPose(_) => "I could not get there".to_owned(),
            Aim::Find { object } => format!("I could not find the {object}"),
            Aim::Dock => {
                self.dock_retry_s = now_s + 20.0;
                "I could not dock".to_owned()
            }
        };
        self.say(&format!("{what}: {reason}."), now_s);
    }

    fn failed_step(&mut self, capability: &'static str, reason: &str, now_s: f64) {
        let Some(running) = &mut self.running else { return };
        if let Some(status) = running.statuses.get_mut(running.current) {
            *status = StepStatus::Failed;
        }
        let step = running.plan.steps.get(running.current).copied();
        let place = step.and_then(|s| running.places.get(s.place).map(|p| (s.place, p.kind, p.name.clone())));
        let label = running.object.clone();
        let tries = self.tried.entry(capability).or_insert(0);
        *tries += 1;
        let tries = *tries;
        if capability == "move" {
            if let Some((index, PlaceKind::Surface(_), _)) = place {
                // The way is blocked: other places first, this one again later.
                self.blocked.insert(index, now_s + BLOCK_S);
            } else {
                self.next_plan_s = now_s + 3.0;
            }
        }
        let limit = if capability == "move" { 4 * self.settings.tries } else { self.settings.tries };
        if tries >= limit {
            if let Some(goal) = self.goals.active().cloned() {
                self.fail(&goal, &format!("{capability} failed {tries} times: {reason}"), now_s);
            }
            return;
        }
        let what = match capability {
            "grasp" => format!("the grasp of the {label} failed ({reason}), I look again"),
            "move" => format!("the way to {} is blocked ({reason})", place.map_or_else(String::new, |p| p.2)),
            other => format!("{other} failed ({reason})"),
        };
        self.replan(&what, now_s);
    }

    /// Drops the plan for a reason; the next tick makes another.
    fn replan(&mut self, reason: &str, now_s: f64) {
        self.out.push(Command::Log(format!("new plan: {reason}")));
        self.cancel_action(now_s);
        self.running = None;
        self.settling_until_s = None;
        self.out.push(Command::PlanChanged);
    }
}
