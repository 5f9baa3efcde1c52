//! Pictures and words in one space: an image encoder and a text encoder that were trained together (CLIP, Radford et al. 2021; SigLIP, Zhai
//! et al. 2023), by the catalogue. None comes with the program: no registry has one.
//!
//! A catalogue entry of the decoder `clip` has the files `image` (network: picture to vector), `text` (network: tokens to vector),
//! `tokenizer` (tokenizer.json) and, if its pictures are not prepared as CLIP's are, `preprocess` (preprocessor_config.json of
//! Hugging Face's transformers: `size`, `crop_size`, `image_mean`, `image_std`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fast_image_resize as fir;
use fir::images::{Image as FirImage, ImageRef};
use image::RgbImage;
use models::{Broker, InferError, LoadError, ModelHandle, Priority, Tensor, TensorError};
use ndarray::Array4;
use serde_json::Value;

use crate::analyse::Origin;
use crate::classify;
use crate::frame::{FrameError, Normal, planes};
use crate::text::{TextEncoder, TextError, vector_output};

/// Largest side of a network's input that is accepted.
const MAX_INPUT: u32 = 2048;

/// Why there is no pair, or no vector.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A network does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The text side.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The catalogue's entry is of another kind.
    #[error("model {model} has the decoder `{decoder}`, an image-text pair needs `clip`")]
    Decoder {
        /// Key in the catalogue.
        model: String,
        /// What it says.
        decoder: String,
    },
    /// The file that says how pictures are prepared is not usable.
    #[error("the preparation of pictures {}: {reason}", path.display())]
    Preparation {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The network takes no picture, or gives no vector.
    #[error("model {model} is no image encoder: {reason}")]
    Network {
        /// Key in the catalogue.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The picture itself.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The broker gave no result.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The output is of another type.
    #[error(transparent)]
    Output(#[from] TensorError),
    /// The vector has no length.
    #[error("model {0} gave no finite vector")]
    Vector(String),
}

/// How a picture becomes a network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preparation {
    /// Resized to so many pixels: the shorter side if it is cut afterwards, else both.
    pub size: [u32; 2],
    /// The middle of so many pixels is cut out, if any is.
    pub crop: Option<[u32; 2]>,
    /// Mean of red, green, blue as 0..1.
    pub mean: [f32; 3],
    /// Their deviation.
    pub deviation: [f32; 3],
}

impl Preparation {
    /// CLIP's: shorter side to 224, the middle 224 x 224, its own mean and deviation.
    pub const CLIP: Self = Self {
        size: [224, 224],
        crop: Some([224, 224]),
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        deviation: [0.268_629_54, 0.261_302_6, 0.275_777_1],
    };
    /// As most networks for ImageNet and Places are evaluated: shorter side to 256, the middle 224 x 224.
    pub const IMAGENET: Self =
        Self { size: [256, 256], crop: Some([224, 224]), mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] };

    /// Reads a preprocessor_config.json; what it leaves out stays as in `self`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(mut self, json: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let side = |v: &Value| {
            let side = v.as_u64().and_then(|n| u32::try_from(n).ok());
            side.filter(|n| (1..=MAX_INPUT).contains(n)).ok_or_else(|| format!("{v} is no side of 1 to {MAX_INPUT} pixels"))
        };
        // `size` is a number, {shortest_edge}, or {height, width}.
        let sides = |v: &Value| -> Result<([u32; 2], bool), String> {
            match (v.get("shortest_edge"), v.get("width"), v.get("height")) {
                (Some(short), ..) => side(short).map(|s| ([s, s], true)),
                (_, Some(width), Some(height)) => Ok(([side(width)?, side(height)?], false)),
                _ => side(v).map(|s| ([s, s], true)),
            }
        };
        let wanted = |name: &str| value.get(name).and_then(Value::as_bool);
        let mut by_shorter_side = self.crop.is_some();
        if let Some(size) = value.get("size") {
            (self.size, by_shorter_side) = sides(size)?;
            self.crop = by_shorter_side.then_some(self.size);
        }
        if let Some(crop) = value.get("crop_size").filter(|_| wanted("do_center_crop") != Some(false)) {
            self.crop = Some(sides(crop)?.0);
        }
        if wanted("do_center_crop") == Some(false) {
            self.crop = None;
        }
        if let Some(crop) = self.crop.filter(|_| !by_shorter_side) {
            if crop[0] > self.size[0] || crop[1] > self.size[1] {
                return Err(format!("{crop:?} cannot be cut out of {:?}", self.size));
            }
        }
        let triple = |name: &str, old: [f32; 3]| -> Result<[f32; 3], String> {
            let Some(list) = value.get(name) else { return Ok(old) };
            let numbers: Vec<f32> = list.as_array().into_iter().flatten().filter_map(Value::as_f64).map(|v| v as f32).collect();
            numbers.try_into().map_err(|_| format!("`{name}` is not three numbers"))
        };
        if value.get("do_normalize").and_then(Value::as_bool) == Some(false) {
            (self.mean, self.deviation) = ([0.0; 3], [1.0; 3]);
        } else {
            (self.mean, self.deviation) = (triple("image_mean", self.mean)?, triple("image_std", self.deviation)?);
        }
        if self.deviation.iter().any(|d| !(d.is_finite() && *d > 0.0)) || self.mean.iter().any(|m| !m.is_finite()) {
            return Err("`image_std` must be above 0".to_owned());
        }
        Ok(self)
    }

    /// The network's input `[1,3,height,width]`. Resized by the cubic filter over the area of a pixel (Pillow's bicubic).
    ///
    /// # Errors
    /// [`FrameError::Size`] for a picture without pixels.
    pub fn input(&self, image: &RgbImage) -> Result<Array4<f32>, FrameError> {
        let (width, height) = image.dimensions();
        let size = FrameError::Size { width, height };
        if width == 0 || height == 0 {
            return Err(size);
        }
        let [to_w, to_h] = match self.crop {
            // The whole middle is resized in one step: cut in the source, at the place that the resized picture would have.
            Some(crop) => crop,
            None => self.size,
        };
        let mut options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom));
        if self.crop.is_some() {
            let scale = f64::from(width.min(height)) / f64::from(self.size[0].min(self.size[1]));
            let (w, h) = ((f64::from(to_w) * scale).min(f64::from(width)), (f64::from(to_h) * scale).min(f64::from(height)));
            options = options.crop((f64::from(width) - w) / 2.0, (f64::from(height) - h) / 2.0, w, h);
        }
        let fail = |_: &dyn std::error::Error| FrameError::Size { width, height };
        let source = ImageRef::new(width, height, image.as_raw(), fir::PixelType::U8x3).map_err(|e| fail(&e))?;
        let mut target = FirImage::new(to_w, to_h, fir::PixelType::U8x3);
        fir::Resizer::new().resize(&source, &mut target, &options).map_err(|e| fail(&e))?;
        let small = RgbImage::from_raw(to_w, to_h, target.into_vec()).ok_or(size)?;
        Ok(planes(&small, [0, 1, 2].map(|channel| self.normal(channel))))
    }

    fn normal(&self, channel: usize) -> Normal {
        let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
        Normal { channel, scale: 1.0 / (255.0 * deviation), offset: -mean / deviation }
    }

    /// Width and height of the network's input.
    pub fn input_size(&self) -> [u32; 2] {
        self.crop.unwrap_or(self.size)
    }
}

