//! From chunks of sound to features ten times a second and to utterances: everything that is not a neural network of
//! its own.

use crate::array::ArrayFinder;
use crate::denoise::denoise;
use crate::direction::{Bearing, DirectionFinder, delay_and_sum};
use crate::features::{
    MFCC_COUNT, Mfcc, SAMPLE_RATE, Spectrum, dbfs, mean_coefficients, rms, spectral_centroid, zero_crossing_rate,
};
use crate::pitch::Yin;
use crate::resample::{ResampleError, StreamResampler};
use crate::segmenter::{Segmenter, SegmenterSettings, Utterance};
use crate::vad::{Vad, VadSettings};
use crate::wav::{channel, to_mono};

/// Samples per feature block: 0.1 s.
pub const BLOCK: usize = 1_600;
/// A step in time larger than this between chunks is a gap: what was heard before does not go on, s.
const GAP_S: f64 = 0.1;
/// Bearings with a weaker correlation peak are not given.
const MIN_STRENGTH: f64 = 0.15;

/// How the ear is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarSettings {
    /// Voice activity.
    pub vad: VadSettings,
    /// Where utterances begin and end.
    pub segmenter: SegmenterSettings,
    /// Distance of the two microphones, m.
    pub mic_spacing_m: f64,
    /// Suppress noise (RNNoise) in the utterances; levels, pitch, voice activity and bearing are those of the sound as it came.
    pub noise_suppression: bool,
}

impl Default for EarSettings {
    fn default() -> Self {
        Self {
            vad: VadSettings::default(),
            segmenter: SegmenterSettings::default(),
            mic_spacing_m: 0.10,
            noise_suppression: false,
        }
    }
}

/// Features of 0.1 s of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockFeatures {
    /// Time of the first sample, ns on the clock of the chunks.
    pub stamp_ns: i64,
    /// Root mean square, 0..1.
    pub rms: f32,
    /// Level, dB relative to full scale.
    pub dbfs: f32,
    /// True if there is a pitch.
    pub voiced: bool,
    /// Pitch in Hz, 0 when unvoiced.
    pub pitch_hz: f32,
    /// Spectral centroid, Hz.
    pub centroid_hz: f32,
    /// Zero-crossing rate, 0..1.
    pub zero_crossing_rate: f32,
    /// Mean cepstral coefficients of the block.
    pub mfcc: [f32; MFCC_COUNT],
    /// Highest probability of voice in the block, 0..1.
    pub speech_probability: f32,
    /// Bearing in rad while somebody speaks, else `None`.
    pub bearing_rad: Option<f64>,
}

/// An utterance with its time and bearing.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardUtterance {
    /// Time of the first sample, ns.
    pub stamp_ns: i64,
    /// 16 kHz mono, the two channels aligned on the speaker.
    pub mono: Vec<f32>,
    /// Where it came from; `None` with one channel or without a clear peak.
    pub bearing: Option<Bearing>,
    /// True if it was cut at the maximum length.
    pub cut: bool,
}

/// What came out of one chunk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Completed blocks.
    pub blocks: Vec<BlockFeatures>,
    /// Utterances that ended.
    pub utterances: Vec<HeardUtterance>,
    /// Length of the gap before this chunk in s, if there was one.
    pub gap_s: Option<f64>,
}

/// Streaming analysis of one microphone array.
pub struct Ear {
    settings: EarSettings,
    analysis: Analysis,
    stream: Option<Stream>,
    /// The voice activity detector while there is no stream.
    vad: Option<Vad>,
}

struct Analysis {
    mfcc: Mfcc,
    spectrum: Spectrum,
    yin: Yin,
    finder: DirectionFinder,
    array: Option<ArrayFinder>,
    noise_suppression: bool,
}

/// What belongs to one uninterrupted stream of one format.
struct Stream {
    rate: u32,
    channels: u16,
    resampler: StreamResampler,
    segmenter: Segmenter,
    /// Time of the stream's sample 0.
    origin_ns: i64,
    next_stamp_ns: i64,
    /// Interleaved samples of the block that is not complete yet, and its first sample.
    block: Vec<f32>,
    block_start: u64,
    probability: f32,
    muted: bool,
    /// Sample of the stream at which the segmenter began to count.
    segmenter_origin: u64,
}

impl Ear {
    /// An ear that has heard nothing.
    pub fn new(settings: EarSettings) -> Self {
        Self::with_vad(settings, Vad::new(settings.vad))
    }

    /// An ear with a voice activity detector of one's own, which has heard nothing yet.
    pub fn with_vad(settings: EarSettings, vad: Vad) -> Self {
        let analysis = Analysis {
            mfcc: Mfcc::new(),
            spectrum: Spectrum::new(Mfcc::FRAME, 512),
            yin: Yin::default(),
            finder: DirectionFinder::new(settings.mic_spacing_m),
            array: None,
            noise_suppression: settings.noise_suppression,
        };
        Self { settings, analysis, stream: None, vad: Some(vad) }
    }

