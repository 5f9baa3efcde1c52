//! The plain view: a line on standard error for each thing that changes.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::observer::{Board, Snapshot};
use msgs::words::{action_name, action_state, goal_state};

/// Prints until the graph has ended.
pub fn show(board: Board) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut seen = Seen::default();
        loop {
            let (lines, ended) = {
                let snapshot = board.lock();
                (seen.news(&snapshot), snapshot.ended)
            };
            for line in lines {
                eprintln!("{line}");
            }
            if ended {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

/// What has been told already.
#[derive(Debug, Default)]
struct Seen {
    phase: String,
    goal: String,
    steps: Vec<(u8, u8)>,
    transcripts: usize,
    minute: u64,
}

impl Seen {
    fn news(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tell = |text: String| lines.push(format!("{:>8.1} s  {text}", snapshot.elapsed_s()));
        if let Some(mission) = &snapshot.mission
            && mission.phase != self.phase
        {
            self.phase.clone_from(&mission.phase);
            tell(format!("mission: {}", mission.phase));
        }
        for heard in snapshot.transcripts.iter().skip(self.transcripts).filter(|t| !t.text.is_empty()) {
            tell(format!("heard: \"{}\"", heard.text));
        }
        self.transcripts = snapshot.transcripts.len();
        if let Some(goal) = &snapshot.goal {
            let text = format!(
                "goal {}: {}{}{}",
                goal_state(goal.status),
                goal.goal.description,
                if goal.reason.is_empty() { "" } else { ", " },
                goal.reason
            );
            if text != self.goal {
                tell(text.clone());
                self.goal = text;
            }
        }
        if let Some(plan) = &snapshot.plan {
            let steps: Vec<(u8, u8)> = plan.actions.iter().map(|a| (a.type_, a.status)).collect();
            for (i, action) in plan.actions.iter().enumerate() {
                if self.steps.get(i) != Some(&(action.type_, action.status)) && action.status != 0 {
                    tell(format!(
                        "step {} of {}: {} {}, {}",
                        i + 1,
                        plan.actions.len(),
                        action_name(action.type_),
                        action.description,
                        action_state(action.status)
                    ));
                }
            }
            self.steps = steps;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let minute = (snapshot.elapsed_s() / 30.0) as u64;
        if minute > self.minute && !snapshot.room.is_empty() {
            self.minute = minute;
            let charge =
                snapshot.battery.as_ref().map_or_else(String::new, |b| format!(", battery {:.0} %", b.percentage * 100.0));
            tell(format!("in the {}{charge}", snapshot.room));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::omnimind_msgs::msg::{Plan, PlanAction};
    use std::sync::Arc;

    #[test]
    fn each_change_is_told_once() {
        let mut seen = Seen::default();
        let mut snapshot = Snapshot::default();
        let action =
            PlanAction { status: PlanAction::IN_PROGRESS, description: "to the kitchen".into(), ..PlanAction::default() };
        snapshot.plan = Some(Arc::new(Plan { actions: vec![action.clone(), PlanAction::default()], ..Plan::default() }));
        assert_eq!(seen.news(&snapshot).len(), 1);
        assert!(seen.news(&snapshot).is_empty());
        let done = PlanAction { status: PlanAction::COMPLETED, ..action };
        snapshot.plan = Some(Arc::new(Plan { actions: vec![done, PlanAction::default()], ..Plan::default() }));
        assert!(seen.news(&snapshot)[0].contains("move to the kitchen, completed"));
    }
}
