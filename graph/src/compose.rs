//! Nodes that come and go while the graph runs.
//!
//! A change is asked for from a handler ([`Context::add_node`]) or from any thread ([`GraphHandle`]) and made by the graph: in lock-step
//! between two steps, in the order in which the nodes asked; in free-running mode as soon as nothing else is being set up.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::container::Loaded;
use crate::context::{Context, Output};
use crate::error::SetupError;
use crate::graph::{NodeFactory, NodeSpec};
use crate::runner;
use crate::shared::Shared;
use crate::slot::{NodeState, Slot};
use crate::transport::NodeIdentity;

/// The node types that may be loaded by name while a graph runs.
pub type Catalogue = fn() -> Vec<NodeFactory>;

/// A node that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRef {
    /// Unique in this process, and never used again.
    pub id: u64,
    /// Fully qualified name.
    pub name: Arc<str>,
}

/// Why a graph was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The node cannot be set up; the graph is as before.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It is gone already, or never was.
    #[error("there is no node `{0}`")]
    NoSuchNode(String),
    /// Without it the graph could not report on itself.
    #[error("node `{0}` is the graph's own and stays")]
    OwnNode(String),
    /// Nothing runs any more.
    #[error("the graph has ended")]
    Ended,
}

/// Told how a change went, once, on a thread of the graph.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, ChangeError>) + Send>;

/// What was asked for.
pub(crate) enum Change {
    Add { factory: NodeFactory, spec: Box<NodeSpec>, done: Done<NodeRef> },
    Remove { node: NodeRef, done: Done<()> },
}

impl Change {
    fn refuse(self) {
        match self {
            Self::Add { done, .. } => done(Err(ChangeError::Ended)),
            Self::Remove { done, .. } => done(Err(ChangeError::Ended)),
        }
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Change>,
    ended: bool,
}

/// What a graph knows about its own make-up.
#[derive(Default)]
pub(crate) struct Composition {
    /// Namespace of every node, without slashes around it; may be empty.
    pub robot: String,
    pub catalogue: Option<Catalogue>,
    /// What containers have loaded, by the container's identity.
    loaded: Mutex<BTreeMap<u64, Arc<Mutex<Loaded>>>>,
    queue: Mutex<Queue>,
    more: Condvar,
}

impl Composition {
    pub fn new(robot: String, catalogue: Option<Catalogue>) -> Self {
        Self { robot, catalogue, ..Self::default() }
    }

    /// What the container `id` has loaded in all its lives.
    pub fn loaded_by(&self, id: u64) -> Arc<Mutex<Loaded>> {
        Arc::clone(self.loaded.lock().entry(id).or_default())
    }

    pub fn ask(&self, change: Change) {
        let mut queue = self.queue.lock();
        if queue.ended {
            drop(queue);
            change.refuse();
            return;
        }
        queue.waiting.push_back(change);
        drop(queue);
        self.more.notify_all();
    }

    /// Whether nothing is asked for.
    pub fn is_idle(&self) -> bool {
        self.queue.lock().waiting.is_empty()
    }

    /// Waits until a change is asked for, at most `patience`.
    pub fn wait(&self, patience: Duration) {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            self.more.wait_for(&mut queue, patience);
        }
    }

    /// Refuses what waits and what comes.
    pub fn end(&self) {
        let left = {
            let mut queue = self.queue.lock();
            queue.ended = true;
            std::mem::take(&mut queue.waiting)
        };
        left.into_iter().for_each(Change::refuse);
    }
}

/// A running graph, from any thread. It does not keep the graph alive.
#[derive(Clone)]
pub struct GraphHandle(Weak<Shared>);

impl GraphHandle {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Asks for a new node. `done` is called once, on a thread of the graph, with the node or the reason why there is none; then the graph is
    /// as before. A node whose set-up panics is refused like any other.
    pub fn add(&self, factory: NodeFactory, spec: NodeSpec, done: impl FnOnce(Result<NodeRef, ChangeError>) + Send + 'static) {
        self.ask(Change::Add { factory, spec: Box::new(spec), done: Box::new(done) });
    }

    /// Asks for the end of a node: it is stopped in order, and all that it declared is taken back.
    pub fn remove(&self, node: &NodeRef, done: impl FnOnce(Result<(), ChangeError>) + Send + 'static) {
        self.ask(Change::Remove { node: node.clone(), done: Box::new(done) });
    }

    /// The nodes that the graph has now, in the order in which they were added. The first is the graph's own.
    pub fn nodes(&self) -> Vec<NodeRef> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let slots = shared.slots.read();
        slots.iter().map(|slot| node_ref(slot)).collect()
    }

    fn ask(&self, change: Change) {
        match self.0.upgrade() {
            Some(shared) => shared.composition.ask(change),
            None => change.refuse(),
        }
    }
}

impl Context {
    /// Asks for a new node, as [`GraphHandle::add`]. To go on when it is there, send from `done` through an [`crate::Injector`].
    pub fn add_node(
        &mut self,
        factory: NodeFactory,
        spec: NodeSpec,
        done: impl FnOnce(Result<NodeRef, ChangeError>) + Send + 'static,
    ) {
        self.emit(Output::Change(Change::Add { factory, spec: Box::new(spec), done: Box::new(done) }));
    }

