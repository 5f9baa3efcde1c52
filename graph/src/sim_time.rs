//! `use_sim_time`: the parameter that every ROS 2 node has.

use crate::error::SetupError;
use crate::node::{Node, Setup};

/// The parameter's name.
pub(crate) const USE_SIM_TIME: &str = "use_sim_time";

/// Declares it, unless the node did. A graph in lock-step owns its time, so there it is true from the start.
pub(crate) fn declare_use_sim_time<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    if setup.params.has(USE_SIM_TIME) {
        return Ok(());
    }
    let lock_step = setup.shared.lock_step;
    setup.param(USE_SIM_TIME, lock_step).declare().map(|_| ())
}
