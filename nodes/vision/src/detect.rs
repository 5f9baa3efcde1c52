//! Object detection with NanoDet: the picture into the network's input, the network's output into boxes.
//!
//! Source of the decoding: RangiLyu, "NanoDet" (Generalized Focal Loss head: Li et al. 2020). A box side is the expectation
//! over 11 bins, times the stride, measured from the cell's centre.

use std::sync::Arc;

use image::RgbImage;
use ndarray::{Array4, ArrayView2, ArrayViewD, Ix3};

use crate::frame::{Filter, FrameError, Normal, planes, resize};
use crate::labels::{COCO, Category};

/// Side of the network's input in pixels.
pub const INPUT_SIDE: u32 = 416;
/// Mean and deviation per channel in the order blue, green, red (models catalogue, `nanodet_g_416`).
const MEAN_BGR: [f32; 3] = [103.53, 116.28, 123.675];
const DEVIATION_BGR: [f32; 3] = [57.375, 57.12, 58.395];
/// Stride, scores and box distributions of each level of the feature pyramid.
pub const LEVELS: [(u32, &str, &str); 3] =
    [(8, "Identity:0", "Identity_3:0"), (16, "Identity_1:0", "Identity_4:0"), (32, "Identity_2:0", "Identity_5:0")];
/// Bins of the distribution of one box side.
const BINS: usize = 11;

/// A box in the picture, 0..1 of its sides, from the top left corner. Always inside the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl BoundingBox {
    /// The part of a box given by its edges that lies inside the picture; `None` if nothing does or an edge is not a number.
    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Option<Self> {
        let (left, top, right, bottom) =
            (left.clamp(0.0, 1.0), top.clamp(0.0, 1.0), right.clamp(0.0, 1.0), bottom.clamp(0.0, 1.0));
        // Comparisons with NaN are false, so a NaN ends here as well.
        (right > left && bottom > top).then(|| Self {
            x: left,
            y: top,
            width: (right - left).min(1.0 - left),
            height: (bottom - top).min(1.0 - top),
        })
    }

    /// Area, 0..1 of the picture's.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Centre.
    pub fn center(&self) -> (f32, f32) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Intersection over union with another box, 0..1.
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = |a: f32, aw: f32, b: f32, bw: f32| ((a + aw).min(b + bw) - a.max(b)).max(0.0);
        let shared = overlap(self.x, self.width, other.x, other.width) * overlap(self.y, self.height, other.y, other.height);
        let all = self.area() + other.area() - shared;
        if all > 0.0 { shared / all } else { 0.0 }
    }
}

/// One detected object.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectedObject {
    /// The detector's own word for it, e.g. `cup`.
    pub label: Arc<str>,
    /// What kind of thing it is.
    pub category: Category,
    /// The network's score, 0..1. Not calibrated to a probability.
    pub confidence: f32,
    /// Where it is.
    pub bounding_box: BoundingBox,
    /// Which object it is over time, by a tracker; `None` if none looked or it is not sure yet.
    pub track: Option<u32>,
}

impl DetectedObject {
    /// An object that no tracker knows; its category is the [label's](Category::of).
    pub fn new(label: &str, confidence: f32, bounding_box: BoundingBox) -> Self {
        Self { label: label.into(), category: Category::of(label), confidence, bounding_box, track: None }
    }
}

/// What is kept of the network's output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorSettings {
    /// Objects below this confidence are dropped, 0..1.
    pub confidence_threshold: f32,
    /// Of two boxes of one label that overlap more (intersection over union), the weaker is dropped, 0..1.
    pub iou_threshold: f32,
    /// At most so many objects, the most confident.
    pub max_objects: usize,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self { confidence_threshold: 0.5, iou_threshold: 0.6, max_objects: 20 }
    }
}

/// The network's output does not have the expected form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the detector's output for stride {stride} has shapes {scores:?} and {distances:?}, expected [1, {cells}, {classes}] and [1, {cells}, {sides}]", classes = COCO.len(), sides = 4 * BINS)]
pub struct DecodeError {
    /// The level's stride.
    pub stride: u32,
    /// Cells of the level.
    pub cells: usize,
    /// Shape of the scores found.
    pub scores: Vec<usize>,
    /// Shape of the distributions found.
    pub distances: Vec<usize>,
}

/// The network's input: `[1,3,416,416]`, blue, green, red, less the mean, over the deviation; the picture is stretched.
///
/// # Errors
/// [`FrameError::Size`] for a picture without pixels.
pub fn preprocess(image: &RgbImage) -> Result<Array4<f32>, FrameError> {
    let small = resize(image, INPUT_SIDE, INPUT_SIDE, Filter::Nearby)?;
    let bgr = [2, 1, 0].map(|channel| {
        let (mean, deviation) = (MEAN_BGR[2 - channel], DEVIATION_BGR[2 - channel]);
        Normal { channel, scale: 1.0 / deviation, offset: -mean / deviation }
    });
    Ok(planes(&small, bgr))
}

