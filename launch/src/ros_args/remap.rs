//! Remap rules: `[node:][rostopic://|rosservice://]from:=to`, `__node:=name`, `__ns:=/namespace`.

use std::collections::BTreeMap;

/// A remap rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemapRule {
    /// Only for the node of this name.
    pub node: Option<String>,
    /// What it renames.
    pub target: Target,
}

/// What a remap rule renames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The node.
    Node(String),
    /// Its namespace, with a slash in front.
    Namespace(String),
    /// A topic or a service.
    Name {
        /// `rostopic://`, `rosservice://` or nothing: both.
        scheme: &'static str,
        /// The name that is used.
        from: String,
        /// The name that it gets.
        to: String,
    },
}

const SCHEMES: [&str; 2] = ["rostopic://", "rosservice://"];

impl RemapRule {
    /// Parses one rule.
    ///
    /// # Errors
    /// What is wrong, in words. As in rcl, wildcards and back references are refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (left, to) = text.split_once(":=").ok_or("it is not of the form from:=to")?;
        let (scheme_first, _) = scheme(left);
        let (node, left) = match left.split_once(':') {
            Some((node, rest)) if scheme_first.is_empty() => {
                token(node).map_err(|reason| format!("the node's name `{node}` {reason}"))?;
                (Some(node.to_owned()), rest)
            }
            _ => (None, left),
        };
        let (scheme, from) = scheme(left);
        let named = |reason: &str| format!("`{to}` {reason}");
        let target = match from {
            "__node" | "__name" if scheme.is_empty() => {
                token(to).map_err(named)?;
                Target::Node(to.to_owned())
            }
            "__ns" if scheme.is_empty() => {
                absolute(to).map_err(|reason| format!("a namespace {reason}"))?;
                Target::Namespace(to.to_owned())
            }
            _ => {
                topic(from).map_err(|reason| format!("`{from}` {reason}"))?;
                topic(to).map_err(named)?;
                Target::Name { scheme, from: from.to_owned(), to: to.to_owned() }
            }
        };
        Ok(Self { node, target })
    }

    fn fits(&self, node: &str) -> bool {
        self.node.as_deref().is_none_or(|only| only == node)
    }
}

fn scheme(name: &str) -> (&'static str, &str) {
    for scheme in SCHEMES {
        if let Some(rest) = name.strip_prefix(scheme) {
            return (scheme, rest);
        }
    }
    ("", name)
}

/// Letters, digits and underscores, not beginning with a digit.
pub(super) fn token(text: &str) -> Result<(), &'static str> {
    if text.contains('*') {
        return Err("has a wildcard, which ROS 2 does not have here");
    }
    if text.contains('\\') {
        return Err("has a back reference, which ROS 2 does not have");
    }
    let good = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good { Ok(()) } else { Err("is not made of letters, digits and underscores, beginning with no digit") }
}

fn tokens(text: &str) -> Result<(), &'static str> {
    text.split('/').try_for_each(token)
}

/// A name as a node writes it: relative, `/absolute` or `~/private`.
fn topic(text: &str) -> Result<(), &'static str> {
    match text {
        "~" => Ok(()),
        _ => tokens(text.strip_prefix("~/").or_else(|| text.strip_prefix('/')).unwrap_or(text)),
    }
}

/// `/` or `/one/or/more`.
pub(super) fn absolute(text: &str) -> Result<(), &'static str> {
    match text.strip_prefix('/') {
        None => Err("begins with a slash"),
        Some("") => Ok(()),
        Some(rest) => tokens(rest).map_err(|_| "is made of letters, digits and underscores between slashes, none at the end"),
    }
}

/// What the rules make of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The node's name.
    pub node: String,
    /// Its namespace; `/` is the root.
    pub namespace: String,
    /// Fully qualified names to fully qualified names; those of topics or services only have `rostopic://` or `rosservice://`
    /// in front.
    pub remaps: BTreeMap<String, String>,
}

impl Names {
    /// Applies the rules to a node that calls itself `node`, in the root namespace.
    ///
    /// As in rcl, a rule for one node means the name that it calls itself when it renames the node, and its new name otherwise.
    #[must_use]
    pub fn new(node: &str, rules: &[RemapRule]) -> Self {
        let fitting = |name: String| rules.iter().filter(move |rule| rule.fits(&name)).map(|rule| &rule.target);
        let renamed = fitting(node.to_owned()).find_map(|t| if let Target::Node(name) = t { Some(name) } else { None });
        let name = renamed.cloned().unwrap_or_else(|| node.to_owned());
        let moved = fitting(name.clone()).find_map(|t| if let Target::Namespace(name) = t { Some(name) } else { None });
        let namespace = moved.cloned().unwrap_or_else(|| "/".into());
        let mut names = Self { node: name, namespace, remaps: BTreeMap::new() };
        for rule in rules.iter().filter(|rule| rule.fits(&names.node)) {
            let Target::Name { scheme, from, to } = &rule.target else { continue };
            let from = names.expand(from);
            // An earlier rule for both kinds leaves nothing to a later one for one of them.
            if !names.remaps.contains_key(&from) {
                let to = names.expand(to);
                names.remaps.entry(format!("{scheme}{from}")).or_insert(to);
            }
        }
        names
    }

    /// `/namespace/name`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}/{}", self.namespace.trim_end_matches('/'), self.node)
    }

    fn expand(&self, name: &str) -> String {
        if name.starts_with('/') {
            name.to_owned()
        } else if let Some(private) = name.strip_prefix('~') {
            format!("{}{private}", self.full())
        } else {
            format!("{}/{name}", self.namespace.trim_end_matches('/'))
        }
    }
}
