//! Publishers, subscriptions, servers and clients, all of them with bytes as they travel.

use super::context::Node;
use super::qos::{services, to_rmw};
use super::types::{Buffer, Message, MessageType, ServiceType, view};
use super::{RclError, c_string, check};
use graph::Qos;
use r2r_rcl::*;
use std::sync::Arc;

/// Publishes encoded messages.
pub struct Publisher {
    handle: rcl_publisher_t,
    node: Arc<Node>,
    _ty: Arc<MessageType>,
}

// SAFETY: `rcl_publish_serialized_message` and `rcl_publisher_get_subscription_count` may run on any thread, also at once (rcl:
// publisher.h); initialisation and finalisation hold the context's lock.
unsafe impl Send for Publisher {}
// SAFETY: as above.
unsafe impl Sync for Publisher {}

impl Publisher {
    /// Declares a publisher.
    ///
    /// # Errors
    /// [`RclError`] if the name is none.
    pub fn new(node: &Arc<Node>, topic: &str, ty: &Arc<MessageType>, qos: &Qos) -> Result<Self, RclError> {
        let name = c_string(topic)?;
        let _lock = node.context.lock();
        // SAFETY: zero-initialised as rcl demands; node, type and name live during the call; node and type are kept.
        let handle = unsafe {
            let mut handle = rcl_get_zero_initialized_publisher();
            let mut options = rcl_publisher_get_default_options();
            options.qos = to_rmw(qos);
            let code = rcl_publisher_init(&mut handle, node.pointer(), ty.support, name.as_ptr(), &options);
            check(&format!("publish {topic}"), code)?;
            handle
        };
        Ok(Self { handle, node: Arc::clone(node), _ty: Arc::clone(ty) })
    }

    /// Sends CDR with its encapsulation header.
    ///
    /// # Errors
    /// [`RclError`] if the middleware refuses it.
    pub fn publish(&self, bytes: &[u8]) -> Result<(), RclError> {
        let message = view(bytes);
        // SAFETY: the message is only read, and not kept after the call.
        check("publish", unsafe { rcl_publish_serialized_message(&self.handle, &message, std::ptr::null_mut()) })
    }

    /// Matched subscriptions, those of this process included.
    pub fn subscriptions(&self) -> usize {
        let mut count = 0;
        // SAFETY: the publisher is valid. If the call fails, the count stays 0.
        unsafe { rcl_publisher_get_subscription_count(&self.handle, &mut count) };
        count
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _lock = self.node.context.lock();
        // SAFETY: the node is still there; finalised once.
        unsafe { rcl_publisher_fini(&mut self.handle, self.node.pointer_mut()) };
    }
}

/// A sample as it came.
#[derive(Debug, Clone)]
pub struct Sample {
    /// CDR with its encapsulation header.
    pub payload: Vec<u8>,
    /// Who published it.
    pub publisher: [u8; 16],
}

/// Takes encoded messages, not those that this process publishes.
pub struct Subscription {
    // Boxed: wait sets keep its address.
    pub(super) handle: Box<rcl_subscription_t>,
    node: Arc<Node>,
    buffer: Buffer,
    _ty: Arc<MessageType>,
}

impl Subscription {
    /// Subscribes.
    ///
    /// # Errors
    /// [`RclError`] if the name is none.
    pub fn new(node: &Arc<Node>, topic: &str, ty: &Arc<MessageType>, qos: &Qos) -> Result<Self, RclError> {
        let name = c_string(topic)?;
        let _lock = node.context.lock();
        // SAFETY: as for `Publisher::new`.
        let handle = unsafe {
            let mut handle = Box::new(rcl_get_zero_initialized_subscription());
            let mut options = rcl_subscription_get_default_options();
            options.qos = to_rmw(qos);
            options.rmw_subscription_options.ignore_local_publications = true;
            let code = rcl_subscription_init(handle.as_mut(), node.pointer(), ty.support, name.as_ptr(), &options);
            let subscribed = check(&format!("subscribe to {topic}"), code);
            rcl_subscription_options_fini(&mut options);
            subscribed?;
            handle
        };
        Ok(Self { handle, node: Arc::clone(node), buffer: Buffer::new(), _ty: Arc::clone(ty) })
    }

    /// The next sample, if one waits.
    pub fn take(&mut self) -> Option<Sample> {
        // SAFETY: handle and buffer are valid; the information is written by rcl before it is read.
        unsafe {
            let mut info = rmw_get_zero_initialized_message_info();
            let code = rcl_take_serialized_message(self.handle.as_ref(), &mut self.buffer.0, &mut info, std::ptr::null_mut());
            if code != RCL_RET_OK as i32 {
                // Nothing there is also a code; rcl notes an error only for the others.
                rcutils_reset_error();
                return None;
            }
            Some(Sample { payload: self.buffer.bytes().to_vec(), publisher: info.publisher_gid.data })
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _lock = self.node.context.lock();
        // SAFETY: the node is still there; finalised once.
        unsafe { rcl_subscription_fini(self.handle.as_mut(), self.node.pointer_mut()) };
    }
}

/// Whose request an answer belongs to.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(rmw_request_id_t);

/// Serves a service.
pub struct Server {
    pub(super) handle: Box<rcl_service_t>,
    node: Arc<Node>,
    ty: Arc<ServiceType>,
}

impl Server {
    /// Declares a server.
    ///
    /// # Errors
    /// [`RclError`] if the name is none.
    pub fn new(node: &Arc<Node>, service: &str, ty: &Arc<ServiceType>) -> Result<Self, RclError> {
        let name = c_string(service)?;
        let _lock = node.context.lock();
        // SAFETY: as for `Publisher::new`.
        let handle = unsafe {
            let mut handle = Box::new(rcl_get_zero_initialized_service());
            let mut options = rcl_service_get_default_options();
            options.qos = services();
            let code = rcl_service_init(handle.as_mut(), node.pointer(), ty.support, name.as_ptr(), &options);
            check(&format!("serve {service}"), code)?;
            handle
        };
        Ok(Self { handle, node: Arc::clone(node), ty: Arc::clone(ty) })
    }

