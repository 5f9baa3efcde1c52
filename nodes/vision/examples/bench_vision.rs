//! Milliseconds of each part of vision, and what it sees, for the pictures given.
//! `cargo run --release -p omnimind-vision --example bench_vision -- PICTURE...`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use models::Broker;
use omnimind_vision::color::{dominant_colors, lighting};
use omnimind_vision::features::image_features;
use omnimind_vision::gray::GrayF;
use omnimind_vision::motion::MotionFrame;
use omnimind_vision::similarity::similarity;
use omnimind_vision::{Analyser, AnalyserConfig, DetectorSettings, decode};

/// Median of 21 runs in milliseconds.
fn median_ms(mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let begin = Instant::now();
        run()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[10])
}

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::shared()?;
    let settings = DetectorSettings { confidence_threshold: 0.35, ..DetectorSettings::default() };
    let one = Analyser::new(broker.clone(), AnalyserConfig { settings, ..AnalyserConfig::default() });
    let two = Analyser::new(broker, AnalyserConfig { threads: 2, ..AnalyserConfig::default() });
    for path in std::env::args().skip(1) {
        let image = decode(&std::fs::read(&path)?)?;
        println!("{path} ({} x {})", image.width(), image.height());
        let seen = Analyser::analyse(
            &mut Analyser::new(Broker::shared()?, AnalyserConfig { settings, ..AnalyserConfig::default() }),
            &image,
        )?;
        println!("  {} [{:.2}]", seen.description, seen.scene_confidence);
        for o in &seen.objects {
            println!("  {:<14} {:.2}", o.label, o.confidence);
        }
        println!("  {:?}", image_features(&image));
        println!("  detect, 1 thread   {:7.1} ms", median_ms(|| Ok(one.detect(&image).map(drop)?))?);
        println!("  detect, 2 threads  {:7.1} ms", median_ms(|| Ok(two.detect(&image).map(drop)?))?);
        println!("  classify, 1 thread {:7.1} ms", median_ms(|| Ok(one.classify(&image).map(drop)?))?);
        println!(
            "  features           {:7.1} ms",
            median_ms(|| {
                black_box(image_features(&image));
                Ok(())
            })?
        );
        println!(
            "  colours, lighting  {:7.1} ms",
            median_ms(|| {
                black_box((dominant_colors(&image), lighting(&image)));
                Ok(())
            })?
        );
        let frame = MotionFrame::new(&GrayF::from_rgb(&image));
        println!(
            "  motion             {:7.1} ms",
            median_ms(|| {
                black_box(MotionFrame::new(&GrayF::from_rgb(&image)).since(&frame));
                Ok(())
            })?
        );
        println!(
            "  similarity         {:7.1} ms",
            median_ms(|| {
                black_box(similarity(&image, &image, None));
                Ok(())
            })?
        );
    }
    Ok(())
}