    /// Asks for the end of a node, as [`GraphHandle::remove`]. A node may ask for its own.
    pub fn remove_node(&mut self, node: &NodeRef, done: impl FnOnce(Result<(), ChangeError>) + Send + 'static) {
        self.emit(Output::Change(Change::Remove { node: node.clone(), done: Box::new(done) }));
    }

    /// The node types that may be loaded by name; empty if the graph was given none.
    pub fn node_types(&self) -> Vec<NodeFactory> {
        self.shared.composition.catalogue.map_or_else(Vec::new, |catalogue| catalogue())
    }
}

fn node_ref(slot: &Slot) -> NodeRef {
    NodeRef { id: slot.identity.id, name: Arc::clone(&slot.name) }
}

/// Sets up a node; it waits for its `start`.
pub(crate) fn set_up(shared: &Arc<Shared>, factory: NodeFactory, spec: NodeSpec) -> Result<Arc<Slot>, SetupError> {
    let base = spec.name.clone().unwrap_or_else(|| factory.name.to_owned());
    let mut namespace = String::new();
    let own = spec.namespace.as_deref().unwrap_or("");
    // One with a slash in front stands for itself.
    let robot = if own.starts_with('/') { "" } else { shared.composition.robot.as_str() };
    for part in [robot, own] {
        let part = part.trim_matches('/');
        if !part.is_empty() {
            namespace.push('/');
            namespace.push_str(part);
        }
    }
    if base.contains('/') {
        return Err(SetupError::InvalidName { name: base, reason: "a node's name has no slash; a namespace may" });
    }
    let full = format!("{namespace}/{base}");
    crate::name::check(&full)?;
    if namespace.is_empty() {
        namespace.push('/');
    }
    let mut slots = shared.slots.write();
    if slots.iter().any(|slot| *slot.name == *full) {
        return Err(SetupError::DuplicateNode(full));
    }
    let identity = NodeIdentity { namespace, name: base, id: shared.id() };
    let slot = Arc::new(Slot::new(identity, Arc::from(full), spec, factory, shared));
    slots.push(Arc::clone(&slot));
    drop(slots);
    if let Err(error) = slot.bring_up(shared) {
        shared.slots.write().retain(|other| !Arc::ptr_eq(other, &slot));
        tidy(shared, &slot);
        return Err(error);
    }
    Ok(slot)
}

/// Makes the changes that were asked for. Called where nothing else is set up: between steps, or on the thread that restarts nodes.
pub(crate) fn apply(shared: &Arc<Shared>) {
    loop {
        let Some(change) = shared.composition.queue.lock().waiting.pop_front() else { return };
        match change {
            Change::Add { factory, spec, done } => {
                let result = set_up(shared, factory, *spec).map(|slot| {
                    begin(shared, &slot);
                    node_ref(&slot)
                });
                tell(done, result.map_err(ChangeError::from));
            }
            Change::Remove { node, done } => tell(done, take_out(shared, &node)),
        }
    }
}

/// A panic of what somebody else wrote must not end a thread of the graph.
fn tell<T>(done: Done<T>, result: Result<T, ChangeError>) {
    // Its words went to the panic hook; the graph has nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
}

fn begin(shared: &Arc<Shared>, slot: &Arc<Slot>) {
    for output in runner::start(shared, slot) {
        shared.perform(slot, output);
    }
    // What came while it was set up has waited for its `start`.
    if slot.is_ready() {
        shared.wake(slot);
    }
}

fn take_out(shared: &Arc<Shared>, node: &NodeRef) -> Result<(), ChangeError> {
    let slot = {
        let slots = shared.slots.read();
        let found = slots.iter().position(|slot| slot.identity.id == node.id);
        match found {
            None => return Err(ChangeError::NoSuchNode(node.name.to_string())),
            Some(0) => return Err(ChangeError::OwnNode(node.name.to_string())),
            Some(index) => Arc::clone(&slots[index]),
        }
    };
    for output in runner::stop(shared, &slot) {
        shared.perform(&slot, output);
    }
    {
        let mut supervision = slot.supervision.lock();
        supervision.state = NodeState::Stopped;
        supervision.restart_at = None;
    }
    shared.unregister(&slot);
    slot.reset();
    shared.slots.write().retain(|other| !Arc::ptr_eq(other, &slot));
    tidy(shared, &slot);
    Ok(())
}

/// Forgets what was kept about a node that is gone, and the topics that nobody has any more.
fn tidy(shared: &Shared, slot: &Slot) {
    shared.composition.loaded.lock().remove(&slot.identity.id);
    shared.topics.write().retain(|_, topic| {
        let ends = topic.ends.read();
        ends.subscribers.iter().for_each(|subscriber| subscriber.forget(&slot.name));
        // One that the graph itself listens to for its taps is held by that subscription too.
        !(ends.publishers.is_empty() && ends.subscribers.is_empty()) || Arc::strong_count(topic) > 1
    });
}
