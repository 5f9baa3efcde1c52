//! Time of the whole analysis (voice activity, features, segmenter) per 20 ms chunk of two-channel sound.
//!
//!     cargo run --release -p omnimind-audio --example feature_time

use omnimind_audio::ear::Ear;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut state = 1_u32;
    let mut ear = Ear::new(Default::default());
    let mut times_us = Vec::new();
    for k in 0..3_000_i64 {
        let chunk: Vec<f32> = (0..640)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                let t = (k * 320 + i / 2) as f32 / 16_000.0;
                0.1 * (std::f32::consts::TAU * 150.0 * t).sin() + 0.02 * noise
            })
            .collect();
        let begin = Instant::now();
        ear.push(k * 20_000_000, 16_000, 2, &chunk, false)?;
        times_us.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    let mean = times_us.iter().sum::<f64>() / times_us.len() as f64;
    times_us.sort_by(f64::total_cmp);
    let at = |p: f64| times_us[((times_us.len() - 1) as f64 * p) as usize];
    println!(
        "per 20 ms chunk: mean {mean:.0} us, p50 {:.0} us, p95 {:.0} us (every fifth chunk completes a block of features)",
        at(0.5),
        at(0.95)
    );
    Ok(())
}
