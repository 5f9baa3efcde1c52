//! What each encoder makes of a sound file: size, length, delay, signal-to-noise ratio after decoding again, and times.
//!
//!     cargo run --release -p omnimind-sounds --example fidelity -- speech.wav [FOLDER for the encoded files]

use sounds::{Clip, Encoding, WavSamples, decode, encode};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let clip = sounds::read(arguments.next().ok_or("which sound file?")?)?;
    let folder = arguments.next();
    println!("{} Hz, {} channels, {} frames, {:.3} s\n", clip.sample_rate, clip.channels, clip.frames(), clip.duration_s());
    println!("| encoding | bytes | kbit/s | frames | delay, frames | SNR, dB | encode, ms | decode, ms |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for encoding in [
        Encoding::Wav(WavSamples::Int16),
        Encoding::Wav(WavSamples::Float32),
        Encoding::Flac { bits: 16 },
        Encoding::Ogg { quality: 0.2 },
        Encoding::Ogg { quality: 0.5 },
        Encoding::Ogg { quality: 0.9 },
        Encoding::Mp3 { kbps: None },
        Encoding::Mp3 { kbps: Some(32) },
        Encoding::Mp3 { kbps: Some(64) },
        Encoding::Mp3 { kbps: Some(128) },
        Encoding::Mp3 { kbps: Some(160) },
    ] {
        let begin = Instant::now();
        let bytes = match encode(&clip, encoding) {
            Ok(bytes) => bytes,
            Err(e) => {
                println!("| {encoding:?} | {e} |");
                continue;
            }
        };
        let encode_ms = begin.elapsed().as_secs_f64() * 1e3;
        let begin = Instant::now();
        let back = decode(&bytes)?;
        let decode_ms = begin.elapsed().as_secs_f64() * 1e3;
        let (delay, snr) = fidelity(&clip, &back);
        println!(
            "| {encoding:?} | {} | {:.0} | {} | {delay} | {snr:.1} | {encode_ms:.1} | {decode_ms:.1} |",
            bytes.len(),
            bytes.len() as f64 * 8e-3 / clip.duration_s(),
            back.frames(),
        );
        if let Some(folder) = &folder {
            let name = format!("{encoding:?}").replace([' ', '{', '}', '(', ')', ':'], "_");
            std::fs::write(format!("{folder}/{name}.{}", encoding.format().extension()), bytes)?;
        }
    }
    Ok(())
}

/// Delay of the first channel by the best match, and the signal-to-noise ratio at that delay.
fn fidelity(original: &Clip, back: &Clip) -> (usize, f64) {
    let (a, b) = (original.channel(0), back.channel(0));
    let error = |delay: usize| -> f64 { a.iter().zip(b.iter().skip(delay)).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>() };
    let delay = (0..2_400.min(b.len())).min_by(|i, j| error(*i).total_cmp(&error(*j))).unwrap_or(0);
    let power: f64 = a.iter().zip(b.iter().skip(delay)).map(|(x, _)| f64::from(*x).powi(2)).sum();
    (delay, 10.0 * (power / error(delay).max(1e-30)).log10())
}
