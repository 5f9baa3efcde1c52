//! From text to a Piper voice's phoneme numbers, with espeak-ng as a process (GPL: nothing of it is linked).
//!
//! Piper's training data was made with espeak-ng's phonemes in IPA, one number (or more) per code point after canonical
//! decomposition (NFD), a pad after each, and a sign for the begin and the end (piper-phonemize, `phoneme_ids.hpp`:
//! `^`, `_`, `$` with "interspersePad").

use super::SynthesizeError;
use super::program::ended;
use super::text::clauses;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Numbers of a voice's phonemes: the `phoneme_id_map` of its JSON file.
pub type PhonemeIds = BTreeMap<String, Vec<i64>>;

/// espeak-ng, asked for phonemes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phonemizer {
    program: PathBuf,
    language: String,
}

impl Phonemizer {
    /// Looks for espeak-ng in the folders of a `PATH`-like list. `language` is an espeak-ng voice such as `en-us`.
    ///
    /// # Errors
    /// [`SynthesizeError::NoPhonemes`] if there is none.
    pub fn find(path: &std::ffi::OsStr, language: &str) -> Result<Self, SynthesizeError> {
        let program = super::find_program("espeak-ng", path).ok_or(SynthesizeError::NoPhonemes)?;
        Ok(Self { program, language: language.to_owned() })
    }

    /// The language, as espeak-ng names it.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The phonemes of a sentence in IPA, with the signs between its clauses, as Piper's training data has them:
    /// `həlˈoʊ, wˈɜːld.`
    ///
    /// # Errors
    /// [`SynthesizeError::Program`] if espeak-ng fails or has no such language.
    pub fn phonemes(&self, sentence: &str) -> Result<String, SynthesizeError> {
        let clauses = clauses(sentence);
        // A clause per line: espeak-ng reads lines one by one and answers each with at least one line of its own.
        let lines: Vec<String> = clauses.iter().map(|c| c.words.clone()).collect();
        let answer = self.run(&lines.join("\n"))?;
        let mut spoken: Vec<String> = answer.lines().map(tidy).collect();
        if spoken.len() != lines.len() {
            // It saw more clauses than we did: which line belongs to which is only sure one by one.
            spoken.clear();
            for line in &lines {
                spoken.push(self.run(line)?.lines().map(tidy).collect::<Vec<_>>().join(" "));
            }
        }
        let parts: Vec<String> =
            clauses.iter().zip(spoken).filter(|(_, p)| !p.is_empty()).map(|(c, p)| format!("{p}{}", c.mark)).collect();
        Ok(parts.join(" "))
    }

    fn run(&self, lines: &str) -> Result<String, SynthesizeError> {
        let failed = |reason: String| SynthesizeError::Program { engine: "espeak-ng", reason };
        // Into files, so that no reader is needed while it is waited for.
        let file = || tempfile::tempfile().map_err(|e| failed(e.to_string()));
        let into = |file: &File| file.try_clone().map(Stdio::from).map_err(|e| failed(e.to_string()));
        let (answer, complaint) = (file()?, file()?);
        let mut child = Command::new(&self.program)
            .args(["-q", "--ipa", "-v", &self.language])
            .stdin(Stdio::piped())
            .stdout(into(&answer)?)
            .stderr(into(&complaint)?)
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        // A sentence is far smaller than a pipe's buffer, so that this cannot wait for a reader.
        let written = child.stdin.take().map_or(Ok(()), |mut pipe| writeln!(pipe, "{lines}"));
        let status = ended(child).map_err(failed)?;
        let (spoken, said) = (read(answer).map_err(|e| failed(e.to_string()))?, read(complaint).unwrap_or_default());
        if !status.success() || (spoken.is_empty() && !said.trim().is_empty()) {
            return Err(failed(said.trim().to_owned()));
        }
        written.map_err(|e| failed(e.to_string()))?;
        Ok(spoken)
    }
}

/// All that a program wrote.
fn read(mut file: File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Without the marks of a change of language, `(fr)`, which are no phonemes.
fn tidy(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut inside = false;
    for c in line.trim().chars() {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// Numbers for the network, and how many code points the voice does not know (they are left out).
///
/// # Errors
/// [`SynthesizeError::VoiceFile`] if the map lacks the begin, the end or the pad.
pub fn phoneme_ids(phonemes: &str, map: &PhonemeIds) -> Result<(Vec<i64>, usize), SynthesizeError> {
    let sign = |name: &str| {
        map.get(name).filter(|ids| !ids.is_empty()).ok_or_else(|| SynthesizeError::VoiceFile {
            path: PathBuf::new(),
            reason: format!("its phoneme_id_map has no `{name}`"),
        })
    };
    let (begin, pad, end) = (sign("^")?, sign("_")?, sign("$")?);
    let mut ids = begin.clone();
    ids.extend(pad);
    let mut unknown = 0;
    let decomposed = icu_normalizer::DecomposingNormalizerBorrowed::new_nfd().normalize(phonemes);
    for c in decomposed.chars() {
        match map.get(c.encode_utf8(&mut [0; 4]) as &str) {
            Some(known) => {
                ids.extend(known);
                ids.extend(pad);
            }
            None => unknown += 1,
        }
    }
    ids.extend(end);
    Ok((ids, unknown))
}

/// Where a voice's JSON file lies: beside the network, with `.json` appended.
pub fn config_path(network: &Path) -> PathBuf {
    let mut name = network.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> PhonemeIds {
        [("_", 0), ("^", 1), ("$", 2), ("a", 3), ("c", 4), ("\u{327}", 5), (".", 6)]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), vec![v]))
            .collect()
    }

    #[test]
    fn numbers_are_padded_between_a_begin_and_an_end() {
        assert_eq!(phoneme_ids("aa.", &map()).unwrap(), (vec![1, 0, 3, 0, 3, 0, 6, 0, 2], 0));
        assert_eq!(phoneme_ids("", &map()).unwrap(), (vec![1, 0, 2], 0));
    }

    #[test]
    fn code_points_are_decomposed_and_unknown_ones_are_counted() {
        // U+00E7 is U+0063 U+0327 in NFD (Unicode Character Database).
        assert_eq!(phoneme_ids("ç", &map()).unwrap(), (vec![1, 0, 4, 0, 5, 0, 2], 0));
        assert_eq!(phoneme_ids("a☃a☃", &map()).unwrap(), (vec![1, 0, 3, 0, 3, 0, 2], 2));
    }

    #[test]
    fn a_map_without_begin_pad_or_end_is_no_voice() {
        for sign in ["_", "^", "$"] {
            let mut map = map();
            map.remove(sign);
            assert!(phoneme_ids("a", &map).unwrap_err().to_string().contains(sign));
        }
    }

    #[test]
    fn marks_of_language_are_no_phonemes() {
        assert_eq!(tidy(" ðə (fr)bɔ̃ʒˈuʁ(en-us) \n"), "ðə bɔ̃ʒˈuʁ");
    }
}
