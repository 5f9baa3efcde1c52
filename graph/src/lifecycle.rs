//! Managed nodes: nodes that others configure, activate, deactivate, clean up and shut down (ROS 2 design, "Managed nodes"; rclcpp_lifecycle).

mod machine;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use msgs::lifecycle_msgs::msg::TransitionEvent;
use msgs::lifecycle_msgs::srv;
use parking_lot::Mutex;

use crate::Qos;
use crate::context::Context;
use crate::diagnostics::Level;
use crate::error::{HandlerResult, NodeError, SetupError};
use crate::logger::Severity;
use crate::node::{Node, Setup};
use crate::publisher::Publisher;

pub use machine::LifeState;
use machine::{Ending, Transition};

/// Why a transition did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransitionError {
    /// Not now: the node goes back to where it was (rclcpp: `CallbackReturn::FAILURE`).
    Refused(String),
    /// Something broke: [`Managed::on_error`] has to deal with it (rclcpp: `CallbackReturn::ERROR`, or an exception). Any error that a handler
    /// passes on with `?` becomes one.
    Broken(String),
}

impl fmt::Display for TransitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Broken(reason) => write!(f, "failed: {reason}"),
        }
    }
}

impl<E: std::error::Error> From<E> for TransitionError {
    fn from(error: E) -> Self {
        Self::Broken(NodeError::from(error).to_string())
    }
}

