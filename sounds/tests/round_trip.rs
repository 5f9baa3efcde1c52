//! What is encoded is decoded again: by this crate (symphonia) and by ffmpeg, which nobody here wrote.

use sounds::{Clip, Decoder, EncodeError, Encoding, Format, Limits, WavSamples, decode, encode, read, write};
use std::process::Command;

/// Two seconds of voice-like sound: harmonics that glide, a syllable rhythm, a little noise; exact in 16 bits.
fn voice(sample_rate: u32, channels: u16) -> Clip {
    let mut state = 1_u32;
    let samples = (0..2 * sample_rate)
        .flat_map(|i| {
            let t = f64::from(i) / f64::from(sample_rate);
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / f64::from(1 << 23) - 1.0;
            let rhythm = (0.5 - 0.5 * (std::f64::consts::TAU * 3.0 * t).cos()).powi(2);
            let phase = std::f64::consts::TAU * (110.0 * t + 10.0 * t * t);
            let tone: f64 = (1..16).map(|k| 0.25 / f64::from(k) * (f64::from(k) * phase).sin()).sum();
            let value = rhythm * tone + 0.001 * noise;
            (0..channels).map(move |c| ((value * (1.0 - 0.3 * f64::from(c)) * 32_768.0).round() / 32_768.0) as f32)
        })
        .collect();
    Clip { sample_rate, channels, samples }
}

/// Signal-to-noise ratio in dB of `back` from frame `delay` on.
fn snr_db(clip: &Clip, back: &[f32], delay: usize) -> f64 {
    let back = &back[delay * usize::from(clip.channels)..];
    assert!(back.len() >= clip.samples.len(), "{} of {} samples", back.len(), clip.samples.len());
    let power: f64 = clip.samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let error: f64 = clip.samples.iter().zip(back).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    10.0 * (power / error.max(1e-30)).log10()
}

