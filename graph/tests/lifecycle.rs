//! Managed nodes, against the state machine of rcl_lifecycle (`lifecycle_graph.txt`, written by `lifecycle_graph.py` from the original).

use std::sync::Arc;
use std::time::Duration;

use graph::testing::Bench;
use graph::{
    Context, HandlerResult, Level, LifeChange, LifeState, Managed, Node, NodeSpec, Publisher, Qos, RestartPolicy, RestartWhen,
    Setup, SetupError, TransitionError, TransitionResult,
};
use msgs::lifecycle_msgs::msg::{State, Transition, TransitionDescription, TransitionEvent};
use msgs::lifecycle_msgs::srv::{
    ChangeState, ChangeStateRequest, GetAvailableStates, GetAvailableStatesRequest, GetAvailableTransitions,
    GetAvailableTransitionsRequest, GetState, GetStateRequest,
};
use msgs::rcl_interfaces::msg::Log;
use msgs::std_msgs::msg::String as Text;

const STEP: Duration = Duration::from_millis(10);
const GRAPH: &str = include_str!("lifecycle_graph.txt");

/// Does in each transition what its parameter says: `ok`, `refuse`, `break`, `panic`; speaks in every state.
struct Actor {
    plan: Vec<(&'static str, graph::Param<String>)>,
    out: Publisher<Text>,
}

impl Node for Actor {
    const NAME: &'static str = "actor";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.managed()?;
        let mut plan = Vec::new();
        for step in ["configure", "activate", "deactivate", "cleanup", "shutdown", "error"] {
            plan.push((step, s.param(step, "ok".to_owned()).one_of(&["ok", "refuse", "break", "panic"]).declare()?));
        }
        s.subscribe("ask", Qos::reliable(10), |_: &mut Self, ctx, asked: Arc<Text>| {
            for word in asked.data.split(' ') {
                ctx.change_life(match word {
                    "configure" => LifeChange::Configure,
                    "activate" => LifeChange::Activate,
                    "deactivate" => LifeChange::Deactivate,
                    "cleanup" => LifeChange::Cleanup,
                    _ => LifeChange::Shutdown,
                });
            }
            Ok(())
        })?;
        s.timer(STEP, |node: &mut Self, ctx| {
            let data = ctx.life_state().map_or("none", LifeState::label).to_owned();
            node.out.publish(ctx, Text { data });
            Ok(())
        })?;
        Ok(Self { plan, out: s.publisher("out", Qos::reliable(100))? })
    }
    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        ctx.info(format!("stopped as {}", ctx.life_state().map_or("none", LifeState::label)));
        Ok(())
    }
}

impl Actor {
    fn act(&mut self, ctx: &mut Context, step: &str) -> TransitionResult {
        self.out.publish(ctx, Text { data: format!("on_{step}") });
        let plan = self.plan.iter().find(|(name, _)| *name == step).map(|(_, param)| param.get());
        match plan.as_deref() {
            Some("refuse") => Err(TransitionError::Refused("not today".into())),
            Some("break") => Err("nonsense".parse::<u32>().unwrap_err().into()),
            Some("panic") => panic!("on purpose"),
            _ => Ok(()),
        }
    }
}

impl Managed for Actor {
    fn on_configure(&mut self, ctx: &mut Context) -> TransitionResult {
        self.act(ctx, "configure")
    }
    fn on_activate(&mut self, ctx: &mut Context) -> TransitionResult {
        self.act(ctx, "activate")
    }
    fn on_deactivate(&mut self, ctx: &mut Context) -> TransitionResult {
        self.act(ctx, "deactivate")
    }
    fn on_cleanup(&mut self, ctx: &mut Context) -> TransitionResult {
        self.act(ctx, "cleanup")
    }
    fn on_shutdown(&mut self, ctx: &mut Context) -> TransitionResult {
        self.act(ctx, "shutdown")
    }
    fn on_error(&mut self, ctx: &mut Context) -> TransitionResult {
        self.act(ctx, "error")
    }
}

