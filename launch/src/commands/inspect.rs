//! Looking at a running graph and talking to it: `node`, `topic`, `param`, `service`, `graph`, `goal`, `map`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use graph::ParamValue;
use msgs::omnimind_msgs::srv::{SetGoal, SetGoalRequest};
use wire::{EntityKind, RawSample};

use crate::cli::{NodeCommand, ParamCommand, ServiceCommand, TopicCommand};
use crate::file::Value;
use crate::foreign::Reader;
use crate::registry;
use crate::remote::{Remote, RemoteError, full};
use graph::suggest;

const OK: Result<ExitCode> = Ok(ExitCode::SUCCESS);

/// `omnimind node`
pub fn node(command: &NodeCommand) -> Result<ExitCode> {
    match command {
        NodeCommand::Types => {
            for kind in registry::kinds() {
                println!("{}", kind.factory.name);
            }
        }
        NodeCommand::Defaults { node } => {
            let Some(kind) = registry::kind(node) else {
                let kinds = registry::kinds();
                bail!("there is no node type `{node}`{}", suggest::hint(node, kinds.iter().map(|k| k.factory.name)));
            };
            print!("{}", kind.defaults_yaml()?);
        }
        NodeCommand::List { all } => {
            let hidden = |name: &str| name.rsplit('/').next().is_some_and(|base| base.starts_with('_'));
            for node in Remote::connect()?.view()?.nodes.iter().filter(|node| *all || !hidden(&node.name)) {
                println!("{}", node.name);
            }
        }
        NodeCommand::Info { name } => {
            let name = full(name);
            let view = Remote::connect()?.view()?;
            if !view.nodes.iter().any(|n| n.name == name) {
                bail!("there is no node `{name}`{}", suggest::hint(&name, view.nodes.iter().map(|n| n.name.as_str())));
            }
            println!("{name}");
            let parts = [
                ("Subscribers", EntityKind::Subscription),
                ("Publishers", EntityKind::Publisher),
                ("Service Servers", EntityKind::Service),
                ("Service Clients", EntityKind::Client),
            ];
            for (title, kind) in parts {
                println!("  {title}:");
                for endpoint in view.endpoints.iter().filter(|e| e.node == name && e.kind == kind) {
                    println!("    {}: {} ({})", endpoint.name, endpoint.type_name, endpoint.qos);
                }
            }
        }
    }
    OK
}

/// `omnimind topic`
pub fn topic(command: &TopicCommand) -> Result<ExitCode> {
    match command {
        TopicCommand::List { types } => {
            for topic in Remote::connect()?.view()?.topics() {
                if *types {
                    println!(
                        "{} [{}] {} publishers, {} subscriptions",
                        topic.name,
                        topic.types.join(", "),
                        topic.sources.len(),
                        topic.sinks.len()
                    );
                } else {
                    println!("{}", topic.name);
                }
            }
        }
        TopicCommand::Echo { topic, once, json, elements, timeout } => echo(&full(topic), *once, *json, *elements, *timeout)?,
        TopicCommand::Hz { topic, seconds } => hz(&full(topic), *seconds)?,
        TopicCommand::Pub { topic, message_type, value, once, rate } => {
            if *rate <= 0.0 || !rate.is_finite() {
                bail!("the rate must be a positive number of messages per second");
            }
            let count = u64::from(*once);
            Remote::connect()?.publish(&full(topic), message_type, value, count, Duration::from_secs_f64(1.0 / rate))?;
        }
    }
    OK
}

fn seconds(value: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| anyhow::anyhow!("`{value}` is not a number of seconds"))
}

fn echo(topic: &str, once: bool, json: bool, elements: usize, timeout: f64) -> Result<()> {
    let remote = Remote::connect()?;
    let (_subscription, samples) = remote.listen(topic)?;
    let patience = seconds(timeout)?;
    let mut reader = Reader::new(&remote);
    loop {
        let sample =
            samples.recv_timeout(patience).map_err(|_| RemoteError::Silence { topic: topic.to_owned(), seconds: timeout })?;
        if json {
            println!("{}", reader.json(topic, &sample)?);
        } else {
            println!("{}---", reader.text(topic, &sample, elements)?);
        }
        let dropped = samples.take_dropped();
        if dropped > 0 {
            eprintln!("{dropped} messages of {topic} were not shown: they come faster than they can be printed");
        }
        if once {
            return Ok(());
        }
    }
}

