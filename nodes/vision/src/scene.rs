//! What kind of place a picture shows: a rule over the classifier's opinion and the detected objects.
//!
//! This is a heuristic, not a trained scene network, and says so in its provenance: groups of ImageNet classes and COCO
//! objects vote for four kinds of place, and what no group wins clearly is rejected to the coarser kind or to unknown.

use crate::classify::CLASSES;
use crate::detect::DetectedObject;

/// Name and version of the rule, for the provenance.
pub const RULE: (&str, &str) = ("scene-heuristic", "1");

/// Kind of place. Numbers as in omnimind_msgs/SceneAnalysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SceneType {
    /// Nothing speaks clearly for any kind.
    Unknown = 0,
    /// Inside, of no particular kind.
    Indoor = 1,
    /// Outside, of no particular kind.
    Outdoor = 2,
    /// Streets and buildings.
    Urban = 3,
    /// Landscape, animals, plants.
    Natural = 4,
    /// An office or workshop.
    Workspace = 5,
    /// A home.
    Residential = 6,
}

impl SceneType {
    /// The lower case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Indoor => "indoor",
            Self::Outdoor => "outdoor",
            Self::Urban => "urban",
            Self::Natural => "natural",
            Self::Workspace => "workspace",
            Self::Residential => "residential",
        }
    }
}

/// ImageNet-1k class numbers that speak for streets and buildings: churches, bridges, signs, shops, road vehicles.
const URBAN: [usize; 54] = [
    407, 408, 410, 415, 424, 436, 437, 442, 454, 467, 468, 475, 479, 483, 497, 498, 509, 511, 525, 538, 547, 555, 565, 569, 580,
    582, 609, 627, 634, 654, 656, 661, 663, 665, 668, 675, 698, 704, 705, 717, 734, 751, 757, 762, 779, 817, 820, 821, 829, 839,
    874, 888, 919, 920,
];
/// Landscapes.
const LANDSCAPE: std::ops::RangeInclusive<usize> = 970..=980;
/// Fish, birds, reptiles, wild mammals and insects; dogs and cats (151 to 285) live in homes as well and are left out.
const WILDLIFE: [std::ops::RangeInclusive<usize>; 2] = [0..=150, 286..=397];
/// Desks, computers, printers, files, tools.
const WORKSPACE: [usize; 19] = [508, 526, 527, 553, 587, 620, 622, 664, 673, 681, 696, 710, 713, 740, 742, 772, 782, 784, 810];
/// Furniture, bath, kitchen, what stands on a table.
const RESIDENTIAL: [usize; 60] = [
    411, 414, 423, 431, 435, 453, 493, 495, 504, 505, 516, 520, 521, 529, 532, 534, 548, 550, 559, 564, 567, 588, 598, 606, 618,
    619, 631, 648, 651, 659, 700, 703, 706, 711, 720, 721, 736, 750, 760, 765, 766, 789, 794, 799, 809, 827, 831, 846, 849, 850,
    851, 854, 857, 859, 861, 876, 894, 896, 904, 905,
];
/// Cooked dishes, cups and plates: inside, no particular kind.
const TABLE: std::ops::RangeInclusive<usize> = 923..=969;

/// Weight of a clear object (confidence 1) against the whole of the classifier's probability.
const OBJECT_WEIGHT: f32 = 0.5;
/// A fine kind needs this much evidence and this share of its coarse kind's.
const FINE_EVIDENCE: f32 = 0.25;
const FINE_SHARE: f32 = 0.6;
/// A coarse kind needs this much evidence and this share of all.
const COARSE_EVIDENCE: f32 = 0.20;
const COARSE_SHARE: f32 = 0.65;

/// The rule's answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneGuess {
    /// Kind of place.
    pub scene: SceneType,
    /// Share of the evidence that speaks for it, 0..1; 0 when unknown.
    pub confidence: f32,
}

/// Evidence for the four fine kinds and for plain inside and outside.
#[derive(Debug, Default, Clone, Copy)]
struct Evidence {
    urban: f32,
    natural: f32,
    outdoor: f32,
    workspace: f32,
    residential: f32,
    indoor: f32,
}