fn bench(plan: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new();
    let plan: Vec<_> = plan.iter().map(|(step, what)| (*step, (*what).into())).collect();
    bench.add::<Actor>(&plan).unwrap();
    bench
}

fn change(bench: &mut Bench, id: u8, label: &str) -> bool {
    let transition = Transition { id, label: label.into() };
    bench.call::<ChangeState>("actor/change_state", ChangeStateRequest { transition }).unwrap().success
}

fn state(bench: &mut Bench) -> String {
    bench.call::<GetState>("actor/get_state", GetStateRequest::default()).unwrap().current_state.label
}

fn transitions(bench: &mut Bench, service: &str) -> Vec<TransitionDescription> {
    let name = format!("actor/{service}");
    bench.call::<GetAvailableTransitions>(&name, GetAvailableTransitionsRequest::default()).unwrap().available_transitions
}

/// The states that were gone through since the last call.
fn path(bench: &mut Bench) -> Vec<String> {
    bench.take::<TransitionEvent>("actor/transition_event").iter().map(|event| event.goal_state.label.clone()).collect()
}

fn line(transition: &TransitionDescription) -> String {
    let (t, a, b) = (&transition.transition, &transition.start_state, &transition.goal_state);
    format!("{} {} {} {} {} {}", t.id, t.label, a.id, a.label, b.id, b.label)
}

/// The lines of rcl's graph: states have two words, transitions six.
fn official(words: usize) -> Vec<&'static str> {
    GRAPH.lines().filter(|l| !l.starts_with('#') && l.split(' ').count() == words).collect()
}

/// The way to each primary state.
const WAYS: [(&str, &[&str]); 4] =
    [("unconfigured", &[]), ("inactive", &["configure"]), ("active", &["configure", "activate"]), ("finalized", &["shutdown"])];

#[test]
fn states_and_transitions_are_those_of_rcl() {
    let mut bench = bench(&[]);
    let states = bench.call::<GetAvailableStates>("actor/get_available_states", GetAvailableStatesRequest::default()).unwrap();
    let states: Vec<String> = states.available_states.iter().map(|State { id, label }| format!("{id} {label}")).collect();
    assert_eq!(states, official(2));
    let graph: Vec<String> = transitions(&mut bench, "get_transition_graph").iter().map(line).collect();
    assert_eq!(graph, official(6));
}

#[test]
fn from_each_primary_state_exactly_rcls_transitions_are_possible_by_id_and_by_label() {
    for (from, way) in WAYS {
        let possible: Vec<&str> = official(6).into_iter().filter(|l| l.split(' ').nth(3) == Some(from)).collect();
        let here = |bench: &mut Bench| {
            for label in way {
                assert!(change(bench, 0, label), "{label} on the way to {from}");
            }
            assert_eq!(state(bench), from);
        };
        let mut told = bench(&[]);
        here(&mut told);
        assert_eq!(transitions(&mut told, "get_available_transitions").iter().map(line).collect::<Vec<_>>(), possible);
        let mut refused = told;
        for id in (0..=8).chain([10, 97, 255]) {
            if possible.iter().any(|l| l.split(' ').next() == Some(id.to_string().as_str())) {
                for label in [false, true] {
                    let mut fresh = bench(&[]);
                    here(&mut fresh);
                    let label = if label {
                        possible.iter().find(|l| l.starts_with(&format!("{id} "))).unwrap().split(' ').nth(1)
                    } else {
                        None
                    };
                    // The label counts, if there is one, whatever the id is.
                    assert!(change(&mut fresh, if label.is_some() { 99 } else { id }, label.unwrap_or("")), "{id} from {from}");
                    assert_ne!(state(&mut fresh), from);
                }
            } else {
                assert!(!change(&mut refused, id, ""), "{id} from {from}");
                assert_eq!(state(&mut refused), from);
            }
        }
        assert!(!change(&mut refused, 1, "conjure"));
        let said = refused.take::<Log>("/rosout");
        let reason = format!("change_state: `conjure` is not possible from {from}; possible: ");
        assert!(said.iter().any(|log| log.level == Log::ERROR && log.msg.starts_with(&reason)), "{from}");
    }
}

