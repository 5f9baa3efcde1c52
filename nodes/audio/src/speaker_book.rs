//! Enrolled speakers: profiles, whom a voice belongs to, and the file that keeps them. Only embeddings are kept, never sound.

use crate::speaker::{EMBEDDING_SIZE, MODEL, MODEL_VERSION, SpeakerError, cosine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Most speakers in a book.
pub const MAX_SPEAKERS: usize = 1_000;
/// Longest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 32 << 20;
const FORMAT: &str = "omnimind-speakers";
const FORMAT_VERSION: u32 = 1;

/// Why a book cannot be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// An identifier must have letters and at most 100 bytes.
    #[error("a speaker needs a name of 1 to 100 bytes")]
    Name,
    /// Nothing to learn from.
    #[error("an enrolment needs at least one sample")]
    NoSamples,
    /// The embedding is not one of this network.
    #[error("an embedding has {EMBEDDING_SIZE} finite values and is not zero")]
    Embedding,
    /// The book is full.
    #[error("there are {MAX_SPEAKERS} speakers already: remove one first")]
    Full,
    /// The sound cannot be embedded.
    #[error(transparent)]
    Speaker(#[from] SpeakerError),
    /// The file is not a book of speakers, or was made with another network; it was moved aside.
    #[error("{path}: {reason}; it was kept as {aside}, and nobody is known")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it lies now.
        aside: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Whom a voice belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerMatch {
    /// Empty if nobody enrolled is similar enough.
    pub speaker_id: String,
    /// Cosine with the most similar enrolled speaker, -1..1; 0 if nobody is enrolled.
    pub similarity: f32,
    /// The same, normalised by the cohort ([`Cohort::normalise`]); equal to the similarity without a cohort.
    pub score: f32,
}

/// From where on a voice is taken for an enrolled one. Both must be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acceptance {
    /// Least cosine, -1..1.
    pub min_similarity: f32,
    /// Least normalised score, standard deviations; not asked without a cohort.
    pub min_score: f32,
}

/// Voices of strangers, to which a similarity is compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cohort {
    voices: Vec<Vec<f32>>,
}

/// Most similar strangers that count for one voice.
const COHORT_TOP: usize = 20;

impl Cohort {
    /// Strangers' embeddings; with fewer than two there is no normalisation.
    pub fn new(voices: Vec<Vec<f32>>) -> Self {
        Self { voices: if voices.len() >= 2 { voices } else { Vec::new() } }
    }

    /// The cohort that comes with the program: synthetic voices (docs/hearing.md), one byte per value, in units of 1/127 of the largest value.
    pub fn built_in() -> Self {
        let bytes = include_bytes!("../data/speaker_cohort.bin");
        Self::new(
            bytes
                .chunks_exact(EMBEDDING_SIZE)
                .map(|row| row.iter().map(|b| f32::from(b.cast_signed()) / 127.0).collect())
                .collect(),
        )
    }

    /// Number of strangers.
    pub fn len(&self) -> usize {
        self.voices.len()
    }

    /// True if there is nobody to compare with.
    pub fn is_empty(&self) -> bool {
        self.voices.is_empty()
    }

    /// Mean and standard deviation of a voice's similarity to the 20 strangers most like it.
    fn statistics(&self, voice: &[f32]) -> (f32, f32) {
        let mut all: Vec<f32> = self.voices.iter().map(|stranger| cosine(voice, stranger)).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        all.truncate(COHORT_TOP);
        let n = all.len().max(1) as f32;
        let mean = all.iter().sum::<f32>() / n;
        let variance = all.iter().map(|s| (s - mean) * (s - mean)).sum::<f32>() / n;
        (mean, variance.sqrt().max(0.01))
    }

