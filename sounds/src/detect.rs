//! What kind of sound file some bytes are.

use crate::Format;
use crate::mpeg::{HEADER, frame_header};

/// Bytes that are enough to tell, when there is no tag in front.
pub(crate) const HEAD: usize = 8_192;

/// Tells the kind of a file by its first bytes (a few kB are enough), whatever its name; `None` if it is none that is read here.
/// An MP3 file is known by two frame headers in a row; an ID3 tag in front is skipped.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    let after = id3_length(bytes);
    let bytes = bytes.get(after..)?;
    if bytes.starts_with(b"OggS") {
        Some(Format::Ogg)
    } else if bytes.starts_with(b"fLaC") {
        Some(Format::Flac)
    } else if bytes.len() >= 12 && [b"RIFF", b"RF64"].iter().any(|m| bytes.starts_with(*m)) && &bytes[8..12] == b"WAVE" {
        Some(Format::Wav)
    } else {
        // A file may begin with some zeros, and one frame may be all there is.
        let start = bytes.iter().position(|b| *b != 0)?;
        is_mp3(&bytes[start..]).then_some(Format::Mp3)
    }
}

fn is_mp3(bytes: &[u8]) -> bool {
    let header = |at: usize| bytes.get(at..at + HEADER).and_then(|b| frame_header([b[0], b[1], b[2], b[3]]));
    let Some(first) = header(0) else { return false };
    let next = usize::try_from(first.length).unwrap_or(usize::MAX);
    match bytes.len().cmp(&next) {
        std::cmp::Ordering::Greater => {
            header(next).is_some_and(|h| h.sample_rate == first.sample_rate) || bytes[next..].starts_with(b"TAG")
        }
        std::cmp::Ordering::Equal => true,
        // One frame cut short: its side information begins right after the header, which is all that can be said.
        std::cmp::Ordering::Less => bytes.len() > 36,
    }
}

/// Length in bytes of the ID3v2 tag in front (id3.org, "ID3v2.4.0 main structure", 3.1), 0 without one.
pub(crate) fn id3_length(bytes: &[u8]) -> usize {
    let Some(head) = bytes.get(..10).filter(|h| h.starts_with(b"ID3") && h[6..].iter().all(|b| b & 0x80 == 0)) else {
        return 0;
    };
    let size = head[6..].iter().fold(0_usize, |sum, b| sum << 7 | usize::from(*b));
    let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
    10 + size + footer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_not_taken_for_sound() {
        for bytes in [
            &b""[..],
            b"hello, this is no sound at all",
            b"RIFF\x10\0\0\0AVI LIST",
            b"\x89PNG\r\n\x1a\n",
            b"%PDF-1.7",
            &[0; 4_096],
            &[0xff; 4_096],
        ] {
            assert_eq!(detect(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_tag_in_front_is_skipped() {
        let mut bytes = b"ID3\x04\0\0\0\0\x01\x00".to_vec();
        bytes.extend([0; 128]);
        assert_eq!(id3_length(&bytes), 138);
        bytes.extend(b"fLaC");
        assert_eq!(detect(&bytes), Some(Format::Flac));
    }
}
