//! What a node can know of the graph around it, in this process and in others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgs::Service;

use crate::Qos;
use crate::context::Context;
use crate::error::{HandlerResult, SetupError};
use crate::node::{Node, Setup};
use crate::remote::ServiceWatch;
use crate::shared::Shared;
use crate::slot::Event;
use crate::transport::EndpointKind;

/// By fully qualified name: the types in use, sorted; more than one is a mistake.
pub type NamesAndTypes = BTreeMap<String, BTreeSet<String>>;

impl Shared {
    /// What all ends of one kind on a topic offer or request, here and elsewhere.
    fn qos_of(&self, kind: EndpointKind, name: &str) -> Vec<Qos> {
        let mut found: Vec<Qos> = self.remote.lock().of(kind, name).map(|end| end.qos).collect();
        let topic = self.topics.read().get(name).cloned();
        if let Some(topic) = topic {
            let ends = topic.ends.read();
            match kind {
                EndpointKind::Publisher => found.extend(ends.publishers.iter().map(|end| end.qos)),
                EndpointKind::Subscription => found.extend(ends.subscribers.iter().map(|end| end.qos)),
                EndpointKind::Service | EndpointKind::Client => {}
            }
        }
        found
    }
}

impl Context {
    /// A name as seen from this node; remappings do not apply.
    fn full(&self, name: &str) -> String {
        if name.starts_with('/') {
            return name.to_owned();
        }
        if let Some(private) = name.strip_prefix("~/") {
            return format!("{}/{private}", self.slot.name);
        }
        format!("{}/{name}", self.slot.identity.namespace.trim_end_matches('/'))
    }

    /// How many publishers a topic has, in this process and in others, whatever their type and quality of service.
    pub fn count_publishers(&self, topic: &str) -> usize {
        self.shared.qos_of(EndpointKind::Publisher, &self.full(topic)).len()
    }

    /// How many subscriptions a topic has, in this process and in others, whatever their type and quality of service.
    pub fn count_subscribers(&self, topic: &str) -> usize {
        self.shared.qos_of(EndpointKind::Subscription, &self.full(topic)).len()
    }

    /// Whether somebody serves a service of this type.
    pub fn service_is_available<S: Service>(&self, name: &str) -> bool {
        self.shared.is_served(&self.full(name), S::service_type().hash)
    }

    /// All topics that somebody publishes or subscribes to.
    pub fn topics(&self) -> NamesAndTypes {
        let mut found = NamesAndTypes::new();
        for (name, topic) in self.shared.topics.read().iter() {
            let ends = topic.ends.read();
            if !ends.publishers.is_empty() || !ends.subscribers.is_empty() {
                found.entry(name.clone()).or_default().insert(topic.message_type.name.to_owned());
            }
        }
        self.add_remote(&mut found, [EndpointKind::Publisher, EndpointKind::Subscription]);
        found
    }

    /// All services that somebody serves or calls.
    pub fn services(&self) -> NamesAndTypes {
        let mut found = NamesAndTypes::new();
        for (name, entry) in self.shared.services.read().iter() {
            found.entry(name.clone()).or_default().insert(entry.service_type.name.to_owned());
        }
        self.add_remote(&mut found, [EndpointKind::Service, EndpointKind::Client]);
        found
    }

    fn add_remote(&self, found: &mut NamesAndTypes, kinds: [EndpointKind; 2]) {
        for end in self.shared.remote.lock().all().filter(|end| kinds.contains(&end.kind)) {
            found.entry(end.name.clone()).or_default().insert(end.type_name.clone());
        }
    }

    /// Fully qualified names of all nodes, sorted; one that occurs twice is a mistake.
    pub fn nodes(&self) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = self.shared.slots.read().iter().map(|slot| Arc::clone(&slot.name)).collect();
        for (name, count) in self.shared.remote.lock().nodes() {
            found.extend(std::iter::repeat_n(Arc::clone(name), count));
        }
        found.sort();
        found
    }
}

impl<N: Node> Setup<N> {
    /// What the publishers of a topic offer as known now, for [`Qos::best_available_subscription`].
    ///
    /// # Errors
    /// A forbidden name.
    pub fn offered(&mut self, topic: &str) -> Result<Vec<Qos>, SetupError> {
        let name = self.resolver.resolve(topic)?;
        Ok(self.shared.qos_of(EndpointKind::Publisher, &name))
    }

    /// What the subscriptions of a topic request as known now, for [`Qos::best_available_publisher`].
    ///
    /// # Errors
    /// A forbidden name.
    pub fn requested(&mut self, topic: &str) -> Result<Vec<Qos>, SetupError> {
        let name = self.resolver.resolve(topic)?;
        Ok(self.shared.qos_of(EndpointKind::Subscription, &name))
    }

    /// Calls `handler` when a service becomes available or ceases to be; the first time at the node's start if it is there already.
    ///
    /// # Errors
    /// A forbidden name.
    pub fn on_service<S: Service>(
        &mut self,
        name: &str,
        mut handler: impl FnMut(&mut N, &mut Context, bool) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        let name = self.resolver.resolve_service(name)?;
        let port = self.port(
            1000,
            Box::new(move |node, ctx, event| match event {
                Event::Served(available) => handler(node, ctx, available),
                _ => Ok(()),
            }),
        );
        self.shared.service_watches.lock().push(ServiceWatch {
            name: name.clone(),
            hash: S::service_type().hash,
            slot: Arc::clone(&self.slot),
            port,
            generation: self.slot.generation(),
            available: false,
        });
        self.shared.service_changed(&name);
        Ok(())
    }
}
