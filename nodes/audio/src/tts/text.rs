//! Text as a synthesiser wants it: checked, and cut into sentences and clauses.

use super::SynthesizeError;

/// Longest text taken, characters.
pub const MAX_TEXT: usize = 10_000;
/// A sentence longer than this is cut at a comma or a space, characters: the first sound comes no later than after so much.
pub const MAX_SENTENCE: usize = 300;

/// Words that end in a full stop without ending a sentence, in lower case.
const ABBREVIATIONS: [&str; 16] =
    ["mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "e.g", "i.e", "fig", "approx", "ca", "cf"];

/// Refuses what no synthesiser can speak: nothing at all, signs only, more than [`MAX_TEXT`] characters, control characters.
/// Gives the text without space around it.
///
/// # Errors
/// [`SynthesizeError::Text`].
pub fn check(text: &str) -> Result<&str, SynthesizeError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(SynthesizeError::Text("it is empty"));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(SynthesizeError::Text("it is longer than 10000 characters"));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(SynthesizeError::Text("it holds control characters"));
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err(SynthesizeError::Text("it holds neither a letter nor a digit"));
    }
    Ok(text)
}

/// Refuses a text of which most letters are not Latin, for a voice that reads English: it would spell them or leave them out.
///
/// # Errors
/// [`SynthesizeError::Text`].
pub fn check_latin(text: &str) -> Result<(), SynthesizeError> {
    let latin = |c: char| c <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(&c);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let foreign = text.chars().filter(|c| c.is_alphabetic() && !latin(*c)).count();
    if 2 * foreign > letters {
        return Err(SynthesizeError::Text("most of its letters are of a script that this English voice cannot read"));
    }
    Ok(())
}

/// The sentences of a text in order, each with a letter or a digit and at most [`MAX_SENTENCE`] characters.
///
/// A sentence ends at `.`, `!`, `?` or an ellipsis before a space (not after an abbreviation or an initial, not before a
/// small letter), and at an empty line.
pub fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in text.replace("\r\n", "\n").split("\n\n") {
        let mut sentence = String::new();
        let mut words = paragraph.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            sentence.push_str(word);
            if words.peek().is_none_or(|next| ends_sentence(word, next)) {
                shorten(&std::mem::take(&mut sentence), &mut found);
            }
        }
    }
    found.retain(|s: &String| s.chars().any(char::is_alphanumeric));
    found
}

fn ends_sentence(word: &str, next: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
    if bare.ends_with(['!', '?', '…']) {
        return true;
    }
    let Some(stem) = bare.strip_suffix('.') else { return false };
    let stem = stem.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let initial = stem.chars().count() == 1 && stem.chars().all(char::is_alphabetic) && stem != "i";
    let small = next.chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_lowercase);
    !initial && !small && !ABBREVIATIONS.contains(&stem.as_str())
}

/// Cuts what is too long at the last comma, else at the last space, else anywhere.
fn shorten(sentence: &str, into: &mut Vec<String>) {
    let mut rest = sentence;
    while rest.chars().count() > MAX_SENTENCE {
        let limit = rest.char_indices().nth(MAX_SENTENCE).map_or(rest.len(), |(i, _)| i);
        let head = &rest[..limit];
        let comma = head.rmatch_indices([',', ';', ':']).map(|(i, _)| i + 1).find(|i| rest[*i..].starts_with(' '));
        let cut = comma.or_else(|| head.rfind(' ')).filter(|i| *i > 0).unwrap_or(limit);
        into.push(rest[..cut].trim().to_owned());
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        into.push(rest.to_owned());
    }
}

/// A part of a sentence that is spoken in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its words, without the sign at the end.
    pub words: String,
    /// The sign that ends it: one of `, ; : . ! ?`.
    pub mark: char,
}