/// Objects from the network's outputs: for each level of [`LEVELS`] the scores `[1,N,80]` and distributions `[1,N,44]`.
/// Sorted by falling confidence.
///
/// # Errors
/// [`DecodeError`] when a shape is not as expected.
pub fn postprocess(
    levels: &[(ArrayViewD<'_, f32>, ArrayViewD<'_, f32>); 3],
    settings: &DetectorSettings,
) -> Result<Vec<DetectedObject>, DecodeError> {
    let mut candidates = Vec::new();
    for ((stride, ..), (scores, distances)) in LEVELS.iter().zip(levels) {
        let columns = (INPUT_SIDE / stride) as usize;
        let cells = columns * columns;
        let wrong =
            || DecodeError { stride: *stride, cells, scores: scores.shape().to_vec(), distances: distances.shape().to_vec() };
        if scores.shape() != [1, cells, COCO.len()] || distances.shape() != [1, cells, 4 * BINS] {
            return Err(wrong());
        }
        let scores = scores.view().into_dimensionality::<Ix3>().map_err(|_| wrong())?;
        let distances = distances.view().into_dimensionality::<Ix3>().map_err(|_| wrong())?;
        collect(
            scores.index_axis(ndarray::Axis(0), 0),
            distances.index_axis(ndarray::Axis(0), 0),
            *stride as f32,
            columns,
            settings.confidence_threshold,
            &mut candidates,
        );
    }
    Ok(suppress(candidates, settings))
}

/// One candidate per cell: its best class, if that is good enough.
fn collect(
    scores: ArrayView2<'_, f32>,
    distances: ArrayView2<'_, f32>,
    stride: f32,
    columns: usize,
    threshold: f32,
    candidates: &mut Vec<DetectedObject>,
) {
    let side = INPUT_SIDE as f32;
    for (cell, row) in scores.rows().into_iter().enumerate() {
        if row.as_slice().is_some_and(|row| !reaches(row, threshold)) {
            continue;
        }
        let Some((class, score)) = row.iter().copied().enumerate().reduce(|a, b| if b.1 > a.1 { b } else { a }) else { continue };
        if !score.is_finite() || score < threshold {
            continue;
        }
        let center = |n: usize| (n as f32 + 0.5) * stride;
        let (cx, cy) = (center(cell % columns), center(cell / columns));
        let distance =
            |n: usize| expectation(distances.row(cell).slice(ndarray::s![n * BINS..(n + 1) * BINS]).iter().copied()) * stride;
        let (left, top, right, bottom) = (cx - distance(0), cy - distance(1), cx + distance(2), cy + distance(3));
        if let Some(bounding_box) = BoundingBox::from_edges(left / side, top / side, right / side, bottom / side) {
            let (label, category) = COCO[class];
            let confidence = score.clamp(0.0, 1.0);
            candidates.push(DetectedObject { label: label.into(), category, confidence, bounding_box, track: None });
        }
    }
}

/// Whether any value is at least the threshold. Has no branches, as nearly all cells see nothing.
fn reaches(values: &[f32], threshold: f32) -> bool {
    let (blocks, rest) = values.as_chunks::<16>();
    let mut any = [false; 16];
    for block in blocks {
        any.iter_mut().zip(block).for_each(|(any, v)| *any |= *v >= threshold);
    }
    any.contains(&true) || rest.iter().any(|v| *v >= threshold)
}

/// Mean bin number under the softmax of the values.
fn expectation(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let largest = values.clone().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0_f32, 0.0_f32);
    for (bin, value) in values.enumerate() {
        let weight = (value - largest).exp();
        sum += weight;
        weighted += weight * bin as f32;
    }
    weighted / sum
}

