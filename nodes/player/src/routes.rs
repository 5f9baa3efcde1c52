//! From a recorded topic to a publisher: as bytes, whatever the type, or decoded where pictures were compressed.

use std::collections::BTreeMap;

use bags::{Bag, BagChannel, QosProfile};
use graph::{Context, NodeError, Publisher, Qos, RawPublisher, Setup, SetupError};
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
    let known = msgs::registry::find(&channel.message_type);
    let hash = match (known, channel.type_hash.as_str()) {
        (Some(known), "") => known.hash,
        (None, "") => {
            s.warn(format!("{} is not played: the bag does not tell the type hash of {}", channel.topic, channel.message_type));
            return Ok(None);
        }
        (_, hash) => hash,
    };
    if channel.encoding != "cdr" {
        s.warn(format!("{} is not played: it is encoded as `{}`, not as cdr", channel.topic, channel.encoding));
        return Ok(None);
    }
    match s.publisher_raw(name, &channel.message_type, hash, qos) {
        Ok(publisher) => Ok(Some(Route::Raw { publisher, known: known.filter(|k| k.hash == hash) })),
        // Other nodes of the graph decide what a topic carries.
        Err(error @ (SetupError::TypeMismatch { .. } | SetupError::InvalidName { .. })) => {
            s.warn(format!("{} is not played: {error}", channel.topic));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
