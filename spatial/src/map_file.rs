//! Maps on disk in map_server's form: a YAML file beside a PGM picture.

use std::fs;
use std::path::{Path, PathBuf};

use glam::DVec2;
use serde::{Deserialize, Serialize};

use crate::grid::{FREE, Grid, GridError, OCCUPIED, UNKNOWN};

/// Why a map was not loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The YAML file is not a map description.
    #[error("{path}: not a map description: {reason}")]
    Yaml {
        /// File concerned.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The picture is not a PGM this reader knows.
    #[error("{path}: not a readable PGM picture: {reason}")]
    Pgm {
        /// File concerned.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Sizes or numbers that make no grid.
    #[error("{path}: {source}")]
    Grid {
        /// File concerned.
        path: PathBuf,
        /// What is wrong.
        source: GridError,
    },
}

/// The YAML file (nav2_map_server: map_io).
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    image: String,
    resolution: f64,
    origin: [f64; 3],
    #[serde(default)]
    negate: i32,
    #[serde(default = "default_occupied")]
    occupied_thresh: f64,
    #[serde(default = "default_free")]
    free_thresh: f64,
    #[serde(default = "default_mode")]
    mode: String,
}

// Defaults of nav2_map_server, map_io.cpp.
fn default_occupied() -> f64 {
    0.65
}
fn default_free() -> f64 {
    0.25
}
fn default_mode() -> String {
    "trinary".to_owned()
}

/// Loads a map from its YAML file; the picture is looked for beside it. Modes trinary, scale and raw as in
/// nav2_map_server. A map whose origin is turned is refused: grids here are axis-aligned.
pub fn load(yaml: &Path) -> Result<Grid<i8>, MapError> {
    let text = fs::read_to_string(yaml).map_err(|source| MapError::Io { path: yaml.to_owned(), source })?;
    let bad = |reason: String| MapError::Yaml { path: yaml.to_owned(), reason };
    let about: Description = serde_yaml_ng::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if about.origin[2].abs() > 1e-9 {
        return Err(bad(format!("origin is turned by {} rad; only axis-aligned maps are supported", about.origin[2])));
    }
    if !(0.0..=1.0).contains(&about.free_thresh)
        || !(0.0..=1.0).contains(&about.occupied_thresh)
        || about.free_thresh >= about.occupied_thresh
    {
        return Err(bad(format!(
            "free_thresh {} must be below occupied_thresh {}, both in 0..1",
            about.free_thresh, about.occupied_thresh
        )));
    }
    let image_path = yaml.parent().unwrap_or(Path::new("")).join(&about.image);
    let bytes = fs::read(&image_path).map_err(|source| MapError::Io { path: image_path.clone(), source })?;
    let picture = decode_pgm(&bytes).map_err(|reason| MapError::Pgm { path: image_path.clone(), reason })?;
    let occupancy = |value: u8| -> i8 {
        let shade = f64::from(value) / 255.0;
        // Dark is occupied unless negated.
        let probability = if about.negate != 0 { shade } else { 1.0 - shade };
        match about.mode.as_str() {
            "raw" => i8::try_from(value).ok().filter(|raw| (FREE..=OCCUPIED).contains(raw)).unwrap_or(UNKNOWN),
            _ if probability > about.occupied_thresh => OCCUPIED,
            _ if probability < about.free_thresh => FREE,
            "scale" => (99.0 * (probability - about.free_thresh) / (about.occupied_thresh - about.free_thresh)) as i8,
            _ => UNKNOWN,
        }
    };
    if !["trinary", "scale", "raw"].contains(&about.mode.as_str()) {
        return Err(bad(format!("mode '{}' is not trinary, scale or raw", about.mode)));
    }
    // The picture's first row is the top, the grid's first row is the bottom.
    let data = picture.pixels.chunks(picture.width.max(1)).rev().flatten().map(|value| occupancy(*value)).collect();
    Grid::new(picture.width, picture.height, about.resolution, DVec2::new(about.origin[0], about.origin[1]), data)
        .map_err(|source| MapError::Grid { path: yaml.to_owned(), source })
}

/// Writes a map as `<stem>.yaml` and `<stem>.pgm`, trinary: occupied 0 (from 65), free 254 (up to 25), unknown 205;
/// the free threshold in the file is 0.196, as in the files that map_saver writes.
pub fn save(grid: &Grid<i8>, yaml: &Path) -> Result<(), MapError> {
    let image_path = yaml.with_extension("pgm");
    let image = image_path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let about = Description {
        image,
        resolution: grid.resolution(),
        origin: [grid.origin().x, grid.origin().y, 0.0],
        negate: 0,
        occupied_thresh: default_occupied(),
        // 205 is a probability of 0.196078: at map_server's default threshold of 0.25 unknown would be read back as free.
        free_thresh: 0.196,
        mode: default_mode(),
    };
    let text =
        serde_yaml_ng::to_string(&about).map_err(|error| MapError::Yaml { path: yaml.to_owned(), reason: error.to_string() })?;
    let mut bytes = format!("P5\n{} {}\n255\n", grid.width(), grid.height()).into_bytes();
    for row in grid.data().chunks(grid.width()).rev() {
        bytes.extend(row.iter().map(|value| match *value {
            0..=25 => 254,
            65..=i8::MAX => 0,
            _ => 205,
        }));
    }
    fs::write(&image_path, bytes).map_err(|source| MapError::Io { path: image_path, source })?;
    fs::write(yaml, text).map_err(|source| MapError::Io { path: yaml.to_owned(), source })
}

struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Decodes a grey map, binary (P5) or plain (P2), up to 8 bits per pixel (netpbm, pgm(5)).
fn decode_pgm(bytes: &[u8]) -> Result<Picture, String> {
    let mut at = 2;
    let plain = match bytes.get(..2) {
        Some(b"P5") => false,
        Some(b"P2") => true,
        _ => return Err("it starts with neither P5 nor P2".to_owned()),
    };
    let width = number(bytes, &mut at).ok_or("no width")?;
    let height = number(bytes, &mut at).ok_or("no height")?;
    let white = number(bytes, &mut at).ok_or("no maximum value")?;
    if white == 0 || white > 255 {
        return Err(format!("maximum value {white} is not in 1..255"));
    }
    let count = width
        .checked_mul(height)
        .filter(|count| *count > 0 && *count <= 1 << 28)
        .ok_or_else(|| format!("{width} x {height} pixels"))?;
    let scale = |value: usize| (value.min(white) * 255 / white) as u8;
    let pixels: Vec<u8> = if plain {
        (0..count).map_while(|_| number(bytes, &mut at).map(scale)).collect()
    } else {
        at += 1; // exactly one white-space byte ends the header
        bytes.get(at..).unwrap_or_default().iter().take(count).map(|value| scale(usize::from(*value))).collect()
    };
    if pixels.len() < count {
        return Err(format!("{} of {count} pixels: the file is cut short", pixels.len()));
    }
    Ok(Picture { width, height, pixels })
}

/// The next decimal number after white space and comments.
fn number(bytes: &[u8], at: &mut usize) -> Option<usize> {
    loop {
        match bytes.get(*at)? {
            b'#' => {
                while *bytes.get(*at)? != b'\n' {
                    *at += 1
                }
            }
            byte if byte.is_ascii_whitespace() => *at += 1,
            _ => break,
        }
    }
    let start = *at;
    while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    std::str::from_utf8(&bytes[start..*at]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cell;

    #[test]
    fn a_map_survives_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut grid = Grid::filled(7, 5, 0.05, DVec2::new(-1.0, 2.0), FREE).unwrap();
        grid.set(Cell::new(6, 0), OCCUPIED);
        grid.set(Cell::new(0, 4), UNKNOWN);
        let path = dir.path().join("map.yaml");
        save(&grid, &path).unwrap();
        assert_eq!(load(&path).unwrap(), grid);
    }

    #[test]
    fn plain_pictures_with_comments_and_scale_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("m.pgm"), "P2 # comment\n2 1\n# another\n100\n0 50\n").unwrap();
        fs::write(dir.path().join("m.yaml"), "image: m.pgm\nresolution: 0.1\norigin: [0, 0, 0]\nmode: scale\n").unwrap();
        let grid = load(&dir.path().join("m.yaml")).unwrap();
        assert_eq!(grid.get(Cell::new(0, 0)), Some(OCCUPIED));
        assert!((60..=64).contains(&grid.get(Cell::new(1, 0)).unwrap()));
    }

    #[test]
    fn every_kind_of_broken_map_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let write = |yaml: &str, pgm: &[u8]| {
            fs::write(dir.path().join("m.yaml"), yaml).unwrap();
            fs::write(dir.path().join("m.pgm"), pgm).unwrap();
            load(&dir.path().join("m.yaml")).unwrap_err().to_string()
        };
        let good = "image: m.pgm\nresolution: 0.1\norigin: [0, 0, 0]\n";
        assert!(write("image: [", b"").contains("not a map description"));
        assert!(write("resolution: 0.1\norigin: [0,0,0]", b"").contains("image"));
        assert!(write(good, b"P6\n1 1\n255\nxxx").contains("P5"));
        assert!(write(good, b"P5\n4 4\n255\nxx").contains("cut short"));
        assert!(write(good, b"P5\n99999999 99999999\n255\n").contains("pixels"));
        assert!(write(good, b"P5\n4 4\n65535\n").contains("maximum value"));
        assert!(write(good, b"P5\n").contains("no width"));
        assert!(write("image: m.pgm\nresolution: 0\norigin: [0, 0, 0]\n", b"P5\n1 1\n255\nx").contains("not usable"));
        assert!(write("image: m.pgm\nresolution: 0.1\norigin: [0, 0, 1]\n", b"").contains("axis-aligned"));
        assert!(write("image: m.pgm\nresolution: 0.1\norigin: [0, 0, 0]\nmode: odd\n", b"P5\n1 1\n255\nx").contains("odd"));
        assert!(matches!(load(&dir.path().join("none.yaml")), Err(MapError::Io { .. })));
        fs::write(dir.path().join("n.yaml"), "image: none.pgm\nresolution: 0.1\norigin: [0,0,0]\n").unwrap();
        assert!(matches!(load(&dir.path().join("n.yaml")), Err(MapError::Io { .. })));
    }
}
