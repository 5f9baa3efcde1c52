//! States and actions: the eight actions with preconditions, effects, duration and energy.

use crate::energy::{Effort, Energy, EnergyModel};
use crate::travel::Distances;
use crate::world::{DOCK, ROBOT};

/// One of the eight actions, with its arguments; places are indices into the problem's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Action {
    /// Drive to a place; to the dock it means docking.
    Move {
        /// Where to.
        to: usize,
    },
    /// Close the gripper on the object.
    Grasp,
    /// Put the object down here.
    Release,
    /// Push what stands where the object is to be put out of the way.
    Push,
    /// Pull the object nearer to the edge.
    Pull,
    /// Turn on the spot to face what the place is for.
    Rotate,
    /// Look for the object here.
    Observe,
    /// Wait at the dock until charged.
    Wait,
}

impl Action {
    /// Number of the type, as in omnimind_msgs/PlanAction.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Move { .. } => 0,
            Self::Grasp => 1,
            Self::Release => 2,
            Self::Push => 3,
            Self::Pull => 4,
            Self::Rotate => 5,
            Self::Observe => 6,
            Self::Wait => 7,
        }
    }

    /// Name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["move", "grasp", "release", "push", "pull", "rotate", "observe", "wait"][usize::from(self.number())]
    }
}

/// The symbolic state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// Where the robot is.
    pub place: usize,
    /// It faces what the place is for.
    pub facing: bool,
    /// It holds the object.
    pub holding: bool,
    /// It has just seen the object here.
    pub located: bool,
    /// The object is within the arm's reach once located.
    pub in_reach: bool,
    /// The spot at the destination is free.
    pub spot_free: bool,
    /// The object stands where it is wanted.
    pub delivered: bool,
    /// It has charged.
    pub charged: bool,
}

/// A surface where the object may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// Place in front of it.
    pub place: usize,
    /// Probability.
    pub probability: f64,
    /// Expected seconds that follow if it is not there.
    pub miss_penalty_s: f64,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The object stands at a destination.
    Deliver,
    /// The object has been seen.
    Locate,
    /// The robot is at a place.
    Be(usize),
    /// The robot is at the dock.
    Docked,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Mean driving speed, m/s.
    pub speed: f64,
    /// Turning and settling per drive, s.
    pub turn_s: f64,
    /// Looking at a surface, s.
    pub observe_s: f64,
    /// Grasping, s.
    pub grasp_s: f64,
    /// Putting down, s.
    pub release_s: f64,
    /// Pushing or pulling, s.
    pub push_s: f64,
    /// Docking manoeuvre, s.
    pub dock_s: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { speed: 0.2, turn_s: 4.0, observe_s: 5.0, grasp_s: 20.0, release_s: 15.0, push_s: 15.0, dock_s: 15.0 }
    }
}

/// A planning problem.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// Number of places; 0 is the robot's, 1 the dock.
    pub places: usize,
    /// Distances between them.
    pub distances: &'a Distances,
    /// Where the object may be.
    pub sources: Vec<Source>,
    /// Places from which it may be put down, with extra cost in s (0 for the best).
    pub destinations: Vec<(usize, f64)>,
    /// Beginning.
    pub start: State,
    /// End.
    pub target: Target,
    /// Power numbers.
    pub model: &'a EnergyModel,
    /// Durations.
    pub timing: Timing,
    /// Charge at the beginning, Wh.
    pub charge_wh: f64,
    /// Charge after waiting at the dock, Wh.
    pub full_wh: f64,
    /// Never to be touched, Wh.
    pub reserve_wh: f64,
    /// Plans must begin with charging.
    pub charge_first: bool,
    /// Subtracted from the cost of every plan, s: see [`Problem::weigh_sources`].
    pub offset_s: f64,
}

/// An action taken in a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// The action.
    pub action: Action,
    /// The state after it.
    pub next: State,
    /// Duration, s.
    pub duration_s: f64,
    /// Cost in the objective, s: duration and expected time lost.
    pub cost_s: f64,
    /// Energy used.
    pub energy: Energy,
}

