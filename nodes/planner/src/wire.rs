//! Between messages and the mission's own types.

use std::time::Duration;

use glam::DQuat;
use graph::{Time, duration_from_msg, duration_to_msg};
use msgs::geometry_msgs::msg::PoseStamped;
use msgs::omnimind_msgs::action::ActGoal;
use msgs::omnimind_msgs::msg::{BeliefObject, EnergyForecast, Goal, GoalStatus, Plan, PlanAction};
use spatial::{Home, Pose2, Pose3, convert};

use crate::domain::Action;
use crate::energy::Forecast;
use crate::goals::{self, Aim, Request};
use crate::intent::{self, Vocabulary, Wish};
use crate::mission::{Order, Running, StepStatus};
use crate::world::SeenObject;

/// Why a goal message was not understood.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GoalError {
    /// A number for the kind that does not exist.
    #[error("goal kind {0} does not exist")]
    Kind(u8),
    /// No room of that name.
    #[error("there is no room '{room}'; there are: {known}")]
    Room {
        /// What was asked for.
        room: String,
        /// The rooms.
        known: String,
    },
    /// No object of that label is known.
    #[error("there is no object '{object}'; there are: {known}")]
    Object {
        /// What was asked for.
        object: String,
        /// The objects.
        known: String,
    },
    /// Neither room nor a pose in the map.
    #[error("the goal has neither a room nor a pose in frame 'map' with finite numbers")]
    Pose,
    /// The words were not understood.
    #[error(transparent)]
    Words(#[from] intent::Refusal),
}

/// What a message asks for.
pub enum Asked {
    /// A goal.
    Goal(Request),
    /// To stop.
    Stop,
}

