//! Hearing where frames are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::kept::Heard;
use graph::{Context, HandlerResult, JumpThreshold, Level, Node, Qos, Setup, SetupError, Time};
use msgs::tf2_msgs::msg::TFMessage;
use msgs::tf2_msgs::srv::{FrameGraph, FrameGraphResponse};
use parking_lot::Mutex;
use spatial::{Pose3, TfBuffer, TfError, TfErrorKind};

/// How often waits are looked at for their end. A transform that comes is told at once.
const LOOK: Duration = Duration::from_millis(50);

/// A wait for a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(u64);

/// Why a wait ended without a transform.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WaitError {
    /// It did not come in time; why there was none at the end.
    #[error("it did not come in time: {0}")]
    Timeout(TfError),
    /// It will never come: the time lies before all that is remembered.
    #[error("it will never come: {0}")]
    TooOld(TfError),
}

impl WaitError {
    /// As tf2 would call it.
    pub fn kind(&self) -> TfErrorKind {
        match self {
            Self::Timeout(_) => TfErrorKind::Timeout,
            Self::TooOld(error) => error.kind(),
        }
    }
}

pub(crate) struct Wait {
    pub target: String,
    pub source: String,
    pub stamp_ns: i64,
    pub until: Time,
}

#[derive(Default)]
pub(crate) struct State {
    pub buffer: TfBuffer,
    pub waits: BTreeMap<u64, Wait>,
    pub next: u64,
    /// Pairs of frames that were missing or old when they were last asked for.
    pub bad: BTreeMap<(String, String), ()>,
}

type Ended = (WaitId, Result<Pose3, WaitError>);

impl State {
    /// The waits that are over at `now`, in the order in which they began.
    fn ended(&mut self, now: Time) -> Vec<Ended> {
        let buffer = &self.buffer;
        let over: Vec<Ended> = self
            .waits
            .iter()
            .filter_map(|(id, wait)| {
                let result = match buffer.lookup(&wait.target, &wait.source, wait.stamp_ns) {
                    Ok(pose) => Ok(pose),
                    Err(error) if now >= wait.until => Err(WaitError::Timeout(error)),
                    Err(_) => Err(WaitError::TooOld(buffer.never(&wait.target, &wait.source, wait.stamp_ns)?)),
                };
                Some((WaitId(*id), result))
            })
            .collect();
        for (id, _) in &over {
            self.waits.remove(&id.0);
        }
        over
    }
}

/// A buffer of transforms that fills itself from /tf and /tf_static (tf2_ros: TransformListener with its Buffer). Clones share the
/// buffer; only handlers of the node that declared it touch it, so it is as deterministic as they are. Snapshots of the graph have it.
#[derive(Clone)]
pub struct Listener(Arc<Mutex<State>>);

impl Listener {
    /// Declares the subscriptions (tf2_ros: DynamicListenerQoS, StaticListenerQoS) that fill `buffer`.
    ///
    /// # Errors
    /// As [`Setup::subscribe`].
    pub fn declare<N: Node>(setup: &mut Setup<N>, buffer: TfBuffer) -> Result<Self, SetupError> {
        let listener = Self::empty(buffer);
        listener.subscribe(setup, |_: &mut N, _, _, _| Ok(()))?;
        Ok(listener)
    }

    /// As [`Listener::declare`], with a handler for transforms that [`Listener::wait`] asks for.
    ///
    /// # Errors
    /// As [`Setup::subscribe`].
    pub fn declare_waiting<N: Node>(
        setup: &mut Setup<N>,
        buffer: TfBuffer,
        handler: impl FnMut(&mut N, &mut Context, WaitId, Result<Pose3, WaitError>) -> HandlerResult + Send + 'static,
    ) -> Result<Self, SetupError> {
        let listener = Self::empty(buffer);
        let handler = listener.subscribe(setup, handler)?;
        let state = Arc::clone(&listener.0);
        setup.timer(LOOK, move |node, ctx| {
            let ended = state.lock().ended(ctx.now());
            tell(node, ctx, &handler, ended)
        })?;
        Ok(listener)
    }

    fn empty(buffer: TfBuffer) -> Self {
        Self(Arc::new(Mutex::new(State { buffer, ..State::default() })))
    }

