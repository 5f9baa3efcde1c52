//! A* over the symbolic and numeric state.
//!
//! Two paths to the same symbolic state are compared by cost and by charge: a dearer one survives if it leaves more
//! energy. Every step must leave enough to reach the dock, with the plan's accumulated uncertainty and the reserve.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::domain::{Action, Problem, State};
use crate::energy::Energy;
use crate::world::DOCK;

/// One step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Where it happens (for moves: where they end).
    pub place: usize,
    /// Expected duration, s.
    pub duration_s: f64,
    /// Expected energy; negative while charging.
    pub energy: Energy,
    /// Expected charge after it, Wh.
    pub charge_after_wh: f64,
    /// Needed to reach the dock after it, with the reserve, Wh.
    pub needed_wh: f64,
}

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Cost in the objective, s: expected time including expected search.
    pub cost_s: f64,
    /// Expected duration of the steps, s.
    pub duration_s: f64,
    /// Expected energy of the steps (charging not counted).
    pub energy: Energy,
    /// States expanded.
    pub expanded: usize,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// There is energy for no plan, not even with charging before.
    #[error("there is not enough energy: {short_wh:.2} Wh short at best")]
    Energy {
        /// Shortage of the least short branch, Wh.
        short_wh: f64,
    },
    /// No sequence of actions reaches the goal.
    #[error("no sequence of actions reaches the goal")]
    Impossible,
    /// The search was cut.
    #[error("the search was cut after {0} states")]
    TooLarge(usize),
}

/// Most states expanded.
pub const MAX_EXPANDED: usize = 50_000;

#[derive(Clone, Copy, Debug)]
struct Visit {
    state: State,
    parent: Option<usize>,
    step: Option<Step>,
    cost: f64,
    charge_wh: f64,
    variance: f64,
}

#[derive(PartialEq)]
struct Open {
    estimate: f64,
    visit: usize,
}

impl Eq for Open {}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest: least estimate first, then the oldest, so that equal plans are always the same.
        other.estimate.total_cmp(&self.estimate).then(other.visit.cmp(&self.visit))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The cheapest admissible plan.
///
/// # Errors
/// [`PlanError`] says whether energy or logic forbids it.
pub fn plan(problem: &Problem<'_>) -> Result<Plan, PlanError> {
    let mut visits =
        vec![Visit { state: problem.start, parent: None, step: None, cost: 0.0, charge_wh: problem.charge_wh, variance: 0.0 }];
    let mut open = BinaryHeap::from([Open { estimate: problem.bound(&problem.start), visit: 0 }]);
    let mut seen: BTreeMap<State, Vec<(f64, f64)>> = BTreeMap::new();
    let mut shortage = f64::INFINITY;
    let mut expanded = 0;
    while let Some(Open { visit: at, .. }) = open.pop() {
        let here = visits[at];
        if problem.reached(&here.state) {
            return Ok(trace(&visits, at, expanded, problem.offset_s));
        }
        let known = seen.entry(here.state).or_default();
        if known.iter().any(|(cost, charge)| *cost <= here.cost && *charge >= here.charge_wh) {
            continue;
        }
        known.push((here.cost, here.charge_wh));
        expanded += 1;
        if expanded > MAX_EXPANDED {
            return Err(PlanError::TooLarge(expanded));
        }
        for t in problem.transitions(&here.state, here.charge_wh) {
            let charge_wh = here.charge_wh - t.energy.wh;
            // Waiting at the dock forgets how the charge came about.
            let variance = if t.action == Action::Wait { 0.0 } else { here.variance + t.energy.sigma_wh.powi(2) };
            let way = problem.to_dock(t.next.place);
            // On the way to the dock the reserve is what it is there for.
            let reserve = if t.next.place == DOCK { 0.0 } else { problem.reserve_wh };
            let needed_wh = way.wh + way.sigma_wh + reserve;
            let left = charge_wh - variance.sqrt() - needed_wh;
            if left < 0.0 {
                shortage = shortage.min(-left);
                continue;
            }
            let step = Step {
                action: t.action,
                place: t.next.place,
                duration_s: t.duration_s,
                energy: t.energy,
                charge_after_wh: charge_wh,
                needed_wh,
            };
            let cost = here.cost + t.cost_s;
            let estimate = cost + problem.bound(&t.next);
            visits.push(Visit { state: t.next, parent: Some(at), step: Some(step), cost, charge_wh, variance });
            open.push(Open { estimate, visit: visits.len() - 1 });
        }
    }
    if shortage.is_finite() { Err(PlanError::Energy { short_wh: shortage }) } else { Err(PlanError::Impossible) }
}

