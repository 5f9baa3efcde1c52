//! `omnimind install`: OmniMind as an ament package, so that `ros2 launch`, `ros2 run`, `ros2 pkg` and `ros2 interface` find it.
//!
//! What is written is listed in `share/omnimind/installed_files.txt`: a second installation replaces it, a removal removes it, and
//! nothing else is ever touched.

mod description;
mod plan;
mod write;

use std::io;
use std::path::{Path, PathBuf};

pub use write::remove;

/// How the files come into the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The prefix stands alone.
    Copy,
    /// Links to the program and the folder that it was built from, for development.
    Link,
}

/// What is installed and where to.
#[derive(Clone, Debug)]
pub struct Installation {
    /// OmniMind's folder: a source tree, or `share/omnimind` of another prefix.
    pub source: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// Where to.
    pub prefix: PathBuf,
    /// How.
    pub how: How,
}

/// Why nothing was installed or removed, or why it ended half-way.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The prefix lies in the source tree.
    #[error("{} lies inside OmniMind's own folder {}: choose another prefix", prefix.display(), source_tree.display())]
    Inside {
        /// The prefix.
        prefix: PathBuf,
        /// The source tree.
        source_tree: PathBuf,
    },
    /// What would be linked to lies in the prefix: each link would lead to itself.
    #[error("{} lies in the prefix that it would be linked into: `--link` is for a source tree, or a prefix other than its own; nothing was changed", .0.display())]
    Itself(PathBuf),
    /// The folder that the prefix would be made in is not there.
    #[error("{} is not a folder: make it first, or choose another prefix", .0.display())]
    NoFolder(PathBuf),
    /// A file is in the way that OmniMind did not write.
    #[error("{} is in the way: it was not written by `omnimind install`; nothing was changed", .0.display())]
    Foreign(PathBuf),
    /// There is nothing to remove.
    #[error("OmniMind is not installed in {}", .0.display())]
    NotInstalled(PathBuf),
    /// The list of installed files is not one.
    #[error("{}: `{line}` is not a path inside the prefix; nothing was changed", list.display())]
    List {
        /// The list.
        list: PathBuf,
        /// Its line.
        line: String,
    },
    /// A part of OmniMind is missing.
    #[error("OmniMind's folder {} is not complete: {missing} is missing", folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// What is missing, relative to it.
        missing: String,
    },
    /// The operating system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// write, read, remove
        action: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Installation {
    /// Writes the package; how many files.
    ///
    /// # Errors
    /// [`InstallError`]; only [`InstallError::Io`] may leave a part behind, which is then listed and can be removed.
    pub fn install(&self) -> Result<usize, InstallError> {
        let prefix = self.checked_prefix()?;
        let items = plan::items(self, &prefix)?;
        write::install(&prefix, items)
    }

    /// The prefix as an absolute path, if something may be installed there.
    fn checked_prefix(&self) -> Result<PathBuf, InstallError> {
        let real = |path: &Path| path.canonicalize();
        let prefix = match real(&self.prefix) {
            Ok(prefix) if prefix.is_dir() => prefix,
            Ok(prefix) => return Err(InstallError::NoFolder(prefix)),
            Err(_) => {
                let parent = self.prefix.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
                let name = self.prefix.file_name();
                match (parent.map(real), name) {
                    (Some(Ok(parent)), Some(name)) if parent.is_dir() => parent.join(name),
                    _ => return Err(InstallError::NoFolder(parent.unwrap_or(&self.prefix).to_path_buf())),
                }
            }
        };
        if let Ok(source) = real(&self.source)
            && prefix.starts_with(&source)
        {
            return Err(InstallError::Inside { prefix, source_tree: source });
        }
        let own =
            [&self.source, &self.program].into_iter().filter_map(|path| real(path).ok()).find(|path| path.starts_with(&prefix));
        if let (How::Link, Some(own)) = (self.how, own) {
            return Err(InstallError::Itself(own));
        }
        Ok(prefix)
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.to_path_buf();
    move |source| InstallError::Io { action, path, source }
}
