//! Words for the numbers in OmniMind's messages.

use crate::omnimind_msgs::msg::{GoalStatus, PlanAction};

/// Name of an action type.
#[must_use]
pub fn action_name(kind: u8) -> &'static str {
    const NAMES: [(u8, &str); 8] = [
        (PlanAction::MOVE, "move"),
        (PlanAction::GRASP, "grasp"),
        (PlanAction::RELEASE, "release"),
        (PlanAction::PUSH, "push"),
        (PlanAction::PULL, "pull"),
        (PlanAction::ROTATE, "rotate"),
        (PlanAction::OBSERVE, "observe"),
        (PlanAction::WAIT, "wait"),
    ];
    NAMES.iter().find(|(k, _)| *k == kind).map_or("unknown action", |(_, name)| name)
}

/// State of an action.
#[must_use]
pub fn action_state(status: u8) -> &'static str {
    match status {
        PlanAction::PLANNED => "planned",
        PlanAction::IN_PROGRESS => "in progress",
        PlanAction::COMPLETED => "completed",
        PlanAction::FAILED => "failed",
        PlanAction::CANCELLED => "cancelled",
        _ => "unknown",
    }
}

/// State of a goal.
#[must_use]
pub fn goal_state(status: u8) -> &'static str {
    match status {
        GoalStatus::PENDING => "pending",
        GoalStatus::ACTIVE => "active",
        GoalStatus::ACHIEVED => "achieved",
        GoalStatus::FAILED => "failed",
        GoalStatus::ABORTED => "aborted",
        GoalStatus::EXPIRED => "expired",
        _ => "unknown",
    }
}
