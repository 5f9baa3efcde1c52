//! Hearing and speaking: features, voice activity, direction, speech to text, who speaks and in which mood, text to
//! speech. The algorithms are plain functions and structs; [`Audio`] is the node around them.
//!
//! ```
//! use omnimind_audio::features::{dbfs, rms};
//! assert_eq!(dbfs(rms(&[0.5, -0.5, 0.5, -0.5])).round(), -6.0);
//! ```

pub mod array;
pub mod barge_in;
pub mod cache;
pub mod calibration;
pub mod denoise;
pub mod diarise;
pub mod direction;
pub mod ear;
pub mod emotion;
pub mod emotion_network;
pub mod features;
pub mod long;
pub mod network;
mod node;
pub mod noise;
pub mod partial;
pub mod pitch;
pub mod recogniser;
pub mod resample;
pub mod room;
pub mod segmenter;
pub mod silero;
pub mod speaker;
pub mod speaker_book;
pub mod spectrogram;
mod speech_queue;
pub mod stt;
pub mod tokenizer;
pub mod tts;
pub mod vad;
pub mod vocabulary;
pub mod wake;
pub mod wav;
pub mod wer;
pub mod whisper;

pub use node::Audio;
