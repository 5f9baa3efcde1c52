//! Taking an object from a surface.

use glam::{DVec2, DVec3};
use spatial::{Pose2, angle};

use super::{Arrival, Navigate, Request, Step, Straight, Turn};
use crate::arm::{extension_for, lift_for};
use crate::body::{Body, Held};

/// Force along the arm at which it has run into something, N above the force before it went out.
const PUSHES: f64 = 8.0;

/// Drives to the stand before the object, looks, raises the open gripper, creeps up, reaches out, closes until both fingers
/// feel it, lifts, checks that it is held, and withdraws. A miss withdraws and tries again.
#[derive(Clone, Debug)]
pub struct Grasp {
    label: String,
    object: DVec3,
    surface_height: Option<f64>,
    finger_height: f64,
    approach_yaw: Option<f64>,
    state: State,
    tries: u32,
    steady_since_s: Option<f64>,
    felt_s: f64,
    force_before: DVec3,
    crept: f64,
    failure: Option<String>,
}

#[derive(Clone, Debug)]
enum State {
    Stand(Navigate),
    Look { since_s: f64, sum: DVec3, count: u32 },
    Face(Turn),
    Raise { until_s: f64 },
    Creep(Straight),
    Aim(Turn),
    Reach { until_s: f64 },
    Close { until_s: f64 },
    Lift { until_s: f64 },
    Retract { until_s: f64 },
    Back(Straight),
    Lower { until_s: f64 },
}

fn look(now_s: f64) -> State {
    State::Look { since_s: now_s, sum: DVec3::ZERO, count: 0 }
}

impl Grasp {
    /// From a request: the object's place (map) and its label. Without a place the nearest believed object of the label.
    pub fn new(request: &Request, body: &Body) -> Result<Self, String> {
        if let Some(held) = &body.held {
            return Err(format!("the gripper already holds the {}", held.label));
        }
        let object = match request.target {
            Some(target) => target.translation,
            None => {
                let here = body.pose().position();
                body.senses
                    .objects
                    .iter()
                    .filter(|object| !object.held && !request.label.is_empty() && object.label == request.label)
                    .min_by(|a, b| a.position.truncate().distance(here).total_cmp(&b.position.truncate().distance(here)))
                    .map(|object| object.position)
                    .ok_or_else(|| format!("grasp needs a target, and no '{}' is known", request.label))?
            }
        };
        let surface = body.surface_at(object.truncate());
        let (surface_height, stand) = match surface {
            Some(surface) => {
                // Straight in front of the object, as far from the edge as the surface's own stand.
                let lateral = surface.stand_pose().inverse_transform(object.truncate()).y;
                (Some(surface.height), body.stand_before(surface, lateral))
            }
            None => {
                let towards = object.truncate() - body.pose().position();
                if towards.length() < 1e-3 {
                    return Err("the object is said to be where the robot stands".to_owned());
                }
                let yaw = towards.to_angle();
                (None, Pose2::at(object.truncate() - DVec2::from_angle(yaw) * body.config.stand_distance, yaw))
            }
        };
        Ok(Self {
            label: request.label.clone(),
            object,
            surface_height,
            finger_height: body.config.grasp_height,
            approach_yaw: surface.map(|surface| surface.stand.yaw),
            state: State::Stand(Navigate::new(stand.position(), Some(stand.yaw), Arrival::Exact)),
            tries: 0,
            steady_since_s: None,
            felt_s: f64::NEG_INFINITY,
            force_before: DVec3::ZERO,
            crept: 0.0,
            failure: None,
        })
    }

