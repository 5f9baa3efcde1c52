//! `omnimind vision compare` and `match`: two pictures.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use models::Priority;
use omnimind_vision::geometry;
use omnimind_vision::keypoints::{KeypointDetector, KeypointMatch, KeypointSettings, Keypoints, matches, pairs};
use omnimind_vision::{Analyser, AnalyserConfig};
use serde_json::json;

use super::{CompareArgs, MatchArgs, draw, ensure, json, picture, write};

pub fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let (a, b) = (picture(&args.a)?, picture(&args.b)?);
    ensure(&[&args.classifier])?;
    let config = AnalyserConfig { detector: String::new(), classifier: args.classifier.clone(), ..AnalyserConfig::default() };
    let analyser = Analyser::new(models::Broker::shared()?, config);
    if let Some(problem) = analyser.problems().into_iter().find(|p| !p.ends_with("switched off")) {
        bail!(problem);
    }
    let (s, origin) = analyser.compare(&a, &b)?;
    if args.json {
        let line = json!({"command": "compare", "files": [args.a, args.b], "similarity": s.score,
            "parts": {"embedding": s.embedding, "ssim": s.ssim, "difference_hash": s.dhash, "image_hash": s.phash},
            "identical": a == b, "provenance": json::provenance(&origin)});
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    let words = match s.score {
        _ if a == b => "the same picture",
        v if v >= 0.8 => "nearly the same picture",
        v if v >= 0.6 => "much alike",
        v if v >= 0.4 => "somewhat alike",
        _ => "different",
    };
    println!("{:.3}: {words}", s.score);
    let embedding = s.embedding.map_or_else(|| "none".to_owned(), |e| format!("{e:.3}"));
    println!("  content     {embedding} (cosine of the network's vectors)");
    println!("  structure   {:.3} (SSIM)", s.ssim);
    println!("  hashes      {:.3} difference, {:.3} perceptual", s.dhash, s.phash);
    println!("  by          {}", json::by(&origin));
    Ok(ExitCode::SUCCESS)
}

pub fn match_points(args: &MatchArgs) -> Result<ExitCode> {
    let (a, b) = (picture(&args.a)?, picture(&args.b)?);
    ensure(&[&args.model])?;
    let detector = KeypointDetector::load(models::Broker::shared()?, &args.model, 1, Priority::MISSION)?;
    let settings = KeypointSettings { max: args.keypoints as usize, ..KeypointSettings::default() };
    let of = |image, path: &std::path::Path| detector.keypoints(image, &settings).with_context(|| path.display().to_string());
    let ((pa, mut origin), (pb, other)) = (of(&a, &args.a)?, of(&b, &args.b)?);
    origin.inference_ms += other.inference_ms;
    origin.model.push_str("+mutual-nearest-neighbours+two-view-geometry");
    origin.version.push_str("+1+1");
    let found = matches(&pa, &pb, args.threshold);
    let at = |of: &Keypoints, n: usize| [of.points[n].x, of.points[n].y];
    if let Some(output) = &args.output {
        let lines: Vec<_> = found.iter().map(|m| (at(&pa, m.a), at(&pb, m.b))).collect();
        write(&draw::side_by_side(&a, &b, &lines), output)?;
    }
    let sides = [&a, &b].map(|picture| f64::from(picture.width().max(picture.height())));
    let common = geometry::common(&pairs(&pa, &pb, &found), sides);
    let (points, same) = common.as_ref().map_or((0, false), |c| (c.count, c.same_place()));
    if args.json {
        let fits = |n: usize| common.as_ref().is_some_and(|c| c.fits[n]);
        let pair =
            |(n, m): (usize, &KeypointMatch)| json!({"a": at(&pa, m.a), "b": at(&pb, m.b), "cosine": m.cosine, "fits": fits(n)});
        let pairs: Vec<_> = found.iter().enumerate().map(pair).collect();
        let line = json!({"command": "match", "files": [args.a, args.b], "keypoints": [pa.points.len(), pb.points.len()], "matches": pairs,
            "common_points": points, "same_place": same, "output": args.output, "provenance": json::provenance(&origin)});
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} places in both pictures, of {} and {} points", found.len(), pa.points.len(), pb.points.len());
    let verdict = if same { "it is the same place" } else { "not known to be the same place" };
    println!("  {points} of them fit one geometry: {verdict}");
    for m in found.iter().take(5) {
        let ([ax, ay], [bx, by]) = (at(&pa, m.a), at(&pb, m.b));
        println!("  ({ax:.0}, {ay:.0}) is ({bx:.0}, {by:.0}), cosine {:.3}", m.cosine);
    }
    if found.len() > 5 {
        println!("  and {} more", found.len() - 5);
    }
    println!("  by          {}", json::by(&origin));
    Ok(ExitCode::SUCCESS)
}
