//! MJPEG in AVI: Microsoft's "AVI RIFF File Reference" and the OpenDML extensions 1.02 (segments `AVIX`).
//!
//! The chunks are walked in the order of the file, across all segments. That needs no index, so files without one (`idx1`), with OpenDML's (`indx`, `ix00`), and
//! recordings that were never finished (sizes of 0) are read alike.

use std::io::{Seek, SeekFrom};

use crate::error::{Refusal, VideoError, damaged};
use crate::source::{Frame, Info, Input, Limits, Options, decode_jpeg, read_at};

/// Longest header list that is read, in bytes.
const MAX_HEADER: u64 = 1 << 20;

/// What the header says of the first video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    /// Two digits that its chunks begin with.
    id: [u8; 2],
    codec: [u8; 4],
    width: u32,
    height: u32,
    /// Seconds per frame: `scale / rate`.
    scale: u32,
    rate: u32,
    /// Frames before the first one.
    start: u32,
    length: u32,
}

/// The frames of an AVI.
#[derive(Debug)]
pub(crate) struct AviFrames {
    input: Input,
    length: u64,
    every: u64,
    limits: Limits,
    stream: Stream,
    /// Where the next chunk begins.
    at: u64,
    /// Where the segment says that it ends; beyond the file if that is cut off.
    end: u64,
    chunks: u64,
    /// Frames of the stream's clock so far.
    slot: u64,
    /// Frames shown so far.
    number: u64,
}

/// A chunk's header.
struct Chunk {
    name: [u8; 4],
    size: u64,
    /// Type of a list or file.
    form: [u8; 4],
    body: u64,
}

impl AviFrames {
    pub fn open(mut input: Input, length: u64, options: &Options) -> Result<(Self, Info), Refusal> {
        let (mut at, mut end, mut stream) = (0, 0, None);
        loop {
            let Some(chunk) = chunk(&mut input, at, length)? else {
                return Err(damaged("the AVI has no list of frames (`movi`)").into());
            };
            match (&chunk.name, &chunk.form) {
                (b"RIFF", _) => (at, end) = (chunk.body, chunk.end()),
                (b"LIST", b"movi") => {
                    at = chunk.body;
                    break;
                }
                (b"LIST", b"hdrl") => {
                    if chunk.size > MAX_HEADER {
                        return Err(damaged(format!("the AVI's header has {} bytes", chunk.size)).into());
                    }
                    let body = read_at(&mut input, chunk.body, chunk.size.saturating_sub(4))?;
                    let body = body.ok_or_else(|| damaged("the file ends within the AVI's header"))?;
                    stream = Some(video_stream(&body)?);
                    at = chunk.end();
                }
                _ => at = chunk.end(),
            }
        }
        let stream = stream.ok_or_else(|| damaged("the AVI has no header (`hdrl`)"))?;
        let codec = String::from_utf8_lossy(&stream.codec).trim_matches(char::from(0)).to_owned();
        if ![*b"MJPG", *b"mjpg", *b"JPEG", *b"jpeg"].contains(&stream.codec) {
            return Err(Refusal::NotOurs(format!("`{codec}` in AVI")));
        }
        options.limits.check(stream.width, stream.height)?;
        let announced = (stream.length > 0).then_some(u64::from(stream.length));
        let info = Info {
            container: "AVI".to_owned(),
            codec: "MJPEG".to_owned(),
            decoder: "zune-jpeg".to_owned(),
            size: Some((stream.width, stream.height)),
            frames: announced,
            duration_s: announced.map(|n| n as f64 * f64::from(stream.scale) / f64::from(stream.rate)),
        };
        let (every, limits) = (options.every, options.limits);
        let slot = u64::from(stream.start);
        Ok((Self { input, length, every, limits, stream, at, end, chunks: 0, slot, number: 0 }, info))
    }

    pub fn next_frame(&mut self) -> Result<Option<Frame>, VideoError> {
        loop {
            let Some(chunk) = chunk(&mut self.input, self.at, self.length)? else {
                let unfinished = self.end <= 12 || self.end >= u64::from(u32::MAX);
                return if self.end > self.length && !unfinished { Err(VideoError::Truncated(self.number)) } else { Ok(None) };
            };
            self.chunks += 1;
            if self.chunks > self.limits.frames.saturating_mul(4) {
                return Err(VideoError::TooLarge(format!("more than {} chunks", self.chunks - 1)));
            }
            match (&chunk.name, &chunk.form) {
                (b"RIFF", b"AVIX") => (self.at, self.end) = (chunk.body, chunk.end()),
                (b"LIST", b"movi" | b"rec ") => self.at = chunk.body,
                (name, _) if name[..2] == self.stream.id && matches!(&name[2..], b"dc" | b"db") => {
                    if let Some(frame) = self.frame(&chunk)? {
                        return Ok(Some(frame));
                    }
                }
                (name, _) if !name.iter().all(|b| (b' '..=b'~').contains(b)) => {
                    return Err(damaged(format!("there is no chunk at byte {} of the AVI", self.at)));
                }
                _ => self.at = chunk.end(),
            }
        }
    }

