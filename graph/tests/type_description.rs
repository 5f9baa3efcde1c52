//! What a node tells about its types, `~/get_type_description`.

use std::sync::Arc;

use graph::testing::Bench;
use graph::{Node, Publisher, Qos, Setup, SetupError};
use msgs::omnimind_msgs::action::Act;
use msgs::std_msgs::msg::Float64;
use msgs::std_srvs::srv::{Trigger, TriggerResponse};
use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest, GetTypeDescriptionResponse};
use msgs::{Action, Message, Service, description};

struct Talker {
    _out: Publisher<Float64>,
}

impl Node for Talker {
    const NAME: &'static str = "talker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.service::<Trigger>("ring", |_, _, _| Ok(TriggerResponse::default()))?;
        s.action_server::<Act>("act", |_, _, _| Ok(()), |_, _, _| Ok(()))?;
        s.subscribe("in", Qos::reliable(1), |_: &mut Self, _, _: Arc<msgs::sensor_msgs::msg::Imu>| Ok(()))?;
        Ok(Self { _out: s.publisher("out", Qos::reliable(1))? })
    }
}

fn ask(hash: &str, name: &str, include_type_sources: bool) -> GetTypeDescriptionResponse {
    let mut bench = Bench::new();
    bench.add::<Talker>(&[]).unwrap();
    let request = GetTypeDescriptionRequest { type_name: name.into(), type_hash: hash.into(), include_type_sources };
    bench.call::<GetTypeDescription>("talker/get_type_description", request).unwrap()
}

#[test]
fn types_of_topics_services_and_actions_are_described_and_hash_to_what_was_asked_for() {
    let types = [
        (Float64::message_type().name, Float64::message_type().hash),
        (msgs::sensor_msgs::msg::Imu::message_type().name, msgs::sensor_msgs::msg::Imu::message_type().hash),
        (Trigger::service_type().name, Trigger::service_type().hash),
        (Act::action_type().send_goal.name, Act::action_type().send_goal.hash),
        (Act::action_type().name, Act::action_type().hash),
    ];
    for (name, hash) in types {
        let answer = ask(hash, name, true);
        assert!(answer.successful, "{name}: {}", answer.failure_reason);
        assert_eq!(answer.type_description.type_description.type_name, name);
        assert_eq!(description::hash(&answer.type_description), hash, "{name}");
        assert_eq!(answer.type_sources.len(), 1 + answer.type_description.referenced_type_descriptions.len(), "{name}");
    }
}

#[test]
fn sources_come_only_when_asked_for() {
    let hash = Float64::message_type().hash;
    assert_eq!(ask(hash, "", true).type_sources[0].raw_file_contents, "float64 data\n");
    assert_eq!(ask(hash, "", false).type_sources, []);
}

#[test]
fn what_the_node_does_not_use_and_what_is_no_hash_is_refused_with_a_reason() {
    let unused = msgs::sensor_msgs::msg::Image::message_type();
    let answer = ask(unused.hash, unused.name, true);
    assert!(!answer.successful);
    assert_eq!(answer.failure_reason, "Type not currently in use by this node");
    let other = ask(unused.hash, "std_msgs/msg/Float64", true);
    assert!(other.failure_reason.ends_with(Float64::message_type().hash), "{}", other.failure_reason);
    for wrong in ["", "RIHS01_", "RIHS02_00", &"f".repeat(71)] {
        let answer = ask(wrong, unused.name, true);
        assert!(!answer.successful && answer.failure_reason.starts_with("Failed to parse type hash"), "{wrong}");
    }
}
