//! MP4 and QuickTime: the video track of a file, its edit list, its frames in the order of showing. ISO/IEC 14496-12; `avcC` after 14496-15.

use image::RgbImage;

use crate::boxes::Body;
use crate::error::{Refusal, VideoError, damaged};
use crate::h264::{H264, Yuv};
use crate::samples::{Defaults, Sample, Samples};
use crate::source::{Frame, Info, Input, Limits, Options, decode_jpeg, read_at};
use crate::turn::Turn;

/// Boxes at the top of a file that are walked, at most.
const MAX_BOXES: u32 = 4_000_000;
/// Frames that may wait for their turn: H.264 reorders at most 16 (ITU-T H.264, E.2.1, max_num_reorder_frames).
const MAX_WAITING: usize = 32;

enum Codec {
    Jpeg,
    H264(Box<H264>),
}

/// A decoded frame that waits for its turn.
enum Waiting {
    Yuv(Yuv),
    Rgb(RgbImage),
    /// Sound, but nobody asks for it.
    Unwanted,
    Bad(String),
}

/// The frames of an MP4.
pub(crate) struct Mp4Frames {
    input: Input,
    codec: Codec,
    every: u64,
    limits: Limits,
    track: Track,
    samples: Vec<Sample>,
    /// Least time of this sample and all after it.
    least: Vec<i64>,
    next: usize,
    /// By falling time.
    waiting: Vec<(i64, Waiting)>,
    number: u64,
    /// The length of the file.
    length: u64,
    cut: bool,
    /// A picture is missing that those until the next sync sample build upon.
    broken: bool,
}

/// What the boxes say of a track.
#[derive(Debug, Clone, Copy)]
struct Track {
    id: u32,
    /// Ticks per second.
    timescale: u32,
    turn: Turn,
    /// Tick that counts as 0.
    origin: i64,
    /// First tick that is shown.
    from: i64,
    /// Tick at which showing ends.
    until: i64,
    /// Seconds before the first frame.
    delay_s: f64,
}

/// The first video track, its sample entry and its table.
struct Found<'a> {
    track: Track,
    codec: [u8; 4],
    entry: Body<'a>,
    stbl: Body<'a>,
    size: (u32, u32),
}

impl Mp4Frames {
    pub fn open(mut input: Input, length: u64, options: &Options) -> Result<(Self, Info), Refusal> {
        let limits = options.limits;
        let (moov, fragments) = index(&mut input, length, &limits)?;
        let moov = moov.ok_or_else(|| damaged("it has no index (`moov`); it was not finished, or is cut off"))?;
        let moov = Body::new(*b"moov", &moov);
        let found = find_track(moov)?;
        let (track, entry) = (found.track, found.entry);
        let name = String::from_utf8_lossy(&found.codec).trim().to_owned();
        let mut size = found.size;
        let (codec, codec_name, decoder) = match &found.codec {
            b"avc1" | b"avc3" => {
                let config = entry.child(b"avcC").ok_or_else(|| damaged("its H.264 has no configuration (`avcC`)"))?;
                let h264 = H264::new(config.rest(), &limits)?;
                size = h264.size().unwrap_or(size);
                (Codec::H264(Box::new(h264)), "H.264", "rust_h264")
            }
            b"jpeg" => (Codec::Jpeg, "MJPEG", "zune-jpeg"),
            b"mp4v" if entry.child(b"esds").is_some_and(|esds| object_type(esds.rest()) == Some(0x6C)) => {
                (Codec::Jpeg, "MJPEG", "zune-jpeg")
            }
            _ => return Err(Refusal::NotOurs(format!("`{name}` in MP4"))),
        };
        limits.check(size.0, size.1)?;
        let mut samples = Samples::of_table(found.stbl, &limits)?;
        let defaults = fragment_defaults(moov, track.id)?;
        for (at, bytes) in &fragments {
            samples.add_fragment(Body::new(*b"moof", bytes), *at, track.id, defaults, &limits)?;
        }
        if samples.list.is_empty() {
            return Err(VideoError::NotAVideo("its video track has no frames".to_owned()).into());
        }
        let shown = |s: &&Sample| (track.from..track.until).contains(&s.pts);
        let frames = samples.list.iter().filter(shown).count() as u64;
        let begin = samples.list.iter().filter(shown).map(|s| s.pts).min().unwrap_or(0);
        let end = samples.shown_until.min(track.until);
        let mut least = vec![i64::MAX; samples.list.len() + 1];
        for (n, sample) in samples.list.iter().enumerate().rev() {
            least[n] = sample.pts.min(least[n + 1]);
        }
        let info = Info {
            container: "MP4".to_owned(),
            codec: codec_name.to_owned(),
            decoder: decoder.to_owned(),
            size: Some(track.turn.size(size)),
            frames: Some(frames),
            duration_s: Some(end.saturating_sub(begin).max(0) as f64 / f64::from(track.timescale)),
        };
        let own = Self {
            input,
            codec,
            every: options.every,
            limits,
            track,
            samples: samples.list,
            least,
            next: 0,
            waiting: Vec::new(),
            number: 0,
            length,
            cut: false,
            broken: false,
        };
        Ok((own, info))
    }