#[test]
fn each_handlers_ending_leads_where_rcls_graph_says() {
    let goal = |start: &str, ending: &str| {
        let found = official(6).into_iter().find(|l| l.contains(&format!(" {ending} ")) && l.split(' ').nth(3) == Some(start));
        found.unwrap().split(' ').nth(5).unwrap().to_owned()
    };
    let labels = [("ok", "transition_success"), ("refuse", "transition_failure"), ("break", "transition_error")];
    for (from, way) in WAYS {
        for possible in official(6).into_iter().filter(|l| l.split(' ').nth(3) == Some(from)) {
            let words: Vec<&str> = possible.split(' ').collect();
            let (step, during) = (words[1], words[5]);
            for (what, ending) in labels {
                for (repair, error_ending) in labels {
                    let mut bench = bench(&[(step, what), ("error", repair)]);
                    for label in way {
                        assert!(change(&mut bench, 0, label));
                    }
                    path(&mut bench);
                    let done = change(&mut bench, 0, step);
                    let mut expected = vec![during.to_owned(), goal(during, ending)];
                    if what == "break" {
                        expected.push(goal("errorprocessing", error_ending));
                    }
                    assert_eq!(done, what == "ok", "{step} from {from}: {what}");
                    assert_eq!(path(&mut bench), expected, "{step} from {from}: {what}, {repair}");
                    assert_eq!(state(&mut bench), *expected.last().unwrap());
                }
            }
        }
    }
}

#[test]
fn an_error_that_is_not_handled_ends_the_node_and_is_seen() {
    struct Frail;
    impl Node for Frail {
        const NAME: &'static str = "actor";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.managed()?;
            Ok(Self)
        }
    }
    impl Managed for Frail {
        fn on_configure(&mut self, _: &mut Context) -> TransitionResult {
            Err(graph::NodeError::new("no camera").into())
        }
    }
    let mut bench = Bench::new();
    bench.add::<Frail>(&[]).unwrap();
    assert!(!change(&mut bench, 1, ""));
    assert_eq!(state(&mut bench), "finalized");
    assert_eq!(bench.status("actor", "life cycle"), Some((Level::Error, "finalized".to_owned())));
    let said = bench.take::<Log>("/rosout");
    assert!(said.iter().any(|log| log.msg == "change_state: configure failed: no camera; the node is finalized"));
}

#[test]
fn a_node_that_is_not_active_publishes_nothing_and_says_so_once() {
    let mut bench = bench(&[]);
    let heard = |bench: &mut Bench| bench.take::<Text>("out").iter().map(|m| m.data.clone()).collect::<Vec<_>>();
    bench.run_for(3 * STEP);
    assert!(change(&mut bench, 1, ""));
    bench.run_for(3 * STEP);
    assert!(heard(&mut bench).is_empty());
    let warned = |bench: &mut Bench| {
        let said = bench.take::<Log>("/rosout");
        said.iter().filter(|log| log.level == Log::WARN && log.msg.contains("`/out` was not published")).count()
    };
    assert_eq!(warned(&mut bench), 1);
    assert!(change(&mut bench, 3, ""));
    bench.run_for(2 * STEP);
    let lines = heard(&mut bench);
    assert_eq!(lines[0], "on_activate", "it may publish while it is activated");
    assert!(lines[1..].len() >= 2 && lines[1..].iter().all(|line| line == "active"), "{lines:?}");
    assert!(change(&mut bench, 4, ""));
    assert_eq!(heard(&mut bench).last().map(String::as_str), Some("on_deactivate"));
    bench.run_for(3 * STEP);
    assert!(heard(&mut bench).is_empty());
    assert_eq!(warned(&mut bench), 1, "once for each time that it was active");
}

