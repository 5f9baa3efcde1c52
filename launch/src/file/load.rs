//! From launch-file text to a checked [`Launch`]: includes, arguments, substitution, parameters.

use super::arguments::{Argument, declare, fill};
use super::catalogue::Catalogue;
use super::error::{At, LaunchError};
use super::params;
use super::read::Reader;
use super::value::{Scope, Value, substitute_tree};
use super::yaml::{Kind, Yaml};
use super::{GraphSettings, Launch, Mode, NodeSpec, Restart, RestartPolicy, Resume};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the caller knows when it reads a launch file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Arguments given by the user (`name:=value`).
    pub arguments: BTreeMap<String, Value>,
    /// Names that every file may use without declaring them (`share_dir`, `out_dir`); `launch_dir` is added per file.
    pub builtin: Scope,
}

/// Reads a launch file with everything that it includes.
///
/// # Errors
/// Any [`LaunchError`].
pub fn load(path: &Path, catalogue: &Catalogue, options: &Options) -> Result<Launch, LaunchError> {
    let at = At { file: path.to_path_buf(), line: 0 };
    let text = read(path, &at)?;
    load_text(path, &text, catalogue, options)
}

/// As [`load`] for a text that is already in memory; `path` is used for messages and for relative paths.
///
/// # Errors
/// Any [`LaunchError`].
pub fn load_text(path: &Path, text: &str, catalogue: &Catalogue, options: &Options) -> Result<Launch, LaunchError> {
    let mut loader = Loader { catalogue, builtin: &options.builtin, stack: Vec::new(), nodes: Vec::new() };
    let at = At { file: path.to_path_buf(), line: 0 };
    let outer = loader.file(path, text, &options.arguments, "", &at)?;
    if loader.nodes.is_empty() {
        return Err(LaunchError::NoNodes { at });
    }
    Ok(Launch {
        graph: outer.graph.unwrap_or_default(),
        nodes: loader.nodes,
        arguments: outer.arguments,
        values: outer.values,
        single: None,
    })
}

struct Loader<'a> {
    catalogue: &'a Catalogue,
    builtin: &'a Scope,
    stack: Vec<PathBuf>,
    nodes: Vec<NodeSpec>,
}

struct FileResult {
    graph: Option<GraphSettings>,
    arguments: Vec<Argument>,
    values: BTreeMap<String, Value>,
}

const TOP: [&str; 4] = ["arguments", "graph", "include", "nodes"];
const NODE: [&str; 12] = [
    "type",
    "name",
    "namespace",
    "parameters",
    "parameter_files",
    "remap",
    "process",
    "restart",
    "log_level",
    "autostart",
    "when",
    "unless",
];
/// As [`graph::Severity`] reads them.
const SEVERITIES: [&str; 5] = ["debug", "info", "warn", "error", "fatal"];