    /// What it is doing.
    pub fn phase(&self) -> &'static str {
        match self.state {
            State::Stand(_) => "drive to stand",
            State::Look { .. } => "look",
            State::Face(_) | State::Aim(_) => "align",
            State::Raise { .. } => "raise arm",
            State::Creep(_) => "approach",
            State::Reach { .. } => "reach",
            State::Close { .. } => "close",
            State::Lift { .. } => "lift",
            State::Retract { .. } => "retract",
            State::Back(_) => "back off",
            State::Lower { .. } => "stow arm",
        }
    }

    /// 0..1
    pub fn progress(&self) -> f64 {
        match self.state {
            State::Stand(_) => 0.1,
            State::Look { .. } => 0.3,
            State::Face(_) => 0.35,
            State::Raise { .. } => 0.4,
            State::Creep(_) => 0.5,
            State::Aim(_) => 0.55,
            State::Reach { .. } => 0.6,
            State::Close { .. } => 0.7,
            State::Lift { .. } => 0.75,
            State::Retract { .. } => 0.8,
            State::Back(_) => 0.85,
            State::Lower { .. } => 0.95,
        }
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let config = body.config.clone();
        let now = body.now();
        if body.senses.touch.both_fingers() {
            self.felt_s = now;
        }
        match &mut self.state {
            State::Stand(navigate) => match navigate.step(body) {
                Step::Done => self.state = look(now),
                Step::Failed(reason) => return Step::Failed(format!("could not get to the {}: {reason}", self.name())),
                Step::Running => {}
            },
            State::Look { since_s, sum, count } => {
                // Fusion's estimate, as far as perception confirms it from here; the mean is steadier than the last.
                let confirmed = body.believed(&self.label, self.object).filter(|object| object.last_seen_s >= *since_s - 1.0);
                if let Some(object) = confirmed {
                    *sum += object.position;
                    *count += 1;
                }
                if now - *since_s >= config.look_time {
                    if *count > 0 {
                        self.object = *sum / f64::from(*count);
                    }
                    self.state = State::Face(Turn::to(self.heading_to_object(body)));
                }
            }
            State::Face(turn) => match turn.step(body) {
                Step::Done => return self.raise(body),
                Step::Failed(reason) => return Step::Failed(reason),
                Step::Running => {}
            },
            State::Raise { until_s } => {
                let open = body.joints().opening() > config.opening_max - 0.02;
                if body.arm.arrived(&body.joints(), &config) && open {
                    let ahead = body.pose().inverse_transform(self.object.truncate()).x;
                    self.crept = (ahead - config.reach).max(0.0);
                    self.state = State::Creep(Straight::creep(self.crept, 0.06));
                } else if now >= *until_s {
                    return self.withdraw(body, "the arm did not rise".to_owned());
                }
            }
            State::Creep(creep) => match creep.step(body) {
                Step::Done => self.state = State::Aim(Turn::to(self.heading_to_object(body))),
                Step::Failed(reason) => {
                    self.crept = creep.travelled();
                    // Near enough for the arm is near enough.
                    let ahead = body.pose().inverse_transform(self.object.truncate()).x;
                    if extension_for(ahead, &config).is_ok() && !body.senses.touch.front() {
                        self.state = State::Aim(Turn::to(self.heading_to_object(body)));
                    } else {
                        return self.withdraw(body, format!("could not get near: {reason}"));
                    }
                }
                Step::Running => {}
            },
            State::Aim(turn) => match turn.step(body) {
                Step::Running => {}
                _ => return self.reach(body),
            },
            State::Reach { until_s } => {
                let push = body.senses.wrist_force - self.force_before;
                if push.x.abs() > PUSHES {
                    return self.withdraw(body, format!("the arm ran into something ({:.0} N)", push.x.abs()));
                }
                if body.arm.arrived(&body.joints(), &config) {
                    body.arm.grip(0.0, config.grip_force, &config);
                    self.steady_since_s = None;
                    self.state = State::Close { until_s: now + config.grip_time };
                } else if now >= *until_s {
                    return self.withdraw(body, "the arm did not reach out".to_owned());
                }
            }
            State::Close { until_s } => {
                let until = *until_s;
                let opening = body.joints().opening();
                if opening <= config.empty_opening {
                    return self.withdraw(body, "the gripper closed on nothing".to_owned());
                }
                if body.senses.touch.both_fingers() {
                    let since = *self.steady_since_s.get_or_insert(now);
                    if now - since >= 0.4 {
                        let lift = body.arm.target().map_or(0.0, |target| target.lift) + config.lift_off;
                        body.arm.lift_to(lift, &config);
                        self.state = State::Lift { until_s: now + config.arm_timeout };
                    }
                } else {
                    self.steady_since_s = None;
                    if now >= until {
                        return self.withdraw(
                            body,
                            format!("the fingers stopped {:.0} mm apart without feeling the object", 1000.0 * opening),
                        );
                    }
                }
            }
            State::Lift { until_s } => {
                if body.arm.arrived(&body.joints(), &config) {
                    if !self.holds(body) {
                        return self.withdraw(body, "the object slipped out when it was lifted".to_owned());
                    }
                    body.held = Some(Held { label: self.label.clone(), finger_height: self.finger_height });
                    body.arm.extend_to(0.0, &config);
                    self.state = State::Retract { until_s: now + config.arm_timeout };
                } else if now >= *until_s {
                    return self.withdraw(body, "the arm did not lift the object".to_owned());
                }
            }
            State::Retract { until_s } => {
                if body.arm.arrived(&body.joints(), &config) || now >= *until_s {
                    let back = self.crept.max(0.2);
                    self.state = State::Back(Straight::back(back));
                }
            }
            State::Back(straight) => {
                if straight.step(body) != Step::Running {
                    if body.costmap.clearance(body.pose(), &body.outline()) > 0.0 {
                        body.arm.move_to(config.carry_lift, 0.0, &config);
                    }
                    self.state = State::Lower { until_s: now + config.arm_timeout };
                }
            }
            State::Lower { until_s } => {
                if body.arm.arrived(&body.joints(), &config) || now >= *until_s {
                    return self.finish(body);
                }
            }
        }
        Step::Running
    }

    fn name(&self) -> &str {
        if self.label.is_empty() { "object" } else { &self.label }
    }

    fn heading_to_object(&self, body: &Body) -> f64 {
        (self.object.truncate() - body.pose().position()).to_angle()
    }

    fn raise(&mut self, body: &mut Body) -> Step {
        let config = body.config.clone();
        if let Some(yaw) = self.approach_yaw
            && angle::difference(self.heading_to_object(body), yaw).abs() > 0.35
        {
            return Step::Failed(format!("the {} stands too far to the side of the robot's stand", self.name()));
        }
        // Fusion gives the middle of the object; a surface tells its foot exactly.
        let height = match self.surface_height {
            Some(surface) => {
                self.finger_height = (self.object.z - surface).clamp(config.grasp_height_min, config.grasp_height_max);
                if !(self.object.z > surface + 0.01) {
                    self.finger_height = config.grasp_height;
                }
                surface + self.finger_height
            }
            None => {
                self.finger_height = config.grasp_height;
                self.object.z
            }
        };
        match lift_for(height, &config) {
            Ok(lift) => {
                body.arm.move_to(lift, 0.0, &config);
                body.arm.grip(config.opening_max, config.grip_force, &config);
                self.state = State::Raise { until_s: body.now() + config.arm_timeout };
                Step::Running
            }
            Err(error) => Step::Failed(error.to_string()),
        }
    }

    fn reach(&mut self, body: &mut Body) -> Step {
        let config = body.config.clone();
        let place = body.pose().inverse_transform(self.object.truncate());
        match extension_for(place.x, &config) {
            Ok(extend) => {
                self.force_before = body.senses.wrist_force;
                body.arm.extend_to(extend, &config);
                self.state = State::Reach { until_s: body.now() + config.arm_timeout };
                Step::Running
            }
            Err(error) => self.withdraw(body, error.to_string()),
        }
    }

    fn holds(&self, body: &Body) -> bool {
        body.joints().opening() > body.config.empty_opening && body.now() - self.felt_s < 0.5
    }

    /// Opens, pulls the arm in and backs off; then tries again or gives up.
    fn withdraw(&mut self, body: &mut Body, reason: String) -> Step {
        let config = body.config.clone();
        self.failure = Some(reason);
        body.held = None;
        body.arm.grip(config.opening_max, config.grip_force, &config);
        body.arm.extend_to(0.0, &config);
        self.state = State::Retract { until_s: body.now() + config.arm_timeout };
        Step::Running
    }

    fn finish(&mut self, body: &mut Body) -> Step {
        if let Some(reason) = self.failure.take() {
            self.tries += 1;
            if f64::from(self.tries) >= body.config.grasp_tries {
                return Step::Failed(format!("could not grasp the {} in {} tries: {reason}", self.name(), self.tries));
            }
            self.steady_since_s = None;
            self.state = look(body.now());
            return Step::Running;
        }
        if self.holds(body) {
            Step::Done
        } else {
            body.held = None;
            Step::Failed(format!("the {} was dropped on the way back", self.name()))
        }
    }
}