/// The clauses of a sentence: a clause ends at one of `, ; : . ! ?` or a dash before a space or at the end. Signs within
/// words and numbers (`3.5`, `10:30`) end none. The last clause ends in a full stop if nothing else is there.
pub fn clauses(sentence: &str) -> Vec<Clause> {
    let mut found: Vec<Clause> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    let mut close = |words: &mut Vec<&str>, mark: char| {
        let text = words.join(" ");
        words.clear();
        if text.chars().any(char::is_alphanumeric) {
            found.push(Clause { words: text, mark });
        } else if let Some(last) = found.last_mut() {
            // `Really ?!` and the like: the stronger sign stays.
            last.mark = if ".!?".contains(mark) { mark } else { last.mark };
        }
    };
    let mut tokens = sentence.split_whitespace().peekable();
    while let Some(token) = tokens.next() {
        let open = token.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
        let bare = open.trim_end_matches([',', ';', ':', '.', '!', '?', '…']);
        let mark = match open[bare.len()..].chars().last() {
            _ if matches!(token, "-" | "–" | "—") => Some(','),
            Some('…') => Some('.'),
            // An abbreviation keeps its full stop; within a sentence `.` ends nothing else.
            Some('.') if tokens.peek().is_some() => None,
            mark => mark,
        };
        match mark {
            Some(mark) => {
                if bare.chars().any(char::is_alphanumeric) {
                    words.push(bare);
                }
                close(&mut words, mark);
            }
            None => words.push(token),
        }
    }
    if !words.is_empty() {
        close(&mut words, '.');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_signs_and_empty_lines_but_not_at_abbreviations_initials_and_numbers() {
        let text =
            "Dr. Smith has 3.5 kg of flour. \"Really?\" she said. J. Bach knew...\n\nBring it (e.g. the cup) now! Then 4. Then";
        let want = [
            "Dr. Smith has 3.5 kg of flour.",
            "\"Really?\"",
            "she said.",
            "J. Bach knew...",
            "Bring it (e.g. the cup) now!",
            "Then 4.",
            "Then",
        ];
        assert_eq!(sentences(text), want);
        assert_eq!(sentences("one\ntwo\r\nthree"), ["one two three"]);
        assert!(sentences("... !!! -").is_empty());
    }

    #[test]
    fn long_sentences_are_cut_and_lose_nothing() {
        for word in ["abc, ", "abc ", "a"] {
            let text = word.repeat(1_000);
            let parts = sentences(&text);
            assert!(parts.len() > 2 && parts.iter().all(|p| p.chars().count() <= MAX_SENTENCE), "{word}");
            let letters = |t: &str| t.chars().filter(|c| c.is_alphabetic()).count();
            assert_eq!(parts.iter().map(|p| letters(p)).sum::<usize>(), letters(&text));
        }
        let bytes = "ä".repeat(2_000);
        assert_eq!(sentences(&bytes).concat(), bytes);
    }

    #[test]
    fn clauses_end_at_signs_outside_of_words() {
        let clause = |words: &str, mark| Clause { words: words.to_owned(), mark };
        assert_eq!(
            clauses("At 10:30, \"bring 3.5 kg\" - please; Mr. Ott: hurry ?!"),
            [
                clause("At 10:30", ','),
                clause("\"bring 3.5 kg\"", ','),
                clause("please", ';'),
                clause("Mr. Ott", ':'),
                clause("hurry", '!')
            ]
        );
        assert_eq!(clauses("no sign"), [clause("no sign", '.')]);
        assert_eq!(clauses("wait..."), [clause("wait", '.')]);
        assert!(clauses("...").is_empty());
    }

    #[test]
    fn what_cannot_be_spoken_is_refused_with_its_reason() {
        let reason = |text: &str| match check(text) {
            Err(SynthesizeError::Text(reason)) => reason,
            other => panic!("{text:?}: {other:?}"),
        };
        assert!(reason("").contains("empty") && reason(" \n\t ").contains("empty"));
        assert!(reason("?!... -- 🙂").contains("neither a letter nor a digit"));
        assert!(reason("a\u{7}b").contains("control") && reason("a\0b").contains("control"));
        assert!(reason(&"a".repeat(MAX_TEXT + 1)).contains("longer"));
        assert_eq!(check(&" é".repeat(MAX_TEXT / 2)).unwrap().chars().count(), MAX_TEXT - 1);
        assert!(check_latin("Привет, мир").is_err() && check_latin("日本語").is_err());
        assert!(check_latin("He said Привет to François, 20 °C").is_ok() && check_latin("42").is_ok());
    }
}