impl Loader<'_> {
    fn file(
        &mut self,
        path: &Path,
        text: &str,
        given: &BTreeMap<String, Value>,
        namespace: &str,
        caller: &At,
    ) -> Result<FileResult, LaunchError> {
        // The canonical path closes circles that go through links or "..".
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if let Some(start) = self.stack.iter().position(|p| *p == identity) {
            let names: Vec<String> = self.stack[start..].iter().chain([&identity]).map(|p| file_name(p)).collect();
            return Err(LaunchError::CyclicInclude { at: caller.clone(), chain: names.join(" -> ") });
        }
        self.stack.push(identity);

        let at = |line| At { file: path.to_path_buf(), line };
        let raw = Yaml::parse(text).map_err(|e| LaunchError::Yaml { at: at(e.line), message: e.message })?;
        let top = Reader::new(path, &raw, "the launch file", &TOP)?;
        let mut scope = self.builtin.clone();
        let folder = path
            .parent()
            .map_or_else(|| ".".to_owned(), |p| if p.as_os_str().is_empty() { ".".into() } else { p.display().to_string() });
        scope.insert("launch_dir".into(), Value::Text(folder));
        let arguments = declare(path, &top, &scope)?;
        fill(&mut scope, &arguments, given, caller)?;

        let tree = match &raw.kind {
            // Declarations are already read; their texts must not be substituted by the arguments they declare.
            Kind::Map(entries) => {
                let rest = entries.iter().filter(|e| e.key != "arguments").cloned().collect();
                substitute_tree(&Yaml { line: raw.line, kind: Kind::Map(rest) }, &scope, path)?
            }
            _ => raw.clone(),
        };
        let top = Reader::new(path, &tree, "the launch file", &TOP)?;
        let mut graph = None;
        for item in top.list("include")? {
            let included = self.include(path, &top, item, namespace)?;
            graph = graph.or(included);
        }
        for item in top.list("nodes")? {
            self.node(path, item, namespace)?;
        }
        if let Some(yaml) = top.get("graph") {
            graph = Some(graph_section(path, yaml)?);
        }
        self.stack.pop();
        let values = arguments.iter().filter_map(|a| scope.get(&a.info.name).map(|v| (a.info.name.clone(), v.clone()))).collect();
        Ok(FileResult { graph, arguments, values })
    }

    fn include(
        &mut self,
        path: &Path,
        top: &Reader<'_>,
        item: &Yaml,
        namespace: &str,
    ) -> Result<Option<GraphSettings>, LaunchError> {
        let at = top.at(item.line);
        let (file, given, inner) = match &item.kind {
            Kind::Text(file) => (file.clone(), BTreeMap::new(), String::new()),
            _ => {
                let reader = Reader::new(path, item, "an include", &["file", "arguments", "namespace", "when", "unless"])?;
                if reader.switched_off()? {
                    return Ok(None);
                }
                let mut values = Vec::new();
                params::flatten(path, reader.map("arguments")?, "", &mut values)?;
                let given = values.into_iter().map(|(name, value, _)| (name, value)).collect();
                (reader.need_text("file")?, given, reader.text("namespace")?.unwrap_or_default())
            }
        };
        let target = path.parent().unwrap_or(Path::new("")).join(file);
        let text = read(&target, &at)?;
        let result = self.file(&target, &text, &given, &join(namespace, &inner), &at)?;
        Ok(result.graph)
    }

    fn node(&mut self, path: &Path, item: &Yaml, namespace: &str) -> Result<(), LaunchError> {
        let reader = Reader::new(path, item, "a node", &NODE)?;
        let type_ = reader.need_text("type")?;
        let type_at = reader.at(reader.need("type")?.line);
        if !self.catalogue.contains(&type_) {
            return Err(self.catalogue.unknown_node(&type_, &type_at));
        }
        let name = reader.text("name")?.unwrap_or_else(|| type_.clone());
        check_name(&reader, "name", &name, false)?;
        let own = reader.text("namespace")?.unwrap_or_default();
        check_name(&reader, "namespace", &own, true)?;
        let mut spec = NodeSpec {
            type_,
            name,
            namespace: join(namespace, &own),
            parameters: BTreeMap::new(),
            parameter_lines: BTreeMap::new(),
            optional: BTreeSet::new(),
            remap: Vec::new(),
            process: reader.text("process")?.filter(|process| !process.is_empty()),
            restart: restart_section(path, &reader)?,
            log_level: reader.word("log_level", &SEVERITIES)?.and_then(|word| word.parse().ok()),
            autostart: autostart(&reader)?,
            at: type_at,
        };
        self.parameters(path, &reader, &mut spec)?;
        for entry in reader.map("remap")? {
            match &entry.value.kind {
                Kind::Text(to) => spec.remap.push((entry.key.clone(), to.clone())),
                _ => return Err(reader.wrong("remap", "pairs of names", &entry.value)),
            }
        }
        // Read in full even when it is switched off, so that a mistake shows before the switch is turned.
        if reader.switched_off()? {
            return Ok(());
        }
        if let Some(first) = self.nodes.iter().find(|n| n.full_name() == spec.full_name()) {
            return Err(LaunchError::DuplicateNode { at: spec.at.clone(), name: spec.full_name(), first: first.at.clone() });
        }
        self.nodes.push(spec);
        Ok(())
    }

    fn parameters(&self, path: &Path, reader: &Reader<'_>, spec: &mut NodeSpec) -> Result<(), LaunchError> {
        for item in reader.list("parameter_files")? {
            let Kind::Text(file) = &item.kind else { return Err(reader.wrong("parameter_files", "a list of paths", item)) };
            let target = path.parent().unwrap_or(Path::new("")).join(file);
            self.parameter_file(&target, &reader.at(item.line), spec)?;
        }
        let mut values = Vec::new();
        params::flatten(path, reader.map("parameters")?, "", &mut values)?;
        for (name, value, line) in values {
            let at = reader.at(line);
            let checked = match self.catalogue.param(&spec.type_, &name, &at)? {
                Some(info) => info.check(&spec.name, &value, &at)?,
                None => value,
            };
            spec.set(&name, checked, at);
            spec.optional.remove(&name);
        }
        Ok(())
    }

    fn parameter_file(&self, target: &Path, caller: &At, spec: &mut NodeSpec) -> Result<(), LaunchError> {
        let text = read(target, caller)?;
        let full_name = spec.full_name();
        for section in params::parse(target, &text)?.iter().filter(|s| s.matches(&full_name)) {
            for (name, value, line) in &section.values {
                let at = At { file: target.to_path_buf(), line: *line };
                // Every ROS 2 node has it, whatever its type declares.
                if name == "use_sim_time" {
                    spec.set(name, value.clone(), at);
                    continue;
                }
                match self.catalogue.param(&spec.type_, name, &at) {
                    Ok(Some(info)) => spec.set(name, info.check(&spec.name, value, &at)?, at),
                    Ok(None) => {
                        spec.set(name, value.clone(), at);
                        if section.is_wildcard() {
                            spec.optional.insert(name.clone());
                        }
                    }
                    // `/**` speaks to many nodes, each takes what it knows (as in ROS 2).
                    Err(_) if section.is_wildcard() => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}

fn graph_section(path: &Path, yaml: &Yaml) -> Result<GraphSettings, LaunchError> {
    let reader =
        Reader::new(path, yaml, "`graph`", &["mode", "step_ms", "rate", "snapshot_every_s", "resume_bag", "resume_at_s"])?;
    let defaults = GraphSettings::default();
    let mode = match reader.word("mode", &["lock-step", "free-running"])?.as_deref() {
        Some("lock-step") => Mode::LockStep,
        _ => Mode::FreeRunning,
    };
    let resume = match reader.number("resume_at_s", -1.0, 1e9)? {
        Some(at_s) if at_s >= 0.0 => {
            let bag = reader.text("resume_bag")?.filter(|bag| !bag.is_empty());
            let bag =
                bag.ok_or_else(|| LaunchError::MissingKey { at: reader.at(yaml.line), key: "resume_bag", place: "`graph`" })?;
            Some(Resume { bag: bag.into(), at_s })
        }
        _ => None,
    };
    Ok(GraphSettings {
        mode,
        snapshot_every_s: reader.number("snapshot_every_s", 0.0, 1e9)?.unwrap_or(defaults.snapshot_every_s),
        resume,
        step_ms: reader.number("step_ms", 0.1, 1000.0)?.unwrap_or(defaults.step_ms),
        rate: reader.number("rate", 0.0, 1000.0)?.unwrap_or(defaults.rate),
    })
}

fn restart_section(path: &Path, node: &Reader<'_>) -> Result<Restart, LaunchError> {
    let mut restart = Restart::default();
    let Some(yaml) = node.get("restart") else { return Ok(restart) };
    let reader = Reader::new(path, yaml, "`restart`", &["policy", "max", "backoff_ms"])?;
    restart.policy = match reader.word("policy", &["always", "on-failure", "never"])?.as_deref() {
        Some("always") => RestartPolicy::Always,
        Some("never") => RestartPolicy::Never,
        _ => RestartPolicy::OnFailure,
    };
    let whole = |key: &str, limit: u32| -> Result<Option<u32>, LaunchError> {
        match reader.get(key) {
            None => Ok(None),
            Some(Yaml { kind: Kind::Int(v), .. }) if *v >= 0 && *v <= i64::from(limit) => Ok(u32::try_from(*v).ok()),
            Some(other) => Err(reader.wrong(key, &format!("a whole number from 0 to {limit}"), other)),
        }
    };
    restart.max = whole("max", 1000)?.unwrap_or(restart.max);
    restart.backoff_ms = whole("backoff_ms", 60_000)?.map_or(restart.backoff_ms, u64::from);
    Ok(restart)
}

fn autostart(node: &Reader<'_>) -> Result<bool, LaunchError> {
    match node.get("autostart") {
        None => Ok(false),
        Some(Yaml { kind: Kind::Bool(v), .. }) => Ok(*v),
        Some(other) => Err(node.wrong("autostart", "true or false", other)),
    }
}

fn check_name(reader: &Reader<'_>, key: &str, name: &str, slashes: bool) -> Result<(), LaunchError> {
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let trimmed = name.trim_matches('/');
    let fine = if slashes { trimmed.is_empty() || trimmed.split('/').all(good) } else { good(name) };
    if fine {
        return Ok(());
    }
    let line = reader.get(key).map_or(0, |v| v.line);
    Err(LaunchError::OutOfRange {
        at: reader.at(line),
        what: format!("`{key}` of a node"),
        value: format!("`{name}`"),
        allowed: "letters, digits and underscores, not beginning with a digit".into(),
    })
}

fn join(outer: &str, inner: &str) -> String {
    let parts: Vec<&str> = [outer, inner].iter().flat_map(|s| s.split('/')).filter(|s| !s.is_empty()).collect();
    parts.join("/")
}

fn read(path: &Path, at: &At) -> Result<String, LaunchError> {
    std::fs::read_to_string(path).map_err(|source| LaunchError::Read { at: at.clone(), path: path.to_path_buf(), source })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