    pub fn next_frame(&mut self) -> Result<Option<Frame>, VideoError> {
        loop {
            while let Some((pts, _)) = self.waiting.last()
                && (*pts < self.least[self.next] || self.cut)
            {
                let Some((pts, frame)) = self.waiting.pop() else { break };
                if let Some(shown) = self.show(pts, frame)? {
                    return Ok(Some(shown));
                }
            }
            if self.cut {
                return Err(VideoError::Truncated(self.number));
            }
            let Some(sample) = self.samples.get(self.next).copied() else { return Ok(None) };
            if self.waiting.len() >= MAX_WAITING {
                return Err(damaged(format!("its frames are out of order by more than {MAX_WAITING}")));
            }
            if u64::from(sample.size) > self.limits.frame_bytes {
                let most = self.limits.frame_bytes;
                return Err(VideoError::TooLarge(format!("a frame has {} bytes, {most} are accepted", sample.size)));
            }
            self.next += 1;
            if sample.offset.saturating_add(u64::from(sample.size)) > self.length {
                self.cut = true;
                continue;
            }
            let Some(bytes) = read_at(&mut self.input, sample.offset, u64::from(sample.size))? else {
                self.cut = true;
                continue;
            };
            let frame = self.decode(sample, &bytes)?;
            let at = self.waiting.partition_point(|(pts, _)| *pts > sample.pts);
            self.waiting.insert(at, (sample.pts, frame));
        }
    }

    fn decode(&mut self, sample: Sample, bytes: &[u8]) -> Result<Waiting, VideoError> {
        // Which frames will be chosen is known before decoding if they come in order.
        let unwanted = self.waiting.is_empty() && !self.is_chosen(sample.pts);
        Ok(match &mut self.codec {
            Codec::Jpeg if unwanted => Waiting::Unwanted,
            Codec::Jpeg => decode_jpeg(bytes, &self.limits).map_or_else(Waiting::Bad, Waiting::Rgb),
            Codec::H264(decoder) => {
                if sample.sync {
                    self.broken = false;
                }
                match decoder.decode(bytes, &self.limits)? {
                    Ok(frame) if !self.broken => Waiting::Yuv(frame),
                    Ok(_) => Waiting::Bad("it builds upon a frame that is damaged".to_owned()),
                    Err(why) => {
                        self.broken = true;
                        Waiting::Bad(why)
                    }
                }
            }
        })
    }

    fn is_shown(&self, pts: i64) -> bool {
        (self.track.from..self.track.until).contains(&pts)
    }

    fn is_chosen(&self, pts: i64) -> bool {
        self.is_shown(pts) && self.number % self.every == 0
    }

    /// The frame as asked for; `None` if it is not.
    fn show(&mut self, pts: i64, frame: Waiting) -> Result<Option<Frame>, VideoError> {
        if !self.is_shown(pts) {
            return Ok(None);
        }
        let (chosen, number) = (self.is_chosen(pts), self.number);
        self.number += 1;
        if !chosen {
            return Ok(None);
        }
        let ticks = pts.saturating_sub(self.track.origin);
        let time_s = self.track.delay_s + ticks as f64 / f64::from(self.track.timescale);
        let picture = match frame {
            Waiting::Yuv(frame) => frame.to_rgb().map_err(|why| VideoError::Frame { number, time_s, why })?,
            Waiting::Rgb(picture) => picture,
            Waiting::Unwanted => return Ok(None),
            Waiting::Bad(why) => return Err(VideoError::Frame { number, time_s, why }),
        };
        Ok(Some(Frame { number, time_s, picture: self.track.turn.apply(picture) }))
    }
}

