//! What the vision node does for one frame of 640 x 480, on one thread: microseconds of each stage besides the networks, in the order of the
//! node (median, 95th and 99th percentile of 200 runs, and the least, which is what the machine does when nothing else runs on it); then, where
//! the networks are in the cache, the networks, the share of the work around the detector, and the operations of the performance contract
//! in milliseconds as a table with targets and verdicts (`docs/seeing.md`). `cargo bench -p omnimind-vision --bench stages`
//!
//! The pictures are the photographs of the tests. In the first part the outputs of the networks are made up: as large as the real ones, with
//! as many candidates as a busy picture gives.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use graph::testing::Bench;
use image::RgbImage;
use models::{Broker, Priority, TensorView};
use msgs::sensor_msgs::msg::Image;
use ndarray::ArrayD;
use omnimind_vision::analyse::{Classification, Detections, Origin};
use omnimind_vision::color::{dominant_colors, hue_entropy, lighting_of_look};
use omnimind_vision::detect::Detector;
use omnimind_vision::edges::{canny, smooth, sobel};
use omnimind_vision::features::{features_of_look, image_features, pattern_entropy, symmetry};
use omnimind_vision::frame::{Filter, resize};
use omnimind_vision::gray::GrayF;
use omnimind_vision::keypoints::{KeypointDetector, KeypointSettings};
use omnimind_vision::motion::MotionFrame;
use omnimind_vision::revisit;
use omnimind_vision::search::{ImageIndex, Label, View};
use omnimind_vision::text::TextEncoder;
use omnimind_vision::watch::Watcher;
use omnimind_vision::{Analyser, AnalyserConfig, DetectorSettings, Vision, classify, decode, frame_id, rgb_from_raw};

const RUNS: usize = 200;
const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

/// Prints median, 95th and 99th percentile and the least microseconds of a stage and gives them back.
fn stage<T>(name: &str, mut run: impl FnMut() -> T) -> [f64; 4] {
    let times = (0..RUNS).map(|_| {
        let begin = Instant::now();
        black_box(run());
        begin.elapsed().as_secs_f64() * 1e6
    });
    row(name, times.collect())
}

fn row(name: &str, mut times: Vec<f64>) -> [f64; 4] {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    let figures = [at(0.5), at(0.95), at(0.99), times[0]];
    println!("{name:<44} {:>9.1} {:>9.1} {:>9.1} {:>9.1}", figures[0], figures[1], figures[2], figures[3]);
    figures
}

fn title(what: &str) {
    println!("{what:<44} {:>9} {:>9} {:>9} {:>9}", "p50", "p95", "p99", "least");
}

/// The picture as the same camera would show it a moment later: moved by 8 columns and 4 rows, a little noise on it.
fn later(image: &RgbImage) -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 7;
        let pixel = image.get_pixel((x + 8).min(WIDTH - 1), (y + 4).min(HEIGHT - 1));
        image::Rgb(pixel.0.map(|v| v.saturating_add(noise as u8)))
    })
}