    fn subscribe<N: Node, H>(&self, setup: &mut Setup<N>, handler: H) -> Result<Arc<Mutex<H>>, SetupError>
    where
        H: FnMut(&mut N, &mut Context, WaitId, Result<Pose3, WaitError>) -> HandlerResult + Send + 'static,
    {
        setup.keep(Heard(Arc::clone(&self.0)));
        let handler = Arc::new(Mutex::new(handler));
        for (topic, qos, fixed) in [("/tf", Qos::reliable(100), false), ("/tf_static", Qos::latched(100), true)] {
            let (state, handler) = (Arc::clone(&self.0), Arc::clone(&handler));
            setup.subscribe(topic, qos, move |node: &mut N, ctx, message: Arc<TFMessage>| {
                let (taken, ended) = {
                    let mut state = state.lock();
                    let taken = state.buffer.insert_message(&message, fixed);
                    (taken, if state.waits.is_empty() { Vec::new() } else { state.ended(ctx.now()) })
                };
                tell(node, ctx, &handler, ended)?;
                Ok(taken?)
            })?;
        }
        // tf2_ros: a Buffer forgets what was when time jumps back or the clock is another one.
        let state = Arc::clone(&self.0);
        setup.on_clock_jump(JumpThreshold { forward: None, ..JumpThreshold::default() }, move |_, ctx, _| {
            state.lock().buffer.clear();
            ctx.warn("time jumped back: the transforms of moving frames are forgotten");
            Ok(())
        });
        Ok(handler)
    }

    /// Serves `tf2_frames` (tf2_msgs/srv/FrameGraph), which `tf2_tools view_frames` asks. One node of a graph may.
    ///
    /// # Errors
    /// As [`Setup::service`].
    pub fn serve_frames<N: Node>(&self, setup: &mut Setup<N>) -> Result<(), SetupError> {
        let state = Arc::clone(&self.0);
        setup.service::<FrameGraph>("tf2_frames", move |_, _, _| {
            Ok(FrameGraphResponse { frame_yaml: state.lock().buffer.all_frames_yaml(None) })
        })
    }

    /// Asks the buffer anything.
    pub fn with<R>(&self, ask: impl FnOnce(&TfBuffer) -> R) -> R {
        ask(&self.0.lock().buffer)
    }

    /// The pose of `source` in `target` at a time.
    ///
    /// # Errors
    /// As [`TfBuffer::lookup`].
    pub fn lookup(&self, target: &str, source: &str, at: Time) -> Result<Pose3, TfError> {
        self.with(|buffer| buffer.lookup(target, source, at.as_nanos()))
    }

    /// The pose of `source` in `target` from the newest pose of every frame between them.
    ///
    /// # Errors
    /// As [`TfBuffer::lookup_latest`].
    pub fn latest(&self, target: &str, source: &str) -> Result<Pose3, TfError> {
        self.with(|buffer| buffer.lookup_latest(target, source))
    }

    /// As [`Listener::latest`], and a sentence on /diagnostics when the transform is missing or older than `oldest`, naming frames and age. It
    /// is taken back when the transform is there again.
    ///
    /// # Errors
    /// As [`Listener::latest`]; an old transform is given all the same.
    pub fn latest_or_say(&self, ctx: &mut Context, target: &str, source: &str, oldest: Duration) -> Result<Pose3, TfError> {
        let (found, stamp) = self.with(|buffer| (buffer.lookup_latest(target, source), buffer.latest_common(target, source)));
        let complaint = match (&found, stamp) {
            (Err(error), _) => Some(format!("transform from {source} to {target} is missing: {error}")),
            (Ok(_), Ok(Some(stamp))) => {
                let age_s = ctx.now().seconds_since(Time::from_nanos(stamp));
                (age_s > oldest.as_secs_f64()).then(|| {
                    let limit_s = oldest.as_secs_f64();
                    format!("transform from {source} to {target} is {age_s:.2} s old, {limit_s:.2} s are allowed")
                })
            }
            _ => None,
        };
        let what = format!("transform {source} {target}");
        let pair = (target.to_owned(), source.to_owned());
        match complaint {
            Some(complaint) => {
                self.0.lock().bad.insert(pair, ());
                ctx.status(Level::Warn, &what, complaint);
            }
            None if self.0.lock().bad.remove(&pair).is_some() => ctx.status(Level::Ok, &what, "it is there again"),
            None => {}
        }
        found
    }

    /// Asks to be told when the pose of `source` in `target` at a time can be given, or when it is clear that it cannot. The handler of
    /// [`Listener::declare_waiting`] is told within 50 ms, even when it can be given already.
    pub fn wait(&self, ctx: &Context, target: &str, source: &str, at: Time, timeout: Duration) -> WaitId {
        let mut state = self.0.lock();
        state.next += 1;
        let id = state.next;
        let wait = Wait { target: target.into(), source: source.into(), stamp_ns: at.as_nanos(), until: ctx.now() + timeout };
        state.waits.insert(id, wait);
        WaitId(id)
    }

    /// Calls off a wait. Returns whether it was still on.
    pub fn forget(&self, wait: WaitId) -> bool {
        self.0.lock().waits.remove(&wait.0).is_some()
    }
}

fn tell<N, H>(node: &mut N, ctx: &mut Context, handler: &Mutex<H>, ended: Vec<Ended>) -> HandlerResult
where
    H: FnMut(&mut N, &mut Context, WaitId, Result<Pose3, WaitError>) -> HandlerResult,
{
    let mut handler = handler.lock();
    let mut first = Ok(());
    for (id, result) in ended {
        first = first.and(handler(node, ctx, id, result));
    }
    first
}