    /// Adaptive symmetric score normalisation (Matějka et al., "Analysis of Score Normalization in Multilingual Speaker Recognition", 2017): how many
    /// standard deviations the cosine of two voices lies above what each of them has with the strangers most like it; the mean of both views.
    pub fn normalise(&self, a: &[f32], b: &[f32]) -> f32 {
        let similarity = cosine(a, b);
        if self.is_empty() {
            return similarity;
        }
        let ((mean_a, dev_a), (mean_b, dev_b)) = (self.statistics(a), self.statistics(b));
        0.5 * ((similarity - mean_a) / dev_a + (similarity - mean_b) / dev_b)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Profile {
    /// Sum of the samples' embeddings.
    sum: Vec<f32>,
    samples: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u32,
    model: String,
    model_version: String,
    speakers: BTreeMap<String, Profile>,
}

/// Enrolled speakers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpeakerBook {
    profiles: BTreeMap<String, Profile>,
}

impl SpeakerBook {
    /// Adds samples of a speaker's voice; more samples of the same name sharpen the profile. Gives back the profile's
    /// coherence: the mean cosine of its samples with their own mean, near 1 if they are one voice.
    ///
    /// # Errors
    /// [`BookError::Name`], [`BookError::NoSamples`], [`BookError::Embedding`], [`BookError::Full`].
    pub fn enroll(&mut self, speaker_id: &str, embeddings: &[Vec<f32>]) -> Result<f32, BookError> {
        if speaker_id.trim().is_empty() || speaker_id.len() > 100 {
            return Err(BookError::Name);
        }
        if embeddings.is_empty() {
            return Err(BookError::NoSamples);
        }
        if !embeddings.iter().all(|e| is_embedding(e)) {
            return Err(BookError::Embedding);
        }
        if self.profiles.len() >= MAX_SPEAKERS && !self.profiles.contains_key(speaker_id) {
            return Err(BookError::Full);
        }
        let profile =
            self.profiles.entry(speaker_id.to_owned()).or_insert_with(|| Profile { sum: vec![0.0; EMBEDDING_SIZE], samples: 0 });
        for embedding in embeddings {
            for (s, e) in profile.sum.iter_mut().zip(embedding) {
                *s += e;
            }
            profile.samples = profile.samples.saturating_add(1);
        }
        let total: f32 = embeddings.iter().map(|e| cosine(e, &profile.sum)).sum();
        Ok((total / embeddings.len() as f32).clamp(0.0, 1.0))
    }

    /// Forgets a speaker; false if there was none of this name.
    pub fn remove(&mut self, speaker_id: &str) -> bool {
        self.profiles.remove(speaker_id).is_some()
    }

    /// Names and numbers of samples, by name.
    pub fn speakers(&self) -> impl Iterator<Item = (&str, u32)> {
        self.profiles.iter().map(|(name, p)| (name.as_str(), p.samples))
    }

    /// Number of enrolled speakers.
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// True if nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// The most similar speaker, named only if both thresholds are reached.
    pub fn identify(&self, embedding: &[f32], cohort: &Cohort, from: Acceptance) -> SpeakerMatch {
        let all = self.profiles.iter().map(|(name, profile)| (name, cosine(embedding, &profile.sum), profile));
        let Some((name, similarity, profile)) = all.max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return SpeakerMatch { speaker_id: String::new(), similarity: 0.0, score: 0.0 };
        };
        let score = cohort.normalise(embedding, &profile.sum);
        let known = similarity >= from.min_similarity && (cohort.is_empty() || score >= from.min_score);
        SpeakerMatch { speaker_id: if known { name.clone() } else { String::new() }, similarity, score }
    }

