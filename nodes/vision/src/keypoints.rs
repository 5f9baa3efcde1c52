//! Keypoints with descriptors that are found again from another place, by XFeat (Potje et al., "XFeat: Accelerated Features for
//! Lightweight Image Matching", CVPR 2024), and their matching.
//!
//! The network gives descriptors, keypoint logits and reliability for cells of 8 x 8 pixels; what is computed of them here is the
//! sparse mode of the published program: softmax over a cell's 64 pixels and "none", the largest of 5 x 5 above a threshold, the
//! score that times the reliability, the best few, descriptors by bicubic interpolation.

use std::sync::Arc;

use image::RgbImage;
use models::{Broker, InferError, LoadError, ModelHandle, Priority, Tensor, TensorError};
use ndarray::{Array4, ArrayView2, ArrayViewD, s};

use crate::analyse::Origin;
use crate::frame::{Filter, FrameError, resize};
use crate::geometry;

/// Numbers in a descriptor.
pub const DESCRIPTOR: usize = 64;
/// Pixels on a side of a cell.
const CELL: usize = 8;
/// Sides of the network's input are multiples of this.
const GRAIN: u32 = 32;
/// Cosine from which the published program takes two descriptors for the same place.
pub const MIN_COSINE: f32 = 0.82;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeypointSettings {
    /// Keypoints at most.
    pub max: usize,
    /// Least probability of a pixel to be a keypoint, 0..1.
    pub threshold: f32,
    /// Pictures with a longer side are shrunk to it before; keypoints are in pixels of the picture all the same.
    pub max_side: u32,
}

impl Default for KeypointSettings {
    fn default() -> Self {
        Self { max: 4096, threshold: 0.05, max_side: 1024 }
    }
}

/// Why there are no keypoints.
#[derive(Debug, thiserror::Error)]
pub enum KeypointError {
    /// The picture itself.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Smaller than a cell of the network.
    #[error("keypoints need a picture of at least 32 x 32 pixels, this one has {width} x {height}")]
    Small {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The catalogue's entry is of another kind.
    #[error("model {model} has the decoder `{decoder}`, keypoints need `xfeat`")]
    Decoder {
        /// Key in the catalogue.
        model: String,
        /// What it says.
        decoder: String,
    },
    /// The network does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The broker gave no result.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The network lacks an output.
    #[error(transparent)]
    Output(#[from] TensorError),
    /// An output has another shape than expected.
    #[error("keypoint output {name} has shape {shape:?}, expected {expected}")]
    Shape {
        /// Which output.
        name: &'static str,
        /// The shape found.
        shape: Vec<usize>,
        /// The shape expected, in words.
        expected: &'static str,
    },
}

/// A place in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keypoint {
    /// Column in pixels; the centre of the first is 0.
    pub x: f32,
    /// Row in pixels.
    pub y: f32,
    /// Probability times reliability, 0..1.
    pub score: f32,
}

/// The keypoints of a picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Keypoints {
    /// By falling score.
    pub points: Vec<Keypoint>,
    /// [`DESCRIPTOR`] numbers for each, a unit vector.
    pub descriptors: Vec<f32>,
}

/// Two keypoints that show the same place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeypointMatch {
    /// Number of the first.
    pub a: usize,
    /// Number of the second.
    pub b: usize,
    /// Cosine of the descriptors.
    pub cosine: f32,
}

