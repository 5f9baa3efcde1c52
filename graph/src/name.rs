//! Names: what ROS 2 allows, how relative names are resolved.

use std::collections::BTreeMap;

use crate::error::SetupError;

/// Who resolves: a node's namespace, base name and remaps.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    /// "/" or "/robot".
    pub namespace: String,
    pub node: String,
    /// From a name as the node writes it, or fully qualified, to another.
    pub remaps: BTreeMap<String, String>,
}

impl Resolver {
    /// The fully qualified name for `name` as a node wrote it.
    ///
    /// ROS 2 design, "Topic and Service name mapping": `/a` is absolute, `~/a` is private, anything else is relative to the namespace.
    pub fn resolve(&self, name: &str) -> Result<String, SetupError> {
        let expanded = self.expand(name);
        let remapped = self.remaps.get(name).or_else(|| self.remaps.get(&expanded));
        let full = remapped.map_or(expanded, |to| self.expand(to));
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
        let resolver = Resolver {
            namespace: "/omni".into(),
            node: "vision".into(),
            remaps: BTreeMap::from([("image".to_owned(), "camera/image_raw".to_owned())]),
        };
        for (name, full) in [
            ("scan", "/omni/scan"),
            ("/tf", "/tf"),
            ("~/get_parameters", "/omni/vision/get_parameters"),
            ("image", "/omni/camera/image_raw"),
        ] {
            assert_eq!(resolver.resolve(name).unwrap(), full);
        }
    }

    #[test]
    fn forbidden_names_are_refused_with_the_rule() {
        for name in ["/a//b", "/1a", "/a b", "/", "/a/ä"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
