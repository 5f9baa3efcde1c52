//! XFeat on photographs. Against the stereo pair and a reference in numpy: `tests/opencv_check.py`.

use image::RgbImage;
use image::imageops::crop_imm;
use models::Priority;
use models::testing::broker_or_skip;
use omnimind_vision::decode;
use omnimind_vision::keypoints::{KeypointDetector, KeypointError, KeypointSettings, MIN_COSINE, matches};

const COFFEE: &[u8] = include_bytes!("data/coffee.jpg");
const ASTRONAUT: &[u8] = include_bytes!("data/astronaut.jpg");

fn detector() -> Option<KeypointDetector> {
    let broker = broker_or_skip(&["onnxruntime", "xfeat"])?;
    Some(KeypointDetector::load(broker, "xfeat", 1, Priority::MISSION).unwrap())
}

#[test]
fn a_place_is_found_again_where_it_is() {
    let Some(detector) = detector() else { return };
    let settings = KeypointSettings { max: 1500, ..KeypointSettings::default() };
    let image = decode(COFFEE).unwrap();
    let (width, height) = image.dimensions();
    let mut part = crop_imm(&image, 37, 22, width - 90, height - 60).to_image();
    part.pixels_mut().for_each(|p| p.0 = p.0.map(|v| (f32::from(v) * 0.7) as u8));
    let find = |image: &RgbImage| detector.keypoints(image, &settings).unwrap().0;
    let (whole, part, other) = (find(&image), find(&part), find(&decode(ASTRONAUT).unwrap()));
    assert!(whole.points.iter().all(|p| p.x < width as f32 && p.y < height as f32 && p.score > 0.0));
    assert!(whole.points.windows(2).all(|w| w[0].score >= w[1].score) && whole.points.len() <= 1500);
    let found = matches(&whole, &part, MIN_COSINE);
    let right = found.iter().filter(|m| {
        let (p, q) = (whole.points[m.a], part.points[m.b]);
        (p.x - q.x - 37.0).hypot(p.y - q.y - 22.0) < 2.5
    });
    let (right, all, elsewhere) = (right.count(), found.len(), matches(&whole, &other, MIN_COSINE).len());
    // Both are resized to multiples of 32 pixels, each by its own factor, and the table's wood is like itself everywhere.
    assert!(all > 500 && right * 10 > all * 6, "{right} of {all}");
    assert!(elsewhere * 4 < all, "{elsewhere} in another picture, {all} in the same");
    assert_eq!(find(&image), whole, "the same picture, the same keypoints");
}

#[test]
fn pictures_that_are_too_small_are_refused() {
    let Some(detector) = detector() else { return };
    let error = detector.keypoints(&RgbImage::new(1, 1), &KeypointSettings::default()).unwrap_err();
    assert!(matches!(error, KeypointError::Small { .. }), "{error}");
    let flat = detector.keypoints(&RgbImage::new(64, 64), &KeypointSettings::default()).unwrap().0;
    assert!(flat.descriptors.iter().all(|v| v.is_finite()));
}
