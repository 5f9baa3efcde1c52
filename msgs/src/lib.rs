//! The vocabulary: Rust types for the ROS 2 interfaces that OmniMind speaks, their CDR encoding, type hashes and definitions.
//!
//! The types are generated at build time from `interfaces/<package>/{msg,srv,action}`; field names, constants and defaults are those
//! of the definitions (a Rust keyword gets a trailing underscore). Sequences of bytes are [`Bytes`]: cheap to clone, and a decoded picture is a view of the
//! buffer that it came in. [`Message`], [`Service`] and [`Action`] describe them to generic
//! code, [`registry`] finds them by name at run time.
//!
//! ```
//! use msgs::{Message, std_msgs::msg::String as Text};
//! let bytes = Text { data: "hello".into() }.to_cdr();
//! assert_eq!(bytes, b"\x00\x01\x00\x00\x06\x00\x00\x00hello\x00");
//! assert_eq!(Text::from_cdr(&bytes).unwrap().data, "hello");
//! ```

pub mod action;
pub mod cdr;
pub mod definition;
pub mod description;
pub mod json;
mod layout;
pub mod registry;
mod types;
mod walk;
pub mod words;

pub use action::Action;
pub use bytes::Bytes;
pub use generated::*;
pub use layout::{FieldView, Layout};
pub use types::{ActionType, Field, Kind, Message, MessageType, Service, ServiceType, Shape};

#[allow(missing_docs, clippy::all, clippy::pedantic)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/generated.rs"));
}
