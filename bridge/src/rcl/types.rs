//! Types out of the prefix's libraries, by name, at run time.

use super::{RclError, check};
use libloading::Library;
use r2r_rcl::*;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

/// Why a type cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// Not of the form `package/msg/Name`.
    #[error("`{0}` is not the name of a type")]
    Name(String),
    /// The prefix has no such package.
    #[error("the ROS 2 prefix of the bridge has no package {0}")]
    Package(String),
    /// The package has no such type.
    #[error("the package in the ROS 2 prefix of the bridge has no type {0}")]
    Unknown(String),
    /// The library is there and lacks something.
    #[error("the library of {0} is not as expected: {1}")]
    Library(String, &'static str),
}

/// A message type.
pub struct MessageType {
    pub(super) support: *const rosidl_message_type_support_t,
    members: *const rosidl_typesupport_introspection_c__MessageMembers,
    layout: Layout,
    /// `RIHS01_` and 64 hexadecimal digits.
    pub hash: String,
    /// Keeps the code loaded that the pointers lead to.
    _library: Arc<Library>,
}

// SAFETY: type supports are constant data of a library that stays loaded.
unsafe impl Send for MessageType {}
// SAFETY: as above.
unsafe impl Sync for MessageType {}

/// A service type.
pub struct ServiceType {
    pub(super) support: *const rosidl_service_type_support_t,
    /// Of the request.
    pub request: Arc<MessageType>,
    /// Of the response.
    pub response: Arc<MessageType>,
    /// `RIHS01_` and 64 hexadecimal digits.
    pub hash: String,
}

// SAFETY: as for `MessageType`, whose library is that of the service.
unsafe impl Send for ServiceType {}
// SAFETY: as above.
unsafe impl Sync for ServiceType {}

/// The types asked for so far.
#[derive(Default)]
pub struct Types {
    libraries: BTreeMap<String, Option<Arc<Library>>>,
    messages: BTreeMap<String, Result<Arc<MessageType>, TypeError>>,
    services: BTreeMap<String, Result<Arc<ServiceType>, TypeError>>,
}

type Support<T> = unsafe extern "C" fn() -> *const T;

impl Types {
    /// The message type of a name such as `sensor_msgs/msg/Image` or `test_msgs/action/Fibonacci_FeedbackMessage`.
    ///
    /// # Errors
    /// [`TypeError`].
    pub fn message(&mut self, name: &str) -> Result<Arc<MessageType>, TypeError> {
        if let Some(known) = self.messages.get(name) {
            return known.clone();
        }
        let found = self.load(name, "message").and_then(|(library, support)| message_type(name, library, support));
        let found = found.map(Arc::new);
        self.messages.insert(name.to_owned(), found.clone());
        found
    }

    /// The service type of a name such as `std_srvs/srv/Trigger` or `test_msgs/action/Fibonacci_SendGoal`.
    ///
    /// # Errors
    /// [`TypeError`].
    pub fn service(&mut self, name: &str) -> Result<Arc<ServiceType>, TypeError> {
        if let Some(known) = self.services.get(name) {
            return known.clone();
        }
        let found = self.load(name, "service").and_then(|(library, support)| service_type(name, library, support));
        let found = found.map(Arc::new);
        self.services.insert(name.to_owned(), found.clone());
        found
    }

    /// Calls the function of a package's library that hands out a type support (rosidl_typesupport_interface: macros.h).
    fn load<T>(&mut self, name: &str, kind: &str) -> Result<(Arc<Library>, *const T), TypeError> {
        let bad = || TypeError::Name(name.to_owned());
        let parts: Vec<&str> = name.split('/').collect();
        let [package, folder, short] = parts[..] else { return Err(bad()) };
        let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // A name comes from the network and becomes part of a file name.
        if ![package, folder, short].into_iter().all(word) {
            return Err(bad());
        }
        let library = self.libraries.entry(package.to_owned()).or_insert_with(|| {
            // SAFETY: loading runs the initialisers of a library of the ROS 2 prefix, which the user chose to trust.
            unsafe { Library::new(format!("lib{package}__rosidl_typesupport_c.so")) }.ok().map(Arc::new)
        });
        let library = library.clone().ok_or_else(|| TypeError::Package(package.to_owned()))?;
        let symbol = format!("rosidl_typesupport_c__get_{kind}_type_support_handle__{package}__{folder}__{short}");
        // SAFETY: functions of this name take nothing and return a pointer to constant data (rosidl_typesupport_interface).
        let support = unsafe {
            let function = library.get::<Support<T>>(symbol.as_bytes()).map_err(|_| TypeError::Unknown(name.to_owned()))?;
            function()
        };
        if support.is_null() { Err(TypeError::Unknown(name.to_owned())) } else { Ok((library, support)) }
    }
}

fn message_type(
    name: &str,
    library: Arc<Library>,
    support: *const rosidl_message_type_support_t,
) -> Result<MessageType, TypeError> {
    let lacks = |what| TypeError::Library(name.to_owned(), what);
    // SAFETY: `support` is valid constant data; with this identifier its function returns the introspection type support, whose data
    // is a `MessageMembers` (rosidl_typesupport_introspection_c: message_introspection.h, identifier.h).
    unsafe {
        let find = (*support).func.ok_or_else(|| lacks("no dispatch"))?;
        let introspection = find(support, c"rosidl_typesupport_introspection_c".as_ptr());
        if introspection.is_null() {
            rcutils_reset_error();
            return Err(lacks("no introspection"));
        }
        let members = (*introspection).data.cast::<rosidl_typesupport_introspection_c__MessageMembers>();
        // As malloc aligns: fit for every C type.
        let layout = Layout::from_size_align((*members).size_of_.max(1), 16).map_err(|_| lacks("its size is impossible"))?;
        if (*members).init_function.is_none() || (*members).fini_function.is_none() {
            return Err(lacks("no initialiser"));
        }
        let hash = (*support).get_type_hash_func.map(|function| function(support));
        let hash = hash.and_then(|hash| hash_text(hash)).ok_or_else(|| lacks("no type hash"))?;
        Ok(MessageType { support, members, layout, hash, _library: library })
    }
}

