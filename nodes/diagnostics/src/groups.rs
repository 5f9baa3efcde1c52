//! Groups of statuses: the rules of diagnostic_aggregator's GenericAnalyzer, with plain types and any clock.
//!
//! Source: ros/diagnostics, `diagnostic_aggregator/include/diagnostic_aggregator/generic_analyzer_base.hpp`, `generic_analyzer.hpp`,
//! `src/aggregator.cpp`, `src/other_analyzer.hpp`.

use std::collections::{BTreeMap, BTreeSet};

use msgs::diagnostic_msgs::msg::{DiagnosticStatus, KeyValue};
use regex::Regex;

const OK: u8 = DiagnosticStatus::OK;
const ERROR: u8 = DiagnosticStatus::ERROR;
const STALE: u8 = DiagnosticStatus::STALE;

/// The type of analyzer that a rule may name.
const GENERIC: &str = "diagnostic_aggregator/GenericAnalyzer";

/// A value of the parameter file.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Words; one word is a list of one.
    Words(Vec<String>),
    /// A number.
    Number(f64),
}

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A name that no rule has.
    #[error(
        "`{0}` is no setting of an analyzer: analyzers.<id>. with type, path, contains, startswith, name, regex, timeout, num_items"
    )]
    Unknown(String),
    /// A value of another kind.
    #[error("`{0}` is to be {1}")]
    Kind(String, &'static str),
    /// An analyzer that is not there.
    #[error("analyzer type `{0}` is not supported: only diagnostic_aggregator/GenericAnalyzer is")]
    Type(String),
    /// A pattern that cannot be read.
    #[error("`{0}` is no regular expression: {1}")]
    Pattern(String, String),
    /// Rules that match nothing.
    #[error("analyzer `{0}` needs one of contains, startswith, name, regex")]
    Empty(String),
}

/// What belongs to a group.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Its name, the second part of the names on /diagnostics_agg.
    pub path: String,
    /// Parts of names.
    pub contains: Vec<String>,
    /// Beginnings of names.
    pub startswith: Vec<String>,
    /// Whole names, which are expected: one that was never heard is missing.
    pub names: Vec<String>,
    /// Patterns of whole names.
    pub regex: Vec<Regex>,
    /// After so long without news a status is stale, s; 0: never.
    pub timeout_s: f64,
    /// So many statuses are expected; 0: any number.
    pub num_items: usize,
}

impl Rules {
    /// A group with this name that matches nothing yet.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            contains: Vec::new(),
            startswith: Vec::new(),
            names: Vec::new(),
            regex: Vec::new(),
            timeout_s: 5.0,
            num_items: 0,
        }
    }

    fn is_match(&self, name: &str) -> bool {
        self.names.iter().any(|whole| whole == name)
            || self.startswith.iter().any(|start| name.starts_with(start.as_str()))
            || self.contains.iter().any(|part| name.contains(part.as_str()))
            || self.regex.iter().any(|pattern| pattern.is_match(name))
    }
}

/// OmniMind's own groups.
#[must_use]
pub fn default_rules() -> Vec<Rules> {
    let group = |path: &str, nodes: &[&str]| Rules {
        contains: nodes.iter().map(|node| format!("{node}: ")).collect(),
        ..Rules::new(path)
    };
    let mut system = group("System", &["graph", "gpu_manager", "recorder", "viewer", "player", "simulator", "scenario"]);
    // The graph's own nodes in the processes of a launch file.
    system.contains.push("graph_".to_owned());
    vec![
        group("Sensors", &["camera", "microphone", "touch", "proprioception", "force", "temperature", "lidar", "battery"]),
        group("Perception", &["vision", "audio", "fusion"]),
        group("Mind", &["planner"]),
        group("Motion", &["motion"]),
        group("Safety", &["safety"]),
        system,
    ]
}

/// Rules from parameters `analyzers.<id>.<setting>`, as the parameter files of diagnostic_aggregator have them; in the order of the ids.
///
/// # Errors
/// [`RuleError`], for the first that does not fit.
pub fn rules<'a>(settings: impl IntoIterator<Item = (&'a str, Setting)>) -> Result<Vec<Rules>, RuleError> {
    let mut found: BTreeMap<String, Rules> = BTreeMap::new();
    for (name, setting) in settings {
        let unknown = || RuleError::Unknown(name.to_owned());
        let (id, what) = name.strip_prefix("analyzers.").and_then(|rest| rest.split_once('.')).ok_or_else(unknown)?;
        let rules = found.entry(id.to_owned()).or_insert_with(|| Rules::new(id));
        let words = || match &setting {
            Setting::Words(words) => Ok(words.clone()),
            Setting::Number(_) => Err(RuleError::Kind(name.to_owned(), "words")),
        };
        let number = || match setting {
            Setting::Number(number) if number >= 0.0 => Ok(number),
            _ => Err(RuleError::Kind(name.to_owned(), "a number of at least 0")),
        };
        match what {
            "type" => {
                let words = words()?;
                if words != [GENERIC] {
                    return Err(RuleError::Type(words.join(", ")));
                }
            }
            "path" => rules.path = words()?.join("/"),
            "contains" => rules.contains = words()?,
            "startswith" => rules.startswith = words()?,
            "name" => rules.names = words()?,
            "regex" => {
                for pattern in words()? {
                    let whole = Regex::new(&format!("^(?:{pattern})$"));
                    rules.regex.push(whole.map_err(|error| RuleError::Pattern(pattern, error.to_string()))?);
                }
            }
            "timeout" => rules.timeout_s = number()?,
            "num_items" => rules.num_items = number()? as usize,
            _ => return Err(unknown()),
        }
    }
    for (id, rules) in &found {
        if rules.contains.is_empty() && rules.startswith.is_empty() && rules.names.is_empty() && rules.regex.is_empty() {
            return Err(RuleError::Empty(id.clone()));
        }
    }
    Ok(found.into_values().collect())
}