/// The preparation for a model: its file `preprocess` if it has one, over `default`; else, where the network takes one size only, that.
pub(crate) fn preparation(
    broker: &Broker,
    name: &str,
    network: &ModelHandle,
    default: Preparation,
) -> Result<Preparation, PairError> {
    let key = format!("{name}/preprocess");
    let told = broker.store().catalogue().resolve(&key).is_ok();
    let mut how = default;
    if told {
        let path = broker.store().locate(&key).map_err(LoadError::from)?;
        how = read_preparation(&path, default)?;
    }
    let refuse = |reason: String| PairError::Network { model: network.name().to_owned(), reason };
    let [port] = network.inputs() else { return Err(refuse(format!("it takes {} inputs", network.inputs().len()))) };
    let [_, channels, height, width] = port.shape[..] else {
        return Err(refuse(format!("its input has shape {:?}", port.shape)));
    };
    if channels > 0 && channels != 3 {
        return Err(refuse(format!("its input has {channels} channels")));
    }
    if width > 0 && height > 0 {
        let side = |s: i64| u32::try_from(s).ok().filter(|s| *s <= MAX_INPUT);
        let (Some(w), Some(h)) = (side(width), side(height)) else {
            return Err(refuse(format!("its input is {width} x {height}")));
        };
        if told && how.input_size() != [w, h] {
            return Err(refuse(format!("it takes {w} x {h}, the preparation makes {:?}", how.input_size())));
        }
        if !told {
            // The margin around the middle stays in proportion.
            let margin = |size: u32, crop: u32, to: u32| (u64::from(to) * u64::from(size) / u64::from(crop)) as u32;
            let [cw, ch] = how.input_size();
            how.size = [margin(how.size[0], cw, w), margin(how.size[1], ch, h)];
            how.crop = how.crop.map(|_| [w, h]);
        }
    }
    Ok(how)
}

