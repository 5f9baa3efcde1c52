//! Parameters behave as those of a node of rclcpp, seen through the services and events that ROS 2 tools use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use graph::testing::Bench;
use graph::{Context, HandlerResult, Node, Param, ParamError, ParamValue, Publisher, Qos, Setup, SetupError};
use msgs::Bytes;
use msgs::diagnostic_msgs::msg::DiagnosticArray;
use msgs::rcl_interfaces::msg::{Parameter, ParameterDescriptor, ParameterEvent, ParameterValue, SetParametersResult};
use msgs::rcl_interfaces::srv::{
    DescribeParameters, DescribeParametersRequest, GetParameterTypes, GetParameterTypesRequest, GetParameters,
    GetParametersRequest, ListParameters, ListParametersRequest, SetParameters, SetParametersAtomically,
    SetParametersAtomicallyRequest, SetParametersRequest,
};
use msgs::std_msgs::msg::String as Text;

const STEP: Duration = Duration::from_millis(10);

/// Has a parameter of every sort.
struct Mixer {
    told: Publisher<Text>,
    low: Param<f64>,
}

impl Node for Mixer {
    const NAME: &'static str = "mixer";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.param("types.bool", false).declare()?;
        s.param("types.integer", 1).range(-4, 10).step(3).unit("turns").describe("how often").declare()?;
        s.param("types.double", 1.0).range(0, 1).step(0.1).declare()?;
        s.param("types.string", "a".to_owned()).one_of(&["a", "b"]).constraints("b only by day").declare()?;
        s.param("types.bytes", Bytes::from_static(&[1])).declare()?;
        s.param("types.bools", vec![true]).declare()?;
        s.param("types.integers", vec![1]).range(0, 9).declare()?;
        s.param("types.doubles", vec![1.0]).declare()?;
        s.param("types.strings", vec!["a".to_owned()]).declare()?;
        s.param("fixed", 1).read_only().declare()?;
        s.param("odd", 3).check(|v| if v % 2 == 1 { Ok(()) } else { Err(format!("{v} is even")) }).declare()?;
        s.param("free", ParamValue::NotSet).declare()?;
        let low = s.param("band.low", 0.0).declare()?;
        s.param("band.high", 1.0).declare()?;
        s.check_params(|changes| match (changes.get::<f64>("band.low"), changes.get::<f64>("band.high")) {
            (Some(low), Some(high)) if low > high => Err(format!("band.low ({low}) is above band.high ({high})")),
            _ => Ok(()),
        });
        s.on_params(|node, ctx, changed| {
            let data = changed.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
            node.told.publish(ctx, Text { data: format!("{data}; low is {}", node.low.get()) });
            Ok(())
        });
        s.subscribe("own", Qos::reliable(1), Self::own)?;
        Ok(Self { told: s.publisher("told", Qos::reliable(10))?, low })
    }
}

impl Mixer {
    /// Changes its own parameters.
    fn own(&mut self, ctx: &mut Context, _: Arc<Text>) -> HandlerResult {
        ctx.set_params(&[("band.low".into(), 0.5.into())])?;
        assert_eq!(
            ctx.set_params(&[("band.lou".into(), 0.5.into())]).unwrap_err().to_string(),
            "no parameter `band.lou`; did you mean `band.low`?"
        );
        assert_eq!(ctx.undeclare_param("band.low"), Err(ParamError::Static("band.low".into())));
        assert_eq!(ctx.undeclare_param("fixed"), Err(ParamError::ReadOnly("fixed".into())));
        ctx.undeclare_param("free")?;
        assert_eq!((ctx.param("free"), ctx.param("band.low")), (None, Some(0.5.into())));
        Ok(())
    }
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.add::<Mixer>(&[]).unwrap();
    bench
}

fn parameter(name: &str, value: impl Into<ParamValue>) -> Parameter {
    Parameter { name: name.into(), value: value.into().to_msg() }
}

fn set(bench: &mut Bench, name: &str, value: impl Into<ParamValue>) -> SetParametersResult {
    let parameters = vec![parameter(name, value)];
    bench.call::<SetParameters>("mixer/set_parameters", SetParametersRequest { parameters }).unwrap().results.remove(0)
}

fn set_all(bench: &mut Bench, parameters: Vec<Parameter>) -> SetParametersResult {
    bench
        .call::<SetParametersAtomically>("mixer/set_parameters_atomically", SetParametersAtomicallyRequest { parameters })
        .unwrap()
        .result
}

