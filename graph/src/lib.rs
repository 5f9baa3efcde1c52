//! The node library: what a node is, how nodes are wired, timed, configured and supervised.
//!
//! A node is declared state, declared ports and handlers (see [`Node`]). The same node runs live on the wall clock or in lock-step with
//! simulated time ([`Mode`]), in one process with its neighbours or across a [`transport`], without a change.
//!
//! ```
//! use std::sync::Arc;
//! use graph::{Context, HandlerResult, Node, Param, Publisher, Qos, Setup, SetupError};
//! use msgs::std_msgs::msg::Float64;
//!
//! struct Gain { gain: Param<f64>, out: Publisher<Float64> }
//!
//! impl Node for Gain {
//!     const NAME: &'static str = "gain";
//!     fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
//!         s.subscribe("in", Qos::reliable(10), |node: &mut Self, ctx, input: Arc<Float64>| {
//!             node.out.publish(ctx, Float64 { data: input.data * node.gain.get() });
//!             Ok(())
//!         })?;
//!         Ok(Self { gain: s.param("gain", 2.0).range(0, 10).declare()?, out: s.publisher("out", Qos::reliable(10))? })
//!     }
//! }
//!
//! let mut bench = graph::testing::Bench::new();
//! bench.add::<Gain>(&[("gain", 3.0.into())]).unwrap();
//! bench.publish("in", Float64 { data: 7.0 });
//! bench.run_for(std::time::Duration::from_millis(10));
//! assert_eq!(bench.take::<Float64>("out")[0].data, 21.0);
//! ```

mod action;
mod compose;
mod container;
mod context;
mod diagnostics;
mod error;
mod events;
mod explain;
mod free;
mod graph;
mod heard;
mod learn;
mod lent;
mod lifecycle;
mod listen;
mod loan;
mod lockstep;
mod logger;
mod message;
mod monitor;
mod name;
mod node;
mod param;
mod process;
mod publisher;
mod qos;
mod raw;
mod recycle;
mod remote;
mod replies;
mod runner;
mod service;
mod shared;
mod sim_time;
mod slot;
pub mod snapshot;
mod stats;
pub mod suggest;
pub mod testing;
mod time;
mod topic;
pub mod transport;
mod type_description;
mod typed;
mod view;
mod waiting;
mod watchdog;

pub use action::{ActionClient, CancelAnswer, GoalHandle, GoalId, Outcome};
pub use compose::{Catalogue, ChangeError, GraphHandle, NodeRef};
pub use container::Container;
pub use context::Context;
pub use diagnostics::{Level, LogRecord, LogSink, silent_sink, stderr_sink};
pub use error::{HandlerResult, NodeError, SetupError};
pub use events::{QosEvent, QosEventKind, Side};
pub use graph::{Graph, GraphConfig, Mode, NodeFactory, NodeSpec, RestartPolicy, RestartWhen, RunReport};
pub use learn::{Learned, Learner};
pub use lifecycle::{LifeChange, LifeState, Managed, TransitionError, TransitionResult};
pub use loan::Loan;
pub use logger::{Severity, UnknownSeverity};
pub use message::{AnyMessage, Erased};
pub use node::{Injector, Node, Setup};
pub use param::{Param, ParamBuilder, ParamChanges, ParamError, ParamType, ParamValue};
pub use publisher::Publisher;
pub use qos::{Durability, History, Liveliness, Policy, Qos, Reliability};
pub use raw::{RawError, RawPublisher};
pub use recycle::Outgoing;
pub use replies::{FrozenReply, REPLY, RawResponder};
pub use service::{CallError, CallId, Client, Responder};
pub use shared::StopFlag;
pub use sim_time::{ClockChange, ClockJump, JumpThreshold};
pub use slot::NodeState;
pub use snapshot::{FreezeError, ResumeError};
pub use stats::Histogram;
pub use time::{Time, duration_from_msg, duration_to_msg};
pub use view::NamesAndTypes;
pub use watchdog::Watchdog;
