//! Silero's voice activity network (MIT; Silero Team, "Silero VAD", github.com/snakers4/silero-vad): 32 ms frames at 16 kHz.

use crate::features::SAMPLE_RATE;
use crate::network::{BrokerNetwork, Network, NetworkError};
use models::{Broker, Priority, Tensor};
use ndarray::{Array1, Array3, ArrayD, IxDyn, arr0};
use std::sync::Arc;

/// Its name in the model catalogue.
pub const MODEL: &str = "silero_vad";

/// The network with its state.
pub struct Silero {
    network: Box<dyn Network>,
    /// What the recurrent layers remember, `[2, 1, 128]`.
    state: ArrayD<f32>,
    /// The last samples of the frame before.
    context: [f32; Self::CONTEXT],
}

impl Silero {
    /// Samples per verdict (32 ms).
    pub const FRAME: usize = 512;
    /// Samples of the frame before that the network sees again.
    const CONTEXT: usize = 64;
    const STATE: [usize; 3] = [2, 1, 128];

    /// Takes the network: `input [1, 576]`, `state [2, 1, 128]`, `sr` -> `output [1, 1]`, `stateN [2, 1, 128]`.
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network, state: ArrayD::zeros(IxDyn(&Self::STATE)), context: [0.0; Self::CONTEXT] }
    }

    /// Loads the network of the model catalogue; never fetches.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`].
    pub fn open(broker: &Arc<Broker>) -> Result<Self, NetworkError> {
        Ok(Self::new(Box::new(BrokerNetwork::open(broker, MODEL, Priority::MISSION)?)))
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.state = Array3::zeros(Self::STATE).into_dyn();
        self.context = [0.0; Self::CONTEXT];
    }

    /// Probability of voice, 0..1, in the next [`Silero::FRAME`] samples of 16 kHz mono.
    ///
    /// # Errors
    /// [`NetworkError`]; the state is then as it was before.
    pub fn predict(&mut self, frame: &[f32]) -> Result<f32, NetworkError> {
        let input: Array1<f32> = self.context.iter().chain(frame).copied().collect();
        let shape = vec![1, input.len()];
        let input = input.into_dyn().into_shape_with_order(shape.as_slice());
        let input = input.map_err(|_| NetworkError::Shape { name: "input".to_owned(), shape })?;
        let rate = arr0(i64::from(SAMPLE_RATE)).into_dyn();
        let mut outputs = self.network.run(vec![
            ("input", Tensor::F32(input)),
            ("state", Tensor::F32(self.state.clone())),
            ("sr", Tensor::I64(rate)),
        ])?;
        let output = outputs.take("output")?;
        let state = outputs.take("stateN")?;
        if state.shape() != Self::STATE {
            return Err(NetworkError::Shape { name: "stateN".to_owned(), shape: state.shape().to_vec() });
        }
        let shape = output.shape().to_vec();
        let probability = output.into_iter().next().ok_or(NetworkError::Shape { name: "output".to_owned(), shape })?;
        self.state = state;
        if let Some(last) = frame.last_chunk::<{ Self::CONTEXT }>() {
            self.context = *last;
        }
        Ok(probability.clamp(0.0, 1.0))
    }
}
