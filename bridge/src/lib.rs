//! A bridge between the graph, which speaks ROS 2 over Zenoh, and ROS 2 nodes on a DDS middleware: topics, services, actions and
//! parameters, both ways.
//!
//! What to carry is decided by [`plan::plan`], a pure function of how both sides look; it needs no ROS 2 and is always built. What
//! carries needs a ROS 2 prefix (its libraries are ROS 2's own client library and middleware) and is built with the feature `dds`.
//!
//! An action is three services and two topics, a parameter is six services, and all of them travel as the bytes they are.

pub mod filter;
pub mod plan;
pub mod snapshot;
pub mod status;

#[cfg(feature = "dds")]
mod rcl;
#[cfg(feature = "dds")]
mod routes;
#[cfg(feature = "dds")]
mod run;
#[cfg(feature = "dds")]
mod sides;

#[cfg(feature = "dds")]
pub use rcl::{DiscoveryRange, RclError};
#[cfg(feature = "dds")]
pub use run::{BridgeError, Options, run};
