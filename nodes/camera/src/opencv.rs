//! OpenCV's cameras, video decoders and lens maps (feature `opencv`): for hardware and files that OmniMind does not read itself, and as the measure of its own
//! [`pictures::rectify`]. Tried with Debian's OpenCV 4.6.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use image::RgbImage;
use opencv::core::{BORDER_CONSTANT, CV_32FC1, Mat, Scalar, Size};
use opencv::prelude::*;
use opencv::videoio::{self, VideoCapture};
use opencv::{calib3d, imgproc};
use pictures::MAX_SIDE;
use pictures::rectify::{Distortion, Lens, LensError};
use video::Frame;

/// Why OpenCV gives no pictures.
#[derive(Debug, thiserror::Error)]
pub enum OpenCvError {
    /// OpenCV's own words.
    #[error("OpenCV: {0}")]
    OpenCv(#[from] opencv::Error),
    /// The camera or file cannot be opened.
    #[error("OpenCV cannot open {0}")]
    Open(String),
    /// A frame of a size or kind that is not accepted.
    #[error("OpenCV's frame is not usable: {0}")]
    Frame(String),
    /// The lens.
    #[error(transparent)]
    Lens(#[from] LensError),
}

/// A running capture; ended when dropped, after the frame that is under way.
#[derive(Debug)]
pub struct Capturing {
    stop: Arc<AtomicBool>,
}

impl Drop for Capturing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Opens a camera near the size and hands each frame (width, height, red green blue bytes), or the reason for the end, to `deliver`, until it returns
/// false. `path` is a number, a device (`/dev/video0`), a stream's address, or empty for the first camera.
///
/// # Errors
/// [`OpenCvError`].
pub fn start(
    path: &Path,
    (width, height): (u32, u32),
    mut deliver: impl FnMut(Result<(u32, u32, Vec<u8>), String>) -> bool + Send + 'static,
) -> Result<Capturing, OpenCvError> {
    let name = path.to_string_lossy();
    let mut camera = match name.trim() {
        "" => VideoCapture::new(0, videoio::CAP_ANY)?,
        text => match text.parse() {
            Ok(index) => VideoCapture::new(index, videoio::CAP_ANY)?,
            Err(_) => VideoCapture::from_file(text, videoio::CAP_ANY)?,
        },
    };
    if !camera.is_opened()? {
        return Err(OpenCvError::Open(if name.is_empty() { "camera 0".to_owned() } else { name.into_owned() }));
    }
    // Drivers may refuse; frames say their size.
    camera.set(videoio::CAP_PROP_FRAME_WIDTH, f64::from(width))?;
    camera.set(videoio::CAP_PROP_FRAME_HEIGHT, f64::from(height))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    thread::spawn(move || {
        let mut mat = Mat::default();
        while !stopped.load(Ordering::Relaxed) {
            let frame = match camera.read(&mut mat) {
                Ok(true) => rgb(&mat).map(|p| (p.width(), p.height(), p.into_raw())).map_err(|e| e.to_string()),
                Ok(false) => Err("it gives no more frames".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            let over = frame.is_err();
            if !deliver(frame) || over {
                return;
            }
        }
    });
    Ok(Capturing { stop })
}

/// Frames of a video file, decoded by OpenCV. Its times are OpenCV's; where it tells none (4.6 does not for the last frames of a stream with B-frames),
/// they go on at the file's frame rate.
pub struct OpenCvVideo {
    capture: VideoCapture,
    number: u64,
    last_s: f64,
    apart_s: f64,
}

impl OpenCvVideo {
    /// Opens a file.
    ///
    /// # Errors
    /// [`OpenCvError`].
    pub fn open(file: &Path) -> Result<Self, OpenCvError> {
        let capture = VideoCapture::from_file(file, videoio::CAP_ANY)?;
        if !capture.is_opened()? {
            return Err(OpenCvError::Open(file.display().to_string()));
        }
        let rate = capture.get(videoio::CAP_PROP_FPS)?;
        let apart_s = if rate > 0.0 && rate.is_finite() { 1.0 / rate } else { 0.0 };
        Ok(Self { capture, number: 0, last_s: 0.0, apart_s })
    }

    fn read(&mut self) -> Result<Option<Frame>, OpenCvError> {
        let mut mat = Mat::default();
        if !self.capture.read(&mut mat)? {
            return Ok(None);
        }
        let told_s = self.capture.get(videoio::CAP_PROP_POS_MSEC)? / 1000.0;
        let time_s = if self.number > 0 && !(told_s > self.last_s) { self.last_s + self.apart_s } else { told_s };
        self.last_s = time_s;
        let number = self.number;
        self.number += 1;
        Ok(Some(Frame { number, time_s, picture: rgb(&mat)? }))
    }
}

impl Iterator for OpenCvVideo {
    type Item = Result<Frame, OpenCvError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Red, green, blue of OpenCV's blue, green, red.
fn rgb(bgr: &Mat) -> Result<RgbImage, OpenCvError> {
    let mut out = Mat::default();
    match bgr.channels() {
        1 => imgproc::cvt_color_def(bgr, &mut out, imgproc::COLOR_GRAY2RGB)?,
        3 => imgproc::cvt_color_def(bgr, &mut out, imgproc::COLOR_BGR2RGB)?,
        n => return Err(OpenCvError::Frame(format!("{n} channels"))),
    }
    let side = |v: i32| u32::try_from(v).ok().filter(|v| (1..=MAX_SIDE).contains(v));
    let size = side(out.cols()).zip(side(out.rows()));
    let (width, height) = size.ok_or_else(|| OpenCvError::Frame(format!("{} x {} pixels", out.cols(), out.rows())))?;
    RgbImage::from_raw(width, height, out.data_bytes()?.to_vec())
        .ok_or_else(|| OpenCvError::Frame("not 8 bits a channel".to_owned()))
}

/// The straight picture by OpenCV: `initUndistortRectifyMap` and `remap`, as [`pictures::rectify::RectifyMap`] does without it.
///
/// # Errors
/// [`OpenCvError`].
pub fn rectify(lens: &Lens, picture: &RgbImage) -> Result<RgbImage, OpenCvError> {
    let (width, height) = (lens.width, lens.height);
    if picture.dimensions() != (width, height) {
        return Err(LensError::Picture { expected: (width, height), found: picture.dimensions() }.into());
    }
    let model = Distortion::named(&lens.model).ok_or_else(|| LensError::Model(lens.model.clone()))?;
    let p = &lens.p;
    let straight = [p[0], p[1], p[2], p[4], p[5], p[6], p[8], p[9], p[10]];
    let straight = if straight.iter().all(|v| *v == 0.0) { lens.k } else { straight };
    let turn = if lens.r.iter().all(|v| *v == 0.0) { [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0] } else { lens.r };
    let numbers = if lens.d.is_empty() { vec![0.0; 5] } else { lens.d.clone() };
    let (k, r, p, d) =
        (Mat::from_slice(&lens.k)?, Mat::from_slice(&turn)?, Mat::from_slice(&straight)?, Mat::from_slice(&numbers)?);
    let (k, r, p) = (k.reshape(1, 3)?, r.reshape(1, 3)?, p.reshape(1, 3)?);
    let size = Size::new(width.cast_signed(), height.cast_signed());
    let (mut columns, mut rows) = (Mat::default(), Mat::default());
    if model == Distortion::Equidistant {
        calib3d::fisheye_init_undistort_rectify_map(&k, &d, &r, &p, size, CV_32FC1, &mut columns, &mut rows)?;
    } else {
        calib3d::init_undistort_rectify_map(&k, &d, &r, &p, size, CV_32FC1, &mut columns, &mut rows)?;
    }
    let bent = Mat::from_slice(picture.as_raw().as_slice())?;
    let bent = bent.reshape(3, height.cast_signed())?;
    let mut out = Mat::default();
    imgproc::remap(&bent, &mut out, &columns, &rows, imgproc::INTER_LINEAR, BORDER_CONSTANT, Scalar::default())?;
    RgbImage::from_raw(width, height, out.data_bytes()?.to_vec()).ok_or_else(|| OpenCvError::Frame("another size".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pictures::rectify::RectifyMap;
    use video::{Options, Video};

    fn repository() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    #[test]
    fn lenses_are_straightened_as_without_opencv() {
        let picture = pictures::read(&repository().join("pictures/tests/lens/bent.png")).unwrap();
        let k = [130.0, 0.0, 81.5, 0.0, 132.0, 57.25, 0.0, 0.0, 1.0];
        let (sin, cos) = 0.08_f64.sin_cos();
        let turn = [cos, 0.0, sin, 0.0, 1.0, 0.0, -sin, 0.0, cos];
        let straight = [120.0, 0.0, 79.5, -12.0, 0.0, 120.0, 59.5, 0.0, 0.0, 0.0, 1.0, 0.0];
        for (model, d) in [
            ("plumb_bob", vec![]),
            ("plumb_bob", vec![-0.31, 0.12, 0.0012, -0.0008, 0.03]),
            ("rational_polynomial", vec![0.4, -0.2, 0.0011, 0.0007, 0.02, 0.75, -0.25, 0.06]),
            ("equidistant", vec![0.02, -0.01, 0.004, -0.001]),
        ] {
            for (r, p) in [([0.0; 9], [0.0; 12]), (turn, straight)] {
                let lens = Lens { width: 160, height: 120, model: model.into(), d: d.clone(), k, r, p };
                let own = RectifyMap::new(&lens).unwrap().apply(&picture).unwrap();
                let other = rectify(&lens, &picture).unwrap();
                let apart: Vec<u8> = own.as_raw().iter().zip(other.as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
                let (worst, differ) = (apart.iter().max().unwrap(), apart.iter().filter(|d| **d > 1).count());
                // OpenCV 4 rounds places to a 32nd of a pixel: 255 / 64 in each direction.
                assert!(*worst <= 8, "{model}: {worst}, {differ} of {}", apart.len());
            }
        }
        let lens = Lens { width: 9, height: 9, model: "x".into(), d: vec![], k, r: [0.0; 9], p: [0.0; 12] };
        assert!(rectify(&lens, &picture).is_err() && rectify(&lens, &RgbImage::new(9, 9)).is_err());
    }

    #[test]
    fn videos_have_the_same_frames_and_times() {
        for name in ["mjpeg.avi", "main_b_frames.mp4", "baseline.mp4", "uneven.mp4"] {
            let file = repository().join("video/tests/data").join(name);
            let own: Vec<Frame> = Video::open(&file, &Options::default()).unwrap().map(Result::unwrap).collect();
            let other: Vec<Frame> = OpenCvVideo::open(&file).unwrap().map(Result::unwrap).collect();
            assert_eq!(own.len(), other.len(), "{name}");
            for (a, b) in own.iter().zip(&other) {
                // OpenCV 4.6 rounds the time to the frame rate's grid, so uneven times are only near.
                let near = if name == "uneven.mp4" { 0.11 } else { 0.002 };
                assert!((a.time_s - b.time_s).abs() < near, "{name} {}: {} {}", a.number, a.time_s, b.time_s);
                let squares: f64 =
                    a.picture.as_raw().iter().zip(b.picture.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
                let likeness = 10.0 * (255.0 * 255.0 * a.picture.as_raw().len() as f64 / squares.max(1e-9)).log10();
                assert!(likeness > 35.0, "{name} {}: {likeness:.1} dB", a.number);
            }
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let told = start(Path::new("/dev/video_none"), (640, 480), |_| true).unwrap_err().to_string();
        assert!(told.contains("/dev/video_none"), "{told}");
        assert!(OpenCvVideo::open(Path::new("/none.mp4")).is_err());
        // A camera may also be a file or a stream: its frames come, and then its end.
        let (sender, receiver) = std::sync::mpsc::channel();
        let clip = repository().join("video/tests/data/mjpeg.avi");
        let _capturing = start(&clip, (96, 64), move |frame| sender.send(frame).is_ok()).unwrap();
        let frames: Vec<_> = receiver.iter().collect();
        assert_eq!(frames.len(), 13);
        assert!(frames[..12].iter().all(|f| f.as_ref().is_ok_and(|(w, h, p)| (*w, *h, p.len()) == (96, 64, 96 * 64 * 3))));
        assert!(frames[12].as_ref().is_err_and(|e| e.contains("no more frames")));
    }
}
