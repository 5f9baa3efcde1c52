//! The aggregator in a graph: what nodes say comes out in groups.

use std::time::Duration;

use graph::ParamValue;
use graph::testing::Bench;
use msgs::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use omnimind_diagnostics::DiagnosticAggregator;

#[test]
fn a_graph_is_grouped_once_a_second_with_its_state_on_top() {
    let mut bench = Bench::new();
    bench.add::<DiagnosticAggregator>(&[]).unwrap();
    bench.publish(
        "/diagnostics",
        DiagnosticArray {
            status: vec![DiagnosticStatus { name: "lidar: rays".into(), level: DiagnosticStatus::ERROR, ..Default::default() }],
            ..Default::default()
        },
    );
    bench.run_for(Duration::from_millis(3100));
    let reports = bench.take::<DiagnosticArray>("/diagnostics_agg");
    assert_eq!(reports.len(), 3);
    let find = |name: &str| reports[2].status.iter().find(|status| status.name == name).map(|status| status.level);
    assert_eq!(find("/Sensors/lidar: rays"), Some(DiagnosticStatus::ERROR));
    assert_eq!(find("/System/graph: node"), Some(DiagnosticStatus::OK));
    let top = bench.take::<DiagnosticStatus>("/diagnostics_toplevel_state");
    assert_eq!(top.last().map(|top| top.level), Some(DiagnosticStatus::ERROR));
}

#[test]
fn rules_come_from_parameters_and_bad_ones_are_refused() {
    let mut bench = Bench::new();
    let given = [
        ("analyzers.all.regex", ParamValue::String(".*".into())),
        ("analyzers.all.path", ParamValue::String("Everything".into())),
    ];
    bench.add::<DiagnosticAggregator>(&given).unwrap();
    bench.run_for(Duration::from_millis(2100));
    let reports = bench.take::<DiagnosticArray>("/diagnostics_agg");
    let last = reports.last().unwrap();
    assert!(last.status.iter().all(|status| status.name.starts_with("/Everything")), "{last:?}");
    let refused = Bench::new().add::<DiagnosticAggregator>(&[("analyzers.all.patern", ParamValue::String("x".into()))]);
    assert!(refused.err().unwrap().to_string().contains("`analyzers.all.patern` is no setting"));
}

#[test]
fn the_file_that_comes_along_has_the_rules_that_the_node_has_without_it() {
    let file = include_str!("../../../config/diagnostic_groups.yaml");
    for rules in omnimind_diagnostics::default_rules() {
        let words: Vec<String> = rules.contains.iter().map(|word| format!("\"{word}\"")).collect();
        let id = rules.path.to_lowercase();
        assert!(file.contains(&format!("analyzers.{id}.contains: [{}]\n", words.join(", "))), "{id}");
        assert!(file.contains(&format!("analyzers.{id}.path: {}\n", rules.path)), "{id}");
    }
}
