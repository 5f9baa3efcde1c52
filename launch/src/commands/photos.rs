//! `omnimind run vision --source`: the vision system over pictures, without a graph.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use omnimind_vision::{Analyser, AnalyserConfig, Analysis, annotate, decode};

/// Writes `<name>_seen.png` per picture and a JSON line each to standard output. Exit code 1 if a picture cannot be read.
pub fn run(source: &Path, out: Option<&Path>) -> Result<ExitCode> {
    let pictures = pictures(source)?;
    let folder = out.map_or_else(|| PathBuf::from("omnimind-runs/vision"), Path::to_path_buf);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let config = AnalyserConfig::default();
    crate::networks::ensure(&[config.detector.clone(), config.classifier.clone()])?;
    let mut analyser = Analyser::new(models::Broker::shared()?, config);
    for problem in analyser.problems() {
        eprintln!("{problem}");
    }
    let mut failed = false;
    for picture in pictures {
        match analyse(&mut analyser, &picture, &folder) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                failed = true;
                eprintln!("{}: {error:#}", picture.display());
            }
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn pictures(source: &Path) -> Result<Vec<PathBuf>> {
    if source.is_file() {
        return Ok(vec![source.to_path_buf()]);
    }
    let entries = std::fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?;
    let known = |path: &PathBuf| {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        path.is_file() && matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png" | "webp"))
    };
    let mut found: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).filter(known).collect();
    found.sort();
    if found.is_empty() {
        bail!("there is no .jpg, .png or .webp file in {}", source.display());
    }
    Ok(found)
}

fn analyse(analyser: &mut Analyser, picture: &Path, folder: &Path) -> Result<String> {
    let image = decode(&std::fs::read(picture)?)?;
    let begun = Instant::now();
    let analysis = analyser.analyse(&image)?;
    let took_ms = begun.elapsed().as_secs_f64() * 1e3;
    let stem = picture.file_stem().map_or_else(|| "picture".into(), |s| s.to_string_lossy().into_owned());
    let annotated = folder.join(format!("{stem}_seen.png"));
    annotate(&image, &analysis.objects).save(&annotated)?;
    Ok(line(picture, &annotated, &analysis, took_ms).to_string())
}

fn line(picture: &Path, annotated: &Path, analysis: &Analysis, took_ms: f64) -> serde_json::Value {
    let objects: Vec<serde_json::Value> = analysis
        .objects
        .iter()
        .map(|o| {
            let b = &o.bounding_box;
            serde_json::json!({"label": &*o.label, "category": format!("{:?}", o.category).to_lowercase(), "confidence": o.confidence,
                "box": {"x": b.x, "y": b.y, "width": b.width, "height": b.height}})
        })
        .collect();
    serde_json::json!({
        "file": picture, "annotated": annotated, "image_id": analysis.image_id, "description": analysis.description,
        "scene": format!("{:?}", analysis.scene).to_lowercase(), "scene_confidence": analysis.scene_confidence,
        "objects": objects, "complexity": analysis.complexity, "lighting": format!("{:?}", analysis.lighting).to_lowercase(),
        "provenance": {"model": analysis.origin.model, "version": analysis.origin.version, "device": analysis.origin.device,
            "inference_ms": analysis.origin.inference_ms, "degraded": analysis.origin.degraded, "simulated": false},
        "took_ms": took_ms,
    })
}