fn get(bench: &mut Bench, name: &str) -> ParamValue {
    let names = vec![name.to_owned()];
    let values = bench.call::<GetParameters>("mixer/get_parameters", GetParametersRequest { names }).unwrap().values;
    ParamValue::from_msg(&values[0]).unwrap()
}

fn describe(bench: &mut Bench, name: &str) -> ParameterDescriptor {
    let names = vec![name.to_owned()];
    bench
        .call::<DescribeParameters>("mixer/describe_parameters", DescribeParametersRequest { names })
        .unwrap()
        .descriptors
        .remove(0)
}

fn events(bench: &mut Bench) -> Vec<Arc<ParameterEvent>> {
    bench.take::<ParameterEvent>("/parameter_events").into_iter().filter(|event| event.node == "/mixer").collect()
}

#[test]
fn all_nine_types_are_set_read_and_told() {
    let mut bench = bench();
    let values: [(&str, ParamValue); 9] = [
        ("types.bool", true.into()),
        ("types.integer", 2.into()),
        ("types.double", 0.3.into()),
        ("types.string", "b".into()),
        ("types.bytes", Bytes::from_static(&[0, 255]).into()),
        ("types.bools", vec![false, true].into()),
        ("types.integers", vec![1, 2].into()),
        ("types.doubles", vec![0.5].into()),
        ("types.strings", vec!["x".to_owned()].into()),
    ];
    for (code, (name, value)) in values.into_iter().enumerate() {
        let result = set(&mut bench, name, value.clone());
        assert!(result.successful, "{name}: {}", result.reason);
        assert_eq!(get(&mut bench, name), value);
        let names = vec![name.to_owned(), "nothing".to_owned()];
        let types =
            bench.call::<GetParameterTypes>("mixer/get_parameter_types", GetParameterTypesRequest { names }).unwrap().types;
        assert_eq!(types[..], [code as u8 + 1, 0]);
        let wrong = set(&mut bench, name, if code == 0 { ParamValue::from("x") } else { false.into() });
        assert!(!wrong.successful && wrong.reason.contains("it is of type"), "{name}: {}", wrong.reason);
    }
    let unknown = Parameter { name: "fixed".into(), value: ParameterValue { type_: 42, ..Default::default() } };
    assert_eq!(set_all(&mut bench, vec![unknown]).reason, "parameter `fixed`: there is no type 42");
}

/// The verdicts on single numbers are also those of rclpy 9.1.2, asked the same.
#[test]
fn ranges_have_steps_and_their_ends_are_always_values() {
    let mut bench = bench();
    for (value, fine) in [(-4, true), (-1, true), (8, true), (10, true), (9, false), (0, false), (11, false), (-5, false)] {
        assert_eq!(set(&mut bench, "types.integer", value).successful, fine, "{value}");
    }
    for (value, fine) in [(0.0, true), (0.3, true), (0.7000000000000001, true), (0.35, false), (-0.1, false), (1.1, false)] {
        assert_eq!(set(&mut bench, "types.double", value).successful, fine, "{value}");
    }
    assert_eq!(set(&mut bench, "types.integer", 11).reason, "parameter `types.integer`: 11 is outside -4 to 10 turns");
    assert_eq!(set(&mut bench, "types.integer", 9).reason, "parameter `types.integer`: 9 is not -4 plus a multiple of 3");
    assert!(!set(&mut bench, "types.integers", vec![1, 10]).successful);
    let descriptor = describe(&mut bench, "types.integer");
    let range = &descriptor.integer_range[0];
    assert_eq!((range.from_value, range.to_value, range.step), (-4, 10, 3));
    assert_eq!((descriptor.type_, descriptor.description.as_str()), (2, "how often [turns]"));
    let range = &describe(&mut bench, "types.double").floating_point_range[0];
    assert_eq!((range.from_value, range.to_value, range.step), (0.0, 1.0, 0.1));
    assert_eq!(describe(&mut bench, "types.string").additional_constraints, "one of: a, b; b only by day");
    assert!(describe(&mut bench, "fixed").read_only && describe(&mut bench, "free").dynamic_typing);
    assert_eq!(describe(&mut bench, "nothing"), ParameterDescriptor { name: "nothing".into(), ..Default::default() });
}

