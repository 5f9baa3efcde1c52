//! Names: what ROS 2 allows, how relative names are resolved.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::SetupError;
use crate::suggest::nearest;

/// Who resolves: a node's namespace, base name and remaps.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    /// "/" or "/robot".
    pub namespace: String,
    pub node: String,
    /// From a name as the node writes it, or fully qualified, to another; with `rostopic://` or `rosservice://` in front for those
    /// of topics or services only.
    pub remaps: BTreeMap<String, String>,
    /// The names that the node wrote.
    names: BTreeSet<String>,
    /// The remaps that renamed something.
    used: BTreeSet<String>,
}

impl Resolver {
    pub fn new(namespace: String, node: String, remaps: BTreeMap<String, String>) -> Self {
        Self { namespace, node, remaps, names: BTreeSet::new(), used: BTreeSet::new() }
    }

    /// For each remap that renamed nothing, a sentence that names what was probably meant.
    pub fn complaints(&self) -> Vec<String> {
        let unused = self.remaps.keys().filter(|from| !self.used.contains(*from));
        unused
            .map(|from| match nearest(from, self.names.iter().map(String::as_str)) {
                Some(near) => format!("the remap of `{from}` renames nothing; did you mean `{near}`?"),
                None => format!("the remap of `{from}` renames nothing"),
            })
            .collect()
    }

    /// The fully qualified name for `name` as a node wrote it.
    ///
    /// ROS 2 design, "Topic and Service name mapping": `/a` is absolute, `~/a` is private, anything else is relative to the namespace.
    pub fn resolve(&mut self, name: &str) -> Result<String, SetupError> {
        self.resolve_as("rostopic://", name)
    }

    /// As [`Resolver::resolve`], for a service.
    pub fn resolve_service(&mut self, name: &str) -> Result<String, SetupError> {
        self.resolve_as("rosservice://", name)
    }

    fn resolve_as(&mut self, scheme: &str, name: &str) -> Result<String, SetupError> {
        let expanded = self.expand(name);
        let of_kind = |name: &str| self.remaps.get_key_value(&format!("{scheme}{name}"));
        let any = |name: &str| self.remaps.get_key_value(name);
        let remapped = of_kind(name).or_else(|| of_kind(&expanded)).or_else(|| any(name)).or_else(|| any(&expanded));
        let full = match remapped {
            Some((from, to)) => {
                let (from, full) = (from.clone(), self.expand(to));
                self.used.insert(from);
                full
            }
            None => expanded,
        };
        self.names.insert(name.to_owned());
        check(&full)?;
        Ok(full)
    }

    fn expand(&self, name: &str) -> String {
        let base = if self.namespace == "/" { "" } else { self.namespace.as_str() };
        if name.starts_with('/') {
            name.to_owned()
        } else if let Some(private) = name.strip_prefix("~/") {
            format!("{base}/{}/{private}", self.node)
        } else {
            format!("{base}/{name}")
        }
    }
}

/// Checks a fully qualified name.
pub(crate) fn check(name: &str) -> Result<(), SetupError> {
    let refuse = |reason| Err(SetupError::InvalidName { name: name.to_owned(), reason });
    let Some(rest) = name.strip_prefix('/') else {
        return refuse("it must start with a slash");
    };
    for part in rest.split('/') {
        if part.is_empty() {
            return refuse("it has an empty part");
        }
        if part.starts_with(|c: char| c.is_ascii_digit()) {
            return refuse("a part starts with a digit");
        }
        if !part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return refuse("only letters, digits and underscores are allowed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_as_in_ros() {
        let remaps =
            BTreeMap::from([("image".to_owned(), "camera/image_raw".to_owned()), ("scna".to_owned(), "lidar".to_owned())]);
        let mut resolver = Resolver::new("/omni".into(), "vision".into(), remaps);
        for (name, full) in [
            ("scan", "/omni/scan"),
            ("/tf", "/tf"),
            ("~/get_parameters", "/omni/vision/get_parameters"),
            ("image", "/omni/camera/image_raw"),
        ] {
            assert_eq!(resolver.resolve(name).unwrap(), full);
        }
        assert_eq!(resolver.complaints(), ["the remap of `scna` renames nothing; did you mean `scan`?"]);
    }

    #[test]
    fn a_remap_may_be_for_topics_or_services_only() {
        let remaps = BTreeMap::from([("rosservice:///reset".to_owned(), "/zero".to_owned())]);
        let mut resolver = Resolver::new("/".into(), "arm".into(), remaps);
        assert_eq!(resolver.resolve("reset").unwrap(), "/reset");
        assert!(!resolver.complaints().is_empty());
        assert_eq!(resolver.resolve_service("reset").unwrap(), "/zero");
        assert!(resolver.complaints().is_empty());
    }

    #[test]
    fn forbidden_names_are_refused_with_the_rule() {
        for name in ["/a//b", "/1a", "/a b", "/", "/a/ä"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
