//! A video file, played by the clock of whoever asks: the same clock gives the same frames.

use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use video::{Frame, Options, Video, VideoError};

/// What there is to show at a moment.
#[derive(Debug)]
pub enum Shown {
    /// A new frame, and its time since the clip began, s.
    Frame(RgbImage, f64),
    /// Still the one before.
    Same,
    /// A frame that cannot be shown; the clip goes on.
    Damaged(String),
    /// The clip is over. What ended it, if it was not its end.
    Over(Option<String>),
}

/// A clip that is being played.
#[derive(Debug)]
pub struct Clip {
    video: Video,
    /// Read, but its time has not come.
    ahead: Option<Result<Frame, VideoError>>,
}

impl Clip {
    /// Opens a file; `ffmpeg` is the program for what is not decoded here, empty for none.
    ///
    /// # Errors
    /// [`VideoError`].
    pub fn open(file: &Path, ffmpeg: &Path) -> Result<Self, VideoError> {
        let ffmpeg = (!ffmpeg.as_os_str().is_empty()).then(|| ffmpeg.to_owned());
        let video = Video::open(file, &Options { ffmpeg, ..Options::default() })?;
        Ok(Self { video, ahead: None })
    }

    /// What it is and who decodes it.
    #[must_use]
    pub fn told(&self) -> String {
        self.video.info().to_string()
    }

    /// The last frame whose time has come `time_s` after the clip began. Those before it are passed over. A frame that cannot be shown, and what
    /// ends the clip, are told after the frame before them was shown.
    pub fn at(&mut self, time_s: f64) -> Shown {
        let mut newest = None;
        loop {
            match self.ahead.take().or_else(|| self.video.next()) {
                Some(Ok(frame)) if frame.time_s <= time_s => newest = Some(frame),
                None => return newest.map_or(Shown::Over(None), shown),
                Some(Err(error)) if newest.is_none() && !is_later(&error, time_s) => {
                    return if error.is_one_frame() {
                        Shown::Damaged(error.to_string())
                    } else {
                        Shown::Over(Some(error.to_string()))
                    };
                }
                later => {
                    self.ahead = later;
                    return newest.map_or(Shown::Same, shown);
                }
            }
        }
    }
}

/// Whether this is a frame whose time has not come.
fn is_later(error: &VideoError, now_s: f64) -> bool {
    matches!(error, VideoError::Frame { time_s, .. } if *time_s > now_s)
}

fn shown(frame: Frame) -> Shown {
    Shown::Frame(frame.picture, frame.time_s)
}

/// The picture at a size; a side of 0 follows the other, or stays.
#[must_use]
pub fn scaled(picture: RgbImage, (width, height): (u32, u32)) -> RgbImage {
    let (w, h) = picture.dimensions();
    let follow = |side: u32, of: u32, other: u32| {
        u32::try_from((u64::from(side) * u64::from(other) + u64::from(of) / 2) / u64::from(of.max(1)))
            .unwrap_or(u32::MAX)
            .clamp(1, 16_384)
    };
    let (width, height) = match (width, height) {
        (0, 0) => (w, h),
        (width, 0) => (width, follow(width, w, h)),
        (0, height) => (follow(height, h, w), height),
        both => both,
    };
    if (width, height) == (w, h) { picture } else { resize(&picture, width, height, FilterType::Triangle) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use video::AviWriter;

    /// Five grey frames, ten a second, each brighter than the one before.
    fn clip(folder: &Path) -> Clip {
        let path = folder.join("a.avi");
        let mut writer = AviWriter::create(&path, (16, 8), 10.0, 95).unwrap();
        for n in 0..5_u8 {
            writer.push(&RgbImage::from_pixel(16, 8, image::Rgb([n * 50; 3]))).unwrap();
        }
        writer.finish().unwrap();
        Clip::open(&path, Path::new("")).unwrap()
    }

    #[test]
    fn frames_before_a_damaged_one_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        clip(folder.path());
        let path = folder.path().join("a.avi");
        let mut bytes = std::fs::read(&path).unwrap();
        let movi = bytes.windows(4).position(|w| w == b"movi").unwrap();
        let frames: Vec<usize> = (movi..bytes.len() - 4).filter(|at| &bytes[*at..at + 4] == b"00dc").take(5).collect();
        bytes[frames[2] + 8..frames[3]].fill(0x55);
        std::fs::write(&path, &bytes).unwrap();
        let mut clip = Clip::open(&path, Path::new("")).unwrap();
        // At 0.25 s the third frame's time has come, and it is damaged: the second is shown before that is told.
        assert_eq!(level(&clip.at(0.25)), Some(1));
        assert!(matches!(clip.at(0.25), Shown::Damaged(_)));
        assert!(matches!(clip.at(0.25), Shown::Same));
        assert_eq!(level(&clip.at(9.0)), Some(4));
        assert!(matches!(clip.at(9.0), Shown::Over(None)));
        // A file that was cut off: what came before is shown, then the reason.
        bytes.truncate(frames[4] + 20);
        std::fs::write(&path, &bytes).unwrap();
        let mut clip = Clip::open(&path, Path::new("")).unwrap();
        assert_eq!(level(&clip.at(0.15)), Some(1));
        assert!(matches!(clip.at(9.0), Shown::Damaged(_)));
        assert_eq!(level(&clip.at(9.0)), Some(3));
        assert!(matches!(clip.at(9.0), Shown::Over(Some(_))));
    }

    fn level(shown: &Shown) -> Option<u8> {
        match shown {
            Shown::Frame(picture, _) => Some((picture.get_pixel(5, 5).0[0] + 5) / 50),
            _ => None,
        }
    }

    #[test]
    fn the_clock_decides_which_frame_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut clip = clip(folder.path());
        assert_eq!(level(&clip.at(0.0)), Some(0));
        assert!(matches!(clip.at(0.05), Shown::Same));
        // Two frames' time has come: the last is shown.
        let third = clip.at(0.25);
        assert_eq!(level(&third), Some(2));
        assert!(matches!(third, Shown::Frame(_, t) if (t - 0.2).abs() < 1e-6));
        assert_eq!(level(&clip.at(9.0)), Some(4));
        assert!(matches!(clip.at(9.1), Shown::Over(None)));
    }

    #[test]
    fn a_missing_file_and_a_file_that_is_no_video_are_told() {
        let missing = Clip::open(Path::new("/none.mp4"), Path::new("")).unwrap_err().to_string();
        assert!(missing.contains("/none.mp4"), "{missing}");
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Clip::open(&here, Path::new("/none/ffmpeg")).unwrap_err().to_string();
        assert!(error.contains("/none/ffmpeg") && error.contains("install it"), "{error}");
    }

    #[test]
    fn a_side_that_is_not_given_follows_the_other() {
        let sizes = [((0, 0), (16, 8)), ((8, 0), (8, 4)), ((0, 4), (8, 4)), ((3, 7), (3, 7))];
        for (asked, found) in sizes {
            assert_eq!(scaled(RgbImage::new(16, 8), asked).dimensions(), found);
        }
    }
}