fn service_type(
    name: &str,
    library: Arc<Library>,
    support: *const rosidl_service_type_support_t,
) -> Result<ServiceType, TypeError> {
    // SAFETY: `support` is valid constant data with the type supports of request and response (rosidl_runtime_c:
    // service_type_support_struct.h).
    unsafe {
        let lacks = |what| TypeError::Library(name.to_owned(), what);
        let hash = (*support).get_type_hash_func.map(|function| function(support));
        let hash = hash.and_then(|hash| hash_text(hash)).ok_or_else(|| lacks("no type hash"))?;
        if (*support).request_typesupport.is_null() || (*support).response_typesupport.is_null() {
            return Err(lacks("no request or response"));
        }
        let request = message_type(name, Arc::clone(&library), (*support).request_typesupport)?;
        let response = message_type(name, library, (*support).response_typesupport)?;
        Ok(ServiceType { support, request: Arc::new(request), response: Arc::new(response), hash })
    }
}

/// `RIHS01_...`; `None` for "not known".
///
/// # Safety
/// `hash` is null or valid.
pub(super) unsafe fn hash_text(hash: *const rosidl_type_hash_t) -> Option<String> {
    // SAFETY: as the caller promises.
    let hash = unsafe { hash.as_ref() }?;
    if hash.version == 0 {
        return None;
    }
    let digits: String = hash.value.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("RIHS{:02}_{digits}", hash.version))
}

/// A message as C sees it.
pub(super) struct Message<'a> {
    data: NonNull<c_void>,
    ty: &'a MessageType,
}

impl<'a> Message<'a> {
    pub(super) fn new(ty: &'a MessageType) -> Result<Self, RclError> {
        let failed = |reason: &str| RclError { what: "make a message".into(), reason: reason.into() };
        // SAFETY: the layout's size is not 0, and the initialiser writes a message of that size.
        unsafe {
            let data = NonNull::new(alloc_zeroed(ty.layout).cast()).ok_or_else(|| failed("no memory"))?;
            let init = (*ty.members).init_function.ok_or_else(|| failed("no initialiser"))?;
            init(data.as_ptr(), rosidl_runtime_c__message_initialization::ROSIDL_RUNTIME_C_MSG_INIT_ALL);
            Ok(Self { data, ty })
        }
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.data.as_ptr()
    }

    /// From CDR with its encapsulation header. Malformed bytes are an error.
    pub(super) fn from_cdr(ty: &'a MessageType, bytes: &[u8]) -> Result<Self, RclError> {
        if bytes.len() < 4 {
            return Err(RclError { what: "read a message".into(), reason: format!("{} bytes are no CDR", bytes.len()) });
        }
        let message = Self::new(ty)?;
        let view = view(bytes);
        // SAFETY: the message is initialised and of this type; the view is only read during the call.
        check("read a message", unsafe { rmw_deserialize(&view, ty.support, message.pointer()) })?;
        Ok(message)
    }

    /// As CDR with its encapsulation header.
    pub(super) fn to_cdr(&self) -> Result<Vec<u8>, RclError> {
        let mut buffer = Buffer::new();
        // SAFETY: the message is valid and of this type; the buffer is a valid array of rcutils.
        unsafe {
            check("write a message", rmw_serialize(self.pointer(), self.ty.support, &mut buffer.0))?;
            // Padding is left as it was and the length is an estimate: written twice, the second time over zeros, no garbage of this
            // process goes out.
            std::ptr::write_bytes(buffer.0.buffer, 0, buffer.0.buffer_capacity);
            check("write a message", rmw_serialize(self.pointer(), self.ty.support, &mut buffer.0))?;
        }
        Ok(buffer.bytes().to_vec())
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised by the matching initialiser and allocated with this layout.
        unsafe {
            if let Some(fini) = (*self.ty.members).fini_function {
                fini(self.pointer());
            }
            dealloc(self.data.as_ptr().cast(), self.ty.layout);
        }
    }
}

/// A growing byte array of rcutils.
pub(super) struct Buffer(pub(super) rcl_serialized_message_t);

impl Buffer {
    pub(super) fn new() -> Self {
        // SAFETY: both only return values.
        Self(unsafe {
            let mut array = rcutils_get_zero_initialized_uint8_array();
            array.allocator = rcutils_get_default_allocator();
            array
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.0.buffer.is_null() {
            return &[];
        }
        // SAFETY: rcutils keeps `buffer_length` initialised bytes there.
        unsafe { std::slice::from_raw_parts(self.0.buffer, self.0.buffer_length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: a valid array, finalised once.
        unsafe { rcutils_uint8_array_fini(&mut self.0) };
    }
}

/// Bytes as a serialized message that is only read.
pub(super) fn view(bytes: &[u8]) -> rcl_serialized_message_t {
    rcl_serialized_message_t {
        buffer: bytes.as_ptr().cast_mut(),
        buffer_length: bytes.len(),
        buffer_capacity: bytes.len(),
        // SAFETY: only returns a value; it is never used for a message that is only read.
        allocator: unsafe { rcutils_get_default_allocator() },
    }
}