/// What rclcpp's `NodeParameters::list_parameters` answers; rclpy 9.1.2, asked the same, answered the same.
#[test]
fn lists_follow_prefixes_and_depth() {
    let mut bench = bench();
    let list = |bench: &mut Bench, prefixes: &[&str], depth: u64| {
        let prefixes = prefixes.iter().map(ToString::to_string).collect();
        let result =
            bench.call::<ListParameters>("mixer/list_parameters", ListParametersRequest { prefixes, depth }).unwrap().result;
        (result.names.join(" "), result.prefixes.join(" "))
    };
    let (names, prefixes) = list(&mut bench, &[], 0);
    assert_eq!((names.split(' ').count(), prefixes.as_str()), (15, "band types"));
    assert_eq!(list(&mut bench, &[], 1), ("fixed free odd use_sim_time".into(), String::new()));
    assert_eq!(list(&mut bench, &[], 2).0, names);
    assert_eq!(list(&mut bench, &["band"], 0), ("band.high band.low".into(), "band".into()));
    assert_eq!(list(&mut bench, &["band"], 1).0, "band.high band.low");
    assert_eq!(list(&mut bench, &["odd", "band.low"], 1).0, "band.low odd");
    assert_eq!(list(&mut bench, &["ban", "nothing"], 0), (String::new(), String::new()));
}

#[test]
fn read_only_and_unknown_parameters_and_empty_lists_are_refused_with_a_reason() {
    let mut bench = bench();
    assert_eq!(set(&mut bench, "fixed", 2).reason, "parameter `fixed` can only be set at start");
    assert_eq!(set(&mut bench, "fixd", 2).reason, "no parameter `fixd`; did you mean `fixed`?");
    assert_eq!(set(&mut bench, "", 2).reason, "no parameter ``");
    assert_eq!(set_all(&mut bench, vec![]).reason, "the list of parameters is empty");
    assert_eq!(set(&mut bench, "odd", 4).reason, "parameter `odd`: 4 is even");
    let names = vec![String::from("fixed")];
    assert_eq!(bench.call::<GetParameters>("mixer/get_parameters", GetParametersRequest { names }).unwrap().values.len(), 1);
}

#[test]
fn changes_that_go_together_are_checked_together() {
    let mut bench = bench();
    bench.run_for(STEP);
    events(&mut bench);
    assert_eq!(set(&mut bench, "band.low", 2.0).reason, "band.low (2) is above band.high (1)");
    let both = |low: f64, high: f64| vec![parameter("band.low", low), parameter("band.high", high)];
    assert!(!set_all(&mut bench, both(3.0, 2.5)).successful);
    assert_eq!(get(&mut bench, "band.low"), 0.0.into());
    assert!(events(&mut bench).is_empty(), "what was refused is no event");
    assert!(set_all(&mut bench, both(2.0, 3.0)).successful);
    assert_eq!(bench.take::<Text>("told")[0].data, "band.low=2.0 band.high=3.0; low is 2");
    let told = events(&mut bench);
    assert_eq!(told.len(), 1, "one event for what was changed at once");
    assert_eq!(told[0].changed_parameters, both(2.0, 3.0));
}

#[test]
fn an_atomic_change_with_one_bad_value_changes_nothing() {
    let mut bench = bench();
    assert!(!set_all(&mut bench, vec![parameter("odd", 5), parameter("fixed", 5)]).successful);
    assert_eq!(get(&mut bench, "odd"), 3.into());
    assert!(set_all(&mut bench, vec![parameter("odd", 5), parameter("odd", 7)]).successful);
    assert_eq!(get(&mut bench, "odd"), 7.into(), "of a name that comes twice the last counts");
}

#[test]
fn a_parameter_of_no_fixed_type_takes_any_value_and_goes_when_it_is_unset() {
    let mut bench = bench();
    bench.run_for(STEP);
    events(&mut bench);
    for value in [ParamValue::from(1), "x".into(), vec![true].into()] {
        assert!(set(&mut bench, "free", value.clone()).successful);
        assert_eq!(get(&mut bench, "free"), value);
    }
    assert_eq!(set(&mut bench, "odd", ParamValue::NotSet).reason, "parameter `odd` has a fixed type and cannot be undeclared");
    assert!(set(&mut bench, "free", ParamValue::NotSet).successful);
    let last = events(&mut bench).pop().unwrap();
    assert_eq!(last.deleted_parameters, [parameter("free", vec![true])]);
    assert!(last.new_parameters.is_empty() && last.changed_parameters.is_empty());
    assert!(set(&mut bench, "free", 1).reason.contains("no parameter `free`"));
}

#[test]
fn every_declaration_is_an_event_with_the_value_that_counts() {
    let mut bench = Bench::new();
    bench.add::<Mixer>(&[("odd", 9.into())]).unwrap();
    bench.run_for(STEP);
    let told = events(&mut bench);
    assert!(told.iter().all(|event| event.new_parameters.len() == 1 && event.changed_parameters.is_empty()));
    let names: Vec<&str> = told.iter().map(|event| event.new_parameters[0].name.as_str()).collect();
    assert_eq!(names.len(), 14, "all but the one without a value: {names:?}");
    assert!(told.iter().any(|event| event.new_parameters[0] == parameter("odd", 9)));
    assert!(names.contains(&"use_sim_time"));
}

