//! Writes a picture with boxes and labels.
//! `cargo run --release -p omnimind-vision --example annotate -- IN OUT.png`

use omnimind_vision::{Analyser, AnalyserConfig, DetectorSettings, annotate, decode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (Some(input), Some(output)) = (std::env::args().nth(1), std::env::args().nth(2)) else {
        return Err("usage: annotate IN OUT.png".into());
    };
    let settings = DetectorSettings { confidence_threshold: 0.35, ..DetectorSettings::default() };
    let mut analyser = Analyser::new(models::Broker::shared()?, AnalyserConfig { settings, ..AnalyserConfig::default() });
    let image = decode(&std::fs::read(input)?)?;
    let analysis = analyser.analyse(&image)?;
    println!("{}", analysis.description);
    annotate(&image, &analysis.objects).save(output)?;
    Ok(())
}
