//! ROS 2 parameter files: `node_name: {ros__parameters: {...}}` with namespaces and the wildcards `*` and `**`
//! (rcl_yaml_param_parser's format; nested mappings become names with dots).

use super::error::{At, LaunchError};
use super::value::Value;
use super::yaml::{Entry, Kind, Yaml};
use std::path::Path;

/// Parameters for the nodes that a pattern names.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Segments of the full node name; `*` stands for one, `**` for any number.
    pub pattern: Vec<String>,
    /// Names, values, lines.
    pub values: Vec<(String, Value, usize)>,
}

impl Section {
    /// Whether the pattern names this node. `full_name` begins with a slash.
    #[must_use]
    pub fn matches(&self, full_name: &str) -> bool {
        let name: Vec<&str> = full_name.split('/').filter(|s| !s.is_empty()).collect();
        matches(&self.pattern, &name)
    }

    /// Whether the pattern has wildcards: then a node need not know every parameter.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.pattern.iter().any(|s| s.contains('*'))
    }
}

fn matches(pattern: &[String], name: &[&str]) -> bool {
    match (pattern.first().map(String::as_str), name.first()) {
        (None, None) => true,
        (Some("**"), _) => matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..])),
        (Some("*"), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some(p), Some(n)) => p == *n && matches(&pattern[1..], &name[1..]),
        _ => false,
    }
}

/// Parses the text of a parameter file.
///
/// # Errors
/// Bad YAML, a node without `ros__parameters`, values that are no parameter values.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Section>, LaunchError> {
    let at = |line| At { file: file.to_path_buf(), line };
    let tree = Yaml::parse_parameters(text).map_err(|e| LaunchError::Yaml { at: at(e.line), message: e.message })?;
    let mut sections = Vec::new();
    match &tree.kind {
        Kind::Null => {}
        Kind::Map(entries) => namespace(file, entries, &[], &mut sections)?,
        _ => {
            return Err(LaunchError::WrongType {
                at: at(tree.line),
                what: "a parameter file".into(),
                expected: "a mapping of node names".into(),
                found: tree.kind_name().into(),
            });
        }
    }
    Ok(sections)
}

fn namespace(file: &Path, entries: &[Entry], prefix: &[String], out: &mut Vec<Section>) -> Result<(), LaunchError> {
    for entry in entries {
        let mut pattern = prefix.to_vec();
        pattern.extend(entry.key.split('/').filter(|s| !s.is_empty()).map(str::to_owned));
        let wrong = |found: &Yaml| LaunchError::WrongType {
            at: At { file: file.to_path_buf(), line: found.line },
            what: format!("`{}`", entry.key),
            expected: "a mapping with `ros__parameters`".into(),
            found: found.kind_name().into(),
        };
        let Kind::Map(inner) = &entry.value.kind else { return Err(wrong(&entry.value)) };
        let Some(params) = inner.iter().find(|e| e.key == "ros__parameters") else {
            namespace(file, inner, &pattern, out)?;
            continue;
        };
        let mut values = Vec::new();
        match &params.value.kind {
            Kind::Null => {}
            Kind::Map(entries) => flatten(file, entries, "", &mut values)?,
            _ => return Err(wrong(&params.value)),
        }
        out.push(Section { pattern, values });
        let rest: Vec<Entry> = inner.iter().filter(|e| e.key != "ros__parameters").cloned().collect();
        let last = out.last().map(|s| s.pattern.clone()).unwrap_or_default();
        namespace(file, &rest, &last, out)?;
    }
    Ok(())
}

