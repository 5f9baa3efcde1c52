use super::*;

const STRING: &str = "std_msgs/msg/String";

fn end(node: &str, name: &str, type_name: &str, qos: Qos) -> End {
    End { node: node.into(), name: name.into(), type_name: type_name.into(), hash: String::new(), qos }
}

fn topic(node: &str, name: &str) -> End {
    end(node, name, STRING, Qos::reliable(10))
}

fn service(node: &str, name: &str) -> End {
    end(node, name, "std_srvs/srv/Trigger", Qos::reliable(10))
}

/// A prefix that knows every type but those of `other_msgs`.
fn types(_: TypeKind, name: &str) -> Result<String, String> {
    if name.starts_with("other_msgs/") { Err("no package other_msgs".into()) } else { Ok("RIHS01_1".into()) }
}

fn planned(dds: &Snapshot, zenoh: &Snapshot) -> Plan {
    plan(dds, zenoh, &Filter::default(), &mut types)
}

fn routes<V>(map: &BTreeMap<RouteKey, V>) -> Vec<(Side, &str)> {
    map.keys().map(|key| (key.from, key.name.as_str())).collect()
}

#[test]
fn a_topic_crosses_from_where_it_is_published_to_where_it_is_not() {
    let dds = Snapshot { publishers: vec![topic("/a", "/one")], ..Snapshot::default() };
    let zenoh =
        Snapshot { publishers: vec![topic("/b", "/two")], subscriptions: vec![topic("/b", "/one")], ..Snapshot::default() };
    let plan = planned(&dds, &zenoh);
    assert_eq!(routes(&plan.topics), [(Side::Dds, "/one"), (Side::Zenoh, "/two")]);
    let wanted: Vec<bool> = plan.topics.values().map(|route| route.wanted).collect();
    assert_eq!(wanted, [true, false]);
    assert!(plan.refused.is_empty() && plan.services.is_empty());
}

#[test]
fn a_topic_that_both_sides_publish_crosses_both_ways() {
    let side = |node: &str| Snapshot {
        publishers: vec![topic(node, "/tf")],
        subscriptions: vec![topic(node, "/tf")],
        ..Snapshot::default()
    };
    let plan = planned(&side("/a"), &side("/b"));
    assert_eq!(routes(&plan.topics), [(Side::Dds, "/tf"), (Side::Zenoh, "/tf")]);
}

#[test]
fn nothing_is_carried_that_nobody_publishes_or_serves() {
    let listening = Snapshot { subscriptions: vec![topic("/a", "/x")], ..Snapshot::default() };
    assert_eq!(planned(&listening, &listening).topics.len(), 0);
    assert_eq!(planned(&Snapshot::default(), &Snapshot::default()).services.len(), 0);
}