#[test]
fn a_node_changes_its_own_parameters_under_the_same_rules() {
    let mut bench = bench();
    assert!(set(&mut bench, "free", 1).successful);
    events(&mut bench);
    bench.publish("own", Text::default());
    bench.run_for(STEP);
    assert_eq!(bench.status("mixer", "handler"), None);
    assert_eq!(bench.statistics().nodes.iter().find(|node| node.name == "/mixer").unwrap().last_error, "");
    let told = events(&mut bench);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].changed_parameters, [parameter("band.low", 0.5)]);
    assert_eq!(told[1].deleted_parameters, [parameter("free", 1)]);
}

#[test]
fn values_from_outside_must_pass_the_nodes_checks_before_it_starts() {
    let refused = |values: &[(&str, ParamValue)]| Bench::new().add::<Mixer>(values).unwrap_err().to_string();
    assert_eq!(refused(&[("odd", 2.into())]), "node `/mixer`, parameter `odd`: 2 is even");
    assert_eq!(refused(&[("band.low", 2.into())]), "node `/mixer`: parameters: band.low (2) is above band.high (1)");
    assert_eq!(
        refused(&[("types.integer", 0.into())]),
        "node `/mixer`, parameter `types.integer`: 0 is not -4 plus a multiple of 3"
    );
    Bench::new()
        .add::<Mixer>(&[("fixed", 7.into()), ("types.bytes", vec![1, 2].into()), ("types.bools", Vec::<i64>::new().into())])
        .unwrap();
}

#[test]
fn a_node_that_accepts_undeclared_parameters_takes_them_from_launch_files_and_services() {
    struct Open;
    impl Node for Open {
        const NAME: &'static str = "mixer";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.accept_undeclared_params();
            Ok(Self)
        }
    }
    let mut bench = Bench::new();
    bench.add::<Open>(&[("from.launch", vec![1.5].into())]).unwrap();
    assert_eq!(get(&mut bench, "from.launch"), vec![1.5].into());
    events(&mut bench);
    assert!(set(&mut bench, "by.service", 1).successful && set(&mut bench, "by.service", "x").successful);
    let told = events(&mut bench);
    assert_eq!(told[0].new_parameters, [parameter("by.service", 1)]);
    assert_eq!(told[1].changed_parameters, [parameter("by.service", "x")]);
    assert!(!set(&mut bench, "", 1).successful, "a parameter needs a name");
}

#[test]
fn use_sim_time_is_there_and_follows_the_graphs_clock() {
    let mut bench = bench();
    assert_eq!(get(&mut bench, "use_sim_time"), true.into(), "this graph is in lock-step: it has a time of its own");
    assert_eq!(describe(&mut bench, "use_sim_time").type_, 1);
}

/// Reads one of its two parameters, later than at the start.
struct Reader {
    looked_at: Param<i64>,
}
static SEEN: AtomicU32 = AtomicU32::new(0);
impl Node for Reader {
    const NAME: &'static str = "reader";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.param("forgotten", 1).declare()?;
        s.param("untouched", 1).declare()?;
        s.timer(Duration::from_secs(4), |node: &mut Self, _| {
            SEEN.fetch_add(node.looked_at.get() as u32, Ordering::Relaxed);
            Ok(())
        })?;
        Ok(Self { looked_at: s.param("looked_at", 1).declare()? })
    }
}

#[test]
fn a_parameter_that_was_set_and_is_never_read_gets_a_sentence_after_five_seconds() {
    let mut bench = Bench::new();
    bench.add::<Reader>(&[("forgotten", 7.into()), ("looked_at", 2.into())]).unwrap();
    let said = |bench: &mut Bench| {
        let arrays = bench.take::<DiagnosticArray>("/diagnostics");
        let all = arrays.iter().flat_map(|array| array.status.clone());
        all.filter(|status| status.name.starts_with("reader: parameter")).map(|status| status.message).collect::<Vec<_>>()
    };
    bench.run_for(Duration::from_millis(4900));
    assert!(said(&mut bench).is_empty(), "it is too early to say");
    bench.run_for(Duration::from_millis(200));
    assert_eq!(said(&mut bench), ["parameter `forgotten` was set to 7 and never read"]);
    assert_eq!(SEEN.load(Ordering::Relaxed), 2);
}
