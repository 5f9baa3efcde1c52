//! What crosses, as text.

use crate::plan::Plan;
use crate::snapshot::Side;
use std::fmt::Write;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Fully qualified name.
    pub name: String,
    /// ROS name of the type.
    pub type_name: String,
    /// Where publishers or servers are.
    pub from: Side,
    /// Whether anything can cross now.
    pub active: bool,
    /// Samples, or calls with their answer, that crossed.
    pub crossed: u64,
    /// Those that did not.
    pub failed: u64,
}

impl Row {
    /// Of a route.
    #[cfg(feature = "dds")]
    #[must_use]
    pub fn new(key: &crate::plan::RouteKey, active: bool, counters: &crate::routes::Counters) -> Self {
        use std::sync::atomic::Ordering::Relaxed;
        let (crossed, failed) = (counters.crossed.load(Relaxed), counters.failed.load(Relaxed));
        Self { name: key.name.clone(), type_name: key.type_name.clone(), from: key.from, active, crossed, failed }
    }
}

fn arrow(from: Side) -> String {
    format!("{} -> {}", from.name(), from.other().name())
}

/// The rows that have something to say, and a sum of the others.
#[must_use]
pub fn table(mut rows: Vec<Row>, refused: usize) -> String {
    rows.sort();
    let mut out = format!("{:>10} {:>7}  {:<12}  name (type)\n", "crossed", "failed", "direction");
    let (moved, still): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.crossed + row.failed > 0);
    for row in &moved {
        let Row { name, type_name, crossed, failed, .. } = row;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{crossed:>10} {failed:>7}  {:<12}  {name} ({type_name})", arrow(row.from));
    }
    let waiting = still.iter().filter(|row| row.active).count();
    let _ = write!(out, "{} more are announced, {waiting} of them open; {refused} cannot cross", still.len());
    out
}

/// What would cross.
#[must_use]
pub fn plan_table(plan: &Plan) -> String {
    let mut out = String::new();
    for (from, nodes) in &plan.nodes {
        for node in nodes {
            let _ = writeln!(out, "node     {:<12}  {node}", arrow(*from));
        }
    }
    for key in plan.topics.keys() {
        let _ = writeln!(out, "topic    {:<12}  {} ({})", arrow(key.from), key.name, key.type_name);
    }
    for key in plan.services.keys() {
        let _ = writeln!(out, "service  {:<12}  {} ({})", arrow(key.from), key.name, key.type_name);
    }
    let _ = write!(out, "{} cannot cross", plan.refused.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_what_moved_and_sums_up_the_rest() {
        let row = |name: &str, active, crossed, failed| Row {
            name: name.into(),
            type_name: "std_msgs/msg/String".into(),
            from: Side::Dds,
            active,
            crossed,
            failed,
        };
        let text = table(vec![row("/b", true, 3, 1), row("/a", false, 0, 0), row("/c", true, 0, 0)], 4);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["3", "1", "DDS", "->", "Zenoh", "/b", "(std_msgs/msg/String)"]
        );
        assert_eq!(lines[2], "2 more are announced, 1 of them open; 4 cannot cross");
    }
}
