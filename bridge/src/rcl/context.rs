//! Context, nodes, and the trigger that ends a wait.

use super::{RclError, c_string, check};
use parking_lot::{Mutex, MutexGuard};
use r2r_rcl::*;
use std::ffi::CString;
use std::os::raw::c_char;
use std::sync::Arc;

/// How far DDS looks for others (`ROS_AUTOMATIC_DISCOVERY_RANGE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryRange {
    /// As the environment says; ROS 2's default is the subnet.
    Environment,
    /// Nobody.
    Off,
    /// This machine.
    Localhost,
    /// The subnet.
    Subnet,
}

struct Inner {
    // Boxed: nodes and guard conditions keep its address.
    handle: Box<rcl_context_t>,
    options: rcl_init_options_t,
}

// SAFETY: the handle is only used under the lock, or by calls that only read it (see the module's rules).
unsafe impl Send for Inner {}

/// rcl, initialised.
pub struct Context {
    inner: Mutex<Inner>,
}

impl Context {
    /// Initialises rcl. All nodes of the context say that they live in `enclave`.
    ///
    /// # Errors
    /// [`RclError`], for instance if no middleware can be loaded.
    pub fn new(domain: Option<usize>, range: DiscoveryRange, enclave: &str) -> Result<Arc<Self>, RclError> {
        let words =
            ["bridge", "--ros-args", "--enclave", enclave].map(c_string).into_iter().collect::<Result<Vec<CString>, _>>()?;
        let argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
        // SAFETY: `options` and `handle` are initialised by rcl's own zero values before use, `argv` outlives `rcl_init`, which copies
        // it (rcl: init.h), and `handle` is boxed before anything keeps its address.
        unsafe {
            let mut options = rcl_get_zero_initialized_init_options();
            check("prepare rcl", rcl_init_options_init(&mut options, rcutils_get_default_allocator()))?;
            if let Some(domain) = domain {
                check("choose the domain", rcl_init_options_set_domain_id(&mut options, domain))?;
            }
            let rmw = rcl_init_options_get_rmw_init_options(&mut options);
            let range = match range {
                DiscoveryRange::Environment => None,
                DiscoveryRange::Off => Some(rmw_automatic_discovery_range_e::RMW_AUTOMATIC_DISCOVERY_RANGE_OFF),
                DiscoveryRange::Localhost => Some(rmw_automatic_discovery_range_e::RMW_AUTOMATIC_DISCOVERY_RANGE_LOCALHOST),
                DiscoveryRange::Subnet => Some(rmw_automatic_discovery_range_e::RMW_AUTOMATIC_DISCOVERY_RANGE_SUBNET),
            };
            // Set before `rcl_init`, this takes precedence over the environment (rcl: init.c).
            if let (Some(range), false) = (range, rmw.is_null()) {
                (*rmw).discovery_options.automatic_discovery_range = range;
            }
            let mut handle = Box::new(rcl_get_zero_initialized_context());
            let code = rcl_init(argv.len() as i32, argv.as_ptr(), &options, handle.as_mut());
            if let Err(error) = check("initialise rcl", code) {
                rcl_init_options_fini(&mut options);
                return Err(error);
            }
            Ok(Arc::new(Self { inner: Mutex::new(Inner { handle, options }) }))
        }
    }

    /// The DDS domain.
    pub fn domain(&self) -> usize {
        let mut domain = 0;
        // SAFETY: the context is valid as long as it exists. If the call fails, the domain stays 0.
        unsafe { rcl_context_get_domain_id(self.lock().pointer(), &mut domain) };
        domain
    }

    /// Holds off every other initialiser and finaliser.
    pub(super) fn lock(&self) -> Lock<'_> {
        Lock(self.inner.lock())
    }
}

/// The context's lock.
pub(super) struct Lock<'a>(MutexGuard<'a, Inner>);

impl Lock<'_> {
    pub(super) fn pointer(&mut self) -> *mut rcl_context_t {
        self.0.handle.as_mut()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        // SAFETY: nothing else refers to the context any more: nodes and triggers hold an `Arc` of it. Nothing is left to be done if
        // closing fails.
        unsafe {
            rcl_shutdown(inner.handle.as_mut());
            rcl_context_fini(inner.handle.as_mut());
            rcl_init_options_fini(&mut inner.options);
        }
    }
}

