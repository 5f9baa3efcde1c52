//! Object detection: the picture into a network's input, the network's outputs into objects.
//!
//! Which network, how its input is made and how its outputs are read is told by the model catalogue: `picture`, `decoder`, `detector` and the
//! file `labels` of its entry ([`models::ModelEntry`]). [`Detector`] is what an entry makes; [`Decoder`] lists the forms of output.

mod boxes;
mod detr;
mod input;
mod nanodet;
mod nms;
mod yolo;

use std::sync::Arc;

use image::RgbImage;
use models::{CatalogueError, ClassList, DetectorOptions, PictureInput, Store, StoreError, TensorView};
use ndarray::{Array4, ArrayView2, Axis, Ix3};

pub use boxes::{BoundingBox, iou};
pub use input::{Placement, prepare};
pub use nms::{Candidate, suppress};

use crate::frame::FrameError;
use crate::labels::{Category, LabelSet, LabelsError};

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
    /// Of two boxes of one class that overlap more (intersection over union), the weaker is dropped, 0..1. Not used for the decoder `detr`.
    pub iou_threshold: f32,
    /// At most so many objects, the most confident.
    pub max_objects: usize,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self { confidence_threshold: 0.5, iou_threshold: 0.6, max_objects: 20 }
    }
}

/// The forms of output that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoder {
    /// NanoDet and NanoDet-Plus.
    NanoDet,
    /// YOLOX.
    Yolox,
    /// YOLOv8 and its successors.
    YoloV8,
    /// DETR, RT-DETR, D-FINE, RF-DETR.
    Detr,
}

impl Decoder {
    /// All, with their names in the catalogue.
    pub const ALL: [(&'static str, Self); 4] =
        [("nanodet", Self::NanoDet), ("yolox", Self::Yolox), ("yolo_v8", Self::YoloV8), ("detr", Self::Detr)];

    /// The decoder of this name in the catalogue.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, decoder)| *decoder)
    }

    /// Its name in the catalogue.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, decoder)| *decoder == self).map_or("", |(name, _)| name)
    }
}

/// Why an entry of the catalogue makes no detector.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// No such entry.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Its file of labels is missing or not the right one.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A decoder that this program does not have.
    #[error("the decoder `{name}` is none of a detector's: {}", Decoder::ALL.map(|(name, _)| name).join(", "))]
    UnknownDecoder {
        /// What the entry says.
        name: String,
    },
    /// It does not say how a picture goes in.
    #[error("its entry in the catalogue does not say how a picture goes in: `picture` is missing")]
    NoPicture,
    /// A NanoDet without strides.
    #[error("the decoder `nanodet` needs `detector.strides` in the catalogue")]
    NoStrides,
    /// The file of labels cannot be used.
    #[error("its labels: {0}")]
    Labels(#[from] LabelsError),
}

/// The network's outputs do not have the expected form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// No output, or no set of outputs, has the shape that the decoder reads.
    #[error("the decoder `{decoder}` reads {expected}; the network gave {found}")]
    Shape {
        /// The decoder's name.
        decoder: &'static str,
        /// Shapes in words.
        expected: String,
        /// Names and shapes there are.
        found: String,
    },
    /// A class that has no label.
    #[error("the network found class {class}, and there are {classes} labels")]
    Class {
        /// Number of the class.
        class: i64,
        /// Labels there are.
        classes: usize,
    },
}

/// What a decoder knows.
pub(crate) struct Context<'a> {
    decoder: Decoder,
    width: u32,
    height: u32,
    strides: &'a [u32],
    cell_offset: f32,
    classes: usize,
    threshold: f32,
}

impl Context<'_> {
    /// Columns, rows and stride of each level.
    fn levels(&self) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
        self.strides.iter().map(|s| (self.width.div_ceil(*s) as usize, self.height.div_ceil(*s) as usize, *s as f32))
    }

    fn wrong(&self, outputs: &[(&str, TensorView<'_>)], expected: String) -> DecodeError {
        let found = outputs.iter().map(|(name, view)| format!("`{name}` {:?}", view.shape())).collect::<Vec<_>>().join(", ");
        let found = if found.is_empty() { "nothing that can be read".to_owned() } else { found };
        DecodeError::Shape { decoder: self.decoder.name(), expected, found }
    }
}

/// The rows of a floating point output `[1,rows,columns]`.
fn rows_of<'a>(view: &'a TensorView<'_>) -> Option<ArrayView2<'a, f32>> {
    let TensorView::F32(array) = view else { return None };
    let array = array.view().into_dimensionality::<Ix3>().ok().filter(|a| a.dim().0 == 1)?;
    Some(array.index_axis_move(Axis(0), 0))
}

/// Number and score of the best class; values that are not numbers do not count.
fn best(scores: impl Iterator<Item = f32>) -> Option<(usize, f32)> {
    scores.enumerate().filter(|(_, v)| !v.is_nan()).reduce(|a, b| if b.1 > a.1 { b } else { a })
}

/// How the pictures for one network are made and how its outputs are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    decoder: Decoder,
    input: PictureInput,
    options: DetectorOptions,
    labels: LabelSet,
}

