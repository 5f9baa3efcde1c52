//! Goals and their life cycle: pending, active, then achieved, failed, aborted or expired.

use crate::intent::Wish;
use spatial::Pose2;

/// State of a goal; the numbers are those of omnimind_msgs/GoalStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Status {
    /// Waits.
    Pending = 0,
    /// Is being pursued.
    Active = 1,
    /// Done.
    Achieved = 2,
    /// Could not be done.
    Failed = 3,
    /// Was called off.
    Aborted = 4,
    /// Its deadline passed.
    Expired = 5,
}

impl Status {
    /// Whether nothing will change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Active)
    }
}

/// What a goal wants.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Aim {
    /// Bring an object (label) to a room (name).
    Fetch {
        /// Label.
        object: String,
        /// Name of the room.
        room: String,
    },
    /// Go to a room (name).
    GoToRoom {
        /// Name of the room.
        room: String,
    },
    /// Go to a pose in the map.
    GoToPose(Pose2),
    /// Find an object (label).
    Find {
        /// Label.
        object: String,
    },
    /// Go home and charge.
    Dock,
}

impl Aim {
    /// The aim of a wish; None for stop, which is no goal.
    #[must_use]
    pub fn from_wish(wish: &Wish) -> Option<Self> {
        Some(match wish {
            Wish::Fetch { object, room } => Self::Fetch { object: object.clone(), room: room.clone() },
            Wish::GoTo { room } => Self::GoToRoom { room: room.clone() },
            Wish::Find { object } => Self::Find { object: object.clone() },
            Wish::Dock => Self::Dock,
            Wish::Stop => return None,
        })
    }
}

/// A goal.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Goal {
    /// Identity.
    pub id: String,
    /// What it wants.
    pub aim: Aim,
    /// The words it came from.
    pub description: String,
    /// 0..1, higher first.
    pub priority: f64,
    /// Absolute time at which it expires, s; None: never.
    pub deadline_s: Option<f64>,
    /// When it was accepted, s.
    pub accepted_s: f64,
    /// State.
    pub status: Status,
    /// Why it is in this state.
    pub reason: String,
    /// Energy used on it, Wh.
    pub energy_wh: f64,
    /// When it ended, s.
    pub ended_s: Option<f64>,
}

/// Why a goal was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The identity is in use.
    #[error("goal '{0}' exists already")]
    Duplicate(String),
    /// Too many goals wait.
    #[error("{0} goals wait already")]
    Full(usize),
    /// Priority outside 0..1 or a negative deadline.
    #[error("priority must be in 0..1 and the deadline not negative")]
    Range,
}

/// What is asked for when a goal is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Identity, empty: made here.
    pub id: String,
    /// What it wants.
    pub aim: Aim,
    /// The words.
    pub description: String,
    /// 0..1.
    pub priority: f64,
    /// From acceptance, s; 0: none.
    pub deadline_s: f64,
}

/// All goals: those that live, and a bounded history of those that ended.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct GoalBook {
    live: Vec<Goal>,
    ended: std::collections::VecDeque<Goal>,
    next: u64,
}

const MAX_LIVE: usize = 32;
const MAX_ENDED: usize = 100;

