//! What the robot has seen: an index of views with bounded memory, searched by a picture or by words.
//!
//! A view is a vector of the whole picture and words for what is in it. By a picture: cosine of the vectors. By words: with an
//! image-text pair ([`crate::pair`]) cosine of the text's and the picture's vector; without one, a sentence encoder
//! ([`crate::text`]) compares the words with each label and with all labels of a view ([`text_similarity`]).
//!
//! Memory: at most `capacity` views, of each at most [`MAX_LABELS`] labels. A view like the newest one (cosine of the pictures from
//! [`SAME_VIEW`] and the same labels) makes no new entry, but moves its end forward, so that a robot that stands still fills nothing.
//! When the index is full, the view that ended the longest ago goes.

use std::cmp::Ordering;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::classify::cosine;
use crate::detect::DetectedObject;
use crate::scene::SceneType;

/// Labels kept of a view.
pub const MAX_LABELS: usize = 16;
/// Bytes kept of a label and of a description.
const MAX_LABEL_BYTES: usize = 64;
const MAX_DESCRIPTION_BYTES: usize = 512;
/// Two pictures in a row that are so near are one view.
pub const SAME_VIEW: f32 = 0.97;
/// Least probability of a class of ImageNet to be a label.
const CLASS_PROBABILITY: f32 = 0.15;
/// Classes taken as labels at most.
const CLASSES: usize = 3;

/// A word or two for something in a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The words.
    pub text: String,
    /// How sure it is, 0..1.
    pub confidence: f32,
}

/// A picture that was seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct View {
    /// When it was first seen so, in nanoseconds of the picture's clock.
    pub first_ns: i64,
    /// When it was last seen so.
    pub last_ns: i64,
    /// The camera's frame.
    pub frame: String,
    /// Name of the first picture.
    pub image_id: String,
    /// What is in it, the surest first.
    pub labels: Vec<Label>,
    /// One sentence.
    pub description: String,
    /// Unit vector of the picture; empty without a classifier.
    pub embedding: Vec<f32>,
    /// Unit vector in the space of an image-text pair; empty without one.
    pub pair: Vec<f32>,
    /// A small picture of it ([`crate::revisit::small`]); empty if none is kept.
    pub picture: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<'a> {
    /// The view.
    pub view: &'a View,
    /// 0..1.
    pub similarity: f32,
    /// Why it was found, in words.
    pub reason: String,
}

/// The words for a view: each kind of object once with its highest confidence, the surest classes of the classifier, and the kind of place.
pub fn labels(objects: &[DetectedObject], classes: Option<&[f32]>, scene: SceneType, scene_confidence: f32) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    let mut add = |text: &str, confidence: f32| match labels.iter_mut().find(|l| l.text == text) {
        Some(label) => label.confidence = label.confidence.max(confidence),
        None => labels.push(Label { text: cut(text, MAX_LABEL_BYTES), confidence }),
    };
    objects.iter().for_each(|o| add(&o.label, o.confidence));
    for (name, p) in crate::classify::top_classes(classes.unwrap_or_default(), CLASS_PROBABILITY, CLASSES) {
        add(name, p);
    }
    if let Some(words) = scene.words() {
        add(words, scene_confidence);
    }
    labels.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.text.cmp(&b.text)));
    labels.truncate(MAX_LABELS);
    labels
}

fn cut(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    text[..end].to_owned()
}

/// The index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageIndex {
    capacity: usize,
    /// By the end of the view, the oldest first.
    views: VecDeque<View>,
}

