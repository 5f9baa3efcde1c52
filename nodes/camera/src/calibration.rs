//! A camera's calibration from a file, as ROS's camera_calibration writes it (camera_calibration_parsers' YAML).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use msgs::sensor_msgs::msg::CameraInfo;
use serde::Deserialize;

use crate::check::check_info;

/// Bytes of a calibration's file at most.
const MAX_BYTES: u64 = 1 << 20;

/// Why a file is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// It cannot be read.
    #[error("the calibration {path} cannot be read: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// It is of another form.
    #[error("{path} is no calibration: {reason}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Matrix {
    data: Vec<f64>,
}

/// The names are camera_calibration's; what else is in the file is left aside.
#[derive(Deserialize)]
struct Written {
    image_width: u32,
    image_height: u32,
    camera_matrix: Matrix,
    #[serde(default)]
    distortion_model: String,
    distortion_coefficients: Option<Matrix>,
    rectification_matrix: Option<Matrix>,
    projection_matrix: Option<Matrix>,
}

/// Reads a calibration; the message has no header.
///
/// # Errors
/// [`CalibrationError`].
pub fn read(path: &Path) -> Result<CameraInfo, CalibrationError> {
    let name = path.display().to_string();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_err(|e| CalibrationError::Read { path: name.clone(), reason: e.to_string() })?;
    parse(&text).map_err(|reason| CalibrationError::Content { path: name, reason })
}

fn parse(text: &str) -> Result<CameraInfo, String> {
    fn numbers<const N: usize>(name: &str, matrix: Matrix) -> Result<[f64; N], String> {
        let found = matrix.data.len();
        matrix.data.try_into().map_err(|_| format!("`{name}` has {found} numbers, {N} are needed"))
    }
    let written: Written = serde_yaml_ng::from_str(text).map_err(|e| e.to_string())?;
    let k: [f64; 9] = numbers("camera_matrix", written.camera_matrix)?;
    let straight = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let own = [k[0], k[1], k[2], 0.0, k[3], k[4], k[5], 0.0, k[6], k[7], k[8], 0.0];
    let info = CameraInfo {
        width: written.image_width,
        height: written.image_height,
        distortion_model: if written.distortion_model.is_empty() { "plumb_bob".to_owned() } else { written.distortion_model },
        d: written.distortion_coefficients.map(|m| m.data).unwrap_or_default(),
        k,
        r: written.rectification_matrix.map_or(Ok(straight), |m| numbers("rectification_matrix", m))?,
        p: written.projection_matrix.map_or(Ok(own), |m| numbers("projection_matrix", m))?,
        ..CameraInfo::default()
    };
    check_info(&info).map_err(|fault| fault.to_string())?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [430.15, 0., 306.69, 0., 430.53, 227.22, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.33, 0.11, -0.0001, 0.0017, 0.]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [355.63, 0., 302.27, 0., 0., 390.79, 222.52, 0., 0., 0., 1., 0.]
";

    #[test]
    fn a_file_of_camera_calibration_is_read() {
        let info = parse(FILE).unwrap();
        assert_eq!((info.width, info.height, info.d.len(), info.k[4], info.p[0]), (640, 480, 5, 430.53, 355.63));
        let short = FILE.split("rectification_matrix").next().unwrap();
        let info = parse(short).unwrap();
        assert_eq!((info.r[8], info.p[5], info.p[6]), (1.0, 430.53, 227.22));
    }

    #[test]
    fn what_is_no_calibration_is_refused_in_words() {
        assert!(read(Path::new("/none.yaml")).unwrap_err().to_string().contains("/none.yaml"));
        for (from, to, words) in [
            ("image_width: 640", "", "image_width"),
            ("image_width: 640", "image_width: 0", "0"),
            ("430.15, 0.", "430.15", "`camera_matrix` has 8 numbers"),
            ("430.15", ".nan", "not finite"),
            ("430.15", "-1.0", "focal length"),
            ("[1., 0., 0., 0., 1., 0., 0., 0., 1.]", "[1.]", "`rectification_matrix` has 1"),
        ] {
            let error = parse(&FILE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(parse("").is_err() && parse("[1, 2]").is_err());
    }
}
