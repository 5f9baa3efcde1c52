//! What kind of place a picture shows: a rule over the classifier's opinion, the detected objects and the picture's colours.
//!
//! This is a heuristic, not a trained scene network, and says so in its provenance: groups of ImageNet classes and COCO
//! objects vote for four kinds of place, and what no group wins clearly is rejected to the coarser kind or to unknown.

use image::RgbImage;

use crate::classify::CLASSES;
use crate::color::hue_degrees;
use crate::detect::DetectedObject;
use crate::gray::luma;

/// Name and version of the rule, for the provenance.
pub const RULE: (&str, &str) = ("scene-heuristic", "2");

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

    /// The type of a lower case word.
    pub fn of_word(word: &str) -> Option<Self> {
        KINDS.into_iter().chain([Self::Unknown]).find(|kind| kind.as_str() == word)
    }

    /// Whether it is inside; `None` if nobody knows.
    pub fn inside(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Indoor | Self::Workspace | Self::Residential => Some(true),
            Self::Outdoor | Self::Urban | Self::Natural => Some(false),
        }
    }

    /// Words for it that a search can find; `None` if nobody knows.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Indoor => Some("inside a building"),
            Self::Outdoor => Some("outdoors"),
            Self::Urban => Some("city street with buildings"),
            Self::Natural => Some("nature, landscape"),
            Self::Workspace => Some("office, workshop"),
            Self::Residential => Some("room in a home"),
        }
    }
}

/// The kinds that a picture can be found to show, without [`SceneType::Unknown`], by number.
pub const KINDS: [SceneType; 6] =
    [SceneType::Indoor, SceneType::Outdoor, SceneType::Urban, SceneType::Natural, SceneType::Workspace, SceneType::Residential];

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

/// What the colours of a picture say about the place, each 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Surroundings {
    /// Share of the upper third that is blue and bright: hue 185 to 255 degrees, luma above 90.
    pub sky: f32,
    /// Share of the picture that is the green of plants: hue 65 to 165 degrees, luma above 25.
    pub green: f32,
}

impl Surroundings {
    /// From a grid of 48 x 36 pixels.
    pub fn of(image: &RgbImage) -> Self {
        const GRID: (u32, u32) = (48, 36);
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            return Self::default();
        }
        let (mut sky, mut green) = (0.0, 0.0);
        for (x, y) in (0..GRID.1).flat_map(|y| (0..GRID.0).map(move |x| (x, y))) {
            let place = |n: u32, of: u32, size: u32| ((2 * u64::from(n) + 1) * u64::from(size) / (2 * u64::from(of))) as u32;
            let rgb = image.get_pixel(place(x, GRID.0, width), place(y, GRID.1, height)).0;
            let light = luma(rgb);
            match hue_degrees(rgb) {
                Some(hue) if (185.0..255.0).contains(&hue) && light > 90.0 && y < GRID.1 / 3 => sky += 1.0,
                Some(hue) if (65.0..165.0).contains(&hue) && light > 25.0 => green += 1.0,
                _ => {}
            }
        }
        let cells = (GRID.0 * GRID.1) as f32;
        Self { sky: 3.0 * sky / cells, green: green / cells }
    }
}

/// Weights of the colours against the whole of the classifier's probability.
const SKY_WEIGHT: f32 = 0.3;
const GREEN_WEIGHT: f32 = 0.3;
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

/// Least probability of a fine kind, and of a coarse one with the fine ones in it, to be told by a network.
const FINE_PROBABILITY: f32 = 0.5;
const COARSE_PROBABILITY: f32 = 0.6;