impl Detector {
    /// A detector from its parts.
    ///
    /// # Errors
    /// [`DetectorError::UnknownDecoder`], [`DetectorError::NoStrides`].
    pub fn new(decoder: &str, input: PictureInput, options: DetectorOptions, labels: LabelSet) -> Result<Self, DetectorError> {
        let known = Decoder::named(decoder).ok_or_else(|| DetectorError::UnknownDecoder { name: decoder.to_owned() })?;
        if known == Decoder::NanoDet && options.strides.is_empty() {
            return Err(DetectorError::NoStrides);
        }
        Ok(Self { decoder: known, input, options, labels })
    }

    /// The detector of an entry of the catalogue. Its file `labels`, if it has one, must be in the store.
    ///
    /// # Errors
    /// [`DetectorError`].
    pub fn from_catalogue(store: &Store, model: &str) -> Result<Self, DetectorError> {
        let entry = store.catalogue().model(model)?;
        let labels = if entry.files().any(|f| f.name == "labels") {
            let path = store.locate(&format!("{model}/labels"))?;
            LabelSet::parse(&std::fs::read(path).map_err(LabelsError::Read)?)?
        } else {
            match entry.detector.classes {
                ClassList::Coco80 => LabelSet::coco80(),
                ClassList::Coco91 => LabelSet::coco91(),
            }
        };
        // The wrong decoder is the more telling error.
        if Decoder::named(&entry.decoder).is_none() {
            return Err(DetectorError::UnknownDecoder { name: entry.decoder.clone() });
        }
        let picture = entry.picture.ok_or(DetectorError::NoPicture)?;
        Self::new(&entry.decoder, picture, entry.detector.clone(), labels)
    }

    /// Which form of output it reads.
    pub fn decoder(&self) -> Decoder {
        self.decoder
    }

    /// How pictures go in.
    pub fn input(&self) -> &PictureInput {
        &self.input
    }

    /// What it knows.
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The network's input `[1,3,height,width]`, and where the picture lies in it.
    ///
    /// # Errors
    /// [`FrameError::Size`] for a picture without pixels.
    pub fn prepare(&self, image: &RgbImage) -> Result<(Array4<f32>, Placement), FrameError> {
        prepare(image, &self.input)
    }

    /// Objects by falling confidence from the network's outputs by name. Scores below the threshold are left out, as are boxes that are not
    /// finite or lie outside the picture, and classes without a label.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn read(
        &self,
        outputs: &[(&str, TensorView<'_>)],
        place: &Placement,
        settings: &DetectorSettings,
    ) -> Result<Vec<DetectedObject>, DecodeError> {
        let context = Context {
            decoder: self.decoder,
            width: self.input.width,
            height: self.input.height,
            strides: &self.options.strides,
            cell_offset: self.options.cell_offset,
            classes: self.labels.len(),
            threshold: settings.confidence_threshold,
        };
        let mut candidates = match self.decoder {
            Decoder::NanoDet => nanodet::decode(outputs, &context),
            Decoder::Yolox => yolo::yolox(outputs, &context),
            Decoder::YoloV8 => yolo::yolo_v8(outputs, &context),
            Decoder::Detr => detr::decode(outputs, &context),
        }?;
        candidates.retain(|c| {
            c.edges.iter().all(|v| v.is_finite()) && place.to_picture(&c.edges).is_some() && self.labels.get(c.class).is_some()
        });
        let kept = if self.decoder == Decoder::Detr {
            nms::sort(&mut candidates);
            candidates.truncate(settings.max_objects);
            candidates
        } else {
            suppress(candidates, settings.iou_threshold, settings.max_objects)
        };
        let object = |c: &Candidate| {
            let (label, category) = self.labels.get(c.class)?;
            let bounding_box = place.to_picture(&c.edges)?;
            // A network's rounding may say a little more than 1.
            Some(DetectedObject { label, category, confidence: c.score.clamp(0.0, 1.0), bounding_box, track: None })
        };
        Ok(kept.iter().filter_map(object).collect())
    }
}

#[cfg(test)]
mod tests;