/// The network's input: `[1,1,h,w]`, mean of red, green and blue, bilinearly resized so that each side is the next lower multiple of 32.
///
/// # Errors
/// [`KeypointError::Small`], [`KeypointError::Frame`].
pub fn preprocess(image: &RgbImage, max_side: u32) -> Result<Array4<f32>, KeypointError> {
    let (width, height) = image.dimensions();
    let small = KeypointError::Small { width, height };
    let long = width.max(height);
    let made_smaller;
    let image = if long > max_side.max(GRAIN) {
        let side = |s: u32| (u64::from(s) * u64::from(max_side.max(GRAIN)) / u64::from(long)) as u32;
        if side(width) < GRAIN || side(height) < GRAIN {
            return Err(small);
        }
        made_smaller = resize(image, side(width), side(height), Filter::Area)?;
        &made_smaller
    } else {
        image
    };
    let (from_w, from_h) = (image.width() as usize, image.height() as usize);
    let floor = |s: u32| (s / GRAIN * GRAIN) as usize;
    let (w, h) = (floor(image.width()), floor(image.height()));
    if w == 0 || h == 0 {
        return Err(small);
    }
    let (pixels, _) = image.as_raw().as_chunks::<3>();
    let gray: Vec<f32> = pixels.iter().map(|p| p.iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0).collect();
    // Half-pixel centres, as torch's interpolate without align_corners: shrinking is by less than 32 pixels, so nothing is lost.
    let place = |to: usize, size: usize, from: usize| {
        let at = ((to as f32 + 0.5) * from as f32 / size as f32 - 0.5).max(0.0);
        let low = (at as usize).min(from - 1);
        (low, (low + 1).min(from - 1), at - low as f32)
    };
    let columns: Vec<(usize, usize, f32)> = (0..w).map(|x| place(x, w, from_w)).collect();
    let mut values = Vec::with_capacity(w * h);
    for y in 0..h {
        let (above, below, ty) = place(y, h, from_h);
        let (above, below) = (&gray[above * from_w..][..from_w], &gray[below * from_w..][..from_w]);
        values.extend(columns.iter().map(|&(left, right, tx)| {
            let (top, bottom) =
                (above[left] + tx * (above[right] - above[left]), below[left] + tx * (below[right] - below[left]));
            top + ty * (bottom - top)
        }));
    }
    Ok(Array4::from_shape_vec((1, 1, h, w), values).unwrap_or_default())
}