/// The bytes of `moov`, and of each `moof` with its place.
fn index(input: &mut Input, length: u64, limits: &Limits) -> Result<(Option<Vec<u8>>, Vec<(u64, Vec<u8>)>), VideoError> {
    let (mut at, mut moov, mut fragments, mut bytes_left) = (0_u64, None, Vec::new(), limits.index_bytes);
    for _ in 0..MAX_BOXES {
        if at + 8 > length {
            return Ok((moov, fragments));
        }
        let head = read_at(input, at, 16.min(length - at))?.unwrap_or_default();
        let mut words = Body::new(*b"file", &head);
        let (size, name) = (words.u32()?, words.take(4)?);
        let (header, size) = match size {
            0 => (8, length - at),
            1 => (16, words.u64()?),
            size => (8, u64::from(size)),
        };
        if size < header {
            return Err(damaged(format!("there is no box at byte {at}")));
        }
        if name == b"moov" && moov.is_none() || name == b"moof" {
            let body = size - header;
            bytes_left = bytes_left
                .checked_sub(body)
                .ok_or_else(|| VideoError::TooLarge(format!("its index has more than {} MiB", limits.index_bytes >> 20)))?;
            match read_at(input, at + header, body)? {
                Some(body) if name == b"moov" => moov = Some(body),
                Some(body) => fragments.push((at, body)),
                // The last fragment of a recording that was cut off.
                None if name == b"moof" && moov.is_some() => return Ok((moov, fragments)),
                None => return Err(damaged("the file ends within its index")),
            }
        }
        at = at.saturating_add(size);
    }
    Err(VideoError::TooLarge(format!("more than {MAX_BOXES} boxes")))
}

fn find_track(moov: Body) -> Result<Found, Refusal> {
    let mut header = moov.child(b"mvhd").ok_or_else(|| damaged("it has no header (`mvhd`)"))?;
    let (version, _) = header.version()?;
    skip_times(&mut header, version)?;
    let movie_timescale = header.u32()?;
    for trak in moov.children().filter(|b| &b.name() == b"trak") {
        let Some(mdia) = trak.child(b"mdia") else { continue };
        if mdia.child(b"hdlr").and_then(|h| h.rest().get(8..12)) != Some(b"vide") {
            continue;
        }
        let stbl = mdia.child(b"minf").and_then(|minf| minf.child(b"stbl"));
        let stbl = stbl.ok_or_else(|| damaged("its video track has no table of frames (`stbl`)"))?;
        let mut descriptions = stbl.child(b"stsd").ok_or_else(|| damaged("its video track names no codec (`stsd`)"))?;
        descriptions.version()?;
        descriptions.u32()?;
        let entry = descriptions.children().next().ok_or_else(|| damaged("its video track names no codec (`stsd`)"))?;
        let codec = entry.name();
        let mut inside = entry;
        // VisualSampleEntry: 24 bytes, width, height, 50 bytes, then boxes.
        inside.take(24)?;
        let size = (u32::from(inside.u16()?), u32::from(inside.u16()?));
        inside.take(50)?;
        let mut time = mdia.child(b"mdhd").ok_or_else(|| damaged("its video track has no clock (`mdhd`)"))?;
        let (version, _) = time.version()?;
        skip_times(&mut time, version)?;
        let timescale = time.u32()?;
        if timescale == 0 || movie_timescale == 0 {
            return Err(damaged("its clock has no ticks").into());
        }
        let mut head = trak.child(b"tkhd").ok_or_else(|| damaged("its video track has no header (`tkhd`)"))?;
        let (version, _) = head.version()?;
        skip_times(&mut head, version)?;
        let id = head.u32()?;
        head.take(if version == 1 { 12 } else { 8 } + 16)?;
        let mut matrix = [0; 9];
        for value in &mut matrix {
            *value = head.i32()?;
        }
        let turn = Turn::of_matrix(matrix[0], matrix[1], matrix[3], matrix[4]);
        let mut track = Track { id, timescale, turn, origin: 0, from: i64::MIN, until: i64::MAX, delay_s: 0.0 };
        if let Some(list) = trak.child(b"edts").and_then(|e| e.child(b"elst")) {
            edit(&mut track, list, movie_timescale)?;
        }
        return Ok(Found { track, codec, entry: inside, stbl, size });
    }
    Err(VideoError::NotAVideo("the MP4 has no video track".to_owned()).into())
}

