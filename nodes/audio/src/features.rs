//! Level, zero crossings, spectral centroid and mel-frequency cepstral coefficients.

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// The rate every analysis here works at, Hz.
pub const SAMPLE_RATE: u32 = 16_000;
/// Number of cepstral coefficients.
pub const MFCC_COUNT: usize = 13;
/// Level of digital silence: the lowest dBFS reported.
pub const SILENCE_DBFS: f32 = -120.0;

/// Root mean square, 0..1 for samples in -1..1; 0 for no samples.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len() as f64).sqrt() as f32
}

/// Level relative to full scale in dB: 20 log10(rms), where a square wave at full scale has 0 dBFS;
/// not below [`SILENCE_DBFS`].
pub fn dbfs(rms: f32) -> f32 {
    if rms > 0.0 { (20.0 * rms.log10()).max(SILENCE_DBFS) } else { SILENCE_DBFS }
}

/// Share of neighbouring samples with different sign, 0..1. Zero counts as positive.
pub fn zero_crossing_rate(samples: &[f32]) -> f32 {
    if samples.len() < 2 {
        return 0.0;
    }
    let crossings = samples.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
    crossings as f32 / (samples.len() - 1) as f32
}

/// Periodic Hann window of `n` points.
pub fn hann(n: usize) -> Vec<f32> {
    (0..n).map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos()) as f32).collect()
}

/// First difference with coefficient 0.97: `y[i] = x[i] - 0.97 x[i-1]`, `y[0] = x[0] - 0.97 previous`.
pub fn pre_emphasis(samples: &[f32], previous: f32) -> Vec<f32> {
    let mut last = previous;
    samples
        .iter()
        .map(|&x| {
            let y = x - 0.97 * last;
            last = x;
            y
        })
        .collect()
}

/// How frequency in Hz is warped to mel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MelScale {
    /// `2595 log10(1 + f / 700)`, triangles of height 1 (HTK book, section 5.4).
    Htk,
    /// Linear below 1 kHz, logarithmic above, triangles of equal area (Slaney's Auditory Toolbox).
    Slaney,
}

impl MelScale {
    fn from_hz(self, hz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Slaney if hz < 1000.0 => hz * 3.0 / 200.0,
            Self::Slaney => 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4_f64.ln(),
        }
    }

    fn to_hz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < 15.0 => mel * 200.0 / 3.0,
            Self::Slaney => 1000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp(),
        }
    }
}

/// Triangular filters over the bins of a real FFT.
#[derive(Debug, Clone)]
pub struct MelBank {
    /// Per filter: first bin and weights.
    filters: Vec<(usize, Vec<f32>)>,
}

impl MelBank {
    /// `count` filters from 0 Hz to half of `rate` over an FFT of `fft_size` points.
    pub fn new(scale: MelScale, rate: u32, fft_size: usize, count: usize) -> Self {
        let nyquist = f64::from(rate) / 2.0;
        let top = scale.from_hz(nyquist);
        let edge = |i: usize| scale.to_hz(top * i as f64 / (count + 1) as f64);
        let bin_hz = f64::from(rate) / fft_size as f64;
        let filters = (0..count)
            .map(|m| {
                let (low, centre, high) = (edge(m), edge(m + 1), edge(m + 2));
                let area = if scale == MelScale::Slaney { 2.0 / (high - low) } else { 1.0 };
                let weight = |bin: usize| {
                    let hz = bin as f64 * bin_hz;
                    ((hz - low) / (centre - low)).min((high - hz) / (high - centre)).max(0.0) * area
                };
                let first = (low / bin_hz).floor() as usize;
                let last = ((high / bin_hz).ceil() as usize).min(fft_size / 2);
                (first, (first..=last).map(|bin| weight(bin) as f32).collect())
            })
            .collect();
        Self { filters }
    }

    /// Weighted sums of a power spectrum `[fft_size / 2 + 1]` -> `[count]`.
    pub fn apply(&self, spectrum: &[f32]) -> Vec<f32> {
        self.filters.iter().map(|(first, weights)| spectrum.iter().skip(*first).zip(weights).map(|(s, w)| s * w).sum()).collect()
    }
}

/// Spectra of single windowed frames; plans and buffers are kept between calls.
pub struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    input: Vec<f32>,
    output: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Spectrum {
    /// A Hann window of `frame` samples, zero-padded to an FFT of `fft_size` (at least `frame`).
    pub fn new(frame: usize, fft_size: usize) -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(fft_size.max(frame));
        let (input, output, scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
        Self { fft, window: hann(frame), input, output, scratch }
    }

    /// Power per bin `[fft_size / 2 + 1]` of one frame; a shorter frame is padded with zeros.
    pub fn power(&mut self, frame: &[f32]) -> Vec<f32> {
        self.input.fill(0.0);
        for ((x, s), w) in self.input.iter_mut().zip(frame).zip(&self.window) {
            *x = s * w;
        }
        let done = self.fft.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
        // The buffers come from the plan itself, so their lengths fit.
        debug_assert!(done.is_ok());
        self.output.iter().map(|c| c.norm_sqr()).collect()
    }
}

