//! Putting the held object down on a surface.

use spatial::{Pose2, Surface};

use super::{Arrival, Navigate, Request, Step, Straight, Turn};
use crate::arm::{extension_for, lift_for};
use crate::body::Body;

/// Drives to the stand before a free place on the surface, squares up to its edge, raises the object, creeps up, reaches
/// over the edge, lowers, opens, and withdraws.
#[derive(Clone, Debug)]
pub struct Release {
    surface_height: f64,
    edge_distance: f64,
    place: glam::DVec2,
    yaw: f64,
    state: State,
    crept: f64,
}

#[derive(Clone, Debug)]
enum State {
    Stand(Navigate),
    Square { since_s: f64 },
    Face(Turn),
    Raise { until_s: f64 },
    Creep(Straight),
    Reach { until_s: f64 },
    Lower { until_s: f64 },
    Open { until_s: f64 },
    Retract { until_s: f64 },
    Back(Straight),
    Stow { until_s: f64 },
}

impl Release {
    /// From a request: a place on a known surface, the stand pose of one, or nothing (the surface the robot stands at).
    pub fn new(request: &Request, body: &Body) -> Result<Self, String> {
        if body.held.is_none() && body.joints().opening() <= body.config.empty_opening {
            return Err("the gripper holds nothing".to_owned());
        }
        let target = request.target.map(|target| target.to_pose2());
        let (surface, wanted) = match target {
            Some(target) => match body.surface_at(target.position()) {
                Some(surface) => (Some(surface), target.position()),
                None => {
                    let surface = body.surface_from(target);
                    (surface, surface.map_or(target.position(), |surface| surface.position()))
                }
            },
            None => {
                let surface = body.surface_from(body.pose());
                (surface, surface.map_or(body.pose().position(), |surface| surface.position()))
            }
        };
        let surface =
            surface.ok_or_else(|| format!("there is no known surface to put it on at ({:.2}, {:.2})", wanted.x, wanted.y))?;
        let along_edge = Pose2::at(surface.position(), surface.stand.yaw);
        let lateral = free_lateral(body, surface, along_edge, along_edge.inverse_transform(wanted).y)
            .ok_or_else(|| format!("there is no free place on the {}", surface.label))?;
        let place = along_edge.transform(glam::DVec2::new(0.0, lateral));
        let stand = surface.stand_pose();
        let inset = body.config.edge_inset;
        let to_place = stand.inverse_transform(place);
        let stand = stand * Pose2::new(0.0, to_place.y, 0.0);
        Ok(Self {
            surface_height: surface.height,
            edge_distance: to_place.x - inset,
            place,
            yaw: surface.stand.yaw,
            state: State::Stand(Navigate::new(stand.position(), Some(stand.yaw), Arrival::Exact)),
            crept: 0.0,
        })
    }

