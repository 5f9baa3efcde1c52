//! The behaviours: one explicit state machine per capability, stepped at the control rate.

mod dock;
mod grasp;
mod navigate;
mod observe;
mod release;
mod straight;
mod turn;

pub use dock::Dock;
pub use grasp::Grasp;
pub use navigate::{Arrival, Navigate};
pub use observe::Observe;
pub use release::Release;
pub use straight::{Straight, StraightEnd};
pub use turn::Turn;

use spatial::{Pose2, Pose3};

use crate::body::Body;

/// What a step of a behaviour says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Not done yet.
    Running,
    /// Done.
    Done,
    /// Failed, and why.
    Failed(String),
}

/// The capabilities (omnimind_msgs/Act is served under each name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Drive to a pose.
    Move,
    /// Take an object.
    Grasp,
    /// Put the held object down.
    Release,
    /// Drive forward against something.
    Push,
    /// Drive backward, pulling what is held.
    Pull,
    /// Turn on the spot.
    Rotate,
    /// Look around.
    Observe,
    /// Stand still for a time.
    Wait,
    /// Go home and charge.
    Dock,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Move, Self::Grasp, Self::Release, Self::Push, Self::Pull, Self::Rotate, Self::Observe, Self::Wait, Self::Dock];

    /// Name of the action.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Grasp => "grasp",
            Self::Release => "release",
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Rotate => "rotate",
            Self::Observe => "observe",
            Self::Wait => "wait",
            Self::Dock => "dock",
        }
    }
}

/// What is asked of a capability, in the map frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Where; None where the goal named no frame.
    pub target: Option<Pose3>,
    /// Whether the goal's orientation was left empty (all zero): any heading will do.
    pub any_heading: bool,
    /// Which object.
    pub label: String,
    /// m, push and pull.
    pub distance: f64,
    /// rad, rotate and observe.
    pub angle: f64,
    /// s, wait.
    pub duration: f64,
}

/// A running behaviour.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// See [`Navigate`].
    Move(Navigate),
    /// See [`Grasp`].
    Grasp(Box<Grasp>),
    /// See [`Release`].
    Release(Box<Release>),
    /// See [`Straight`]; push and pull.
    Straight(Straight),
    /// See [`Turn`].
    Rotate(Turn),
    /// See [`Observe`].
    Observe(Observe),
    /// Stands still until a time, s.
    Wait {
        /// When it began, s.
        from_s: f64,
        /// When it ends, s.
        until_s: f64,
    },
    /// See [`Dock`].
    Dock(Box<Dock>),
}

impl Behaviour {
    /// Starts a capability; says why the request makes no sense.
    pub fn start(capability: Capability, request: &Request, body: &Body) -> Result<Self, String> {
        let numbers = [request.distance, request.angle, request.duration];
        if numbers.iter().any(|number| !number.is_finite()) || request.target.is_some_and(|target| !target.is_finite()) {
            return Err("the goal has a number that is not finite".to_owned());
        }
        Ok(match capability {
            Capability::Move => {
                let target = request.target.ok_or("move needs a target")?.to_pose2();
                let yaw = (!request.any_heading).then_some(target.yaw);
                Self::Move(Navigate::new(target.position(), yaw, Arrival::Exact))
            }
            Capability::Grasp => Self::Grasp(Box::new(Grasp::new(request, body)?)),
            Capability::Release => Self::Release(Box::new(Release::new(request, body)?)),
            Capability::Push | Capability::Pull => {
                if !(request.distance > 0.0 && request.distance <= 3.0) {
                    return Err(format!(
                        "{} needs a distance above 0 and up to 3 m, got {}",
                        capability.name(),
                        request.distance
                    ));
                }
                if capability == Capability::Push {
                    Self::Straight(Straight::push(request.distance))
                } else {
                    Self::Straight(Straight::back(request.distance))
                }
            }
            Capability::Rotate => Self::Rotate(match request.target {
                Some(target) if request.angle == 0.0 => Turn::to(bearing_to(body.pose(), target.to_pose2())),
                _ => Turn::by(request.angle),
            }),
            Capability::Observe => Self::Observe(Observe::new(request, body)),
            Capability::Wait => {
                if request.duration < 0.0 {
                    return Err(format!("wait needs a duration of at least 0 s, got {}", request.duration));
                }
                Self::Wait { from_s: body.now(), until_s: body.now() + request.duration }
            }
            Capability::Dock => Self::Dock(Box::new(Dock::new())),
        })
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        match self {
            Self::Move(behaviour) => behaviour.step(body),
            Self::Grasp(behaviour) => behaviour.step(body),
            Self::Release(behaviour) => behaviour.step(body),
            Self::Straight(behaviour) => behaviour.step(body),
            Self::Rotate(behaviour) => behaviour.step(body),
            Self::Observe(behaviour) => behaviour.step(body),
            Self::Wait { until_s, .. } => {
                if body.now() >= *until_s {
                    Step::Done
                } else {
                    Step::Running
                }
            }
            Self::Dock(behaviour) => behaviour.step(body),
        }
    }

    /// What it is doing, and how far it is (0..1).
    pub fn progress(&self, body: &Body) -> (String, f64) {
        match self {
            Self::Move(behaviour) => (behaviour.phase().to_owned(), behaviour.progress(body)),
            Self::Grasp(behaviour) => (behaviour.phase().to_owned(), behaviour.progress()),
            Self::Release(behaviour) => (behaviour.phase().to_owned(), behaviour.progress()),
            Self::Straight(behaviour) => ("straight".to_owned(), behaviour.progress()),
            Self::Rotate(behaviour) => ("turn".to_owned(), behaviour.progress()),
            Self::Observe(behaviour) => ("look".to_owned(), behaviour.progress()),
            Self::Wait { from_s, until_s } => {
                ("wait".to_owned(), ((body.now() - from_s) / (until_s - from_s).max(1e-9)).clamp(0.0, 1.0))
            }
            Self::Dock(behaviour) => (behaviour.phase().to_owned(), behaviour.progress()),
        }
    }
}

/// Heading (rad, map) from a pose to a place.
fn bearing_to(pose: Pose2, place: Pose2) -> f64 {
    (place.position() - pose.position()).to_angle()
}
