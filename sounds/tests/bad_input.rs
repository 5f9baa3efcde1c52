//! Files that are damaged, cut short, empty, absurd or something else: a clear error, no panic, no unbounded memory.
#![allow(unsafe_code, reason = "an allocator that counts")]

use proptest::prelude::*;
use sounds::{Clip, DecodeError, Decoder, Encoding, Format, Limits, WavSamples, decode, encode, read};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

/// Largest single allocation since the last reset: what an absurd header would make a reader ask for.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as required of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// More than any decoder needs for a file of a few kB.
const MUCH: usize = 8 << 20;

fn clip(frames: usize) -> Clip {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let samples = (0..frames).map(|i| (i as f32 * 0.07).sin() * (i as f32 * 0.001).cos() * 0.6 + 0.1 * noise()).collect();
    Clip { sample_rate: 16_000, channels: 1, samples }
}

fn file(format: Format) -> &'static [u8] {
    static FILES: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    let files = FILES.get_or_init(|| Format::ALL.map(|f| encode(&clip(6_000), f).unwrap()));
    &files[Format::ALL.iter().position(|f| *f == format).unwrap()]
}

#[test]
fn nothing_and_other_things_are_no_sound() {
    assert!(matches!(decode(b""), Err(DecodeError::Empty)));
    for bytes in [&b"x"[..], b"hello, this is no sound at all", &[0; 10_000], &[0xff; 10_000], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"] {
        assert!(matches!(decode(bytes), Err(DecodeError::Unknown)), "{bytes:?}");
    }
    assert!(matches!(read("/no/such/file.wav"), Err(DecodeError::Read(_))));
    assert!(matches!(read("/"), Err(DecodeError::Read(_))));
    assert!(matches!(read("/dev/zero"), Err(DecodeError::Read(_))));
}

#[test]
fn a_file_cut_short_is_an_error_after_its_good_part() {
    for format in Format::ALL {
        let bytes = file(format);
        for share in [0.02, 0.3, 0.6, 0.95, 0.999] {
            let length = ((bytes.len() as f64 * share) as usize).min(bytes.len() - 3);
            let cut = &bytes[..length];
            let error = decode(cut).unwrap_err();
            let clear = matches!(
                error,
                DecodeError::Truncated { .. } | DecodeError::Corrupt { .. } | DecodeError::Unknown | DecodeError::NoSamples(_)
            );
            assert!(clear, "{format} at {share}: {error:?}");
        }
        // Most of it can be had block by block (of a longer one: a page of Ogg is given whole or not at all).
        let bytes = encode(&clip(60_000), format).unwrap();
        let cut = &bytes[..bytes.len() * 9 / 10];
        let mut decoder = Decoder::from_bytes(cut, Limits::default()).unwrap();
        let mut frames = 0;
        let error = loop {
            match decoder.next_block() {
                Ok(Some(block)) => frames += block.len(),
                Ok(None) => panic!("{format}: no error at the end"),
                Err(e) => break e,
            }
        };
        assert!(matches!(error, DecodeError::Truncated { .. }), "{format}: {error:?}");
        assert!(frames > 1_000, "{format}: {frames} frames");
        assert!(decoder.next_block().unwrap().is_none());
    }
}

#[test]
fn damage_inside_a_checked_file_is_seen() {
    for format in [Format::Flac, Format::Ogg] {
        let mut bytes = file(format).to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        assert!(decode(&bytes).is_err(), "{format}");
    }
}

#[test]
fn files_without_samples_say_so() {
    let mut wav = file(Format::Wav)[..44].to_vec();
    wav[40..44].copy_from_slice(&0_u32.to_le_bytes());
    assert!(matches!(decode(&wav), Err(DecodeError::NoSamples(Format::Wav))), "{:?}", decode(&wav));
}