/// What ffmpeg decodes, interleaved; `None` where ffmpeg is not installed.
fn by_ffmpeg(bytes: &[u8], format: Format) -> Option<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("sound.{}", format.extension()));
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffmpeg").args(["-v", "error", "-xerror", "-i"]).arg(&path).args(["-f", "f32le", "-"]).output();
    let Ok(output) = output else {
        assert!(std::env::var_os("OMNIMIND_REQUIRE_MODELS").is_none(), "ffmpeg is not installed");
        eprintln!("skipped: ffmpeg is not installed");
        return None;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[test]
fn lossless_files_are_bit_exact() {
    for (rate, channels) in [(8_000, 1), (16_000, 1), (22_050, 2), (44_100, 2), (48_000, 6), (96_000, 8)] {
        let clip = voice(rate, channels);
        for encoding in [
            Encoding::Wav(WavSamples::Int16),
            Encoding::Wav(WavSamples::Int24),
            Encoding::Wav(WavSamples::Int32),
            Encoding::Wav(WavSamples::Float32),
            Encoding::Flac { bits: 16 },
            Encoding::Flac { bits: 24 },
        ] {
            let bytes = encode(&clip, encoding).unwrap();
            assert_eq!(sounds::detect(&bytes), Some(encoding.format()));
            assert_eq!(decode(&bytes).unwrap(), clip, "{encoding:?} {rate} {channels}");
            if let Some(samples) = by_ffmpeg(&bytes, encoding.format()) {
                assert_eq!(samples, clip.samples, "{encoding:?} {rate} {channels} by ffmpeg");
            }
        }
    }
}

#[test]
fn eight_bits_are_within_half_a_step() {
    let clip = voice(16_000, 1);
    let back = decode(&encode(&clip, Encoding::Wav(WavSamples::Int8)).unwrap()).unwrap();
    for (a, b) in clip.samples.iter().zip(&back.samples) {
        assert!((a - b).abs() <= 0.5 / 128.0 + 1e-6);
    }
}

#[test]
fn vorbis_keeps_length_and_sound() {
    for (rate, channels, worst_db) in [(16_000, 1, 20.0), (22_050, 1, 20.0), (44_100, 2, 20.0), (48_000, 1, 20.0)] {
        let clip = voice(rate, channels);
        let bytes = encode(&clip, Format::Ogg).unwrap();
        assert!(bytes.len() < clip.samples.len() * 2 / 3, "{} bytes", bytes.len());
        let back = decode(&bytes).unwrap();
        assert_eq!((back.sample_rate, back.channels, back.frames()), (rate, channels, clip.frames()));
        let snr = snr_db(&clip, &back.samples, 0);
        assert!(snr > worst_db, "{rate} Hz: {snr:.1} dB");
        if let Some(samples) = by_ffmpeg(&bytes, Format::Ogg) {
            assert_eq!(samples.len(), clip.samples.len());
            assert!(snr_db(&clip, &samples, 0) > worst_db);
        }
    }
}

#[test]
fn mp3_keeps_the_sound_after_the_codecs_delay() {
    for (rate, channels) in [(8_000, 1), (16_000, 1), (22_050, 1), (24_000, 2), (32_000, 1), (44_100, 2), (48_000, 1)] {
        let clip = voice(rate, channels);
        let bytes = encode(&clip, Format::Mp3).unwrap();
        let back = decode(&bytes).unwrap();
        assert_eq!((back.sample_rate, back.channels), (rate, channels));
        // Frames of 576 or 1152 samples after a delay of 1057: less than 3 frames more than there were.
        let more = back.frames() - clip.frames();
        assert!((1_057..1_057 + 1_152).contains(&more), "{rate} Hz: {more} frames more");
        let snr = snr_db(&clip, &back.samples, 1_057);
        assert!(snr > 15.0, "{rate} Hz, {channels} channels: {snr:.1} dB");
        if let Some(samples) = by_ffmpeg(&bytes, Format::Mp3) {
            assert!(snr_db(&clip, &samples, 1_057) > 15.0, "{rate} Hz by ffmpeg");
        }
    }
}

#[test]
fn what_ffmpeg_encodes_is_read() {
    let clip = voice(44_100, 2);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.wav");
    write(&source, &clip).unwrap();
    // Name, codec, delay in frames, worst ratio: every width of PCM, extensible headers, telephone codecs, the four formats.
    for (name, options, worst_db) in [
        ("u8.wav", "-c:a pcm_u8", 25.0),
        ("s16.wav", "-c:a pcm_s16le", 100.0),
        ("s24.wav", "-c:a pcm_s24le", 100.0),
        ("s32.wav", "-c:a pcm_s32le", 100.0),
        ("f32.wav", "-c:a pcm_f32le", 100.0),
        ("f64.wav", "-c:a pcm_f64le", 100.0),
        ("alaw.wav", "-c:a pcm_alaw", 20.0),
        ("mulaw.wav", "-c:a pcm_mulaw", 20.0),
        ("a.flac", "-c:a flac", 100.0),
        ("a.ogg", "-c:a libvorbis -q:a 6", 15.0),
        ("cbr.mp3", "-c:a libmp3lame -b:a 192k", 15.0),
        ("vbr.mp3", "-c:a libmp3lame -q:a 2 -id3v2_version 3 -metadata title=voice", 15.0),
        ("bare.mp3", "-c:a libmp3lame -q:a 2 -write_xing 0 -id3v2_version 0", 15.0),
    ] {
        let path = folder.path().join(name);
        let status = Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&source).args(options.split(' ')).arg(&path).status();
        let Ok(status) = status else {
            assert!(std::env::var_os("OMNIMIND_REQUIRE_MODELS").is_none(), "ffmpeg is not installed");
            return;
        };
        assert!(status.success(), "{name}");
        // The name says nothing: content decides.
        let misnamed = folder.path().join("sound.txt");
        std::fs::copy(&path, &misnamed).unwrap();
        let back = read(&misnamed).unwrap();
        assert_eq!((back.sample_rate, back.channels), (44_100, 2), "{name}");
        let delay = if name == "bare.mp3" { 1_105 } else { 0 };
        let lost = clip.frames().abs_diff(back.frames().saturating_sub(delay));
        assert!(if name == "bare.mp3" { lost < 2_304 } else { lost == 0 }, "{name}: {} frames", back.frames());
        let snr = snr_db(&clip, &back.samples, delay);
        assert!(snr > worst_db, "{name}: {snr:.1} dB");
    }
}