impl ImageIndex {
    /// An empty index; a capacity of 0 remembers nothing.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, views: VecDeque::new() }
    }

    /// Changes how many views are kept; the oldest go.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.views.drain(..self.views.len().saturating_sub(capacity));
    }

    /// Views in the index.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The views, the one that ended the longest ago first.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        self.views.iter()
    }

    /// Takes a view in.
    pub fn remember(&mut self, mut view: View) {
        if self.capacity == 0 {
            return;
        }
        view.labels.truncate(MAX_LABELS);
        view.description = cut(&view.description, MAX_DESCRIPTION_BYTES);
        if let Some(newest) = self.views.back_mut() {
            if newest.is_same(&view) {
                newest.last_ns = view.last_ns;
                return;
            }
        }
        self.views.push_back(view);
        if self.views.len() > self.capacity {
            self.views.pop_front();
        }
    }

    /// The views that look most like a picture, by the cosine of its unit vector with theirs, best first; of equal ones the newest first.
    pub fn like_picture(&self, embedding: &[f32], most: usize) -> Vec<Hit<'_>> {
        let hit = |view| {
            let cosine = cosine(embedding, view_vector(view, embedding.len()));
            Hit { view, similarity: cosine.max(0.0), reason: format!("the pictures have the cosine {cosine:.2}") }
        };
        best(self.views.iter().rev().map(hit).collect(), most)
    }

    /// The views that fit words best, by the unit vector of the words in the space of the image-text pair.
    pub fn like_pair(&self, words: &[f32], most: usize) -> Vec<Hit<'_>> {
        let hit = |view: &'_ View| cosine(words, &view.pair);
        let views = self.views.iter().rev().filter(|v| v.pair.len() == words.len());
        let hits = views.map(|view| {
            let cosine = hit(view);
            Hit { view, similarity: cosine.max(0.0), reason: format!("words and picture have the cosine {cosine:.2}") }
        });
        best(hits.collect(), most)
    }

    /// The views whose labels fit words best ([`text_similarity`]); `embed` gives the unit vector of a text.
    ///
    /// # Errors
    /// What `embed` fails with.
    pub fn like_words<E>(
        &self,
        words: &str,
        most: usize,
        mut embed: impl FnMut(&str) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<Hit<'_>>, E> {
        let query = embed(words)?;
        let mut hits = Vec::with_capacity(self.views.len());
        for view in self.views.iter().rev().filter(|v| !v.labels.is_empty()) {
            let vectors = view.labels.iter().map(|l| embed(&l.text)).collect::<Result<Vec<_>, E>>()?;
            if let Some((similarity, best)) = text_similarity(&query, &view.labels, &vectors) {
                let label = &view.labels[best];
                let reason = format!("`{}` ({:.2}) is nearest to the words", label.text, label.confidence);
                hits.push(Hit { view, similarity, reason });
            }
        }
        Ok(best(hits, most))
    }
}

impl View {
    fn is_same(&self, newer: &Self) -> bool {
        let words = |view: &Self| {
            let mut words: Vec<String> = view.labels.iter().map(|l| l.text.clone()).collect();
            words.sort();
            words
        };
        !self.embedding.is_empty()
            && self.frame == newer.frame
            && cosine(&self.embedding, &newer.embedding) >= SAME_VIEW
            && words(self) == words(newer)
    }
}

/// The vector of a view that a vector of such a length is compared with.
fn view_vector(view: &View, length: usize) -> &[f32] {
    if view.embedding.len() == length { &view.embedding } else { &view.pair }
}

/// How well words fit the labels of a view, 0..1, and the label that fits best: 0.7 of the best cosine with a label, which counts fully if
/// the label is certain and 70 % of it if it is a mere guess, and 0.3 of the cosine with the mean of all labels, weighted by confidence.
/// `vectors` are the labels' unit vectors. `None` without labels.
pub fn text_similarity(query: &[f32], labels: &[Label], vectors: &[Vec<f32>]) -> Option<(f32, usize)> {
    let trust = |label: &Label| 0.7 + 0.3 * label.confidence.clamp(0.0, 1.0);
    let scores = labels.iter().zip(vectors).map(|(label, vector)| trust(label) * cosine(query, vector));
    let (best, score) = scores.enumerate().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    let mut mean = vec![0.0_f32; query.len()];
    for (label, vector) in labels.iter().zip(vectors) {
        mean.iter_mut().zip(vector).for_each(|(m, v)| *m += label.confidence * v);
    }
    let length = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
    let all = if length > 0.0 { cosine(query, &mean) / length.max(1e-12) } else { 0.0 };
    Some(((0.7 * score + 0.3 * all.clamp(-1.0, 1.0)).clamp(0.0, 1.0), best))
}