impl GoalBook {
    /// Accepts a goal and returns its identity.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn accept(&mut self, request: Request, now_s: f64) -> Result<String, AcceptError> {
        if !(0.0..=1.0).contains(&request.priority) || !request.deadline_s.is_finite() || request.deadline_s < 0.0 {
            return Err(AcceptError::Range);
        }
        if self.live.len() >= MAX_LIVE {
            return Err(AcceptError::Full(self.live.len()));
        }
        let id = if request.id.is_empty() {
            self.next += 1;
            format!("goal-{}", self.next)
        } else {
            request.id
        };
        if self.get(&id).is_some() {
            return Err(AcceptError::Duplicate(id));
        }
        self.live.push(Goal {
            id: id.clone(),
            aim: request.aim,
            description: request.description,
            priority: request.priority,
            deadline_s: (request.deadline_s > 0.0).then_some(now_s + request.deadline_s),
            accepted_s: now_s,
            status: Status::Pending,
            reason: "accepted".into(),
            energy_wh: 0.0,
            ended_s: None,
        });
        Ok(id)
    }

    /// A goal by identity, living or ended.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Goal> {
        self.live.iter().chain(&self.ended).find(|g| g.id == id)
    }

    /// The active goal.
    #[must_use]
    pub fn active(&self) -> Option<&Goal> {
        self.live.iter().find(|g| g.status == Status::Active)
    }

    /// Goals that have not ended.
    #[must_use]
    pub fn live(&self) -> &[Goal] {
        &self.live
    }

    /// The goal that should be pursued: the highest priority, then the earliest deadline, then the oldest. The active one
    /// stays unless another has a strictly higher priority.
    #[must_use]
    pub fn choose(&self) -> Option<&Goal> {
        self.live
            .iter()
            .enumerate()
            .min_by(|(i, a), (j, b)| {
                let active = |g: &Goal| g.status != Status::Active;
                let deadline = |g: &Goal| g.deadline_s.unwrap_or(f64::INFINITY);
                b.priority
                    .total_cmp(&a.priority)
                    .then(active(a).cmp(&active(b)))
                    .then(deadline(a).total_cmp(&deadline(b)))
                    .then(i.cmp(j))
            })
            .map(|(_, g)| g)
    }

    /// Makes one goal active; the one that was becomes pending again.
    pub fn activate(&mut self, id: &str) {
        for goal in &mut self.live {
            if goal.id == id {
                goal.status = Status::Active;
                goal.reason = "in progress".into();
            } else if goal.status == Status::Active {
                goal.status = Status::Pending;
                goal.reason = format!("waits for '{id}'");
            }
        }
    }

    /// Adds energy to the active goal's account, Wh.
    pub fn spend(&mut self, energy_wh: f64) {
        if let Some(goal) = self.live.iter_mut().find(|g| g.status == Status::Active) {
            goal.energy_wh += energy_wh.max(0.0);
        }
    }

    /// Ends a goal and returns it; None if it does not live.
    pub fn end(&mut self, id: &str, status: Status, reason: &str, now_s: f64) -> Option<Goal> {
        if !status.is_final() {
            return None;
        }
        let i = self.live.iter().position(|g| g.id == id)?;
        let mut goal = self.live.remove(i);
        goal.status = status;
        goal.reason = reason.to_owned();
        goal.ended_s = Some(now_s);
        self.ended.push_back(goal.clone());
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
        Some(goal)
    }

    /// Ends every goal whose deadline has passed and returns them.
    pub fn expire(&mut self, now_s: f64) -> Vec<Goal> {
        let late: Vec<String> =
            self.live.iter().filter(|g| g.deadline_s.is_some_and(|d| now_s > d)).map(|g| g.id.clone()).collect();
        late.iter().filter_map(|id| self.end(id, Status::Expired, "the deadline has passed", now_s)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(priority: f64, deadline_s: f64) -> Request {
        Request { id: String::new(), aim: Aim::Dock, description: "go home".into(), priority, deadline_s }
    }

    #[test]
    fn a_goal_lives_from_pending_to_achieved() {
        let mut book = GoalBook::default();
        let id = book.accept(request(0.5, 0.0), 1.0).unwrap();
        assert_eq!(book.get(&id).unwrap().status, Status::Pending);
        book.activate(&id);
        book.spend(0.2);
        let done = book.end(&id, Status::Achieved, "done", 5.0).unwrap();
        assert_eq!((done.status, done.energy_wh, done.ended_s), (Status::Achieved, 0.2, Some(5.0)));
        assert!(book.active().is_none());
        assert!(book.end(&id, Status::Failed, "again", 6.0).is_none(), "an ended goal stays as it ended");
        assert_eq!(book.get(&id).unwrap().status, Status::Achieved);
    }

    #[test]
    fn priority_preempts_and_equals_do_not() {
        let mut book = GoalBook::default();
        let a = book.accept(request(0.5, 0.0), 0.0).unwrap();
        book.activate(&a);
        let b = book.accept(request(0.5, 10.0), 0.0).unwrap();
        assert_eq!(book.choose().unwrap().id, a);
        let c = book.accept(request(0.9, 0.0), 0.0).unwrap();
        assert_eq!(book.choose().unwrap().id, c);
        book.activate(&c);
        assert_eq!(book.get(&a).unwrap().status, Status::Pending);
        book.end(&c, Status::Aborted, "stop", 1.0);
        assert_eq!(book.choose().unwrap().id, b, "the one with the deadline first");
    }

    #[test]
    fn deadlines_expire() {
        let mut book = GoalBook::default();
        let id = book.accept(request(0.5, 2.0), 10.0).unwrap();
        assert!(book.expire(12.0).is_empty());
        assert_eq!(book.expire(12.1)[0].id, id);
        assert_eq!(book.get(&id).unwrap().status, Status::Expired);
    }

    #[test]
    fn bad_requests_are_refused() {
        let mut book = GoalBook::default();
        assert_eq!(book.accept(request(1.5, 0.0), 0.0), Err(AcceptError::Range));
        assert_eq!(book.accept(request(0.5, f64::NAN), 0.0), Err(AcceptError::Range));
        let mut r = request(0.5, 0.0);
        r.id = "x".into();
        book.accept(r.clone(), 0.0).unwrap();
        assert_eq!(book.accept(r, 0.0), Err(AcceptError::Duplicate("x".into())));
        for _ in 0..MAX_LIVE - 1 {
            book.accept(request(0.1, 0.0), 0.0).unwrap();
        }
        assert_eq!(book.accept(request(0.1, 0.0), 0.0), Err(AcceptError::Full(MAX_LIVE)));
    }
}
