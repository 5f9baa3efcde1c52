//! The sound card, on a thread of its own: cpal calls back whenever the card has filled a buffer.

use crate::node::Microphone;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Sample, SampleFormat, StreamConfig};
use graph::Injector;
use std::sync::mpsc::{Sender, channel};

/// Why the sound card gives nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CardError {
    /// There is no card, or nothing is plugged in.
    #[error("there is no sound input on this machine")]
    NoInput,
    /// The card refuses.
    #[error("the sound card refuses: {0}")]
    Refused(String),
    /// The driver's thread could not be started or died at once.
    #[error("the sound card's thread does not run")]
    Thread,
}

/// An open sound card; closed when dropped.
pub(crate) struct Card {
    description: String,
    /// Dropping it ends the thread.
    _stop: Sender<()>,
}

impl Card {
    /// Opens the default input with its default format.
    pub fn open(injector: Injector<Microphone>) -> Result<Self, CardError> {
        let (stop, stopped) = channel::<()>();
        let (ready, opened) = channel();
        let thread = std::thread::Builder::new().name("microphone".to_owned());
        let run = move || match start(injector) {
            Ok((stream, description)) => {
                let _ = ready.send(Ok(description));
                // Nothing is ever sent: this ends when the node lets go of its end.
                let _ = stopped.recv();
                drop(stream);
            }
            Err(e) => {
                let _ = ready.send(Err(e));
            }
        };
        thread.spawn(run).map_err(|_| CardError::Thread)?;
        let description = opened.recv().map_err(|_| CardError::Thread)??;
        Ok(Self { description, _stop: stop })
    }

    /// Device and format in words.
    pub fn description(&self) -> &str {
        &self.description
    }
}

fn start(injector: Injector<Microphone>) -> Result<(cpal::Stream, String), CardError> {
    let refused = |e: cpal::Error| CardError::Refused(e.to_string());
    let device = cpal::default_host().default_input_device().ok_or(CardError::NoInput)?;
    let supported = device.default_input_config().map_err(refused)?;
    let format = supported.sample_format();
    let config: StreamConfig = supported.into();
    let (rate, channels) = (config.sample_rate, config.channels);
    let complain = injector.clone();
    let on_error = move |e: cpal::Error| {
        let reason = format!("sound card: {e}");
        complain.send(move |node, ctx| node.card_failed(ctx, reason));
    };
    macro_rules! stream {
        ($sample:ty) => {
            device.build_input_stream(
                config,
                move |data: &[$sample], _: &cpal::InputCallbackInfo| {
                    let samples: Vec<f32> = data.iter().map(|s| s.to_sample::<f32>()).collect();
                    injector.send(move |node, ctx| node.from_card(ctx, rate, channels, samples));
                },
                on_error,
                None,
            )
        };
    }
    let stream = match format {
        SampleFormat::F32 => stream!(f32),
        SampleFormat::I16 => stream!(i16),
        SampleFormat::I32 => stream!(i32),
        SampleFormat::U16 => stream!(u16),
        other => return Err(CardError::Refused(format!("sample format {other} is not supported"))),
    }
    .map_err(refused)?;
    stream.play().map_err(refused)?;
    Ok((stream, format!("sound card, {rate} Hz, {channels} channels")))
}
