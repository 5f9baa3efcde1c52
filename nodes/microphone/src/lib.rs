//! The microphone driver: takes raw sound from the simulator or a device, a sound file or a sound card, checks and cleans it,
//! and publishes it as `microphone/audio`.

#[cfg(feature = "alsa")]
mod card;
pub mod condition;
mod node;
pub mod playback;
pub mod retry;
pub mod stamps;

#[cfg(feature = "alsa")]
pub use card::{CardError, InputDevice, input_devices};
pub use node::Microphone;