/// Names and values of a `parameters` mapping; nested mappings become `outer.inner`.
///
/// # Errors
/// A value that is neither scalar nor flat list of one type.
pub fn flatten(file: &Path, entries: &[Entry], prefix: &str, out: &mut Vec<(String, Value, usize)>) -> Result<(), LaunchError> {
    for entry in entries {
        let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        if let Kind::Map(inner) = &entry.value.kind {
            flatten(file, inner, &name, out)?;
            continue;
        }
        let value = Value::from_yaml(&entry.value).ok_or_else(|| LaunchError::WrongType {
            at: At { file: file.to_path_buf(), line: entry.value.line },
            what: format!("parameter `{name}`"),
            expected: "a value or a flat list of one type".into(),
            found: entry.value.kind_name().into(),
        })?;
        out.push((name, value, entry.line));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/**:\n  ros__parameters:\n    use_sim_time: true\nrobot:\n  battery:\n    ros__parameters:\n      capacity_wh: 26.0\n      filter: {window: 5}\n/camera:\n  ros__parameters: {rate: 5}\n";

    #[test]
    fn sections_match_as_in_rcl() {
        let sections = parse(Path::new("p.yaml"), FILE).unwrap();
        assert_eq!(sections.len(), 3);
        assert!(sections[0].matches("/anything/at/all"));
        assert!(sections[1].matches("/robot/battery") && !sections[1].matches("/battery"));
        assert!(sections[2].matches("/camera") && !sections[2].matches("/robot/camera"));
        assert_eq!(sections[1].values[1].0, "filter.window");
    }

    #[test]
    fn plain_words_are_read_as_rcl_reads_them() {
        let text =
            "n:\n  ros__parameters: {a: on, b: No, c: 'on', d: !!str 5, e: [yes, off], f: nobody, g: 1e3, h: .inf, i: 0x10}\n";
        let values: Vec<Value> = parse(Path::new("p.yaml"), text).unwrap().remove(0).values.into_iter().map(|v| v.1).collect();
        let text = |text: &str| Value::Text(text.into());
        let expected = [
            Value::Bool(true),
            Value::Bool(false),
            text("on"),
            text("5"),
            Value::Bools(vec![true, false]),
            text("nobody"),
            Value::Float(1000.0),
            Value::Float(f64::INFINITY),
            Value::Int(16),
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn nothing_is_no_value_and_a_tilde_is_text() {
        let sections = parse(Path::new("p.yaml"), "a:\n  ros__parameters:\nb:\n  ros__parameters: {x: ~, y: null}\n").unwrap();
        assert!(sections[0].values.is_empty());
        let values: Vec<&Value> = sections[1].values.iter().map(|(_, value, _)| value).collect();
        assert_eq!(values, [&Value::Text("~".into()), &Value::Text("null".into())]);
        for bad in ["a:\n  ros__parameters: {x: }\n", "a:\n  ros__parameters:\n    x:\n    y: 1\n"] {
            assert!(parse(Path::new("p.yaml"), bad).unwrap_err().to_string().contains("nothing"), "{bad}");
        }
    }

    #[test]
    fn wildcards_stand_for_namespaces_and_names() {
        let text =
            "/**/arm: {ros__parameters: {a: 1}}\n/*/base: {ros__parameters: {a: 1}}\nleft:\n  '*': {ros__parameters: {a: 1}}\n";
        let sections = parse(Path::new("p.yaml"), text).unwrap();
        let matched = |name: &str| sections.iter().map(|s| s.matches(name)).collect::<Vec<_>>();
        assert_eq!(matched("/arm"), [true, false, false]);
        assert_eq!(matched("/left/arm"), [true, false, true]);
        assert_eq!(matched("/right/base"), [false, true, false]);
        assert_eq!(matched("/a/b/base"), [false, false, false]);
    }

    #[test]
    fn bad_parameter_files_are_errors() {
        for bad in ["- a\n", "camera: 5\n", "camera:\n  ros__parameters: 5\n", "camera:\n  ros__parameters:\n    a: [1, [2]]\n"] {
            let error = parse(Path::new("p.yaml"), bad).unwrap_err();
            assert!(error.to_string().starts_with("p.yaml:"), "{error}");
        }
    }
}
