//! Boxes of ISO/IEC 14496-12: reading numbers from bytes that may be too few.

use crate::error::{VideoError, damaged};

/// Bytes of a box that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    name: [u8; 4],
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    pub fn new(name: [u8; 4], bytes: &'a [u8]) -> Self {
        Self { name, bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], VideoError> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or_else(|| self.short())?;
        self.bytes = rest;
        Ok(head)
    }

    fn short(&self) -> VideoError {
        damaged(format!("its box `{}` is too short", String::from_utf8_lossy(&self.name)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], VideoError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or_else(|| self.short())?;
        self.bytes = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, VideoError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, VideoError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, VideoError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, VideoError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, VideoError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of 8 bytes in version 1, of 4 before.
    pub fn long(&mut self, version: u8) -> Result<u64, VideoError> {
        if version == 1 { self.u64() } else { self.u32().map(u64::from) }
    }

    /// Version and flags of a full box.
    pub fn version(&mut self) -> Result<(u8, u32), VideoError> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00FF_FFFF))
    }

    /// A count of entries of at least `size` bytes each: never more than the bytes hold.
    pub fn count(&mut self, size: usize) -> Result<usize, VideoError> {
        let count = self.u32()? as usize;
        if count > self.bytes.len() / size { Err(self.short()) } else { Ok(count) }
    }

    /// The boxes inside; those that do not fit end the list.
    pub fn children(self) -> impl Iterator<Item = Body<'a>> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || {
            let head = bytes.split_first_chunk::<8>()?.0;
            let (size, name) = (u32::from_be_bytes(head[..4].try_into().ok()?) as usize, head[4..].try_into().ok()?);
            let (header, size) = match size {
                0 => (8, bytes.len()),
                1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)).ok()?),
                size => (8, size),
            };
            let body = bytes.get(header..size)?;
            bytes = &bytes[size..];
            Some(Body::new(name, body))
        })
    }

    /// The first box inside of that name.
    pub fn child(self, name: &[u8; 4]) -> Option<Body<'a>> {
        self.children().find(|b| b.name == *name)
    }

    pub fn name(&self) -> [u8; 4] {
        self.name
    }
}
