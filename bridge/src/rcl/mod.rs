//! ROS 2's client library, by the bindings that `r2r` is built on (`r2r_rcl`).
//!
//! Not `r2r` itself: it cannot take an endpoint back (a subscription goes at the next sample after its end, a server at the next
//! request, a client never), does not say who sent a sample, and knows only the types it was built with. A bridge needs all three.
//! With the bindings, types come from the prefix's libraries at run time and services travel as bytes, like topics.
//!
//! This module is the only one with unsafe code. Its rules:
//! - Every handle that rcl initialises is finalised in `Drop`, after what was made from it: each holds an `Arc` of its maker.
//! - rcl's initialisers and finalisers of one context are not thread-safe (rcl: "Thread-Safe: No"), so all take the context's lock.
//! - Publishing and triggering a guard condition are safe from any thread (rcl: `rcl_publish`, `rcl_trigger_guard_condition`; rclcpp
//!   does both); taking, waiting and looking at the graph happen on the thread that owns the handle, as those handles are not `Send`.
#![allow(unsafe_code)]

mod context;
mod endpoints;
mod look;
mod qos;
mod types;
mod wait;

pub use context::{Context, DiscoveryRange, Node, Trigger};
pub use endpoints::{Client, Publisher, RequestId, Server, Subscription};
pub use look::{EndpointSeen, NodeSeen};
pub use types::{MessageType, Types};
pub use wait::Waiter;

use r2r_rcl::{RCL_RET_OK, rcutils_get_error_string, rcutils_reset_error};
use std::ffi::{CStr, CString};

/// What rcl says about a call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {what}: {reason}")]
pub struct RclError {
    /// What was tried.
    pub what: String,
    /// rcl's words, with its code.
    pub reason: String,
}

/// The outcome of a call to rcl.
fn check(what: &str, code: i32) -> Result<(), RclError> {
    if code == RCL_RET_OK as i32 { Ok(()) } else { Err(error(what, code)) }
}

/// The error that rcl has noted for this thread.
fn error(what: &str, code: i32) -> RclError {
    // SAFETY: both read and write only this thread's own record; the text is terminated (rcutils: error_handling.h).
    let text = unsafe {
        let text = rcutils_get_error_string();
        rcutils_reset_error();
        CStr::from_ptr(text.str_.as_ptr()).to_string_lossy().into_owned()
    };
    RclError { what: what.to_owned(), reason: format!("{text} ({code})") }
}

fn c_string(text: &str) -> Result<CString, RclError> {
    CString::new(text).map_err(|e| RclError { what: format!("use the name `{text}`"), reason: e.to_string() })
}

/// Text from rcl; empty for a null pointer.
///
/// # Safety
/// `text` is null or a terminated string that lives during the call.
unsafe fn text(text: *const std::os::raw::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
