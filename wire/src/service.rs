//! Services: servers are queryables, clients query (rmw_zenoh: `detail/rmw_service_data.cpp`, `detail/rmw_client_data.cpp`).

use crate::attachment::{Attachment, Gid};
use crate::error::{CallError, WireError};
use crate::session::{ATTACHMENT_LIMIT, Link};
use graph::Time;
use graph::transport::{RemoteRequest, RequestSink};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use zenoh::Wait;
use zenoh::handlers::CallbackDrop;
use zenoh::key_expr::KeyExpr;
use zenoh::query::{Query, QueryTarget, Queryable, Reply};
use zenoh::sample::Locality;

/// Serves `key`; `sink` runs on a thread of Zenoh for every request of an allowed origin.
pub(crate) fn serve(link: &Arc<Link>, key: String, from: Locality, sink: RequestSink) -> Result<Queryable<()>, WireError> {
    let shared = Arc::clone(link);
    let on_query = move |query: Query| {
        if let Some(why) = shared.refuses(query.key_expr(), query.payload().map_or(0, |payload| payload.len())) {
            // As below.
            let _ = query.reply_err(why).wait();
            return;
        }
        let request = query
            .attachment()
            .filter(|bytes| bytes.len() <= ATTACHMENT_LIMIT)
            .and_then(|bytes| Attachment::from_bytes(&bytes.to_bytes()));
        let (Some(request), Some(payload)) = (request, query.payload()) else {
            shared.malformed.fetch_add(1, Ordering::Relaxed);
            // The caller learns it at once instead of by a timeout; whether that arrives makes no difference here.
            let _ = query.reply_err("a request needs a payload and rmw_zenoh's attachment").wait();
            return;
        };
        let payload = payload.to_bytes().into_owned();
        let link = Arc::clone(&shared);
        let mut owed = Owed(Some(query));
        let reply = Box::new(move |answer: Vec<u8>| {
            let Some(query) = owed.0.take() else { return };
            let attachment = Attachment { source_time_ns: Time::wall().as_nanos(), ..request };
            let key = query.key_expr().clone();
            if query.reply(key, answer).attachment(attachment.to_bytes()).wait().is_err() {
                link.lost_replies.fetch_add(1, Ordering::Relaxed);
            }
        });
        sink(RemoteRequest { payload, reply });
    };
    let queryable = link.session.declare_queryable(KeyExpr::try_from(key)?).complete(true).allowed_origin(from);
    Ok(queryable.callback(on_query).wait()?)
}

/// A request that has no answer yet.
struct Owed(Option<Query>);

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(query) = self.0.take() {
            // Whether that arrives makes no difference here.
            let _ = query.reply_err("the node gave no answer: it could not read the request, failed over it or stopped").wait();
        }
    }
}

/// Receives the answer of a call.
pub(crate) type AnswerSink = Box<dyn FnOnce(Result<Vec<u8>, CallError>) + Send>;

/// Sends a request to the servers of `key`, which serve `name`; `sink` is called exactly once.
pub(crate) fn call(
    link: &Link,
    key: &str,
    name: &str,
    gid: Gid,
    to: Locality,
    request: Vec<u8>,
    timeout: Duration,
    sink: AnswerSink,
) {
    let sink = Arc::new(Mutex::new(Some(sink)));
    let answer = move |sink: &Mutex<Option<AnswerSink>>, result: Result<Vec<u8>, CallError>| {
        let taken = sink.lock().take();
        if let Some(sink) = taken {
            sink(result);
        }
    };
    let attachment = Attachment { sequence: link.next_sequence(), source_time_ns: Time::wall().as_nanos(), gid };
    let (on_reply, on_end) = (Arc::clone(&sink), Arc::clone(&sink));
    let (replier, ended) = (name.to_owned(), name.to_owned());
    let started = Instant::now();
    let limit = link.config.max_sample_bytes;
    let callback = move |reply: Reply| {
        let result = match reply.into_result() {
            Ok(sample) if sample.payload().len() > limit => {
                let reason =
                    format!("an answer of {} bytes, of {limit} that OMNIMIND_MAX_SAMPLE_BYTES allows", sample.payload().len());
                Err(CallError::Failed { name: replier.clone(), reason })
            }
            Ok(sample) => Ok(sample.payload().to_bytes().into_owned()),
            Err(error) => {
                let reason = error.payload().try_to_string().map(|text| text.into_owned()).unwrap_or_default();
                // Zenoh's own word for an answer that did not come.
                if reason.eq_ignore_ascii_case("timeout") {
                    Err(CallError::Timeout { name: replier.clone(), seconds: timeout.as_secs_f64() })
                } else {
                    Err(CallError::Failed { name: replier.clone(), reason })
                }
            }
        };
        answer(&on_reply, result);
    };
    let end = move || {
        let late = started.elapsed() >= timeout;
        let error = if late {
            CallError::Timeout { name: ended.clone(), seconds: timeout.as_secs_f64() }
        } else {
            CallError::Unavailable(ended.clone())
        };
        answer(&on_end, Err(error));
    };
    let query = link
        .session
        .get(key)
        .payload(request)
        .attachment(attachment.to_bytes())
        .target(QueryTarget::AllComplete)
        .allowed_destination(to)
        .timeout(timeout)
        .with(CallbackDrop { callback, drop: end });
    if let Err(error) = query.wait() {
        answer(&sink, Err(CallError::Wire(error.into())));
    }
}
