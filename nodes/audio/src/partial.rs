//! Text while somebody is still speaking: what is there of the utterance is decoded again and again, and what two decodings in a row agree on is
//! stable (LocalAgreement-2; Macháček et al., "Turning Whisper into Real-Time Transcription System", 2023).

/// Text of an utterance that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partial {
    /// All words so far.
    pub text: String,
    /// Bytes of `text` that two decodings in a row agreed on. Up to the end of a word.
    pub stable_bytes: usize,
}

impl Partial {
    /// The words that are not expected to change.
    pub fn stable(&self) -> &str {
        self.text.get(..self.stable_bytes).unwrap_or_default()
    }
}

/// Follows one utterance after the other.
#[derive(Debug, Clone, Default)]
pub struct PartialTracker {
    /// Length of the utterance at the last decoding, samples.
    decoded: usize,
    before: Vec<String>,
}

impl PartialTracker {
    /// True if the open utterance of `length` samples has grown by `interval` samples since the last decoding; 0 turns it off. A length below the last
    /// one begins a new utterance.
    pub fn is_due(&mut self, length: usize, interval: usize) -> bool {
        if length < self.decoded {
            *self = Self::default();
        }
        interval > 0 && length >= self.decoded + interval
    }

    /// Takes the decoding of the first `length` samples.
    pub fn update(&mut self, length: usize, text: &str) -> Partial {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let same = |a: &String, b: &String| bare(a) == bare(b);
        let agreed = words.iter().zip(&self.before).take_while(|(a, b)| same(a, b)).count();
        let stable_bytes = words[..agreed].join(" ").len();
        self.decoded = length;
        let text = words.join(" ");
        self.before = words;
        Partial { text, stable_bytes }
    }

    /// Forgets the utterance: it has ended.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A word without its punctuation and capitals: those change with what follows.
fn bare(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '\'').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_come_twice_are_stable() {
        let mut tracker = PartialTracker::default();
        assert!(!tracker.is_due(100, 200) && tracker.is_due(200, 200) && !tracker.is_due(9_999, 0));
        assert_eq!(tracker.update(200, "Bring the.").stable(), "");
        assert!(!tracker.is_due(399, 200) && tracker.is_due(400, 200));
        let second = tracker.update(400, "Bring the cup");
        assert_eq!((second.stable(), second.text.as_str()), ("Bring the", "Bring the cup"));
        assert_eq!(tracker.update(600, "Bring the cup to the").stable(), "Bring the cup");
        assert_eq!(tracker.update(800, "Bring a cup to").stable(), "Bring", "it changed its mind: no claim beyond what agrees");
        assert!(tracker.is_due(300, 200), "shorter than before: another utterance");
        assert_eq!(tracker.update(300, "Bring").stable(), "");
        assert_eq!(tracker.update(600, "").stable(), "");
    }
}