/// A node.
pub struct Node {
    // Boxed: endpoints keep its address.
    handle: Box<rcl_node_t>,
    pub(super) context: Arc<Context>,
}

// SAFETY: after its initialisation the handle is only read (graph queries, which the middleware locks), and finalised by the last owner
// under the context's lock.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// A node without `/rosout`: what it says on behalf of others has been said there already.
    ///
    /// # Errors
    /// [`RclError`] if the name is none.
    pub fn new(context: &Arc<Context>, namespace: &str, name: &str) -> Result<Arc<Self>, RclError> {
        let (c_name, c_namespace) = (c_string(name)?, c_string(namespace)?);
        let mut lock = context.lock();
        // SAFETY: zero-initialised as rcl demands; the strings outlive the call, which copies them; the context is valid and locked.
        let handle = unsafe {
            let mut handle = Box::new(rcl_get_zero_initialized_node());
            let mut options = rcl_node_get_default_options();
            options.enable_rosout = false;
            let code = rcl_node_init(handle.as_mut(), c_name.as_ptr(), c_namespace.as_ptr(), lock.pointer(), &options);
            check(&format!("make the node {namespace} {name}"), code)?;
            handle
        };
        drop(lock);
        Ok(Arc::new(Self { handle, context: Arc::clone(context) }))
    }

    pub(super) fn pointer(&self) -> *const rcl_node_t {
        self.handle.as_ref()
    }

    /// For finalisers, which ask for a mutable pointer and only read (rcl: publisher.c, subscription.c, service.c, client.c).
    pub(super) fn pointer_mut(&self) -> *mut rcl_node_t {
        std::ptr::from_ref(self.handle.as_ref()).cast_mut()
    }

    /// Triggered by the middleware when somebody comes or goes.
    pub(super) fn graph_guard(&self) -> *const rcl_guard_condition_t {
        // SAFETY: the node is valid; the condition lives as long as it.
        unsafe { rcl_node_get_graph_guard_condition(self.pointer()) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _lock = self.context.lock();
        // SAFETY: nothing made from the node is left: endpoints hold an `Arc` of it.
        unsafe { rcl_node_fini(self.handle.as_mut()) };
    }
}

/// Ends a wait from any thread.
pub struct Trigger {
    handle: Mutex<Box<rcl_guard_condition_t>>,
    pub(super) address: *const rcl_guard_condition_t,
    context: Arc<Context>,
}

// SAFETY: a guard condition may be triggered from any thread, also while another waits on it; the mutex keeps two triggers apart.
// `address` is only used by the waiter, and points to the boxed handle.
unsafe impl Send for Trigger {}
// SAFETY: as above.
unsafe impl Sync for Trigger {}

impl Trigger {
    /// A new one.
    ///
    /// # Errors
    /// [`RclError`] if the middleware has none left.
    pub fn new(context: &Arc<Context>) -> Result<Arc<Self>, RclError> {
        // SAFETY: zero-initialised as rcl demands, boxed before its address is kept; the context is valid and locked.
        let handle = unsafe {
            let mut handle = Box::new(rcl_get_zero_initialized_guard_condition());
            let mut lock = context.lock();
            let options = rcl_guard_condition_get_default_options();
            check("make a guard condition", rcl_guard_condition_init(handle.as_mut(), lock.pointer(), options))?;
            handle
        };
        let address = std::ptr::from_ref(handle.as_ref());
        Ok(Arc::new(Self { handle: Mutex::new(handle), address, context: Arc::clone(context) }))
    }

    /// Ends the present wait, or the next.
    pub fn trigger(&self) {
        // SAFETY: valid until dropped. A failure delays a wake-up to the end of the wait's time.
        unsafe { rcl_trigger_guard_condition(self.handle.lock().as_mut()) };
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        let _lock = self.context.lock();
        // SAFETY: the last owner.
        unsafe { rcl_guard_condition_fini(self.handle.get_mut().as_mut()) };
    }
}