/// Non-maximum suppression within each label, then the most confident.
pub fn suppress(mut candidates: Vec<DetectedObject>, settings: &DetectorSettings) -> Vec<DetectedObject> {
    // The sort is stable, so equal scores keep the order of the cells.
    candidates.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut kept: Vec<DetectedObject> = Vec::new();
    for candidate in candidates {
        if kept.len() == settings.max_objects {
            break;
        }
        let hidden = kept
            .iter()
            .any(|k| k.label == candidate.label && k.bounding_box.iou(&candidate.bounding_box) > settings.iou_threshold);
        if candidate.confidence >= settings.confidence_threshold && !hidden {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;
    use proptest::prelude::*;

    fn object(label: &'static str, confidence: f32, x: f32) -> DetectedObject {
        DetectedObject::new(label, confidence, BoundingBox { x, y: 0.1, width: 0.2, height: 0.2 })
    }

    #[test]
    fn iou_of_known_boxes() {
        let a = BoundingBox { x: 0.0, y: 0.0, width: 0.5, height: 0.5 };
        let b = BoundingBox { x: 0.25, y: 0.0, width: 0.5, height: 0.5 };
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(a.iou(&BoundingBox { x: 0.6, y: 0.6, width: 0.1, height: 0.1 }), 0.0);
    }

    #[test]
    fn suppression_is_per_label_and_limited() {
        let settings = DetectorSettings { max_objects: 2, ..DetectorSettings::default() };
        let kept = suppress(
            vec![
                object("cup", 0.6, 0.10),
                object("cup", 0.9, 0.11),
                object("bowl", 0.7, 0.10),
                object("cup", 0.55, 0.7),
                object("dog", 0.4, 0.5),
            ],
            &settings,
        );
        assert_eq!(kept.iter().map(|o| (&*o.label, o.confidence)).collect::<Vec<_>>(), [("cup", 0.9), ("bowl", 0.7)]);
    }

    #[test]
    fn the_input_is_blue_green_red_and_normalised() {
        let input = preprocess(&RgbImage::from_pixel(10, 10, image::Rgb([255, 0, 10]))).unwrap();
        assert_eq!(input.shape(), [1, 3, 416, 416]);
        assert!((input[[0, 0, 7, 9]] - (10.0 - 103.53) / 57.375).abs() < 1e-6);
        assert!((input[[0, 2, 7, 9]] - (255.0 - 123.675) / 58.395).abs() < 1e-6);
    }

    /// Empty outputs with one cell of the middle level set: class 41, all sides at bin `bin`.
    fn outputs(cell: usize, score: f32, bin: usize) -> [(ArrayD<f32>, ArrayD<f32>); 3] {
        let mut levels = [52_usize, 26, 13].map(|n| (ArrayD::zeros(vec![1, n * n, 80]), ArrayD::zeros(vec![1, n * n, 44])));
        levels[1].0[[0, cell, 41]] = score;
        for side in 0..4 {
            levels[1].1[[0, cell, side * BINS + bin]] = 50.0;
        }
        levels
    }

    fn decode(levels: &[(ArrayD<f32>, ArrayD<f32>); 3]) -> Result<Vec<DetectedObject>, DecodeError> {
        postprocess(
            &[
                (levels[0].0.view(), levels[0].1.view()),
                (levels[1].0.view(), levels[1].1.view()),
                (levels[2].0.view(), levels[2].1.view()),
            ],
            &DetectorSettings::default(),
        )
    }

    #[test]
    fn a_box_is_decoded_from_its_cell() {
        // Row 3, column 5 of stride 16: centre (88, 56); three bins of 16 to each side.
        let found = decode(&outputs(3 * 26 + 5, 0.8, 3)).unwrap();
        assert_eq!((found.len(), &*found[0].label), (1, "cup"));
        let b = found[0].bounding_box;
        for (value, pixels) in [(b.x, 40.0), (b.y, 8.0), (b.width, 96.0), (b.height, 96.0)] {
            assert!((value * 416.0 - pixels).abs() < 1e-3, "{b:?}");
        }
    }

    #[test]
    fn a_box_that_sticks_out_is_cut_at_the_edge() {
        let b = decode(&outputs(0, 0.8, 10)).unwrap()[0].bounding_box;
        assert_eq!((b.x, b.y), (0.0, 0.0));
        assert!((b.width * 416.0 - 168.0).abs() < 1e-3);
    }

    #[test]
    fn numbers_that_are_none_are_dropped() {
        assert!(decode(&outputs(0, f32::NAN, 3)).unwrap().is_empty());
        let mut levels = outputs(0, 0.9, 3);
        levels[1].1.fill(f32::NAN);
        assert!(decode(&levels).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_shape_is_an_error() {
        let mut levels = outputs(0, 0.9, 3);
        levels[2].0 = ArrayD::zeros(vec![1, 5, 80]);
        assert_eq!(decode(&levels).unwrap_err().stride, 32);
    }

    proptest! {
        #[test]
        fn boxes_never_leave_the_picture(l in -3.0_f32..3.0, t in -3.0_f32..3.0, r in -3.0_f32..3.0, b in -3.0_f32..3.0) {
            if let Some(b) = BoundingBox::from_edges(l, t, r, b) {
                prop_assert!(b.x >= 0.0 && b.y >= 0.0 && b.x + b.width <= 1.0 && b.y + b.height <= 1.0 && b.area() > 0.0);
            }
        }
    }
}
