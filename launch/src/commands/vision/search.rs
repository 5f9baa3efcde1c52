//! `omnimind vision search`: a folder's pictures, ordered by how well they fit.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use models::{Broker, Priority};
use omnimind_vision::analyse::Origin;
use omnimind_vision::features::image_features;
use omnimind_vision::gray::GrayF;
use omnimind_vision::image_id;
use omnimind_vision::pair::ImageTextPair;
use omnimind_vision::search::{Hit, ImageIndex, View, labels};
use omnimind_vision::text::TextEncoder;
use serde_json::json;

use super::{SearchArgs, ensure, json, picture};

/// Pictures that are looked at; a view needs about 6 kB.
const MOST_PICTURES: usize = 50_000;

pub fn run(args: &SearchArgs) -> Result<ExitCode> {
    let files = pictures_of(&args.folder)?;
    let by_picture = Path::new(&args.wanted).is_file();
    let wanted = if by_picture { Some(picture(Path::new(&args.wanted))?) } else { None };
    if !by_picture && args.wanted.trim().is_empty() {
        bail!("say in words what to look for, or name a picture");
    }
    let (pair_model, text_model) = if by_picture { ("", "") } else { (args.pair_model.as_str(), args.text_model.as_str()) };
    ensure(&[pair_model, if pair_model.is_empty() { text_model } else { "" }])?;
    let mut analyser = args.networks.analyser()?;
    let mut pair = match pair_model {
        "" => None,
        name => Some(ImageTextPair::load(Broker::shared()?, name, args.networks.threads as usize, Priority::MISSION)?),
    };
    let mut index = ImageIndex::new(files.len());
    // Of all pictures, and of what is looked for.
    let mut spent_ms = 0.0;
    let mut failed = false;
    for (n, file) in files.iter().enumerate() {
        let image = match picture(file) {
            Ok(image) => image,
            Err(error) => {
                failed = true;
                eprintln!("omnimind: {error:#}");
                continue;
            }
        };
        let (seen, opinion) = (analyser.detect(&image)?, analyser.classify(&image)?);
        let look = GrayF::look(&image);
        let found = analyser.compose(&image, &look, image_id(&image), seen.as_ref(), opinion.as_ref(), &image_features(&image));
        let (vector, by_pair) = pair.as_ref().map(|p| p.embed_image(&image)).transpose()?.unwrap_or_default();
        let classes = opinion.as_ref().map(|o| o.probabilities.as_slice());
        spent_ms += found.origin.inference_ms + by_pair.inference_ms;
        index.remember(View {
            first_ns: n as i64,
            last_ns: n as i64,
            // Views of different frames are never taken for one.
            frame: file.display().to_string(),
            labels: labels(&found.objects, classes, found.scene, found.scene_confidence),
            image_id: found.image_id,
            description: found.description,
            embedding: opinion.map(|o| o.embedding).unwrap_or_default(),
            pair: vector,
            // Places are checked by `vision match`.
            picture: Vec::new(),
        });
    }
    let most = args.results as usize;
    // Who described the pictures, then who looked for words or picture among them.
    let mut origin = analyser.labelling();
    let by = |origin: &mut Origin, model: &str, version: &str| {
        origin.model = format!("{}+{model}", origin.model);
        origin.version = format!("{}+{version}", origin.version);
    };
    let hits = if let Some(image) = &wanted {
        let opinion = analyser.classify(image)?.context("a search by picture needs a classifier")?;
        spent_ms += opinion.origin.inference_ms;
        by(&mut origin, "embedding-search", "1");
        index.like_picture(&opinion.embedding, most)
    } else if let Some(pair) = &mut pair {
        let vector = pair.text.embed(&args.wanted)?;
        spent_ms += pair.text.take_spent_ms();
        by(&mut origin, pair.model().0, pair.model().1);
        by(&mut origin, pair.text.model().0, pair.text.model().1);
        by(&mut origin, "image-text-search", "1");
        index.like_pair(&vector, most)
    } else {
        let mut text = TextEncoder::load(Broker::shared()?, text_model, args.networks.threads as usize, Priority::MISSION)?;
        by(&mut origin, text.model().0, text.model().1);
        by(&mut origin, "label-search", "1");
        let hits = index.like_words(&args.wanted, most, |words| text.embed(words))?;
        spent_ms += text.take_spent_ms();
        hits
    };
    origin.inference_ms = spent_ms;
    show(args, &hits, &origin);
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn show(args: &SearchArgs, hits: &[Hit<'_>], origin: &Origin) {
    for (rank, hit) in hits.iter().enumerate() {
        let labels: Vec<&str> = hit.view.labels.iter().map(|l| l.text.as_str()).collect();
        if args.json {
            let line = json!({"command": "search", "wanted": args.wanted, "rank": rank + 1, "file": hit.view.frame, "similarity": hit.similarity,
                "reason": hit.reason, "labels": labels, "description": hit.view.description, "provenance": json::provenance(origin)});
            println!("{line}");
        } else {
            println!("{:.3}  {}\n       {}; {}", hit.similarity, hit.view.frame, hit.view.description, hit.reason);
        }
    }
    if !args.json {
        println!("by {}", origin.model);
    }
}

fn pictures_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_file() && pictures::is_picture_name(p));
    let mut files: Vec<PathBuf> = paths.take(MOST_PICTURES + 1).collect();
    if files.is_empty() {
        bail!("there is no .jpg, .png or .webp file in {}", folder.display());
    }
    if files.len() > MOST_PICTURES {
        bail!("{} has more than {MOST_PICTURES} pictures", folder.display());
    }
    files.sort();
    Ok(files)
}
