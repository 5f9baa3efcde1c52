//! Actions: long tasks with feedback, result and cancel, as ROS 2 builds them from services and topics under `<name>/_action/`.

mod frozen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgs::action::Action;
use msgs::action_msgs::msg::{GoalInfo, GoalStatus, GoalStatusArray};
use msgs::action_msgs::srv::{CancelGoal, CancelGoalRequest, CancelGoalResponse};
use msgs::unique_identifier_msgs::msg::UUID;
use parking_lot::Mutex;

use crate::Qos;
use crate::context::Context;
use crate::error::{HandlerResult, NodeError, SetupError};
use crate::node::{Node, Setup};
use crate::publisher::Publisher;
use crate::service::{CallId, Client, Responder};
use crate::time::Time;

/// A goal's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoalId(pub [u8; 16]);

impl GoalId {
    fn to_msg(self) -> UUID {
        UUID { uuid: self.0 }
    }
    fn from_msg(msg: &UUID) -> Self {
        Self(msg.uuid)
    }
    /// Deterministic: FNV-1a of the node's name, then its count. Across processes the start time in free-running mode keeps them apart.
    fn next(ctx: &Context) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for byte in ctx.node_name().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let salt = if ctx.shared.lock_step { 0 } else { ctx.now().as_nanos() as u64 };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(hash ^ salt).to_le_bytes());
        id[8..].copy_from_slice(&ctx.count().to_le_bytes());
        Self(id)
    }
}

/// How a goal ended, as its client sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<A: Action> {
    /// It was reached.
    Succeeded(A::Result),
    /// The server gave up.
    Aborted(A::Result),
    /// The client called it off.
    Canceled(A::Result),
    /// The server did not take it.
    Rejected,
    /// The server is not there or went away.
    Unavailable(String),
}

/// Whether a server lets a goal be called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// Yes: the node ends it with [`GoalHandle::canceled`], now or when it can.
    Accept,
    /// No: it goes on.
    Reject,
}

struct ServedGoal<A: Action> {
    accepted_at: Time,
    status: i8,
    result: Option<A::Result>,
    waiting: Vec<Responder<A::GetResult>>,
}

/// What handles and handlers of one action server share. Finished goals are forgotten after this many newer ones.
const KEPT_GOALS: usize = 32;

struct Served<A: Action> {
    goals: BTreeMap<GoalId, ServedGoal<A>>,
    order: Vec<GoalId>,
}

impl<A: Action> Served<A> {
    fn status(&self) -> GoalStatusArray {
        let status_list = self
            .order
            .iter()
            .filter_map(|id| self.goals.get(id).map(|goal| (id, goal)))
            .map(|(id, goal)| GoalStatus {
                goal_info: GoalInfo { goal_id: id.to_msg(), stamp: goal.accepted_at.to_msg() },
                status: goal.status,
            })
            .collect();
        GoalStatusArray { status_list }
    }

    /// Marks the goals that a request is about, with the status that each had. action_msgs/CancelGoal: the goal with that identity and all
    /// that were accepted up to the stamp; both zero means all goals.
    fn calling_off(&mut self, asked: GoalId, until: Time) -> Vec<(GoalId, GoalInfo, i8)> {
        let named = asked != GoalId::default();
        let all = !named && until == Time::ZERO;
        let mut found = Vec::new();
        for id in &self.order {
            let Some(goal) = self.goals.get_mut(id).filter(|goal| goal.result.is_none()) else { continue };
            let stamped = until != Time::ZERO && goal.accepted_at <= until;
            if all || stamped || (named && *id == asked) {
                let before = std::mem::replace(&mut goal.status, GoalStatus::STATUS_CANCELING);
                found.push((*id, GoalInfo { goal_id: id.to_msg(), stamp: goal.accepted_at.to_msg() }, before));
            }
        }
        found
    }

    fn forget_old(&mut self) {
        while self.order.len() > KEPT_GOALS {
            let Some(position) = self.order.iter().position(|id| self.goals.get(id).is_none_or(|g| g.result.is_some())) else {
                return;
            };
            let id = self.order.remove(position);
            self.goals.remove(&id);
        }
    }
}

struct Ports<A: Action> {
    served: Arc<Mutex<Served<A>>>,
    feedback: Publisher<A::FeedbackMessage>,
    status: Publisher<GoalStatusArray>,
}

impl<A: Action> Clone for Ports<A> {
    fn clone(&self) -> Self {
        Self { served: Arc::clone(&self.served), feedback: self.feedback.clone(), status: self.status.clone() }
    }
}

