//! Pictures of every kind, against what Pillow sees in them (`fixtures.py`).

use std::path::{Path, PathBuf};

use pictures::{DecodeError, decode, read};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn every_kind_has_the_pixels_that_pillow_sees() {
    // Largest difference of a channel that is accepted: lossy formats may be computed with other rounding and upsampling.
    let kinds = [
        ("baseline.jpg", 3),
        ("chroma_420.jpg", 12),
        ("progressive.jpg", 3),
        ("grey.jpg", 2),
        ("cmyk.jpg", 4),
        ("turned.jpg", 3),
        ("colour.png", 0),
        ("alpha.png", 0),
        ("grey.png", 0),
        ("grey_alpha.png", 0),
        ("bits.png", 0),
        ("palette.png", 0),
        ("sixteen.png", 0),
        ("sixteen_grey.png", 0),
        ("lossy.webp", 12),
        ("alpha.webp", 0),
        ("animated.webp", 0),
        ("animated.png", 0),
        ("really_a_png.jpg", 0),
    ];
    for (name, tolerance) in kinds {
        let (own, pillow) = (read(&data(name)).unwrap(), read(&data(&format!("seen_{name}.png"))).unwrap());
        assert_eq!(own.dimensions(), pillow.dimensions(), "{name}");
        let worst = own.as_raw().iter().zip(pillow.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= tolerance, "{name}: {worst} levels apart");
    }
}

#[test]
fn half_of_each_is_an_error() {
    let mut seen = 0;
    for entry in std::fs::read_dir(data("")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(decode(&bytes[..bytes.len() / 2]).is_err(), "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 38);
}

#[test]
fn a_text_with_a_pictures_name_is_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    std::fs::write(&path, "this is a letter").unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, pictures::ReadError::Decode(DecodeError::NotAPicture)), "{error}");
}