fn read_preparation(path: &Path, default: Preparation) -> Result<Preparation, PairError> {
    let bad = |reason: String| PairError::Preparation { path: path.to_owned(), reason };
    let json = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    default.read(&json).map_err(bad)
}

/// An image encoder and the text encoder that belongs to it.
#[derive(Debug)]
pub struct ImageTextPair {
    broker: Arc<Broker>,
    image: ModelHandle,
    output: String,
    how: Preparation,
    priority: Priority,
    /// The text side.
    pub text: TextEncoder,
}

impl ImageTextPair {
    /// Loads a model of the catalogue whose decoder is `clip`.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn load(broker: Arc<Broker>, name: &str, threads: usize, priority: Priority) -> Result<Self, PairError> {
        let entry = broker.store().catalogue().model(name).map_err(|e| LoadError::Store(e.into()))?;
        if entry.decoder != "clip" {
            return Err(PairError::Decoder { model: name.to_owned(), decoder: entry.decoder.clone() });
        }
        let image = broker.load_with_threads(&format!("{name}/image"), threads)?;
        let how = preparation(&broker, name, &image, Preparation::CLIP)?;
        let refuse = |reason: &str| PairError::Network { model: image.name().to_owned(), reason: reason.to_owned() };
        let output = vector_output(image.outputs()).ok_or_else(|| refuse("no output is a vector"))?.to_owned();
        let (network, tokenizer) = (format!("{name}/text"), format!("{name}/tokenizer"));
        let text = TextEncoder::from_files(broker.clone(), &network, &tokenizer, threads, priority)?;
        Ok(Self { broker, image, output, how, priority, text })
    }

    /// The image network's name and version.
    pub fn model(&self) -> (&str, &str) {
        (self.image.name(), self.image.version())
    }

    /// The unit vector of a picture, and who made it.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn embed_image(&self, image: &RgbImage) -> Result<(Vec<f32>, Origin), PairError> {
        let input = Tensor::from(self.how.input(image)?);
        let name = self.image.inputs().first().map_or("pixel_values", |p| p.name.as_str());
        let outputs = self.broker.infer(&self.image, self.priority, vec![(name, input)])?;
        let vector =
            classify::unit(&outputs.f32(&self.output)?).ok_or_else(|| PairError::Vector(self.image.name().to_owned()))?;
        Ok((vector, Origin::of(&self.image, &outputs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn the_files_of_known_networks_are_read() {
        // preprocessor_config.json of openai/clip-vit-base-patch32 and google/siglip-base-patch16-224.
        let clip = r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}"#;
        assert_eq!(Preparation::IMAGENET.read(clip).unwrap(), Preparation::CLIP);
        let siglip = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5], "resample": 3, "size": {"height": 224, "width": 224}}"#;
        let read = Preparation::CLIP.read(siglip).unwrap();
        assert_eq!((read.size, read.crop, read.mean), ([224, 224], None, [0.5; 3]));
    }

    #[test]
    fn a_bad_preparation_is_refused() {
        for bad in ["", "{", r#"{"size": 0}"#, r#"{"size": 1e9}"#, r#"{"image_std": [0, 1, 1]}"#, r#"{"image_mean": [1]}"#] {
            assert!(Preparation::CLIP.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_middle_is_cut_out() {
        // Red in the middle square, black beside it.
        let wide = RgbImage::from_fn(400, 200, |x, _| if (100..300).contains(&x) { Rgb([255, 0, 0]) } else { Rgb([0; 3]) });
        let input = Preparation { mean: [0.0; 3], deviation: [1.0; 3], ..Preparation::CLIP }.input(&wide).unwrap();
        assert_eq!(input.shape(), [1, 3, 224, 224]);
        let red = input.slice(ndarray::s![0, 0, .., 2..222]);
        assert!(red.iter().all(|v| (*v - 1.0).abs() < 0.02));
        assert!(Preparation::CLIP.input(&RgbImage::new(0, 0)).is_err());
        assert!(Preparation::IMAGENET.input(&RgbImage::new(1, 1)).is_ok());
    }
}