    /// What it is doing.
    pub fn phase(&self) -> &'static str {
        match self.state {
            State::Stand(_) => "drive to stand",
            State::Square { .. } | State::Face(_) => "align",
            State::Raise { .. } => "raise arm",
            State::Creep(_) => "approach",
            State::Reach { .. } => "reach",
            State::Lower { .. } => "lower",
            State::Open { .. } => "open",
            State::Retract { .. } => "retract",
            State::Back(_) => "back off",
            State::Stow { .. } => "stow arm",
        }
    }

    /// 0..1
    pub fn progress(&self) -> f64 {
        match self.state {
            State::Stand(_) => 0.1,
            State::Square { .. } => 0.3,
            State::Face(_) => 0.35,
            State::Raise { .. } => 0.4,
            State::Creep(_) => 0.5,
            State::Reach { .. } => 0.6,
            State::Lower { .. } => 0.7,
            State::Open { .. } => 0.8,
            State::Retract { .. } => 0.85,
            State::Back(_) => 0.9,
            State::Stow { .. } => 0.95,
        }
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let config = body.config.clone();
        let now = body.now();
        let arrived = body.arm.arrived(&body.joints(), &config);
        match &mut self.state {
            State::Stand(navigate) => match navigate.step(body) {
                Step::Done => self.state = State::Square { since_s: now },
                Step::Failed(reason) => return Step::Failed(format!("could not get to the place: {reason}")),
                Step::Running => {}
            },
            State::Square { since_s } => {
                // Half a second of standing still: the newest scan is of here.
                if now - *since_s >= 0.5 {
                    let edge = body
                        .edge(1.0)
                        .filter(|edge| (edge.distance - self.edge_distance).abs() < 0.12 && edge.bearing.abs() < 0.2);
                    let heading = edge.map_or(self.yaw, |edge| body.pose().yaw + edge.bearing);
                    if let Some(edge) = edge {
                        self.edge_distance = edge.distance;
                    }
                    self.state = State::Face(Turn::to(heading));
                }
            }
            State::Face(turn) => match turn.step(body) {
                Step::Done => {
                    let finger_height = body.held.as_ref().map_or(config.grasp_height, |held| held.finger_height);
                    let lift = match lift_for(self.surface_height + finger_height + config.put_clearance, &config) {
                        Ok(lift) => lift,
                        Err(error) => return Step::Failed(error.to_string()),
                    };
                    body.arm.move_to(lift, 0.0, &config);
                    self.state = State::Raise { until_s: now + config.arm_timeout };
                }
                Step::Failed(reason) => return Step::Failed(reason),
                Step::Running => {}
            },
            State::Raise { until_s } => {
                if arrived {
                    self.crept = (self.edge_distance + config.edge_inset - config.reach).max(0.0);
                    self.state = State::Creep(Straight::creep(self.crept, 0.06));
                } else if now >= *until_s {
                    return Step::Failed("the arm did not rise".to_owned());
                }
            }
            State::Creep(creep) => match creep.step(body) {
                Step::Running => {}
                end => {
                    let travelled = creep.travelled();
                    let ahead = self.edge_distance + config.edge_inset - travelled;
                    match extension_for(ahead, &config) {
                        Ok(extend) => {
                            body.arm.extend_to(extend, &config);
                            self.state = State::Reach { until_s: now + config.arm_timeout };
                        }
                        Err(error) => {
                            let why = if let Step::Failed(reason) = end { reason } else { error.to_string() };
                            return Step::Failed(format!("could not get near the place: {why}"));
                        }
                    }
                }
            },
            State::Reach { until_s } => {
                if arrived {
                    let lift = body.arm.target().map_or(0.0, |target| target.lift) - config.put_clearance + 0.002;
                    body.arm.lift_to(lift, &config);
                    self.state = State::Lower { until_s: now + 3.0 };
                } else if now >= *until_s {
                    return Step::Failed("the arm did not reach out".to_owned());
                }
            }
            // Standing on the surface may stop the lift a little above its target.
            State::Lower { until_s } => {
                if arrived || now >= *until_s {
                    body.arm.grip(config.opening_max, config.grip_force, &config);
                    self.state = State::Open { until_s: now + config.grip_time };
                }
            }
            State::Open { until_s } => {
                let open = body.joints().opening() > config.opening_max - 0.015;
                // A finger that goes on feeling something while the gripper is open is believed for a while only.
                if (open && !body.senses.touch.both_fingers()) || now >= *until_s {
                    if !open {
                        return Step::Failed("the gripper did not open".to_owned());
                    }
                    body.held = None;
                    body.arm.extend_to(0.0, &config);
                    self.state = State::Retract { until_s: now + config.arm_timeout };
                }
            }
            State::Retract { until_s } => {
                if arrived || now >= *until_s {
                    self.state = State::Back(Straight::back(self.crept.max(0.2)));
                }
            }
            State::Back(straight) => {
                if straight.step(body) != Step::Running {
                    if body.costmap.clearance(body.pose(), &body.outline()) > 0.0 {
                        body.arm.move_to(config.carry_lift, 0.0, &config);
                        body.arm.grip(0.0, 2.0, &config);
                    }
                    self.state = State::Stow { until_s: now + config.arm_timeout };
                }
            }
            State::Stow { until_s } => {
                if arrived || now >= *until_s {
                    return Step::Done;
                }
            }
        }
        Step::Running
    }

    /// Where it is put, map frame, m.
    pub fn place(&self) -> glam::DVec2 {
        self.place
    }
}

/// What stands on a surface is not wider than this, m.
const WIDEST_THING_M: f64 = 0.35;

/// The place nearest to a wanted lateral position (m, along the edge) that keeps its distance to other objects.
/// Where the robot can turn before the surface is better than where it cannot.
fn free_lateral(body: &Body, surface: &Surface, along_edge: Pose2, wanted: f64) -> Option<f64> {
    let limit = if surface.width > 0.0 { (0.5 * surface.width - 0.12).max(0.0) } else { 0.25 };
    let label = body.held.as_ref().map_or("", |held| held.label.as_str());
    let others: Vec<f64> = body
        .senses
        .objects
        .iter()
        .filter(|object| !object.held && object.confidence >= 0.3)
        // What is wider is furniture, or a part of it that the detector took for some.
        .filter(|object| object.size.x.max(object.size.y) <= WIDEST_THING_M)
        // What is in the hand may still be believed where it was taken from; a second of its kind keeps the distance too.
        .filter(|object| object.label != label || body.now() - object.last_seen_s < 3.0)
        .map(|object| along_edge.inverse_transform(object.position.truncate()))
        .filter(|place| place.x.abs() < 0.35)
        .map(|place| place.y)
        .collect();
    let wanted = wanted.clamp(-limit, limit);
    let count = (2.0 * limit / 0.02).round() as i32;
    let free = (-count..=count)
        .map(|i| wanted + 0.02 * f64::from(i))
        .filter(|lateral| lateral.abs() <= limit + 1e-9)
        .filter(|lateral| others.iter().all(|other| (other - lateral).abs() >= body.config.put_spacing));
    let cramped = |lateral: f64| {
        let place = along_edge.transform(glam::DVec2::new(0.0, lateral));
        let aside = surface.stand_pose().inverse_transform(place).y;
        !body.can_turn_at(surface.stand_pose() * Pose2::new(0.0, aside, 0.0))
    };
    free.min_by(|a, b| cramped(*a).cmp(&cramped(*b)).then((a - wanted).abs().total_cmp(&(b - wanted).abs())))
}
