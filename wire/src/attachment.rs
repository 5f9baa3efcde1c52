//! What travels beside a payload: sequence number, source time and global identity of the sender.

use xxhash_rust::xxh3::xxh3_128;

/// Global identity of an endpoint.
pub type Gid = [u8; 16];

/// Size of an encoded attachment in bytes.
const SIZE: usize = 33;
/// Zenoh's serialisation of a byte array puts its length before it.
const GID_LENGTH: u8 = 16;

/// rmw_zenoh: docs/design.md, "Attachment"; `detail/attachment_helpers.cpp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// The sender's count, from 1.
    pub sequence: i64,
    /// When it was sent, ns on the sender's clock.
    pub source_time_ns: i64,
    /// Who sent it; in a reply, who asked.
    pub gid: Gid,
}

impl Attachment {
    /// The 33 bytes on the wire: `i64` sequence, `i64` time, `u8` 16, 16 bytes; little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.source_time_ns.to_le_bytes());
        bytes.push(GID_LENGTH);
        bytes.extend_from_slice(&self.gid);
        bytes
    }

    /// Reads what [`Attachment::to_bytes`] wrote; `None` for anything else. Bytes that follow are ignored: newer versions may add.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk::<8>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first()?;
        let (gid, _) = rest.split_first_chunk::<16>()?;
        let known = *length == GID_LENGTH;
        known.then(|| Self { sequence: i64::from_le_bytes(*sequence), source_time_ns: i64::from_le_bytes(*time), gid: *gid })
    }
}

/// Identity of the endpoint with this liveliness token: XXH3-128 of the key, low half first (rmw_zenoh: `liveliness_utils.cpp`).
pub fn gid_of(token: &str) -> Gid {
    xxh3_128(token.as_bytes()).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_33_bytes_in_the_order_of_the_design_document() {
        let attachment = Attachment { sequence: 1, source_time_ns: -2, gid: [9; 16] };
        let bytes = attachment.to_bytes();
        assert_eq!(bytes.len(), 33);
        assert_eq!(bytes[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16], 16);
        assert_eq!(Attachment::from_bytes(&bytes), Some(attachment));
    }

    #[test]
    fn malformed_attachments_are_refused() {
        let good = Attachment { sequence: 1, source_time_ns: 2, gid: [3; 16] }.to_bytes();
        for length in 0..good.len() {
            assert_eq!(Attachment::from_bytes(&good[..length]), None);
        }
        let mut other_length = good;
        other_length[16] = 15;
        assert_eq!(Attachment::from_bytes(&other_length), None);
    }

    #[test]
    fn the_hash_is_xxh3_128_low_half_first() {
        // Published test value of XXH3-128 for empty input: 99aa06d3014798d86001c324468d497f (canonical, high half first).
        let gid = gid_of("");
        let canonical: String = gid.iter().rev().map(|b| format!("{b:02x}")).collect();
        assert_eq!(canonical, "99aa06d3014798d86001c324468d497f");
    }
}
