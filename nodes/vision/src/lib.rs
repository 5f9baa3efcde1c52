//! Seeing: objects, scene, picture features, motion and similarity.
//!
//! The algorithms are plain functions on [`image::RgbImage`] and [`GrayF`](gray::GrayF), the networks run through
//! [`models::Broker`]. [`Vision`] is the node around them, [`Analyser`] what a program uses
//! without a graph:
//!
//! ```no_run
//! use omnimind_vision::{Analyser, AnalyserConfig, annotate, decode};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let image = decode(&std::fs::read("photo.jpg")?)?;
//! let mut analyser = Analyser::new(models::Broker::shared()?, AnalyserConfig::default());
//! let analysis = analyser.analyse(&image)?;
//! println!("{}", analysis.description);
//! annotate(&image, &analysis.objects).save("seen.png")?;
//! # Ok(())
//! # }
//! ```

pub mod analyse;
mod annotate;
pub mod classify;
pub mod color;
pub mod depth;
pub mod describe;
pub mod detect;
pub mod edges;
pub mod features;
mod font;
pub mod frame;
pub mod geometry;
pub mod gray;
pub mod keypoints;
pub mod labels;
pub mod lru;
pub mod motion;
mod node;
mod node_search;
mod node_video;
pub mod pair;

pub mod places;
pub mod revisit;
pub mod scene;
pub mod search;
pub mod similarity;
pub mod text;
pub mod track;
pub mod watch;

pub use analyse::{Analyser, AnalyserConfig, Analysis, VisionError};
pub use annotate::annotate;
pub use detect::{BoundingBox, DetectedObject, DetectorSettings};
pub use frame::{FrameError, decode, frame_id, image_id, rgb_from_raw};
pub use labels::Category;
pub use node::Vision;