#[test]
fn autostart_brings_a_node_up_and_says_where_it_stopped() {
    let spec = |parameters: &[(&str, &str)]| NodeSpec {
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        autostart: true,
        ..NodeSpec::default()
    };
    let mut bench = Bench::new();
    bench.add_spec::<Actor>(spec(&[])).unwrap();
    assert_eq!(state(&mut bench), "active");
    assert_eq!(path(&mut bench), ["configuring", "inactive", "activating", "active"]);
    let mut bench = Bench::new();
    bench.add_spec::<Actor>(spec(&[("activate", "refuse")])).unwrap();
    assert_eq!(state(&mut bench), "inactive");
    let said = bench.take::<Log>("/rosout");
    assert!(said.iter().any(|log| log.msg == "autostart: activate refused: not today; the node is inactive"));
}

#[test]
fn a_node_can_ask_for_transitions_of_its_own_until_one_is_not_possible() {
    let mut bench = bench(&[]);
    bench.publish("ask", Text { data: "configure activate".into() });
    bench.run_for(STEP);
    assert_eq!(path(&mut bench), ["configuring", "inactive", "activating", "active"]);
    bench.publish("ask", Text { data: "cleanup deactivate".into() });
    bench.run_for(STEP);
    assert!(path(&mut bench).is_empty(), "an active node is not cleaned up, and what was to follow does not");
    let said = bench.take::<Log>("/rosout");
    assert!(said.iter().any(|log| log.msg.starts_with("change of life: `cleanup` is not possible from active")));
}

#[test]
fn autostart_of_a_node_that_is_not_managed_is_said_to_be_in_vain() {
    struct Plain;
    impl Node for Plain {
        const NAME: &'static str = "plain";
        fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
            Ok(Self)
        }
    }
    let mut bench = Bench::new();
    bench.add_spec::<Plain>(NodeSpec { autostart: true, ..NodeSpec::default() }).unwrap();
    assert!(bench.logs().iter().any(|log| log.message.starts_with("autostart is for nodes with a managed life cycle")));
}

#[test]
fn a_graph_that_stops_shuts_its_managed_nodes_down() {
    let mut bench = bench(&[]);
    assert!(change(&mut bench, 1, ""));
    path(&mut bench);
    bench.stop();
    assert_eq!(path(&mut bench), ["shuttingdown", "finalized"]);
    assert!(bench.logs().iter().any(|log| log.message == "stopped as finalized"));
}

#[test]
fn a_node_that_panics_in_a_transition_starts_a_new_life_unconfigured() {
    let mut bench = Bench::new();
    let restart = RestartPolicy { when: RestartWhen::OnFailure, max: 2, backoff: STEP };
    let parameters = [("activate".to_owned(), "panic".into())].into();
    bench.add_spec::<Actor>(NodeSpec { restart, parameters, ..NodeSpec::default() }).unwrap();
    assert!(change(&mut bench, 1, ""));
    let transition = Transition { id: 3, ..Default::default() };
    assert!(bench.call::<ChangeState>("actor/change_state", ChangeStateRequest { transition }).is_err());
    bench.run_for(5 * STEP);
    assert_eq!(state(&mut bench), "unconfigured");
}

#[test]
fn events_carry_transition_states_and_time() {
    let mut bench = bench(&[]);
    bench.run_for(Duration::from_secs(1));
    assert!(change(&mut bench, 1, ""));
    let events = bench.take::<TransitionEvent>("actor/transition_event");
    assert_eq!((events[0].transition.id, events[0].transition.label.as_str()), (1, "configure"));
    assert_eq!((events[1].transition.id, events[1].transition.label.as_str()), (10, "transition_success"));
    assert_eq!((events[1].start_state.id, events[1].goal_state.id), (10, 2));
    assert!(events[0].timestamp > 1_000_000_000 && events[0].timestamp < 2_000_000_000);
}
