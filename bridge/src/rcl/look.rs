//! The graph as the middleware knows it.

use super::context::Node;
use super::qos::from_rmw;
use super::types::hash_text;
use super::{RclError, c_string, check, text};
use graph::Qos;
use r2r_rcl::*;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::raw::c_char;

/// A node somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeSeen {
    /// Namespace, `/` for the root.
    pub namespace: String,
    /// Base name.
    pub name: String,
    /// The enclave that it says it lives in.
    pub enclave: String,
}

/// A publisher or subscription somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSeen {
    /// Namespace of its node.
    pub namespace: String,
    /// Base name of its node; empty or `_NODE_NAME_UNKNOWN_` while it is not known.
    pub node: String,
    /// ROS name of its type.
    pub type_name: String,
    /// Type hash; empty if it does not say.
    pub hash: String,
    /// Identity.
    pub gid: [u8; 16],
    /// Offered or requested.
    pub qos: Qos,
}

/// Names with their types.
pub type NamesAndTypes = BTreeMap<String, Vec<String>>;

impl Node {
    /// All nodes, this one included.
    ///
    /// # Errors
    /// [`RclError`] if the middleware fails.
    pub fn nodes(&self) -> Result<Vec<NodeSeen>, RclError> {
        // SAFETY: the arrays are zero-initialised as rcl demands, read while they live, and finalised once.
        unsafe {
            let allocator = rcutils_get_default_allocator();
            let mut arrays = [(); 3].map(|()| rcutils_get_zero_initialized_string_array());
            let [names, namespaces, enclaves] = &mut arrays;
            let code = rcl_get_node_names_with_enclaves(self.pointer(), allocator, names, namespaces, enclaves);
            let texts = arrays.map(|mut array| {
                let texts = strings(&array);
                rcutils_string_array_fini(&mut array);
                texts
            });
            check("list nodes", code)?;
            let [names, namespaces, enclaves] = texts;
            let all = names.into_iter().zip(namespaces).zip(enclaves);
            Ok(all.map(|((name, namespace), enclave)| NodeSeen { namespace, name, enclave }).collect())
        }
    }

    /// All topics with their types.
    ///
    /// # Errors
    /// [`RclError`] if the middleware fails.
    pub fn topics(&self) -> Result<NamesAndTypes, RclError> {
        names_and_types("list topics", |allocator, found| {
            // SAFETY: all pointers are valid during the call.
            unsafe { rcl_get_topic_names_and_types(self.pointer(), allocator, false, found) }
        })
    }

    /// The services that a node serves. Empty if it is gone.
    ///
    /// # Errors
    /// [`RclError`] if the name is none.
    pub fn services_of(&self, node: &NodeSeen) -> Result<NamesAndTypes, RclError> {
        let (name, namespace) = (c_string(&node.name)?, c_string(&node.namespace)?);
        let found = names_and_types("list services", |allocator, found| {
            // SAFETY: all pointers are valid during the call.
            unsafe {
                rcl_get_service_names_and_types_by_node(self.pointer(), allocator, name.as_ptr(), namespace.as_ptr(), found)
            }
        });
        // The node may have gone since it was listed.
        Ok(found.unwrap_or_default())
    }

    /// Everybody who publishes a topic.
    ///
    /// # Errors
    /// [`RclError`] if the middleware fails.
    pub fn publishers(&self, topic: &str) -> Result<Vec<EndpointSeen>, RclError> {
        let name = c_string(topic)?;
        endpoints("list publishers", |allocator, found| {
            // SAFETY: all pointers are valid during the call.
            unsafe { rcl_get_publishers_info_by_topic(self.pointer(), allocator, name.as_ptr(), false, found) }
        })
    }

    /// Everybody who subscribes to a topic.
    ///
    /// # Errors
    /// [`RclError`] if the middleware fails.
    pub fn subscriptions(&self, topic: &str) -> Result<Vec<EndpointSeen>, RclError> {
        let name = c_string(topic)?;
        endpoints("list subscriptions", |allocator, found| {
            // SAFETY: all pointers are valid during the call.
            unsafe { rcl_get_subscriptions_info_by_topic(self.pointer(), allocator, name.as_ptr(), false, found) }
        })
    }
}

/// The strings of an array.
///
/// # Safety
/// The array is valid.
unsafe fn strings(array: &rcutils_string_array_t) -> Vec<String> {
    if array.data.is_null() {
        return Vec::new();
    }
    // SAFETY: rcutils keeps `size` pointers to terminated strings there; null for those not filled in.
    unsafe {
        let pointers: &[*mut c_char] = std::slice::from_raw_parts(array.data, array.size);
        let read = |pointer: &*mut c_char| {
            if pointer.is_null() { String::new() } else { CStr::from_ptr(*pointer).to_string_lossy().into_owned() }
        };
        pointers.iter().map(read).collect()
    }
}

fn names_and_types(
    what: &str,
    get: impl FnOnce(*mut rcl_allocator_t, *mut rcl_names_and_types_t) -> i32,
) -> Result<NamesAndTypes, RclError> {
    // SAFETY: zero-initialised as rcl demands, read while it lives, finalised once. `types` has an array for every name (rmw:
    // names_and_types.h).
    unsafe {
        let mut allocator = rcutils_get_default_allocator();
        let mut found = rmw_get_zero_initialized_names_and_types();
        let result = check(what, get(&mut allocator, &mut found));
        let mut all = NamesAndTypes::new();
        if result.is_ok() && !found.types.is_null() {
            for (index, name) in strings(&found.names).into_iter().enumerate() {
                all.insert(name, strings(&*found.types.add(index)));
            }
        }
        rmw_names_and_types_fini(&mut found);
        result.map(|()| all)
    }
}

fn endpoints(
    what: &str,
    get: impl FnOnce(*mut rcl_allocator_t, *mut rcl_topic_endpoint_info_array_t) -> i32,
) -> Result<Vec<EndpointSeen>, RclError> {
    // SAFETY: as for `names_and_types`; the array holds `size` entries (rmw: topic_endpoint_info_array.h).
    unsafe {
        let mut allocator = rcutils_get_default_allocator();
        let mut found = rmw_get_zero_initialized_topic_endpoint_info_array();
        let result = check(what, get(&mut allocator, &mut found));
        let mut all = Vec::new();
        if result.is_ok() && !found.info_array.is_null() {
            for info in std::slice::from_raw_parts(found.info_array, found.size) {
                all.push(EndpointSeen {
                    namespace: text(info.node_namespace),
                    node: text(info.node_name),
                    type_name: text(info.topic_type),
                    hash: hash_text(&info.topic_type_hash).unwrap_or_default(),
                    gid: info.endpoint_gid,
                    qos: from_rmw(&info.qos_profile),
                });
            }
        }
        rmw_topic_endpoint_info_array_fini(&mut found, &mut allocator);
        result.map(|()| all)
    }
}
