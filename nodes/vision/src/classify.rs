//! ImageNet classification: the picture into EfficientNet's input, its output into probabilities and an embedding.

use std::sync::LazyLock;

use image::RgbImage;
use ndarray::{Array4, ArrayViewD};

use crate::frame::{Filter, FrameError, Normal, planes, resize};

/// Side of the network's input in pixels.
pub const INPUT_SIDE: u32 = 224;
/// Classes of ImageNet-1k.
pub const CLASSES: usize = 1000;
const MEAN_RGB: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION_RGB: [f32; 3] = [0.229, 0.224, 0.225];

/// The network's input: `[1,3,224,224]`, red, green, blue as 0..1, less ImageNet's mean, over its deviation. The whole picture
/// is stretched to a square: for a scene the borders count as much as the middle.
///
/// # Errors
/// [`FrameError::Size`] for a picture without pixels.
pub fn preprocess(image: &RgbImage) -> Result<Array4<f32>, FrameError> {
    let small = resize(image, INPUT_SIDE, INPUT_SIDE, Filter::Area)?;
    let rgb = [0, 1, 2].map(|channel| {
        let (mean, deviation) = (MEAN_RGB[channel], DEVIATION_RGB[channel]);
        Normal { channel, scale: 1.0 / (255.0 * deviation), offset: -mean / deviation }
    });
    Ok(planes(&small, rgb))
}

/// Probabilities by softmax; `None` unless there are 1000 finite logits.
pub fn probabilities(logits: &ArrayViewD<'_, f32>) -> Option<Vec<f32>> {
    if logits.len() != CLASSES || logits.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|v| (v - largest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    Some(weights.iter().map(|w| w / sum).collect())
}

/// A unit vector that stands for the picture, from what the layer before the head gave (the network's output `embedding`): that
/// over its length. `None` if it has no length.
pub fn unit(features: &ArrayViewD<'_, f32>) -> Option<Vec<f32>> {
    let length = features.iter().map(|v| v * v).sum::<f32>().sqrt();
    (length.is_finite() && length > 0.0).then(|| features.iter().map(|v| v / length).collect())
}

/// The same for a classifier that gives nothing but logits: these less their mean, over their length. `None` for unusable logits.
///
/// Two pictures of like content have a high cosine. It is the classifier's opinion in 1000 numbers, and blind to what has no class.
pub fn unit_of_logits(logits: &ArrayViewD<'_, f32>) -> Option<Vec<f32>> {
    if logits.len() != CLASSES {
        return None;
    }
    let mean = logits.iter().sum::<f32>() / CLASSES as f32;
    unit(&logits.mapv(|v| v - mean).view())
}

/// The word for a class of ImageNet-1k, as torchvision writes it (BSD-3-Clause); `None` above 999.
pub fn class_name(class: usize) -> Option<&'static str> {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("imagenet_classes.txt").lines().collect());
    NAMES.get(class).copied()
}

/// The classes that are at least so probable, the most probable first, at most `most`.
pub fn top_classes(probabilities: &[f32], at_least: f32, most: usize) -> Vec<(&'static str, f32)> {
    let mut found: Vec<(usize, f32)> = probabilities.iter().copied().enumerate().filter(|(_, p)| *p >= at_least).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.into_iter().take(most).filter_map(|(class, p)| Some((class_name(class)?, p))).collect()
}

/// Cosine of two unit vectors, -1..1; 0 if their lengths differ.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;

    #[test]
    fn probabilities_sum_to_one_and_survive_large_logits() {
        let mut logits = ArrayD::<f32>::zeros(vec![1, CLASSES]);
        logits[[0, 7]] = 1000.0;
        let p = probabilities(&logits.view()).unwrap();
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5 && p[7] > 0.999);
        logits[[0, 7]] = f32::NAN;
        assert!(probabilities(&logits.view()).is_none() && unit_of_logits(&logits.view()).is_none());
    }

    #[test]
    fn an_embedding_is_a_unit_vector_blind_to_offset_and_scale() {
        let a = ArrayD::from_shape_fn(vec![1, CLASSES], |i| (i[1] as f32 * 0.37).sin());
        let b = a.mapv(|v| 3.0 * v + 5.0);
        let (ea, eb) = (unit_of_logits(&a.view()).unwrap(), unit_of_logits(&b.view()).unwrap());
        assert!((cosine(&ea, &ea) - 1.0).abs() < 1e-5 && (cosine(&ea, &eb) - 1.0).abs() < 1e-5);
        assert!(unit_of_logits(&ArrayD::zeros(vec![1, CLASSES]).view()).is_none());
        let features = ArrayD::from_shape_vec(vec![1, 2], vec![3.0, 4.0]).unwrap();
        assert_eq!(unit(&features.view()).unwrap(), [0.6, 0.8]);
        assert!(unit(&ArrayD::from_elem(vec![1, 2], f32::NAN).view()).is_none());
    }

    #[test]
    fn classes_have_words() {
        assert_eq!((class_name(975), class_name(527), class_name(1000)), (Some("lakeside"), Some("desktop computer"), None));
        assert_eq!((0..CLASSES).filter_map(class_name).count(), CLASSES);
        let mut p = vec![0.0; CLASSES];
        (p[967], p[504]) = (0.3, 0.6);
        assert_eq!(top_classes(&p, 0.1, 5), [("coffee mug", 0.6), ("espresso", 0.3)]);
        assert!(top_classes(&p, 0.1, 0).is_empty());
    }
}
