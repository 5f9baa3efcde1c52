//! Names of what the detector knows, and the fixed table from them to the eight categories.

/// What kind of thing an object is. Numbers as in omnimind_msgs/DetectedObject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Category {
    /// None of the others.
    Unknown = 0,
    /// A human.
    Person = 1,
    /// Any other animal.
    Animal = 2,
    /// Something that carries people or goods.
    Vehicle = 3,
    /// A building. No class of COCO is one.
    Building = 4,
    /// Furniture and what is built into a home.
    Furniture = 5,
    /// A plant.
    Plant = 6,
    /// Something to eat.
    Food = 7,
}

impl Category {
    /// The category of a COCO label; [`Category::Unknown`] for any other text.
    pub fn of(label: &str) -> Self {
        COCO.iter().find(|(name, _)| *name == label).map_or(Self::Unknown, |(_, category)| *category)
    }

    /// The lower case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Person => "person",
            Self::Animal => "animal",
            Self::Vehicle => "vehicle",
            Self::Building => "building",
            Self::Furniture => "furniture",
            Self::Plant => "plant",
            Self::Food => "food",
        }
    }
}

use Category::{Animal, Food, Furniture, Person, Plant, Unknown, Vehicle};

/// The 80 classes of COCO in the order of the network's outputs (Lin et al. 2014, "things" of the 2017 release).
pub const COCO: [(&str, Category); 80] = [
    ("person", Person),
    ("bicycle", Vehicle),
    ("car", Vehicle),
    ("motorcycle", Vehicle),
    ("airplane", Vehicle),
    ("bus", Vehicle),
    ("train", Vehicle),
    ("truck", Vehicle),
    ("boat", Vehicle),
    ("traffic light", Unknown),
    ("fire hydrant", Unknown),
    ("stop sign", Unknown),
    ("parking meter", Unknown),
    ("bench", Furniture),
    ("bird", Animal),
    ("cat", Animal),
    ("dog", Animal),
    ("horse", Animal),
    ("sheep", Animal),
    ("cow", Animal),
    ("elephant", Animal),
    ("bear", Animal),
    ("zebra", Animal),
    ("giraffe", Animal),
    ("backpack", Unknown),
    ("umbrella", Unknown),
    ("handbag", Unknown),
    ("tie", Unknown),
    ("suitcase", Unknown),
    ("frisbee", Unknown),
    ("skis", Unknown),
    ("snowboard", Unknown),
    ("sports ball", Unknown),
    ("kite", Unknown),
    ("baseball bat", Unknown),
    ("baseball glove", Unknown),
    ("skateboard", Unknown),
    ("surfboard", Unknown),
    ("tennis racket", Unknown),
    ("bottle", Unknown),
    ("wine glass", Unknown),
    ("cup", Unknown),
    ("fork", Unknown),
    ("knife", Unknown),
    ("spoon", Unknown),
    ("bowl", Unknown),
    ("banana", Food),
    ("apple", Food),
    ("sandwich", Food),
    ("orange", Food),
    ("broccoli", Food),
    ("carrot", Food),
    ("hot dog", Food),
    ("pizza", Food),
    ("donut", Food),
    ("cake", Food),
    ("chair", Furniture),
    ("couch", Furniture),
    ("potted plant", Plant),
    ("bed", Furniture),
    ("dining table", Furniture),
    ("toilet", Furniture),
    ("tv", Unknown),
    ("laptop", Unknown),
    ("mouse", Unknown),
    ("remote", Unknown),
    ("keyboard", Unknown),
    ("cell phone", Unknown),
    ("microwave", Unknown),
    ("oven", Furniture),
    ("toaster", Unknown),
    ("sink", Furniture),
    ("refrigerator", Furniture),
    ("book", Unknown),
    ("clock", Unknown),
    ("vase", Unknown),
    ("scissors", Unknown),
    ("teddy bear", Unknown),
    ("hair drier", Unknown),
    ("toothbrush", Unknown),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn labels_are_all_different_and_the_table_is_complete() {
        assert_eq!(COCO.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), 80);
        // Super-categories of the COCO paper, table of classes: 10 animals, 8 vehicles, 10 foods.
        for (category, count) in [(Person, 1), (Animal, 10), (Vehicle, 8), (Food, 10), (Plant, 1), (Category::Building, 0)] {
            assert_eq!(COCO.iter().filter(|(_, c)| *c == category).count(), count, "{category:?}");
        }
    }

    #[test]
    fn well_known_places_of_the_list() {
        assert_eq!((COCO[0].0, COCO[41].0, COCO[79].0), ("person", "cup", "toothbrush"));
        assert_eq!(Category::of("cat"), Animal);
        assert_eq!(Category::of("unicorn"), Unknown);
    }
}
