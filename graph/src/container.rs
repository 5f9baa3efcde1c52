//! A container: a node that loads and unloads others by the services of composition_interfaces, as rclcpp's `component_container` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgs::composition_interfaces::srv::{
    ListNodes, ListNodesResponse, LoadNode, LoadNodeRequest, LoadNodeResponse, UnloadNode, UnloadNodeResponse,
};
use msgs::rcl_interfaces::msg::Parameter;
use parking_lot::Mutex;

use crate::compose::{ChangeError, NodeRef};
use crate::context::Context;
use crate::error::{HandlerResult, SetupError};
use crate::graph::{NodeFactory, NodeSpec};
use crate::logger::Severity;
use crate::node::{Injector, Node, Setup};
use crate::param::ParamValue;
use crate::service::Responder;
use crate::suggest::nearest;

/// The package that all node types of a graph belong to.
const PACKAGE: &str = "omnimind";

/// Loads and unloads nodes of this process on request.
///
/// `~/_container/load_node` takes the package `omnimind` and a plug-in name: the node type as launch files say it (`gpu_manager`) or in the
/// form of a C++ component (`omnimind::GpuManager`). Loaded nodes stay when the container itself is started again or goes.
pub struct Container {
    loaded: Arc<Mutex<Loaded>>,
    back: Injector<Self>,
}

/// What a container has loaded. It outlives the container's lives.
#[derive(Default)]
pub(crate) struct Loaded {
    nodes: BTreeMap<u64, NodeRef>,
    last: u64,
}

impl Loaded {
    fn add(&mut self, node: &NodeRef) -> u64 {
        self.last += 1;
        self.nodes.insert(self.last, node.clone());
        self.last
    }
}

impl Node for Container {
    const NAME: &'static str = "component_container";

    fn setup(setup: &mut Setup<Self>) -> Result<Self, SetupError> {
        setup.service_deferred::<LoadNode>("~/_container/load_node", Self::load)?;
        setup.service_deferred::<UnloadNode>("~/_container/unload_node", Self::unload)?;
        setup.service::<ListNodes>("~/_container/list_nodes", |node: &mut Self, _, _| {
            let loaded = node.loaded.lock();
            let (unique_ids, names) = loaded.nodes.iter().map(|(id, loaded)| (*id, loaded.name.to_string())).unzip();
            Ok(ListNodesResponse { full_node_names: names, unique_ids })
        })?;
        let loaded = setup.shared.composition.loaded_by(setup.slot.identity.id);
        // No answer may be lost: there is one for each load or unload, and many may be made at once.
        Ok(Self { loaded, back: setup.injector_of(usize::MAX) })
    }
}

impl Container {
    fn load(&mut self, ctx: &mut Context, request: LoadNodeRequest, responder: Responder<LoadNode>) -> HandlerResult {
        let (factory, spec) = match find(&ctx.node_types(), &request).and_then(|factory| Ok((factory, describe(ctx, &request)?)))
        {
            Ok(both) => both,
            Err(error_message) => {
                ctx.error(format!("cannot load `{}`: {error_message}", request.plugin_name));
                responder.respond(ctx, LoadNodeResponse { error_message, ..Default::default() });
                return Ok(());
            }
        };
        let (back, loaded) = (self.back.clone(), Arc::clone(&self.loaded));
        ctx.add_node(factory, spec, move |result| {
            // Noted at once: the container may be started again before it is told.
            let result = result.map(|node| (loaded.lock().add(&node), node));
            // False when the container is gone: then nobody waits for the answer either.
            back.send(move |_, ctx| {
                answer(ctx, factory.name, result, responder);
                Ok(())
            });
        });
        Ok(())
    }

