//! The registry, JSON, text and action helpers.

use msgs::omnimind_msgs::{action, msg, srv};
use msgs::{Action, Message, Service, registry};
use serde_json::json;

#[test]
fn types_are_found_by_ros_name_short_name_and_wire_name() {
    let image = registry::find("sensor_msgs/msg/Image").expect("known");
    assert_eq!(registry::find("sensor_msgs/Image"), Some(image));
    assert_eq!(registry::find_dds("sensor_msgs::msg::dds_::Image_"), Some(image));
    assert_eq!(msgs::sensor_msgs::msg::Image::message_type(), image);
    assert_eq!(registry::find("sensor_msgs/msg/Imag"), None);
    assert!(registry::find_service("std_srvs/srv/Trigger").is_some());
    assert!(registry::find_action("omnimind_msgs/action/Act").is_some());
}

#[test]
fn services_and_actions_carry_their_wire_names() {
    let service = srv::SetGoal::service_type();
    assert_eq!(service.dds_name, "omnimind_msgs::srv::dds_::SetGoal_");
    assert_eq!(service.request.name, "omnimind_msgs/srv/SetGoal_Request");
    let action = action::Act::action_type();
    assert_eq!(action.send_goal.dds_name, "omnimind_msgs::action::dds_::Act_SendGoal_");
    assert_eq!(action.feedback_message.dds_name, "omnimind_msgs::action::dds_::Act_FeedbackMessage_");
}

#[test]
fn a_generic_action_server_can_take_and_answer_a_goal() {
    fn serve<A: Action>(request: msgs::action::RequestOf<A::SendGoal>, result: A::Result) -> (A::Goal, i8, A::Result) {
        let (id, goal) = A::split_send_goal_request(request);
        let answer = A::get_result_response(4, result);
        assert_eq!(A::split_get_result_request(A::get_result_request(id.clone())), id);
        let (status, result) = A::split_get_result_response(answer);
        (goal, status, result)
    }
    let id = msgs::unique_identifier_msgs::msg::UUID { uuid: [7; 16] };
    let goal = action::ActGoal { object_label: "cup".into(), ..Default::default() };
    let result = action::ActResult { success: true, ..Default::default() };
    let request = action::Act::send_goal_request(id, goal.clone());
    assert_eq!(serve::<action::Act>(request, result.clone()), (goal, 4, result));
}

#[test]
fn json_round_trips_with_special_floats() {
    let battery = registry::find("sensor_msgs/msg/BatteryState").expect("known");
    let bytes = registry::encode_json(battery, &json!({ "percentage": "NaN", "voltage": 14.4 })).expect("encodes");
    let typed = msgs::sensor_msgs::msg::BatteryState::from_cdr(&bytes).expect("decodes");
    assert!(typed.percentage.is_nan());
    assert_eq!(typed.voltage, 14.4);
    let back = registry::decode_json(battery, &bytes).expect("decodes");
    assert_eq!(back["percentage"], "NaN");
    assert_eq!(back["voltage"], 14.4, "the shortest decimal of the f32");
}

#[test]
fn a_json_mistake_is_explained_with_its_place() {
    let twist = registry::find("geometry_msgs/msg/TwistStamped").expect("known");
    let error = |value| registry::encode_json(twist, &value).expect_err("refused").to_string();
    assert_eq!(
        error(json!({ "twist": { "linear": { "q": 1 } } })),
        "twist.linear.q: geometry_msgs/msg/Vector3 has no such field; its fields are x, y, z"
    );
    assert_eq!(
        error(json!({ "header": { "stamp": { "sec": 1e12 } } })),
        "header.stamp.sec: 1000000000000.0 is not an integer that fits i32"
    );
    assert_eq!(error(json!({ "header": { "frame_id": 3 } })), "header.frame_id: 3 is not a string");
    assert_eq!(error(json!([1])), "message: [1] is not an object (geometry_msgs/msg/TwistStamped)");
}

#[test]
fn text_shows_fields_in_order_and_cuts_long_arrays() {
    let contact = msg::Contact { zone: "bumper_left".into(), pressed: true, ..Default::default() };
    let contacts = msg::Contacts { contacts: vec![contact], ..Default::default() };
    let text = msgs::json::to_text(msg::Contacts::message_type(), &contacts.to_cdr(), 4).expect("text");
    assert!(text.starts_with("header:\n  stamp:\n    sec: 0\n"), "{text}");
    assert!(text.contains("  zone: \"bump\"...\n  pressed: true\n"), "{text}");
    let chunk = msg::AudioChunk { samples: vec![0.5; 9], ..Default::default() };
    let text = msgs::json::to_text(msg::AudioChunk::message_type(), &chunk.to_cdr(), 2).expect("text");
    assert!(text.contains("samples: [0.5, 0.5]  # and 7 more"), "{text}");
}

#[test]
fn definitions_carry_every_dependency_once() {
    let definition = msgs::nav_msgs::msg::Odometry::message_type().definition;
    let separator = "=".repeat(80);
    for dependency in
        ["std_msgs/Header", "geometry_msgs/PoseWithCovariance", "geometry_msgs/Quaternion", "builtin_interfaces/Time"]
    {
        let heading = format!("{separator}\nMSG: {dependency}\n");
        assert_eq!(definition.matches(&heading).count(), 1, "{dependency}");
    }
    assert!(definition.starts_with("std_msgs/Header header\n"));
}

#[test]
fn constants_and_keywords_become_rust() {
    let action = msg::PlanAction { type_: msg::PlanAction::OBSERVE, ..Default::default() };
    assert_eq!(action.type_, 6);
    assert_eq!(msgs::diagnostic_msgs::msg::DiagnosticStatus::STALE, 3);
}