/// Keypoints from the network's outputs `[1,64,h,w]`, `[1,65,h,w]` and `[1,1,h,w]`, in pixels of the network's input times `scale`.
///
/// # Errors
/// [`KeypointError::Shape`].
pub fn postprocess(
    feats: &ArrayViewD<'_, f32>,
    logits: &ArrayViewD<'_, f32>,
    reliability: &ArrayViewD<'_, f32>,
    settings: &KeypointSettings,
    scale: [f32; 2],
) -> Result<Keypoints, KeypointError> {
    let shape =
        |name, view: &ArrayViewD<'_, f32>, expected| KeypointError::Shape { name, shape: view.shape().to_vec(), expected };
    let [1, 65, h, w] = *logits.shape() else { return Err(shape("kp_logits", logits, "[1,65,h,w]")) };
    if *feats.shape() != [1, DESCRIPTOR, h, w] || h == 0 || w == 0 {
        return Err(shape("feats", feats, "[1,64,h,w], as kp_logits"));
    }
    if *reliability.shape() != [1, 1, h, w] {
        return Err(shape("reliability", reliability, "[1,1,h,w], as kp_logits"));
    }
    let (feats, logits) = (feats.as_standard_layout(), logits.as_standard_layout());
    let reliability = reliability.as_standard_layout();
    let (Some(feats), Some(logits), Some(reliability)) = (feats.as_slice(), logits.as_slice(), reliability.as_slice()) else {
        return Ok(Keypoints::default());
    };
    let (width, height) = (w * CELL, h * CELL);
    let heat = heat(logits, w, h);
    let mut found: Vec<(usize, f32)> = Vec::new();
    for at in peaks(&heat, width, height, settings.threshold) {
        let (x, y) = (at % width, at / width);
        // The published program asks for probabilities and reliabilities in coordinates of -1..1 over the pixels' centres, and has them read
        // over the pixels' borders: a probability may be that of the pixel before.
        let near = |v: usize, size: usize| {
            let place = grid(v, size, size).round_ties_even();
            (place >= 0.0 && place < size as f32).then_some(place as usize)
        };
        let probability = match (near(x, width), near(y, height)) {
            (Some(x), Some(y)) => heat[y * width + x],
            _ => 0.0,
        };
        let score = probability * bilinear(reliability, w, h, grid(x, width, w), grid(y, height, h));
        // The corner stands for "none" in the published program.
        if score > 0.0 && at != 0 {
            found.push((at, score));
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(settings.max);
    let cells = unit_cells(feats, w * h);
    let mut descriptors = Vec::with_capacity(found.len() * DESCRIPTOR);
    let mut points = Vec::with_capacity(found.len());
    for (at, score) in found {
        let (x, y) = (at % width, at / width);
        let mut descriptor = bicubic(&cells, w, h, grid(x, width, w), grid(y, height, h));
        let length = descriptor.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
        descriptor.iter_mut().for_each(|v| *v /= length);
        descriptors.extend_from_slice(&descriptor);
        points.push(Keypoint { x: x as f32 * scale[0], y: y as f32 * scale[1], score });
    }
    Ok(Keypoints { points, descriptors })
}

/// Probability of each pixel to be a keypoint, from the logits of the cells.
fn heat(logits: &[f32], w: usize, h: usize) -> Vec<f32> {
    let mut heat = vec![0.0; w * h * CELL * CELL];
    let mut cell = [0.0_f32; CELL * CELL + 1];
    for at in 0..w * h {
        cell.iter_mut().enumerate().for_each(|(n, v)| *v = logits[n * w * h + at]);
        let largest = cell.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        cell.iter_mut().for_each(|v| *v = (*v - largest).exp());
        let sum: f32 = cell.iter().sum();
        for (n, v) in cell[..CELL * CELL].iter().enumerate() {
            let (x, y) = (at % w * CELL + n % CELL, at / w * CELL + n / CELL);
            heat[y * w * CELL + x] = v / sum;
        }
    }
    heat
}

/// Pixels above the threshold that no pixel of the 5 x 5 around them exceeds, row by row.
fn peaks(heat: &[f32], width: usize, height: usize, threshold: f32) -> Vec<usize> {
    let highest_around = |at: usize| {
        let (x, y) = (at % width, at / width);
        let rows = y.saturating_sub(2)..=(y + 2).min(height - 1);
        let columns = x.saturating_sub(2)..=(x + 2).min(width - 1);
        rows.map(|y| heat[y * width..][columns.clone()].iter().copied().fold(0.0, f32::max)).fold(0.0, f32::max)
    };
    (0..heat.len()).filter(|at| heat[*at] > threshold && heat[*at] >= highest_around(*at)).collect()
}

/// Where pixel `v` of `size` is among `cells`: torch's grid_sample without align_corners, asked with 2 v / (size - 1) - 1.
fn grid(v: usize, size: usize, cells: usize) -> f32 {
    let unit = 2.0 * v as f32 / (size - 1) as f32 - 1.0;
    ((unit + 1.0) * cells as f32 - 1.0) / 2.0
}

/// Interpolation between four cells; outside there is 0.
fn bilinear(values: &[f32], w: usize, h: usize, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (tx, ty) = (x - left, y - top);
    let at = |x: f32, y: f32| {
        if x >= 0.0 && y >= 0.0 && x < w as f32 && y < h as f32 { values[y as usize * w + x as usize] } else { 0.0 }
    };
    (at(left, top) * (1.0 - tx) + at(left + 1.0, top) * tx) * (1.0 - ty)
        + (at(left, top + 1.0) * (1.0 - tx) + at(left + 1.0, top + 1.0) * tx) * ty
}

/// Weights of four neighbours at distance `t` after the second, by Keys' kernel with a = -0.75 (torch's).
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// Interpolation between sixteen cells; outside there is 0.
fn bicubic(cells: &[[f32; DESCRIPTOR]], w: usize, h: usize, x: f32, y: f32) -> [f32; DESCRIPTOR] {
    let (left, top) = (x.floor(), y.floor());
    let (wx, wy) = (cubic(x - left), cubic(y - top));
    let mut sum = [0.0; DESCRIPTOR];
    for (j, wy) in wy.iter().enumerate() {
        for (i, wx) in wx.iter().enumerate() {
            let (x, y) = (left as isize - 1 + i as isize, top as isize - 1 + j as isize);
            if (0..w as isize).contains(&x) && (0..h as isize).contains(&y) {
                let weight = wx * wy;
                sum.iter_mut().zip(&cells[y as usize * w + x as usize]).for_each(|(s, v)| *s += weight * v);
            }
        }
    }
    sum
}

/// The descriptors of the cells as unit vectors, from `[64,cells]`.
fn unit_cells(feats: &[f32], cells: usize) -> Vec<[f32; DESCRIPTOR]> {
    let mut out = vec![[0.0; DESCRIPTOR]; cells];
    for (channel, values) in feats.chunks_exact(cells).enumerate() {
        out.iter_mut().zip(values).for_each(|(cell, v)| cell[channel] = *v);
    }
    for cell in &mut out {
        let length = cell.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
        cell.iter_mut().for_each(|v| *v /= length);
    }
    out
}

/// The places of matches, as [`crate::geometry::common`] takes them.
pub fn pairs(a: &Keypoints, b: &Keypoints, matches: &[KeypointMatch]) -> Vec<geometry::Pair> {
    let at = |k: &Keypoints, n: usize| k.points.get(n).map(|p| [f64::from(p.x), f64::from(p.y)]);
    matches.iter().filter_map(|m| Some([at(a, m.a)?, at(b, m.b)?])).collect()
}

/// Pairs of keypoints that are each other's nearest by cosine, above `min_cosine`, the best first. At most 32768 of each are looked at.
pub fn matches(a: &Keypoints, b: &Keypoints, min_cosine: f32) -> Vec<KeypointMatch> {
    const MOST: usize = 32768;
    /// Rows at a time: bounds the memory to so many times the other's keypoints.
    const ROWS: usize = 256;
    let view = |k: &Keypoints| (k.points.len().min(MOST), k.descriptors.len() / DESCRIPTOR);
    let ((na, la), (nb, lb)) = (view(a), view(b));
    if na == 0 || nb == 0 || la < na || lb < nb {
        return Vec::new();
    }
    let rows =
        |k: &Keypoints, n: usize| ArrayView2::from_shape((n, DESCRIPTOR), &k.descriptors[..n * DESCRIPTOR]).map(|v| v.to_owned());
    let (Ok(da), Ok(db)) = (rows(a, na), rows(b, nb)) else { return Vec::new() };
    let turned = db.t();
    let mut best_of_b = vec![(0_usize, f32::NEG_INFINITY); nb];
    let mut best_of_a = Vec::with_capacity(na);
    for first in (0..na).step_by(ROWS) {
        let last = (first + ROWS).min(na);
        let cosines = da.slice(s![first..last, ..]).dot(&turned);
        for (number, row) in (first..last).zip(cosines.rows()) {
            let mut best = (0, f32::NEG_INFINITY);
            for (at, cosine) in row.iter().copied().enumerate() {
                if cosine > best.1 {
                    best = (at, cosine);
                }
                if cosine > best_of_b[at].1 {
                    best_of_b[at] = (number, cosine);
                }
            }
            best_of_a.push(best);
        }
    }
    let mutual = best_of_a.into_iter().enumerate().filter(|(n, (at, cosine))| best_of_b[*at].0 == *n && *cosine > min_cosine);
    let mut found: Vec<KeypointMatch> = mutual.map(|(a, (b, cosine))| KeypointMatch { a, b, cosine }).collect();
    found.sort_by(|x, y| y.cosine.total_cmp(&x.cosine).then(x.a.cmp(&y.a)));
    found
}

/// The network with what is computed around it.
#[derive(Debug)]
pub struct KeypointDetector {
    broker: Arc<Broker>,
    model: ModelHandle,
    priority: Priority,
}

impl KeypointDetector {
    /// Loads a model of the catalogue whose decoder is `xfeat`.
    ///
    /// # Errors
    /// [`KeypointError::Load`], [`KeypointError::Decoder`].
    pub fn load(broker: Arc<Broker>, name: &str, threads: usize, priority: Priority) -> Result<Self, KeypointError> {
        let entry = broker.store().catalogue().model(name).map_err(|e| LoadError::Store(e.into()))?;
        if entry.decoder != "xfeat" {
            return Err(KeypointError::Decoder { model: name.to_owned(), decoder: entry.decoder.clone() });
        }
        let model = broker.load_with_threads(name, threads)?;
        Ok(Self { broker, model, priority })
    }

    /// The keypoints of a picture, and who found them.
    ///
    /// # Errors
    /// [`KeypointError`].
    pub fn keypoints(&self, image: &RgbImage, settings: &KeypointSettings) -> Result<(Keypoints, Origin), KeypointError> {
        let input = preprocess(image, settings.max_side)?;
        let (_, _, h, w) = input.dim();
        let scale = [image.width() as f32 / w as f32, image.height() as f32 / h as f32];
        let outputs = self.broker.infer(&self.model, self.priority, vec![("gray", Tensor::from(input))])?;
        let found =
            postprocess(&outputs.f32("feats")?, &outputs.f32("kp_logits")?, &outputs.f32("reliability")?, settings, scale)?;
        Ok((found, Origin::of(&self.model, &outputs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use ndarray::ArrayD;

    /// Outputs of 4 x 3 cells with a certain keypoint in pixel (3, 5) of cell (2, 1).
    fn outputs() -> (ArrayD<f32>, ArrayD<f32>, ArrayD<f32>) {
        let mut logits = ArrayD::zeros(vec![1, 65, 3, 4]);
        logits.slice_mut(s![0, 64, .., ..]).fill(20.0);
        logits[[0, 5 * 8 + 3, 1, 2]] = 40.0;
        let feats = ArrayD::from_shape_fn(vec![1, 64, 3, 4], |i| if i[1] == 7 { 2.0 } else { 0.0 });
        (feats, logits, ArrayD::from_elem(vec![1, 1, 3, 4], 0.5))
    }

    #[test]
    fn a_keypoint_is_where_the_cell_says() {
        let (feats, logits, reliability) = outputs();
        let found =
            postprocess(&feats.view(), &logits.view(), &reliability.view(), &KeypointSettings::default(), [2.0, 1.0]).unwrap();
        assert_eq!(found.points.len(), 1);
        let p = found.points[0];
        assert_eq!((p.x, p.y), (2.0 * (2.0 * 8.0 + 3.0), 8.0 + 5.0));
        assert!((found.descriptors[7] - 1.0).abs() < 1e-6 && found.descriptors.len() == 64);
    }

    #[test]
    fn of_two_peaks_near_each_other_the_higher_stays() {
        let (feats, mut logits, reliability) = outputs();
        logits[[0, 5 * 8 + 5, 1, 2]] = 39.0;
        logits[[0, 0, 2, 0]] = 25.0;
        let settings = KeypointSettings::default();
        let found = postprocess(&feats.view(), &logits.view(), &reliability.view(), &settings, [1.0, 1.0]).unwrap();
        assert_eq!(found.points.iter().map(|p| (p.x, p.y)).collect::<Vec<_>>(), [(19.0, 13.0), (0.0, 16.0)]);
        let one = KeypointSettings { max: 1, ..settings };
        assert_eq!(postprocess(&feats.view(), &logits.view(), &reliability.view(), &one, [1.0, 1.0]).unwrap().points.len(), 1);
    }

    #[test]
    fn outputs_of_another_shape_are_refused() {
        let (feats, logits, reliability) = outputs();
        let none = ArrayD::zeros(vec![0]);
        let settings = KeypointSettings::default();
        for (f, l, r) in [(&none, &logits, &reliability), (&feats, &none, &reliability), (&feats, &logits, &none)] {
            let error = postprocess(&f.view(), &l.view(), &r.view(), &settings, [1.0, 1.0]).unwrap_err();
            assert!(matches!(error, KeypointError::Shape { .. }), "{error}");
        }
    }

    #[test]
    fn numbers_that_are_none_give_no_keypoints() {
        let (feats, logits, reliability) = outputs();
        let bad = logits.mapv(|_| f32::NAN);
        let found =
            postprocess(&feats.view(), &bad.view(), &reliability.view(), &KeypointSettings::default(), [1.0, 1.0]).unwrap();
        assert!(found.points.is_empty());
    }

    #[test]
    fn the_input_has_sides_of_whole_cells_and_a_bounded_size() {
        let gray = RgbImage::from_fn(100, 70, |x, y| Rgb([x as u8, y as u8, 30]));
        let input = preprocess(&gray, 1024).unwrap();
        assert_eq!(input.shape(), [1, 1, 64, 96]);
        // In a ramp, pixel 10 of 96 lies at 10.4375 of 100 and row 6 of 64 at 6.609375 of 70.
        assert!((input[[0, 0, 6, 10]] - (10.4375 + 6.609_375 + 30.0) / 3.0).abs() < 1e-4);
        assert_eq!(preprocess(&RgbImage::new(3000, 1500), 1024).unwrap().shape(), [1, 1, 512, 1024]);
        for (w, h) in [(0, 0), (1, 1), (31, 200), (20, 10_000)] {
            assert!(matches!(preprocess(&RgbImage::new(w, h), 1024), Err(KeypointError::Small { .. })), "{w} {h}");
        }
    }

    #[test]
    fn only_mutual_neighbours_match() {
        let vector = |x: f32, y: f32| {
            let mut v = vec![0.0; DESCRIPTOR];
            let length = x.hypot(y);
            (v[0], v[1]) = (x / length, y / length);
            v
        };
        let set = |vectors: &[(f32, f32)]| Keypoints {
            points: vec![Keypoint { x: 0.0, y: 0.0, score: 1.0 }; vectors.len()],
            descriptors: vectors.iter().flat_map(|(x, y)| vector(*x, *y)).collect(),
        };
        let (a, b) = (set(&[(1.0, 0.0), (0.9, 0.1), (0.0, 1.0)]), set(&[(0.1, 1.0), (1.0, 0.0)]));
        let found = matches(&a, &b, MIN_COSINE);
        assert_eq!(found.iter().map(|m| (m.a, m.b)).collect::<Vec<_>>(), [(0, 1), (2, 0)]);
        assert!(found[0].cosine > 0.999 && (found[1].cosine - 1.0 / 1.01_f32.sqrt()).abs() < 1e-5);
        assert!(matches(&a, &b, 1.0).is_empty() && matches(&a, &Keypoints::default(), -1.0).is_empty());
    }
}
