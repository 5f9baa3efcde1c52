//! Frames of a video file, decoded by an ffmpeg process at the file's own pace.

use graph::Loan;
use msgs::Bytes;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// What the driver hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoEvent {
    /// A frame: `width * height * 3` bytes, red, green, blue.
    Frame(Bytes),
    /// The video is over; what ffmpeg complained about, if it did.
    End(Option<String>),
}

/// Why a video cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// There is no such file.
    #[error("there is no video file {}", .0.display())]
    Missing(PathBuf),
    /// ffmpeg cannot be run.
    #[error("cannot run `{}` ({source}); install ffmpeg (Debian: ffmpeg) or set the parameter `ffmpeg`", program.display())]
    NoFfmpeg {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running ffmpeg; ended when dropped.
#[derive(Debug)]
pub struct Video {
    child: Child,
}

impl Video {
    /// Starts `ffmpeg` on a file, scaled to `width` x `height`, at `rate_hz` frames per second of the video's own time.
    /// Each frame is read into what `room` gives for that many bytes; `deliver` is called until it returns false. Both run on the driver's
    /// thread.
    ///
    /// # Errors
    /// [`VideoError`].
    pub fn start(
        ffmpeg: &Path,
        file: &Path,
        (width, height): (u32, u32),
        rate_hz: f64,
        mut room: impl FnMut(usize) -> Loan + Send + 'static,
        mut deliver: impl FnMut(VideoEvent) -> bool + Send + 'static,
    ) -> Result<Self, VideoError> {
        if !file.is_file() {
            return Err(VideoError::Missing(file.to_owned()));
        }
        let mut command = Command::new(ffmpeg);
        command.args(["-nostdin", "-v", "error", "-re", "-i"]).arg(file);
        command.args([
            "-an",
            "-r",
            &rate_hz.to_string(),
            "-vf",
            &format!("scale={width}:{height}"),
            "-pix_fmt",
            "rgb24",
            "-f",
            "rawvideo",
            "-",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| VideoError::NoFfmpeg { program: ffmpeg.to_owned(), source })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let bytes = width as usize * height as usize * 3;
        thread::spawn(move || {
            let Some(mut frames) = stdout else { return };
            loop {
                let mut frame = room(bytes);
                if frames.read_exact(frame.as_mut_slice()).is_err() {
                    break;
                }
                if !deliver(VideoEvent::Frame(frame.freeze())) {
                    return;
                }
            }
            // ffmpeg at `-v error` writes little, so the pipe does not fill before the end.
            let mut said = String::new();
            let _ = stderr.map(|e| e.take(4096).read_to_string(&mut said));
            let complaint = said.lines().next_back().map(str::to_owned);
            deliver(VideoEvent::End(complaint));
        });
        Ok(Self { child })
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        // It may have ended by itself; both calls are then without effect.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn frames_arrive_whole_and_the_end_is_told() {
        // Stands for ffmpeg: two frames of 2 x 1 pixels and half a third.
        let ffmpeg = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fake_ffmpeg.sh");
        let (sender, receiver) = mpsc::channel();
        let _video = Video::start(&ffmpeg, &ffmpeg, (2, 1), 10.0, Loan::own, move |e| sender.send(e).is_ok()).unwrap();
        let events: Vec<VideoEvent> = receiver.iter().collect();
        assert_eq!(
            events,
            [
                VideoEvent::Frame(Bytes::from_static(b"abcdef")),
                VideoEvent::Frame(Bytes::from_static(b"ghijkl")),
                VideoEvent::End(Some("truncated".to_owned()))
            ]
        );
    }

    #[test]
    fn a_missing_file_and_a_missing_program_are_told() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(
            Video::start(Path::new("ffmpeg"), Path::new("/none.mp4"), (2, 1), 10.0, Loan::own, |_| true),
            Err(VideoError::Missing(_))
        ));
        let error = Video::start(Path::new("/none/ffmpeg"), &file, (2, 1), 10.0, Loan::own, |_| true).unwrap_err();
        assert!(error.to_string().contains("install ffmpeg"), "{error}");
    }
}