/// A WAV header of 44 bytes with these values and one sample.
fn wav_header(format: u16, channels: u16, rate: u32, bits: u16, data: u32) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(data.saturating_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend(format.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate.wrapping_mul(u32::from(channels) * u32::from(bits / 8))).to_le_bytes());
    bytes.extend((channels.wrapping_mul(bits / 8)).to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

#[test]
fn absurd_headers_are_refused() {
    assert!(decode(&wav_header(1, 1, 16_000, 16, 2)).is_ok());
    assert!(matches!(decode(&wav_header(1, 1, 0, 16, 2)), Err(DecodeError::Rate(0))));
    assert!(matches!(decode(&wav_header(1, 1, 4_000_000_000, 16, 2)), Err(DecodeError::Rate(4_000_000_000))));
    for (format, channels, bits) in
        [(1, 0, 16), (1, 65_535, 16), (1, 33, 16), (1, 1, 0), (1, 1, 17), (1, 1, 64), (3, 1, 16), (0x55, 1, 16), (0xbeef, 1, 16)]
    {
        let error = decode(&wav_header(format, channels, 16_000, bits, 2));
        assert!(error.is_err(), "{format:x} {channels} {bits}: {error:?}");
    }
    LARGEST.store(0, Ordering::Relaxed);
    let error = decode(&wav_header(1, 1, 16_000, 16, 0x1000_0000));
    assert!(matches!(error, Err(DecodeError::Truncated { .. })), "{error:?}");
    // What a program that writes into a pipe puts there: as long as it is.
    assert_eq!(decode(&wav_header(1, 1, 16_000, 16, u32::MAX)).unwrap().frames(), 1);
    assert!(LARGEST.load(Ordering::Relaxed) < MUCH, "{} bytes asked for", LARGEST.load(Ordering::Relaxed));
}

#[test]
fn numbers_that_are_none_are_damage() {
    let sound = Clip { samples: vec![0.5; 100], ..clip(0) };
    let mut bytes = encode(&sound, Encoding::Wav(WavSamples::Float32)).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(decode(&bytes), Err(DecodeError::Corrupt { format: Format::Wav, .. })));
}

#[test]
fn limits_hold() {
    for format in Format::ALL {
        let bytes = file(format);
        let with = |limits: Limits| Decoder::from_bytes(bytes, limits).and_then(Decoder::collect);
        let usual = Limits::default();
        assert!(with(usual).is_ok());
        assert!(matches!(with(Limits { max_seconds: 0.1, ..usual }), Err(DecodeError::TooLong(_))), "{format}");
        assert!(matches!(with(Limits { max_channels: 0, ..usual }), Err(DecodeError::Channels(1))), "{format}");
        assert!(matches!(with(Limits { rates: (44_100, 48_000), ..usual }), Err(DecodeError::Rate(16_000))), "{format}");
        assert!(matches!(with(Limits { max_file_bytes: 100, ..usual }), Err(DecodeError::TooLarge(100))), "{format}");
        assert!(matches!(with(Limits { max_clip_bytes: 4_000, ..usual }), Err(DecodeError::TooLarge(4_000))), "{format}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    /// Random bytes overwritten, removed or put in anywhere, the header included.
    #[test]
    fn mutations_never_panic_nor_ask_for_much_memory(
        which in 0..4_usize,
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..8_u8), 1..12),
        early in any::<bool>(),
    ) {
        let mut bytes = file(Format::ALL[which]).to_vec();
        for (at, value, kind) in edits {
            let range = if early { bytes.len().min(400) } else { bytes.len() };
            let at = at.index(range.max(1));
            match kind {
                0 => drop(bytes.drain(at..(at + usize::from(value)).min(bytes.len()))),
                1 => bytes.insert(at, value),
                2 => bytes.truncate(at.max(1)),
                3 => if let Some(four) = bytes.get_mut(at..at + 4) { four.fill(0xff) },
                _ => if let Some(byte) = bytes.get_mut(at) { *byte = value },
            }
        }
        LARGEST.store(0, Ordering::Relaxed);
        let _ = decode(&bytes);
        let largest = LARGEST.load(Ordering::Relaxed);
        prop_assert!(largest < MUCH, "{largest} bytes asked for");
    }

    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600), head in 0..6_usize) {
        let heads: [&[u8]; 6] = [b"", b"RIFF\x40\0\0\0WAVEfmt ", b"OggS\0\x02", b"fLaC\0\0\0\x22", b"\xff\xfb\x90\0", b"ID3\x04\0\0\0\0\0\x02"];
        let _ = decode(&[heads[head], &bytes].concat());
    }
}