/// Passes over the times of creation and change.
fn skip_times(header: &mut Body, version: u8) -> Result<(), VideoError> {
    header.long(version)?;
    header.long(version)?;
    Ok(())
}

/// Any number of pauses, then one cut of the track: what cameras and editors write. Others are left to ffmpeg.
fn edit(track: &mut Track, mut list: Body, movie_timescale: u32) -> Result<(), Refusal> {
    let (version, _) = list.version()?;
    let entries = list.count(if version == 1 { 20 } else { 12 })?;
    let mut cuts = 0;
    for _ in 0..entries {
        let duration = list.long(version)?;
        let from = if version == 1 { list.u64()?.cast_signed() } else { i64::from(list.i32()?) };
        let rate = list.u32()?;
        let seconds = duration as f64 / f64::from(movie_timescale);
        if from < 0 {
            track.delay_s += seconds;
            continue;
        }
        cuts += 1;
        if cuts > 1 || rate != 1 << 16 {
            return Err(Refusal::NotOurs("an MP4 with cuts or another speed in its edit list".to_owned()));
        }
        (track.origin, track.from) = (from, from);
        if duration > 0 {
            // Rounded up: the last frame of a cut is shown however short its share.
            let ticks = (u128::from(duration) * u128::from(track.timescale)).div_ceil(u128::from(movie_timescale));
            track.until = i64::try_from(ticks).unwrap_or(i64::MAX).saturating_add(from);
        }
    }
    Ok(())
}

/// What the fragments of a track have in common.
fn fragment_defaults(moov: Body, track: u32) -> Result<Defaults, VideoError> {
    let Some(mvex) = moov.child(b"mvex") else { return Ok(Defaults::default()) };
    for mut trex in mvex.children().filter(|b| &b.name() == b"trex") {
        trex.version()?;
        if trex.u32()? == track {
            trex.u32()?;
            return Ok(Defaults { duration: trex.u32()?, size: trex.u32()?, flags: trex.u32()? });
        }
    }
    Ok(Defaults::default())
}

/// The objectTypeIndication of an elementary stream descriptor (ISO/IEC 14496-1, 7.2.6): tag 3, within it tag 4.
fn object_type(esds: &[u8]) -> Option<u8> {
    let mut body = Body::new(*b"esds", esds);
    body.version().ok()?;
    let mut descriptor = |tag: u8| {
        (body.u8().ok()? == tag).then_some(())?;
        // A length of up to four bytes, seven bits each.
        for _ in 0..4 {
            if body.u8().ok()? & 0x80 == 0 {
                break;
            }
        }
        match tag {
            3 => {
                let (_, flags) = (body.u16().ok()?, body.u8().ok()?);
                (flags & 0xE0 == 0).then_some(0)
            }
            _ => body.u8().ok(),
        }
    };
    descriptor(3)?;
    descriptor(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::BufReader;
    use std::path::Path;

    #[test]
    fn a_decoder_that_failed_goes_on_at_the_next_sync_sample() {
        for name in ["baseline.mp4", "main_b_frames.mp4"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
            let length = std::fs::metadata(&path).unwrap().len();
            let open =
                || Mp4Frames::open(BufReader::new(File::open(&path).unwrap()), length, &Options::default()).ok().unwrap().0;
            let whole = open().next_frame().unwrap().unwrap();
            let mut frames = open();
            let Codec::H264(decoder) = &mut frames.codec else { panic!("{name} is H.264") };
            decoder.begin_again();
            assert_eq!(frames.next_frame().unwrap().unwrap(), whole, "{name}");
        }
    }
}
