//! Models are served, not owned: the catalogue of networks, their verified files, and the broker that runs them.
//!
//! - [`Catalogue`]: which models exist, their licence, origin, files and SHA-256 (`config/models.yaml`).
//! - [`Store`]: where the files lie, whether they are the right ones, and fetching what is missing.
//! - [`Broker`]: one per process ([`Broker::shared`]); loads each network once, queues requests by priority and
//!   deadline, counts what it did and what it cost.
//! - [`devices`](devices::DeviceMonitor): the processors and graphics cards of this machine.
//!
//! ```no_run
//! use models::{Broker, Priority, Tensor};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::shared()?;
//! let model = broker.load("efficientnet_lite0")?;
//! let image = ndarray::ArrayD::<f32>::zeros(vec![1, 3, 224, 224]);
//! let out = broker.infer(&model, Priority::MISSION, vec![("image", Tensor::from(image))])?;
//! println!("{} ms on {}: {:?}", out.run_ms, out.device, out.f32("logits")?.shape());
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows nothing of graphs or messages.

mod broker;
mod cache;
mod catalogue;
pub mod devices;
mod fetch;
mod progress;
mod runtime;
mod schedule;
mod stats;
mod tensor;
pub mod testing;
mod wheel;

pub use broker::{Broker, BrokerConfig, InferError, LoadError, ModelHandle, Outputs, Port};
pub use cache::{Store, StoreError, sha256_hex};
pub use catalogue::{
    Catalogue, CatalogueError, ClassList, DetectorOptions, FileEntry, ModelEntry, PictureFit, PictureInput, PlaneOrder,
    PypiSource, Source,
};
pub use fetch::{FetchError, Fetcher};
pub use progress::{BarProgress, FetchProgress, NoProgress};
pub use runtime::TELEMETRY_OFF;
pub use schedule::{Class, Priority};
pub use stats::ModelStatistics;
pub use tensor::{Tensor, TensorError, TensorView};