fn trace(visits: &[Visit], end: usize, expanded: usize, offset_s: f64) -> Plan {
    let mut steps = Vec::new();
    let mut at = Some(end);
    while let Some(i) = at {
        steps.extend(visits[i].step);
        at = visits[i].parent;
    }
    steps.reverse();
    let spending = steps.iter().filter(|s| s.energy.wh > 0.0);
    let wh = spending.clone().map(|s| s.energy.wh).sum();
    let sigma_wh = spending.map(|s| s.energy.sigma_wh.powi(2)).sum::<f64>().sqrt();
    Plan {
        duration_s: steps.iter().map(|s| s.duration_s).sum(),
        steps,
        cost_s: (visits[end].cost - offset_s).max(0.0),
        energy: Energy { wh, sigma_wh },
        expanded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Source, Target, Timing};
    use crate::energy::EnergyModel;
    use crate::travel::Distances;
    use crate::world::ROBOT;
    use glam::DVec2;
    use proptest::prelude::*;

    const START: State = State {
        place: ROBOT,
        facing: true,
        holding: false,
        located: false,
        in_reach: true,
        spot_free: true,
        delivered: false,
        charged: false,
    };

    fn points() -> Vec<DVec2> {
        [[5.0, 2.0], [5.0, 0.3], [1.0, 6.0], [3.0, 5.3], [9.0, 6.0]].map(DVec2::from_array).to_vec()
    }

    fn problem<'a>(distances: &'a Distances, model: &'a EnergyModel, charge_wh: f64) -> Problem<'a> {
        let source = |place, probability, miss_penalty_s| Source { place, probability, miss_penalty_s };
        Problem {
            places: 5,
            distances,
            sources: vec![source(2, 0.2, 100.0), source(3, 0.8, 20.0)],
            destinations: vec![(4, 0.0)],
            start: START,
            target: Target::Deliver,
            model,
            timing: Timing::default(),
            charge_wh,
            full_wh: 20.0,
            reserve_wh: 1.0,
            charge_first: false,
            offset_s: 0.0,
        }
    }

    fn names(plan: &Plan) -> Vec<&'static str> {
        plan.steps.iter().map(|s| s.action.name()).collect()
    }

    #[test]
    fn fetching_is_go_look_grasp_go_put() {
        let (d, m) = (Distances::between(&points(), None), EnergyModel::default());
        let p = plan(&problem(&d, &m, 10.0)).unwrap();
        assert_eq!(names(&p), ["move", "observe", "grasp", "move", "release"]);
        assert_eq!(p.steps[0].action, Action::Move { to: 3 }, "the likely and near surface first");
        assert!(p.steps.windows(2).all(|w| w[1].charge_after_wh < w[0].charge_after_wh));
        assert!(p.steps.iter().all(|s| s.charge_after_wh >= s.needed_wh));
    }

    #[test]
    fn with_little_charge_the_dock_comes_first() {
        let (d, m) = (Distances::between(&points(), None), EnergyModel::default());
        let p = plan(&problem(&d, &m, 1.7)).unwrap();
        assert_eq!(p.steps[0].action, Action::Move { to: DOCK });
        assert_eq!(names(&p)[..2], ["move", "wait"]);
        assert_eq!(names(&p).last(), Some(&"release"));
    }

    #[test]
    fn without_any_charge_there_is_no_plan_and_the_error_says_so() {
        let (d, m) = (Distances::between(&points(), None), EnergyModel::default());
        assert!(matches!(plan(&problem(&d, &m, 0.01)), Err(PlanError::Energy { .. })));
        let mut p = problem(&d, &m, 20.0);
        p.sources.clear();
        assert_eq!(plan(&p), Err(PlanError::Impossible));
    }

    #[test]
    fn obstacles_to_hands_and_heading_are_dealt_with_first() {
        let (d, m) = (Distances::between(&points(), None), EnergyModel::default());
        let mut p = problem(&d, &m, 20.0);
        p.start = State { place: 3, facing: false, in_reach: false, spot_free: false, ..START };
        let found = plan(&p).unwrap();
        assert_eq!(names(&found), ["rotate", "observe", "pull", "grasp", "move", "push", "release"]);
    }

    #[test]
    fn other_targets() {
        let (d, m) = (Distances::between(&points(), None), EnergyModel::default());
        let mut p = problem(&d, &m, 20.0);
        p.target = Target::Docked;
        assert_eq!(names(&plan(&p).unwrap()), ["move"]);
        p.target = Target::Be(4);
        assert_eq!(plan(&p).unwrap().steps[0].place, 4);
        p.target = Target::Locate;
        assert_eq!(names(&plan(&p).unwrap()), ["move", "observe"]);
        p.charge_first = true;
        assert_eq!(names(&plan(&p).unwrap()), ["move", "wait", "move", "observe"]);
    }

    proptest! {
        #[test]
        fn every_plan_keeps_the_dock_within_reach(charge in 0.0f64..26.0, seed in proptest::collection::vec(0.0f64..10.0, 10)) {
            let points: Vec<DVec2> = seed.chunks(2).map(|c| DVec2::new(c[0], c[1])).collect();
            let (d, m) = (Distances::between(&points, None), EnergyModel::default());
            if let Ok(found) = plan(&problem(&d, &m, charge)) {
                prop_assert!(found.steps.iter().all(|s| s.charge_after_wh >= s.needed_wh));
                prop_assert_eq!(found.steps.last().map(|s| s.action), Some(Action::Release));
                let again = plan(&problem(&d, &m, charge)).unwrap();
                prop_assert_eq!(again, found);
            }
        }
    }
}