/// Kind of place from the classifier's 1000 probabilities (if there are any) and the objects.
pub fn scene(probabilities: Option<&[f32]>, objects: &[DetectedObject]) -> SceneGuess {
    let mut e = Evidence::default();
    if let Some(p) = probabilities {
        // What a group has by chance, its share of the classes, is no evidence.
        let beyond_chance = |mass: f32, classes: usize| (mass - classes as f32 / CLASSES as f32).max(0.0);
        let range =
            |r: &std::ops::RangeInclusive<usize>| p.get(r.clone()).map_or(0.0, |s| beyond_chance(s.iter().sum(), s.len()));
        let list = |l: &[usize]| beyond_chance(l.iter().filter_map(|n| p.get(*n)).sum(), l.len());
        e.urban += list(&URBAN);
        e.natural += range(&LANDSCAPE) + 0.7 * WILDLIFE.iter().map(range).sum::<f32>();
        e.workspace += list(&WORKSPACE);
        e.residential += list(&RESIDENTIAL);
        e.indoor += 0.8 * range(&TABLE);
    }
    for object in objects {
        let weight = OBJECT_WEIGHT * object.confidence;
        match &*object.label {
            "car" | "bus" | "truck" | "train" | "traffic light" | "stop sign" | "parking meter" | "fire hydrant" => {
                e.urban += weight
            }
            "motorcycle" | "bicycle" | "bench" | "airplane" | "boat" | "kite" | "skis" | "snowboard" | "surfboard" => {
                e.outdoor += weight * 0.6
            }
            "horse" | "sheep" | "cow" | "elephant" | "bear" | "zebra" | "giraffe" | "bird" => e.natural += weight,
            "laptop" | "keyboard" | "mouse" => e.workspace += weight,
            "couch" | "bed" | "toilet" | "oven" | "sink" | "refrigerator" | "microwave" | "toaster" | "dining table" | "tv"
            | "teddy bear" => e.residential += weight,
            "cup" | "bottle" | "bowl" | "wine glass" | "fork" | "knife" | "spoon" | "chair" | "vase" | "book" | "clock"
            | "potted plant" | "remote" => e.indoor += weight * 0.6,
            _ => {}
        }
    }
    decide(&e)
}

fn decide(e: &Evidence) -> SceneGuess {
    let inside = e.workspace + e.residential + e.indoor;
    let outside = e.urban + e.natural + e.outdoor;
    let all = inside + outside;
    let (coarse, evidence, fine) = if inside >= outside {
        (SceneType::Indoor, inside, [(SceneType::Residential, e.residential), (SceneType::Workspace, e.workspace)])
    } else {
        (SceneType::Outdoor, outside, [(SceneType::Urban, e.urban), (SceneType::Natural, e.natural)])
    };
    if evidence < COARSE_EVIDENCE || evidence < COARSE_SHARE * all {
        return SceneGuess { scene: SceneType::Unknown, confidence: 0.0 };
    }
    let (kind, strongest) = if fine[1].1 > fine[0].1 { fine[1] } else { fine[0] };
    if strongest >= FINE_EVIDENCE && strongest >= FINE_SHARE * evidence {
        return SceneGuess { scene: kind, confidence: (strongest / all * strongest.min(1.0).sqrt()).min(1.0) };
    }
    SceneGuess { scene: coarse, confidence: (evidence / all * evidence.min(1.0).sqrt()).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::BoundingBox;

    fn object(label: &'static str, confidence: f32) -> DetectedObject {
        DetectedObject::new(label, confidence, BoundingBox { x: 0.0, y: 0.0, width: 0.5, height: 0.5 })
    }

    fn certain(class: usize) -> Vec<f32> {
        let mut p = vec![0.0; 1000];
        p[class] = 1.0;
        p
    }

    #[test]
    fn clear_pictures_get_their_kind() {
        // Numbers of ImageNet-1k: 975 lakeside, 920 traffic light, 527 desktop computer, 831 studio couch, 967 espresso.
        for (class, expected) in [
            (975, SceneType::Natural),
            (920, SceneType::Urban),
            (527, SceneType::Workspace),
            (831, SceneType::Residential),
            (967, SceneType::Indoor),
        ] {
            let guess = scene(Some(&certain(class)), &[]);
            assert_eq!(guess.scene, expected);
            assert!(guess.confidence > 0.5 && guess.confidence <= 1.0);
        }
    }

    #[test]
    fn objects_alone_decide_where_there_is_no_classifier() {
        assert_eq!(scene(None, &[object("bed", 0.8), object("couch", 0.7)]).scene, SceneType::Residential);
        assert_eq!(scene(None, &[object("car", 0.8), object("bus", 0.7)]).scene, SceneType::Urban);
        assert_eq!(scene(None, &[object("cup", 0.9), object("chair", 0.9)]).scene, SceneType::Indoor);
    }

    #[test]
    fn what_is_not_clear_is_unknown() {
        assert_eq!(scene(None, &[]), SceneGuess { scene: SceneType::Unknown, confidence: 0.0 });
        assert_eq!(scene(Some(&vec![0.001; 1000]), &[]).scene, SceneType::Unknown);
        assert_eq!(scene(None, &[object("car", 0.8), object("bed", 0.8)]).scene, SceneType::Unknown);
        assert_eq!(scene(Some(&[]), &[object("person", 0.9)]).scene, SceneType::Unknown);
    }

    #[test]
    fn the_class_lists_are_sorted_and_disjoint() {
        let lists: [&[usize]; 3] = [&URBAN, &WORKSPACE, &RESIDENTIAL];
        for list in lists {
            assert!(list.windows(2).all(|w| w[0] < w[1]));
            assert!(list.iter().all(|n| !LANDSCAPE.contains(n) && !TABLE.contains(n) && WILDLIFE.iter().all(|r| !r.contains(n))));
        }
        for n in URBAN {
            assert!(!WORKSPACE.contains(&n) && !RESIDENTIAL.contains(&n));
        }
        assert!(WORKSPACE.iter().all(|n| !RESIDENTIAL.contains(n)));
    }
}
