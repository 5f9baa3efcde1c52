//! What lies where in a prefix (ament_index: "resource index"; REP 122; REP 149).

use std::fs;
use std::path::{Path, PathBuf};

use super::{How, InstallError, Installation, description, io};
use crate::registry;

/// One file of the prefix.
pub(super) struct Item {
    /// Relative to the prefix.
    pub path: PathBuf,
    pub content: Content,
    /// Left out where another package has the file already.
    pub optional: bool,
}

pub(super) enum Content {
    Copy(PathBuf),
    Link(PathBuf),
    Text(String),
}

/// The folders that are needed to run, relative to OmniMind's own.
const FOLDERS: [&str; 6] = ["launch", "launch/parts", "config", "sim/worlds", "sim/assets", "models/data"];
const INDEX: &str = "share/ament_index/resource_index";

pub(super) fn items(installation: &Installation, prefix: &Path) -> Result<Vec<Item>, InstallError> {
    let source = &installation.source;
    let place = |file: PathBuf| match installation.how {
        How::Copy => Content::Copy(file),
        How::Link => Content::Link(file),
    };
    let mut items = Vec::new();
    let mut add = |path: &str, content: Content| items.push(Item { path: path.into(), content, optional: false });

    let program = installation.program.canonicalize().map_err(io("read", &installation.program))?;
    add("bin/omnimind", place(program));
    add("lib/omnimind/omnimind", Content::Link("../../bin/omnimind".into()));
    for kind in registry::kinds() {
        add(&format!("lib/omnimind/{}", kind.factory.name), Content::Link("../../bin/omnimind".into()));
    }

    for folder in FOLDERS {
        for file in files(source, folder)? {
            if folder != "launch" || is_launch_file(&file) {
                let name = file.strip_prefix(source).unwrap_or(&file).display().to_string();
                add(&format!("share/omnimind/{name}"), place(file));
            }
        }
    }
    let package = first_of(source, &["launch/package.xml", "package.xml"])?;
    let run_dependencies = dependencies(&package)?;
    add("share/omnimind/package.xml", place(package));

    let interfaces = first_of(source, &["msgs/interfaces/omnimind_msgs/package.xml", "../omnimind_msgs/package.xml"])?;
    let folder = interfaces.parent().unwrap_or(source).to_path_buf();
    let mut resources = Vec::new();
    for part in ["msg", "srv", "action"] {
        for file in files(&folder, part)? {
            let name = file.strip_prefix(&folder).unwrap_or(&file).display().to_string();
            // An installed folder has descriptions already; those of this program are written.
            if name.ends_with(".json") {
                continue;
            }
            let plain = name.rsplit_once('.').map_or(name.as_str(), |(plain, _)| plain);
            if let Some(text) = description::file(&format!("omnimind_msgs/{plain}")) {
                add(&format!("share/omnimind_msgs/{plain}.json"), Content::Text(text));
            }
            add(&format!("share/omnimind_msgs/{name}"), place(file));
            resources.push(name);
        }
    }
    let interface_dependencies = dependencies(&interfaces)?;
    add("share/omnimind_msgs/package.xml", place(interfaces));

    add(&format!("{INDEX}/packages/omnimind"), Content::Text(String::new()));
    add(&format!("{INDEX}/packages/omnimind_msgs"), Content::Text(String::new()));
    add(&format!("{INDEX}/package_run_dependencies/omnimind"), Content::Text(run_dependencies));
    add(&format!("{INDEX}/package_run_dependencies/omnimind_msgs"), Content::Text(interface_dependencies));
    add(&format!("{INDEX}/rosidl_interfaces/omnimind_msgs"), Content::Text(resources.join("\n")));
    add(&format!("{INDEX}/rclcpp_components/omnimind"), Content::Text(components()));

    for (name, text) in setup_files(prefix) {
        add(&format!("share/omnimind/{name}"), Content::Text(text));
    }
    // A prefix that several packages share has its own.
    for (name, text) in setup_files(prefix) {
        for name in [name.to_owned(), name.replace("local_", "")] {
            items.push(Item { path: name.into(), content: Content::Text(text.clone()), optional: true });
        }
    }
    Ok(items)
}

fn is_launch_file(file: &Path) -> bool {
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let endings = [".yaml", ".launch.py", ".launch.xml"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The files of a folder; with everything below it, but for `launch`, whose folders hold its source.
fn files(root: &Path, folder: &str) -> Result<Vec<PathBuf>, InstallError> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Err(InstallError::Incomplete { folder: root.to_path_buf(), missing: folder.to_owned() });
    }
    let mut found = Vec::new();
    let mut folders = vec![path];
    while let Some(path) = folders.pop() {
        for entry in fs::read_dir(&path).map_err(io("read", &path))? {
            let entry = entry.map_err(io("read", &path))?.path();
            let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
            if entry.is_dir() && !hidden && folder != "launch" {
                folders.push(entry);
            } else if entry.is_file() && !hidden {
                found.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn first_of(root: &Path, names: &[&str]) -> Result<PathBuf, InstallError> {
    let found = names.iter().map(|name| root.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| InstallError::Incomplete { folder: root.to_path_buf(), missing: names[0].to_owned() })
}

/// What a package.xml names as needed to run, as the index has it: `a;b`.
fn dependencies(package: &Path) -> Result<String, InstallError> {
    let text = fs::read_to_string(package).map_err(io("read", package))?;
    let mut names = Vec::new();
    for tag in ["depend", "exec_depend"] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        for part in text.split(&open).skip(1) {
            if let Some((name, _)) = part.split_once(&close) {
                names.push(name.trim().to_owned());
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names.join(";"))
}

/// `omnimind::GpuManager;lib/omnimind/gpu_manager` per node type that a container loads: what `ros2 component types` shows. Only
/// OmniMind's own container can load them; they are no shared libraries.
fn components() -> String {
    let line = |name: &str| format!("{};lib/omnimind/{name}\n", registry::class(name));
    registry::components().iter().map(|factory| line(factory.name)).collect()
}

fn setup_files(prefix: &Path) -> [(&'static str, String); 2] {
    let quoted = format!("'{}'", prefix.display().to_string().replace('\'', r"'\''"));
    let text = |shell: &str| {
        format!(
            "# Written by `omnimind install`, for {shell}: puts this prefix in front of AMENT_PREFIX_PATH and PATH, once.
omnimind_prefix={quoted}
case \":${{AMENT_PREFIX_PATH:-}}:\" in
    *\":$omnimind_prefix:\"*) ;;
    *) export AMENT_PREFIX_PATH=\"$omnimind_prefix${{AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}}\" ;;
esac
case \":${{PATH:-}}:\" in
    *\":$omnimind_prefix/bin:\"*) ;;
    *) export PATH=\"$omnimind_prefix/bin${{PATH:+:$PATH}}\" ;;
esac
unset omnimind_prefix
"
        )
    };
    [("local_setup.sh", text("sh")), ("local_setup.bash", text("bash"))]
}