    /// Reads the book that [`SpeakerBook::save`] wrote; an empty one if there is no such file. A file that is not a book, or one made with another
    /// network, is renamed to `<name>.damaged-<n>`.
    ///
    /// # Errors
    /// [`BookError::Damaged`], [`BookError::Io`].
    pub fn load(path: &Path) -> Result<Self, BookError> {
        let io = |source| BookError::Io { path: path.to_owned(), source };
        let bytes = match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(io(e)),
            Ok(m) if m.len() > MAX_FILE_BYTES => Err(format!("{} bytes are too many for a book of speakers", m.len())),
            Ok(_) => Ok(std::fs::read(path).map_err(io)?),
        };
        match bytes.and_then(|b| Self::parse(&b)) {
            Ok(book) => Ok(book),
            Err(reason) => {
                let aside = aside(path);
                std::fs::rename(path, &aside).map_err(io)?;
                Err(BookError::Damaged { path: path.to_owned(), aside, reason })
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| format!("not a book of speakers: {e}"))?;
        if file.format != FORMAT || file.version != FORMAT_VERSION {
            return Err(format!("format {} {} is not {FORMAT} {FORMAT_VERSION}", file.format, file.version));
        }
        if (file.model.as_str(), file.model_version.as_str()) != (MODEL, MODEL_VERSION) {
            return Err(format!("made with {} {}, which {MODEL} {MODEL_VERSION} cannot compare", file.model, file.model_version));
        }
        if file.speakers.len() > MAX_SPEAKERS {
            return Err(format!("{} speakers are more than {MAX_SPEAKERS}", file.speakers.len()));
        }
        match file.speakers.iter().find(|(_, p)| p.samples == 0 || !is_embedding(&p.sum)) {
            Some((name, _)) => Err(format!("the profile of `{name}` is broken")),
            None => Ok(Self { profiles: file.speakers }),
        }
    }

    /// Writes the book, in one step: after a crash there is the old file or the new one. The folder is made if need be.
    ///
    /// # Errors
    /// [`BookError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), BookError> {
        let io = |source| BookError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(io)?;
        let file = File {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            model: MODEL.to_owned(),
            model_version: MODEL_VERSION.to_owned(),
            speakers: self.profiles.clone(),
        };
        let mut part = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        serde_json::to_writer(&mut part, &file).map_err(|e| io(e.into()))?;
        part.flush().and_then(|()| part.as_file().sync_all()).map_err(io)?;
        part.persist(path).map(|_| ()).map_err(|e| io(e.error))
    }
}

/// Where the command line keeps its book, and the node if its parameter says `default`: `omnimind/speakers.json` in `XDG_STATE_HOME`, else in
/// `~/.local/state`; `None` without either.
pub fn default_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("omnimind/speakers.json"))
}

fn is_embedding(vector: &[f32]) -> bool {
    vector.len() == EMBEDDING_SIZE && vector.iter().all(|x| x.is_finite()) && vector.iter().any(|x| *x != 0.0)
}

