//! What a sentence asks the robot to do.
//!
//! The recogniser slips: the wake word comes out as "only" or "army", words are split and joined. So nothing is compared
//! exactly: verb, object and room are each found by similarity of letters and sound among what the robot knows, and the
//! sentence as a whole must be sure enough.

use crate::words::{self, Found};

/// What is asked for. Labels and rooms are the robot's own words, not the recogniser's.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Bring an object to a room.
    Fetch {
        /// Label of the object.
        object: String,
        /// Label of the room.
        room: String,
    },
    /// Go to a room.
    GoTo {
        /// Label of the room.
        room: String,
    },
    /// Find an object.
    Find {
        /// Label of the object.
        object: String,
    },
    /// Go home and charge.
    Dock,
    /// Stop.
    Stop,
}

/// A wish with how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// What is asked for.
    pub wish: Wish,
    /// 0..1.
    pub confidence: f64,
    /// Whether the robot was addressed.
    pub addressed: bool,
}

/// Why a sentence is not a wish.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was said.
    #[error("I heard nothing.")]
    Empty,
    /// Not spoken to the robot.
    #[error("I was not addressed.")]
    NotAddressed,
    /// No verb that the robot can follow.
    #[error("I do not know what to do with '{0}'.")]
    NoVerb(String),
    /// No object that the robot knows.
    #[error("I do not know the object in '{heard}'; I know {known}.")]
    NoObject {
        /// What was heard.
        heard: String,
        /// What is known.
        known: String,
    },
    /// No room that the robot knows.
    #[error("I do not know the room in '{heard}'; I know {known}.")]
    NoRoom {
        /// What was heard.
        heard: String,
        /// What is known.
        known: String,
    },
    /// Understood, but not surely enough to act.
    #[error("I am not sure I understood '{heard}' ({confidence:.2}).")]
    Unsure {
        /// What was heard.
        heard: String,
        /// How sure.
        confidence: f64,
    },
}

/// What the robot knows of language.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// Labels of objects.
    pub objects: Vec<String>,
    /// Labels of rooms.
    pub rooms: Vec<String>,
    /// Whether a sentence without the wake word is refused.
    pub wake_required: bool,
    /// Least confidence to act upon, 0..1.
    pub threshold: f64,
}

const FETCH: &[&str] = &["bring", "take", "fetch", "carry", "get", "put", "deliver", "place", "give", "move"];
const GO: &[&str] = &["go", "come", "drive", "walk", "goto"];
const FIND: &[&str] = &["find", "search", "locate", "look", "where", "wheres", "seek"];
const DOCK: &[&str] = &["dock", "charge", "recharge", "home"];
const STOP: &[&str] = &["stop", "halt", "freeze", "abort", "cancel", "emergency"];
/// Spellings of "omni" seen from recognisers; anything near "omni" counts as well.
const WAKE: &[&str] =
    &["omni", "omnie", "only", "army", "omney", "armani", "honey", "on me", "oh me", "om knee", "homie", "omnia"];
const GREET: &[&str] = &["hey", "hay", "he", "hi", "hello", "ok", "okay", "a", "hate"];

const MATCH: f64 = 0.62;

