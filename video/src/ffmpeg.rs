//! What is not decoded here, by an ffmpeg process: pictures (PPM) on its standard output, their times (`showinfo`) on its standard error.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use image::RgbImage;

use crate::error::VideoError;
use crate::source::{Frame, Info, Limits, Options};

/// So long ffmpeg may take for a frame.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a process writes, read by a thread of its own, so that waiting for it has an end.
struct Piped {
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    taken: usize,
    patience: Duration,
}

impl Piped {
    fn new(mut stdout: ChildStdout, patience: Duration) -> Self {
        // A few pieces ahead: the process waits meanwhile.
        let (sender, pieces) = sync_channel(4);
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            loop {
                let piece = match stdout.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => Ok(buffer[..n].to_vec()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = piece.is_err();
                if sender.send(piece).is_err() || failed {
                    break;
                }
            }
        });
        Self { pieces, piece: Vec::new(), taken: 0, patience }
    }
}

impl Read for Piped {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.taken == self.piece.len() {
            self.piece = match self.pieces.recv_timeout(self.patience) {
                Ok(piece) => piece?,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {
                    let words = format!("ffmpeg has given nothing for {} s", self.patience.as_secs_f64());
                    return Err(std::io::Error::new(ErrorKind::TimedOut, words));
                }
            };
            self.taken = 0;
        }
        let n = to.len().min(self.piece.len() - self.taken);
        to[..n].copy_from_slice(&self.piece[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}

/// What ffmpeg says.
enum Line {
    /// Number among the frames it gives, time in seconds.
    Time(f64),
    Complaint(String),
}

/// Frames from a process; it ends when this is dropped.
pub(crate) struct FfmpegFrames {
    child: Child,
    frames: BufReader<Piped>,
    patience: Duration,
    said: Receiver<Line>,
    every: u64,
    limits: Limits,
    given: u64,
    complaint: Option<String>,
}

impl Drop for FfmpegFrames {
    fn drop(&mut self) {
        // It may have ended by itself; both calls are then without effect.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl FfmpegFrames {
    /// `what` is what the file was found to be.
    pub fn open(file: &Path, what: &str, options: &Options) -> Result<(Self, Info), VideoError> {
        Self::open_within(file, what, options, PATIENCE)
    }

    /// `patience` is how long ffmpeg may say nothing.
    fn open_within(file: &Path, what: &str, options: &Options, patience: Duration) -> Result<(Self, Info), VideoError> {
        let refuse = |why: String| VideoError::Unsupported { what: what.to_owned(), why };
        let program = options.ffmpeg.as_deref().filter(|p| !p.as_os_str().is_empty());
        let program = program.ok_or_else(|| refuse("is switched off".to_owned()))?;
        let version = version(program)
            .map_err(|e| refuse(format!("cannot be run as `{}` ({e}); install it (Debian: ffmpeg)", program.display())))?;
        // An option cannot be smuggled in by a file's name, nor another file by its content.
        let mut name = std::ffi::OsString::from("file:");
        name.push(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let every = options.every;
        let chosen = if every > 1 { format!("select=not(mod(n\\,{every})),") } else { String::new() };
        let mut command = Command::new(program);
        command
            .args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "info", "-protocol_whitelist", "file"])
            // Before the file: it is the decoder's. A larger frame is refused before there is room for it.
            .args(["-max_pixels", &options.limits.pixels.to_string(), "-i"])
            .arg(name);
        command.args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf", &format!("{chosen}showinfo=checksum=0")]);
        command.args(["-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-"]);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|e| refuse(format!("does not start: {e}")))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(VideoError::Ffmpeg("it has no output".to_owned()));
        };
        let (sender, said) = channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            // Lines are cut at 4 KiB, so that no output of any kind fills the memory.
            while lines.by_ref().take(4096).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if let Some(message) = understand(&String::from_utf8_lossy(&line)) {
                    if sender.send(message).is_err() {
                        break;
                    }
                }
                line.clear();
            }
        });
        let info = Info {
            container: String::new(),
            codec: what.to_owned(),
            decoder: format!("ffmpeg {version} (process)"),
            size: None,
            frames: None,
            duration_s: None,
        };
        let own = Self {
            child,
            frames: BufReader::with_capacity(1 << 16, Piped::new(stdout, patience)),
            patience,
            said,
            every,
            limits: options.limits,
            given: 0,
            complaint: None,
        };
        Ok((own, info))
    }

    pub fn next_frame(&mut self) -> Result<Option<Frame>, VideoError> {
        let Some((width, height)) = self.header()? else {
            let _ = self.child.wait();
            while let Ok(line) = self.said.recv() {
                self.hear(line);
            }
            return match self.complaint.take() {
                Some(words) => Err(VideoError::Ffmpeg(words)),
                None if self.given == 0 => Err(VideoError::NotAVideo("ffmpeg finds no frames in it".to_owned())),
                None => Ok(None),
            };
        };
        self.limits.check(width, height)?;
        if self.given >= self.limits.frames {
            return Err(VideoError::TooLarge(format!("more than {} frames", self.limits.frames)));
        }
        let mut pixels = vec![0; width as usize * height as usize * 3];
        self.frames.read_exact(&mut pixels)?;
        let time_s = self.time()?;
        let number = self.given * self.every;
        self.given += 1;
        let picture = RgbImage::from_raw(width, height, pixels);
        Ok(picture.map(|picture| Frame { number, time_s, picture }))
    }

    /// `P6 width height 255`; `None` at the end.
    fn header(&mut self) -> Result<Option<(u32, u32)>, VideoError> {
        let mut head = Vec::new();
        for _ in 0..3 {
            let before = head.len();
            self.frames.by_ref().take(64).read_until(b'\n', &mut head)?;
            if head.len() == before {
                return if before == 0 { Ok(None) } else { Err(VideoError::Ffmpeg("its output breaks off".to_owned())) };
            }
        }
        let text = String::from_utf8_lossy(&head);
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["P6", width, height, "255"] => width.parse().ok().zip(height.parse().ok()),
            _ => None,
        }
        .ok_or_else(|| VideoError::Ffmpeg("its output is no picture".to_owned()))
        .map(Some)
    }

    fn hear(&mut self, line: Line) -> Option<f64> {
        match line {
            Line::Time(time_s) => Some(time_s),
            Line::Complaint(words) => {
                self.complaint = Some(words);
                None
            }
        }
    }

    /// The next time that ffmpeg tells. It does so before it writes the picture.
    fn time(&mut self) -> Result<f64, VideoError> {
        loop {
            match self.said.recv_timeout(self.patience) {
                Ok(line) => {
                    if let Some(time_s) = self.hear(line) {
                        return Ok(time_s);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(VideoError::Ffmpeg("it does not tell the times of its frames".to_owned()));
                }
            }
        }
    }
}

