//! MP3 by oxideav-mp3 (MIT, pure Rust), within the settings where it was found to work. (LAME and shine are LGPL.)

use crate::encode::{quantise, unsupported};
use crate::mpeg::KBPS;
use crate::{Clip, EncodeError, Format, decode};
use oxideav_mp3::demuxer::XingTagId;
use oxideav_mp3::frame::ChannelMode;
use oxideav_mp3::stream_encoder::Mp3Encoder;
use oxideav_mp3::xing_info::{XingTagSpec, flag_bit};

/// Delay of encoding and decoding in frames: 481 of the filter bank, 576 of the overlapping transform.
const DELAY: usize = 1_057;
/// A file that decodes to less than this is not handed out, dB.
const WORST_SNR_DB: f64 = 6.0;
/// Samples per channel and granule (ISO/IEC 11172-3, 2.4.2.1).
const GRANULE: u32 = 576;
/// Bits that one channel of a granule can have: `part2_3_length` has 12 bits (2.4.1.7). The encoder overruns it unseen.
const MAX_GRANULE_BITS: u32 = 4_095;

pub(crate) fn encode(clip: &Clip, kbps: Option<u32>) -> Result<Vec<u8>, EncodeError> {
    let format = Format::Mp3;
    let mode = match clip.channels {
        1 => ChannelMode::SingleChannel,
        2 => ChannelMode::Stereo,
        n => return Err(unsupported(format, format!("{n} channels"))),
    };
    let ladder = match clip.sample_rate {
        32_000 | 44_100 | 48_000 => &KBPS[0][1..],
        8_000 | 11_025 | 12_000 | 16_000 | 22_050 | 24_000 => &KBPS[1][1..],
        rate => return Err(unsupported(format, format!("sample rate {rate} Hz"))),
    };
    let channels = u32::from(clip.channels);
    let fits = |kbps: &u32| kbps * 1_000 * GRANULE / clip.sample_rate <= MAX_GRANULE_BITS * channels;
    let kbps = match kbps {
        Some(kbps) => kbps,
        None => ladder.iter().copied().rev().find(|k| *k <= 128 * channels && fits(k)).unwrap_or(ladder[0]),
    };
    if !ladder.contains(&kbps) || !fits(&kbps) {
        let what = format!("{kbps} kbit/s at {} Hz with {channels} channels", clip.sample_rate);
        return Err(unsupported(format, what));
    }
    let failed = |what: String| EncodeError::Encoder { format, what };
    let mut encoder = Mp3Encoder::new(kbps, clip.sample_rate, mode).map_err(|e| failed(e.to_string()))?;
    // The number of frames, so that a reader sees when some are missing; the encoder fills it in.
    let flags = flag_bit::FRAMES | flag_bit::BYTES;
    encoder.enable_xing_info(XingTagSpec { id: XingTagId::Info, flags, frames: None, bytes: None, toc: None, quality: None });
    let mut samples: Vec<i16> = clip.samples.iter().map(|s| quantise(*s, 16) as i16).collect();
    // The last samples come out of the decoder only after its delay.
    samples.resize(samples.len() + DELAY * usize::from(clip.channels), 0);
    encoder.push_samples(&samples).map_err(|e| failed(e.to_string()))?;
    let mut bytes = Vec::new();
    encoder.finish(&mut bytes).map_err(|e| failed(e.to_string()))?;
    // A young encoder: what it made is heard before it is handed out.
    let back = decode(&bytes).map_err(|e| failed(format!("its file cannot be read: {e}")))?;
    let snr_db = fidelity(clip, &back);
    if snr_db < WORST_SNR_DB {
        return Err(failed(format!("its file has a signal-to-noise ratio of {snr_db:.1} dB")));
    }
    Ok(bytes)
}

/// Signal-to-noise ratio in dB after the delay; infinite for a perfect copy, and for sounds too quiet for 16 bits to say.
fn fidelity(clip: &Clip, back: &Clip) -> f64 {
    let heard = back.samples.iter().skip(DELAY * usize::from(clip.channels));
    if back.samples.len() < clip.samples.len() + DELAY * usize::from(clip.channels) {
        return f64::NEG_INFINITY;
    }
    let (mut power, mut error) = (0.0, 0.0);
    for (want, got) in clip.samples.iter().zip(heard) {
        let want = f64::from(want.clamp(-1.0, 1.0));
        power += want * want;
        error += (want - f64::from(*got)).powi(2);
    }
    // Below -66 dBFS what 16 bits cannot hold is a part of it.
    if power / (clip.samples.len() as f64) < 2.5e-7 { f64::INFINITY } else { 10.0 * (power / error.max(1e-30)).log10() }
}
