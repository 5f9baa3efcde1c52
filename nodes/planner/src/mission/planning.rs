//! Making plans: places, the problem that is searched, and what is told about the plan that was found.

use glam::DVec2;
use spatial::Pose2;

use super::{Mission, Running, StepStatus};
use crate::domain::{Action, Problem, Source, State, Target};
use crate::goals::{Aim, Goal};
use crate::search::{self, Plan, PlanError};
use crate::travel::Distances;
use crate::world::{self, FIRST_SURFACE, Place, ROBOT, SeenObject};

impl Mission {
    pub(super) fn places(&self, aim: &Aim) -> Option<Vec<Place>> {
        let robot = self.pose?;
        Some(match aim {
            Aim::GoToPose(pose) => world::places(&self.home, robot, Some(("the pose", *pose))),
            Aim::GoToRoom { room } => {
                let r = self.home.room(room)?;
                let pose = self.home.waypoint(room).unwrap_or_else(|| Pose2::at(r.centre(), robot.yaw));
                world::places(&self.home, robot, Some((&r.label, pose)))
            }
            _ => world::places(&self.home, robot, None),
        })
    }

    /// Makes a plan for a goal.
    pub(super) fn make_plan(&mut self, goal: &Goal, now_s: f64) -> Result<Running, PlanError> {
        let places = self.places(&goal.aim).ok_or(PlanError::Impossible)?;
        let points: Vec<DVec2> = places.iter().map(|p| p.pose.position()).collect();
        let fixed = FIRST_SURFACE + self.home.surfaces.len();
        if self.table.is_none() {
            self.table = Some(Distances::between(&points[..fixed], self.costs.as_ref()));
        }
        let distances = if points.len() > fixed {
            Distances::between(&points, self.costs.as_ref())
        } else {
            let table = self.table.as_mut().ok_or(PlanError::Impossible)?;
            table.replace(ROBOT, &points, self.costs.as_ref());
            table.clone()
        };
        let charge = self.charge.ok_or(PlanError::Impossible)?;
        let (object, target) = match &goal.aim {
            Aim::Fetch { object, .. } => (object.clone(), Target::Deliver),
            Aim::Find { object } => (object.clone(), Target::Locate),
            Aim::GoToRoom { .. } | Aim::GoToPose(_) => (String::new(), Target::Be(places.len() - 1)),
            Aim::Dock => (String::new(), Target::Docked),
        };
        let wanted_in = if let Aim::Fetch { room, .. } = &goal.aim { Some(room.as_str()) } else { None };
        let probabilities = world::location(&self.home, &self.objects, &object, wanted_in, &self.looks);
        let mut sources = Vec::new();
        if matches!(target, Target::Deliver | Target::Locate) {
            let t = &self.settings.timing;
            let penalties = world::miss_penalties(&probabilities, &distances, t.speed, t.observe_s + t.turn_s);
            for (i, (&probability, &miss_penalty_s)) in probabilities.iter().zip(&penalties).enumerate() {
                let place = FIRST_SURFACE + i;
                let free = self.blocked.get(&place).is_none_or(|until| now_s >= *until);
                if free && probability > 1e-6 {
                    sources.push(Source { place, probability, miss_penalty_s });
                }
            }
        }
        let mut destinations = Vec::new();
        if let Aim::Fetch { room, object } = &goal.aim {
            for (i, s) in self.home.surfaces.iter().enumerate() {
                let place = FIRST_SURFACE + i;
                let open = self.blocked.get(&place).is_none_or(|until| now_s >= *until);
                if s.room == *room
                    && open
                    && world::put_spot(&self.home, i, &self.objects, object, self.settings.clear_m).is_some()
                {
                    destinations.push((place, 0.0));
                }
            }
        }
        let holding = self.gripping && target == Target::Deliver;
        let start = State {
            place: ROBOT,
            facing: true,
            holding,
            located: false,
            in_reach: true,
            spot_free: true,
            delivered: false,
            charged: false,
        };
        let mut problem = Problem {
            places: places.len(),
            distances: &distances,
            sources,
            destinations,
            start,
            target,
            model: &self.model,
            timing: self.settings.timing,
            charge_wh: charge.wh,
            full_wh: self.settings.charge_to * charge.capacity_wh,
            reserve_wh: self.settings.reserve_wh,
            charge_first: false,
            offset_s: 0.0,
        };
        problem.weigh_sources();
        // The way to the dock is taken even when the account says it will not do: there is nothing better to try.
        let plan = match search::plan(&problem) {
            Err(PlanError::Energy { .. }) if target == Target::Docked => {
                search::plan(&Problem { charge_wh: charge.capacity_wh, ..problem.clone() })?
            }
            other => other?,
        };
        let alternatives = alternatives(&problem, &plan, &places);
        let confidence = confidence(&plan, &probabilities, holding);
        let explanation = explain(&plan, &places, &probabilities, charge.wh, self.settings.reserve_wh);
        let statuses = vec![StepStatus::Planned; plan.steps.len()];
        Ok(Running {
            goal_id: goal.id.clone(),
            plan,
            places,
            statuses,
            current: 0,
            explanation,
            alternatives,
            confidence,
            object,
        })
    }

