//! Both sides of actions in snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgs::Message;
use msgs::action::Action;
use parking_lot::Mutex;

use super::{GoalId, Sent, Served, ServedGoal};
use crate::error::NodeError;
use crate::service::CallId;
use crate::snapshot::{Blob, FreezeError, Part, pack, unpack};
use crate::time::Time;

/// What a client has sent: nothing of it is more than numbers.
pub(super) struct Client(pub Arc<Mutex<Sent>>);

type Calls = Vec<(u64, [u8; 16])>;

impl Part for Client {
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let sent = self.0.lock();
        let calls = |calls: &BTreeMap<CallId, GoalId>| calls.iter().map(|(call, goal)| (call.0, goal.0)).collect::<Calls>();
        let open: Vec<[u8; 16]> = sent.open.iter().map(|goal| goal.0).collect();
        pack(&(calls(&sent.sending), calls(&sent.waiting), open))
    }

    fn thaw(&self, state: &[u8]) -> Result<(), NodeError> {
        let (sending, waiting, open): (Calls, Calls, Vec<[u8; 16]>) = unpack(state)?;
        let calls = |calls: Calls| calls.into_iter().map(|(call, goal)| (CallId(call), GoalId(goal))).collect();
        let open = open.into_iter().map(GoalId).collect::<BTreeSet<_>>();
        *self.0.lock() = Sent { sending: calls(sending), waiting: calls(waiting), open };
        Ok(())
    }
}

/// The goals of a server, as long as all of them have ended: one at work is in the hands of the node, and its client waits.
pub(super) struct Server<A: Action>(pub Arc<Mutex<Served<A>>>);

impl<A: Action> Part for Server<A> {
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let served = self.0.lock();
        let mut goals = Vec::new();
        for (id, goal) in served.order.iter().filter_map(|id| Some((id, served.goals.get(id)?))) {
            let Some(result) = goal.result.as_ref().filter(|_| goal.waiting.is_empty()) else {
                return Err(FreezeError::Now(format!("a goal of its action {} is at work", A::action_type().name)));
            };
            goals.push((id.0, goal.accepted_at, goal.status, Blob(Message::to_cdr(result))));
        }
        pack(&goals)
    }

    fn thaw(&self, state: &[u8]) -> Result<(), NodeError> {
        let goals: Vec<([u8; 16], Time, i8, Blob)> = unpack(state)?;
        let mut served = self.0.lock();
        (served.goals, served.order) = (BTreeMap::new(), Vec::new());
        for (id, accepted_at, status, Blob(result)) in goals {
            let result = Some(A::Result::from_cdr(&result)?);
            served.goals.insert(GoalId(id), ServedGoal { accepted_at, status, result, waiting: Vec::new() });
            served.order.push(GoalId(id));
        }
        Ok(())
    }
}
