//! The broker: one per process, between everybody who needs a network and the processors that can run it.
//!
//! A network is loaded once and shared. Requests wait in one queue ([`Priority`]), a network runs one request at a time, and
//! no more run together than there are slots. Thread counts are fixed at load, so the same input gives the same output.
//!
//! This version computes on the CPU only; graphics cards are listed ([`crate::devices`]) but not used.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ndarray::ArrayViewD;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, ValueType};
use parking_lot::Mutex;

use crate::cache::{Store, StoreError};
use crate::runtime;
use crate::schedule::{Priority, Refusal, Scheduler};
use crate::stats::{ModelStatistics, Recorder};
use crate::tensor::{Tensor, TensorError, TensorView};

/// Why a model is not available.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its file, or ONNX Runtime itself, is missing, damaged or unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// ONNX Runtime's library does not load on this machine.
    #[error("ONNX Runtime does not load: {0}")]
    Runtime(String),
    /// ONNX Runtime does not accept the network.
    #[error("model {model} does not load: {reason}")]
    Model {
        /// Key in the catalogue.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// It would not fit under the memory limit.
    #[error("model {model} needs about {needed_bytes} bytes, {free_bytes} are left of the limit for models")]
    MemoryLimit {
        /// Key in the catalogue.
        model: String,
        /// What the catalogue says that it needs.
        needed_bytes: u64,
        /// What is left.
        free_bytes: u64,
    },
}

/// Why a request gave no result.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// Too many requests wait already.
    #[error("{waiting} requests wait already, the queue takes no more")]
    QueueFull {
        /// Requests in the queue.
        waiting: usize,
    },
    /// No slot became free within the request's limit.
    #[error("no slot became free within the limit; waited {waited_ms:.1} ms")]
    TooLate {
        /// How long it waited, in milliseconds.
        waited_ms: f64,
    },
    /// The inputs are not those of the network.
    #[error("model {model}: {reason}")]
    Input {
        /// Key in the catalogue.
        model: String,
        /// What is wrong with them.
        reason: String,
    },
    /// ONNX Runtime failed.
    #[error("model {model} failed: {reason}")]
    Run {
        /// Key in the catalogue.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
}

/// How a broker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Threads inside one network, unless a caller asks for another number. One is the most predictable.
    pub threads: usize,
    /// Networks that may compute at the same time.
    pub slots: usize,
    /// Requests that may wait.
    pub max_waiting: usize,
    /// Memory that all networks together may take, in bytes; no limit if `None`.
    pub memory_limit_bytes: Option<u64>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads: 1, slots: cores, max_waiting: 64, memory_limit_bytes: None }
    }
}

/// An input or output of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its name in the network.
    pub name: String,
    /// Element type as ONNX Runtime names it, e.g. `f32`.
    pub element: String,
    /// Dimensions; -1 where any size goes.
    pub shape: Vec<i64>,
}

#[derive(Debug)]
struct Loaded {
    id: u64,
    key: String,
    version: String,
    device: &'static str,
    threads: usize,
    memory_bytes: u64,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    session: Mutex<Session>,
    recorder: Mutex<Recorder>,
}

/// A loaded network. Cheap to clone; the network stays loaded as long as the broker lives.
#[derive(Debug, Clone)]
pub struct ModelHandle(Arc<Loaded>);

impl ModelHandle {
    /// Key in the catalogue (`model` or `model/file`).
    pub fn name(&self) -> &str {
        &self.0.key
    }

    /// Version of the weights.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// The device it runs on, e.g. `cpu`.
    pub fn device(&self) -> &str {
        self.0.device
    }

    /// Memory that loading it added to the process, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.0.memory_bytes
    }

    /// Its inputs, in the network's order.
    pub fn inputs(&self) -> &[Port] {
        &self.0.inputs
    }

    /// Its outputs, in the network's order.
    pub fn outputs(&self) -> &[Port] {
        &self.0.outputs
    }
}

