//! Headers of MPEG audio frames (ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; 13818-3 for the lower rates): enough to tell an MP3
//! file from other bytes and to see whether its last frame is whole.

use std::io::{self, Read, Seek, SeekFrom};

/// Length of a frame header in bytes.
pub(crate) const HEADER: usize = 4;

/// Bit rates of layer III in kbit/s for MPEG-1, and for MPEG-2 and 2.5.
pub(crate) const KBPS: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// What the header of a layer III frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Samples per second, Hz.
    pub sample_rate: u32,
    /// Bytes of the whole frame with its header.
    pub length: u64,
}

/// Reads a layer III header; `None` if these bytes are none. Free format (bit rate 0) is not accepted: nothing that
/// anybody meets uses it, and it makes any bytes look like a frame.
pub(crate) fn frame_header(bytes: [u8; HEADER]) -> Option<FrameHeader> {
    let word = u32::from_be_bytes(bytes);
    let (version, layer) = ((word >> 19) & 3, (word >> 17) & 3);
    if word >> 21 != 0x7ff || version == 1 || layer != 1 {
        return None;
    }
    let lower = version != 3;
    let kbps = *KBPS[usize::from(lower)].get((word >> 12 & 15) as usize)?;
    let base = *[44_100_u32, 48_000, 32_000].get((word >> 10 & 3) as usize)?;
    if kbps == 0 || word & 3 == 2 {
        return None;
    }
    let sample_rate = base
        >> match version {
            3 => 0,
            2 => 1,
            _ => 2,
        };
    let padding = u64::from(word >> 9 & 1);
    let length = u64::from(if lower { 72 } else { 144 } * kbps * 1000 / sample_rate) + padding;
    Some(FrameHeader { sample_rate, length })
}

/// True if the file, from byte `start` on, ends within a frame. What follows the last frame (tags, padding) does not count.
pub(crate) fn is_cut_short(source: &mut (impl Read + Seek), start: u64, end: u64) -> io::Result<bool> {
    let mut at = start;
    while at + HEADER as u64 <= end {
        source.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; HEADER];
        source.read_exact(&mut bytes)?;
        let Some(header) = frame_header(bytes) else { return Ok(false) };
        at += header.length;
    }
    Ok(at > end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_rate_and_length() {
        // MPEG-1 layer III, 128 kbit/s, 44.1 kHz, no padding: 417 bytes, the customary example.
        assert_eq!(frame_header([0xff, 0xfb, 0x90, 0x00]), Some(FrameHeader { sample_rate: 44_100, length: 417 }));
        assert_eq!(frame_header([0xff, 0xfb, 0x92, 0x00]), Some(FrameHeader { sample_rate: 44_100, length: 418 }));
        // MPEG-2 layer III, 64 kbit/s, 22.05 kHz.
        assert_eq!(frame_header([0xff, 0xf3, 0x80, 0x00]), Some(FrameHeader { sample_rate: 22_050, length: 208 }));
    }

    #[test]
    fn what_is_reserved_is_no_header() {
        // Layer II, the reserved version, bit rate 15, bit rate 0, sample rate 3, emphasis 2.
        for bytes in [
            [0xff, 0xfd, 0x90, 0],
            [0xff, 0xeb, 0x90, 0],
            [0xff, 0xfb, 0xf0, 0],
            [0xff, 0xfb, 0, 0],
            [0xff, 0xfb, 0x9c, 0],
            [0xff, 0xfb, 0x90, 2],
        ] {
            assert_eq!(frame_header(bytes), None, "{bytes:x?}");
        }
    }
}
