//! The wire: ROS 2 over Zenoh, as rmw_zenoh speaks it.
//!
//! Key expressions, attachments, liveliness tokens and quality of service follow rmw_zenoh's `docs/design.md` and sources, so that
//! nodes on rmw_zenoh, `ros2` tools and plain Zenoh programs are peers. [`Wire`] gives a graph its [`graph::transport::Transport`]
//! and starts a router when none is there; [`Client`] lets a command line look at and talk to any such system.

mod attachment;
mod client;
mod config;
mod edges;
mod error;
mod guest;
mod history;
mod live;
mod name;
mod neighbours;
mod order;
mod plain;
mod pool;
mod publisher;
mod qos;
mod service;
mod session;
mod subscriber;
mod transport;
mod view;

pub use attachment::{Attachment, Gid, gid_of};
pub use client::{Client, RawPublisher, RawSample, RawSubscription};
pub use config::{DiscoveryRange, NO_TYPE_HASH, WireConfig};
pub use error::{CallError, OpenError, WireError};
pub use guest::{Guest, GuestClient, GuestNode, GuestPublisher, GuestServer, GuestSubscription, WireType};
pub use name::{Entity, EntityKind, key_expression, parse_token};
pub use plain::{PlainPublisher, PlainSubscription};
pub use qos::{format_qos, parse_qos};
pub use transport::{Statistics, Wire};
pub use view::{EndpointInfo, GraphView, NameInfo, NodeInfo};
