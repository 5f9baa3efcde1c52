//! The node's state in snapshots of its graph: the mission, and the orders that are out. The two sides of its actions are the library's.

use std::sync::Arc;

use graph::snapshot::{Blob, Cdr, pack, unpack};
use graph::{FreezeError, GoalId, HandlerResult, NodeError};
use msgs::omnimind_msgs::msg::Plan;

use crate::mission::frozen::capability;
use crate::node::Planner;

/// Goal, order, capability.
type Sent = Vec<([u8; 16], u64, String)>;

/// The home in words, to be compared.
fn home(planner: &Planner) -> String {
    format!("{:?}", planner.mission.home())
}

impl Planner {
    pub(crate) fn frozen(&self) -> Result<Vec<u8>, FreezeError> {
        if !self.handles.is_empty() {
            return Err(FreezeError::Now("a client of execute_goal waits for its goal".into()));
        }
        let sent: Sent = self.sent.iter().map(|(goal, token, name)| (goal.0, *token, (*name).to_owned())).collect();
        let last_plan = self.last_plan.clone().map(|plan| Cdr(Arc::new(plan)));
        pack(&(home(self), Blob(self.mission.freeze()?), self.speed, sent, last_plan))
    }

    pub(crate) fn take_up(&mut self, state: &[u8]) -> HandlerResult {
        let (then, mission, sent, last_plan): (String, Blob, Sent, Option<Cdr<Plan>>);
        (then, mission, self.speed, sent, last_plan) = unpack(state)?;
        if then != home(self) {
            return Err(NodeError::new("its home was another one: parameter `home`"));
        }
        self.mission.thaw(&mission.0)?;
        let order = |(goal, token, name): ([u8; 16], u64, String)| {
            let unknown = || NodeError::new(format!("there is no capability `{name}`"));
            capability(&name).map(|name| (GoalId(goal), token, name)).ok_or_else(unknown)
        };
        self.sent = sent.into_iter().map(order).collect::<Result<_, _>>()?;
        self.last_plan = last_plan.map(|plan| Arc::unwrap_or_clone(plan.0));
        Ok(())
    }
}