struct Item {
    status: DiagnosticStatus,
    /// When it was heard, s.
    at: f64,
}

/// The statuses of one group.
pub struct Group {
    rules: Rules,
    items: BTreeMap<String, Item>,
}

/// All groups.
pub struct Aggregator {
    /// In front of every name; begins with a slash or is empty.
    base: String,
    groups: Vec<Group>,
    /// What no rule takes.
    other: Group,
}

impl Aggregator {
    /// Groups below `path`, which may be empty.
    #[must_use]
    pub fn new(path: &str, rules: Vec<Rules>) -> Self {
        let path = path.trim_matches('/');
        let base = if path.is_empty() { String::new() } else { format!("/{path}") };
        let group = |rules| Group { rules, items: BTreeMap::new() };
        Self { base, groups: rules.into_iter().map(group).collect(), other: group(Rules::new("Other")) }
    }

    /// Takes a status that came at `now`, s; every group that it belongs to gets it.
    pub fn hear(&mut self, status: &DiagnosticStatus, now: f64) {
        let mut taken = false;
        for group in self.groups.iter_mut().filter(|group| group.rules.is_match(&status.name)) {
            group.items.insert(status.name.clone(), Item { status: status.clone(), at: now });
            taken = true;
        }
        if !taken {
            self.other.items.insert(status.name.clone(), Item { status: status.clone(), at: now });
        }
    }

    /// What goes out on /diagnostics_agg and on /diagnostics_toplevel_state at `now`, s.
    #[must_use]
    pub fn report(&self, now: f64) -> (Vec<DiagnosticStatus>, DiagnosticStatus) {
        let mut all = Vec::new();
        let mut headers = Vec::new();
        for group in self.groups.iter().chain((!self.other.items.is_empty()).then_some(&self.other)) {
            let mut statuses = group.report(&self.base, now);
            headers.push(statuses[0].clone());
            all.append(&mut statuses);
        }
        let worst = headers.iter().map(|header| header.level).max().unwrap_or(STALE);
        let level = match worst {
            // Stale only if all of it is.
            STALE if headers.iter().any(|header| header.level < STALE) => ERROR,
            level => level,
        };
        let bad = headers.iter().find(|header| header.level == worst && worst > OK);
        let message = bad.map_or_else(|| word(level).to_owned(), |header| format!("{}: {}", header.name, header.message));
        let top = DiagnosticStatus { level, name: "toplevel_state".into(), message, ..DiagnosticStatus::default() };
        (all, top)
    }
}

impl Group {
    /// First the group itself, then its statuses.
    fn report(&self, base: &str, now: f64) -> Vec<DiagnosticStatus> {
        let path = format!("{base}/{}", self.rules.path);
        let mut members: Vec<DiagnosticStatus> = self
            .items
            .values()
            .map(|item| {
                let mut status = item.status.clone();
                if self.rules.timeout_s > 0.0 && now - item.at > self.rules.timeout_s {
                    status.level = STALE;
                }
                status
            })
            .collect();
        let heard: BTreeSet<&str> = self.items.keys().map(String::as_str).collect();
        for name in self.rules.names.iter().filter(|name| !heard.contains(name.as_str())) {
            members.push(DiagnosticStatus {
                level: STALE,
                name: name.clone(),
                message: "Missing".into(),
                ..DiagnosticStatus::default()
            });
        }
        let worst = members.iter().map(|member| member.level).max().unwrap_or(OK);
        let all_stale = !members.is_empty() && members.iter().all(|member| member.level == STALE);
        let mut level = if worst == STALE && !all_stale { ERROR } else { worst };
        let mut message = if all_stale { "All Stale".to_owned() } else { word(level).to_owned() };
        let expected = self.rules.num_items;
        if expected > 0 && expected != self.items.len() {
            level = level.max(ERROR);
            message = format!("Expected {expected}, found {}", self.items.len());
        }
        let values = members.iter().map(|member| KeyValue { key: member.name.clone(), value: member.message.clone() }).collect();
        let header = DiagnosticStatus { level, name: path.clone(), message, hardware_id: String::new(), values };
        let below = members.into_iter().map(|member| {
            // A slash would be a level of its own.
            let name = format!("{path}/{}", member.name.replace('/', " "));
            DiagnosticStatus { name, ..member }
        });
        std::iter::once(header).chain(below).collect()
    }
}