/// A goal that a server works on. The node keeps it and ends it with one of `succeed`, `abort`, `canceled`; if it lets go of the last handle
/// instead, the goal counts as aborted and its client is told that no result will come.
pub struct GoalHandle<A: Action> {
    id: GoalId,
    goal: Arc<A::Goal>,
    ports: Ports<A>,
    rejected: Arc<Mutex<bool>>,
    hold: Arc<Hold<A>>,
}

/// What all handles of one goal share.
struct Hold<A: Action> {
    id: GoalId,
    served: Arc<Mutex<Served<A>>>,
}

impl<A: Action> Drop for Hold<A> {
    fn drop(&mut self) {
        let mut served = self.served.lock();
        let Some(goal) = served.goals.get_mut(&self.id).filter(|goal| goal.result.is_none()) else { return };
        goal.status = GoalStatus::STATUS_ABORTED;
        goal.result = Some(A::Result::default());
        let waiting = std::mem::take(&mut goal.waiting);
        drop(served);
        // Unanswered: those who wait are told.
        drop(waiting);
    }
}

impl<A: Action> Clone for GoalHandle<A> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            goal: Arc::clone(&self.goal),
            ports: self.ports.clone(),
            rejected: Arc::clone(&self.rejected),
            hold: Arc::clone(&self.hold),
        }
    }
}

impl<A: Action> GoalHandle<A> {
    /// Its identity.
    pub fn id(&self) -> GoalId {
        self.id
    }

    /// What is asked.
    pub fn goal(&self) -> &A::Goal {
        &self.goal
    }

    /// Does not take the goal. Only from the handler that received it.
    pub fn reject(&self, _ctx: &mut Context) {
        *self.rejected.lock() = true;
    }

    /// Takes the goal and begins later: it counts as accepted, and not yet as being executed, until [`GoalHandle::execute`]. Only from the
    /// handler that received it.
    pub fn defer(&self, _ctx: &mut Context) {
        self.change(GoalStatus::STATUS_EXECUTING, GoalStatus::STATUS_ACCEPTED);
    }

    /// Begins with a goal that was deferred.
    pub fn execute(&self, ctx: &mut Context) {
        if let Some(report) = self.change(GoalStatus::STATUS_ACCEPTED, GoalStatus::STATUS_EXECUTING) {
            self.ports.status.publish_always(ctx, report);
        }
    }

    /// The status of all goals, if this one's was `from` and has become `to`.
    fn change(&self, from: i8, to: i8) -> Option<GoalStatusArray> {
        let mut served = self.ports.served.lock();
        let goal = served.goals.get_mut(&self.id).filter(|goal| goal.status == from)?;
        goal.status = to;
        Some(served.status())
    }

    /// Tells the client how it goes.
    pub fn feedback(&self, ctx: &mut Context, feedback: A::Feedback) {
        self.ports.feedback.publish_always(ctx, A::feedback_message(self.id.to_msg(), feedback));
    }

    /// Ends: reached.
    pub fn succeed(&self, ctx: &mut Context, result: A::Result) {
        self.end(ctx, GoalStatus::STATUS_SUCCEEDED, result);
    }

    /// Ends: given up.
    pub fn abort(&self, ctx: &mut Context, result: A::Result) {
        self.end(ctx, GoalStatus::STATUS_ABORTED, result);
    }

    /// Ends: called off.
    pub fn canceled(&self, ctx: &mut Context, result: A::Result) {
        self.end(ctx, GoalStatus::STATUS_CANCELED, result);
    }

    fn end(&self, ctx: &mut Context, status: i8, result: A::Result) {
        let (waiting, report) = {
            let mut served = self.ports.served.lock();
            let Some(goal) = served.goals.get_mut(&self.id) else { return };
            if goal.result.is_some() {
                return;
            }
            goal.status = status;
            goal.result = Some(result.clone());
            let waiting = std::mem::take(&mut goal.waiting);
            (waiting, served.status())
        };
        self.ports.status.publish_always(ctx, report);
        for responder in waiting {
            responder.respond(ctx, A::get_result_response(status, result.clone()));
        }
    }
}

/// Sends goals; progress and outcome come to the handlers that were declared with it.
pub struct ActionClient<A: Action> {
    send: Client<A::SendGoal>,
    cancel: Client<CancelGoal>,
    sent: Arc<Mutex<Sent>>,
}

#[derive(Default)]
struct Sent {
    sending: BTreeMap<CallId, GoalId>,
    waiting: BTreeMap<CallId, GoalId>,
    open: BTreeSet<GoalId>,
}

impl<A: Action> ActionClient<A> {
    /// Sends a goal.
    pub fn send(&self, ctx: &mut Context, goal: A::Goal) -> GoalId {
        let id = GoalId::next(ctx);
        let call = self.send.call(ctx, A::send_goal_request(id.to_msg(), goal));
        let mut sent = self.sent.lock();
        sent.sending.insert(call, id);
        sent.open.insert(id);
        id
    }