/// The best of hits in the order of views, the first of equal ones first.
fn best(mut hits: Vec<Hit<'_>>, most: usize) -> Vec<Hit<'_>> {
    hits.sort_by(|a, b| b.similarity.partial_cmp(&a.similarity).unwrap_or(Ordering::Equal));
    hits.truncate(most);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(at: i64, angle: f32, words: &[&str]) -> View {
        View {
            first_ns: at,
            last_ns: at,
            image_id: at.to_string(),
            labels: words.iter().map(|w| Label { text: (*w).to_owned(), confidence: 0.8 }).collect(),
            embedding: vec![angle.cos(), angle.sin()],
            ..View::default()
        }
    }

    fn times(hits: &[Hit<'_>]) -> Vec<i64> {
        hits.iter().map(|h| h.view.first_ns).collect()
    }

    #[test]
    fn the_nearest_picture_comes_first() {
        let mut index = ImageIndex::new(10);
        for (at, angle) in [(1, 0.0), (2, 0.5), (3, 1.2)] {
            index.remember(view(at, angle, &[]));
        }
        let query = [0.6_f32.cos(), 0.6_f32.sin()];
        let hits = index.like_picture(&query, 2);
        assert_eq!(times(&hits), [2, 1]);
        assert!((hits[0].similarity - 0.1_f32.cos()).abs() < 1e-6);
        assert!(ImageIndex::new(0).like_picture(&query, 5).is_empty());
    }

    #[test]
    fn a_robot_that_stands_still_makes_one_view_until_something_changes() {
        let mut index = ImageIndex::new(10);
        (1..=5).for_each(|at| index.remember(view(at, 0.01 * at as f32, &["cup"])));
        assert_eq!(index.views().map(|v| (v.first_ns, v.last_ns)).collect::<Vec<_>>(), [(1, 5)]);
        index.remember(view(6, 0.0, &["cup", "person"]));
        index.remember(view(7, 1.0, &["cup", "person"]));
        assert_eq!(index.len(), 3);
    }

    #[test]
    fn what_was_seen_the_longest_ago_goes() {
        let mut index = ImageIndex::new(3);
        (1..=50).for_each(|at| index.remember(view(at, at as f32, &[])));
        assert_eq!(index.views().map(|v| v.first_ns).collect::<Vec<_>>(), [48, 49, 50]);
        index.set_capacity(1);
        assert_eq!(index.len(), 1);
        let mut none = ImageIndex::new(0);
        none.remember(view(1, 0.0, &[]));
        assert!(none.is_empty());
    }

    #[test]
    fn a_view_takes_bounded_memory() {
        let mut index = ImageIndex::new(2);
        let mut big = view(1, 0.0, &["x"; 100]);
        big.description = "é".repeat(10_000);
        index.remember(big);
        let kept = index.views().next().unwrap();
        assert!(kept.labels.len() == MAX_LABELS && kept.description.len() <= MAX_DESCRIPTION_BYTES);
    }

    #[test]
    fn words_find_labels() {
        let mut index = ImageIndex::new(10);
        index.remember(view(1, 0.0, &["cup", "table"]));
        index.remember(view(2, 1.0, &["car"]));
        index.remember(view(3, 2.0, &[]));
        // A stand-in for a sentence encoder: three directions.
        let embed = |text: &str| -> Result<Vec<f32>, String> {
            match text {
                "cup" => Ok(vec![1.0, 0.0, 0.0]),
                "a mug" => Ok(vec![0.8, 0.6, 0.0]),
                "table" => Ok(vec![0.0, 1.0, 0.0]),
                "car" => Ok(vec![0.0, 0.0, 1.0]),
                other => Err(other.to_owned()),
            }
        };
        let hits = index.like_words("a mug", 10, embed).unwrap();
        assert_eq!(times(&hits), [1, 2]);
        assert!(hits[0].reason.contains("`cup`") && hits[0].similarity > 0.7 && hits[1].similarity < 0.1, "{hits:?}");
        assert_eq!(index.like_words("what?", 10, embed).unwrap_err(), "what?");
    }
}
