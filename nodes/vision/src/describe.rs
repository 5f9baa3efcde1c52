//! A picture in one English sentence, from what was found in it.

use std::collections::BTreeMap;

use crate::color::{DominantColor, Lighting, color_name};
use crate::detect::DetectedObject;
use crate::scene::SceneType;

/// Kinds of objects named at most; the others are counted.
const NAMED: usize = 6;

/// One sentence: place, light, objects with their numbers in the order of their confidence, main colours.
pub fn describe(scene: SceneType, lighting: Lighting, objects: &[DetectedObject], colors: &[DominantColor]) -> String {
    let place = match scene {
        SceneType::Unknown => "A scene of no known kind".to_owned(),
        kind => format!("{} scene", capital(&with_article(kind.as_str()))),
    };
    let light = match lighting {
        Lighting::Unknown => String::new(),
        Lighting::Backlit => ", backlit,".to_owned(),
        Lighting::Dark => " in the dark".to_owned(),
        other => format!(" in {} light", other.as_str()),
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for object in objects {
        let n = counts.entry(&object.label).or_default();
        *n += 1;
        if *n == 1 {
            order.push(&object.label);
        }
    }
    let mut seen: Vec<String> = order.iter().take(NAMED).map(|label| counted(label, counts[label])).collect();
    let others: usize = order.iter().skip(NAMED).map(|label| counts[label]).sum();
    if others > 0 {
        seen.push(format!("{others} more"));
    }
    let seen = if seen.is_empty() { "no known objects".to_owned() } else { list(&seen) };
    let mut names: Vec<String> = Vec::new();
    for name in colors.iter().map(|c| color_name(c.rgb).to_owned()) {
        if !names.contains(&name) && names.len() < 2 {
            names.push(name);
        }
    }
    let colors = if names.is_empty() { String::new() } else { format!("; mainly {}", list(&names)) };
    format!("{place}{light} with {seen}{colors}.")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `a cup`, `an orange`; what is always plural stays bare.
fn with_article(noun: &str) -> String {
    if ["scissors", "skis"].contains(&noun) {
        return noun.to_owned();
    }
    // "urban" and "orange" begin with a vowel's sound, "uniform" and "ukulele" do not.
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U'])
        && !noun.starts_with("uni")
        && !noun.starts_with("uk");
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// `a cup`, `2 cups`, `3 people`.
fn counted(label: &str, n: usize) -> String {
    if n == 1 { with_article(label) } else { format!("{n} {}", plural(label)) }
}

/// The plural of a label by the rules of English spelling and the exceptions among the labels of COCO.
fn plural(label: &str) -> String {
    let irregular = [
        ("person", "people"),
        ("mouse", "mice"),
        ("knife", "knives"),
        ("sheep", "sheep"),
        ("scissors", "scissors"),
        ("skis", "skis"),
    ];
    if let Some((_, plural)) = irregular.iter().find(|(one, _)| *one == label) {
        return (*plural).to_owned();
    }
    let consonant_y = label.ends_with('y') && !["ay", "ey", "oy", "uy"].iter().any(|end| label.ends_with(end));
    if ["s", "x", "z", "ch", "sh"].iter().any(|end| label.ends_with(end)) {
        format!("{label}es")
    } else if consonant_y {
        format!("{}ies", &label[..label.len() - 1])
    } else {
        format!("{label}s")
    }
}

fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::BoundingBox;

    fn object(label: &str) -> DetectedObject {
        DetectedObject::new(label, 0.5, BoundingBox { x: 0.0, y: 0.0, width: 0.1, height: 0.1 })
    }

    #[test]
    fn a_description_counts_what_is_there() {
        let colors = [DominantColor { rgb: [120, 70, 20], share: 0.7 }, DominantColor { rgb: [245, 245, 245], share: 0.3 }];
        let objects = ["cup", "person", "cup", "person", "orange"].map(object);
        assert_eq!(
            describe(SceneType::Indoor, Lighting::Normal, &objects, &colors),
            "An indoor scene in normal light with 2 cups, 2 people and an orange; mainly brown and white."
        );
        assert_eq!(
            describe(SceneType::Natural, Lighting::Backlit, &[object("sheep"), object("sheep")], &colors[..1]),
            "A natural scene, backlit, with 2 sheep; mainly brown."
        );
        assert_eq!(describe(SceneType::Unknown, Lighting::Unknown, &[], &[]), "A scene of no known kind with no known objects.");
    }

    #[test]
    fn of_many_kinds_only_some_are_named() {
        let objects = ["cup", "bowl", "fork", "spoon", "chair", "couch", "bed", "book", "book"].map(object);
        let text = describe(SceneType::Residential, Lighting::Dark, &objects, &[]);
        assert_eq!(text, "A residential scene in the dark with a cup, a bowl, a fork, a spoon, a chair, a couch and 3 more.");
    }

    #[test]
    fn plurals() {
        for (one, many) in [
            ("bench", "benches"),
            ("bus", "buses"),
            ("toothbrush", "toothbrushes"),
            ("knife", "knives"),
            ("butterfly", "butterflies"),
            ("trolley", "trolleys"),
            ("mouse", "mice"),
            ("", "s"),
        ] {
            assert_eq!(plural(one), many);
        }
    }
}
