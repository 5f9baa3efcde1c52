//! Similarity of words, by letters and by sound.

use graph::suggest::distance;

/// Words that say nothing by themselves.
const FILLERS: &[&str] = &[
    "a", "an", "and", "at", "for", "from", "hey", "hi", "i", "in", "into", "is", "it", "me", "my", "now", "of", "on", "our",
    "please", "some", "that", "the", "there", "this", "to", "too", "two", "uh", "um", "us", "you", "your", "can", "could",
    "would", "will",
];

/// Lower case words of letters and digits.
#[must_use]
pub fn split(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace('\'', "")
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether a word says nothing by itself.
#[must_use]
pub fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word)
}

/// A key of how a word sounds: consonants in classes that are easily taken for each other, vowels only at the start,
/// repetitions once.
#[must_use]
pub fn sound_key(word: &str) -> String {
    let chars: Vec<char> = word.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut key = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let next = chars.get(i + 1).copied().unwrap_or(' ');
        let class = match c {
            'b' => 'B',
            'p' if next == 'h' => 'F',
            'p' => 'B',
            'c' if matches!(next, 'e' | 'i' | 'y') => 'S',
            'c' if next == 'h' => 'S',
            'c' | 'k' | 'q' | 'g' => 'K',
            'd' | 't' => 'T',
            'f' | 'v' => 'F',
            's' | 'z' | 'x' | 'j' => 'S',
            'm' | 'n' => 'N',
            'l' => 'L',
            'r' => 'R',
            'a' | 'e' | 'i' | 'o' | 'u' if i == 0 => 'A',
            '0'..='9' => c,
            _ => continue,
        };
        if !key.ends_with(class) {
            key.push(class);
        }
    }
    key
}

fn ratio(a: &str, b: &str) -> f64 {
    let longest = a.chars().count().max(b.chars().count());
    if longest == 0 { 0.0 } else { 1.0 - distance(a, b) as f64 / longest as f64 }
}

/// Similarity 0..1 of two words or phrases, by letters and by sound; 1 only when they are equal.
#[must_use]
pub fn similarity(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    let (ka, kb) = (sound_key(a), sound_key(b));
    let sound = if ka.is_empty() || kb.is_empty() { 0.0 } else { ratio(&ka, &kb) };
    // A short key fits too many words: its word's letters count more.
    let trust = if ka.len().min(kb.len()) < 2 { 0.25 } else { 0.45 };
    ((1.0 - trust) * ratio(a, b) + trust * sound).min(0.99)
}

/// Where a phrase was found among words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// First word.
    pub start: usize,
    /// Number of words.
    pub length: usize,
    /// Similarity, 0..1.
    pub similarity: f64,
}

impl Found {
    /// Whether two findings share a word.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.start + other.length && other.start < self.start + self.length
    }
}

/// The best places of a phrase among words: every run of up to one word more or less than the phrase has, compared with
/// and without the spaces (a recogniser splits and joins words at will). Runs of fillers alone do not count.
#[must_use]
pub fn find(words: &[String], phrase: &str) -> Vec<Found> {
    let n = phrase.split_whitespace().count().max(1);
    let joined = phrase.replace(' ', "");
    let mut found = Vec::new();
    for length in n.saturating_sub(1).max(1)..=n + 1 {
        for (start, run) in words.windows(length).enumerate() {
            // Fillers at the ends belong to the sentence, not to the phrase.
            if is_filler(&run[0]) || is_filler(&run[length - 1]) {
                continue;
            }
            let spaced = similarity(&run.join(" "), phrase);
            let tight = similarity(&run.concat(), &joined);
            found.push(Found { start, length, similarity: spaced.max(tight) });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn similarity_stays_in_range(a in ".{0,12}", b in ".{0,12}") {
            prop_assert!((0.0..=1.0).contains(&similarity(&a, &b)));
        }
    }

    #[test]
    fn words_that_sound_alike_are_near_and_others_are_not() {
        assert!(similarity("kitchin", "kitchen") > 0.85);
        assert!(similarity("cap", "cup") > 0.7);
        assert!(similarity("vace", "vase") > 0.7);
        assert!(similarity("cat", "cup") < 0.5);
        assert!(similarity("helicopter", "bottle") < 0.5);
    }

    #[test]
    fn split_and_joined_words_are_found() {
        let best = |text: &str, phrase: &str| find(&split(text), phrase).into_iter().map(|f| f.similarity).fold(0.0, f64::max);
        assert!(best("bring the teddybear", "teddy bear") > 0.95);
        assert!(best("into the bed room please", "bedroom") > 0.95);
        assert!(best("to the livingroom", "living room") > 0.95);
        assert_eq!(best("to the", "vase"), 0.0);
    }
}