#[test]
fn a_stream_of_blocks_is_the_whole_file() {
    let clip = voice(44_100, 2);
    for format in Format::ALL {
        let bytes = encode(&clip, format).unwrap();
        let whole = decode(&bytes).unwrap();
        let mut decoder = Decoder::from_bytes(&bytes, Limits::default()).unwrap();
        assert_eq!((decoder.format(), decoder.sample_rate(), decoder.channels()), (format, 44_100, 2));
        assert!(decoder.declared_frames().is_some_and(|n| n <= whole.frames() as u64));
        let (mut samples, mut largest) = (Vec::new(), 0);
        while let Some(block) = decoder.next_block().unwrap() {
            largest = largest.max(block.len());
            samples.extend_from_slice(block);
        }
        assert_eq!(samples, whole.samples, "{format}");
        assert!(largest <= 2 * 8_192, "{format}: a block of {largest} samples");
        assert!(decoder.next_block().unwrap().is_none());
    }
}

#[test]
fn equal_clips_give_equal_bytes() {
    for format in Format::ALL {
        assert_eq!(encode(&voice(22_050, 1), format).unwrap(), encode(&voice(22_050, 1), format).unwrap(), "{format}");
    }
}

#[test]
fn samples_beyond_full_scale_are_clipped_except_as_float() {
    let clip = Clip { sample_rate: 16_000, channels: 1, samples: vec![2.0, -2.0, 0.5, 0.0] };
    let back = |encoding: Encoding| decode(&encode(&clip, encoding).unwrap()).unwrap().samples;
    assert_eq!(back(Encoding::Wav(WavSamples::Int16)), [32_767.0 / 32_768.0, -1.0, 0.5, 0.0]);
    assert_eq!(back(Encoding::Flac { bits: 16 }), [32_767.0 / 32_768.0, -1.0, 0.5, 0.0]);
    assert_eq!(back(Encoding::Wav(WavSamples::Float32)), clip.samples);
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let clip = |sample_rate, channels: u16, frames: usize| Clip {
        sample_rate,
        channels,
        samples: vec![0.1; frames * usize::from(channels)],
    };
    assert!(matches!(encode(&clip(16_000, 1, 0), Format::Wav), Err(EncodeError::Empty)));
    for format in Format::ALL {
        let odd = Clip { samples: vec![0.0; 3], ..clip(16_000, 2, 0) };
        assert!(matches!(encode(&odd, format), Err(EncodeError::Frames { .. })));
        let nan = Clip { samples: vec![f32::NAN], ..clip(16_000, 1, 0) };
        assert!(matches!(encode(&nan, format), Err(EncodeError::NotFinite)));
        assert!(matches!(encode(&clip(0, 1, 10), format), Err(EncodeError::Unsupported { .. })));
        assert!(matches!(encode(&clip(u32::MAX, 1, 10), format), Err(EncodeError::Unsupported { .. })));
    }
    assert!(matches!(encode(&clip(16_000, 9, 10), Format::Flac), Err(EncodeError::Unsupported { .. })));
    assert!(matches!(encode(&clip(16_000, 300, 10), Format::Ogg), Err(EncodeError::Unsupported { .. })));
    assert!(matches!(encode(&clip(16_000, 3, 10), Format::Mp3), Err(EncodeError::Unsupported { .. })));
    assert!(matches!(encode(&clip(17_000, 1, 10), Format::Mp3), Err(EncodeError::Unsupported { .. })));
    // More bits than a granule's length field can say, and a rate that the standard does not have.
    for kbps in [160, 33] {
        assert!(matches!(encode(&clip(16_000, 1, 10), Encoding::Mp3 { kbps: Some(kbps) }), Err(EncodeError::Unsupported { .. })));
    }
    assert!(matches!(encode(&clip(16_000, 1, 10), Encoding::Flac { bits: 32 }), Err(EncodeError::Unsupported { .. })));
    assert!(matches!(encode(&clip(16_000, 1, 10), Encoding::Ogg { quality: f32::NAN }), Err(EncodeError::Unsupported { .. })));
    assert!(matches!(write("/tmp/sound.aac", &clip(16_000, 1, 10)), Err(EncodeError::Name(_))));
    assert!(matches!(write("/no/such/folder/a.wav", &clip(16_000, 1, 10)), Err(EncodeError::Write(_))));
}

#[test]
fn very_short_sounds_survive() {
    for frames in [1, 2, 15, 16, 100, 577] {
        let clip = Clip { samples: vec![0.25; frames], ..voice(16_000, 1) };
        for format in Format::ALL {
            let back = encode(&clip, format).and_then(|b| decode(&b).map_err(|e| panic!("{format} {frames}: {e}"))).unwrap();
            assert!(back.frames() >= frames, "{format}: {frames}");
        }
    }
}
