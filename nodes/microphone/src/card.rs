//! The sound card, on a thread of its own: cpal calls back whenever the card has filled a buffer.

use crate::node::Microphone;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{ErrorKind, Sample, SampleFormat, StreamConfig};
use graph::Injector;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// A driver that says that its sound is older than this is not believed.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Why the sound card gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// There is no card, or nothing is plugged in.
    #[error("there is no sound input on this machine")]
    NoInput,
    /// No input has that name.
    #[error("there is no sound input {wanted:?}; there are: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The card refuses.
    #[error("the sound card refuses: {0}")]
    Refused(String),
    /// The driver's thread could not be started or died at once.
    #[error("the sound card's thread does not run")]
    Thread,
}

/// A sound input of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputDevice {
    /// Name by which it is chosen (parameter `device`), as ALSA calls it: `default`, `hw:CARD=0,DEV=0`, ...
    pub name: String,
    /// What the driver says about it.
    pub description: String,
    /// Rate (Hz), channels and sample format that it comes with; `None` where it cannot be opened now.
    pub format: Option<(u32, u16, String)>,
}

/// All sound inputs of this machine.
///
/// # Errors
/// [`CardError::Refused`] when the sound system cannot be asked.
pub fn input_devices() -> Result<Vec<InputDevice>, CardError> {
    let devices = cpal::default_host().input_devices().map_err(|e| CardError::Refused(e.to_string()))?;
    Ok(devices
        .map(|device| {
            let config = device.default_input_config().ok();
            InputDevice {
                name: name_of(&device),
                description: device.description().map_or_else(|_| String::new(), |d| d.name().to_owned()),
                format: config.map(|c| (c.sample_rate(), c.channels(), c.sample_format().to_string())),
            }
        })
        .collect())
}

fn name_of(device: &cpal::Device) -> String {
    // `alsa:hw:CARD=0,DEV=0`: the part after the host's name.
    device
        .id()
        .map_or_else(|_| String::new(), |id| id.to_string().split_once(':').map_or_else(String::new, |(_, n)| n.to_owned()))
}

/// What was lost on the way from the card, counted since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Times that the card's own buffer ran over.
    pub overruns: AtomicU64,
}

/// A buffer from the card.
pub(crate) struct Buffer {
    /// Its number, counted by the callback: where one is missing, the node had no room for it.
    pub sequence: u64,
    /// When its first sample was recorded.
    pub recorded: Instant,
    pub rate: u32,
    pub channels: u16,
    /// Interleaved.
    pub samples: Vec<f32>,
}

/// An open sound card; closed when dropped.
pub(crate) struct Card {
    description: String,
    losses: Arc<Losses>,
    /// Dropping it ends the thread.
    _stop: Sender<()>,
}

impl Card {
    /// Opens the input of this name (the default one if it is empty) with the format that it comes with.
    pub fn open(injector: Injector<Microphone>, name: &str) -> Result<Self, CardError> {
        let (stop, stopped) = channel::<()>();
        let (ready, opened) = channel();
        let thread = std::thread::Builder::new().name("microphone".to_owned());
        let losses = Arc::new(Losses::default());
        let (name, counted) = (name.to_owned(), Arc::clone(&losses));
        let run = move || match start(injector, &name, counted) {
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
        Ok(Self { description, losses, _stop: stop })
    }

    /// Device and format in words.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Times so far that the card's own buffer ran over.
    pub fn overruns(&self) -> u64 {
        self.losses.overruns.load(Ordering::Relaxed)
    }
}

fn choose(wanted: &str) -> Result<cpal::Device, CardError> {
    let host = cpal::default_host();
    if wanted.is_empty() {
        return host.default_input_device().ok_or(CardError::NoInput);
    }
    let devices: Vec<cpal::Device> = host.input_devices().map_err(|e| CardError::Refused(e.to_string()))?.collect();
    let known: Vec<String> = devices.iter().map(name_of).collect();
    let exact = known.iter().position(|n| n == wanted);
    let Some(index) = exact.or_else(|| known.iter().position(|n| n.contains(wanted))) else {
        return Err(CardError::Unknown { wanted: wanted.to_owned(), known });
    };
    devices.into_iter().nth(index).ok_or(CardError::NoInput)
}

fn start(injector: Injector<Microphone>, name: &str, losses: Arc<Losses>) -> Result<(cpal::Stream, String), CardError> {
    let refused = |e: cpal::Error| CardError::Refused(e.to_string());
    let device = choose(name)?;
    let supported = device.default_input_config().map_err(refused)?;
    let format = supported.sample_format();
    let config: StreamConfig = supported.into();
    let (rate, channels) = (config.sample_rate, config.channels);
    let (complain, counted) = (injector.clone(), Arc::clone(&losses));
    let on_error = move |e: cpal::Error| match e.kind() {
        // The stream goes on after these.
        ErrorKind::Xrun => {
            counted.overruns.fetch_add(1, Ordering::Relaxed);
        }
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => {
            let reason = format!("sound card: {e}");
            complain.send(move |node, ctx| node.card_lost(ctx, &reason));
        }
    };
    let mut sequence = 0_u64;
    macro_rules! stream {
        ($sample:ty) => {
            device.build_input_stream(
                config,
                move |data: &[$sample], info: &cpal::InputCallbackInfo| {
                    let at = info.timestamp();
                    let age = at.callback.duration_since(at.capture).min(MAX_AGE);
                    let recorded = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                    let samples: Vec<f32> = data.iter().map(|s| s.to_sample::<f32>()).collect();
                    let buffer = Buffer { sequence, recorded, rate, channels, samples };
                    sequence += 1;
                    // A full inbox drops its oldest: the numbers tell.
                    injector.send(move |node, ctx| node.from_card(ctx, buffer));
                },
                on_error,
                None,
            )
        };
    }
    let stream = match format {
        SampleFormat::F32 => stream!(f32),
        SampleFormat::F64 => stream!(f64),
        SampleFormat::I8 => stream!(i8),
        SampleFormat::I16 => stream!(i16),
        SampleFormat::I24 => stream!(cpal::I24),
        SampleFormat::I32 => stream!(i32),
        SampleFormat::U8 => stream!(u8),
        SampleFormat::U16 => stream!(u16),
        SampleFormat::U32 => stream!(u32),
        other => return Err(CardError::Refused(format!("sample format {other} is not supported"))),
    }
    .map_err(refused)?;
    stream.play().map_err(refused)?;
    Ok((stream, format!("sound card {}, {rate} Hz, {channels} channels, {format}", name_of(&device))))
}
