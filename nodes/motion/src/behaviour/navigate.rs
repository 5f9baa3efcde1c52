//! Driving to a pose.

use glam::DVec2;
use spatial::search::{SearchOptions, a_star, nearest_passable, smooth};

use super::straight::Settle;
use super::{Step, Straight, Turn};
use crate::body::Body;
use crate::drive::{Drive, Follow, follow, remaining};

/// How exactly to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Within the position and yaw tolerances.
    Exact,
    /// Near, whatever the heading: 0.15 m.
    Near,
}

/// Drives to a point of the map and, if asked, a heading. Plans with A*, follows by sampled velocities, replans on the way,
/// recovers (clears the costmap, looks around, backs up) when nothing moves, settles exactly at the end.
#[derive(Clone, Debug)]
pub struct Navigate {
    asked: DVec2,
    goal: DVec2,
    yaw: Option<f64>,
    arrival: Arrival,
    state: State,
    path: Vec<DVec2>,
    planned_s: f64,
    whole: f64,
    best_left: f64,
    better_s: f64,
    blocked_since_s: Option<f64>,
    recoveries: u32,
    lost_since_s: Option<f64>,
    last_problem: String,
}

#[derive(Clone, Debug)]
enum State {
    Stow { until_s: Option<f64> },
    BackOff(Straight),
    Plan,
    Follow,
    Clear { until_s: f64 },
    Look(Turn),
    Settle(Settle),
    Search(Turn),
}

impl Navigate {
    /// To a point (m, map) and perhaps a heading (rad, map).
    pub fn new(goal: DVec2, yaw: Option<f64>, arrival: Arrival) -> Self {
        Self {
            asked: goal,
            goal,
            yaw,
            arrival,
            state: State::Stow { until_s: None },
            path: Vec::new(),
            planned_s: f64::NEG_INFINITY,
            whole: 0.0,
            best_left: f64::INFINITY,
            better_s: f64::NEG_INFINITY,
            blocked_since_s: None,
            recoveries: 0,
            lost_since_s: None,
            last_problem: String::new(),
        }
    }

