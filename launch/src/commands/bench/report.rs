//! What was measured: rows with their goals, as a table and as JSON.

use std::fmt::Write as _;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// Below.
    Below(f64),
}

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::Below(limit) => value < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::Below(limit) => format!("< {limit}"),
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure; NaN: it could not be measured, and `note` says why.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be, if anything was promised.
    pub goal: Option<Goal>,
    /// How it came about, in a few words.
    pub note: String,
}

impl Row {
    /// A figure without a goal.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, note: impl Into<String>) -> Self {
        Self { name: name.into(), value, unit, goal: None, note: note.into() }
    }

    /// A figure that could not be measured.
    pub fn missing(name: impl Into<String>, unit: &'static str, why: &anyhow::Error) -> Self {
        // A sentence in a table has one line.
        Self::new(name, f64::NAN, unit, format!("not measured: {}", format!("{why:#}").replace('\n', " ")))
    }

    /// The same with a goal.
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// Whether the goal is met; none without a goal. What could not be measured is not met.
    pub fn met(&self) -> Option<bool> {
        self.goal.map(|goal| goal.met(self.value))
    }

    fn json(&self) -> serde_json::Value {
        let goal = self.goal.map(Goal::text);
        // JSON has no NaN.
        let value = self.value.is_finite().then_some(self.value);
        serde_json::json!({"name": self.name, "value": value, "unit": self.unit, "goal": goal, "met": self.met(), "note": self.note})
    }
}

/// A group of rows under one heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// Its figures.
    pub rows: Vec<Row>,
}

/// The table for people.
pub fn table(machine: &str, groups: &[Group]) -> String {
    let mut out = format!("{machine}\n");
    for group in groups {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{}", group.title);
        for row in &group.rows {
            let value = if row.value.is_finite() { digits(row.value) } else { "-".to_owned() };
            let goal = row.goal.map_or_else(String::new, Goal::text);
            let verdict = match row.met() {
                None => "",
                Some(true) => "met",
                Some(false) => "MISSED",
            };
            let _ = writeln!(out, "  {:<58} {value:>9} {:<9} {goal:>8} {verdict:<7} {}", row.name, row.unit, row.note);
        }
    }
    out
}

/// The object of `--json`.
pub fn json(machine: &serde_json::Value, groups: &[Group]) -> serde_json::Value {
    let groups: Vec<_> = groups
        .iter()
        .map(|g| serde_json::json!({"title": g.title, "rows": g.rows.iter().map(Row::json).collect::<Vec<_>>()}))
        .collect();
    serde_json::json!({"machine": machine, "groups": groups})
}

/// Three significant digits or so.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The value below which the share `q` (0..1) of `values` lies; NaN if there are none.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let rank = ((sorted.len() as f64 * q).ceil() as usize).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_or_missed_and_an_unmeasured_figure_is_missed() {
        let row = |value| Row::new("x", value, "us", "").goal(Goal::Below(5.0));
        assert_eq!(row(4.9).met(), Some(true));
        assert_eq!(row(5.0).met(), Some(false));
        assert_eq!(row(f64::NAN).met(), Some(false));
        assert_eq!(Row::new("x", 10.0, "", "").goal(Goal::AtLeast(10.0)).met(), Some(true));
        assert_eq!(Row::new("x", 10.0, "", "").met(), None);
    }

    #[test]
    fn the_table_and_the_json_say_the_same() {
        let missing = Row::missing("second", "ms", &anyhow::anyhow!("no\nway")).goal(Goal::Below(1.0));
        let groups =
            [Group { title: "group", rows: vec![Row::new("first", 12.345, "us", "n").goal(Goal::Below(20.0)), missing] }];
        let text = table("a machine", &groups);
        assert!(
            text.contains("12.3") && text.contains("< 20 met") && text.contains("MISSED") && text.contains("no way"),
            "{text}"
        );
        let json = json(&serde_json::json!({"cores": 2}), &groups);
        assert_eq!(json["groups"][0]["rows"][0]["met"], true);
        assert_eq!(json["groups"][0]["rows"][0]["goal"], "< 20");
        assert!(json["groups"][0]["rows"][1]["value"].is_null());
        assert_eq!(json["groups"][0]["rows"][1]["met"], false);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)), (50.0, 99.0, 100.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