/// A name for a damaged file that is not taken.
fn aside(path: &Path) -> PathBuf {
    let name = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{n}"));
        PathBuf::from(name)
    };
    (1..1_000).map(name).find(|p| !p.exists()).unwrap_or_else(|| name(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speaker::normalise;

    const FROM: Acceptance = Acceptance { min_similarity: 0.8, min_score: 0.0 };

    fn unit(axis: usize, tilt: f32) -> Vec<f32> {
        let mut v = vec![0.0; EMBEDDING_SIZE];
        v[axis] = 1.0;
        v[axis + 1] = tilt;
        normalise(&mut v);
        v
    }

    fn book() -> SpeakerBook {
        let mut book = SpeakerBook::default();
        book.enroll("ann", &[unit(0, 0.1), unit(0, -0.1)]).unwrap();
        book.enroll("bob", &[unit(10, 0.0)]).unwrap();
        book
    }

    #[test]
    fn the_nearest_speaker_is_named_and_a_stranger_is_not() {
        let (book, none) = (book(), Cohort::default());
        assert_eq!(book.identify(&unit(0, 0.2), &none, FROM).speaker_id, "ann");
        assert_eq!(book.identify(&unit(10, 0.2), &none, FROM).speaker_id, "bob");
        let stranger = book.identify(&unit(100, 0.0), &none, FROM);
        assert_eq!((stranger.speaker_id.as_str(), stranger.similarity), ("", 0.0));
        assert_eq!(SpeakerBook::default().identify(&unit(0, 0.0), &none, FROM).similarity, 0.0);
    }

    #[test]
    fn a_voice_that_strangers_share_needs_more_than_a_high_cosine() {
        // All strangers lie near axis 0: a cosine of 0.98 means little there.
        let crowd: Vec<Vec<f32>> = (0..30_u8).map(|k| unit(0, 0.15 + 0.01 * f32::from(k))).collect();
        let cohort = Cohort::new(crowd);
        let book = book();
        let heard = unit(0, 0.35);
        assert_eq!(book.identify(&heard, &Cohort::default(), FROM).speaker_id, "ann");
        let from = Acceptance { min_score: 2.0, ..FROM };
        assert_eq!(book.identify(&heard, &cohort, from).speaker_id, "");
        assert_eq!(book.identify(&unit(10, 0.1), &cohort, from).speaker_id, "bob", "far from the crowd");
        assert_eq!(Cohort::new(vec![unit(0, 0.0)]).len(), 0, "one stranger is no cohort");
    }

    #[test]
    fn names_samples_and_embeddings_are_checked() {
        let mut book = SpeakerBook::default();
        assert!(matches!(book.enroll("  ", &[unit(0, 0.0)]), Err(BookError::Name)));
        assert!(matches!(book.enroll(&"x".repeat(101), &[unit(0, 0.0)]), Err(BookError::Name)));
        assert!(matches!(book.enroll("ann", &[]), Err(BookError::NoSamples)));
        for bad in [vec![], vec![0.0; EMBEDDING_SIZE], vec![f32::NAN; EMBEDDING_SIZE], vec![1.0; 3]] {
            assert!(matches!(book.enroll("ann", &[bad]), Err(BookError::Embedding)));
        }
        assert!(book.is_empty());
        for k in 0..MAX_SPEAKERS {
            book.enroll(&k.to_string(), &[unit(0, 0.0)]).unwrap();
        }
        assert!(matches!(book.enroll("one more", &[unit(0, 0.0)]), Err(BookError::Full)));
        assert!(book.enroll("7", &[unit(0, 0.0)]).is_ok() && book.remove("7") && !book.remove("7"));
    }

    #[test]
    fn a_book_survives_a_restart_and_holds_no_sound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/speakers.json");
        assert!(SpeakerBook::load(&path).unwrap().is_empty(), "no file: nobody is known");
        book().save(&path).unwrap();
        let again = SpeakerBook::load(&path).unwrap();
        assert_eq!(again, book());
        assert_eq!(again.speakers().collect::<Vec<_>>(), [("ann", 2), ("bob", 1)]);
        assert!(std::fs::metadata(&path).unwrap().len() < 8_000, "two profiles of 256 numbers");
        // Over an old one, and nothing else is left in the folder.
        SpeakerBook::default().save(&path).unwrap();
        assert!(SpeakerBook::load(&path).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_book_is_kept_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("speakers.json");
        book().save(&path).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let cases = [
            String::new(),
            whole[..whole.len() / 2].to_owned(),
            whole.replace(FORMAT, "another"),
            whole.replace("\"version\":1", "\"version\":2"),
            whole.replace(MODEL_VERSION, "9.9"),
            whole.replace("\"samples\":2", "\"samples\":0"),
            "\u{0}\u{1}".to_owned(),
        ];
        for (n, text) in cases.iter().enumerate() {
            std::fs::write(&path, text).unwrap();
            let error = SpeakerBook::load(&path).unwrap_err();
            let BookError::Damaged { aside, .. } = &error else { panic!("{error}") };
            assert_eq!(&std::fs::read_to_string(aside).unwrap(), text);
            assert!(aside.to_string_lossy().ends_with(&format!(".damaged-{}", n + 1)) && !path.exists(), "{error}");
            assert!(SpeakerBook::load(&path).unwrap().is_empty());
        }
        assert!(matches!(SpeakerBook::load(folder.path()), Err(BookError::Io { .. })), "a folder");
    }
}
