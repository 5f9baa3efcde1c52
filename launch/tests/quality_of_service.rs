//! The shipped graphs: every publisher offers what the subscriptions of its topic request.

use std::collections::BTreeMap;
use std::path::Path;

use graph::{Graph, GraphConfig, NodeSpec, SetupError, silent_sink};
use omnimind::file::{Options, Value, load};
use omnimind::registry;

#[test]
fn no_two_ends_of_a_shipped_graph_misfit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    // Parameters name files relative to the folder that OmniMind is run in.
    std::env::set_current_dir(root).unwrap();
    for file in ["demo.yaml", "robot.yaml"] {
        let options = Options {
            arguments: BTreeMap::new(),
            builtin: BTreeMap::from([
                ("share_dir".to_owned(), Value::Text(root.display().to_string())),
                ("out_dir".to_owned(), Value::Text(std::env::temp_dir().join("omnimind-misfits").display().to_string())),
            ]),
        };
        let launch = load(&root.join("launch").join(file), &registry::catalogue(), &options).unwrap();
        let mut graph = Graph::new(GraphConfig { log: silent_sink(), ..GraphConfig::default() }).unwrap();
        let mut here = 0;
        for node in &launch.nodes {
            let mut spec = NodeSpec {
                name: Some(node.name.clone()),
                namespace: Some(node.namespace.clone()).filter(|name| !name.is_empty()),
                remaps: node.remap.iter().cloned().collect(),
                ..NodeSpec::default()
            };
            spec.parameters = node.parameters.iter().map(|(k, v)| (k.clone(), registry::param_value(v))).collect();
            let factory = registry::factory(&node.type_).unwrap();
            loop {
                match graph.add(factory, spec.clone()) {
                    Ok(()) => here += 1,
                    Err(SetupError::UnknownParameter { name, .. }) if spec.parameters.remove(&name).is_some() => continue,
                    // A driver without its device.
                    Err(SetupError::Node { .. }) => {}
                    Err(error) => panic!("{file}: {error}"),
                }
                break;
            }
        }
        assert!(here > 8, "{file}: only {here} nodes could be set up");
        assert_eq!(graph.misfits(), [""; 0], "{file}");
    }
}
