//! Detector labels (the 80 classes of COCO) to the eight categories of omnimind_msgs/DetectedObject.

/// Category number of a label, as in omnimind_msgs/DetectedObject: 0 unknown, 1 person, 2 animal, 3 vehicle, 4 building,
/// 5 furniture, 6 plant, 7 food. Things that are none of these (a cup, a ball) are 0, the reject class.
#[must_use]
pub fn of(label: &str) -> u8 {
    match label {
        "person" => 1,
        "bird" | "cat" | "dog" | "horse" | "sheep" | "cow" | "elephant" | "bear" | "zebra" | "giraffe" => 2,
        "bicycle" | "car" | "motorcycle" | "airplane" | "bus" | "train" | "truck" | "boat" => 3,
        "chair" | "couch" | "bed" | "dining table" | "toilet" | "bench" => 5,
        "potted plant" => 6,
        "banana" | "apple" | "sandwich" | "orange" | "broccoli" | "carrot" | "hot dog" | "pizza" | "donut" | "cake" => 7,
        _ => 0,
    }
}

/// The category in words.
#[must_use]
pub fn name(category: u8) -> &'static str {
    ["unknown", "person", "animal", "vehicle", "building", "furniture", "plant", "food"]
        .get(usize::from(category))
        .copied()
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_have_the_categories_a_person_would_give() {
        assert_eq!(super::name(super::of("cat")), "animal");
        assert_eq!(super::name(super::of("couch")), "furniture");
        assert_eq!(super::name(super::of("apple")), "food");
        assert_eq!(super::name(super::of("cup")), "unknown");
        assert_eq!(super::name(200), "unknown");
    }
}