    /// The believed object of a label on the surface of a place.
    pub(super) fn object_at(&self, label: &str, place: usize) -> Option<SeenObject> {
        let surface = place.checked_sub(FIRST_SURFACE)?;
        self.objects
            .iter()
            .filter(|o| o.label == label && !o.held && self.trusted(o))
            .filter(|o| world::surface_of(&self.home, o.position) == Some(surface))
            .max_by(|a, b| a.confidence.total_cmp(&b.confidence).then(b.id.cmp(&a.id)))
            .cloned()
    }

    pub(super) fn trusted(&self, object: &SeenObject) -> bool {
        object.confidence > self.settings.believe && object.sightings >= self.settings.sightings
    }
}

/// Chance that the plan works out as it stands: the object is where it is looked for first, and no step fails.
fn confidence(plan: &Plan, probabilities: &[f64], holding: bool) -> f64 {
    let found = plan
        .steps
        .iter()
        .find(|s| s.action == Action::Observe)
        .and_then(|s| probabilities.get(s.place.wrapping_sub(FIRST_SURFACE)))
        .copied();
    let steps = plan.steps.iter().map(|s| match s.action {
        Action::Grasp => 0.9,
        Action::Release | Action::Push | Action::Pull => 0.95,
        _ => 0.99,
    });
    found.filter(|_| !holding).unwrap_or(1.0) * steps.product::<f64>()
}

fn describe(plan: &Plan, places: &[Place]) -> String {
    let name = |i: usize| places.get(i).map_or("?", |p| p.name.as_str());
    plan.steps
        .iter()
        .map(|s| match s.action {
            Action::Move { to } => format!("go to {}", name(to)),
            Action::Observe => format!("look at {}", name(s.place)),
            Action::Wait => "charge".to_owned(),
            other => other.name().to_owned(),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn explain(plan: &Plan, places: &[Place], probabilities: &[f64], charge_wh: f64, reserve_wh: f64) -> String {
    let mut text = format!(
        "{}: {:.0} s expected with search, {:.2} Wh of {charge_wh:.2} Wh, reserve {reserve_wh:.2} Wh",
        describe(plan, places),
        plan.cost_s,
        plan.energy.wh
    );
    let mut likely: Vec<(usize, f64)> = probabilities.iter().copied().enumerate().filter(|p| p.1 > 0.01).collect();
    likely.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if plan.steps.iter().any(|s| s.action == Action::Observe) {
        let names: Vec<String> = likely
            .iter()
            .take(4)
            .filter_map(|(i, p)| places.get(FIRST_SURFACE + i).map(|place| format!("{} {:.0} %", place.name, p * 100.0)))
            .collect();
        text.push_str(&format!("; it may be at {}", names.join(", ")));
    }
    text
}

/// Other plans, really computed: charging first, another surface first, another place to put it down.
fn alternatives(problem: &Problem<'_>, chosen: &Plan, places: &[Place]) -> Vec<String> {
    let mut out = Vec::new();
    let mut add = |what: &str, other: Result<Plan, PlanError>| {
        out.push(match other {
            Ok(p) => format!(
                "{what}: {:.0} s and {:.2} Wh instead of {:.0} s and {:.2} Wh ({})",
                p.cost_s,
                p.energy.wh,
                chosen.cost_s,
                chosen.energy.wh,
                describe(&p, places)
            ),
            Err(e) => format!("{what}: {e}"),
        });
    };
    let charges = chosen.steps.iter().any(|s| s.action == Action::Wait);
    if !charges && problem.target != Target::Docked {
        add("charge first", search::plan(&Problem { charge_first: true, ..problem.clone() }));
    }
    let first = chosen.steps.iter().find(|s| s.action == Action::Observe).map(|s| s.place);
    if let Some(first) = first.filter(|_| problem.sources.len() > 1) {
        let mut other = problem.clone();
        other.sources.retain(|s| s.place != first);
        add(&format!("not look at {} first", places.get(first).map_or("?", |p| p.name.as_str())), search::plan(&other));
    }
    let put = chosen.steps.iter().find(|s| s.action == Action::Release).map(|s| s.place);
    if let Some(put) = put.filter(|_| problem.destinations.len() > 1) {
        let mut other = problem.clone();
        other.destinations.retain(|d| d.0 != put);
        add(&format!("put it elsewhere than on {}", places.get(put).map_or("?", |p| p.name.as_str())), search::plan(&other));
    }
    out
}