    fn unload(
        &mut self,
        ctx: &mut Context,
        request: msgs::composition_interfaces::srv::UnloadNodeRequest,
        responder: Responder<UnloadNode>,
    ) -> HandlerResult {
        let id = request.unique_id;
        let Some(node) = self.loaded.lock().nodes.remove(&id) else {
            let error_message = format!("No node found with unique_id: {id}");
            responder.respond(ctx, UnloadNodeResponse { error_message, ..Default::default() });
            return Ok(());
        };
        let back = self.back.clone();
        ctx.remove_node(&node, move |result| {
            back.send(move |_, ctx| {
                let error_message = result.err().map(|error| error.to_string()).unwrap_or_default();
                responder.respond(ctx, UnloadNodeResponse { success: error_message.is_empty(), error_message });
                Ok(())
            });
        });
        Ok(())
    }
}

/// Tells how a load went.
fn answer(ctx: &mut Context, kind: &str, result: Result<(u64, NodeRef), ChangeError>, responder: Responder<LoadNode>) {
    let response = match result {
        Ok((unique_id, node)) => {
            let full_node_name = node.name.to_string();
            ctx.info(format!("loaded `{kind}` as {full_node_name} ({unique_id})"));
            LoadNodeResponse { success: true, full_node_name, unique_id, ..Default::default() }
        }
        Err(error) => {
            ctx.error(format!("cannot load `{kind}`: {error}"));
            LoadNodeResponse { error_message: error.to_string(), ..Default::default() }
        }
    };
    responder.respond(ctx, response);
}

/// The node type that a request names.
fn find(types: &[NodeFactory], request: &LoadNodeRequest) -> Result<NodeFactory, String> {
    if request.package_name != PACKAGE {
        return Err(format!(
            "there is no package `{}` here: the nodes of this container are in `{PACKAGE}`",
            request.package_name
        ));
    }
    if types.is_empty() {
        return Err("this graph was given no catalogue of node types".into());
    }
    let wanted = match request.plugin_name.strip_prefix("omnimind::") {
        Some(class) => snake(class),
        None => request.plugin_name.clone(),
    };
    types.iter().find(|factory| factory.name == wanted).copied().ok_or_else(|| {
        let hint = nearest(&wanted, types.iter().map(|factory| factory.name));
        let hint = hint.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("there is no node type `{}`{hint}", request.plugin_name)
    })
}

/// What the request says about the node.
fn describe(ctx: &mut Context, request: &LoadNodeRequest) -> Result<NodeSpec, String> {
    let mut spec = NodeSpec {
        log_level: level(request.log_level)?,
        name: Some(request.node_name.clone()).filter(|name| !name.is_empty()),
        namespace: namespace(&request.node_namespace)?,
        ..NodeSpec::default()
    };
    for rule in &request.remap_rules {
        let Some((from, to)) = rule.split_once(":=").filter(|(from, to)| !from.is_empty() && !to.is_empty()) else {
            return Err(format!("`{rule}` is no remap rule: they are written from:=to"));
        };
        match from {
            "__node" | "__name" => spec.name = Some(to.to_owned()),
            "__ns" => spec.namespace = namespace(to)?,
            // A request is for one node: a rule that names a node (`node:from:=to`) can only mean this one.
            _ if unschemed(from).contains(':') || from.contains('*') => {
                return Err(format!(
                    "the remap rule `{rule}` is not understood: only [rostopic://|rosservice://]from:=to, __node:= and __ns:= are"
                ));
            }
            _ => {
                spec.remaps.insert(from.to_owned(), to.to_owned());
            }
        }
    }
    for parameter in &request.parameters {
        spec.parameters.insert(parameter.name.clone(), value(parameter)?);
    }
    for argument in &request.extra_arguments {
        match argument.name.as_str() {
            // Edges within a process are always shared pointers, and there are no global arguments that could be forwarded.
            "use_intra_process_comms" | "forward_global_arguments" => {
                if !matches!(value(argument)?, ParamValue::Bool(_)) {
                    return Err(format!("the extra argument `{}` must be true or false", argument.name));
                }
            }
            other => ctx.warn(format!("the extra argument `{other}` means nothing to this container")),
        }
    }
    Ok(spec)
}