fn word(level: u8) -> &'static str {
    match level {
        OK => "OK",
        DiagnosticStatus::WARN => "Warning",
        ERROR => "Error",
        _ => "Stale",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(name: &str, level: u8) -> DiagnosticStatus {
        DiagnosticStatus { name: name.into(), level, message: format!("about {name}"), ..DiagnosticStatus::default() }
    }

    fn level(report: &[DiagnosticStatus], name: &str) -> u8 {
        report.iter().find(|status| status.name == name).unwrap_or_else(|| panic!("{name}: {report:?}")).level
    }

    #[test]
    fn statuses_stand_in_their_groups_and_the_worst_is_on_top() {
        let mut aggregator = Aggregator::new("", default_rules());
        aggregator.hear(&status("omni/camera: node", OK), 0.0);
        aggregator.hear(&status("lidar: input /device/scan", DiagnosticStatus::WARN), 0.0);
        aggregator.hear(&status("planner: node", OK), 0.0);
        aggregator.hear(&status("stranger: node", OK), 0.0);
        let (report, top) = aggregator.report(1.0);
        assert_eq!(level(&report, "/Sensors"), DiagnosticStatus::WARN);
        assert_eq!(level(&report, "/Sensors/omni camera: node"), OK);
        assert_eq!(level(&report, "/Sensors/lidar: input  device scan"), DiagnosticStatus::WARN);
        assert_eq!((level(&report, "/Mind"), level(&report, "/Other/stranger: node")), (OK, OK));
        assert_eq!((top.level, top.name.as_str()), (DiagnosticStatus::WARN, "toplevel_state"));
        assert_eq!(top.message, "/Sensors: Warning");
    }

    #[test]
    fn what_is_not_heard_for_five_seconds_is_stale_and_a_group_of_which_something_is_stale_is_an_error() {
        let mut aggregator = Aggregator::new("robot", vec![Rules { contains: vec!["camera".into()], ..Rules::new("Sensors") }]);
        aggregator.hear(&status("camera: a", OK), 0.0);
        aggregator.hear(&status("camera: b", OK), 4.0);
        assert_eq!(aggregator.report(5.0).1.level, OK);
        let (report, _) = aggregator.report(5.1);
        assert_eq!((level(&report, "/robot/Sensors/camera: a"), level(&report, "/robot/Sensors")), (STALE, ERROR));
        let (report, top) = aggregator.report(20.0);
        assert_eq!((level(&report, "/robot/Sensors"), top.level), (STALE, STALE));
        assert_eq!(report[0].message, "All Stale");
    }

    fn words(list: &[&str]) -> Setting {
        Setting::Words(list.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn rules_are_those_of_the_parameter_files_of_diagnostic_aggregator() {
        let found = rules([
            ("analyzers.arm.type", words(&[GENERIC])),
            ("analyzers.arm.path", words(&["Arm"])),
            ("analyzers.arm.startswith", words(&["arm_"])),
            ("analyzers.arm.regex", words(&["joint[0-9]+"])),
            ("analyzers.arm.name", words(&["gripper"])),
            ("analyzers.arm.timeout", Setting::Number(2.0)),
            ("analyzers.arm.num_items", Setting::Number(3.0)),
        ])
        .unwrap();
        let mut aggregator = Aggregator::new("", found);
        for name in ["arm_1", "joint12", "my arm_2", "joint12b"] {
            aggregator.hear(&status(name, OK), 0.0);
        }
        let (report, _) = aggregator.report(1.0);
        let of_arm: Vec<&str> = report.iter().filter_map(|status| status.name.strip_prefix("/Arm/")).collect();
        assert_eq!(of_arm, ["arm_1", "joint12", "gripper"]);
        assert_eq!(level(&report, "/Arm/gripper"), STALE);
        assert_eq!((report[0].level, report[0].message.as_str()), (ERROR, "Expected 3, found 2"));
        aggregator.hear(&status("gripper", OK), 1.5);
        assert_eq!(level(&aggregator.report(1.6).0, "/Arm"), OK);
        assert_eq!(level(&aggregator.report(2.5).0, "/Arm/arm_1"), STALE);
    }

    #[test]
    fn rules_that_do_not_fit_are_refused_with_the_reason() {
        let refused =
            |name: &'static str, setting| rules([(name, setting)]).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused("analyzers.a.contents", words(&["x"])).contains("is no setting"));
        assert!(refused("analyser.a.contains", words(&["x"])).contains("is no setting"));
        assert!(refused("analyzers.a.contains", Setting::Number(1.0)).contains("to be words"));
        assert!(refused("analyzers.a.timeout", Setting::Number(-1.0)).contains("at least 0"));
        assert!(refused("analyzers.a.regex", words(&["("])).contains("no regular expression"));
        assert!(refused("analyzers.a.type", words(&["diagnostic_aggregator/Mine"])).contains("not supported"));
        assert!(refused("analyzers.a.path", words(&["A"])).contains("needs one of"));
    }
}
