//! The one door through which this crate runs neural networks.

use models::{Broker, ModelHandle, Port, Priority, Tensor};
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a network gave back.
#[derive(Debug, Clone, Default)]
pub struct NetworkOutputs {
    /// Outputs by name; only 32-bit floating point ones.
    pub tensors: BTreeMap<String, ArrayD<f32>>,
    /// Wall time inside the network, ms.
    pub run_ms: f32,
    /// Where it ran: `cpu`, `cuda:0`, ...
    pub device: String,
}

impl NetworkOutputs {
    /// Takes an output out.
    ///
    /// # Errors
    /// [`NetworkError::MissingOutput`].
    pub fn take(&mut self, name: &str) -> Result<ArrayD<f32>, NetworkError> {
        self.tensors.remove(name).ok_or_else(|| NetworkError::MissingOutput(name.to_owned()))
    }
}

/// Why a network gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The model is not there or cannot be loaded; the sentence says what to do.
    #[error("model `{model}` is not available: {reason}")]
    Unavailable {
        /// Name in the catalogue.
        model: String,
        /// Why.
        reason: String,
    },
    /// The run itself failed.
    #[error("inference failed: {0}")]
    Run(String),
    /// The network has no such output, or it is not floating point.
    #[error("the network gave no floating point output `{0}`")]
    MissingOutput(String),
    /// An output has a shape that its decoder does not know.
    #[error("output `{name}` has the unexpected shape {shape:?}")]
    Shape {
        /// The output's name.
        name: String,
        /// Its dimensions.
        shape: Vec<usize>,
    },
}

/// A loaded network. The nodes use the broker's; a test may bring its own.
pub trait Network: Send {
    /// Runs it once on inputs by name.
    ///
    /// # Errors
    /// [`NetworkError::Run`] with the runtime's words.
    fn run(&mut self, inputs: Vec<(&str, Tensor)>) -> Result<NetworkOutputs, NetworkError>;

    /// Its inputs: names, element types and shapes. Empty if the network cannot tell.
    fn inputs(&self) -> Vec<Port> {
        Vec::new()
    }
}

/// A network of the process's broker.
pub struct BrokerNetwork {
    broker: Arc<Broker>,
    model: ModelHandle,
    priority: Priority,
}

impl BrokerNetwork {
    /// Loads `model` or `model/file` of the catalogue; never fetches.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`].
    pub fn open(broker: &Arc<Broker>, key: &str, priority: Priority) -> Result<Self, NetworkError> {
        let model = broker.load(key).map_err(|e| NetworkError::Unavailable { model: key.to_owned(), reason: e.to_string() })?;
        Ok(Self { broker: Arc::clone(broker), model, priority })
    }
}

impl Network for BrokerNetwork {
    fn inputs(&self) -> Vec<Port> {
        self.model.inputs().to_vec()
    }

    fn run(&mut self, inputs: Vec<(&str, Tensor)>) -> Result<NetworkOutputs, NetworkError> {
        let out = self.broker.infer(&self.model, self.priority, inputs).map_err(|e| NetworkError::Run(e.to_string()))?;
        let floats = out.tensors().into_iter().filter_map(|(name, tensor)| match tensor {
            Tensor::F32(array) => Some((name, array)),
            _ => None,
        });
        Ok(NetworkOutputs { tensors: floats.collect(), run_ms: out.run_ms as f32, device: out.device })
    }
}
