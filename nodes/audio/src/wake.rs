//! The phrase that calls the robot, found in a transcript by how it sounds: small recognisers write "hey omni" as "hay omny" or "hey, only".

use crate::wer::words;

/// Where a phrase was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct WakeMatch {
    /// Likeness in sound, 0..1; 1 for the phrase as it is written.
    pub score: f32,
    /// The words that were taken for it.
    pub heard: String,
    /// What was said after it.
    pub rest: String,
}

/// A phrase to listen for.
#[derive(Debug, Clone, PartialEq)]
pub struct WakePhrase {
    sounds: Vec<char>,
    words: usize,
    threshold: f32,
}

impl WakePhrase {
    /// Listens for `phrase` from a likeness of `threshold` (0..1) on; `None` for a phrase without letters: nothing to listen for.
    pub fn new(phrase: &str, threshold: f32) -> Option<Self> {
        let words = words(phrase);
        let sounds: Vec<char> = words.iter().flat_map(|w| sounds(w)).collect();
        (!sounds.is_empty()).then_some(Self { sounds, words: words.len(), threshold })
    }

    /// The likest place of a text, if it is like enough. Of places that are equally like, the first.
    pub fn find(&self, text: &str) -> Option<WakeMatch> {
        // Words with the byte after them, so that the rest keeps its capitals and punctuation.
        let mut spans: Vec<(String, usize)> = Vec::new();
        let mut word = String::new();
        for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
            if c.is_alphanumeric() || c == '\'' {
                word.extend(c.to_lowercase());
            } else if !word.is_empty() {
                spans.push((std::mem::take(&mut word), i));
            }
        }
        let coded: Vec<Vec<char>> = spans.iter().map(|(w, _)| sounds(w)).collect();
        let mut best: Option<(f32, usize, usize)> = None;
        for from in 0..spans.len() {
            for to in from + 1..=(from + self.words + 1).min(spans.len()) {
                let heard = coded[from..to].concat();
                let score = likeness(&self.sounds, &heard);
                if score >= self.threshold && best.is_none_or(|(s, _, _)| score > s) {
                    best = Some((score, from, to));
                }
            }
        }
        let (score, from, to) = best?;
        let rest = text[spans[to - 1].1..].trim_start_matches(|c: char| !c.is_alphanumeric()).to_owned();
        Some(WakeMatch { score, heard: spans[from..to].iter().map(|(w, _)| w.as_str()).collect::<Vec<_>>().join(" "), rest })
    }
}

/// A word as a rough string of English sounds: letters and pairs that sound alike become one sign, silent ones go. Vowels stay apart.
fn sounds(word: &str) -> Vec<char> {
    let letters: Vec<char> = word.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut out: Vec<char> = Vec::new();
    let mut i = 0;
    while i < letters.len() {
        let (c, next) = (letters[i], letters.get(i + 1).copied());
        let at_end = i + 1 == letters.len();
        let (sign, taken): (&[char], usize) = match (c, next) {
            ('p', Some('h')) => (&['f'], 2),
            ('g', Some('h')) => (&[], 2),
            ('k', Some('n')) if i == 0 => (&['n'], 2),
            ('w', Some('r')) if i == 0 => (&['r'], 2),
            ('w', Some('h')) => (&['w'], 2),
            ('c', Some('k')) => (&['k'], 2),
            ('c', Some('h')) => (&['C'], 2),
            ('s', Some('h')) => (&['S'], 2),
            ('t', Some('h')) => (&['T'], 2),
            ('q', Some('u')) => (&['k', 'w'], 2),
            ('c', Some('e' | 'i' | 'y')) => (&['s'], 1),
            ('c', _) => (&['k'], 1),
            ('x', _) => (&['k', 's'], 1),
            // The letter y alone is a consonant before a vowel, else "ee".
            ('y', Some('a' | 'e' | 'i' | 'o' | 'u')) if i == 0 => (&['j'], 1),
            // "ey", "ay", "ei", "ai": one sound.
            ('e' | 'a', Some('y' | 'i')) => (&['A'], 2),
            ('e', Some('e' | 'a')) | ('i', Some('e')) => (&['i'], 2),
            ('o', Some('o' | 'u')) => (&['u'], 2),
            ('o', Some('w' | 'a')) => (&['o'], 2),
            ('a', Some('u' | 'w')) => (&['o'], 2),
            ('y', _) => (&['i'], 1),
            ('e', None) if at_end && out.iter().any(|s| is_vowel(*s)) => (&[], 1),
            ('h', None) => (&[], 1),
            _ => (&[], 0),
        };
        if taken == 0 {
            if out.last() != Some(&c) {
                out.push(c);
            }
            i += 1;
        } else {
            for s in sign {
                if out.last() != Some(s) {
                    out.push(*s);
                }
            }
            i += taken;
        }
    }
    out
}