impl Problem<'_> {
    /// Makes the cost of looking at a source first the expected cost of the whole task. A plan shows the branch in which
    /// the object is found at once, and what follows from there differs from source to source; what follows on average
    /// does not depend on the order of looking. So each source is charged the difference to the dearest one, and the
    /// difference of the dearest to the average is taken off every plan.
    pub fn weigh_sources(&mut self) {
        if self.target != Target::Deliver || self.start.holding || self.sources.is_empty() {
            return;
        }
        let after: Vec<f64> = self
            .sources
            .iter()
            .map(|s| {
                let way = |d: &(usize, f64)| {
                    let drive = if d.0 == s.place {
                        0.0
                    } else {
                        self.distances.get(s.place, d.0) / self.timing.speed + self.timing.turn_s
                    };
                    drive + d.1
                };
                self.destinations.iter().map(way).fold(f64::INFINITY, f64::min)
            })
            .map(|s| if s.is_finite() { s } else { 0.0 })
            .collect();
        let dearest = after.iter().copied().fold(0.0, f64::max);
        let total: f64 = self.sources.iter().map(|s| s.probability).sum();
        let mean = if total > 0.0 {
            self.sources.iter().zip(&after).map(|(s, a)| s.probability * a).sum::<f64>() / total
        } else {
            dearest
        };
        for (source, after) in self.sources.iter_mut().zip(after) {
            source.miss_penalty_s += dearest - after;
        }
        self.offset_s = dearest - mean;
    }

    /// Whether a state is an end.
    #[must_use]
    pub fn reached(&self, state: &State) -> bool {
        if self.charge_first && !state.charged {
            return false;
        }
        match self.target {
            Target::Deliver => state.delivered,
            Target::Locate => state.located,
            Target::Be(place) => state.place == place && state.facing,
            Target::Docked => state.place == DOCK && state.facing,
        }
    }

    /// Energy to drive to the dock from a place and dock there.
    #[must_use]
    pub fn to_dock(&self, place: usize) -> Energy {
        if place == DOCK {
            return Energy::default();
        }
        let effort = self.drive(place, DOCK);
        self.model.cost(&effort)
    }

    fn drive(&self, from: usize, to: usize) -> Effort {
        let distance_m = self.distances.get(from, to);
        let dock = if to == DOCK { self.timing.dock_s } else { 0.0 };
        Effort { duration_s: distance_m / self.timing.speed + self.timing.turn_s + dock, distance_m, arm_actions: 0.0 }
    }

    /// Everything that can be done in a state, in a fixed order.
    #[must_use]
    pub fn transitions(&self, s: &State, charge_wh: f64) -> Vec<Transition> {
        let mut out = Vec::new();
        let mut add = |action, next, effort: Effort, extra_s: f64| {
            if effort.duration_s.is_finite() {
                let energy = self.model.cost(&effort);
                out.push(Transition { action, next, duration_s: effort.duration_s, cost_s: effort.duration_s + extra_s, energy });
            }
        };
        let still = |duration_s, arm_actions| Effort { duration_s, distance_m: 0.0, arm_actions };
        let t = &self.timing;
        let source = self.sources.iter().find(|x| x.place == s.place);
        let destination = self.destinations.iter().find(|d| d.0 == s.place);
        if self.charge_first && !s.charged && s.place != DOCK {
            add(
                Action::Move { to: DOCK },
                State { place: DOCK, facing: true, located: false, ..*s },
                self.drive(s.place, DOCK),
                0.0,
            );
            return out;
        }
        if !s.facing && s.place != ROBOT {
            add(Action::Rotate, State { facing: true, ..*s }, still(t.turn_s, 0.0), 0.0);
        }
        // Preconditions: facing the surface, hands free, not yet seen here.
        if let Some(source) = source.filter(|_| s.facing && !s.holding && !s.located) {
            add(Action::Observe, State { located: true, ..*s }, still(t.observe_s, 0.0), source.miss_penalty_s);
        }
        if source.is_some() && s.facing && s.located && !s.holding {
            if s.in_reach {
                add(Action::Grasp, State { holding: true, located: false, ..*s }, still(t.grasp_s, 1.0), 0.0);
            } else {
                add(Action::Pull, State { in_reach: true, ..*s }, still(t.push_s, 1.0), 0.0);
            }
        }
        if let Some((_, extra)) = destination.filter(|_| s.facing && s.holding) {
            if s.spot_free {
                add(Action::Release, State { holding: false, delivered: true, ..*s }, still(t.release_s, 1.0), *extra);
            } else {
                add(Action::Push, State { spot_free: true, ..*s }, still(t.push_s, 1.0), 0.0);
            }
        }
        if s.place == DOCK && s.facing && charge_wh < self.full_wh - 1e-9 && !s.charged {
            let wait_s = self.model.charging_s(self.full_wh - charge_wh);
            out.push(Transition {
                action: Action::Wait,
                next: State { charged: true, ..*s },
                duration_s: wait_s,
                cost_s: wait_s,
                energy: Energy { wh: charge_wh - self.full_wh, sigma_wh: 0.0 },
            });
        }
        let mut go = |to: usize| {
            if to != s.place {
                let next = State { place: to, facing: true, located: false, ..*s };
                let effort = self.drive(s.place, to);
                if effort.duration_s.is_finite() {
                    let energy = self.model.cost(&effort);
                    out.push(Transition {
                        action: Action::Move { to },
                        next,
                        duration_s: effort.duration_s,
                        cost_s: effort.duration_s,
                        energy,
                    });
                }
            }
        };
        match self.target {
            Target::Be(place) => go(place),
            Target::Docked => {}
            Target::Deliver | Target::Locate => {
                if s.holding {
                    self.destinations.iter().for_each(|d| go(d.0));
                } else if !s.delivered {
                    self.sources.iter().for_each(|x| go(x.place));
                }
            }
        }
        go(DOCK);
        out
    }

    /// A lower bound of the cost to an end, s: every action that must still happen, and the least driving between.
    #[must_use]
    pub fn bound(&self, s: &State) -> f64 {
        let t = &self.timing;
        let drive = |a: usize, b: usize| if a == b { 0.0 } else { self.distances.get(a, b) / t.speed };
        let out = |from: usize| {
            let best = self.destinations.iter().map(|d| drive(from, d.0)).fold(f64::INFINITY, f64::min);
            if best.is_finite() { best } else { 0.0 }
        };
        match self.target {
            Target::Be(place) => drive(s.place, place).min(1e9),
            Target::Docked => drive(s.place, DOCK).min(1e9),
            Target::Locate if s.located => 0.0,
            Target::Locate => {
                let best = self.sources.iter().map(|x| drive(s.place, x.place)).fold(f64::INFINITY, f64::min);
                if best.is_finite() { best + t.observe_s } else { 0.0 }
            }
            Target::Deliver if s.delivered => 0.0,
            Target::Deliver if s.holding => out(s.place) + t.release_s,
            Target::Deliver => {
                let best = self.sources.iter().map(|x| drive(s.place, x.place) + out(x.place)).fold(f64::INFINITY, f64::min);
                if best.is_finite() { best + t.grasp_s + t.release_s } else { 0.0 }
            }
        }
    }
}
