//! Files that are no video, or no longer one: a clear error, never a panic, and no more memory than the limits allow.

use std::path::{Path, PathBuf};

use image::RgbImage;
use proptest::prelude::*;
use video::{AviWriter, Limits, Options, Video, VideoError};

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn alone() -> Options {
    Options {
        ffmpeg: None,
        limits: Limits { side: 1024, pixels: 512 * 512, frames: 5000, ..Limits::default() },
        ..Options::default()
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// How many frames are read, and what ends it.
fn outcome(path: &Path) -> (usize, Option<VideoError>) {
    let video = match Video::open(path, &alone()) {
        Ok(video) => video,
        Err(error) => return (0, Some(error)),
    };
    let (mut good, mut last) = (0, None);
    for frame in video {
        match frame {
            Ok(_) => good += 1,
            Err(error) => last = Some(error),
        }
    }
    (good, last)
}

fn error(path: &Path) -> String {
    outcome(path).1.expect("an error").to_string()
}

#[test]
fn each_kind_of_wrong_file_has_its_sentence() {
    let folder = Folder::new();
    assert_eq!(error(&folder.file("empty.mp4", b"")), "this is no video: the file is empty");
    assert!(error(Path::new("/none/clip.mp4")).starts_with("cannot read /none/clip.mp4: "));
    assert_eq!(
        error(&folder.file("text.mp4", b"Dear Sir or Madam, I am no video.")),
        "what this file holds is not decoded by this program itself, and ffmpeg is switched off"
    );
    let mut jpeg = std::io::Cursor::new(Vec::new());
    RgbImage::new(4, 4).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    assert_eq!(error(&folder.file("photo.avi", jpeg.get_ref())), "this is no video: it is a picture (JPEG)");
    assert_eq!(
        error(&folder.file("a.avi", b"RIFF\x04\0\0\0AVI ")),
        "the video is damaged: the AVI has no list of frames (`movi`)"
    );
    assert!(error(&folder.file("a.mp4", b"\0\0\0\x10ftypisom\0\0\0\0")).contains("no index (`moov`)"));
    assert!(error(&folder.file("b.mp4", b"\0\0\0\x04ftypisom\0\0\0\0")).contains("there is no box at byte 0"));
    assert!(error(folder.0.path()).starts_with("cannot read "));
}

#[test]
fn a_wrong_ending_does_not_matter() {
    let folder = Folder::new();
    for (name, clip) in
        [("clip.mp4", "mjpeg.avi"), ("clip.avi", "baseline.mp4"), ("clip", "main_b_frames.mp4"), ("clip.jpg", "mjpeg.mov")]
    {
        let (good, error) = outcome(&folder.file(name, &data(clip)));
        assert!(good == 12 && error.is_none(), "{clip} as {name}: {good} {error:?}");
    }
}

#[test]
fn a_cut_file_gives_what_is_there_and_says_that_it_is_cut() {
    let folder = Folder::new();
    for clip in ["mjpeg.avi", "faststart.mov", "fragmented.mp4"] {
        let bytes = data(clip);
        let mut seen = Vec::new();
        for tenth in 1..10 {
            let (good, error) = outcome(&folder.file("a", &bytes[..bytes.len() * tenth / 10]));
            // A fragmented file may end at any fragment.
            assert!(error.is_some() || clip == "fragmented.mp4", "{clip} cut at {tenth}0 %: {good} frames");
            seen.push(good);
        }
        assert!(seen.is_sorted() && seen[8] >= 8 && seen[8] < 12, "{clip}: {seen:?}");
    }
    let bytes = data("faststart.mov");
    assert_eq!(error(&folder.file("a", &bytes[..bytes.len() - 1])), "the video is cut off: the file ends in frame 11");
    // Its index is at the end.
    let bytes = data("baseline.mp4");
    assert!(error(&folder.file("a", &bytes[..bytes.len() / 2])).contains("no index"));
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    let folder = Folder::new();
    // Width and height in the AVI's stream format.
    let mut avi = data("mjpeg.avi");
    let format = avi.windows(4).position(|w| w == b"strf").unwrap() + 8;
    avi[format + 4..format + 12].copy_from_slice(&[0x20, 0x4E, 0, 0, 0x20, 0x4E, 0, 0]);
    assert!(error(&folder.file("a.avi", &avi)).contains("20000 x 20000 pixels"));
    // In the MP4's sample entry; H.264's own parameters count more.
    let mut mp4 = data("mjpeg.mp4");
    let entry = mp4.windows(4).position(|w| w == b"mp4v").unwrap() + 4;
    mp4[entry + 24..entry + 28].copy_from_slice(&[0x4E, 0x20, 0x4E, 0x20]);
    assert!(error(&folder.file("a.mp4", &mp4)).contains("20000 x 20000 pixels"));
    mp4[entry + 24..entry + 28].fill(0);
    assert!(error(&folder.file("a.mp4", &mp4)).contains("0 x 0 pixels"));
    // More samples than bytes: all of one size, so the table is short.
    let mut mp4 = data("mjpeg.mp4");
    let sizes = mp4.windows(4).position(|w| w == b"stsz").unwrap() + 8;
    mp4[sizes..sizes + 8].copy_from_slice(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert!(error(&folder.file("a.mp4", &mp4)).contains("more than 5000 frames"));
    let mut mp4 = data("mjpeg.mp4");
    mp4[sizes + 8..sizes + 12].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF]);
    assert!(error(&folder.file("a.mp4", &mp4)).contains("a frame has 2147483647 bytes"));
}

#[test]
fn an_unfinished_recording_without_index_and_sizes_is_read() {
    let folder = Folder::new();
    let bytes = data("mjpeg.avi");
    let index = bytes.windows(4).rposition(|w| w == b"idx1").unwrap();
    let mut unfinished = bytes[..index].to_vec();
    let movi = unfinished.windows(4).position(|w| w == b"movi").unwrap();
    unfinished[4..8].fill(0);
    unfinished[movi - 4..movi].fill(0);
    let (good, error) = outcome(&folder.file("a.avi", &unfinished));
    assert!(good == 12 && error.is_none(), "{good} {error:?}");
}

#[test]
fn a_second_segment_of_opendml_is_read() {
    let folder = Folder::new();
    let bytes = data("mjpeg.avi");
    let movi = bytes.windows(4).position(|w| w == b"movi").unwrap();
    let size = u32::from_le_bytes(bytes[movi - 4..movi].try_into().unwrap()) as usize;
    let mut list = Vec::from(*b"LIST");
    list.extend_from_slice(&bytes[movi - 4..movi + size]);
    // An OpenDML index of the chunk kind stands among the frames.
    let mut both = bytes.clone();
    both.extend_from_slice(b"RIFF");
    both.extend_from_slice(&(list.len() as u32 + 4 + 16).to_le_bytes());
    both.extend_from_slice(b"AVIXix00\x08\0\0\0\0\0\0\0\0\0\0\0");
    both.extend_from_slice(&list);
    let (good, error) = outcome(&folder.file("a.avi", &both));
    assert!(good == 24 && error.is_none(), "{good} {error:?}");
}

#[test]
fn a_written_clip_is_read_with_its_times() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.avi");
    let mut writer = AviWriter::create(&path, (16, 8), 7.5, 95).unwrap();
    for n in 0..5_u8 {
        writer.push(&RgbImage::from_pixel(16, 8, image::Rgb([n * 50, 20, 90]))).unwrap();
    }
    assert!(writer.push(&RgbImage::new(16, 9)).is_err());
    writer.finish().unwrap();
    let video = Video::open(&path, &alone()).unwrap();
    assert_eq!(video.info().frames, Some(5));
    for (n, frame) in video.map(Result::unwrap).enumerate() {
        assert!((frame.time_s - n as f64 / 7.5).abs() < 1e-6);
        assert!(frame.picture.get_pixel(7, 4).0[0].abs_diff(n as u8 * 50) <= 3);
    }
    assert!(AviWriter::create(&path, (16, 8), 0.0, 95).is_err());
}

