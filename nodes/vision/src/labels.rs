//! Names of what the detector knows, and how they become one of the eight categories.
//!
//! For the 80 classes of COCO there is a fixed table. A label of any other set (a file `labels` in the catalogue) is looked up in that table
//! first, and then by a rule: the last word of the label is what it names ("race car" is a car, "car wheel" is a wheel), and if a list
//! below has that word, in singular or plural, that is the category. Of several names separated by commas, as ImageNet has them, the first
//! that is known counts. What neither knows is `unknown`: no guess is made.

use std::sync::Arc;

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
    /// The category of a label: COCO's table, else the rule of this module's text; [`Category::Unknown`] if neither knows it.
    pub fn of(label: &str) -> Self {
        let plain = plain(label);
        let known = |name: &str| COCO.iter().find(|(known, _)| *known == name).map(|(_, category)| *category);
        let by_word = |name: &str| {
            let word = name.split(' ').next_back().unwrap_or(name);
            let singular = singulars(word);
            let has = |list: &str| list.split_whitespace().any(|w| w == word || singular.iter().any(|s| s == w));
            WORDS.iter().find(|(_, list)| has(list)).map(|(category, _)| *category)
        };
        plain.split(", ").find_map(|name| known(name).or_else(|| by_word(name))).unwrap_or(Self::Unknown)
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

/// Words that name things of a category. Made for this program from everyday words and the label sets of Pascal VOC, Open Images, Objects365,
/// LVIS and ADE20K; not complete.
const WORDS: [(Category, &str); 7] = [
    (
        Person,
        "person people human man woman boy girl child kid baby infant pedestrian rider cyclist player worker driver passenger face adult \
         teenager toddler soldier policeman policewoman firefighter nurse doctor chef waiter groom bride diver astronaut",
    ),
    (
        Animal,
        "animal bird cat dog horse sheep cow elephant bear zebra giraffe tabby kitten puppy hound terrier retriever spaniel shepherd poodle \
         husky corgi wolf fox lion tiger leopard cheetah jaguar panther lynx panda monkey ape gorilla chimpanzee orangutan lemur deer elk \
         moose antelope gazelle goat lamb ram bull calf ox bison buffalo pig boar hog donkey mule pony camel llama alpaca kangaroo koala \
         rabbit hare squirrel hamster rat hedgehog otter beaver badger raccoon skunk weasel mole whale dolphin seal \
         walrus shark fish goldfish salmon trout eel octopus squid jellyfish crab lobster shrimp snail slug worm spider scorpion ant bee \
         wasp fly butterfly moth beetle ladybug dragonfly mosquito grasshopper insect caterpillar snake lizard gecko iguana \
         chameleon crocodile alligator turtle tortoise frog toad newt salamander dinosaur reptile mammal duck goose swan chicken hen rooster \
         cock peacock pigeon dove sparrow robin finch crow raven magpie jay owl eagle hawk falcon vulture parrot macaw cockatoo \
         penguin pelican flamingo stork heron ostrich seagull gull woodpecker hummingbird",
    ),
    (
        Vehicle,
        "vehicle car bicycle bike cycle motorcycle motorbike moped scooter airplane aeroplane aircraft plane jet helicopter glider airship \
         rocket drone bus minibus coach train tram streetcar subway locomotive wagon truck lorry pickup van minivan trailer \
         jeep suv sedan convertible limousine limo taxi cab ambulance tractor bulldozer excavator forklift boat ship ferry yacht \
         sailboat speedboat canoe kayak raft gondola submarine barge catamaran lifeboat cart tricycle rickshaw carriage wheelchair stroller sled \
         snowmobile",
    ),
    (
        Category::Building,
        "building house skyscraper tower hut cabin cottage villa mansion palace castle fort church cathedral chapel mosque temple \
         pagoda monastery synagogue hospital factory warehouse barn shed greenhouse garage hotel shop store supermarket \
         restaurant library museum theater theatre stadium lighthouse windmill bridge bungalow apartment hovel boathouse planetarium",
    ),
    (
        Furniture,
        "furniture chair armchair stool bench couch sofa loveseat ottoman futon bed bunk crib cradle table diningtable desk nightstand cabinet \
         cupboard sideboard dresser wardrobe closet drawer shelf bookshelf bookcase shelves rack toilet sink bathtub bath shower oven stove \
         refrigerator fridge freezer dishwasher countertop counter fireplace",
    ),
    (
        Plant,
        "plant pottedplant houseplant tree bush shrub flower rose tulip sunflower daisy lily orchid grass fern ivy cactus moss hedge \
         bonsai bamboo bouquet",
    ),
    (
        Food,
        "food meal banana apple sandwich orange broccoli carrot pizza donut doughnut cake fruit vegetable pear peach plum cherry grape \
         strawberry raspberry blueberry blackberry berry lemon lime mandarin tangerine grapefruit pineapple mango papaya avocado fig \
         coconut pomegranate watermelon melon tomato potato onion garlic pepper cucumber zucchini pumpkin squash cabbage lettuce spinach celery \
         asparagus cauliflower artichoke mushroom corn pea bean bread baguette bagel pretzel bun croissant toast muffin waffle pancake cookie \
         biscuit cracker pie tart cupcake dessert candy chocolate popcorn cheese butter egg meat steak bacon sausage ham burger hamburger \
         cheeseburger hotdog taco burrito sushi pasta spaghetti noodle rice soup salad icecream yogurt snack",
    ),
];

/// Lower case, single spaces, without what is in brackets.
fn plain(label: &str) -> String {
    let lower = label.trim().to_lowercase();
    let mut out = String::new();
    let mut depth = 0;
    for c in lower.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= i32::from(depth > 0),
            _ if depth > 0 => {}
            '_' | '-' | ' ' | '\t' | '/' => out.push(' '),
            _ => out.push(c),
        }
    }
    // After a comma comes one space, elsewhere no double ones.
    out.split(',').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