fn is_vowel(sign: char) -> bool {
    matches!(sign, 'a' | 'e' | 'i' | 'o' | 'u' | 'A')
}

/// Cost of hearing one sign for another: little within a family of sounds.
fn substitution(a: char, b: char) -> f32 {
    const FAMILIES: [&str; 7] = ["mn", "pb", "tdT", "kg", "fv", "szSCj", "lrw"];
    if a == b {
        0.0
    } else if is_vowel(a) && is_vowel(b) {
        0.4
    } else if FAMILIES.iter().any(|f| f.contains(a) && f.contains(b)) {
        0.5
    } else {
        1.0
    }
}

/// Cost of a sign too many or too few: vowels and h are easily lost.
fn gap(sign: char) -> f32 {
    if is_vowel(sign) || sign == 'h' { 0.6 } else { 0.9 }
}

/// 1 minus the weighted edit distance over the weight of the longer string; 0 for empty ones.
fn likeness(a: &[char], b: &[char]) -> f32 {
    let mut row: Vec<f32> = std::iter::once(0.0)
        .chain(b.iter().scan(0.0, |sum, s| {
            *sum += gap(*s);
            Some(*sum)
        }))
        .collect();
    for x in a {
        let mut diagonal = row[0];
        row[0] += gap(*x);
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + substitution(*x, *y)).min(row[j + 1] + gap(*x)).min(row[j] + gap(*y));
            diagonal = row[j + 1];
            row[j + 1] = cost;
        }
    }
    let weight = |s: &[char]| s.iter().map(|c| gap(*c)).sum::<f32>();
    let longest = weight(a).max(weight(b));
    if longest > 0.0 { (1.0 - row[b.len()] / longest).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn omni() -> WakePhrase {
        WakePhrase::new("Hey Omni", 0.78).unwrap()
    }

    #[test]
    fn the_phrase_is_found_as_small_recognisers_write_it() {
        for (text, rest) in [
            ("Hey Omni, bring the cup.", "bring the cup."),
            ("hay omny bring the cup", "bring the cup"),
            ("Hey, Omney. Stop!", "Stop!"),
            ("Hey omni", ""),
            ("Well, hey Omni: go", "go"),
            ("Hey omnie what's that?", "what's that?"),
        ] {
            let found = omni().find(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.rest, rest, "{text}");
        }
        assert!((omni().find("Hey Omni").unwrap().score - 1.0).abs() < 1e-6);
        assert_eq!(omni().find("Well, hey Omni: go").unwrap().heard, "hey omni");
    }

    #[test]
    fn other_words_are_not_the_phrase() {
        for text in [
            "",
            "Bring the cup.",
            "Hey Anna, come here",
            "the money",
            "only you",
            "hey",
            "omelette",
            "Hello everybody",
            "hay many",
            "Harmony",
        ] {
            assert_eq!(omni().find(text), None, "{text}");
        }
    }

    #[test]
    fn a_phrase_without_letters_listens_for_nothing() {
        assert_eq!(WakePhrase::new("", 0.8), None);
        assert_eq!(WakePhrase::new(" ,. ", 0.8), None);
        assert!(WakePhrase::new("computer", 0.8).unwrap().find("Computer, stop").is_some());
    }

    #[test]
    fn likeness_is_symmetric_and_one_only_for_the_same() {
        let (a, b) = (sounds("omni"), sounds("only"));
        assert!((likeness(&a, &b) - likeness(&b, &a)).abs() < 1e-6);
        assert!(likeness(&a, &b) < 1.0 && (likeness(&a, &a) - 1.0).abs() < 1e-6);
        assert_eq!(sounds("phone"), ['f', 'o', 'n']);
        assert_eq!(sounds("hey"), sounds("hay"));
        assert_eq!((likeness(&[], &[]), likeness(&a, &[])), (0.0, 0.0));
    }
}