    /// Knows where the microphones are: sound of as many channels has its bearing from all of them, over the full circle if they span a plane.
    #[must_use]
    pub fn with_array(mut self, array: ArrayFinder) -> Self {
        self.analysis.array = Some(array);
        self
    }

    /// Number of microphones of that array.
    pub fn microphones(&self) -> Option<usize> {
        self.analysis.array.as_ref().map(ArrayFinder::microphones)
    }

    /// Takes another voice activity detector, which has heard nothing yet; what is being heard is forgotten.
    pub fn set_vad(&mut self, vad: Vad) {
        self.stream = None;
        self.vad = Some(vad);
    }

    /// True while an utterance is going on.
    pub fn is_listening(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.segmenter.is_open())
    }

    /// The detector of voice activity that judges now.
    pub fn vad(&self) -> Option<&Vad> {
        self.stream.as_ref().map(|s| s.segmenter.vad()).or(self.vad.as_ref())
    }

    /// Length of the utterance that is going on so far, samples at 16 kHz.
    pub fn open_length(&self) -> Option<usize> {
        self.stream.as_ref()?.segmenter.open_length()
    }

    /// The utterance that is going on so far: time of its first sample in ns, and its first channel at 16 kHz.
    pub fn open_utterance(&self) -> Option<(i64, Vec<f32>)> {
        let stream = self.stream.as_ref()?;
        let (start, samples) = stream.segmenter.open_samples()?;
        Some((stream.stamp_ns(stream.segmenter_origin + start), channel(&samples, stream.channels, 0)))
    }

    /// Takes one chunk: interleaved samples in -1..1, with the time of the first in ns. While `muted` (the robot itself
    /// speaks) nothing counts as speech. An utterance that is open when this begins, or when a gap or a change of format
    /// begins a new stream, ends there.
    ///
    /// # Errors
    /// [`ResampleError`] for a rate or channel count that makes no sense; the chunk is dropped.
    pub fn push(
        &mut self,
        stamp_ns: i64,
        rate: u32,
        channels: u16,
        samples: &[f32],
        muted: bool,
    ) -> Result<Heard, ResampleError> {
        let mut heard = Heard::default();
        let same = |s: &Stream| s.rate == rate && s.channels == channels;
        let gap_s = self.stream.as_ref().map_or(0.0, |s| (stamp_ns - s.next_stamp_ns) as f64 * 1e-9);
        if gap_s.abs() > GAP_S || !self.stream.as_ref().is_some_and(same) {
            let resampler = StreamResampler::new(channels, rate, SAMPLE_RATE)?;
            if let Some(mut old) = self.stream.take() {
                heard.gap_s = Some(gap_s);
                let last = old.segmenter.flush();
                heard.utterances.extend(last.map(|u| self.analysis.locate(&old, u)));
                self.vad = Some(old.segmenter.into_vad());
            }
            let vad = self.vad.take().unwrap_or_else(|| Vad::new(self.settings.vad));
            self.stream = Some(Stream::new(&self.settings, vad, resampler, rate, channels, stamp_ns));
        }
        let Some(stream) = &mut self.stream else { return Ok(heard) };
        let frames = samples.len() / usize::from(channels.max(1));
        stream.next_stamp_ns = stamp_ns + (frames as f64 / f64::from(rate.max(1)) * 1e9).round() as i64;
        let clean: Vec<f32> = samples.iter().map(|s| if s.is_finite() { *s } else { 0.0 }).collect();
        let at_16k = stream.resampler.push(&clean)?;
        if muted {
            if !stream.muted {
                // What somebody said until now was not the robot's own voice.
                let last = stream.segmenter.flush();
                heard.utterances.extend(last.map(|u| self.analysis.locate(stream, u)));
                stream.segmenter.reset();
            }
            stream.probability = 0.0;
        }
        stream.muted = muted;
        // Block by block, so that a block's speech probability is that of its own frames.
        for part in split_at_blocks(&at_16k, stream.block.len(), usize::from(channels)) {
            if !muted {
                let pushed = stream.segmenter.push(part);
                for frame in &pushed.frames {
                    stream.probability = stream.probability.max(frame.probability);
                }
                for utterance in pushed.utterances {
                    heard.utterances.push(self.analysis.locate(stream, utterance));
                }
            }
            stream.block.extend_from_slice(part);
            if stream.block.len() >= BLOCK * usize::from(channels) {
                heard.blocks.push(self.analysis.block(stream));
                stream.block_start += BLOCK as u64;
                stream.block.clear();
                stream.probability = 0.0;
            }
        }
        if muted {
            // The segmenter starts counting anew after a mute.
            let total = stream.block_start + (stream.block.len() / usize::from(channels)) as u64;
            stream.segmenter_origin = total;
        }
        Ok(heard)
    }

    /// Ends an utterance that is going on, for example when the graph stops or a file is over.
    pub fn flush(&mut self) -> Option<HeardUtterance> {
        let stream = self.stream.as_mut()?;
        let utterance = stream.segmenter.flush()?;
        Some(self.analysis.locate(stream, utterance))
    }
}