impl From<NodeError> for TransitionError {
    fn from(error: NodeError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// What a transition's handler returns.
pub type TransitionResult = Result<(), TransitionError>;

/// A node whose life others manage; [`Setup::managed`] makes it so. Its ports and parameters are declared in its set-up as ever.
///
/// As with rclcpp's `LifecyclePublisher`, what it publishes before it is activated and after it is deactivated goes nowhere, with a warning at the
/// first time; its subscriptions, timers and services are called in every state ([`Context::is_active`] tells them).
pub trait Managed: Node {
    /// Unconfigured to inactive: loads, allocates, connects.
    ///
    /// # Errors
    /// As all of them: see [`TransitionError`].
    fn on_configure(&mut self, _ctx: &mut Context) -> TransitionResult {
        Ok(())
    }

    /// Inactive to active; it may publish already.
    ///
    /// # Errors
    /// See [`TransitionError`].
    fn on_activate(&mut self, _ctx: &mut Context) -> TransitionResult {
        Ok(())
    }

    /// Active to inactive; it may publish still.
    ///
    /// # Errors
    /// See [`TransitionError`].
    fn on_deactivate(&mut self, _ctx: &mut Context) -> TransitionResult {
        Ok(())
    }

    /// Inactive to unconfigured: undoes what `on_configure` did.
    ///
    /// # Errors
    /// See [`TransitionError`].
    fn on_cleanup(&mut self, _ctx: &mut Context) -> TransitionResult {
        Ok(())
    }

    /// Any primary state to finalized, also when the graph stops.
    ///
    /// # Errors
    /// See [`TransitionError`]; one that is refused is finalized all the same.
    fn on_shutdown(&mut self, _ctx: &mut Context) -> TransitionResult {
        Ok(())
    }

    /// After something broke: `Ok` if the node is as good as new and unconfigured, else it is finalized, as it is by default.
    ///
    /// # Errors
    /// See [`TransitionError`].
    fn on_error(&mut self, _ctx: &mut Context) -> TransitionResult {
        Err(TransitionError::Refused("the node does not recover from errors".into()))
    }
}

/// The state of a node's life, where everybody can see it.
#[derive(Default)]
pub(crate) struct Life {
    /// [`LifeState::Unknown`]: the node is not managed.
    state: AtomicU8,
    /// Topics on which it tried to publish while it was not active.
    told: Mutex<BTreeSet<Arc<str>>>,
    /// What the node itself asked for.
    asked: Mutex<VecDeque<LifeChange>>,
}

impl Life {
    fn state(&self) -> LifeState {
        LifeState::from_code(self.state.load(Ordering::Acquire))
    }

    fn enter(&self, state: LifeState) {
        self.state.store(state.code(), Ordering::Release);
    }

    /// Ends a life.
    pub fn reset(&self) {
        self.enter(LifeState::Unknown);
        self.told.lock().clear();
        self.asked.lock().clear();
    }

    /// Whether others manage it.
    pub fn is_managed(&self) -> bool {
        self.state() != LifeState::Unknown
    }

    /// Whether what the node publishes goes nowhere.
    pub fn mutes(&self) -> bool {
        use LifeState::{Activating, Active, Deactivating, Unknown};
        // The common case of nodes that are not managed is one comparison.
        let code = self.state.load(Ordering::Relaxed);
        code != Unknown.code() && !matches!(LifeState::from_code(code), Active | Activating | Deactivating)
    }
}

impl Context {
    /// Whether the node is at work: always, unless its life is managed.
    pub fn is_active(&self) -> bool {
        matches!(self.slot.life.state(), LifeState::Active | LifeState::Unknown)
    }

    /// Where a managed node stands; `None` for others.
    pub fn life_state(&self) -> Option<LifeState> {
        Some(self.slot.life.state()).filter(|state| *state != LifeState::Unknown)
    }

    /// A message was not published; said once until the node is activated again, as rclcpp does.
    pub(crate) fn say_muted(&mut self, topic: &Arc<str>) {
        if self.slot.life.told.lock().insert(Arc::clone(topic)) {
            let state = self.slot.life.state().label();
            self.log(Severity::Warn, &format!("a message on `{topic}` was not published: the node is {state}, not active"));
        }
    }
}

/// A transition that a node can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeChange {
    /// Unconfigured to inactive.
    Configure,
    /// Inactive to active.
    Activate,
    /// Active to inactive.
    Deactivate,
    /// Inactive to unconfigured.
    Cleanup,
    /// To finalized.
    Shutdown,
}

impl LifeChange {
    fn label(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Cleanup => "cleanup",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Context {
    /// Asks for a transition of this node (rclcpp: `trigger_transition`). It is made right after the handler; what stands against it is logged.
    pub fn change_life(&mut self, change: LifeChange) {
        self.slot.life.asked.lock().push_back(change);
    }
}

type Handler<N> = fn(&mut N, &mut Context) -> TransitionResult;

/// Moves a node from state to state.
pub(crate) struct Driver<N> {
    configure: Handler<N>,
    activate: Handler<N>,
    deactivate: Handler<N>,
    cleanup: Handler<N>,
    shutdown: Handler<N>,
    error: Handler<N>,
    events: Publisher<TransitionEvent>,
}

impl<N: Node> Driver<N> {
    /// Makes a transition with all that follows from it.
    ///
    /// # Errors
    /// Why it could not begin or did not go through.
    fn change(&self, node: &mut N, ctx: &mut Context, id: u8, label: &str) -> Result<(), String> {
        let begin = machine::find(ctx.slot.life.state(), id, label)?;
        self.step(ctx, begin);
        let result = self.handle(node, ctx);
        if let Err(TransitionError::Broken(_)) = &result {
            // errorprocessing
            let handled = self.handle(node, ctx);
            if let Err(why) = handled {
                ctx.log(Severity::Error, &format!("on_error {why}"));
            }
        }
        let state = ctx.slot.life.state();
        let level = if result.is_err() && state == LifeState::Finalized { Level::Error } else { Level::Ok };
        ctx.status(level, "life cycle", state.label());
        if state == LifeState::Active {
            ctx.slot.life.told.lock().clear();
        }
        result.map_err(|why| format!("{} {why}; the node is {}", begin.label, state.label()))
    }

    /// Calls the handler of the present state and takes the way that its result points.
    fn handle(&self, node: &mut N, ctx: &mut Context) -> TransitionResult {
        let state = ctx.slot.life.state();
        let handler = match state {
            LifeState::Configuring => self.configure,
            LifeState::Activating => self.activate,
            LifeState::Deactivating => self.deactivate,
            LifeState::CleaningUp => self.cleanup,
            LifeState::ShuttingDown => self.shutdown,
            LifeState::ErrorProcessing => self.error,
            _ => return Ok(()),
        };
        let result = handler(node, ctx);
        let ending = match &result {
            Ok(()) => Ending::Success,
            Err(TransitionError::Refused(_)) => Ending::Failure,
            Err(TransitionError::Broken(_)) => Ending::Error,
        };
        if let Some(way) = machine::ways(state).find(|way| way.label == ending.label()) {
            self.step(ctx, way);
        }
        result
    }

    fn step(&self, ctx: &mut Context, way: Transition) {
        ctx.slot.life.enter(way.goal);
        // rcl_lifecycle leaves the transition and the time empty; the definition has a meaning for them.
        let event = TransitionEvent {
            timestamp: ctx.now().as_nanos().max(0) as u64,
            transition: way.to_msg(),
            start_state: way.start.to_msg(),
            goal_state: way.goal.to_msg(),
        };
        self.events.publish_always(ctx, event);
    }

    /// Brings the node up, if its specification says so.
    pub fn start(&self, node: &mut N, ctx: &mut Context) {
        if ctx.slot.spec.autostart {
            let changes = [LifeChange::Configure, LifeChange::Activate];
            let up = changes.into_iter().try_for_each(|change| self.change(node, ctx, 0, change.label()));
            if let Err(why) = up {
                ctx.log(Severity::Error, &format!("autostart: {why}"));
            }
        }
        self.follow(node, ctx);
    }

    /// Makes the transitions that the node itself asked for; after one that failed the others make no sense.
    pub fn follow(&self, node: &mut N, ctx: &mut Context) {
        loop {
            let Some(change) = ctx.slot.life.asked.lock().pop_front() else { return };
            if let Err(why) = self.change(node, ctx, 0, change.label()) {
                ctx.log(Severity::Error, &format!("change of life: {why}"));
                ctx.slot.life.asked.lock().clear();
            }
        }
    }

    /// Shuts the node down with its graph.
    pub fn stop(&self, node: &mut N, ctx: &mut Context) -> HandlerResult {
        if ctx.slot.life.state() == LifeState::Finalized {
            return Ok(());
        }
        self.change(node, ctx, 0, LifeChange::Shutdown.label()).map_err(NodeError::new)
    }
}

impl<N: Managed> Setup<N> {
    /// Lets others manage the node's life: it starts unconfigured (unless [`crate::NodeSpec::autostart`]) and has the services `~/change_state`,
    /// `~/get_state`, `~/get_available_states`, `~/get_available_transitions`, `~/get_transition_graph` and the topic `~/transition_event`.
    ///
    /// # Errors
    /// As [`Setup::service`] and [`Setup::publisher`].
    pub fn managed(&mut self) -> Result<(), SetupError> {
        let driver = Arc::new(Driver {
            configure: N::on_configure,
            activate: N::on_activate,
            deactivate: N::on_deactivate,
            cleanup: N::on_cleanup,
            shutdown: N::on_shutdown,
            error: N::on_error,
            events: self.publisher("~/transition_event", Qos::reliable(10))?,
        });
        self.slot.life.enter(LifeState::Unconfigured);
        self.life = Some(Arc::clone(&driver));
        self.service::<srv::ChangeState>("~/change_state", move |node, ctx, request| {
            let done = driver.change(node, ctx, request.transition.id, &request.transition.label);
            if let Err(why) = &done {
                // The answer has no room for a reason.
                ctx.log(Severity::Error, &format!("change_state: {why}"));
            }
            Ok(srv::ChangeStateResponse { success: done.is_ok() })
        })?;
        self.service::<srv::GetState>("~/get_state", |_, ctx, _| {
            Ok(srv::GetStateResponse { current_state: ctx.slot.life.state().to_msg() })
        })?;
        self.service::<srv::GetAvailableStates>("~/get_available_states", |_, _, _| {
            Ok(srv::GetAvailableStatesResponse { available_states: LifeState::ALL.map(LifeState::to_msg).to_vec() })
        })?;
        self.service::<srv::GetAvailableTransitions>("~/get_available_transitions", |_, ctx, _| {
            let ways = machine::ways(ctx.slot.life.state());
            Ok(srv::GetAvailableTransitionsResponse { available_transitions: ways.map(Transition::describe).collect() })
        })?;
        self.service::<srv::GetAvailableTransitions>("~/get_transition_graph", |_, _, _| {
            let all = machine::TRANSITIONS.map(Transition::describe).to_vec();
            Ok(srv::GetAvailableTransitionsResponse { available_transitions: all })
        })
    }
}
