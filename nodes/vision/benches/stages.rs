//! Microseconds of everything that the vision node does for one frame of 640 x 480 besides running its networks, in the order
//! of the node, on one thread: for each stage the median of 200 runs, and the least, which is what the machine does when
//! nothing else runs on it. `cargo bench --bench stages`
//!
//! The pictures are the photographs of the tests. The outputs of the networks are made up: as large as the real ones, with
//! as many candidates as a busy picture gives.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use graph::testing::Bench;
use image::RgbImage;
use models::Broker;
use msgs::sensor_msgs::msg::Image;
use ndarray::ArrayD;
use omnimind_vision::analyse::{Classification, Detections, Origin};
use omnimind_vision::color::{dominant_colors, hue_entropy, lighting_of_look};
use omnimind_vision::edges::{canny, smooth, sobel};
use omnimind_vision::features::{features_of_look, pattern_entropy, symmetry};
use omnimind_vision::frame::{Filter, resize};
use omnimind_vision::gray::GrayF;
use omnimind_vision::motion::MotionFrame;
use omnimind_vision::{Analyser, AnalyserConfig, DetectorSettings, Vision, classify, decode, detect, frame_id, rgb_from_raw};

const RUNS: usize = 200;
const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

/// Prints the median and the least microseconds of a stage and gives both back.
fn stage<T>(name: &str, mut run: impl FnMut() -> T) -> [f64; 2] {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            black_box(run());
            begin.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<44} {:>9.1} {:>9.1}", times[RUNS / 2], times[0]);
    [times[RUNS / 2], times[0]]
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
fn detector_outputs() -> [(ArrayD<f32>, ArrayD<f32>); 3] {
    let unit = |n: usize| (n.wrapping_mul(2_654_435_761) >> 8 & 0xffff) as f32 / 65_536.0;
    detect::LEVELS.map(|(stride, ..)| {
        let cells = (detect::INPUT_SIDE / stride).pow(2) as usize;
        let score = |at: usize| if at % (80 * cells / 20) == 41 { 0.6 + 0.3 * unit(at) } else { 0.05 * unit(at) };
        let scores = (0..cells * 80).map(score).collect();
        let distances = (0..cells * 44).map(|at| 4.0 * unit(at)).collect();
        let array = |columns: usize, values| ArrayD::from_shape_vec(vec![1, cells, columns], values).unwrap_or_default();
        (array(80, scores), array(44, distances))
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let picture = |bytes: &[u8]| resize(&decode(bytes)?, WIDTH, HEIGHT, Filter::Area);
    let image = picture(include_bytes!("../tests/data/coffee.jpg"))?;
    let other = picture(include_bytes!("../tests/data/astronaut.jpg"))?;
    let outputs = detector_outputs();
    let levels = [0, 1, 2].map(|n| (outputs[n].0.view(), outputs[n].1.view()));
    let settings = DetectorSettings::default();
    let logits = ArrayD::from_shape_fn(vec![1, classify::CLASSES], |i| 3.0 * (i[1] as f32 * 0.37).sin());
    let look = GrayF::look(&image);
    let off = AnalyserConfig { detector: String::new(), classifier: String::new(), cache_size: 16, ..AnalyserConfig::default() };
    let mut analyser = Analyser::new(Broker::shared()?, off);

    println!("{:<44} {:>9} {:>9}", "stage", "median us", "least us");
    let mut stages = vec![
        stage("frame to picture", || rgb_from_raw(WIDTH, HEIGHT, WIDTH * 3, "rgb8", image.as_raw())),
        stage("detector's input", || detect::preprocess(&image)),
        stage("detector's output", || detect::postprocess(&levels, &settings)),
        stage("classifier's input", || classify::preprocess(&image)),
        stage("classifier's output", || (classify::probabilities(&logits.view()), classify::embedding(&logits.view()))),
        stage("look", || GrayF::look(&image)),
        stage("features", || features_of_look(&image, &look)),
        stage("frame id", || frame_id(&image)),
    ];
    let numbers = features_of_look(&image, &look);
    let id = frame_id(&image);
    let objects = detect::postprocess(&levels, &settings)?;
    let seen = Detections { objects, origin: Origin::default() };
    let probabilities = classify::probabilities(&logits.view()).unwrap_or_default();
    let embedding = classify::embedding(&logits.view()).unwrap_or_default();
    let opinion = Classification { probabilities, embedding, origin: Origin::default() };
    stages.push(stage("colours, light, scene, description", || {
        analyser.compose(&image, &look, id.clone(), Some(&seen), Some(&opinion), &numbers)
    }));
    stages.push(stage("small picture for motion", || MotionFrame::new(&look)));
    let before = MotionFrame::new(&look);
    let (moved, cut) = (MotionFrame::new(&GrayF::look(&later(&image))), MotionFrame::new(&GrayF::look(&other)));
    stages.push(stage("motion, another picture", || cut.since(&before)));
    let sum = |n: usize| stages.iter().map(|s| s[n]).sum::<f64>();
    println!("{:<44} {:>9.1} {:>9.1}", "sum", sum(0), sum(1));

    println!("\nparts of the above, and the node as a whole");
    stage("detector's input, resizing only", || resize(&image, detect::INPUT_SIDE, detect::INPUT_SIDE, Filter::Nearby));
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
    let pixels = image.into_raw();
    let message = Image { width, height, step, encoding: "rgb8".into(), data: pixels.into(), ..Default::default() };
    stage("node on a bench, without networks", || {
        bench.publish("camera/image_raw", message.clone());
        bench.run_for(Duration::from_millis(20));
    });
    Ok(())
}