/// Understands a sentence.
///
/// # Errors
/// [`Refusal`], whose text can be spoken.
pub fn understand(text: &str, vocabulary: &Vocabulary) -> Result<Intent, Refusal> {
    let all = words::split(text);
    if all.is_empty() {
        return Err(Refusal::Empty);
    }
    let (addressed, skip) = wake(&all);
    let rest = &all[skip..];
    // Stop is obeyed whoever it is for: stopping is safe.
    if rest.iter().take(3).any(|w| STOP.contains(&w.as_str())) {
        return Ok(Intent { wish: Wish::Stop, confidence: 1.0, addressed });
    }
    if vocabulary.wake_required && !addressed {
        return Err(Refusal::NotAddressed);
    }
    let verb =
        |table: &[&str]| rest.iter().take(6).flat_map(|w| table.iter().map(move |v| words::similarity(w, v))).fold(0.0, f64::max);
    let (fetch, go, find, dock) = (verb(FETCH), verb(GO), verb(FIND), verb(DOCK));
    let mut object = best(rest, &vocabulary.objects, true, None);
    let mut room = best(rest, &vocabulary.rooms, false, None);
    // A word is one of the two: of a "hall" that sounds like a "ball", what fits better stays.
    if let (Some((_, o)), Some((_, r))) = (&object, &room) {
        if o.overlaps(r) && r.similarity >= o.similarity {
            object = best(rest, &vocabulary.objects, true, Some(*r));
        } else if o.overlaps(r) {
            room = best(rest, &vocabulary.rooms, false, Some(*o));
        }
    }
    let called = if addressed { 1.0 } else { 0.0 };
    let object_label = object.as_ref().map(|o| (vocabulary.objects[o.0].clone(), o.1.similarity));
    let room_label = room.as_ref().map(|r| (vocabulary.rooms[r.0].clone(), r.1.similarity));
    let heard = || rest.join(" ");
    let (wish, confidence) = match (object_label, room_label) {
        (Some((object, so)), Some((room, sr))) if find < 0.95 || fetch > find => {
            // Object and room together hardly mean anything else, even if the verb was not understood.
            let verb = if fetch >= 0.7 { fetch } else { 0.3 };
            (Wish::Fetch { object, room }, 0.15 * called + 0.2 * verb + 0.35 * so + 0.3 * sr)
        }
        (Some((object, so)), _) if find >= 0.75 && find >= fetch => {
            (Wish::Find { object }, 0.15 * called + 0.35 * find + 0.5 * so)
        }
        (Some(_), None) if fetch >= 0.7 => {
            return Err(Refusal::NoRoom { heard: heard(), known: vocabulary.rooms.join(", ") });
        }
        (None, _) if dock >= 0.8 => (Wish::Dock, 0.15 * called + 0.85 * dock),
        (None, Some((room, sr))) if go >= 0.7 && go >= fetch => (Wish::GoTo { room }, 0.15 * called + 0.35 * go + 0.5 * sr),
        (None, _) if fetch >= 0.7 || find >= 0.75 => {
            return Err(Refusal::NoObject { heard: heard(), known: vocabulary.objects.join(", ") });
        }
        _ if !addressed => return Err(Refusal::NotAddressed),
        _ => return Err(Refusal::NoVerb(heard())),
    };
    if confidence < vocabulary.threshold {
        return Err(Refusal::Unsure { heard: heard(), confidence });
    }
    Ok(Intent { wish, confidence: confidence.min(1.0), addressed })
}

/// Whether the sentence begins with the wake word, and how many words that takes.
fn wake(all: &[String]) -> (bool, usize) {
    let greeted = all.first().is_some_and(|w| GREET.contains(&w.as_str()));
    for start in 0..all.len().min(3) {
        for length in 1..=2 {
            let Some(run) = all.get(start..start + length) else { continue };
            let phrase = run.join(" ");
            let known = WAKE.contains(&phrase.as_str());
            let near = words::similarity(&run.concat(), "omni") >= 0.72;
            // An ordinary word as "only" is the wake word only after a greeting or at the very start.
            if near || (known && (start == 0 || greeted)) {
                return (true, start + length);
            }
        }
    }
    // "heyomni" in one word.
    if all.first().is_some_and(|w| words::similarity(w, "heyomni") >= 0.75) {
        return (true, 1);
    }
    (false, 0)
}

