//! Where model files lie on this machine and whether they are the right ones.
//!
//! A file counts only after its SHA-256 matched. The verdict is kept as a stamp (path, size, modification time), so that
//! a start with a filled cache costs a few `stat` calls; [`Store::verify`] hashes again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::catalogue::{Catalogue, CatalogueError, FileEntry, ModelEntry, Source};

/// Overrides the cache folder.
const CACHE_VARIABLE: &str = "OMNIMIND_CACHE";
/// Names the folder that holds `models/data` where the program is installed without its repository.
const ROOT_VARIABLE: &str = "OMNIMIND_ROOT";

/// Why a model file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The catalogue is bad, or does not know the model.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// No folder for the cache can be told.
    #[error("no cache folder: set OMNIMIND_CACHE, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,
    /// The file is not there.
    #[error("model file {key} is not there ({}); {advice}", path.display())]
    Missing {
        /// `model/file`.
        key: String,
        /// Where it should be.
        path: PathBuf,
        /// What to do about it.
        advice: &'static str,
    },
    /// The content is not what the catalogue promises.
    #[error("model file {key} ({}) is damaged or was changed: SHA-256 is {found}, expected {expected}; {advice}", path.display())]
    Tampered {
        /// `model/file`.
        key: String,
        /// The file.
        path: PathBuf,
        /// The catalogue's hash.
        expected: String,
        /// The file's hash.
        found: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The system refused to read it.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

const ADVICE_FETCH: &str = "run `omnimind models fetch` while online";
const ADVICE_REPOSITORY: &str = "it belongs to the repository: restore it with git, or point OMNIMIND_ROOT at a complete copy";
const ADVICE_OWN: &str = "it is named by your own catalogue: correct the path or the hash there";

/// The catalogue together with the folders its files lie in.
#[derive(Debug, Clone)]
pub struct Store {
    catalogue: Catalogue,
    cache: PathBuf,
    roots: Vec<PathBuf>,
}

impl Store {
    /// The catalogue of this machine ([`Catalogue::load`]) with the user's cache folder: `OMNIMIND_CACHE`, else
    /// `XDG_CACHE_HOME/omnimind`, else `~/.cache/omnimind`. Nothing is created or fetched.
    ///
    /// # Errors
    /// [`StoreError::Catalogue`], [`StoreError::NoCacheFolder`].
    pub fn open() -> Result<Self, StoreError> {
        let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = set(CACHE_VARIABLE)
            .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("omnimind")))
            .or_else(|| set("HOME").map(|p| p.join(".cache/omnimind")))
            .ok_or(StoreError::NoCacheFolder)?;
        Ok(Self::new(Catalogue::load()?, cache))
    }

    /// A store with a catalogue and cache folder of your own.
    pub fn new(catalogue: Catalogue, cache: PathBuf) -> Self {
        Self { catalogue, cache, roots: default_roots() }
    }

    /// The same store, looking for repository files under `root` only.
    #[must_use]
    pub fn with_root(mut self, root: PathBuf) -> Self {
        self.roots = vec![root];
        self
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Where a file lies or will lie.
    pub fn path_of(&self, file: &FileEntry) -> PathBuf {
        match file.source() {
            Source::Path(path) => path.to_owned(),
            Source::Repo(path) => {
                let candidates = self.roots.iter().map(|root| root.join(path));
                candidates
                    .clone()
                    .find(|p| p.is_file())
                    .or_else(|| candidates.into_iter().next_back())
                    .unwrap_or_else(|| path.to_owned())
            }
            Source::Pypi(pypi) => {
                let name = pypi.member.rsplit('/').next().unwrap_or(&pypi.member);
                // The hash keeps a new version of a file apart from an old one of the same name.
                self.cache
                    .join("models")
                    .join(format!("{}-{}", pypi.package, pypi.version))
                    .join(format!("{}-{name}", &file.sha256[..8]))
            }
        }
    }

    /// The path of `model` or `model/file`, once it is known to hold the right bytes. Cheap when it was checked before.
    ///
    /// # Errors
    /// [`StoreError`], each variant says what to do.
    pub fn locate(&self, key: &str) -> Result<PathBuf, StoreError> {
        let (model, file) = self.catalogue.resolve(key)?;
        self.check(model, file, false)
    }

    /// Hashes every file of `model` again, whatever the stamps say.
    ///
    /// # Errors
    /// [`StoreError`] for the first file that is not right.
    pub fn verify(&self, model: &str) -> Result<(), StoreError> {
        let model = self.catalogue.model(model)?;
        model.files().try_for_each(|file| self.check(model, file, true).map(drop))
    }

    pub(crate) fn check(&self, model: &ModelEntry, file: &FileEntry, thorough: bool) -> Result<PathBuf, StoreError> {
        let path = self.path_of(file);
        let key = || format!("{}/{}", model.name, file.name);
        let advice = match file.source() {
            Source::Pypi(_) => ADVICE_FETCH,
            Source::Repo(_) => ADVICE_REPOSITORY,
            Source::Path(_) => ADVICE_OWN,
        };
        let metadata = match fs::metadata(&path) {
            Ok(m) if m.is_file() => m,
            Ok(_) => return Err(StoreError::Missing { key: key(), path, advice }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::Missing { key: key(), path, advice }),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let stamp = stamp_text(&path, &metadata);
        let stamp_file = self.cache.join("stamps").join(&file.sha256);
        if !thorough && metadata.len() == file.bytes && fs::read_to_string(&stamp_file).is_ok_and(|s| s == stamp) {
            return Ok(path);
        }
        let found = sha256_hex(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        if found != file.sha256 {
            let _ = fs::remove_file(&stamp_file);
            return Err(StoreError::Tampered { key: key(), path, expected: file.sha256.clone(), found, advice });
        }
        // A read-only cache only costs the hash at every start.
        let _ = fs::create_dir_all(self.cache.join("stamps")).and_then(|()| fs::write(&stamp_file, stamp));
        Ok(path)
    }
}

fn stamp_text(path: &Path, metadata: &fs::Metadata) -> String {
    let modified_ns = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
    format!("{}\n{}\n{modified_ns}\n", path.display(), metadata.len())
}

/// Folders that may hold the repository's `models/data`: the one named by `OMNIMIND_ROOT`; those above the program and its
/// `share/omnimind`; those above the working folder; the one the program was built in.
fn default_roots() -> Vec<PathBuf> {
    if let Some(root) = std::env::var_os(ROOT_VARIABLE).filter(|v| !v.is_empty()) {
        return vec![PathBuf::from(root)];
    }
    let mut roots = Vec::new();
    if let Ok(program) = std::env::current_exe() {
        for folder in program.ancestors().skip(1) {
            roots.push(folder.to_owned());
            roots.push(folder.join("share/omnimind"));
        }
    }
    if let Ok(folder) = std::env::current_dir() {
        roots.extend(folder.ancestors().map(Path::to_owned));
    }
    roots.extend(Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned));
    roots
}

/// The SHA-256 of a file as 64 lower case hexadecimal digits.
///
/// # Errors
/// Whatever reading it gives.
pub fn sha256_hex(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> (Store, PathBuf) {
        let file = folder.join("net.onnx");
        fs::write(&file, b"abc").unwrap();
        // SHA-256 of "abc": FIPS 180-2, appendix B.1.
        let yaml = "version: 1\nmodels:\n  a:\n    task: t\n    version: '1'\n    licence: MIT\n    origin: here\n    files:\n      - {name: model, repo: net.onnx, sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, bytes: 3}\n";
        let catalogue = Catalogue::parse(yaml, "test").unwrap();
        (Store::new(catalogue, folder.join("cache")).with_root(folder.to_owned()), file)
    }

    #[test]
    fn a_right_file_is_located_and_stamped() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = store(folder.path());
        assert_eq!(store.locate("a").unwrap(), file);
        assert_eq!(fs::read_dir(folder.path().join("cache/stamps")).unwrap().count(), 1);
        assert_eq!(store.locate("a/model").unwrap(), file);
        store.verify("a").unwrap();
    }

    #[test]
    fn a_changed_file_is_refused_even_after_it_was_stamped() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = store(folder.path());
        store.locate("a").unwrap();
        fs::write(&file, b"abcd").unwrap();
        let error = store.locate("a").unwrap_err();
        assert!(matches!(&error, StoreError::Tampered { .. }), "{error}");
        assert!(error.to_string().contains("git"), "{error}");
    }

    #[test]
    fn a_change_that_keeps_size_and_time_is_found_by_verify() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = store(folder.path());
        store.locate("a").unwrap();
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, b"abd").unwrap();
        File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
        assert!(store.locate("a").is_ok(), "the stamp is cheap, not a proof");
        assert!(matches!(store.verify("a"), Err(StoreError::Tampered { .. })));
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = store(folder.path());
        fs::remove_file(file).unwrap();
        let text = store.locate("a").unwrap_err().to_string();
        assert!(text.contains("a/model") && text.contains("OMNIMIND_ROOT"), "{text}");
    }

    #[test]
    fn an_unwritable_cache_still_serves() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = store(folder.path());
        fs::write(folder.path().join("cache"), b"a file where the folder should be").unwrap();
        assert_eq!(store.locate("a").unwrap(), file);
    }
}
