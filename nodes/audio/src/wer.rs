//! Word error rate, and the rooms and noises that speech is tested in.

use crate::features::SAMPLE_RATE;
use rand::{Rng, RngExt};

/// Words of a text in lower case without punctuation; an apostrophe stays.
pub fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Words for counting errors, where two spellings of the same words must not count: [`words`], and
/// - numbers up to 999,999 in digits become words ("45" and "forty-five" both become "forty five"), a full hour "9:00" becomes "nine";
/// - "mr", "dr", "ok", "%" and a "cm", "mm", "kg" after a number are written out;
/// - British "-metre", "grey", "colour", "favourite" become American;
/// - typographic apostrophes become straight ones.
///
/// Nothing else is forgiven: a compound written apart ("book case") counts as two errors.
pub fn normalised(text: &str) -> Vec<String> {
    let text = text.replace('\u{2019}', "'").replace('%', " percent ").replace(":00", " ");
    let mut out: Vec<String> = Vec::new();
    let mut after_number = false;
    for word in words(&text) {
        let digits = word.chars().take_while(char::is_ascii_digit).count();
        let (number, rest) = word.split_at(digits);
        let is_number = !number.is_empty() && number.len() <= 6;
        if is_number && (rest.is_empty() || unit(rest).is_some()) {
            out.extend(spelt(number.parse().unwrap_or(0)));
            out.extend(unit(rest).map(str::to_owned));
            after_number = rest.is_empty();
            continue;
        }
        let word = match (word.as_str(), after_number) {
            (short, true) if unit(short).is_some() => unit(short).unwrap_or_default().to_owned(),
            ("mr", _) => "mister".to_owned(),
            ("dr", _) => "doctor".to_owned(),
            ("ok", _) => "okay".to_owned(),
            ("grey", _) => "gray".to_owned(),
            ("colour", _) => "color".to_owned(),
            ("favourite", _) => "favorite".to_owned(),
            (w, _) if w.ends_with("metre") || w.ends_with("metres") => w.replace("metre", "meter"),
            (w, _) => w.to_owned(),
        };
        after_number = false;
        out.push(word);
    }
    out
}

/// A unit's abbreviation written out.
fn unit(short: &str) -> Option<&'static str> {
    Some(match short {
        "cm" => "centimeters",
        "mm" => "millimeters",
        "kg" => "kilograms",
        _ => return None,
    })
}

/// The English words of a number below a million.
fn spelt(n: u32) -> Vec<String> {
    const ONES: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let joined = |head: u32, name: Option<&str>, rest: u32| {
        let mut out = spelt(head);
        out.extend(name.map(str::to_owned));
        if rest > 0 {
            out.extend(spelt(rest));
        }
        out
    };
    match n {
        0..20 => vec![ONES[n as usize].to_owned()],
        20..100 => {
            let mut out = vec![TENS[(n / 10) as usize].to_owned()];
            if n % 10 > 0 {
                out.push(ONES[(n % 10) as usize].to_owned());
            }
            out
        }
        100..1_000 => joined(n / 100, Some("hundred"), n % 100),
        _ => joined(n / 1_000, Some("thousand"), n % 1_000),
    }
}

/// Substituted, inserted and deleted words (Levenshtein) between a reference and what was heard.
pub fn word_errors(reference: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, r) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, h) in heard.iter().enumerate() {
            let cost = diagonal + usize::from(r != h);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[heard.len()]
}

/// True if the words of `phrase` stand in `text` one after the other.
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (words(text), words(phrase));
    !phrase.is_empty() && text.windows(phrase.len()).any(|w| w == phrase)
}

/// Speech as a microphone hears it: level falls with distance (reference 1 m), a short exponential echo tail grows
/// against it, white noise of a fixed level at the microphone is added.
pub fn at_distance(speech: &[f32], distance_m: f32, noise_dbfs: f32, rng: &mut impl Rng) -> Vec<f32> {
    let direct = 1.0 / distance_m.max(0.25);
    let tail = echo(0.25, rng);
    let lead = (SAMPLE_RATE / 2) as usize;
    let mut out = vec![0.0_f32; speech.len() + 2 * lead];
    for (i, s) in speech.iter().enumerate() {
        out[lead + i] += s * direct;
        for (delay, gain) in &tail {
            if let Some(o) = out.get_mut(lead + i + delay) {
                *o += s * gain;
            }
        }
    }
    // Uniform noise of amplitude a has the RMS a / sqrt(3).
    let amplitude = 10.0_f32.powf(noise_dbfs / 20.0) * 3.0_f32.sqrt();
    for o in &mut out {
        *o = (*o + amplitude * rng.random_range(-1.0..1.0)).clamp(-1.0, 1.0);
    }
    out
}

/// 60 reflections between 5 ms and the reverberation time, decaying by 60 dB over it; their sum of squares is that of
/// the direct sound at 2.5 m.
fn echo(reverberation_s: f32, rng: &mut impl Rng) -> Vec<(usize, f32)> {
    let mut taps: Vec<(usize, f32)> = (0..60)
        .map(|_| {
            let t = rng.random_range(0.005..reverberation_s);
            let sign = if rng.random_range(0.0..1.0_f32) < 0.5 { -1.0 } else { 1.0 };
            ((t * SAMPLE_RATE as f32) as usize, sign * 10.0_f32.powf(-3.0 * t / reverberation_s))
        })
        .collect();
    let energy: f32 = taps.iter().map(|(_, g)| g * g).sum();
    for (_, gain) in &mut taps {
        *gain *= 0.4 / energy.sqrt();
    }
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(a: &str, b: &str) -> usize {
        word_errors(&words(a), &words(b))
    }

    #[test]
    fn word_errors_count_substitutions_insertions_and_deletions() {
        assert_eq!(errors("Bring the cup.", "bring, the cup"), 0);
        assert_eq!(errors("bring the cup", "bring a cup"), 1);
        assert_eq!(errors("bring the cup", "bring the"), 1);
        assert_eq!(errors("bring the cup", "please bring the red cup"), 2);
        assert_eq!(errors("", "a b"), 2);
        assert_eq!(errors("a b", ""), 2);
    }

    #[test]
    fn spellings_of_the_same_words_are_the_same() {
        for (a, b) in [
            ("Turn left 45 degrees.", "turn left forty-five degrees"),
            ("at 9:00 o'clock", "at nine o\u{2019}clock"),
            ("Mr. Taylor, 20%", "mister taylor twenty percent"),
            ("Lift it 5cm", "lift it five centimetres"),
            ("Lift it 5 cm", "lift it five centimeters"),
            ("1,250", "one two hundred fifty"),
            ("120345", "one hundred twenty thousand three hundred forty five"),
        ] {
            assert_eq!(normalised(a), normalised(b));
        }
        assert_eq!(normalised("the bookcase").len(), 2);
        assert_ne!(normalised("book case"), normalised("bookcase"));
        assert_eq!(normalised("A1 12345678 cm"), ["a1", "12345678", "cm"]);
    }

    #[test]
    fn a_phrase_must_stand_in_one_piece() {
        assert!(contains_phrase("Bring the Teddy Bear, please", "teddy bear"));
        assert!(!contains_phrase("the teddy, then the bear", "teddy bear"));
        assert!(!contains_phrase("cupboard", "cup"));
    }
}
