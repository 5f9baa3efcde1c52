//! Time of every signal operation of this crate on one thread: p50, p95, p99.
//!
//!     cargo run --release -p omnimind-audio --example signal_time

use omnimind_audio::array::ArrayFinder;
use omnimind_audio::denoise::Denoiser;
use omnimind_audio::direction::DirectionFinder;
use omnimind_audio::ear::Ear;
use omnimind_audio::features::{Mfcc, SAMPLE_RATE, Spectrum, rms, spectral_centroid, zero_crossing_rate};
use omnimind_audio::pitch::Yin;
use omnimind_audio::resample::{StreamResampler, resample};
use omnimind_audio::silero::Silero;
use omnimind_audio::vad::Vad;
use sounds::{Clip, Format, decode, encode};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/assets/speech");
    let mut files: Vec<_> = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "wav"));
    files.sort();
    let mut speech = Vec::new();
    for file in &files {
        speech.extend(sounds::read(file)?.mono());
    }
    speech.truncate(60 * SAMPLE_RATE as usize);
    let second = SAMPLE_RATE as usize;
    println!("{} s of speech\n", speech.len() / second);
    println!("| operation | length of sound, ms | runs | p50, us | p95, us | p99, us |");
    println!("| --- | --- | --- | --- | --- | --- |");

    let (mut mfcc, yin) = (Mfcc::new(), Yin::default());
    let mut spectrum = Spectrum::new(Mfcc::FRAME, 512);
    let mut all = |clip: &[f32]| {
        black_box(mfcc.frames(clip));
        black_box((rms(clip), zero_crossing_rate(clip)));
        clip.chunks_exact(Mfcc::FRAME).for_each(|f| keep(black_box(spectral_centroid(&spectrum.power(f), SAMPLE_RATE))));
        clip.chunks(1_600).for_each(|f| keep(black_box(yin.pitch(f))));
    };
    time("features of a clip (13 MFCC, RMS, crossings, centroid, pitch)", 1_000, speech.chunks_exact(second), &mut all);
    time("features of a block", 100, speech.chunks_exact(second / 10), &mut all);
    let mut mfcc = Mfcc::new();
    time("13 MFCC, 98 frames", 1_000, speech.chunks_exact(second), |c| keep(black_box(mfcc.frames(c))));
    time("pitch (YIN) of one frame", 64, speech.chunks_exact(Yin::FRAME), |c| keep(black_box(yin.pitch(c))));
    let mut vad = Vad::new(Default::default());
    time("voice activity, earshot", 16, speech.chunks_exact(vad.frame()), |c| keep(black_box(vad.push(c))));
    match models::Broker::shared().map_err(|e| e.to_string()).and_then(|b| Silero::open(&b).map_err(|e| e.to_string())) {
        Ok(silero) => {
            let mut vad = Vad::with_silero(Default::default(), silero);
            time("voice activity, Silero", 32, speech.chunks_exact(vad.frame()), |c| keep(black_box(vad.push(c))));
        }
        Err(e) => println!("| voice activity, Silero | {e} |"),
    }
    let mut denoiser = Denoiser::new()?;
    time("noise suppression", 10, speech.chunks_exact(second / 100), |c| keep(black_box(denoiser.push(c))));
    let fast = resample(&speech, 1, SAMPLE_RATE, 48_000)?;
    let mut down = StreamResampler::new(1, 48_000, SAMPLE_RATE)?;
    time("resampling 48 to 16 kHz, stream", 20, fast.chunks_exact(960), |c| keep(black_box(down.push(c))));
    let finder = DirectionFinder::new(0.1);
    time("bearing, 2 microphones", 1_000, speech.chunks_exact(second), |c| keep(black_box(finder.bearing(c, c))));
    let array = ArrayFinder::new(&[[0.05, 0.05], [0.05, -0.05], [-0.05, -0.05], [-0.05, 0.05]])?;
    time("bearing, 4 microphones", 1_000, speech.chunks_exact(second), |c| keep(black_box(array.bearing(&[c; 4]))));
    let mut ear = Ear::new(Default::default());
    let stereo: Vec<f32> = speech.iter().flat_map(|s| [*s, *s]).collect();
    let mut stamp = 0;
    time("everything but networks (Ear), 2 channels", 20, stereo.chunks_exact(640), |c| {
        keep(black_box(ear.push(stamp, SAMPLE_RATE, 2, c, false)));
        stamp += 20_000_000;
    });
    for format in Format::ALL {
        let clips: Vec<Clip> = speech
            .chunks_exact(3 * second)
            .map(|s| Clip { sample_rate: SAMPLE_RATE, channels: 1, samples: s.to_vec() })
            .collect();
        let coded = clips.iter().map(|c| encode(c, format)).collect::<Result<Vec<_>, _>>()?;
        time(&format!("decode {format}"), 3_000, coded.iter(), |b| keep(black_box(decode(b))));
        time(&format!("encode {format}"), 3_000, clips.iter(), |c| keep(black_box(encode(c, format))));
    }
    Ok(())
}

/// Lets go of a result that nobody wants.
fn keep<T>(_result: T) {}

/// Runs an operation once on each piece, after a round to warm up, and prints the times.
fn time<T>(name: &str, length_ms: usize, pieces: impl Iterator<Item = T> + Clone, mut operation: impl FnMut(T)) {
    pieces.clone().take(20).for_each(&mut operation);
    let mut times_us: Vec<f64> = pieces
        .map(|piece| {
            let begin = Instant::now();
            operation(piece);
            begin.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times_us.sort_by(f64::total_cmp);
    let at = |p: f64| times_us.get(((times_us.len().max(1) - 1) as f64 * p).round() as usize).copied().unwrap_or(0.0);
    println!("| {name} | {length_ms} | {} | {:.0} | {:.0} | {:.0} |", times_us.len(), at(0.5), at(0.95), at(0.99));
}
