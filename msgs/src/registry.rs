//! Interfaces by name, for code that learns a type only at run time: command line, recorder, viewer.

use crate::json::{self, JsonError};
use crate::{ActionType, MessageType, ServiceType, cdr, tables};
use serde_json::Value;

/// All message types, sorted by name; those of services and actions (`pkg/srv/Name_Request`, ...) included.
pub fn messages() -> &'static [&'static MessageType] {
    tables::MESSAGES
}

/// All service types, sorted by name; those of actions included.
pub fn services() -> &'static [&'static ServiceType] {
    tables::SERVICES
}

/// All action types, sorted by name.
pub fn actions() -> &'static [&'static ActionType] {
    tables::ACTIONS
}

/// The message type with a ROS name such as `sensor_msgs/msg/Image`. The short form `sensor_msgs/Image` is understood too.
pub fn find(name: &str) -> Option<&'static MessageType> {
    let found = messages().binary_search_by(|t| t.name.cmp(name)).ok().map(|index| messages()[index]);
    found.or_else(|| {
        let (package, short) = name.split_once('/').filter(|(_, short)| !short.contains('/'))?;
        let full = format!("{package}/msg/{short}");
        messages().binary_search_by(|t| t.name.cmp(&full)).ok().map(|index| messages()[index])
    })
}

/// The message type with a name as on the wire, such as `sensor_msgs::msg::dds_::Image_`.
pub fn find_dds(name: &str) -> Option<&'static MessageType> {
    find(&ros_name(name)?)
}

/// The service type with a ROS name such as `std_srvs/srv/Trigger`.
pub fn find_service(name: &str) -> Option<&'static ServiceType> {
    services().binary_search_by(|t| t.name.cmp(name)).ok().map(|index| services()[index])
}

/// The action type with a ROS name such as `omnimind_msgs/action/Act`.
pub fn find_action(name: &str) -> Option<&'static ActionType> {
    actions().binary_search_by(|t| t.name.cmp(name)).ok().map(|index| actions()[index])
}

/// `sensor_msgs::msg::dds_::Image_` -> `sensor_msgs/msg/Image`; `None` if it is not a name of that form.
pub fn ros_name(dds_name: &str) -> Option<String> {
    let (path, name) = dds_name.split_once("::dds_::")?;
    Some(format!("{}/{}", path.replace("::", "/"), name.strip_suffix('_')?))
}

/// Decodes an encoded message into JSON, e.g. `decode_json(find("std_msgs/msg/String")?, &bytes)`.
///
/// # Errors
/// [`cdr::Error`] if the bytes are not an encoding of this type.
pub fn decode_json(message_type: &MessageType, bytes: &[u8]) -> Result<Value, cdr::Error> {
    json::to_json(message_type, bytes)
}

/// Encodes a message given as JSON; fields that are left out get their defaults.
///
/// # Errors
/// [`JsonError`] names the field that does not fit.
pub fn encode_json(message_type: &MessageType, value: &Value) -> Result<Vec<u8>, JsonError> {
    json::from_json(message_type, value)
}

/// The type hash of a message, service or action by its ROS name.
pub fn type_hash(name: &str) -> Option<&'static str> {
    let message = find(name).map(|t| t.hash);
    message.or_else(|| find_service(name).map(|t| t.hash)).or_else(|| find_action(name).map(|t| t.hash))
}