#[test]
fn a_clip_whose_writing_failed_can_be_played() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.avi");
    let write = || -> Result<(), video::AviError> {
        let mut writer = AviWriter::create(&path, (16, 8), 10.0, 95)?;
        writer.push(&RgbImage::new(16, 8))?;
        writer.push(&RgbImage::new(16, 8))?;
        writer.push(&RgbImage::new(9, 9))?;
        writer.finish()
    };
    assert!(write().is_err());
    let (good, error) = outcome(&path);
    assert!(good == 2 && error.is_none(), "{good} {error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600), head in 0..5_usize) {
        let heads: [&[u8]; 5] = [b"", b"RIFF\0\x10\0\0AVI LIST", b"\0\0\0\x10ftypisom\0\0\0\0", b"\0\0\x02\0moov", b"\0\0\0\x08free\0\0\x01\0moof"];
        let folder = Folder::new();
        outcome(&folder.file("a", &[heads[head], &bytes].concat()));
    }

    #[test]
    fn a_damaged_clip_never_panics(
        clip in prop::sample::select(vec!["mjpeg.avi", "mjpeg.mp4", "main_b_frames.mp4", "fragmented.mp4", "edit_list.mp4", "interlaced.mp4"]),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        headers in any::<bool>(),
    ) {
        let mut bytes = data(clip);
        // The tables of an MP4 are at its end; the header of an AVI at its beginning.
        let index = bytes.windows(4).position(|w| w == b"moov").unwrap_or(0);
        let range = if headers { index.min(bytes.len() - 300)..bytes.len().min(index + 900) } else { 0..bytes.len() };
        for (at, value) in damage {
            let at = range.start + at.index(range.len());
            bytes[at] = value;
        }
        let folder = Folder::new();
        outcome(&folder.file("a", &bytes));
    }
}
