//! What a graph finds about itself: facts as sentences, each with what to do about it, and said to be over once they are.

mod clock;
mod definitions;
mod drops;
mod inputs;
mod probe;
mod topics;

use std::collections::BTreeMap;

use msgs::diagnostic_msgs::msg::{DiagnosticStatus, KeyValue};

use crate::diagnostics::Level;
use crate::graph::Graph;

pub(crate) use clock::WallClock;
pub(crate) use definitions::Definitions;
pub(crate) use drops::Drops;
pub(crate) use inputs::Inputs;
pub(crate) use probe::Probe;
pub(crate) use topics::Topics;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `node: what`
    pub name: String,
    pub level: Level,
    pub message: String,
    /// Figures.
    pub values: Vec<(&'static str, String)>,
}

impl Finding {
    /// `node` with or without its leading slash.
    pub fn new(node: &str, what: &str, level: Level, message: impl Into<String>) -> Self {
        let name = format!("{}: {what}", node.trim_start_matches('/'));
        Self { name, level, message: message.into(), values: Vec::new() }
    }

    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.values.push((key, value.to_string()));
        self
    }

    /// As /diagnostics has it.
    pub fn status(&self, hardware: &str) -> DiagnosticStatus {
        DiagnosticStatus {
            level: self.level.diagnostic(),
            name: self.name.clone(),
            message: self.message.clone(),
            hardware_id: hardware.to_owned(),
            values: self.values.iter().map(|(key, value)| KeyValue { key: (*key).to_owned(), value: value.clone() }).collect(),
        }
    }
}

/// Findings of one name as one, where the first of them stands: who listens keeps the last of a name.
pub(crate) fn joined(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings {
        match places.get(&finding.name) {
            Some(place) => {
                let first = &mut all[*place];
                first.level = first.level.max(finding.level);
                first.message = format!("{}; also: {}", first.message, finding.message);
                first.values.extend(finding.values);
            }
            None => {
                places.insert(finding.name.clone(), all.len());
                all.push(finding);
            }
        }
    }
    all
}

impl Graph {
    /// What is wrong with a graph that has been put together and need not have run: names that meet nobody, remaps that rename nothing,
    /// ends that do not fit, and what its nodes said while they were set up.
    pub fn faults(&self) -> Vec<DiagnosticStatus> {
        let shared = self.shared();
        let (mut topics, slots) = (Topics::default(), shared.slots.read().clone());
        let Some(own) = slots.first().map(|slot| slot.identity.clone()) else { return Vec::new() };
        let mut found = Vec::new();
        // Who is patient with nodes that start sees it at the second look.
        for _ in 0..topics::PATIENCE {
            found = topics.look(shared, &own);
        }
        for slot in &slots {
            let statuses = slot.statuses.lock();
            found.extend(statuses.iter().map(|(what, (level, message))| Finding::new(&slot.name, what, *level, message.clone())));
        }
        found.iter().filter(|finding| finding.level > Level::Ok).map(|finding| finding.status("")).collect()
    }
}

/// What was wrong when it was last looked at.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Memory {
    /// By name: how bad, how many sentences, and the first of them.
    open: BTreeMap<String, (Level, usize, String)>,
}

impl Memory {
    /// What has changed since the last look: findings that are new, worse or better, and those that are over, said once.
    pub fn changes(&mut self, found: &[Finding]) -> (Vec<Finding>, Vec<Finding>) {
        let mut now: BTreeMap<String, (Level, usize, String)> = BTreeMap::new();
        for finding in found {
            let entry = now.entry(finding.name.clone()).or_insert((Level::Ok, 0, finding.message.clone()));
            entry.0 = entry.0.max(finding.level);
            entry.1 += 1;
        }
        let before = |name: &str| self.open.get(name).map_or((Level::Ok, 0), |(level, count, _)| (*level, *count));
        let changed = |finding: &&Finding| {
            let ((level, count), (was, had)) =
                (now.get(&finding.name).map_or((Level::Ok, 0), |n| (n.0, n.1)), before(&finding.name));
            level != was || (level > Level::Ok && count > had)
        };
        let news = found.iter().filter(changed).cloned().collect();
        let gone = self.open.iter().filter(|(name, (level, ..))| *level > Level::Ok && !now.contains_key(*name));
        let over = gone.map(|(name, (_, _, message))| Finding {
            name: name.clone(),
            level: Level::Ok,
            message: format!("over: {message}"),
            values: Vec::new(),
        });
        let over = over.collect();
        self.open = now;
        (news, over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level, message: &str) -> Finding {
        Finding::new("/a", "x", level, message)
    }

    #[test]
    fn a_problem_is_news_once_and_its_end_is_said_once() {
        let mut memory = Memory::default();
        let bad = [finding(Level::Warn, "it leaks")];
        assert_eq!(memory.changes(&bad), (bad.to_vec(), vec![]));
        assert_eq!(memory.changes(&bad), (vec![], vec![]));
        let worse = [finding(Level::Error, "it burns")];
        assert_eq!(memory.changes(&worse), (worse.to_vec(), vec![]));
        assert_eq!(memory.changes(&[]), (vec![], vec![finding(Level::Ok, "over: it burns")]));
        assert_eq!(memory.changes(&[]), (vec![], vec![]));
    }

    #[test]
    fn findings_of_one_name_are_said_as_one_with_the_worst_level() {
        let other = Finding::new("/b", "x", Level::Ok, "well");
        let all = joined([finding(Level::Warn, "it leaks"), other.clone(), finding(Level::Error, "it burns")]);
        assert_eq!(all, [finding(Level::Error, "it leaks; also: it burns"), other]);
    }

    #[test]
    fn a_node_that_says_itself_that_all_is_well_is_heard_at_once_and_what_was_never_wrong_does_not_end() {
        let mut memory = Memory::default();
        assert_eq!(memory.changes(&[finding(Level::Ok, "fine")]), (vec![], vec![]));
        memory.changes(&[finding(Level::Warn, "it leaks")]);
        let well = [finding(Level::Ok, "dry")];
        assert_eq!(memory.changes(&well), (well.to_vec(), vec![]));
        assert_eq!(memory.changes(&[]), (vec![], vec![]));
    }
}
