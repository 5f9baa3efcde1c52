//! Telling where frames are. As tf2_ros's, a managed node's broadcasters speak in every state of its life.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Context, Node, Publisher, Qos, Setup, SetupError};
use msgs::geometry_msgs::msg::TransformStamped;
use msgs::tf2_msgs::msg::TFMessage;
use parking_lot::Mutex;

use crate::kept::Told;

/// By child frame.
pub(crate) type Frames = Arc<Mutex<BTreeMap<String, TransformStamped>>>;

/// Tells frames that move, on /tf.
pub struct Broadcaster(Publisher<TFMessage>);

impl Broadcaster {
    /// Declares the publisher (tf2_ros: DynamicBroadcasterQoS).
    ///
    /// # Errors
    /// As [`Setup::publisher`].
    pub fn declare<N: Node>(setup: &mut Setup<N>) -> Result<Self, SetupError> {
        Ok(Self(setup.publisher("/tf", Qos::reliable(100))?.in_every_state()))
    }

    /// Tells where the frames are.
    pub fn send(&self, ctx: &mut Context, transforms: Vec<TransformStamped>) {
        self.0.publish(ctx, TFMessage { transforms });
    }
}

/// Tells frames that never move, on /tf_static. Who joins late hears all of them: each message repeats what was told before.
pub struct StaticBroadcaster {
    publisher: Publisher<TFMessage>,
    told: Frames,
}

impl StaticBroadcaster {
    /// Declares the publisher (tf2_ros: StaticBroadcasterQoS, transient local).
    ///
    /// # Errors
    /// As [`Setup::publisher`].
    pub fn declare<N: Node>(setup: &mut Setup<N>) -> Result<Self, SetupError> {
        let told = Frames::default();
        setup.keep(Told(Arc::clone(&told)));
        Ok(Self { publisher: setup.publisher("/tf_static", Qos::latched(1))?.in_every_state(), told })
    }

    /// Tells where the frames are; a frame that was told before is moved.
    pub fn send(&mut self, ctx: &mut Context, transforms: Vec<TransformStamped>) {
        let mut told = self.told.lock();
        told.extend(transforms.into_iter().map(|transform| (transform.child_frame_id.clone(), transform)));
        self.publisher.publish(ctx, TFMessage { transforms: told.values().cloned().collect() });
    }
}