/// Scores and distributions of the detector's three levels: little everywhere, 60 cells above the threshold.
fn detector_outputs() -> Vec<(&'static str, ArrayD<f32>)> {
    let unit = |n: usize| (n.wrapping_mul(2_654_435_761) >> 8 & 0xffff) as f32 / 65_536.0;
    let levels = [52_usize, 26, 13].map(|side| {
        let cells = side * side;
        let score = |at: usize| if at % (80 * cells / 20) == 41 { 0.6 + 0.3 * unit(at) } else { 0.05 * unit(at) };
        let scores = (0..cells * 80).map(score).collect();
        let distances = (0..cells * 44).map(|at| 4.0 * unit(at)).collect();
        let array = |columns: usize, values| ArrayD::from_shape_vec(vec![1, cells, columns], values).unwrap_or_default();
        [("scores", array(80, scores)), ("sides", array(44, distances))]
    });
    levels.into_iter().flatten().collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let picture = |bytes: &[u8]| resize(&decode(bytes)?, WIDTH, HEIGHT, Filter::Area);
    let image = picture(include_bytes!("../tests/data/coffee.jpg"))?;
    let other = picture(include_bytes!("../tests/data/astronaut.jpg"))?;
    let outputs = detector_outputs();
    let outputs: Vec<(&str, TensorView<'_>)> = outputs.iter().map(|(name, a)| (*name, TensorView::F32(a.view()))).collect();
    let detector = Detector::from_catalogue(Broker::shared()?.store(), "nanodet_g_416")?;
    let (_, place) = detector.prepare(&image)?;
    let settings = DetectorSettings::default();
    let logits = ArrayD::from_shape_fn(vec![1, classify::CLASSES], |i| 3.0 * (i[1] as f32 * 0.37).sin());
    let look = GrayF::look(&image);
    let off = AnalyserConfig { detector: String::new(), classifier: String::new(), cache_size: 16, ..AnalyserConfig::default() };
    let mut analyser = Analyser::new(Broker::shared()?, off);

    title("stage, us");
    let mut stages = vec![
        stage("frame to picture", || rgb_from_raw(WIDTH, HEIGHT, WIDTH * 3, "rgb8", image.as_raw())),
        stage("detector's input", || detector.prepare(&image)),
        stage("detector's output", || detector.read(&outputs, &place, &settings)),
        stage("classifier's input", || classify::preprocess(&image)),
        stage("classifier's output", || (classify::probabilities(&logits.view()), classify::unit_of_logits(&logits.view()))),
        stage("look", || GrayF::look(&image)),
        stage("features", || features_of_look(&image, &look)),
        stage("frame id", || frame_id(&image)),
    ];
    let numbers = features_of_look(&image, &look);
    let id = frame_id(&image);
    let objects = detector.read(&outputs, &place, &settings)?;
    let seen = Detections { objects, origin: Origin::default() };
    let probabilities = classify::probabilities(&logits.view()).unwrap_or_default();
    let embedding = classify::unit_of_logits(&logits.view()).unwrap_or_default();
    let opinion = Classification { probabilities, embedding, origin: Origin::default() };
    stages.push(stage("colours, light, scene, description", || {
        analyser.compose(&image, &look, id.clone(), Some(&seen), Some(&opinion), &numbers)
    }));
    stages.push(stage("small picture for motion", || MotionFrame::new(&look)));
    let before = MotionFrame::new(&look);
    let (moved, cut) = (MotionFrame::new(&GrayF::look(&later(&image))), MotionFrame::new(&GrayF::look(&other)));
    stages.push(stage("motion, another picture", || cut.since(&before)));
    let sum = |n: usize| stages.iter().map(|s| s[n]).sum::<f64>();
    println!("{:<44} {:>9.1} {:>9} {:>9} {:>9.1}", "sum", sum(0), "", "", sum(3));

    println!();
    title("parts of the above, and the node as a whole, us");
    stage("detector's input, resizing only", || resize(&image, detector.input().width, detector.input().height, Filter::Nearby));
    stage("classifier's input, resizing only", || resize(&image, classify::INPUT_SIDE, classify::INPUT_SIDE, Filter::Area));
    stage("smoothing", || smooth(&look));
    stage("gradient", || sobel(&look));
    stage("edges", || canny(&look, 6.0, 14.0));
    stage("texture", || pattern_entropy(&look));
    stage("symmetry", || symmetry(&look));
    stage("hues", || hue_entropy(&image));
    stage("dominant colours", || dominant_colors(&image));
    stage("light", || lighting_of_look(&look));
    stage("motion, the same picture moved", || moved.since(&before));
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "".into()), ("scene_model", "".into()), ("features_rate_hz", 60.0.into())])?;
    let (width, height, step) = (WIDTH, HEIGHT, WIDTH * 3);
    let pixels = image.as_raw().clone();
    let message = Image { width, height, step, encoding: "rgb8".into(), data: pixels.into(), ..Default::default() };
    stage("node on a bench, without networks", || {
        bench.publish("camera/image_raw", message.clone());
        bench.run_for(Duration::from_millis(20));
    });
    networks(&image, &message)
}