/// `ffmpeg version 5.1.9-0+deb12u1 Copyright ...`
fn version(program: &Path) -> std::io::Result<String> {
    let output = Command::new(program).arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().nth(2).unwrap_or("of an unknown version").to_owned())
}

/// A line of `showinfo`, or an error; the rest is of no interest.
fn understand(line: &str) -> Option<Line> {
    if line.contains("Parsed_showinfo") {
        let time = line.split("pts_time:").nth(1)?.split_whitespace().next()?;
        return time.parse().ok().filter(|t: &f64| t.is_finite()).map(Line::Time);
    }
    let bad = [
        "Invalid data found",
        "Error while decoding",
        "moov atom not found",
        "Error opening",
        "does not contain any stream",
        "matches no streams",
        "Unrecognized option",
        "No such filter",
    ];
    bad.iter().any(|words| line.contains(words)).then(|| Line::Complaint(line.trim().chars().take(200).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_process_that_stands_still_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("ffmpeg");
        let script =
            "#!/bin/sh\n[ \"$1\" = -version ] && echo ffmpeg version 9 && exit\necho \"$@\" > \"$0.args\"\nexec sleep 600\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = Options { ffmpeg: Some(program.clone()), ..Options::default() };
        let (mut frames, info) =
            FfmpegFrames::open_within(Path::new("clip.webm"), "WebM", &options, Duration::from_millis(300)).unwrap();
        assert_eq!(info.decoder, "ffmpeg 9 (process)");
        let error = frames.next_frame().unwrap_err().to_string();
        assert!(error.contains("given nothing for 0.3 s"), "{error}");
        // The limit stands before the file that it is for.
        let arguments = std::fs::read_to_string(folder.path().join("ffmpeg.args")).unwrap();
        let at = |words: &str| arguments.find(words).unwrap();
        assert!(at("-max_pixels 9437184") < at("-i file:"), "{arguments}");
    }
}
