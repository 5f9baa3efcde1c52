//! `omnimind vision analyze` and `features`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use omnimind_vision::analyse::{Origin, STATISTICS};
use omnimind_vision::annotate;
use omnimind_vision::features::image_features;
use omnimind_vision::gray::GrayF;
use omnimind_vision::similarity::{difference_hash, perceptual_hash};
use serde_json::json;

use super::{AnalyzeArgs, FeaturesArgs, each, json, picture, write};

pub fn run(args: &AnalyzeArgs) -> Result<ExitCode> {
    let several = args.pictures.len() > 1;
    if let (true, Some(folder)) = (several, &args.output) {
        if folder.is_file() {
            bail!("{} is a file; for several pictures give a folder", folder.display());
        }
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let mut analyser = args.networks.analyser()?;
    Ok(each(&args.pictures, |path| {
        let image = picture(path)?;
        let analysis = analyser.analyse(&image).with_context(|| path.display().to_string())?;
        let seen = args.output.as_ref().map(|output| target(output, path, several));
        if let Some(seen) = &seen {
            write(&annotate(&image, &analysis.objects), seen)?;
        }
        if !args.json {
            return Ok(json::analysis_text(&path.display().to_string(), &analysis, image.dimensions()));
        }
        let mut line =
            json!({"command": "analyze", "file": path, "width": image.width(), "height": image.height(), "output": seen});
        merge(&mut line, json::analysis(&analysis));
        line["provenance"] = json::provenance(&analysis.origin);
        Ok(line.to_string())
    }))
}

/// Where the annotated picture goes: the file itself, or `<name>_seen.png` in a folder.
fn target(output: &Path, picture: &Path, several: bool) -> PathBuf {
    if !several && !output.is_dir() {
        return output.to_owned();
    }
    let stem = picture.file_stem().map_or_else(|| "picture".into(), |s| s.to_string_lossy().into_owned());
    output.join(format!("{stem}_seen.png"))
}

/// Puts the fields of one object into another.
pub fn merge(into: &mut serde_json::Value, fields: serde_json::Value) {
    if let (Some(into), serde_json::Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}

pub fn features(args: &FeaturesArgs) -> Result<ExitCode> {
    Ok(each(&args.pictures, |path| {
        let image = picture(path)?;
        let f = image_features(&image);
        let gray = GrayF::from_rgb(&image);
        let (phash, dhash) = (perceptual_hash(&gray), difference_hash(&gray));
        let origin = Origin::algorithm(STATISTICS);
        let l = &f.layout;
        if args.json {
            let line = json!({"command": "features", "file": path, "width": image.width(), "height": image.height(),
                "edge_density": f.edge_density, "texture_complexity": f.texture_complexity, "texture_glcm": f.texture_glcm,
                "color_diversity": f.color_diversity, "symmetry": f.symmetry,
                "spatial_layout": {"top": l.top, "bottom": l.bottom, "left": l.left, "right": l.right, "center": l.center},
                "image_hash": format!("{phash:016x}"), "difference_hash": format!("{dhash:016x}"), "provenance": json::provenance(&origin)});
            return Ok(line.to_string());
        }
        Ok(format!(
            "{}: {} x {}\n  edges       {:.3} of all pixels\n  texture     {:.3} by binary patterns, {:.3} by co-occurrence (entropy, 1 is most)\n  \
             colours     {:.3} (entropy of hues)\n  symmetry    {:.3} left to right\n  layout      top {:.2}, bottom {:.2}, left {:.2}, \
             centre {:.2}, right {:.2} of the edges\n  hashes      perceptual {phash:016x}, difference {dhash:016x}\n  by          {} {}",
            path.display(),
            image.width(),
            image.height(),
            f.edge_density,
            f.texture_complexity,
            f.texture_glcm,
            f.color_diversity,
            f.symmetry,
            l.top,
            l.bottom,
            l.left,
            l.center,
            l.right,
            origin.model,
            origin.version
        ))
    }))
}
