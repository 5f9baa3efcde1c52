//! Frames of a Video4Linux device.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use v4l::buffer::Type;
use v4l::io::traits::CaptureStream;
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::{Device, FourCC};

use pictures::decode;

/// Why a device gives no frames.
#[derive(Debug, thiserror::Error)]
pub enum V4l2Error {
    /// It cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The device.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It takes none of the formats.
    #[error("{path} offers neither MJPG nor YUYV nor RGB3, but {found}")]
    Format {
        /// The device.
        path: String,
        /// The format it chose.
        found: String,
    },
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

/// Opens a device near the size and hands each frame (width, height, red green blue bytes), or the reason for the end, to
/// `deliver`, until it returns false.
///
/// # Errors
/// [`V4l2Error`].
pub fn start(
    path: &Path,
    (width, height): (u32, u32),
    mut deliver: impl FnMut(Result<(u32, u32, Vec<u8>), String>) -> bool + Send + 'static,
) -> Result<Capturing, V4l2Error> {
    let open = |source| V4l2Error::Open { path: path.display().to_string(), source };
    let device = Device::with_path(path).map_err(open)?;
    let mut format = device.format().map_err(open)?;
    (format.width, format.height) = (width, height);
    let mut chosen = None;
    for code in [b"MJPG", b"YUYV", b"RGB3"] {
        format.fourcc = FourCC::new(code);
        let got = device.set_format(&format).map_err(open)?;
        if got.fourcc == FourCC::new(code) {
            chosen = Some(got);
            break;
        }
    }
    let format =
        chosen.ok_or_else(|| V4l2Error::Format { path: path.display().to_string(), found: format.fourcc.to_string() })?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    thread::spawn(move || {
        let mut stream = match MmapStream::with_buffers(&device, Type::VideoCapture, 4) {
            Ok(stream) => stream,
            Err(error) => {
                deliver(Err(error.to_string()));
                return;
            }
        };
        while !stopped.load(Ordering::Relaxed) {
            let frame = match stream.next() {
                Ok((buffer, meta)) => pixels(&buffer[..(meta.bytesused as usize).min(buffer.len())], &format),
                Err(error) => {
                    deliver(Err(error.to_string()));
                    return;
                }
            };
            // A torn frame is dropped; the node's staleness check tells if that goes on.
            if let Some(frame) = frame {
                if !deliver(Ok(frame)) {
                    return;
                }
            }
        }
    });
    Ok(Capturing { stop })
}

/// Red, green, blue from a buffer of one of the three formats; `None` for a torn one.
fn pixels(buffer: &[u8], format: &v4l::Format) -> Option<(u32, u32, Vec<u8>)> {
    let (width, height) = (format.width, format.height);
    let (row, rows) = (format.stride as usize, height as usize);
    match &format.fourcc.repr {
        b"MJPG" => decode(buffer).ok().map(|image| (image.width(), image.height(), image.into_raw())),
        b"RGB3" => {
            let used = width as usize * 3;
            (row >= used && buffer.len() >= row * rows)
                .then(|| (width, height, buffer.chunks(row).take(rows).flat_map(|r| &r[..used]).copied().collect()))
        }
        _ => {
            let used = width as usize * 2;
            (row >= used && buffer.len() >= row * rows).then(|| {
                let pairs = buffer.chunks(row).take(rows).flat_map(|r| r[..used].chunks_exact(4));
                (width, height, pairs.flat_map(|p| [yuv(p[0], p[1], p[3]), yuv(p[2], p[1], p[3])]).flatten().collect())
            })
        }
    }
}

/// Full-range BT.601, as UVC cameras use it.
fn yuv(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (y, u, v) = (f32::from(y), f32::from(u) - 128.0, f32::from(v) - 128.0);
    [y + 1.402 * v, y - 0.344_136 * u - 0.714_136 * v, y + 1.772 * u].map(|c| c.clamp(0.0, 255.0) as u8)
}