fn hz(topic: &str, window: f64) -> Result<()> {
    let remote = Remote::connect()?;
    let (_subscription, samples) = remote.listen(topic)?;
    let until = Instant::now() + seconds(window)?;
    let mut times = Vec::new();
    let mut bytes = 0;
    while let Ok(sample) = samples.recv_timeout(until.saturating_duration_since(Instant::now())) {
        let RawSample { payload, .. } = sample;
        times.push(Instant::now());
        bytes += payload.len();
    }
    let dropped = samples.take_dropped();
    if dropped > 0 {
        eprintln!("{dropped} messages of {topic} were not counted: they came faster than they could be taken");
    }
    let gaps: Vec<f64> = times.windows(2).map(|w| w[1].duration_since(w[0]).as_secs_f64()).collect();
    if gaps.is_empty() {
        return Err(RemoteError::Silence { topic: topic.to_owned(), seconds: window }.into());
    }
    #[allow(clippy::cast_precision_loss)]
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let most = gaps.iter().copied().fold(0.0, f64::max);
    println!("average rate: {:.3} Hz", 1.0 / mean);
    println!("min: {least:.4} s, max: {most:.4} s, messages: {}, mean size: {} bytes", times.len(), bytes / times.len());
    Ok(())
}

/// `omnimind param`
pub fn param(command: &ParamCommand) -> Result<ExitCode> {
    let remote = Remote::connect()?;
    match command {
        ParamCommand::List { node } => {
            let node = full(node);
            let names = remote.parameter_names(&node)?;
            let values = remote.parameters(&node, &names)?;
            let descriptions = remote.describe(&node, &names)?.descriptors;
            for ((name, value), description) in names.iter().zip(&values).zip(&descriptions) {
                println!("{name}: {}   # {}", value_text(value), description.description);
            }
        }
        ParamCommand::Get { node, name } => {
            let node = full(node);
            let names = remote.parameter_names(&node)?;
            if !names.contains(name) {
                bail!("node `{node}` has no parameter `{name}`{}", suggest::hint(name, names.iter().map(String::as_str)));
            }
            for value in remote.parameters(&node, std::slice::from_ref(name))? {
                println!("{}", value_text(&value));
            }
        }
        ParamCommand::Set { node, name, value } => {
            let parsed = registry::param_value(&Value::from_parameter_text(value));
            remote.set_parameter(&full(node), name, parsed.to_msg())?;
            println!("set");
        }
    }
    OK
}

fn value_text(value: &msgs::rcl_interfaces::msg::ParameterValue) -> String {
    match ParamValue::from_msg(value) {
        None | Some(ParamValue::NotSet) => "not set".into(),
        Some(value) => value.to_string(),
    }
}

/// `omnimind service`
pub fn service(command: &ServiceCommand) -> Result<ExitCode> {
    let remote = Remote::connect()?;
    match command {
        ServiceCommand::List => {
            for service in remote.view()?.services().iter().filter(|s| !s.sources.is_empty()) {
                println!("{} [{}]", service.name, service.types.join(", "));
            }
        }
        ServiceCommand::Call { service, service_type, request } => {
            let answer = remote.call_text(&full(service), service_type.as_deref(), request)?;
            println!("{}", serde_json::to_string_pretty(&answer)?);
        }
    }
    OK
}

/// `omnimind goal`
pub fn goal(words: &str) -> Result<ExitCode> {
    if words.trim().is_empty() {
        bail!("say what the robot is to do, for example: omnimind goal \"bring the cup to the kitchen\"");
    }
    let mut request = SetGoalRequest::default();
    request.goal.description = words.to_owned();
    let answer = Remote::connect()?.call::<SetGoal>("/planner/set_goal", &request)?;
    if !answer.accepted {
        bail!("the planner declined: {}", answer.message);
    }
    println!("{} {}", answer.goal_id, answer.message);
    OK
}

/// `omnimind map`
pub fn map() -> Result<ExitCode> {
    let remote = Remote::connect()?;
    let next = |topic: &str| -> Result<serde_json::Value> {
        let (_subscription, samples) = remote.listen(topic)?;
        let sample = samples
            .recv_timeout(Duration::from_secs(5))
            .map_err(|_| RemoteError::Silence { topic: topic.to_owned(), seconds: 5.0 })?;
        Ok(Remote::json(&sample)?)
    };
    let grid = next("/map")?;
    let belief = next("/fusion/belief").ok();
    let pose = belief.as_ref().map(|b| &b["robot_pose"]["pose"]["position"]);
    let robot = pose.and_then(|p| Some((p["x"].as_f64()?, p["y"].as_f64()?)));
    print!("{}", crate::map_text::draw(&grid, robot, 80));
    if let Some((x, y)) = robot {
        println!("@ robot at x {x:.2} m, y {y:.2} m");
    }
    OK
}
