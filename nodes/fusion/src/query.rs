//! Which remembered object fits some words.

use crate::category;
use crate::memory::Object;

/// An object with how well it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Identity of the object.
    pub id: u32,
    /// 0..1.
    pub similarity: f64,
    /// Why.
    pub reason: String,
}

/// An object and the label of the room it is in (empty: none).
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The object.
    pub object: &'a Object,
    /// Its room as people call it.
    pub room: &'a str,
}

/// Fits the words of `text` against every candidate: its label (weight 0.6; letter by letter, so that slips of a
/// recogniser do not matter), its category (0.4), its room (0.25), being held (0.2), together scaled by the confidence
/// that it is there. An object that nothing in the words points at is no match. Best first, at most `max_results`.
#[must_use]
pub fn query(text: &str, candidates: &[Candidate<'_>], max_results: usize) -> Vec<Match> {
    let words = words(text);
    let mut matches: Vec<Match> = candidates.iter().filter_map(|c| fit(&words, c)).collect();
    matches.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.id.cmp(&b.id)));
    matches.truncate(max_results);
    matches
}

fn fit(words: &[String], candidate: &Candidate<'_>) -> Option<Match> {
    let object = candidate.object;
    let mut score = 0.0;
    let mut reasons = Vec::new();
    let label = phrase_similarity(words, object.label());
    if label > 0.74 {
        score += 0.6 * label;
        reasons.push(format!("is a {}", object.label()));
    }
    let kind = category::name(category::of(object.label()));
    if kind != "unknown" && words.iter().any(|w| w == kind) {
        score += 0.4;
        reasons.push(format!("is a kind of {kind}"));
    }
    if !candidate.room.is_empty() && phrase_similarity(words, candidate.room) > 0.8 {
        score += 0.25;
        reasons.push(format!("is in the {}", candidate.room));
    }
    if object.held && words.iter().any(|w| matches!(w.as_str(), "held" | "holding" | "hand" | "gripper")) {
        score += 0.2;
        reasons.push("is held".to_owned());
    }
    if reasons.is_empty() {
        return None;
    }
    let similarity = (score / 0.85 * (0.5 + 0.5 * object.confidence())).clamp(0.0, 1.0);
    reasons.push(format!("believed with {:.0}%", object.confidence() * 100.0));
    Some(Match { id: object.id, similarity, reason: reasons.join(", ") })
}

fn words(text: &str) -> Vec<String> {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Best similarity 0..1 of a phrase (one or more words) with any run of as many of the words.
fn phrase_similarity(words: &[String], phrase: &str) -> f64 {
    let length = phrase.split_whitespace().count().max(1);
    words.windows(length.min(words.len()).max(1)).map(|run| similarity(&run.join(" "), phrase)).fold(0.0, f64::max)
}

/// 1 minus the edit distance over the longer length.
fn similarity(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let longest = a.len().max(b.len());
    if longest == 0 {
        return 1.0;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    1.0 - row[b.len()] as f64 / longest as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Look, MemorySettings, ObjectMemory, Sighting};
    use glam::DVec3;

    fn memory() -> ObjectMemory {
        let mut m = ObjectMemory::new(MemorySettings::default());
        let see = |label: &str, x: f64| Sighting {
            label: label.into(),
            score: 0.8,
            position: DVec3::new(x, 0.0, 0.4),
            sigma: 0.05,
            size: DVec3::splat(0.1),
        };
        for i in 0..4 {
            m.observe(&[see("cup", 1.0), see("teddy bear", 3.0), see("cat", 5.0)], i, |_| Look::NotInView);
        }
        m
    }

    fn ask(text: &str) -> Vec<Match> {
        let m = memory();
        let rooms = ["kitchen", "living room", "hall"];
        let c: Vec<Candidate> = m.objects().iter().zip(rooms).map(|(object, room)| Candidate { object, room }).collect();
        query(text, &c, 10)
    }

    #[test]
    fn the_named_object_comes_first_with_a_reason() {
        let m = ask("where is the teddy bear?");
        assert_eq!(m[0].id, 2);
        assert!(m[0].similarity > 0.5 && m[0].reason.contains("teddy bear"), "{m:?}");
    }

    #[test]
    fn slips_categories_and_rooms_count() {
        assert_eq!(ask("the teddi bear")[0].id, 2);
        assert_eq!(ask("any animal")[0].id, 3);
        assert_eq!(ask("what is in the kitchen")[0].id, 1);
        assert!(ask("a helicopter").is_empty());
        assert!(ask("").is_empty());
    }
}
