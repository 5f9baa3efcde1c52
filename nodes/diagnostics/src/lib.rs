//! Sorts what all nodes say on /diagnostics into groups, as ROS 2's diagnostic_aggregator does.

mod groups;
mod node;

pub use groups::{Aggregator, Group, RuleError, Rules, Setting, default_rules, rules};
pub use node::DiagnosticAggregator;
