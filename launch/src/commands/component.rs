//! `component`: loading nodes into a running graph and taking them out, as `ros2 component` does.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use graph::suggest;
use msgs::composition_interfaces::srv::{
    ListNodes, ListNodesRequest, ListNodesResponse, LoadNode, LoadNodeRequest, UnloadNode, UnloadNodeRequest,
};
use msgs::rcl_interfaces::msg::Parameter;

use crate::file::Value;
use crate::registry;
use crate::remote::{Remote, full};

/// What a container's services end with.
const LIST: &str = "/_container/list_nodes";

/// `omnimind component`
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Containers of the running graph and what they have loaded
    List {
        /// Only this container
        container: Option<String>,
    },
    /// Load a node into a container
    Load {
        /// The container
        container: String,
        /// The package, e.g. omnimind
        package: String,
        /// The node type, e.g. vision or omnimind::Vision
        plugin: String,
        /// The node's name
        #[arg(short = 'n', long = "node-name", default_value = "")]
        name: String,
        /// The node's namespace
        #[arg(long = "node-namespace", default_value = "")]
        namespace: String,
        /// 10 debug, 20 info, 30 warn, 40 error, 50 fatal
        #[arg(long = "log-level", default_value_t = 0)]
        log_level: u8,
        /// from:=to
        #[arg(short = 'r', long = "remap-rule")]
        remap: Vec<String>,
        /// name:=value
        #[arg(short = 'p', long = "parameter")]
        parameters: Vec<String>,
        /// For the container, name:=value
        #[arg(short = 'e', long = "extra-argument")]
        extra: Vec<String>,
    },
    /// Take nodes out of a container
    Unload {
        /// The container
        container: String,
        /// As `list` shows them
        #[arg(required = true)]
        ids: Vec<u64>,
    },
    /// Node types that containers of this program load
    Types {
        /// Only this package
        package: Option<String>,
    },
}

/// Runs the command.
pub fn run(command: &ComponentCommand) -> Result<ExitCode> {
    match command {
        ComponentCommand::Types { package } => types(package.as_deref())?,
        ComponentCommand::List { container } => list(container.as_deref())?,
        ComponentCommand::Load { container, package, plugin, name, namespace, log_level, remap, parameters, extra } => {
            let remote = Remote::connect()?;
            let container = find(&remote, container)?;
            let request = LoadNodeRequest {
                package_name: package.clone(),
                plugin_name: plugin.clone(),
                node_name: name.clone(),
                node_namespace: namespace.clone(),
                log_level: *log_level,
                remap_rules: remap.clone(),
                parameters: assignments(parameters)?,
                extra_arguments: assignments(extra)?,
            };
            let answer = remote.call::<LoadNode>(&format!("{container}/_container/load_node"), &request)?;
            if !answer.success {
                bail!("{container} did not load `{plugin}`: {}", answer.error_message);
            }
            println!("Loaded component {} into '{container}' container node as '{}'", answer.unique_id, answer.full_node_name);
        }
        ComponentCommand::Unload { container, ids } => {
            let remote = Remote::connect()?;
            let container = find(&remote, container)?;
            for id in ids {
                let request = UnloadNodeRequest { unique_id: *id };
                let answer = remote.call::<UnloadNode>(&format!("{container}/_container/unload_node"), &request)?;
                if !answer.success {
                    bail!("{container} did not unload component {id}: {}", answer.error_message);
                }
                println!("Unloaded component {id} from '{container}' container node");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn types(package: Option<&str>) -> Result<()> {
    if let Some(other) = package.filter(|package| *package != "omnimind") {
        bail!("there is no package `{other}` here: the nodes of this program are in `omnimind`");
    }
    println!("omnimind");
    for factory in registry::components() {
        println!("  {}", registry::class(factory.name));
    }
    Ok(())
}

fn list(only: Option<&str>) -> Result<()> {
    let remote = Remote::connect()?;
    let chosen = match only {
        Some(container) => vec![find(&remote, container)?],
        None => containers(&remote)?,
    };
    for container in chosen {
        println!("{container}");
        let listed: ListNodesResponse = remote.call::<ListNodes>(&format!("{container}{LIST}"), &ListNodesRequest::default())?;
        for (id, name) in listed.unique_ids.iter().zip(&listed.full_node_names) {
            println!("  {id}  {name}");
        }
    }
    Ok(())
}

fn containers(remote: &Remote) -> Result<Vec<String>> {
    let services = remote.view()?.services();
    let served = services.iter().filter(|service| !service.sources.is_empty());
    Ok(served.filter_map(|service| service.name.strip_suffix(LIST)).map(str::to_owned).collect())
}

fn find(remote: &Remote, name: &str) -> Result<String> {
    let (name, known) = (full(name), containers(remote)?);
    if !known.contains(&name) {
        bail!("there is no container `{name}`{}", suggest::hint(&name, known.iter().map(String::as_str)));
    }
    Ok(name)
}

/// `name:=value`, values as in parameter files.
fn assignments(words: &[String]) -> Result<Vec<Parameter>> {
    let mut parameters = Vec::new();
    for word in words {
        let Some((name, text)) = word.split_once(":=").filter(|(name, _)| !name.is_empty()) else {
            bail!("`{word}` is not of the form name:=value");
        };
        let value = registry::param_value(&Value::from_parameter_text(text));
        parameters.push(Parameter { name: name.to_owned(), value: value.to_msg() });
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_or_refused() {
        let good = assignments(&["rate:=5".into(), "name:=a b".into(), "on:=yes".into()]).unwrap();
        assert_eq!(good[0].value.integer_value, 5);
        assert_eq!((good[1].value.string_value.as_str(), good[2].value.bool_value), ("a b", true));
        for bad in ["rate", "rate=5", ":=5"] {
            assert!(assignments(&[bad.into()]).is_err(), "{bad}");
        }
    }
}
