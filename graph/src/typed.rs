//! A node as the graph runs it, whatever its type: set up, then one handler at a time.

use std::sync::Arc;

use crate::context::Context;
use crate::diagnostics::Level;
use crate::error::{HandlerResult, NodeError, SetupError};
use crate::lifecycle::Driver;
use crate::logger;
use crate::node::{Handler, Node, Setup};
use crate::param;
use crate::shared::Shared;
use crate::slot::{Event, Runtime, Slot};
use crate::snapshot::{FreezeError, Part};

struct Typed<N> {
    node: N,
    life: Option<Arc<Driver<N>>>,
    handlers: Vec<Handler<N>>,
    parts: Vec<Box<dyn Part>>,
}

impl<N: Node> Runtime for Typed<N> {
    fn dispatch(&mut self, port: usize, event: Event, ctx: &mut Context) -> HandlerResult {
        let result = match self.handlers.get_mut(port) {
            Some(handler) => handler(&mut self.node, ctx, event),
            None => Ok(()),
        };
        if let Some(life) = &self.life {
            life.follow(&mut self.node, ctx);
        }
        result
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        param::announce(ctx);
        let started = self.node.start(ctx);
        // An error of `start` is a complaint and no end: the node is brought up all the same.
        if let Some(life) = &self.life {
            life.start(&mut self.node, ctx);
        }
        started
    }
    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        let shut_down = self.life.as_ref().map_or(Ok(()), |life| life.stop(&mut self.node, ctx));
        self.node.stop(ctx).and(shut_down)
    }
    fn freeze(&self) -> Result<(Vec<Vec<u8>>, Vec<u8>), FreezeError> {
        let state = self.node.freeze()?;
        Ok((self.parts.iter().map(|part| part.freeze()).collect::<Result<_, _>>()?, state))
    }
    fn thaw(&mut self, ctx: &mut Context, parts: &[&[u8]], state: &[u8]) -> HandlerResult {
        if parts.len() != self.parts.len() {
            return Err(NodeError::new(format!("it has {} parts besides its own state, not {}", self.parts.len(), parts.len())));
        }
        self.parts.iter().zip(parts).try_for_each(|(part, state)| part.thaw(state))?;
        self.node.thaw(ctx, state)
    }
}

/// Sets up an `N` in `slot`.
pub(crate) fn build<N: Node>(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Result<Box<dyn Runtime>, SetupError> {
    if let Some(wire) = &shared.transport {
        let token = wire.node(&slot.identity)?;
        slot.tokens.lock().push(token);
    }
    let mut setup = Setup::<N>::new(shared, slot);
    logger::open(&mut setup)?;
    crate::sim_time::declare_use_sim_time(&mut setup)?;
    let node = N::setup(&mut setup)?;
    crate::sim_time::listen(&mut setup)?;
    param::declare(&mut setup)?;
    logger::declare_services(&mut setup)?;
    if slot.spec.autostart && setup.life.is_none() {
        setup.warn("autostart is for nodes with a managed life cycle; this one is at work anyway");
    }
    crate::type_description::declare(&mut setup)?;
    for complaint in setup.resolver.complaints() {
        setup.warn(&complaint);
        slot.statuses.lock().insert("remap".into(), (Level::Warn, complaint));
    }
    Ok(Box::new(Typed { node, life: setup.life, handlers: setup.handlers, parts: setup.parts }))
}
