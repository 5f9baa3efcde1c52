//! Publishing.

use std::sync::Arc;
use std::time::Instant;

use msgs::Message;

use crate::context::{Context, Output};
use crate::loan::Loan;
use crate::recycle::{Outgoing, Stock};
use crate::topic::PublisherCore;

/// Publishes a topic.
pub struct Publisher<M> {
    pub(crate) core: Arc<PublisherCore>,
    pub(crate) stock: Option<Arc<Stock<M>>>,
    /// Whether a node's life does not mute it.
    pub(crate) unmanaged: bool,
}

impl<M> Clone for Publisher<M> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), stock: self.stock.clone(), unmanaged: self.unmanaged }
    }
}

impl<M: Message> Publisher<M> {
    /// Publishes `message`, an `M` or an `Arc<M>`. Subscribers in this process share it.
    pub fn publish(&self, ctx: &mut Context, message: impl Outgoing<M>) {
        if !self.unmanaged && self.core.slot.life.mutes() {
            ctx.say_muted(&self.core.topic.name);
            return;
        }
        self.publish_always(ctx, message);
    }

    /// The same, for publishing while a managed node is not active too, as what `rclcpp::create_publisher` makes for a helper (a
    /// tf2_ros::TransformBroadcaster) of a LifecycleNode does.
    #[must_use]
    pub fn in_every_state(mut self) -> Self {
        self.unmanaged = true;
        self
    }

    /// As [`Publisher::publish`], for what the library itself says: also while a managed node is not active.
    pub(crate) fn publish_always(&self, ctx: &mut Context, message: impl Outgoing<M>) {
        let stamp = ctx.now();
        let message = message.share(self.stock.as_deref());
        ctx.emit(Output::Publish { core: Arc::clone(&self.core), message, stamp, published: Instant::now() });
    }

    /// Room for `length` bytes of a message, where listeners on this host can read them: filled and made the message's bytes
    /// ([`Loan::freeze`]), they are not copied on their way. Without such listeners, or room, it is memory like any other. What it holds
    /// before it is filled is not told.
    pub fn loan(&self, length: usize) -> Loan {
        Loan::new(self.core.remote.as_ref().and_then(|remote| remote.loan(length)), length)
    }

    /// Says that the publisher is alive, for those who requested manual liveliness; publishing says so too.
    pub fn assert_liveliness(&self, ctx: &mut Context) {
        ctx.emit(Output::Assert { core: Arc::clone(&self.core) });
    }

    /// How many subscriptions hear it, here and in other processes.
    pub fn count_subscribers(&self) -> usize {
        self.core.end.matched()
    }

    pub(crate) fn core(&self) -> &Arc<PublisherCore> {
        &self.core
    }

    /// The fully qualified topic.
    pub fn topic(&self) -> &str {
        &self.core.topic.name
    }
}
