//! Straightened pictures against OpenCV's (`rectify.py`).

use std::path::Path;

use pictures::read;
use pictures::rectify::{Lens, RectifyMap};
use serde_json::Value;

#[test]
fn straight_pictures_are_those_of_opencv() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lens");
    let bent = read(&folder.join("bent.png")).unwrap();
    for name in ["plumb_bob", "plumb_bob_turned", "four_numbers", "rational", "rational_turned", "equidistant"] {
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap();
        let numbers = |field: &str| json[field].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<f64>>();
        let lens = Lens {
            width: bent.width(),
            height: bent.height(),
            model: json["model"].as_str().unwrap().to_owned(),
            d: numbers("d"),
            k: numbers("k").try_into().unwrap(),
            r: numbers("r").try_into().unwrap(),
            p: numbers("p").try_into().unwrap(),
        };
        let found = RectifyMap::new(&lens).unwrap().apply(&bent).unwrap();
        let expected = read(&folder.join(format!("{name}.png"))).unwrap();
        assert_ne!(found, bent, "{name}");
        let apart: Vec<u8> = found.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
        let (worst, differ) = (apart.iter().max().unwrap(), apart.iter().filter(|d| **d > 1).count());
        println!("{name}: largest difference {worst}, {differ} of {} channels by more than 1", apart.len());
        assert!(*worst <= 1, "{name}: {worst}, {differ} of {}", apart.len());
    }
}