    /// Asks the server to call a goal off; the outcome comes as ever.
    pub fn cancel(&self, ctx: &mut Context, id: GoalId) {
        let goal_info = GoalInfo { goal_id: id.to_msg(), ..Default::default() };
        self.cancel.call(ctx, CancelGoalRequest { goal_info });
    }
}

impl<N: Node> Setup<N> {
    /// Declares an action server. `on_goal` receives each goal, which is accepted unless it calls [`GoalHandle::reject`]; `on_cancel` is told that a client
    /// wants a goal called off: the node then ends it with [`GoalHandle::canceled`].
    ///
    /// # Errors
    /// As [`Setup::service`].
    pub fn action_server<A: Action>(
        &mut self,
        name: &str,
        on_goal: impl FnMut(&mut N, &mut Context, GoalHandle<A>) -> HandlerResult + Send + 'static,
        mut on_cancel: impl FnMut(&mut N, &mut Context, GoalId) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        self.action_server_deciding(name, on_goal, move |node, ctx, id| on_cancel(node, ctx, id).map(|()| CancelAnswer::Accept))
    }

    /// As [`Setup::action_server`], for a server that does not let every goal be called off: `on_cancel` says whether it does. One that fails
    /// has not agreed.
    ///
    /// # Errors
    /// As [`Setup::service`].
    pub fn action_server_deciding<A: Action>(
        &mut self,
        name: &str,
        mut on_goal: impl FnMut(&mut N, &mut Context, GoalHandle<A>) -> HandlerResult + Send + 'static,
        mut on_cancel: impl FnMut(&mut N, &mut Context, GoalId) -> Result<CancelAnswer, NodeError> + Send + 'static,
    ) -> Result<(), SetupError> {
        self.types.add(A::action_type().name);
        let ports = Ports::<A> {
            served: Arc::new(Mutex::new(Served { goals: BTreeMap::new(), order: Vec::new() })),
            feedback: self.publisher(&format!("{name}/_action/feedback"), Qos::reliable(10))?,
            status: self.publisher(&format!("{name}/_action/status"), Qos::latched(1))?,
        };
        self.keep(frozen::Server(Arc::clone(&ports.served)));
        let goals = ports.clone();
        self.service_deferred::<A::SendGoal>(&format!("{name}/_action/send_goal"), move |node, ctx, request, responder| {
            let (uuid, goal) = A::split_send_goal_request(request);
            let id = GoalId::from_msg(&uuid);
            let accepted_at = ctx.now();
            let known = goals.served.lock().goals.contains_key(&id);
            if known {
                responder.respond(ctx, A::send_goal_response(false, accepted_at.to_msg()));
                return Ok(());
            }
            {
                let mut served = goals.served.lock();
                served.goals.insert(
                    id,
                    ServedGoal { accepted_at, status: GoalStatus::STATUS_EXECUTING, result: None, waiting: Vec::new() },
                );
                served.order.push(id);
                served.forget_old();
            }
            let handle = GoalHandle {
                id,
                goal: Arc::new(goal),
                ports: goals.clone(),
                rejected: Arc::new(Mutex::new(false)),
                hold: Arc::new(Hold { id, served: Arc::clone(&goals.served) }),
            };
            let rejected = Arc::clone(&handle.rejected);
            let result = on_goal(node, ctx, handle);
            let accepted = !*rejected.lock() && result.is_ok();
            if !accepted {
                let mut served = goals.served.lock();
                served.goals.remove(&id);
                served.order.retain(|other| *other != id);
            }
            responder.respond(ctx, A::send_goal_response(accepted, accepted_at.to_msg()));
            if accepted {
                let report = goals.served.lock().status();
                goals.status.publish_always(ctx, report);
            }
            result
        })?;
        let results = ports.clone();
        self.service_deferred::<A::GetResult>(&format!("{name}/_action/get_result"), move |_, ctx, request, responder| {
            let id = GoalId::from_msg(&A::split_get_result_request(request));
            let ready = {
                let mut served = results.served.lock();
                match served.goals.get_mut(&id) {
                    None => (GoalStatus::STATUS_UNKNOWN, A::Result::default()),
                    Some(goal) => match &goal.result {
                        Some(result) => (goal.status, result.clone()),
                        None => {
                            goal.waiting.push(responder);
                            return Ok(());
                        }
                    },
                }
            };
            responder.respond(ctx, A::get_result_response(ready.0, ready.1));
            Ok(())
        })?;
        self.service_deferred::<CancelGoal>(&format!("{name}/_action/cancel_goal"), move |node, ctx, request, responder| {
            let asked = GoalId::from_msg(&request.goal_info.goal_id);
            let known = ports.served.lock().goals.contains_key(&asked);
            let candidates = ports.served.lock().calling_off(asked, Time::from_msg(&request.goal_info.stamp));
            let (none, mut canceling, mut complaint) = (candidates.is_empty(), Vec::new(), Ok(()));
            for (id, goal_info, before) in candidates {
                let answer = on_cancel(node, ctx, id);
                if answer.as_ref().is_ok_and(|answer| *answer == CancelAnswer::Accept) {
                    canceling.push(goal_info);
                    continue;
                }
                if let Some(goal) = ports.served.lock().goals.get_mut(&id).filter(|goal| goal.result.is_none()) {
                    goal.status = before;
                }
                complaint = complaint.and(answer.map(drop));
            }
            let return_code = match (none, asked != GoalId::default(), known) {
                (true, true, true) => CancelGoalResponse::ERROR_GOAL_TERMINATED,
                (true, true, false) => CancelGoalResponse::ERROR_UNKNOWN_GOAL_ID,
                (false, ..) if canceling.is_empty() => CancelGoalResponse::ERROR_REJECTED,
                _ => CancelGoalResponse::ERROR_NONE,
            };
            // Those that have ended by now were reported when they did.
            let report = {
                let served = ports.served.lock();
                let going = |info: &GoalInfo| {
                    let goal = served.goals.get(&GoalId::from_msg(&info.goal_id));
                    goal.is_some_and(|goal| goal.status == GoalStatus::STATUS_CANCELING)
                };
                canceling.iter().any(going).then(|| served.status())
            };
            responder.respond(ctx, CancelGoalResponse { return_code, goals_canceling: canceling });
            if let Some(report) = report {
                ports.status.publish_always(ctx, report);
            }
            complaint
        })
    }

