//! Motion: from "be there, take that" to wheel and arm commands.
//!
//! [`Pilot`] is the whole of it without the graph: localisation in the known map, costmap, global planner, local controller,
//! the behaviours as explicit state machines. The node is a thin coat around it.

pub mod arm;
pub mod behaviour;
pub mod body;
pub mod config;
pub mod costmap;
pub mod drive;
pub mod line;
pub mod localisation;
pub mod node;
pub mod pilot;
pub mod senses;

pub use node::Motion;
pub use pilot::Pilot;

/// Period of the control loop, s.
pub const PERIOD_S: f64 = 0.05;