/// Kind of place from the probabilities of [`KINDS`], which sum to 1 or less: the fine kind of 0.5 or more, else inside or outside with
/// 0.6 or more together, else unknown. The confidence is that probability.
pub fn decide_shares(shares: &[f32; 6]) -> SceneGuess {
    let of = |kind: SceneType| shares[kind as usize - 1];
    let fine = KINDS.into_iter().filter(|k| !matches!(k, SceneType::Indoor | SceneType::Outdoor));
    let best = fine.reduce(|a, b| if of(b) > of(a) { b } else { a });
    if let Some(kind) = best.filter(|kind| of(*kind) >= FINE_PROBABILITY) {
        return SceneGuess { scene: kind, confidence: of(kind).min(1.0) };
    }
    let side = |inside: bool| KINDS.into_iter().filter(|k| k.inside() == Some(inside)).map(of).sum::<f32>();
    let (coarse, share) = match (side(true), side(false)) {
        (inside, outside) if inside >= outside => (SceneType::Indoor, inside),
        (_, outside) => (SceneType::Outdoor, outside),
    };
    if share >= COARSE_PROBABILITY {
        return SceneGuess { scene: coarse, confidence: share.min(1.0) };
    }
    SceneGuess { scene: SceneType::Unknown, confidence: 0.0 }
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

/// Kind of place from the classifier's 1000 probabilities (if there are any), the objects and the colours.
pub fn scene(probabilities: Option<&[f32]>, objects: &[DetectedObject], surroundings: &Surroundings) -> SceneGuess {
    let mut e =
        Evidence { outdoor: SKY_WEIGHT * surroundings.sky, natural: GREEN_WEIGHT * surroundings.green, ..Evidence::default() };
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
    use image::Rgb;

    fn scene(probabilities: Option<&[f32]>, objects: &[DetectedObject]) -> SceneGuess {
        super::scene(probabilities, objects, &Surroundings::default())
    }

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
    fn sky_and_green_speak_for_outside() {
        let meadow = RgbImage::from_fn(120, 90, |_, y| if y < 40 { Rgb([110, 160, 230]) } else { Rgb([60, 120, 40]) });
        let surroundings = Surroundings::of(&meadow);
        assert!(surroundings.sky > 0.95 && (surroundings.green - 50.0 / 90.0).abs() < 0.05, "{surroundings:?}");
        assert_eq!(super::scene(None, &[], &surroundings).scene, SceneType::Outdoor);
        // A lakeside that the classifier is half sure of.
        let mut p = vec![0.0; 1000];
        p[975] = 0.3;
        assert_eq!(super::scene(Some(&p), &[], &surroundings).scene, SceneType::Natural);
        assert_eq!(Surroundings::of(&RgbImage::from_pixel(9, 9, Rgb([200, 180, 150]))), Surroundings::default());
        assert_eq!(Surroundings::of(&RgbImage::new(0, 0)), Surroundings::default());
    }

    #[test]
    fn what_is_not_clear_is_unknown() {
        assert_eq!(scene(None, &[]), SceneGuess { scene: SceneType::Unknown, confidence: 0.0 });
        assert_eq!(scene(Some(&vec![0.001; 1000]), &[]).scene, SceneType::Unknown);
        assert_eq!(scene(None, &[object("car", 0.8), object("bed", 0.8)]).scene, SceneType::Unknown);
        assert_eq!(scene(Some(&[]), &[object("person", 0.9)]).scene, SceneType::Unknown);
    }

    #[test]
    fn probabilities_of_a_network_are_rejected_to_the_coarser_kind_and_to_unknown() {
        // Indoor, outdoor, urban, natural, workspace, residential.
        for (shares, scene, confidence) in [
            ([0.0, 0.1, 0.7, 0.1, 0.0, 0.1], SceneType::Urban, 0.7),
            ([0.1, 0.0, 0.1, 0.0, 0.4, 0.4], SceneType::Indoor, 0.9),
            ([0.0, 0.2, 0.25, 0.25, 0.15, 0.15], SceneType::Outdoor, 0.7),
            ([0.2, 0.1, 0.2, 0.2, 0.2, 0.1], SceneType::Unknown, 0.0),
            ([0.0; 6], SceneType::Unknown, 0.0),
            ([f32::NAN; 6], SceneType::Unknown, 0.0),
        ] {
            let guess = decide_shares(&shares);
            assert!(guess.scene == scene && (guess.confidence - confidence).abs() < 1e-5, "{shares:?}: {guess:?}");
        }
    }

    #[test]
    fn words_and_types_belong_together() {
        for kind in KINDS {
            assert_eq!(SceneType::of_word(kind.as_str()), Some(kind));
            assert_eq!(KINDS[kind as usize - 1], kind);
        }
        assert_eq!(SceneType::of_word("kitchen"), None);
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