/// The best fitting entry of a table, not overlapping `taken`. The last word of an object's label stands for it ("ball"
/// for "sports ball"), if no other label has it.
fn best(rest: &[String], table: &[String], short: bool, taken: Option<Found>) -> Option<(usize, Found)> {
    let mut winner: Option<(usize, Found)> = None;
    for (i, label) in table.iter().enumerate() {
        let label = label.to_lowercase();
        let mut found = words::find(rest, &label);
        let last = label.rsplit(' ').next().unwrap_or("");
        let alone = table.iter().enumerate().all(|(j, other)| j == i || !other.to_lowercase().ends_with(last));
        if short && last != label && alone {
            found.extend(words::find(rest, last).into_iter().map(|f| Found { similarity: 0.95 * f.similarity, ..f }));
        }
        for f in found {
            let free = taken.is_none_or(|t| !t.overlaps(&f));
            // Of equals, the longer run: it leaves less unexplained.
            let better = winner.is_none_or(|(_, w)| {
                f.similarity > w.similarity + 1e-9 || (f.similarity > w.similarity - 1e-9 && f.length > w.length)
            });
            if free && f.similarity >= MATCH && better {
                winner = Some((i, f));
            }
        }
    }
    winner
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let list = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect();
        Vocabulary {
            objects: list(&["cup", "bottle", "teddy bear", "sports ball", "vase"]),
            rooms: list(&["kitchen", "living room", "bedroom", "hall", "study"]),
            wake_required: false,
            threshold: 0.55,
        }
    }

    fn fetch(object: &str, room: &str) -> Wish {
        Wish::Fetch { object: object.into(), room: room.into() }
    }

    #[test]
    fn every_object_and_room_is_understood_in_plain_words() {
        let v = vocabulary();
        for object in &v.objects {
            for room in &v.rooms {
                for verb in FETCH {
                    let text = format!("Hey Omni, {verb} the {object} to the {room}.");
                    let intent = understand(&text, &v).unwrap();
                    assert_eq!(intent.wish, fetch(object, room), "{text}");
                    assert!(intent.addressed && intent.confidence > 0.9);
                }
            }
        }
    }

    #[test]
    fn slips_of_the_recogniser_are_understood() {
        let v = vocabulary();
        for (text, object, room) in [
            ("hey only bring the cap to the living room", "cup", "living room"),
            ("hay army, bring the botle to the kitchin", "bottle", "kitchen"),
            ("hey on me bring the teddybear to the bed room", "teddy bear", "bedroom"),
            ("HEY OMNIE BRING THE BALL INTO THE STUDY", "sports ball", "study"),
            ("heyomni brink the vace to the hull", "vase", "hall"),
            ("bring the cup to the kitchen", "cup", "kitchen"),
            ("hey omni, could you please bring me the sport ball to the livingroom", "sports ball", "living room"),
            ("hey omni in the kitchen put the vase", "vase", "kitchen"),
        ] {
            let intent = understand(text, &v).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(intent.wish, fetch(object, room), "{text}");
        }
    }

    #[test]
    fn other_wishes() {
        let v = vocabulary();
        let wish = |t: &str| understand(t, &v).unwrap().wish;
        assert_eq!(wish("hey omni stop"), Wish::Stop);
        assert_eq!(wish("Stop!"), Wish::Stop);
        assert_eq!(wish("hey omni go to the bedroom"), Wish::GoTo { room: "bedroom".into() });
        assert_eq!(wish("hey omni find the bottle"), Wish::Find { object: "bottle".into() });
        assert_eq!(wish("hey omni where is the teddy bear"), Wish::Find { object: "teddy bear".into() });
        assert_eq!(wish("hey omni go home and recharge"), Wish::Dock);
    }

    #[test]
    fn refusals_say_why() {
        let v = vocabulary();
        assert_eq!(understand("  ", &v), Err(Refusal::Empty));
        let e = understand("hey omni bring the helicopter to the kitchen", &v).unwrap_err();
        assert!(matches!(e, Refusal::NoObject { .. }) && e.to_string().contains("teddy bear"), "{e}");
        assert!(matches!(understand("hey omni bring the helicopter to the hall", &v), Err(Refusal::NoObject { .. })));
        assert!(matches!(understand("hey omni bring the cup to the garage", &v), Err(Refusal::NoRoom { .. })));
        assert!(matches!(understand("the weather is nice today", &v), Err(Refusal::NotAddressed)));
        assert!(matches!(understand("hey omni sing a song", &v), Err(Refusal::NoVerb(_))));
        let strict = Vocabulary { wake_required: true, ..v };
        assert_eq!(understand("bring the cup to the kitchen", &strict), Err(Refusal::NotAddressed));
    }
}