/// The real networks, if they are in the cache.
fn networks(image: &RgbImage, message: &Image) -> Result<(), Box<dyn Error>> {
    const NETWORK_RUNS: usize = 100;
    let mut analyser = Analyser::new(Broker::shared()?, AnalyserConfig::default());
    println!();
    if !analyser.problems().is_empty() {
        println!("no figures with networks: {}", analyser.problems().join("; "));
        return Ok(());
    }
    title("networks, ms");
    let ms = |begin: Instant| begin.elapsed().as_secs_f64() * 1e3;
    let (mut network, mut around, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..NETWORK_RUNS {
        let begin = Instant::now();
        let seen = analyser.detect(image)?.ok_or("no detector")?;
        let total = ms(begin);
        network.push(f64::from(seen.origin.inference_ms));
        around.push(total - f64::from(seen.origin.inference_ms));
    }
    for _ in 0..NETWORK_RUNS {
        analyser.clear_cache();
        let begin = Instant::now();
        black_box(analyser.analyse(image)?);
        whole.push(ms(begin));
    }
    let model = row("detector's network", network);
    let around = row("detector's input and output", around);
    // The node from the frame's message to the detections' message, with tracking; scene and features stay away.
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("scene_model", "".into()), ("features_rate_hz", 0.1.into()), ("detect_rate_hz", 60.0.into())])?;
    bench.publish("camera/image_raw", message.clone());
    bench.run_for(Duration::from_millis(20));
    let mut node = Vec::new();
    for n in 0..NETWORK_RUNS as u32 {
        let mut frame = message.clone();
        frame.header.stamp.nanosec = (n + 1) * 9_000_000;
        let begin = Instant::now();
        bench.publish("camera/image_raw", frame);
        bench.run_for(Duration::from_millis(20));
        node.push(ms(begin));
        bench.take_all();
    }
    let node = row("node, from frame to detections", node);
    let share = |ms: f64| 100.0 * ms / model[0];
    println!(
        "share of the network's time (medians; contract: 15 %): input and output {:.1} %, the whole node besides {:.1} %",
        share(around[0]),
        share(node[0] - model[0])
    );
    contract(&mut analyser, image, whole)
}

