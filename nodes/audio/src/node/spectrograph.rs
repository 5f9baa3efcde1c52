//! The node's mel spectrogram, for whoever wants to see what the robot hears.

use super::Audio;
use crate::features::SAMPLE_RATE;
use crate::resample::{ResampleError, StreamResampler};
use crate::spectrogram::{BANDS, FLOOR_DB, FRAME, HOP, MelSpectrogram};
use crate::wav::to_mono;
use graph::{Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::omnimind_msgs::msg::{AudioChunk, Spectrogram};
use msgs::std_msgs::msg::Header;

/// Columns of one message: 0.1 s.
const COLUMNS: usize = 10;
/// A step in time larger than this between chunks begins anew, ns.
const GAP_NS: i64 = 100_000_000;

pub(super) struct Spectrograph {
    pub publisher: Publisher<Spectrogram>,
    enabled: Param<bool>,
    stream: Option<Stream>,
}

struct Stream {
    rate: u32,
    resampler: StreamResampler,
    mel: MelSpectrogram,
    /// Time of the middle of the next column, ns.
    column_ns: i64,
    next_stamp_ns: i64,
    levels: Vec<u8>,
}

impl Spectrograph {
    pub fn declare(s: &mut Setup<Audio>) -> Result<Self, SetupError> {
        let enabled = s.param("spectrogram", true).describe("publish the mel spectrogram of what is heard").declare()?;
        Ok(Self { publisher: s.publisher("audio/spectrogram", Qos::sensor_data())?, enabled, stream: None })
    }

    /// The messages that a chunk completes.
    pub fn push(&mut self, chunk: &AudioChunk) -> Result<Vec<Spectrogram>, ResampleError> {
        if !self.enabled.get() {
            self.stream = None;
            return Ok(Vec::new());
        }
        let stamp_ns = Time::from_msg(&chunk.header.stamp).as_nanos();
        let goes_on = |s: &Stream| s.rate == chunk.sample_rate && (stamp_ns - s.next_stamp_ns).abs() <= GAP_NS;
        if !self.stream.as_ref().is_some_and(goes_on) {
            self.stream = Some(Stream {
                rate: chunk.sample_rate,
                resampler: StreamResampler::new(1, chunk.sample_rate, SAMPLE_RATE)?,
                mel: MelSpectrogram::new(),
                column_ns: stamp_ns + (FRAME as i64 / 2) * 1_000_000_000 / i64::from(SAMPLE_RATE),
                next_stamp_ns: stamp_ns,
                levels: Vec::with_capacity(COLUMNS * BANDS),
            });
        }
        let Some(stream) = &mut self.stream else { return Ok(Vec::new()) };
        let mono: Vec<f32> =
            to_mono(&chunk.samples, chunk.channels).into_iter().map(|s| if s.is_finite() { s } else { 0.0 }).collect();
        stream.next_stamp_ns = stamp_ns + (mono.len() as f64 / f64::from(chunk.sample_rate) * 1e9).round() as i64;
        let mono = if stream.rate == SAMPLE_RATE { mono } else { stream.resampler.push(&mono)? };
        let mut messages = Vec::new();
        for column in stream.mel.push(&mono) {
            stream.levels.extend(column.iter().map(|db| ((1.0 - db / FLOOR_DB).clamp(0.0, 1.0) * 255.0).round() as u8));
            if stream.levels.len() < COLUMNS * BANDS {
                continue;
            }
            let stamp = Time::from_nanos(stream.column_ns).to_msg();
            messages.push(Spectrogram {
                header: Header { stamp, frame_id: chunk.header.frame_id.clone() },
                hop: HOP as f32 / SAMPLE_RATE as f32,
                bands: BANDS as u16,
                max_frequency: SAMPLE_RATE as f32 / 2.0,
                levels: std::mem::take(&mut stream.levels).into(),
            });
            stream.column_ns += (COLUMNS * HOP) as i64 * 1_000_000_000 / i64::from(SAMPLE_RATE);
        }
        Ok(messages)
    }
}
