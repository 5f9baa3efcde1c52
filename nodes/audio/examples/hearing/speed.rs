//! Times of the recogniser by length of the sound, on one thread.

use crate::synthetic::recording;
use omnimind_audio::features::SAMPLE_RATE;
use omnimind_audio::stt::Moonshine;
use std::error::Error;
use std::time::Instant;

/// What the project asks for, ms (REQUIREMENTS.md, A5).
const TARGET_MS: f64 = 50.0;
const RUNS: usize = 25;

pub fn run() -> Result<(), Box<dyn Error>> {
    let broker = models::Broker::shared()?;
    let reading = recording(&broker, "sample_long")?;
    let ways = [("greedy, 1 view", 1, 1), ("beam 4, 1 view", 4, 1), ("beam 4, 3 views", 4, 3)];
    println!("| sound | search | p50 ms | p95 ms | p99 ms | real time | over {TARGET_MS} ms (p95) |\n|{}", " --- |".repeat(7));
    for (name, beam, views) in ways {
        let mut stt = Moonshine::open(&broker)?.with_beam(beam).with_views(views);
        for seconds in [1.0, 2.0, 3.0, 5.0, 10.0, 20.0] {
            let n = (seconds * f64::from(SAMPLE_RATE)) as usize;
            let mut times: Vec<f64> = Vec::with_capacity(RUNS);
            for k in 0..RUNS {
                // Another stretch of the reading each time.
                let start = k * (reading.len() - n) / RUNS;
                let begin = Instant::now();
                stt.transcribe(&reading[start..start + n])?;
                times.push(begin.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            let at = |p: f64| times[((times.len() - 1) as f64 * p).round() as usize];
            let over = if at(0.95) > TARGET_MS { format!("{:.1} times", at(0.95) / TARGET_MS) } else { "within".to_owned() };
            println!(
                "| {seconds:.0} s | {name} | {:.0} | {:.0} | {:.0} | {:.3} | {over} |",
                at(0.5),
                at(0.95),
                at(0.99),
                at(0.5) / seconds / 1e3
            );
        }
    }
    println!("\n{RUNS} stretches of a recorded reading each; wall time, one thread in the networks.");
    Ok(())
}
