//! Where launch files, worlds and configuration lie.

use std::path::{Path, PathBuf};

/// The folder that holds `launch/demo.yaml`: `OMNIMIND_HOME`; or `share/omnimind` of the prefix that the program is installed in; or
/// the first that has it among the working directory and its parents, the parents of the program (links followed), and the source
/// tree that it was built from.
#[must_use]
pub fn dir() -> Option<PathBuf> {
    let holds = |dir: &Path| dir.join("launch/demo.yaml").is_file();
    if let Some(home) = std::env::var_os("OMNIMIND_HOME").map(PathBuf::from) {
        return holds(&home).then_some(home);
    }
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok().and_then(|p| p.canonicalize().ok());
    let prefix = program.as_ref().and_then(|p| p.parent()?.parent());
    if let Some(installed) = prefix.map(|prefix| prefix.join("share/omnimind")).filter(|dir| holds(dir)) {
        return Some(installed);
    }
    let parents =
        [here, program].into_iter().flatten().flat_map(|start| start.ancestors().map(Path::to_path_buf).collect::<Vec<_>>());
    let mut places = parents.flat_map(|dir| [dir.clone(), dir.join("share/omnimind")]);
    places
        .find(|dir| holds(dir))
        .or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|dir| holds(dir)).map(Path::to_path_buf))
}

/// A launch file by path or, if there is none of that path, by name (`demo`, `demo.yaml`) in `launch/` of [`dir`].
#[must_use]
pub fn launch_file(name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    if path.exists() {
        return path;
    }
    let Some(dir) = dir() else { return path };
    for candidate in [dir.join("launch").join(name), dir.join("launch").join(format!("{name}.yaml"))] {
        if candidate.is_file() {
            return candidate;
        }
    }
    path
}