    /// The frame of a chunk, if it is one of the chosen.
    fn frame(&mut self, chunk: &Chunk) -> Result<Option<Frame>, VideoError> {
        self.at = chunk.end();
        let time_s = self.slot as f64 * f64::from(self.stream.scale) / f64::from(self.stream.rate);
        self.slot += 1;
        // An empty chunk keeps the picture before it for another turn of the clock.
        if chunk.size == 0 {
            return Ok(None);
        }
        let number = self.number;
        self.number += 1;
        if number >= self.limits.frames {
            return Err(VideoError::TooLarge(format!("more than {} frames", self.limits.frames)));
        }
        if chunk.size > self.limits.frame_bytes {
            return Err(VideoError::TooLarge(format!(
                "frame {number} has {} bytes, {} are accepted",
                chunk.size, self.limits.frame_bytes
            )));
        }
        if chunk.body + chunk.size > self.length {
            return Err(VideoError::Truncated(number));
        }
        if number % self.every != 0 {
            return Ok(None);
        }
        let bytes = read_at(&mut self.input, chunk.body, chunk.size)?.ok_or(VideoError::Truncated(number))?;
        let bad = |why| VideoError::Frame { number, time_s, why };
        let picture = decode_jpeg(&bytes, &self.limits).map_err(bad)?;
        let (width, height) = picture.dimensions();
        if width == self.stream.width && height == self.stream.height.div_ceil(2) && height > 1 {
            return Err(bad("it is interlaced MJPEG, two pictures of half the height, which is not read".to_owned()));
        }
        Ok(Some(Frame { number, time_s, picture }))
    }
}

impl Chunk {
    /// Where the next one begins: sizes are rounded up to even.
    fn end(&self) -> u64 {
        let body = if self.form == [0; 4] { self.body } else { self.body - 4 };
        body + self.size + (self.size & 1)
    }
}

/// The header of the chunk at a place; `None` at the end of the file.
fn chunk(input: &mut Input, at: u64, length: u64) -> Result<Option<Chunk>, VideoError> {
    if at.saturating_add(8) > length {
        return Ok(None);
    }
    let Some(head) = read_at(input, at, 12.min(length - at))? else { return Ok(None) };
    let word = |from: usize| -> [u8; 4] { head.get(from..from + 4).and_then(|b| b.try_into().ok()).unwrap_or_default() };
    let (name, size) = (word(0), u64::from(u32::from_le_bytes(word(4))));
    let list = matches!(&name, b"RIFF" | b"LIST");
    if list && head.len() < 12 {
        return Ok(None);
    }
    // The next read is of the body: put the reader where it is likely to go on.
    let body = at + if list { 12 } else { 8 };
    input.seek(SeekFrom::Start(body)).ok();
    Ok(Some(Chunk { name, size, form: if list { word(8) } else { [0; 4] }, body }))
}

/// Chunks of a list that is in memory.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(8)?;
        let name = head[..4].try_into().ok()?;
        let size = u32::from_le_bytes(head[4..].try_into().ok()?) as usize;
        let (body, _) = rest.split_at_checked(size)?;
        bytes = rest.get(size + (size & 1)..).unwrap_or_default();
        Some((name, body))
    })
}

/// The first video stream of a header list (`strh` and `strf` in `strl`).
fn video_stream(header: &[u8]) -> Result<Stream, VideoError> {
    let word = |body: &[u8], at: usize| body.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let microseconds = chunks(header).find(|(name, _)| name == b"avih").and_then(|(_, body)| word(body, 0)).unwrap_or(0);
    let lists = chunks(header).filter_map(|(name, body)| (name == *b"LIST").then_some(body.strip_prefix(b"strl")).flatten());
    for (n, list) in lists.enumerate() {
        let find = |wanted: &[u8; 4]| chunks(list).find(|(name, _)| name == wanted).map(|(_, body)| body);
        let (Some(head), Some(format)) = (find(b"strh"), find(b"strf")) else { continue };
        if !head.starts_with(b"vids") {
            continue;
        }
        let short = || damaged("the AVI's stream header is too short");
        let (mut scale, mut rate) = (word(head, 20).ok_or_else(short)?, word(head, 24).ok_or_else(short)?);
        if scale == 0 || rate == 0 {
            (scale, rate) = (microseconds, 1_000_000);
        }
        if scale == 0 {
            return Err(damaged("the AVI has no frame rate"));
        }
        let side = |at| word(format, at).ok_or_else(short).map(|v| v.cast_signed().unsigned_abs());
        let codec = word(format, 16).ok_or_else(short)?.to_le_bytes();
        let digits = [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let (start, length) = (word(head, 28).ok_or_else(short)?, word(head, 32).ok_or_else(short)?);
        return Ok(Stream { id: digits, codec, width: side(4)?, height: side(8)?, scale, rate, start, length });
    }
    Err(VideoError::NotAVideo("the AVI has no video stream".to_owned()))
}
