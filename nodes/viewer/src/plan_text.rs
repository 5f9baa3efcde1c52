//! A plan as Markdown.

use std::fmt::Write as _;

use msgs::omnimind_msgs::msg::{Plan, PlanAction};
use msgs::words::{action_name, goal_state};

/// The plan as a table with a row per action.
#[must_use]
pub fn markdown(plan: &Plan) -> String {
    let mut text = format!("## {}\n\n", if plan.goal.description.is_empty() { "No goal" } else { &plan.goal.description });
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "Goal {}. Expected: {:.0} s, {:.2} Wh, confidence {:.0} %. {}\n",
        goal_state(plan.goal_status),
        plan.expected_duration,
        plan.expected_energy_wh,
        plan.confidence * 100.0,
        if plan.admissible { "A dock stays within reach." } else { "**A dock would be out of reach.**" }
    );
    if !plan.actions.is_empty() {
        text.push_str("| | action | what | Wh | charge after |\n|---|---|---|---|---|\n");
    }
    for (i, action) in plan.actions.iter().enumerate() {
        let mark = match action.status {
            PlanAction::IN_PROGRESS => "▶",
            PlanAction::COMPLETED => "✔",
            PlanAction::FAILED => "✘",
            PlanAction::CANCELLED => "–",
            _ if i64::from(plan.current) == i as i64 => "▶",
            _ => " ",
        };
        let (name, what) = (action_name(action.type_), action.description.replace('|', "/"));
        let _ = writeln!(text, "| {mark} | {name} | {what} | {:.2} | {:.1} Wh |", action.energy_wh, action.charge_after_wh);
    }
    if !plan.explanation.is_empty() {
        let _ = writeln!(text, "\n{}", plan.explanation);
    }
    for line in &plan.alternatives {
        let _ = writeln!(text, "\n- not taken: {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_shows_its_goal_and_a_row_per_action() {
        let mut plan = Plan { current: 1, admissible: true, ..Plan::default() };
        plan.goal.description = "bring the cup".into();
        for (type_, status) in [(PlanAction::MOVE, PlanAction::COMPLETED), (PlanAction::GRASP, PlanAction::PLANNED)] {
            plan.actions.push(PlanAction { type_, status, description: "a|b".into(), ..PlanAction::default() });
        }
        let text = markdown(&plan);
        assert!(text.starts_with("## bring the cup"));
        assert!(text.contains("| ✔ | move | a/b |") && text.contains("| ▶ | grasp |"), "{text}");
        assert!(markdown(&Plan::default()).contains("No goal"));
    }
}