/// The result of a request. The tensors stay where ONNX Runtime has put them.
#[derive(Debug)]
pub struct Outputs {
    values: Vec<(String, DynValue)>,
    /// Wait in the queue, in milliseconds of wall time.
    pub queue_ms: f64,
    /// Time in the network, in milliseconds of wall time.
    pub run_ms: f64,
    /// The device that computed it, e.g. `cpu`.
    pub device: String,
}

impl Outputs {
    /// A view of the floating point output of this name.
    ///
    /// # Errors
    /// [`TensorError::Missing`], [`TensorError::Type`].
    pub fn f32(&self, name: &str) -> Result<ArrayViewD<'_, f32>, TensorError> {
        let value = self.values.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        let value = value.ok_or_else(|| TensorError::Missing {
            name: name.to_owned(),
            known: self.values.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        value.try_extract_array().map_err(|_| TensorError::Type {
            name: name.to_owned(),
            expected: "f32",
            found: value.dtype().to_string(),
        })
    }

    /// Views of the outputs of types that [`TensorView`] has, by name, in the network's order.
    pub fn views(&self) -> Vec<(&str, TensorView<'_>)> {
        self.values.iter().filter_map(|(name, value)| Some((name.as_str(), view(value)?))).collect()
    }

    /// Copies of the outputs of types that [`Tensor`] has, by name, in the network's order.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        self.values.iter().filter_map(|(name, value)| Some((name.clone(), from_value(value)?))).collect()
    }
}

/// Loads networks once and runs requests by priority. See the module's text.
#[derive(Debug)]
pub struct Broker {
    config: BrokerConfig,
    store: Store,
    scheduler: Scheduler,
    next_id: AtomicU64,
    models: Mutex<BTreeMap<(String, usize), ModelHandle>>,
}

impl Broker {
    /// The process's broker, with the catalogue and cache of this machine and the default configuration. Made by the first
    /// caller; ONNX Runtime is loaded with the first model.
    ///
    /// # Errors
    /// [`LoadError::Store`] if the catalogue is bad or there is no cache folder. The next call tries again.
    pub fn shared() -> Result<Arc<Self>, LoadError> {
        static SHARED: Mutex<Option<Arc<Broker>>> = Mutex::new(None);
        let mut slot = SHARED.lock();
        if let Some(broker) = &*slot {
            return Ok(broker.clone());
        }
        let broker = Arc::new(Self::new(Store::open()?, BrokerConfig::default()));
        *slot = Some(broker.clone());
        Ok(broker)
    }

    /// A broker of your own.
    pub fn new(store: Store, config: BrokerConfig) -> Self {
        let scheduler = Scheduler::new(config.slots, config.max_waiting);
        Self { config, store, scheduler, next_id: AtomicU64::new(0), models: Mutex::default() }
    }