    /// Declares an action client.
    ///
    /// # Errors
    /// As [`Setup::client`].
    pub fn action_client<A: Action>(
        &mut self,
        name: &str,
        mut on_feedback: impl FnMut(&mut N, &mut Context, GoalId, A::Feedback) -> HandlerResult + Send + 'static,
        on_done: impl FnMut(&mut N, &mut Context, GoalId, Outcome<A>) -> HandlerResult + Send + 'static,
    ) -> Result<ActionClient<A>, SetupError> {
        self.types.add(A::action_type().name);
        let sent = Arc::new(Mutex::new(Sent::default()));
        self.keep(frozen::Client(Arc::clone(&sent)));
        let on_done = Arc::new(Mutex::new(on_done));

        let (shared, done) = (Arc::clone(&sent), Arc::clone(&on_done));
        let results = self.client::<A::GetResult>(&format!("{name}/_action/get_result"), move |node, ctx, call, result| {
            let Some(id) = shared.lock().waiting.remove(&call) else { return Ok(()) };
            shared.lock().open.remove(&id);
            let outcome = match result {
                Ok(response) => match A::split_get_result_response(response) {
                    (GoalStatus::STATUS_SUCCEEDED, result) => Outcome::Succeeded(result),
                    (GoalStatus::STATUS_CANCELED, result) => Outcome::Canceled(result),
                    (GoalStatus::STATUS_ABORTED, result) => Outcome::Aborted(result),
                    (status, _) => Outcome::Unavailable(format!("the server forgot the goal (status {status})")),
                },
                Err(error) => Outcome::Unavailable(error.to_string()),
            };
            (done.lock())(node, ctx, id, outcome)
        })?;

        let (shared, done) = (Arc::clone(&sent), on_done);
        let send = self.client::<A::SendGoal>(&format!("{name}/_action/send_goal"), move |node, ctx, call, result| {
            let Some(id) = shared.lock().sending.remove(&call) else { return Ok(()) };
            let refused = match result.map(A::split_send_goal_response) {
                Ok((true, _)) => {
                    let call = results.call(ctx, A::get_result_request(id.to_msg()));
                    shared.lock().waiting.insert(call, id);
                    return Ok(());
                }
                Ok((false, _)) => Outcome::Rejected,
                Err(error) => Outcome::Unavailable(error.to_string()),
            };
            shared.lock().open.remove(&id);
            (done.lock())(node, ctx, id, refused)
        })?;

        let cancel = self.client::<CancelGoal>(&format!("{name}/_action/cancel_goal"), |_, _, _, _| Ok(()))?;

        let shared = Arc::clone(&sent);
        self.subscribe::<A::FeedbackMessage>(
            &format!("{name}/_action/feedback"),
            Qos::reliable(10),
            move |node, ctx, message| {
                let (uuid, feedback) = A::split_feedback_message((*message).clone());
                let id = GoalId::from_msg(&uuid);
                if shared.lock().open.contains(&id) { on_feedback(node, ctx, id, feedback) } else { Ok(()) }
            },
        )?;
        Ok(ActionClient { send, cancel, sent })
    }
}
