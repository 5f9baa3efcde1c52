//! Follows objects over the pictures of a folder, taken as a video, and draws what it sees.
//!
//! `cargo run --release --example follow_pictures -- IN OUT [RATE_HZ] [THRESHOLD]`

use std::error::Error;
use std::path::PathBuf;

use omnimind_vision::track::{Tracker, TrackerSettings};
use omnimind_vision::{Analyser, AnalyserConfig, DetectorSettings, annotate, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, to, rest @ ..] = arguments.as_slice() else {
        return Err("usage: follow_pictures IN OUT [RATE_HZ] [THRESHOLD]".into());
    };
    let rate_hz: f64 = rest.first().map_or(Ok(10.0), |v| v.parse())?;
    let threshold: f32 = rest.get(1).map_or(Ok(0.4), |v| v.parse())?;
    let mut pictures: Vec<PathBuf> = std::fs::read_dir(from)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    pictures.sort();
    std::fs::create_dir_all(to)?;
    let follow = TrackerSettings { high_score: threshold, ..TrackerSettings::default() };
    // The tracker wants the weak detections, too.
    let settings = DetectorSettings { confidence_threshold: follow.low_score, max_objects: 100, ..DetectorSettings::default() };
    let config = AnalyserConfig { classifier: String::new(), settings, ..AnalyserConfig::default() };
    let analyser = Analyser::new(models::Broker::shared()?, config);
    let mut tracker = Tracker::new();
    for (n, path) in pictures.iter().enumerate() {
        let image = decode(&std::fs::read(path)?)?;
        let mut objects = analyser.detect(&image)?.ok_or_else(|| analyser.problems().join("; "))?.objects;
        tracker.follow(&follow, (n as f64 * 1e9 / rate_hz) as i64, image.width(), image.height(), &mut objects);
        objects.retain(|o| o.confidence >= threshold);
        let said: Vec<String> = objects.iter().map(|o| format!("{} #{}", o.label, o.track.unwrap_or(0))).collect();
        println!("{}: {}", path.display(), said.join(", "));
        let name = path.file_stem().ok_or("a picture without a name")?;
        annotate(&image, &objects).save(PathBuf::from(to).join(name).with_extension("png"))?;
    }
    println!("{} objects in {} pictures", tracker.issued(), pictures.len());
    Ok(())
}