/// Centre of mass of the magnitude spectrum in Hz; 0 for silence.
/// `power` is one frame's power per bin up to half of `rate`.
pub fn spectral_centroid(power: &[f32], rate: u32) -> f32 {
    if power.len() < 2 {
        return 0.0;
    }
    let bin_hz = f64::from(rate) / 2.0 / (power.len() - 1) as f64;
    let (mut weighted, mut total) = (0.0, 0.0);
    for (bin, &p) in power.iter().enumerate() {
        let magnitude = f64::from(p).sqrt();
        weighted += magnitude * bin as f64 * bin_hz;
        total += magnitude;
    }
    if total > 1e-9 { (weighted / total) as f32 } else { 0.0 }
}

/// Mel-frequency cepstral coefficients at 16 kHz, the first 13, in this convention:
///
/// - pre-emphasis `y[i] = x[i] - 0.97 x[i-1]` over the whole piece, the sample before the first taken as zero;
/// - frames of 25 ms (400 samples) every 10 ms (160), whole ones only, the first at sample 0: nothing is padded or centred;
/// - periodic Hann window, zeros behind it up to an FFT of 512 points, squared magnitude (not scaled by length or window);
/// - 40 triangles of height 1 (no area norm), equally wide on the HTK mel scale `2595 log10(1 + f / 700)`, from 0 to 8 kHz;
/// - natural logarithm of each band's sum, at least 1e-10; no decibels, no liftering;
/// - orthonormal DCT-II; coefficient 0 (the level) is the first of the 13.
///
/// In librosa 0.11: `preemphasis(coef=0.97, zi=[0])`, `filters.mel(n_fft=512, n_mels=40, htk=True, norm=None)`,
/// `feature.mfcc(S=log(max(mel @ power, 1e-10)), n_mfcc=13, dct_type=2, norm="ortho")`; `tests/audio/librosa_check.py` compares.
pub struct Mfcc {
    spectrum: Spectrum,
    bank: MelBank,
    dct: Vec<f32>,
}

impl Mfcc {
    /// Samples per frame (25 ms).
    pub const FRAME: usize = 400;
    /// Samples between frames (10 ms).
    pub const HOP: usize = 160;
    const FFT: usize = 512;
    const MELS: usize = 40;

    /// Plans the transform and the filters.
    pub fn new() -> Self {
        let mels = Self::MELS;
        let mut dct = Vec::with_capacity(MFCC_COUNT * mels);
        for k in 0..MFCC_COUNT {
            let norm = if k == 0 { (1.0 / mels as f64).sqrt() } else { (2.0 / mels as f64).sqrt() };
            for m in 0..mels {
                let angle = std::f64::consts::PI * k as f64 * (m as f64 + 0.5) / mels as f64;
                dct.push((norm * angle.cos()) as f32);
            }
        }
        Self {
            spectrum: Spectrum::new(Self::FRAME, Self::FFT),
            bank: MelBank::new(MelScale::Htk, SAMPLE_RATE, Self::FFT, mels),
            dct,
        }
    }

    /// One frame of pre-emphasised samples -> 13 coefficients.
    pub fn frame(&mut self, emphasised: &[f32]) -> [f32; MFCC_COUNT] {
        let power = self.spectrum.power(emphasised);
        let log_mel: Vec<f32> = self.bank.apply(&power).into_iter().map(|e| e.max(1e-10).ln()).collect();
        let mut out = [0.0; MFCC_COUNT];
        for (c, row) in out.iter_mut().zip(self.dct.chunks_exact(Self::MELS)) {
            *c = row.iter().zip(&log_mel).map(|(a, b)| a * b).sum();
        }
        out
    }

    /// All whole frames of a piece of sound; empty if it is shorter than one frame. The first sample's
    /// predecessor is taken as zero.
    pub fn frames(&mut self, samples: &[f32]) -> Vec<[f32; MFCC_COUNT]> {
        let emphasised = pre_emphasis(samples, 0.0);
        emphasised.windows(Self::FRAME).step_by(Self::HOP).map(|w| self.frame(w)).collect()
    }
}

impl Default for Mfcc {
    fn default() -> Self {
        Self::new()
    }
}

/// Mean over frames; zeros for none.
pub fn mean_coefficients(frames: &[[f32; MFCC_COUNT]]) -> [f32; MFCC_COUNT] {
    let mut mean = [0.0; MFCC_COUNT];
    for frame in frames {
        for (m, v) in mean.iter_mut().zip(frame) {
            *m += v / frames.len() as f32;
        }
    }
    mean
}