#[test]
fn a_service_is_offered_on_the_other_side_unless_it_is_served_there() {
    let dds = Snapshot { servers: vec![service("/a", "/shared"), service("/a", "/mine")], ..Snapshot::default() };
    let zenoh = Snapshot { servers: vec![service("/b", "/shared"), service("/b", "/yours")], ..Snapshot::default() };
    let plan = planned(&dds, &zenoh);
    assert_eq!(routes(&plan.services), [(Side::Dds, "/mine"), (Side::Zenoh, "/yours")]);
    assert_eq!(plan.services.values().map(|route| route.owner.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
}

#[test]
fn an_action_is_its_services_and_topics() {
    let name = |inner: &str| format!("/move/_action/{inner}");
    let ty = |inner: &str| format!("test_msgs/action/Fibonacci_{inner}");
    let dds = Snapshot {
        servers: vec![
            end("/a", &name("send_goal"), &ty("SendGoal"), Qos::reliable(10)),
            end("/a", &name("cancel_goal"), "action_msgs/srv/CancelGoal", Qos::reliable(10)),
            end("/a", &name("get_result"), &ty("GetResult"), Qos::reliable(10)),
        ],
        publishers: vec![
            end("/a", &name("feedback"), &ty("FeedbackMessage"), Qos::reliable(10)),
            end("/a", &name("status"), "action_msgs/msg/GoalStatusArray", Qos::latched(1)),
        ],
        ..Snapshot::default()
    };
    let plan = planned(&dds, &Snapshot::default());
    assert_eq!((plan.services.len(), plan.topics.len()), (3, 2));
    let denied = Filter::new(&[], &["/move".to_owned()]).expect("valid");
    let plan = super::plan(&dds, &Snapshot::default(), &denied, &mut types);
    assert_eq!((plan.services.len(), plan.topics.len()), (0, 0));
}

#[test]
fn nodes_are_announced_where_they_are_not_and_hidden_ones_nowhere() {
    let nodes = |names: &[&str]| Snapshot { nodes: names.iter().map(|n| (*n).to_owned()).collect(), ..Snapshot::default() };
    let plan = planned(&nodes(&["/a", "/both", "/_hidden"]), &nodes(&["/r/b", "/both", "/_omnimind_bridge_1"]));
    assert_eq!(plan.nodes[&Side::Dds].iter().collect::<Vec<_>>(), ["/a"]);
    assert_eq!(plan.nodes[&Side::Zenoh].iter().collect::<Vec<_>>(), ["/r/b"]);
}

#[test]
fn a_type_that_the_prefix_does_not_know_is_refused_with_the_reason() {
    let zenoh = Snapshot {
        publishers: vec![end("/p", "/plan", "other_msgs/msg/Plan", Qos::reliable(1)), topic("/p", "/text")],
        ..Snapshot::default()
    };
    let plan = planned(&Snapshot::default(), &zenoh);
    assert_eq!(routes(&plan.topics), [(Side::Zenoh, "/text")]);
    assert_eq!(plan.refused["/plan"], "no package other_msgs");
}

#[test]
fn a_node_with_another_definition_of_a_type_is_named() {
    let mut publisher = topic("/old", "/text");
    publisher.hash = "RIHS01_2".into();
    let zenoh = Snapshot { publishers: vec![publisher], ..Snapshot::default() };
    let plan = planned(&Snapshot::default(), &zenoh);
    assert!(plan.topics.is_empty());
    assert!(plan.refused["/text"].contains("/old") && plan.refused["/text"].contains(STRING), "{:?}", plan.refused);
}

#[test]
fn a_name_with_two_types_is_explained() {
    let dds = Snapshot { subscriptions: vec![end("/a", "/x", "std_msgs/msg/Int32", Qos::reliable(1))], ..Snapshot::default() };
    let zenoh = Snapshot { publishers: vec![topic("/b", "/x")], ..Snapshot::default() };
    let plan = planned(&dds, &zenoh);
    assert_eq!(plan.refused["/x"], "it is std_msgs/msg/String on Zenoh (/b) and std_msgs/msg/Int32 on DDS (/a)");
}

#[test]
fn the_offer_reaches_every_listener_and_the_request_every_publisher() {
    let publisher = |qos| end("/p", "/x", STRING, qos);
    let reliable = publisher(Qos::reliable(7));
    let sensor = publisher(Qos::sensor_data());
    let latched = publisher(Qos::latched(1));

    let (request, offer) = adapt(&[&sensor], &[]);
    assert_eq!((request.reliability, offer.reliability), (Reliability::BestEffort, Reliability::BestEffort));
    // A listener that insists on reliable would otherwise hear nothing at all.
    let (request, offer) = adapt(&[&sensor], &[&reliable]);
    assert_eq!((request.reliability, offer.reliability), (Reliability::BestEffort, Reliability::Reliable));
    // A request for reliable would not match the best-effort one of two publishers.
    let (request, offer) = adapt(&[&sensor, &reliable], &[]);
    assert_eq!((request.reliability, offer.reliability), (Reliability::BestEffort, Reliability::Reliable));

    let (request, offer) = adapt(&[&latched], &[]);
    assert_eq!((request.durability, offer.durability), (Durability::TransientLocal, Durability::TransientLocal));
    let (request, offer) = adapt(&[&latched, &reliable], &[]);
    assert_eq!((request.durability, offer.durability), (Durability::Volatile, Durability::TransientLocal));
    let (_, offer) = adapt(&[&reliable], &[&latched]);
    assert_eq!(offer.durability, Durability::TransientLocal);
}

#[test]
fn late_joiners_get_what_each_publisher_keeps() {
    let of = |depth| end("/p", "/tf_static", STRING, Qos::latched(depth));
    let (one, two) = (of(1), of(3));
    assert_eq!(adapt(&[&one], &[]).1.depth(), 1);
    assert_eq!(adapt(&[&one, &two], &[]).1.depth(), 4);
    let everything = end("/p", "/tf_static", STRING, Qos { durability: Durability::TransientLocal, ..Qos::keep_all() });
    assert_eq!(adapt(&[&everything, &two], &[]).1.depth(), MAX_DEPTH);
    let volatile = end("/p", "/x", STRING, Qos::reliable(1));
    let (request, offer) = adapt(&[&volatile], &[]);
    assert_eq!((request.depth(), offer.depth()), (MIN_RELIABLE_DEPTH, MIN_DEPTH));
    let sensor = end("/p", "/x", STRING, Qos::sensor_data());
    assert_eq!(adapt(&[&sensor], &[]).0.depth(), MIN_DEPTH);
}

#[test]
fn an_offer_serves_what_requests_no_more() {
    let (reliable, sensor, latched) = (Qos::reliable(1), Qos::sensor_data(), Qos::latched(1));
    for (offer, request, serve) in [
        (reliable, sensor, true),
        (sensor, reliable, false),
        (latched, reliable, true),
        (reliable, latched, false),
        (latched, latched, true),
    ] {
        assert_eq!(serves(&offer, &request), serve, "{offer:?} {request:?}");
    }
}