/// As rclcpp_components, which makes it a rule `__ns:=`: it begins with a slash and takes the place of the default, here the robot's namespace.
fn namespace(given: &str) -> Result<Option<String>, String> {
    match given {
        "" => Ok(None),
        _ if given.starts_with('/') => Ok(Some(given.to_owned())),
        _ => Err(format!("the namespace `{given}` must begin with a slash")),
    }
}

/// A rule's name without the scheme that says whether it is for topics or for services only.
fn unschemed(from: &str) -> &str {
    ["rostopic://", "rosservice://"].iter().find_map(|scheme| from.strip_prefix(scheme)).unwrap_or(from)
}

fn value(parameter: &Parameter) -> Result<ParamValue, String> {
    ParamValue::from_msg(&parameter.value)
        .ok_or_else(|| format!("parameter `{}`: a value of that type cannot be set", parameter.name))
}

/// rcl_interfaces/Log: 10 (debug) to 50 (fatal); 0 is none.
fn level(level: u8) -> Result<Option<Severity>, String> {
    match Severity::from_code(level.into()) {
        None if level != 0 => Err(format!("{level} is no log level: there are 10, 20, 30, 40 and 50")),
        severity => Ok(severity),
    }
}

/// `GpuManager` as `gpu_manager`.
fn snake(class: &str) -> String {
    let mut name = String::with_capacity(class.len() + 4);
    for (index, letter) in class.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, GraphConfig};

    #[test]
    fn class_names_are_node_types() {
        assert_eq!(snake("Vision"), "vision");
        assert_eq!(snake("GpuManager"), "gpu_manager");
        assert_eq!(snake("vision"), "vision");
        assert_eq!(snake(""), "");
    }

    struct Empty;
    impl Node for Empty {
        const NAME: &'static str = "empty";
        fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
            Ok(Self)
        }
    }

    fn spec(name: &str, namespace: Option<&str>) -> NodeSpec {
        NodeSpec { name: Some(name.into()), namespace: namespace.map(str::to_owned), ..NodeSpec::default() }
    }

    #[test]
    fn a_namespace_with_a_slash_in_front_is_not_below_the_robots() {
        let config = GraphConfig { robot: "r".into(), log: crate::silent_sink(), ..GraphConfig::default() };
        let mut graph = Graph::new(config).unwrap();
        for (name, namespace) in [("a", None), ("b", Some("deep")), ("c", Some("/deep")), ("d", Some("/"))] {
            graph.add(NodeFactory::of::<Empty>(), spec(name, namespace)).unwrap();
        }
        let names: Vec<_> = graph.handle().nodes().iter().map(|node| node.name.to_string()).collect();
        assert_eq!(names[1..], ["/r/a", "/r/deep/b", "/deep/c", "/d"]);
    }

    #[test]
    fn a_container_knows_what_it_has_loaded_when_it_is_started_again() {
        let mut graph = Graph::new(GraphConfig { log: crate::silent_sink(), ..GraphConfig::default() }).unwrap();
        graph.add(NodeFactory::of::<Container>(), NodeSpec::default()).unwrap();
        graph.add(NodeFactory::of::<Empty>(), NodeSpec::default()).unwrap();
        let (shared, nodes) = (Arc::clone(graph.shared()), graph.handle().nodes());
        let slot = shared.slot(1).unwrap();
        let loaded = shared.composition.loaded_by(slot.identity.id);
        assert_eq!(loaded.lock().add(&nodes[2]), 1);
        slot.bury(&mut slot.runtime.lock());
        shared.unregister(&slot);
        slot.reset();
        slot.bring_up(&shared).unwrap();
        let again = shared.composition.loaded_by(slot.identity.id);
        assert!(Arc::ptr_eq(&loaded, &again) && again.lock().nodes[&1] == nodes[2]);
        assert_eq!(again.lock().add(&nodes[2]), 2, "an identity is not used again");
        assert!(Arc::strong_count(&loaded) >= 4, "the container itself has it too");
    }
}
