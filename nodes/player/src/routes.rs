//! From a recorded topic to a publisher: as bytes, whatever the type, or decoded where pictures were compressed.

use std::collections::BTreeMap;

use bags::{Bag, BagChannel, QosProfile};
use graph::{Context, NodeError, Publisher, Qos, RawPublisher, Setup, SetupError};
use msgs::definition::Definition;
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::{Message, MessageType};

use crate::images;
use crate::node::Player;

/// Where the messages of a channel go.
pub(crate) enum Route {
    /// Published as they are, after a look whether they are of their type, if it is known.
    Raw { publisher: RawPublisher, known: Option<&'static MessageType> },
    /// Compressed images back into pixels.
    Decoded { publisher: Publisher<Image>, decode: fn(CompressedImage) -> Result<Image, NodeError> },
}

impl Route {
    /// Publishes a recorded message.
    pub fn publish(&self, ctx: &mut Context, data: Vec<u8>) -> Result<(), NodeError> {
        match self {
            Self::Raw { publisher, known } => {
                if let Some(known) = known {
                    known.recode(&data)?;
                }
                publisher.publish(ctx, data)?;
            }
            Self::Decoded { publisher, decode } => publisher.publish(ctx, decode(CompressedImage::from_cdr(&data)?)?),
        }
        Ok(())
    }
}

/// What is to be played and how.
pub(crate) struct Wishes {
    pub wanted: Box<dyn Fn(&str) -> bool>,
    pub remap: BTreeMap<String, String>,
    pub overrides: BTreeMap<String, QosProfile>,
    pub decode_images: bool,
}

/// `from:=to`, full names.
pub(crate) fn remaps(rules: &[String]) -> Result<BTreeMap<String, String>, String> {
    rules
        .iter()
        .map(|rule| {
            let (from, to) = rule.split_once(":=").ok_or_else(|| format!("remap: `{rule}` is not from:=to"))?;
            let full = |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
            Ok((full(from.trim()), full(to.trim())))
        })
        .collect()
}

/// Declares the publisher of a channel; `None`, said at set-up, if it cannot be played.
pub(crate) fn declare(
    s: &mut Setup<Player>,
    bag: &Bag,
    channel: &BagChannel,
    wishes: &Wishes,
) -> Result<Option<Route>, SetupError> {
    let name = wishes.remap.get(&channel.topic).unwrap_or(&channel.topic);
    let qos = wishes.overrides.get(&channel.topic).copied().unwrap_or_else(|| QosProfile::offer_of(&channel.qos)).to_qos();
    let decoders: [(&str, fn(CompressedImage) -> Result<Image, NodeError>); 2] =
        [("/compressed", images::colour), ("/compressedDepth", images::depth)];
    let decoder = decoders.iter().find_map(|(ending, decode)| Some((channel.topic.strip_suffix(ending)?, *decode)));
    if let Some((raw, decode)) = decoder
        && wishes.decode_images
        && channel.message_type == CompressedImage::message_type().name
    {
        if bag.channels.iter().any(|c| c.topic == raw) && (wishes.wanted)(raw) {
            return Ok(None);
        }
        let raw = wishes.remap.get(raw).map_or(raw, String::as_str);
        return Ok(Some(Route::Decoded { publisher: s.publisher::<Image>(raw, Qos::sensor_data())?, decode }));
    }
    let hash = match hash_of(channel) {
        Ok(hash) => hash,
        Err(why) => {
            s.warn(format!("{} is not played: {why}", channel.topic));
            return Ok(None);
        }
    };
    if channel.encoding != "cdr" {
        s.warn(format!("{} is not played: it is encoded as `{}`, not as cdr", channel.topic, channel.encoding));
        return Ok(None);
    }
    let known = msgs::registry::find(&channel.message_type).filter(|known| known.hash == hash);
    match s.publisher_raw(name, &channel.message_type, &hash, qos) {
        Ok(publisher) => Ok(Some(Route::Raw { publisher, known })),
        // Other nodes of the graph decide what a topic carries.
        Err(error @ (SetupError::TypeMismatch { .. } | SetupError::InvalidName { .. })) => {
            s.warn(format!("{} is not played: {error}", channel.topic));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The type hash of a channel: the one that the bag tells, or that of its definition; where it has neither, the type is taken to be the one
/// that this program knows by the name.
fn hash_of(channel: &BagChannel) -> Result<String, String> {
    let BagChannel { message_type, type_hash, definition, schema_encoding, .. } = channel;
    if !type_hash.is_empty() {
        return Ok(type_hash.clone());
    }
    let known = msgs::registry::find(message_type).map(|known| known.hash.to_owned());
    let told = (schema_encoding == "ros2msg" && !definition.is_empty()).then(|| Definition::parse(message_type, definition));
    match (told, known) {
        (Some(Ok(definition)), _) => Ok(definition.hash()),
        (_, Some(known)) => Ok(known),
        (Some(Err(why)), None) => {
            Err(format!("the bag does not tell the type hash of {message_type}, and its definition: {why}"))
        }
        (None, None) => Err(format!("the bag tells neither the type hash of {message_type} nor its definition as ros2msg")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_the_bag_does_not_tell_is_that_of_its_definition() {
        let channel = |message_type: &str, type_hash: &str, schema_encoding: &str, definition: &str| BagChannel {
            message_type: message_type.into(),
            type_hash: type_hash.into(),
            schema_encoding: schema_encoding.into(),
            definition: definition.into(),
            ..BagChannel::default()
        };
        let text = msgs::registry::find("std_msgs/msg/String").unwrap().hash;
        let hash = |message_type, type_hash, encoding, text| hash_of(&channel(message_type, type_hash, encoding, text));
        let spot = Definition::parse("demo/msg/Spot", "int8 x").unwrap().hash();
        assert_eq!(hash("demo/msg/Spot", "RIHS01_1", "ros2msg", "int8 x").unwrap(), "RIHS01_1");
        assert_eq!(hash("demo/msg/Spot", "", "ros2msg", "int8 x # in words").unwrap(), spot);
        assert_eq!(hash("std_msgs/msg/String", "", "ros2msg", "string data").unwrap(), text);
        // Another version of a type that is known here is what its definition says.
        assert_ne!(hash("std_msgs/msg/String", "", "ros2msg", "wstring data").unwrap(), text);
        for (encoding, definition) in [("ros2msg", ""), ("ros2idl", "module x {};"), ("", ""), ("ros2msg", "string")] {
            assert_eq!(hash("std_msgs/msg/String", "", encoding, definition).unwrap(), text);
            let why = hash("demo/msg/Spot", "", encoding, definition).unwrap_err();
            assert!(why.contains("demo/msg/Spot") && why.contains("definition"), "{why}");
        }
    }
}