/// The performance contract: each operation on a picture of 640 x 480 in milliseconds, its target, and by how much it is missed.
fn contract(analyser: &mut Analyser, image: &RgbImage, analysis: Vec<f64>) -> Result<(), Box<dyn Error>> {
    const RUNS: usize = 50;
    let machine = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        machine.lines().find_map(|l| l.strip_prefix("model name")?.split(':').nth(1)).unwrap_or(" unknown").trim().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("\noperation, one thread, 640 x 480, ms; {model}, {cores} cores");
    println!("| operation | p50 | p95 | p99 | target | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    fn measure<T>(mut run: impl FnMut() -> Result<T, Box<dyn Error>>) -> Result<Vec<f64>, Box<dyn Error>> {
        let once = |_| {
            let begin = Instant::now();
            black_box(run()?);
            Ok(begin.elapsed().as_secs_f64() * 1e3)
        };
        (0..RUNS).map(once).collect()
    }
    let line = |name: &str, mut times: Vec<f64>, target: f64| {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        let verdict = match at(0.95) - target {
            over if over > 0.0 => format!("missed by {over:.0} ms at p95"),
            _ => "met".to_owned(),
        };
        println!("| {name} | {:.1} | {:.1} | {:.1} | {target:.0} | {verdict} |", at(0.5), at(0.95), at(0.99));
    };
    let picture = |bytes: &[u8]| resize(&decode(bytes)?, WIDTH, HEIGHT, Filter::Area);
    let other = picture(include_bytes!("../tests/data/astronaut.jpg"))?;
    line("image analysis (objects, scene, colours, light, features)", analysis, 100.0);
    line("detection alone", measure(|| Ok(analyser.detect(image)?))?, 100.0);
    line("features alone", measure(|| Ok(image_features(image)))?, 10.0);
    line("comparison of two pictures", measure(|| Ok(analyser.compare(image, &other)?))?, 100.0);
    video_frame(analyser, image, &line)?;

    let mut index = ImageIndex::new(512);
    let found = analyser.analyse(image)?;
    let opinion = analyser.classify(image)?.ok_or("no classifier")?;
    let picture = revisit::small(image)?;
    for n in 0..512_i64 {
        // A home's things: 200 kinds. A text encoder keeps the vectors of 2048 texts.
        let words = |w: usize| Label { text: classify::class_name(w).unwrap_or_default().to_owned(), confidence: 0.5 };
        index.remember(View {
            first_ns: n,
            last_ns: n,
            frame: n.to_string(),
            image_id: found.image_id.clone(),
            labels: (0..6).map(|w| words((n as usize * 13 + w * 37) % 200 + 400)).collect(),
            description: found.description.clone(),
            embedding: opinion.embedding.clone(),
            pair: Vec::new(),
            picture: picture.clone(),
        });
    }
    let by_picture = measure(|| {
        let asked = analyser.classify(image)?.ok_or("no classifier")?;
        Ok(index.like_picture(&asked.embedding, 10).len())
    })?;
    line("search by a picture in 512 views", by_picture, 100.0);
    if let Ok(mut text) = TextEncoder::load(Broker::shared()?, "minilm_l6_v2", 1, Priority::MISSION) {
        // Labels are embedded once; the words that are looked for are new each time.
        let mut n = 0;
        index.like_words("warm up", 10, |t| text.embed(t))?;
        let by_words = measure(|| {
            n += 1;
            Ok(index.like_words(&format!("something to drink from, number {n}"), 10, |t| text.embed(t))?.len())
        })?;
        line("search by words in 512 views", by_words, 100.0);
    }
    if let Ok(xfeat) = KeypointDetector::load(Broker::shared()?, "xfeat", 1, Priority::MISSION) {
        let settings = KeypointSettings::default();
        line("keypoints (XFeat, up to 4096)", measure(|| Ok(xfeat.keypoints(image, &settings)?))?, 100.0);
        let shown = later(image);
        let place = |image: &RgbImage| -> Result<_, Box<dyn Error>> {
            Ok(xfeat.keypoints(&revisit::read(&revisit::small(image)?)?, &revisit::SETTINGS)?.0)
        };
        let same =
            measure(|| Ok(revisit::common((&place(image)?, 480.0), (&place(&shown)?, 480.0)).ok_or("nothing in common")?.count))?;
        line("whether two pictures show the same place", same, 100.0);
    }
    let kept = analyser.cached(&found.image_id).ok_or("nothing is kept")?;
    let objects: usize = kept.analysis.objects.iter().map(|o| size_of_val(o) + o.label.len()).sum();
    let opinion = kept.opinion.as_ref().map_or(0, |o| 4 * (o.probabilities.len() + o.embedding.len()));
    let bytes =
        size_of_val(kept) + objects + opinion + kept.analysis.description.len() + 20 * kept.analysis.dominant_colors.len();
    let view =
        index.views().next().map(graph::snapshot::pack).transpose().map_err(|e| e.to_string())?.map_or(0, |bytes| bytes.len());
    println!(
        "memory of a kept analysis: {:.1} kB; of a remembered view: {:.1} kB (target: 100 kB a picture)",
        bytes as f64 / 1e3,
        view as f64 / 1e3
    );
    Ok(())
}

/// A frame of a video: decoding (MJPEG), analysis with objects that are followed, perceptual hash, motion since the frame before.
fn video_frame(analyser: &mut Analyser, image: &RgbImage, line: &dyn Fn(&str, Vec<f64>, f64)) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("clip.avi");
    let mut writer = video::AviWriter::create(&path, (WIDTH, HEIGHT), 30.0, 90)?;
    for n in 0..52 {
        writer.push(&RgbImage::from_fn(WIDTH, HEIGHT, |x, y| *image.get_pixel((x + 3 * n).min(WIDTH - 1), y)))?;
    }
    writer.finish()?;
    let mut clip = video::Video::open(&path, &video::Options::default())?;
    let (mut watcher, mut times) = (Watcher::new(DetectorSettings::default()), Vec::new());
    let (mut in_networks, mut decoding) = (Vec::new(), Vec::new());
    loop {
        let begin = Instant::now();
        let Some(frame) = clip.next() else { break };
        let frame = frame?;
        let decoded = begin.elapsed().as_secs_f64() * 1e3;
        let picture = &frame.picture;
        let analysis = black_box(watcher.look(analyser, picture, frame.time_s)?).analysis;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        in_networks.push(f64::from(analysis.origin.inference_ms));
        decoding.push(decoded);
    }
    // The first frame has none before it.
    line("video frame (decoding, analysis, hash, motion)", times.split_off(1), 50.0);
    line("... of which decoding (MJPEG)", decoding.split_off(1), 50.0);
    line("... of which in the two networks", in_networks.split_off(1), 50.0);
    Ok(())
}
