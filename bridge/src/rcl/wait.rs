//! Waits for samples, requests and responses.

use super::context::{Context, Node, Trigger};
use super::endpoints::{Client, Server, Subscription};
use super::{RclError, check};
use r2r_rcl::*;
use std::sync::Arc;
use std::time::Duration;

/// Which of the endpoints have something, by their place in what was waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// Whether somebody came or went.
    pub graph: bool,
    /// Subscriptions.
    pub subscriptions: Vec<usize>,
    /// Servers.
    pub servers: Vec<usize>,
    /// Clients.
    pub clients: Vec<usize>,
}

/// A wait set.
pub struct Waiter {
    handle: rcl_wait_set_t,
    trigger: Arc<Trigger>,
    // Its graph condition is waited for.
    node: Arc<Node>,
    _context: Arc<Context>,
    size: [usize; 3],
}

impl Waiter {
    /// A wait set that `trigger`, and changes of the graph that `node` sees, end.
    ///
    /// # Errors
    /// [`RclError`] if the middleware has none left.
    pub fn new(node: &Arc<Node>, trigger: &Arc<Trigger>) -> Result<Self, RclError> {
        let context = Arc::clone(&node.context);
        // SAFETY: zero-initialised as rcl demands; the context is valid, locked, and kept.
        let handle = unsafe {
            let mut handle = rcl_get_zero_initialized_wait_set();
            let mut lock = context.lock();
            let code = rcl_wait_set_init(&mut handle, 0, 2, 0, 0, 0, 0, lock.pointer(), rcutils_get_default_allocator());
            check("make a wait set", code)?;
            handle
        };
        Ok(Self { handle, trigger: Arc::clone(trigger), node: Arc::clone(node), _context: context, size: [0; 3] })
    }

    /// Waits until one of these has something, or the trigger fires, or `timeout` is over.
    ///
    /// # Errors
    /// [`RclError`] if the context is shut down.
    pub fn wait(
        &mut self,
        timeout: Duration,
        subscriptions: &[&Subscription],
        servers: &[&Server],
        clients: &[&Client],
    ) -> Result<Ready, RclError> {
        let set = &mut self.handle;
        // SAFETY: every handle is borrowed until the end of this function, and the set is cleared before the next use; the guard
        // conditions are kept. After the wait, each of the set's arrays has as many entries as it was resized to (rcl: wait.h).
        unsafe {
            let size = [subscriptions.len(), servers.len(), clients.len()];
            if size != self.size {
                check("grow the wait set", rcl_wait_set_resize(set, size[0], 2, 0, size[2], size[1], 0))?;
                self.size = size;
            }
            check("clear the wait set", rcl_wait_set_clear(set))?;
            let none = std::ptr::null_mut();
            for subscription in subscriptions {
                check("wait", rcl_wait_set_add_subscription(set, subscription.handle.as_ref(), none))?;
            }
            for server in servers {
                check("wait", rcl_wait_set_add_service(set, server.handle.as_ref(), none))?;
            }
            for client in clients {
                check("wait", rcl_wait_set_add_client(set, client.handle.as_ref(), none))?;
            }
            check("wait", rcl_wait_set_add_guard_condition(set, self.trigger.address, none))?;
            let mut graph_index = 0;
            check("wait", rcl_wait_set_add_guard_condition(set, self.node.graph_guard(), &mut graph_index))?;
            let code = rcl_wait(set, i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX));
            if code == RCL_RET_TIMEOUT as i32 {
                rcutils_reset_error();
                return Ok(Ready::default());
            }
            check("wait", code)?;
            Ok(Ready {
                graph: !(*set.guard_conditions.add(graph_index)).is_null(),
                subscriptions: filled(set.subscriptions, size[0]),
                servers: filled(set.services, size[1]),
                clients: filled(set.clients, size[2]),
            })
        }
    }
}

/// The places of an array that are not null.
///
/// # Safety
/// `array` is null, or has `length` entries.
unsafe fn filled<T>(array: *mut *const T, length: usize) -> Vec<usize> {
    if array.is_null() {
        return Vec::new();
    }
    // SAFETY: as the caller promises.
    let entries = unsafe { std::slice::from_raw_parts(array, length) };
    entries.iter().enumerate().filter(|(_, entry)| !entry.is_null()).map(|(index, _)| index).collect()
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _lock = self.node.context.lock();
        // SAFETY: finalised once, while its context is there.
        unsafe { rcl_wait_set_fini(&mut self.handle) };
    }
}