    /// What it is doing.
    pub fn phase(&self) -> &'static str {
        match self.state {
            State::Stow { .. } => "stow arm",
            State::BackOff(_) => "back off",
            State::Plan => "plan",
            State::Follow => "drive",
            State::Clear { .. } | State::Look(_) => "recover",
            State::Settle(_) => "settle",
            State::Search(_) => "localise",
        }
    }

    /// 0..1
    pub fn progress(&self, body: &Body) -> f64 {
        if self.whole <= 0.0 {
            return 0.0;
        }
        (1.0 - remaining(&self.path, body.pose().position()) / self.whole).clamp(0.0, 1.0)
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let step = self.advance(body);
        body.path = if step == Step::Running { self.path.clone() } else { Vec::new() };
        step
    }

    fn advance(&mut self, body: &mut Body) -> Step {
        if body.senses.stopped.is_some() {
            // Standing by order is not being stuck.
            self.better_s = body.now();
            self.blocked_since_s = None;
        }
        if body.localiser.is_lost() && !matches!(self.state, State::Search(_)) {
            self.lost_since_s.get_or_insert(body.now());
            self.state = State::Search(Turn::by(std::f64::consts::TAU));
        }
        match &mut self.state {
            State::Stow { .. } => self.stow(body),
            State::BackOff(straight) => {
                if straight.step(body) != Step::Running {
                    // Done or blocked behind: go on either way, the planner knows better.
                    self.state = State::Plan;
                }
                Step::Running
            }
            State::Plan => self.plan(body),
            State::Follow => self.follow(body),
            State::Clear { until_s } => {
                if body.now() >= *until_s {
                    self.state = State::Plan;
                }
                Step::Running
            }
            State::Look(turn) => {
                if turn.step(body) != Step::Running {
                    self.state = State::Plan;
                }
                Step::Running
            }
            State::Settle(settle) => match settle.step(body) {
                Step::Failed(reason) => self.recover(body, reason),
                other => other,
            },
            State::Search(turn) => {
                if !body.localiser.is_lost() {
                    self.lost_since_s = None;
                    self.state = State::Plan;
                    return Step::Running;
                }
                match turn.step(body) {
                    Step::Running => Step::Running,
                    _ => Step::Failed(format!(
                        "the robot is lost: only {:.0} % of the scan fits the map",
                        100.0 * body.localiser.fit()
                    )),
                }
            }
        }
    }

    /// Arm in, down to carry height where there is room for it; away from a table or the dock first.
    fn stow(&mut self, body: &mut Body) -> Step {
        let State::Stow { until_s } = &mut self.state else { return Step::Running };
        let until = *until_s.get_or_insert(body.now() + body.config.arm_timeout);
        let config = body.config.clone();
        let pose = body.pose();
        let joints = body.joints();
        let Some(target) = body.arm.target() else {
            // No joint states yet: an arm nobody has heard of cannot be stowed.
            return if body.now() >= until { Step::Failed("there are no joint states".to_owned()) } else { Step::Running };
        };
        if target.extend > 0.0 || joints.extend > 2.0 * config.arm_tolerance {
            body.arm.extend_to(0.0, &config);
            return self.wait_for_arm(body, until);
        }
        let docked = pose.distance(&body.home.dock_pose()) < 0.3;
        let clearance = body.costmap.clearance(pose, &body.outline());
        if docked || clearance < 0.0 {
            let back = if docked { 0.5 - pose.distance(&body.home.dock_pose()) } else { 0.15 - clearance };
            if body.room_behind() > 0.1 {
                self.state = State::BackOff(Straight::back(back.clamp(0.05, 0.4)));
                return Step::Running;
            }
        }
        if body.held.is_none() && target.opening > 0.02 {
            body.arm.grip(0.0, 2.0, &config);
        }
        body.arm.move_to(config.carry_lift, 0.0, &config);
        if (joints.lift - config.carry_lift).abs() > 0.02 {
            return self.wait_for_arm(body, until);
        }
        self.state = State::Plan;
        Step::Running
    }

    fn wait_for_arm(&mut self, body: &mut Body, until: f64) -> Step {
        if body.now() >= until {
            return Step::Failed(format!(
                "the arm did not move: extended {:.2} m, lift {:.2} m",
                body.joints().extend,
                body.joints().lift
            ));
        }
        Step::Running
    }

    fn plan(&mut self, body: &mut Body) -> Step {
        let pose = body.pose();
        let near = match self.arrival {
            Arrival::Exact => 0.12,
            Arrival::Near => 0.15,
        };
        if pose.position().distance(self.goal) <= near {
            return self.arrive(body);
        }
        match self.search(body) {
            Ok(()) => {
                self.whole = self.whole.max(remaining(&self.path, pose.position()));
                self.best_left = f64::INFINITY;
                self.better_s = body.now();
                self.blocked_since_s = None;
                self.state = State::Follow;
                Step::Running
            }
            Err(reason) => self.recover(body, reason),
        }
    }

    /// Makes a path from here to the goal, or to a free place beside it.
    fn search(&mut self, body: &Body) -> Result<(), String> {
        let config = &body.config;
        let costs = body.costmap.costs(config);
        let options = SearchOptions { cost_weight: config.path_cost_weight, snap_m: 0.30 };
        self.goal = self.asked;
        if costs.get(costs.cell(self.asked)).is_none() {
            return Err(format!("({:.2}, {:.2}) lies outside the map", self.asked.x, self.asked.y));
        }
        let free = nearest_passable(&costs, self.asked, config.goal_reach)
            .ok_or_else(|| format!("({:.2}, {:.2}) is occupied", self.asked.x, self.asked.y))?;
        // A goal just inside the inflation of its own furniture is reached by settling; one farther in is moved.
        if costs.centre(free).distance(self.asked) > 0.5 * costs.resolution() + 0.06 {
            self.goal = costs.centre(free);
        }
        let path = a_star(&costs, body.pose().position(), self.goal, &options)
            .map_err(|error| format!("no way to ({:.2}, {:.2}): {error}", self.asked.x, self.asked.y))?;
        self.path = smooth(&costs, &path.points, &options);
        self.planned_s = body.now();
        Ok(())
    }

    fn follow(&mut self, body: &mut Body) -> Step {
        let now = body.now();
        let pose = body.pose();
        let left = remaining(&self.path, pose.position());
        if pose.position().distance(self.goal) <= if self.arrival == Arrival::Near { 0.12 } else { 0.06 } || left < 0.03 {
            return self.arrive(body);
        }
        if body.senses.touch.front() {
            let zone = match (body.senses.touch.left, body.senses.touch.right) {
                (true, false) => 0.8,
                (false, true) => -0.8,
                _ => 0.0,
            };
            let place = pose.transform(DVec2::from_angle(zone) * (body.config.base_radius + 0.02));
            let config = body.config.clone();
            body.costmap.touch(place, now, &config);
            self.recoveries += 1;
            self.last_problem = "the bumper touched something".to_owned();
            if f64::from(self.recoveries) > body.config.max_recoveries {
                return Step::Failed(format!("gave up after {} recoveries: {}", self.recoveries - 1, self.last_problem));
            }
            self.state = State::BackOff(Straight::back(0.15));
            return Step::Running;
        }
        if now - self.planned_s >= body.config.replan_period
            && let Err(reason) = self.search(body)
        {
            return self.recover(body, reason);
        }
        if left < self.best_left - 0.05 {
            self.best_left = left;
            self.better_s = now;
        }
        if now - self.better_s > body.config.patience {
            return self.recover(body, format!("no progress for {:.0} s", body.config.patience));
        }
        match follow(&self.path, pose, body.speed(), &body.costmap, &body.outline(), &body.config) {
            Follow::Drive(drive) => {
                self.blocked_since_s = None;
                body.drive = drive;
            }
            Follow::Blocked => {
                body.drive = Drive::STOP;
                let since = *self.blocked_since_s.get_or_insert(now);
                if now - since > 2.0 {
                    return self.recover(body, "the way is blocked".to_owned());
                }
            }
        }
        Step::Running
    }

    fn arrive(&mut self, body: &mut Body) -> Step {
        let off = self.goal.distance(self.asked);
        if self.arrival == Arrival::Near {
            return if body.is_still() { Step::Done } else { Step::Running };
        }
        if off > 0.1 && self.yaw.is_some() {
            return self.recover(
                body,
                format!("({:.2}, {:.2}) is occupied; the nearest free place is {off:.2} m beside it", self.asked.x, self.asked.y),
            );
        }
        self.state = State::Settle(Settle::new(self.goal, self.yaw));
        Step::Running
    }

    fn recover(&mut self, body: &mut Body, reason: String) -> Step {
        self.last_problem = reason;
        self.blocked_since_s = None;
        if f64::from(self.recoveries) >= body.config.max_recoveries {
            return Step::Failed(format!("{} (after {} recoveries)", self.last_problem, self.recoveries));
        }
        self.recoveries += 1;
        match self.recoveries % 4 {
            1 => {
                body.costmap.clear();
                // Long enough for the lidar to enter again what is really there.
                self.state = State::Clear { until_s: body.now() + 1.0 };
            }
            2 if body.can_turn_at(body.pose()) => self.state = State::Look(Turn::by(std::f64::consts::TAU * 0.999)),
            2 | 3 => self.state = State::BackOff(Straight::back(0.2)),
            _ => self.state = State::Clear { until_s: body.now() + 3.0 },
        }
        Step::Running
    }
}