    /// The model files.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How it works.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// Loads `model` or `model/file` with the configured number of threads, or gives the handle of the one loaded before.
    /// Never fetches.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, key: &str) -> Result<ModelHandle, LoadError> {
        self.load_with_threads(key, self.config.threads)
    }

    /// [`Broker::load`] with a number of threads of your own.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load_with_threads(&self, key: &str, threads: usize) -> Result<ModelHandle, LoadError> {
        let (entry, file) = self.store.catalogue().resolve(key).map_err(StoreError::from)?;
        let key = if file.name == "model" { entry.name.clone() } else { format!("{}/{}", entry.name, file.name) };
        // Held while loading: the same network is not loaded twice, and the growth in memory is this network's.
        let mut models = self.models.lock();
        if let Some(model) = models.get(&(key.clone(), threads)) {
            return Ok(model.clone());
        }
        let path = self.store.locate(&key)?;
        let expected_bytes = if entry.files().count() == 1 { entry.memory_bytes.max(file.bytes) } else { file.bytes };
        if let Some(limit) = self.config.memory_limit_bytes {
            let used: u64 = models.values().map(ModelHandle::memory_bytes).sum();
            let free_bytes = limit.saturating_sub(used);
            if expected_bytes > free_bytes {
                return Err(LoadError::MemoryLimit { model: key, needed_bytes: expected_bytes, free_bytes });
            }
        }
        let environment = runtime::environment(&self.store.locate("onnxruntime/library")?).map_err(LoadError::Runtime)?;
        let before_bytes = resident_bytes();
        let session = open_session(&environment, &path, threads)
            .map_err(|e| LoadError::Model { model: key.clone(), reason: e.to_string() })?;
        let grown_bytes = resident_bytes().saturating_sub(before_bytes);
        let handle = ModelHandle(Arc::new(Loaded {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            key: key.clone(),
            version: entry.version.clone(),
            device: "cpu",
            threads,
            // Pages that were free in the allocator do not show as growth; the weights are there in any case.
            memory_bytes: grown_bytes.max(file.bytes),
            inputs: session.inputs().iter().map(|o| port(o.name(), o.dtype())).collect(),
            outputs: session.outputs().iter().map(|o| port(o.name(), o.dtype())).collect(),
            session: Mutex::new(session),
            recorder: Mutex::default(),
        }));
        models.insert((key, threads), handle.clone());
        Ok(handle)
    }

    /// Runs the network on named inputs and waits for the result.
    ///
    /// # Errors
    /// [`InferError`]; the request is counted as refused.
    pub fn infer(&self, model: &ModelHandle, priority: Priority, inputs: Vec<(&str, Tensor)>) -> Result<Outputs, InferError> {
        let result = self.infer_uncounted(&model.0, priority, inputs);
        let mut recorder = model.0.recorder.lock();
        match &result {
            Ok(outputs) => recorder.done(outputs.queue_ms, outputs.run_ms),
            Err(_) => recorder.refused(),
        }
        result
    }

    fn infer_uncounted(&self, model: &Loaded, priority: Priority, inputs: Vec<(&str, Tensor)>) -> Result<Outputs, InferError> {
        let values = prepare(model, inputs)?;
        let permit = self.scheduler.acquire(model.id, priority).map_err(|refusal| match refusal {
            Refusal::QueueFull { waiting } => InferError::QueueFull { waiting },
            Refusal::TooLate { waited } => InferError::TooLate { waited_ms: waited.as_secs_f64() * 1e3 },
        })?;
        let failed = |e: ort::Error| InferError::Run { model: model.key.clone(), reason: e.to_string() };
        let begin = Instant::now();
        let mut session = model.session.lock();
        let results = session.run(values).map_err(failed)?;
        let run_ms = begin.elapsed().as_secs_f64() * 1e3;
        let values = results.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Outputs { values, queue_ms: permit.waited.as_secs_f64() * 1e3, run_ms, device: model.device.to_owned() })
    }

    /// What each loaded network did, by name.
    pub fn statistics(&self) -> Vec<ModelStatistics> {
        let models: Vec<ModelHandle> = self.models.lock().values().cloned().collect();
        let of = |m: &ModelHandle| ModelStatistics {
            model: if m.0.threads == self.config.threads {
                m.0.key.clone()
            } else {
                format!("{} ({} threads)", m.0.key, m.0.threads)
            },
            version: m.0.version.clone(),
            device: m.0.device.to_owned(),
            memory_bytes: m.0.memory_bytes,
            ..m.0.recorder.lock().snapshot()
        };
        models.iter().map(of).collect()
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.scheduler.waiting()
    }

    /// Memory that all loaded networks take, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.models.lock().values().map(ModelHandle::memory_bytes).sum()
    }
}

fn open_session(
    environment: &ort::environment::Environment,
    path: &std::path::Path,
    threads: usize,
) -> Result<Session, ort::Error> {
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads.max(1))?
        .with_inter_threads(1)?
        // Spinning threads would take the other nodes' core between two pictures.
        .with_intra_op_spinning(false)?
        .with_deterministic_compute(true)?
        .commit_from_file(path)
}