    /// The next request as CDR, if one waits.
    pub fn take(&mut self) -> Option<Result<(RequestId, Vec<u8>), RclError>> {
        let message = match Message::new(&self.ty.request) {
            Ok(message) => message,
            Err(error) => return Some(Err(error)),
        };
        let mut id = rmw_request_id_t { writer_guid: [0; 16], sequence_number: 0 };
        // SAFETY: handle and message are valid, the message is of the request's type.
        let code = unsafe { rcl_take_request(self.handle.as_ref(), &mut id, message.pointer()) };
        if code != RCL_RET_OK as i32 {
            // SAFETY: clears this thread's record only.
            unsafe { rcutils_reset_error() };
            return None;
        }
        Some(message.to_cdr().map(|bytes| (RequestId(id), bytes)))
    }

    /// Answers with CDR.
    ///
    /// # Errors
    /// [`RclError`] if the bytes are no response of this type or the client is gone.
    pub fn respond(&mut self, id: RequestId, bytes: &[u8]) -> Result<(), RclError> {
        let message = Message::from_cdr(&self.ty.response, bytes)?;
        let mut id = id.0;
        // SAFETY: handle, identity and message are valid, the message is of the response's type.
        check("answer a request", unsafe { rcl_send_response(self.handle.as_ref(), &mut id, message.pointer()) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _lock = self.node.context.lock();
        // SAFETY: the node is still there; finalised once.
        unsafe { rcl_service_fini(self.handle.as_mut(), self.node.pointer_mut()) };
    }
}

/// Calls a service.
pub struct Client {
    pub(super) handle: Box<rcl_client_t>,
    node: Arc<Node>,
    ty: Arc<ServiceType>,
}

impl Client {
    /// Declares a client.
    ///
    /// # Errors
    /// [`RclError`] if the name is none.
    pub fn new(node: &Arc<Node>, service: &str, ty: &Arc<ServiceType>) -> Result<Self, RclError> {
        let name = c_string(service)?;
        let _lock = node.context.lock();
        // SAFETY: as for `Publisher::new`.
        let handle = unsafe {
            let mut handle = Box::new(rcl_get_zero_initialized_client());
            let mut options = rcl_client_get_default_options();
            options.qos = services();
            let code = rcl_client_init(handle.as_mut(), node.pointer(), ty.support, name.as_ptr(), &options);
            check(&format!("call {service}"), code)?;
            handle
        };
        Ok(Self { handle, node: Arc::clone(node), ty: Arc::clone(ty) })
    }

    /// Whether a server has been matched.
    pub fn available(&self) -> bool {
        let mut available = false;
        // SAFETY: node and client are valid. If the call fails, nobody is there.
        unsafe { rcl_service_server_is_available(self.node.pointer(), self.handle.as_ref(), &mut available) };
        available
    }

    /// Sends a request given as CDR; the number that its response will bear.
    ///
    /// # Errors
    /// [`RclError`] if the bytes are no request of this type.
    pub fn send(&mut self, bytes: &[u8]) -> Result<i64, RclError> {
        let message = Message::from_cdr(&self.ty.request, bytes)?;
        let mut sequence = 0;
        // SAFETY: handle and message are valid, the message is of the request's type.
        check("send a request", unsafe { rcl_send_request(self.handle.as_ref(), message.pointer(), &mut sequence) })?;
        Ok(sequence)
    }

    /// The next response as its request's number and CDR, if one waits.
    pub fn take(&mut self) -> Option<Result<(i64, Vec<u8>), RclError>> {
        let message = match Message::new(&self.ty.response) {
            Ok(message) => message,
            Err(error) => return Some(Err(error)),
        };
        let mut id = rmw_request_id_t { writer_guid: [0; 16], sequence_number: 0 };
        // SAFETY: handle and message are valid, the message is of the response's type.
        let code = unsafe { rcl_take_response(self.handle.as_ref(), &mut id, message.pointer()) };
        if code != RCL_RET_OK as i32 {
            // SAFETY: clears this thread's record only.
            unsafe { rcutils_reset_error() };
            return None;
        }
        Some(message.to_cdr().map(|bytes| (id.sequence_number, bytes)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _lock = self.node.context.lock();
        // SAFETY: the node is still there; finalised once.
        unsafe { rcl_client_fini(self.handle.as_mut(), self.node.pointer_mut()) };
    }
}