/// Reads a goal message. Without object and room, the words of the description are understood.
pub fn asked(goal: &Goal, home: &Home, vocabulary: &Vocabulary) -> Result<Asked, GoalError> {
    let room = |spoken: &str| {
        home.room_called(spoken).map(|r| r.name.clone()).ok_or_else(|| GoalError::Room {
            room: spoken.to_owned(),
            known: home.rooms.iter().map(|r| r.label.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    let object = |label: &str| {
        let wanted = label.trim().to_lowercase();
        vocabulary
            .objects
            .iter()
            .find(|o| o.to_lowercase() == wanted)
            .cloned()
            .ok_or_else(|| GoalError::Object { object: label.to_owned(), known: vocabulary.objects.join(", ") })
    };
    let bare = goal.object_label.is_empty() && goal.room.is_empty() && goal.pose.header.frame_id.is_empty();
    let aim = if bare && !goal.description.is_empty() && goal.kind == Goal::FETCH {
        // Typed words are meant for the robot: no wake word is needed.
        let typed = Vocabulary { wake_required: false, ..vocabulary.clone() };
        match from_wish(&intent::understand(&format!("hey omni {}", goal.description), &typed)?.wish, home) {
            Some(aim) => aim,
            None => return Ok(Asked::Stop),
        }
    } else {
        match goal.kind {
            Goal::FETCH => Aim::Fetch { object: object(&goal.object_label)?, room: room(&goal.room)? },
            Goal::FIND => Aim::Find { object: object(&goal.object_label)? },
            Goal::GO_TO if !goal.room.is_empty() => Aim::GoToRoom { room: room(&goal.room)? },
            Goal::GO_TO => {
                let pose = Pose2::from(&goal.pose.pose);
                if goal.pose.header.frame_id.trim_start_matches('/') != "map" || !pose.is_finite() {
                    return Err(GoalError::Pose);
                }
                Aim::GoToPose(pose)
            }
            Goal::DOCK => Aim::Dock,
            Goal::STOP => return Ok(Asked::Stop),
            other => return Err(GoalError::Kind(other)),
        }
    };
    let priority = if goal.priority == 0.0 { 0.5 } else { f64::from(goal.priority) };
    Ok(Asked::Goal(Request {
        id: goal.goal_id.clone(),
        description: if goal.description.is_empty() { describe(&aim, home) } else { goal.description.clone() },
        aim,
        priority,
        deadline_s: duration_from_msg(&goal.deadline).as_secs_f64(),
    }))
}

/// The aim of a wish, with the room's name instead of its label; None for stop.
pub fn from_wish(wish: &Wish, home: &Home) -> Option<Aim> {
    let name = |label: &str| home.room_called(label).map_or_else(|| label.to_owned(), |r| r.name.clone());
    Aim::from_wish(wish).map(|aim| match aim {
        Aim::Fetch { object, room } => Aim::Fetch { object, room: name(&room) },
        Aim::GoToRoom { room } => Aim::GoToRoom { room: name(&room) },
        other => other,
    })
}

fn describe(aim: &Aim, home: &Home) -> String {
    let label = |room: &str| home.room(room).map_or_else(|| room.to_owned(), |r| r.label.clone());
    match aim {
        Aim::Fetch { object, room } => format!("bring the {object} to the {}", label(room)),
        Aim::GoToRoom { room } => format!("go to the {}", label(room)),
        Aim::GoToPose(pose) => format!("go to ({:.2}, {:.2})", pose.x, pose.y),
        Aim::Find { object } => format!("find the {object}"),
        Aim::Dock => "go to the dock".to_owned(),
    }
}

/// A goal as a message.
pub fn goal_msg(goal: &goals::Goal, now: Time) -> Goal {
    let mut out = Goal {
        goal_id: goal.id.clone(),
        description: goal.description.clone(),
        priority: goal.priority as f32,
        deadline: duration_to_msg(Duration::from_secs_f64(goal.deadline_s.map_or(0.0, |d| (d - goal.accepted_s).max(0.0)))),
        ..Goal::default()
    };
    match &goal.aim {
        Aim::Fetch { object, room } => {
            out.kind = Goal::FETCH;
            out.object_label.clone_from(object);
            out.room.clone_from(room);
        }
        Aim::GoToRoom { room } => {
            out.kind = Goal::GO_TO;
            out.room.clone_from(room);
        }
        Aim::GoToPose(pose) => {
            out.kind = Goal::GO_TO;
            out.pose = convert::pose_stamped("map", now.as_nanos(), pose.to_pose3());
        }
        Aim::Find { object } => {
            out.kind = Goal::FIND;
            out.object_label.clone_from(object);
        }
        Aim::Dock => out.kind = Goal::DOCK,
    }
    out
}

/// The status of a goal as a message.
pub fn status_msg(goal: &goals::Goal, now: Time) -> GoalStatus {
    let until = goal.ended_s.unwrap_or(now.as_secs_f64());
    GoalStatus {
        goal: goal_msg(goal, now),
        status: goal.status as u8,
        reason: goal.reason.clone(),
        energy_wh: goal.energy_wh as f32,
        duration: duration_to_msg(Duration::from_secs_f64((until - goal.accepted_s).max(0.0))),
    }
}

/// A plan as a message.
pub fn plan_msg(running: &Running, goal: &goals::Goal, now: Time) -> Plan {
    let name = |i: usize| running.places.get(i).map_or("?", |p| p.name.as_str());
    let actions = running
        .plan
        .steps
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let pose = running.places.get(s.place).map_or(Pose2::IDENTITY, |p| p.pose);
            let description = match s.action {
                Action::Move { .. } => format!("go to {}", name(s.place)),
                Action::Observe => format!("look for the {} at {}", running.object, name(s.place)),
                Action::Grasp => format!("take the {}", running.object),
                Action::Release => format!("put the {} on {}", running.object, name(s.place)),
                Action::Wait => "charge".to_owned(),
                other => format!("{} at {}", other.name(), name(s.place)),
            };
            PlanAction {
                type_: s.action.number(),
                status: running.statuses.get(i).copied().unwrap_or(StepStatus::Planned) as u8,
                description,
                target: convert::pose_stamped("map", now.as_nanos(), pose.to_pose3()),
                object_label: running.object.clone(),
                duration: s.duration_s as f32,
                energy_wh: s.energy.wh as f32,
                energy_sigma_wh: s.energy.sigma_wh as f32,
                charge_after_wh: s.charge_after_wh as f32,
                reserve_wh: s.needed_wh as f32,
            }
        })
        .collect();
    let current = running.statuses.iter().position(|s| *s == StepStatus::InProgress);
    Plan {
        header: convert::header("map", now.as_nanos()),
        goal: goal_msg(goal, now),
        goal_status: goal.status as u8,
        actions,
        current: current.map_or(-1, |i| i as i32),
        expected_duration: running.plan.duration_s as f32,
        expected_energy_wh: running.plan.energy.wh as f32,
        confidence: running.confidence as f32,
        admissible: running.plan.steps.iter().all(|s| s.charge_after_wh >= s.needed_wh),
        explanation: running.explanation.clone(),
        alternatives: running.alternatives.clone(),
    }
}

/// An order as an action goal.
pub fn act_goal(order: &Order, now: Time) -> ActGoal {
    let mut target = PoseStamped::default();
    // A rotation by an angle has no target: with one, the robot would face it.
    if let Some((position, yaw)) = order.target.filter(|_| !matches!(order.capability, "rotate" | "wait" | "push" | "pull")) {
        let pose = Pose3::new(position, DQuat::from_rotation_z(yaw));
        target = convert::pose_stamped("map", now.as_nanos(), pose);
    }
    ActGoal {
        target,
        object_label: order.object.clone(),
        distance: order.distance_m as f32,
        angle: order.angle as f32,
        duration: order.duration_s as f32,
    }
}

/// A believed object.
pub fn seen(object: &BeliefObject) -> SeenObject {
    SeenObject {
        id: object.id,
        label: object.label.clone(),
        position: convert::from_point(&object.position),
        sigma: f64::from(object.position_sigma),
        confidence: f64::from(object.confidence),
        sightings: object.sightings,
        last_seen_s: Time::from_msg(&object.last_seen).as_secs_f64(),
        held: object.held,
        width_m: object.size.x.max(object.size.y),
    }
}

/// The forecast as a message.
pub fn forecast_msg(f: &Forecast, now: Time) -> EnergyForecast {
    EnergyForecast {
        header: convert::header("base_link", now.as_nanos()),
        charge_wh: f.charge.wh as f32,
        capacity_wh: f.charge.capacity_wh as f32,
        state_of_charge: f.charge.fraction() as f32,
        draw_w: f.charge.draw_w as f32,
        to_dock_wh: f.to_dock_wh as f32,
        reserve_wh: f.reserve_wh as f32,
        plan_wh: f.plan.wh as f32,
        plan_sigma_wh: f.plan.sigma_wh as f32,
        low: f.low,
        charging: f.charge.charging,
        advice: f.advice.clone(),
    }
}