/// What the singular of a word may be.
fn singulars(word: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (ending, instead) in [("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""), ("men", "man")] {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() > 1 || ending == "men") {
            out.push(format!("{stem}{instead}"));
        }
    }
    if word == "children" {
        out.push("child".to_owned());
    }
    out
}

/// Why a file of labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(std::io::Error),
    /// It is not text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// It has no line.
    #[error("the file names no class")]
    Empty,
    /// It has more lines than any network has classes.
    #[error("the file has {0} lines, {MAX_CLASSES} classes are the most")]
    TooMany(usize),
}

/// More classes than any detector has.
const MAX_CLASSES: usize = 50_000;

/// The classes of a network in the order of its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSet(Vec<Option<(Arc<str>, Category)>>);

impl LabelSet {
    /// The 80 classes of COCO.
    pub fn coco80() -> Self {
        Self(COCO.iter().map(|(name, category)| Some((Arc::from(*name), *category))).collect())
    }

    /// COCO's own numbers 0 to 90: the 80 classes in their order, and the 11 numbers that belong to none.
    pub fn coco91() -> Self {
        let mut classes = Self::coco80().0.into_iter();
        Self((0..91).map(|n| if COCO_GAPS.contains(&n) { None } else { classes.next().flatten() }).collect())
    }

    /// One class a line, in the order of the network's outputs. An empty line is a class that is never reported; empty lines at the end do
    /// not count.
    ///
    /// # Errors
    /// [`LabelsError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LabelsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| LabelsError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
        let count = text.lines().count();
        if count == 0 {
            return Err(LabelsError::Empty);
        }
        if count > MAX_CLASSES {
            return Err(LabelsError::TooMany(count));
        }
        let label = |line: &str| Some(line.trim()).filter(|l| !l.is_empty()).map(|l| (Arc::from(l), Category::of(l)));
        Ok(Self(text.lines().map(label).collect()))
    }

    /// Number of classes, those that are never reported among them.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no classes. Never so.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Label and category of a class; `None` beyond the end and for a number that belongs to no class.
    pub fn get(&self, class: usize) -> Option<(Arc<str>, Category)> {
        self.0.get(class)?.clone()
    }
}

/// Numbers of 0 to 90 that no class of COCO has (annotations of the 2017 release).
const COCO_GAPS: [usize; 11] = [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83];

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

    #[test]
    fn every_label_of_coco_has_the_category_of_the_table() {
        for (label, category) in COCO {
            assert_eq!(Category::of(label), category, "{label}");
        }
    }

    #[test]
    fn other_label_sets_go_by_their_last_word() {
        for (label, category) in [
            // Pascal VOC
            ("aeroplane", Vehicle),
            ("diningtable", Furniture),
            ("pottedplant", Plant),
            ("tvmonitor", Unknown),
            // Open Images
            ("Man", Person),
            ("Women", Person),
            ("Children", Person),
            ("Office building", Category::Building),
            ("Land vehicle", Vehicle),
            ("Kitchen & dining room table", Furniture),
            ("Berries", Food),
            ("Shelves", Furniture),
            // LVIS
            ("car_(automobile)", Vehicle),
            ("mandarin_orange", Food),
            ("police_cruiser", Unknown),
            // ImageNet
            ("tiger cat", Animal),
            ("tabby, tabby cat", Animal),
            ("unicorn, horse", Animal),
            // The last word names the thing.
            ("car wheel", Unknown),
            ("dog house", Category::Building),
            ("apple tree", Plant),
            ("  Race   Car ", Vehicle),
            ("", Unknown),
            (", ,", Unknown),
            ("s", Unknown),
        ] {
            assert_eq!(Category::of(label), category, "{label}");
        }
    }

    #[test]
    fn coco_91_has_the_known_numbers() {
        let set = LabelSet::coco91();
        assert_eq!(set.len(), 91);
        // Numbers of the annotations' file.
        for (n, label) in [(1, "person"), (13, "stop sign"), (47, "cup"), (62, "chair"), (67, "dining table"), (90, "toothbrush")]
        {
            assert_eq!(&*set.get(n).unwrap().0, label);
        }
        assert!(set.get(12).is_none() && set.get(0).is_none() && set.get(91).is_none());
        assert_eq!((0..91).filter(|n| set.get(*n).is_some()).count(), 80);
    }

    #[test]
    fn a_file_of_labels_is_read_line_by_line() {
        let set = LabelSet::parse("\u{feff}forklift\r\n\r\npallet\n\n".as_bytes()).unwrap();
        assert_eq!(set.len(), 3);
        let (label, category) = set.get(0).unwrap();
        assert_eq!((&*label, category), ("forklift", Vehicle));
        assert_eq!(set.get(1), None);
        assert_eq!(set.get(2).unwrap().1, Unknown);
        assert!(matches!(LabelSet::parse(b" \n\n"), Err(LabelsError::Empty)));
        assert!(matches!(LabelSet::parse(&[0xff, 0xfe]), Err(LabelsError::NotText)));
        assert!(matches!(LabelSet::parse("a\n".repeat(60_000).as_bytes()), Err(LabelsError::TooMany(60_000))));
    }
}
