//! Where followed objects have been in the camera's picture, and a colour for each kind of object.

use std::collections::BTreeMap;

use msgs::vision_msgs::msg::{Detection2D, Detection2DArray};

/// Tracks that are drawn at most; of more, those seen longest ago go.
const MOST_TRACKS: usize = 64;
/// Points of a track at most.
const MOST_POINTS: usize = 40;
/// Pictures without it after which a track is no longer drawn.
const FORGOTTEN: u64 = 10;

/// The way of one object through the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// Number that the tracker gave (`Detection2D.id`).
    pub id: String,
    /// What it is.
    pub class: String,
    /// Middles of its boxes in pixels, the oldest first.
    pub points: Vec<[f32; 2]>,
    seen: u64,
}

/// The ways of the objects that are followed now.
#[derive(Debug, Default)]
pub struct Tracks {
    ways: BTreeMap<String, Way>,
    pictures: u64,
}

impl Tracks {
    /// Takes in what was seen in a picture and returns the ways to draw: those of at least two points. `None` if there is nothing new to draw.
    #[allow(clippy::cast_possible_truncation)]
    pub fn see(&mut self, array: &Detection2DArray) -> Option<Vec<Way>> {
        let before = self.ways.len();
        self.pictures += 1;
        let now = self.pictures;
        for detection in array.detections.iter().filter(|d| !d.id.is_empty()) {
            let center = &detection.bbox.center.position;
            let point = [center.x as f32, center.y as f32];
            if !point.iter().all(|v| v.is_finite()) {
                continue;
            }
            let way = self.ways.entry(detection.id.clone()).or_insert_with(|| Way {
                id: detection.id.clone(),
                class: String::new(),
                points: Vec::new(),
                seen: now,
            });
            class(detection).clone_into(&mut way.class);
            way.seen = now;
            if way.points.len() == MOST_POINTS {
                way.points.remove(0);
            }
            way.points.push(point);
        }
        self.ways.retain(|_, way| now - way.seen < FORGOTTEN);
        while self.ways.len() > MOST_TRACKS {
            let oldest = self.ways.values().min_by_key(|w| w.seen).map(|w| w.id.clone());
            self.ways.remove(&oldest?);
        }
        if before == 0 && self.ways.is_empty() {
            return None;
        }
        Some(self.ways.values().filter(|w| w.points.len() > 1).cloned().collect())
    }
}

/// The label of a detection's best hypothesis.
#[must_use]
pub fn class(detection: &Detection2D) -> &str {
    detection.results.first().map_or("", |r| r.hypothesis.class_id.as_str())
}

/// `#3 cup 52 %`; the number only if the object is followed.
#[must_use]
pub fn label(detection: &Detection2D) -> String {
    let number = if detection.id.is_empty() { String::new() } else { format!("#{} ", detection.id) };
    detection.results.first().map_or_else(
        || number.trim_end().to_owned(),
        |r| format!("{number}{} {:.0} %", r.hypothesis.class_id, r.hypothesis.score * 100.0),
    )
}

/// A colour (red, green, blue, opaque) that is the same for a class in every run, bright enough for a dark picture and a light one.
#[must_use]
pub fn color(class: &str) -> u32 {
    // FNV-1a, then a hue; of 48, so that two classes are seldom alike and never nearly alike.
    let hash = class.bytes().fold(0x811C_9DC5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let hue = (hash ^ hash >> 15) % 48;
    let channel = |shift: u32| {
        let t = (hue + shift) % 48;
        let rise = if t < 24 { t } else { 48 - t };
        // 0 to 24 becomes 70 to 255, flat at both ends.
        70 + rise.clamp(8, 16).saturating_sub(8) * 185 / 8
    };
    channel(24) << 24 | channel(8) << 16 | channel(40) << 8 | 0xFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::vision_msgs::msg::ObjectHypothesisWithPose;

    fn seen(id: &str, class: &str, x: f64) -> Detection2D {
        let mut detection =
            Detection2D { id: id.into(), results: vec![ObjectHypothesisWithPose::default()], ..Default::default() };
        detection.results[0].hypothesis.class_id = class.into();
        detection.results[0].hypothesis.score = 0.5;
        detection.bbox.center.position.x = x;
        detection
    }

    fn array(detections: Vec<Detection2D>) -> Detection2DArray {
        Detection2DArray { detections, ..Default::default() }
    }

    #[test]
    fn a_followed_object_leaves_a_way_and_others_do_not() {
        let mut tracks = Tracks::default();
        assert!(tracks.see(&array(vec![seen("", "cup", 1.0)])).is_none());
        assert_eq!(tracks.see(&array(vec![seen("3", "cup", 1.0)])), Some(vec![]));
        let ways = tracks.see(&array(vec![seen("3", "cup", 2.0), seen("", "cup", 9.0)])).unwrap();
        assert_eq!((ways.len(), ways[0].id.as_str(), &ways[0].points[..]), (1, "3", &[[1.0, 0.0], [2.0, 0.0]][..]));
        for _ in 0..FORGOTTEN - 1 {
            assert_eq!(tracks.see(&array(vec![])).unwrap().len(), 1);
        }
        // Once more, so that the line is taken away; then silence.
        assert_eq!(tracks.see(&array(vec![])), Some(vec![]));
        assert!(tracks.see(&array(vec![])).is_none());
    }

    #[test]
    fn ways_and_their_number_are_bounded() {
        let mut tracks = Tracks::default();
        for n in 0..200 {
            let ways = tracks.see(&array(vec![
                seen("0", "cup", f64::from(n)),
                seen(&n.to_string(), "cup", 0.0),
                seen("x", "a", f64::NAN),
            ]));
            assert!(ways.unwrap().iter().all(|w| w.points.len() <= MOST_POINTS));
        }
        assert!(tracks.ways.len() <= MOST_TRACKS);
    }

    #[test]
    fn labels_have_numbers_and_classes_have_colours() {
        assert_eq!(label(&seen("7", "cup", 0.0)), "#7 cup 50 %");
        assert_eq!(label(&seen("", "cup", 0.0)), "cup 50 %");
        assert_eq!(label(&Detection2D::default()), "");
        assert_eq!(color("cup"), color("cup"));
        let classes = ["person", "cup", "bottle", "apple", "chair", "dog", "car", "book"];
        let colors: std::collections::BTreeSet<u32> = classes.iter().map(|c| color(c)).collect();
        assert!(colors.len() >= 7, "{colors:x?}");
        assert!(colors.iter().all(|c| c & 0xFF == 0xFF && c >> 8 & 0xFF >= 70));
    }
}
