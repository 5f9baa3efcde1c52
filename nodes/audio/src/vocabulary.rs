//! Words that are expected: contextual biasing of the recogniser's search (shallow fusion with retraction, as in
//! Williams et al., "Contextual speech recognition in end-to-end neural network systems using beam search", 2018).

use crate::tokenizer::Tokenizer;

/// Expected phrases as token sequences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vocabulary {
    /// Tokens of each phrase, and what each of them is worth, nats.
    phrases: Vec<(Vec<u32>, f64)>,
}

/// How far a hypothesis has come into each phrase, and what that earned it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Per phrase: tokens matched so far.
    matched: Vec<usize>,
    /// Earned for good by completed phrases, nats.
    earned: f64,
}

impl Vocabulary {
    /// Phrases in lower case; each of their words is worth `boost` nats (0 turns it off), however many tokens it has. A
    /// phrase with a character that the tokenizer lacks is left out.
    pub fn new(tokenizer: &Tokenizer, phrases: &[String], boost: f64) -> Self {
        let encode = |phrase: &String| {
            let tokens = tokenizer.encode(phrase).filter(|t| !t.is_empty())?;
            let worth = boost * phrase.split_whitespace().count() as f64 / tokens.len() as f64;
            Some((tokens, worth))
        };
        Self { phrases: if boost > 0.0 { phrases.iter().filter_map(encode).collect() } else { Vec::new() } }
    }

    /// True if nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// Progress after one more token.
    pub fn advance(&self, before: &Progress, token: u32) -> Progress {
        let mut after = Progress { matched: vec![0; self.phrases.len()], earned: before.earned };
        for (i, (phrase, worth)) in self.phrases.iter().enumerate() {
            let at = before.matched.get(i).copied().unwrap_or(0);
            let next = if phrase[at] == token { at + 1 } else { usize::from(phrase[0] == token) };
            if next == phrase.len() {
                after.earned += worth * phrase.len() as f64;
            } else {
                after.matched[i] = next;
            }
        }
        after
    }

    /// Nats that a hypothesis is given now: completed phrases for good, the longest begun one on trust.
    pub fn bonus(&self, progress: &Progress) -> f64 {
        let begun = self.phrases.iter().zip(&progress.matched).map(|((_, worth), n)| worth * *n as f64);
        progress.earned + begun.fold(0.0, f64::max)
    }

    /// Nats that a finished hypothesis keeps.
    pub fn final_bonus(&self, progress: &Progress) -> f64 {
        progress.earned
    }

    /// Tokens that begin or go on with a phrase: worth a look even if the network ranks them low.
    pub fn candidates(&self, progress: &Progress) -> Vec<u32> {
        let mut tokens: Vec<u32> = self
            .phrases
            .iter()
            .enumerate()
            .flat_map(|(i, (phrase, _))| [phrase[0], phrase[progress.matched.get(i).copied().unwrap_or(0)]])
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary { phrases: vec![(vec![10, 11], 2.0), (vec![20], 2.0)] }
    }

    fn walk(tokens: &[u32]) -> (f64, f64) {
        let v = vocabulary();
        let end = tokens.iter().fold(Progress::default(), |p, t| v.advance(&p, *t));
        (v.bonus(&end), v.final_bonus(&end))
    }

    #[test]
    fn a_begun_phrase_is_paid_on_trust_and_taken_back() {
        assert_eq!(walk(&[10]), (2.0, 0.0));
        assert_eq!(walk(&[10, 11]), (4.0, 4.0));
        assert_eq!(walk(&[10, 5]), (0.0, 0.0));
        assert_eq!(walk(&[10, 10]), (2.0, 0.0));
        assert_eq!(walk(&[20, 3, 10, 11]), (6.0, 6.0));
    }

    #[test]
    fn the_candidates_are_beginnings_and_continuations() {
        let v = vocabulary();
        assert_eq!(v.candidates(&Progress::default()), vec![10, 20]);
        assert_eq!(v.candidates(&v.advance(&Progress::default(), 10)), vec![10, 11, 20]);
    }
}