impl Stream {
    fn new(settings: &EarSettings, vad: Vad, resampler: StreamResampler, rate: u32, channels: u16, stamp_ns: i64) -> Self {
        // What comes out of the resampler first is older than what went in.
        let delay_ns = (resampler.delay_s() * 1e9).round() as i64;
        Self {
            rate,
            channels,
            resampler,
            segmenter: Segmenter::with_vad(channels, vad, settings.segmenter),
            origin_ns: stamp_ns - delay_ns,
            next_stamp_ns: stamp_ns,
            block: Vec::with_capacity(BLOCK * usize::from(channels)),
            block_start: 0,
            probability: 0.0,
            muted: false,
            segmenter_origin: 0,
        }
    }

    fn stamp_ns(&self, sample: u64) -> i64 {
        self.origin_ns + (sample as f64 / f64::from(SAMPLE_RATE) * 1e9).round() as i64
    }
}

impl Analysis {
    fn block(&mut self, stream: &Stream) -> BlockFeatures {
        let mono = to_mono(&stream.block, stream.channels);
        let level = rms(&mono);
        let middle = (mono.len().saturating_sub(Yin::FRAME)) / 2;
        let pitch = self.yin.pitch(&mono[middle..]);
        let (mut centroid, mut weight) = (0.0, 0.0);
        for frame in mono.chunks_exact(Mfcc::FRAME) {
            let loudness = rms(frame);
            centroid += loudness * spectral_centroid(&self.spectrum.power(frame), SAMPLE_RATE);
            weight += loudness;
        }
        let speaking = stream.probability >= 0.5;
        let bearing = if speaking { self.bearing(&stream.block, stream.channels) } else { None };
        BlockFeatures {
            stamp_ns: stream.stamp_ns(stream.block_start),
            rms: level,
            dbfs: dbfs(level),
            voiced: pitch.voiced,
            pitch_hz: pitch.hz,
            centroid_hz: if weight > 0.0 { centroid / weight } else { 0.0 },
            zero_crossing_rate: zero_crossing_rate(&mono),
            mfcc: mean_coefficients(&self.mfcc.frames(&mono)),
            speech_probability: stream.probability,
            bearing_rad: bearing.map(|b| b.bearing_rad),
        }
    }

    fn bearing(&self, interleaved: &[f32], channels: u16) -> Option<Bearing> {
        if channels < 2 {
            return None;
        }
        if let Some(array) = self.array_of(channels) {
            let found = array.bearing(&apart(interleaved, channels)).ok().filter(|b| b.strength >= MIN_STRENGTH)?;
            let delay_s = array.delay_s(1, found.bearing_rad);
            return Some(Bearing { bearing_rad: found.bearing_rad, delay_s, strength: found.strength });
        }
        let (left, right) = (channel(interleaved, channels, 0), channel(interleaved, channels, 1));
        self.finder.bearing(&left, &right).ok().filter(|b| b.strength >= MIN_STRENGTH)
    }

    fn array_of(&self, channels: u16) -> Option<&ArrayFinder> {
        self.array.as_ref().filter(|a| a.microphones() == usize::from(channels))
    }

    fn locate(&self, stream: &Stream, utterance: Utterance) -> HeardUtterance {
        let bearing = self.bearing(&utterance.samples, utterance.channels);
        let mono = match (bearing, self.array_of(utterance.channels)) {
            (Some(b), Some(array)) => array.aligned(&apart(&utterance.samples, utterance.channels), b.bearing_rad),
            (Some(b), None) => {
                let left = channel(&utterance.samples, utterance.channels, 0);
                let right = channel(&utterance.samples, utterance.channels, 1);
                delay_and_sum(&left, &right, b.delay_s)
            }
            // Without a bearing the sum could cancel: one microphone is safer.
            (None, _) => channel(&utterance.samples, utterance.channels, 0),
        };
        let mono = if self.noise_suppression { denoise(&mono).unwrap_or(mono) } else { mono };
        let stamp_ns = stream.stamp_ns(stream.segmenter_origin + utterance.start_sample);
        HeardUtterance { stamp_ns, mono, bearing, cut: utterance.cut }
    }
}

/// The channels one by one.
fn apart(interleaved: &[f32], channels: u16) -> Vec<Vec<f32>> {
    (0..channels).map(|c| channel(interleaved, channels, c)).collect()
}

/// Cuts interleaved samples where blocks of [`BLOCK`] frames end, given that the present block already holds `held` samples.
fn split_at_blocks(samples: &[f32], held: usize, channels: usize) -> Vec<&[f32]> {
    let size = BLOCK * channels;
    let first = (size - held).min(samples.len());
    let (head, rest) = samples.split_at(first);
    std::iter::once(head).chain(rest.chunks(size)).filter(|p| !p.is_empty()).collect()
}
