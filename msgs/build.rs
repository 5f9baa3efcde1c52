//! Generates the Rust types from the interface definitions under `interfaces/`.
//!
//! The work is split: `parser` reads one definition, `model` expands services and actions into messages, `describe` computes type
//! hashes, `emit` writes Rust. All but the last are the library's own, which reads definitions at run time.

#[path = "src/definition/describe.rs"]
mod describe;
#[path = "build/emit.rs"]
mod emit;
#[path = "src/definition/model.rs"]
mod model;
#[path = "src/definition/parser.rs"]
mod parser;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=interfaces");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/definition");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let root = env("CARGO_MANIFEST_DIR")?.join("interfaces");
    let (interfaces, sources) = read_interfaces(&root)?;
    let model = model::Model::build(interfaces)?;
    let code = emit::emit(&model, &sources)?;
    let target = env("OUT_DIR")?.join("generated.rs");
    std::fs::write(&target, code).map_err(|e| format!("{}: {e}", target.display()))
}

fn env(name: &str) -> Result<PathBuf, String> {
    std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"))
}

/// Texts of definition files by the full names of the interfaces.
type Sources = BTreeMap<String, String>;

/// Reads `<root>/<package>/{msg,srv,action}/*`, in a fixed order.
fn read_interfaces(root: &Path) -> Result<(Vec<parser::Interface>, Sources), String> {
    let (mut interfaces, mut sources) = (Vec::new(), Sources::new());
    for package in sorted_entries(root)? {
        if !package.is_dir() {
            continue;
        }
        for kind in ["msg", "srv", "action"] {
            let folder = package.join(kind);
            if !folder.is_dir() {
                continue;
            }
            for file in sorted_entries(&folder)? {
                let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
                let name = |path: &Path| path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                let interface =
                    parser::parse(&name(&package), kind, &name(&file), &text).map_err(|e| format!("{}: {e}", file.display()))?;
                sources.insert(format!("{}/{kind}/{}", interface.package, interface.name), text);
                interfaces.push(interface);
            }
        }
    }
    Ok((interfaces, sources))
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        entries.push(entry.map_err(|e| format!("{}: {e}", folder.display()))?.path());
    }
    entries.sort();
    Ok(entries)
}