fn port(name: &str, kind: &ValueType) -> Port {
    match kind {
        ValueType::Tensor { ty, shape, .. } => {
            Port { name: name.to_owned(), element: ty.to_string(), shape: shape.iter().copied().collect() }
        }
        other => Port { name: name.to_owned(), element: other.to_string(), shape: Vec::new() },
    }
}

/// Checks names, types and shapes before anything waits in the queue, and hands the data over.
fn prepare<'a>(model: &Loaded, inputs: Vec<(&'a str, Tensor)>) -> Result<Vec<(&'a str, SessionInputValue<'static>)>, InferError> {
    let refuse = |reason: String| InferError::Input { model: model.key.clone(), reason };
    if let Some(absent) = model.inputs.iter().find(|p| inputs.iter().all(|(n, _)| *n != p.name)) {
        return Err(refuse(format!("input `{}` is missing", absent.name)));
    }
    let mut values = Vec::with_capacity(inputs.len());
    for (name, tensor) in inputs {
        let port = model.inputs.iter().find(|p| p.name == name).ok_or_else(|| refuse(format!("there is no input `{name}`")))?;
        if port.element != tensor.type_name() {
            return Err(refuse(format!("input `{name}` takes {}, not {}", port.element, tensor.type_name())));
        }
        let fits = port.shape.len() == tensor.shape().len()
            && port.shape.iter().zip(tensor.shape()).all(|(p, t)| *p < 0 || *p == *t as i64);
        if !fits {
            return Err(refuse(format!("input `{name}` takes shape {:?}, not {:?}", port.shape, tensor.shape())));
        }
        values.push((name, SessionInputValue::from(to_value(tensor).map_err(|e| refuse(format!("input `{name}`: {e}")))?)));
    }
    Ok(values)
}

fn to_value(tensor: Tensor) -> Result<DynValue, ort::Error> {
    macro_rules! hand_over {
        ($array:expr) => {{
            let array = $array;
            let array = if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() };
            Ok(ort::value::Tensor::from_array(array)?.into_dyn())
        }};
    }
    match tensor {
        Tensor::F32(a) => hand_over!(a),
        Tensor::I64(a) => hand_over!(a),
        Tensor::I32(a) => hand_over!(a),
        Tensor::U8(a) => hand_over!(a),
        Tensor::Bool(a) => hand_over!(a),
    }
}

fn view(value: &DynValue) -> Option<TensorView<'_>> {
    let ValueType::Tensor { ty, .. } = value.dtype() else { return None };
    match *ty {
        TensorElementType::Float32 => value.try_extract_array().ok().map(TensorView::F32),
        TensorElementType::Int64 => value.try_extract_array().ok().map(TensorView::I64),
        TensorElementType::Int32 => value.try_extract_array().ok().map(TensorView::I32),
        _ => None,
    }
}

fn from_value(value: &DynValue) -> Option<Tensor> {
    let ValueType::Tensor { ty, .. } = value.dtype() else { return None };
    // The element type is known, so none of these fails.
    match *ty {
        TensorElementType::Float32 => value.try_extract_array::<f32>().ok().map(|a| Tensor::F32(a.to_owned())),
        TensorElementType::Int64 => value.try_extract_array::<i64>().ok().map(|a| Tensor::I64(a.to_owned())),
        TensorElementType::Int32 => value.try_extract_array::<i32>().ok().map(|a| Tensor::I32(a.to_owned())),
        TensorElementType::Uint8 => value.try_extract_array::<u8>().ok().map(|a| Tensor::U8(a.to_owned())),
        TensorElementType::Bool => value.try_extract_array::<bool>().ok().map(|a| Tensor::Bool(a.to_owned())),
        _ => None,
    }
}

/// Resident memory of this process in bytes, 0 where the system does not say.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}
