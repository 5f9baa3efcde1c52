//! XCDR1, little-endian, as ROS 2 puts it on the wire (OMG DDSI-RTPS 10.2, DDS-XTypes 7.4): primitives aligned to their size relative
//! to the byte after the 4-byte encapsulation header; strings with a 32-bit length that counts the closing NUL.
//!
//! Sequences of primitives are copied in bulk. The reader trusts no length: it never sets aside more memory than bytes remain.

mod pieces;

use crate::{Bytes, Message};

pub use pieces::Pieces;

/// Byte sequences from this length on are referred to rather than copied, where the caller allows it.
const SHARE_FROM: usize = 4096;

/// Encapsulation header: plain CDR, little-endian, no options.
pub const HEADER: [u8; 4] = [0x00, 0x01, 0x00, 0x00];

/// Why bytes are not an encoding of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The header is not that of plain CDR.
    #[error("encapsulation header {0:02x?} is not that of plain CDR (00 01 00 00, or 00 00 00 00 for big-endian){reason}", reason = other_encapsulation(.0))]
    Encapsulation(Vec<u8>),
    /// The bytes end before the message does.
    #[error("truncated at byte {offset}: {needed} more bytes are needed, {remaining} are left")]
    Truncated {
        /// Position after the header.
        offset: usize,
        /// Bytes that the next item takes.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A sequence or string is longer than its type allows.
    #[error("length {length} at byte {offset} is over the bound of {bound}")]
    Bound {
        /// Position after the header.
        offset: usize,
        /// Length found.
        length: usize,
        /// Largest allowed length.
        bound: usize,
    },
    /// A string does not end with NUL.
    #[error("the string at byte {offset} has no closing NUL")]
    Terminator {
        /// Position after the header.
        offset: usize,
    },
    /// A string is not UTF-8.
    #[error("the string at byte {offset} is not UTF-8")]
    Utf8 {
        /// Position after the header.
        offset: usize,
    },
    /// A wide string is not UTF-16.
    #[error("the wide string at byte {offset} is not UTF-16")]
    Utf16 {
        /// Position after the header.
        offset: usize,
    },
    /// A boolean is neither 0 nor 1.
    #[error("{value} at byte {offset} is not a boolean")]
    Boolean {
        /// Position after the header.
        offset: usize,
        /// Value found.
        value: u8,
    },
}

/// What another encapsulation is (OMG DDS-XTypes 1.3, 7.6.3.1.2), for the error message.
fn other_encapsulation(header: &[u8]) -> &'static str {
    match header {
        [0, 2 | 3, ..] => ": it is a parameter list (PL_CDR)",
        [0, 6..=11, ..] => ": it is XCDR version 2",
        [0, 4 | 5, ..] => ": it is XML",
        [_, _, _, _, ..] => "",
        _ => ": it is too short",
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A primitive with a fixed size, aligned to it.
pub trait Primitive: Copy + Default + sealed::Sealed {
    /// Size and alignment in bytes.
    const SIZE: usize;
    /// Appends the bytes of all `values`.
    fn append(values: &[Self], buffer: &mut Vec<u8>);
    /// Reads all values of `source`, a whole number of `SIZE` bytes.
    fn read_all(source: &[u8]) -> Vec<Self>;
    /// Reads `values.len()` values of `source`.
    fn read_into(source: &[u8], values: &mut [Self]);
    /// The position of the first value that is not allowed.
    fn find_invalid(_source: &[u8]) -> Option<usize> {
        None
    }
}

macro_rules! primitive {
    ($($type:ty)*) => {$(
        impl sealed::Sealed for $type {}
        impl Primitive for $type {
            const SIZE: usize = size_of::<$type>();
            #[inline]
            fn append(values: &[Self], buffer: &mut Vec<u8>) {
                if let [value] = values {
                    buffer.extend_from_slice(&value.to_le_bytes());
                    return;
                }
                // A loop over chunks of known size is vectorised; the fill before it costs little beside.
                let start = buffer.len();
                buffer.resize(start + values.len() * Self::SIZE, 0);
                for (chunk, value) in buffer[start..].as_chunks_mut().0.iter_mut().zip(values) {
                    *chunk = value.to_le_bytes();
                }
            }
            #[inline]
            fn read_all(source: &[u8]) -> Vec<Self> {
                source.as_chunks().0.iter().map(|chunk| <$type>::from_le_bytes(*chunk)).collect()
            }
            #[inline]
            fn read_into(source: &[u8], values: &mut [Self]) {
                for (value, chunk) in values.iter_mut().zip(source.as_chunks().0) {
                    *value = <$type>::from_le_bytes(*chunk);
                }
            }
        }
    )*};
}
primitive!(i8 i16 u16 i32 u32 i64 u64 f32 f64);

impl sealed::Sealed for u8 {}
impl Primitive for u8 {
    const SIZE: usize = 1;
    #[inline]
    fn append(values: &[Self], buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(values);
    }
    #[inline]
    fn read_all(source: &[u8]) -> Vec<Self> {
        source.to_vec()
    }
    #[inline]
    fn read_into(source: &[u8], values: &mut [Self]) {
        values.copy_from_slice(source);
    }
}

impl sealed::Sealed for bool {}
impl Primitive for bool {
    const SIZE: usize = 1;
    #[inline]
    fn append(values: &[Self], buffer: &mut Vec<u8>) {
        buffer.extend(values.iter().map(|value| u8::from(*value)));
    }
    #[inline]
    fn read_all(source: &[u8]) -> Vec<Self> {
        source.iter().map(|byte| *byte != 0).collect()
    }
    #[inline]
    fn read_into(source: &[u8], values: &mut [Self]) {
        for (value, byte) in values.iter_mut().zip(source) {
            *value = *byte != 0;
        }
    }
    #[inline]
    fn find_invalid(source: &[u8]) -> Option<usize> {
        source.iter().position(|byte| *byte > 1)
    }
}

/// Builds an encoded message.
#[derive(Debug)]
pub struct Writer {
    pieces: Pieces,
    /// Bytes that are referred to so far.
    shared_len: usize,
    share_from: usize,
}

impl Writer {
    /// A writer that holds the encapsulation header, with room for `body` more bytes.
    pub fn with_capacity(body: usize) -> Self {
        let mut written = Vec::with_capacity(HEADER.len() + body);
        written.extend_from_slice(&HEADER);
        Self { pieces: Pieces { written, shared: Vec::new() }, shared_len: 0, share_from: usize::MAX }
    }

    /// A writer that refers to large byte sequences instead of copying them, for a body of about `body` bytes.
    pub fn sharing(body: usize) -> Self {
        Self { share_from: SHARE_FROM, ..Self::with_capacity(body.min(SHARE_FROM)) }
    }

    /// The encoded message with its header.
    ///
    /// # Panics
    /// If the writer refers to bytes: what [`Writer::sharing`] began ends with [`Writer::finish_pieces`].
    pub fn finish(self) -> Vec<u8> {
        assert!(self.pieces.shared.is_empty(), "a message in pieces");
        self.pieces.written
    }

    /// The encoded message with its header, in pieces.
    pub fn finish_pieces(self) -> Pieces {
        self.pieces
    }

    #[inline]
    fn align(&mut self, size: usize) {
        // The header has 4 bytes, which keeps alignments up to 4; 8 is relative to the body.
        let position = self.pieces.written.len() + self.shared_len - HEADER.len();
        let padding = position.next_multiple_of(size) - position;
        if padding != 0 {
            self.pieces.written.resize(self.pieces.written.len() + padding, 0);
        }
    }

    /// Writes one primitive.
    #[inline]
    pub fn put<T: Primitive>(&mut self, value: T) {
        self.put_array(&[value]);
    }

    /// Writes a fixed number of primitives.
    #[inline]
    pub fn put_array<T: Primitive>(&mut self, values: &[T]) {
        if values.is_empty() {
            return;
        }
        self.align(T::SIZE);
        T::append(values, &mut self.pieces.written);
    }

    /// Writes a length and that many primitives.
    #[inline]
    pub fn put_sequence<T: Primitive>(&mut self, values: &[T]) {
        self.put_length(values.len());
        self.put_array(values);
    }

    /// Writes a length and that many bytes, or a reference to them.
    #[inline]
    pub fn put_bytes(&mut self, values: &Bytes) {
        self.put_length(values.len());
        if values.len() < self.share_from {
            self.put_array(values);
        } else {
            self.pieces.shared.push((self.pieces.written.len(), values.clone()));
            self.shared_len += values.len();
        }
    }

    /// Writes a sequence length. A length over 32 bits cannot be expressed; no message of this size fits into memory pools either, so
    /// it is cut to the largest and the reader refuses the message as truncated.
    #[inline]
    pub fn put_length(&mut self, length: usize) {
        self.put(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Writes a string with its closing NUL.
    #[inline]
    pub fn put_string(&mut self, value: &str) {
        self.put_length(value.len() + 1);
        self.pieces.written.extend_from_slice(value.as_bytes());
        self.pieces.written.push(0);
    }

    /// Writes a fixed number of strings.
    pub fn put_string_array(&mut self, values: &[String]) {
        values.iter().for_each(|value| self.put_string(value));
    }

    /// Writes a length and that many strings.
    pub fn put_string_sequence(&mut self, values: &[String]) {
        self.put_length(values.len());
        self.put_string_array(values);
    }

    /// Writes a wide string as Fast CDR does: the number of UTF-16 units, and each unit in four bytes; no closing NUL.
    pub fn put_wstring(&mut self, value: &str) {
        self.put_length(value.encode_utf16().count());
        value.encode_utf16().for_each(|unit| self.put(u32::from(unit)));
    }

    /// Writes a fixed number of messages.
    pub fn put_message_array<M: Message>(&mut self, values: &[M]) {
        values.iter().for_each(|value| value.encode(self));
    }

    /// Writes a length and that many messages.
    pub fn put_message_sequence<M: Message>(&mut self, values: &[M]) {
        self.put_length(values.len());
        self.put_message_array(values);
    }
}

/// Reads an encoded message.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    /// The bytes after the header.
    body: &'a [u8],
    position: usize,
    /// What `body` is a part of, if it may be referred to.
    whole: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// A reader of the body of `bytes`.
    ///
    /// # Errors
    /// [`Error::Encapsulation`] if the header is not [`HEADER`] (the two option bytes are not looked at: some writers note padding
    /// there).
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        match Self::either(bytes)? {
            (reader, false) => Ok(reader),
            (_, true) => Err(Error::Encapsulation(bytes[..4].to_vec())),
        }
    }

    /// A reader of the body, and whether the body is big-endian.
    pub(crate) fn either(bytes: &'a [u8]) -> Result<(Self, bool), Error> {
        match bytes {
            [0, order @ (0 | 1), _, _, body @ ..] => Ok((Self { body, position: 0, whole: None }, *order == 0)),
            other => Err(Error::Encapsulation(other[..other.len().min(4)].to_vec())),
        }
    }

    /// A reader whose large byte sequences are views of `bytes` rather than copies.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn sharing(bytes: &'a Bytes) -> Result<Self, Error> {
        Ok(Self { whole: Some(bytes), ..Self::new(bytes)? })
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.body.len() - self.position
    }

    #[inline]
    fn take(&mut self, align: usize, length: usize) -> Result<&'a [u8], Error> {
        let start = self.position.next_multiple_of(align);
        let end = start.saturating_add(length);
        match self.body.get(start..end) {
            Some(bytes) => {
                self.position = end;
                Ok(bytes)
            }
            None => Err(self.truncated(end - self.position)),
        }
    }

    fn truncated(&self, needed: usize) -> Error {
        Error::Truncated { offset: self.position, needed, remaining: self.remaining() }
    }

    /// Reads one primitive.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::Boolean`].
    #[inline]
    pub fn get<T: Primitive>(&mut self) -> Result<T, Error> {
        Ok(self.get_array::<T, 1>()?[0])
    }

    /// Reads a fixed number of primitives.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::Boolean`].
    #[inline]
    pub fn get_array<T: Primitive, const N: usize>(&mut self) -> Result<[T; N], Error> {
        let bytes = self.take(T::SIZE, N * T::SIZE)?;
        self.check::<T>(bytes)?;
        let mut values = [T::default(); N];
        T::read_into(bytes, &mut values);
        Ok(values)
    }

    fn check<T: Primitive>(&self, bytes: &[u8]) -> Result<(), Error> {
        match T::find_invalid(bytes) {
            None => Ok(()),
            Some(index) => Err(Error::Boolean { offset: self.position - bytes.len() + index, value: bytes[index] }),
        }
    }

    /// Reads a length and that many primitives.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::Bound`] if there are more than `bound`; [`Error::Boolean`].
    #[inline]
    pub fn get_sequence<T: Primitive>(&mut self, bound: Option<usize>) -> Result<Vec<T>, Error> {
        let length = self.get_length(bound, T::SIZE)?;
        if length == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.take(T::SIZE, length.saturating_mul(T::SIZE))?;
        self.check::<T>(bytes)?;
        Ok(T::read_all(bytes))
    }

    /// Reads a length and that many bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::Bound`] if there are more than `bound`.
    #[inline]
    pub fn get_bytes(&mut self, bound: Option<usize>) -> Result<Bytes, Error> {
        let length = self.get_length(bound, 1)?;
        let bytes = self.take(1, length)?;
        Ok(match self.whole {
            Some(whole) if length >= SHARE_FROM => whole.slice_ref(bytes),
            _ => Bytes::copy_from_slice(bytes),
        })
    }

    /// Reads the length of a sequence whose elements take at least `element` bytes each.
    ///
    /// # Errors
    /// [`Error::Truncated`] if that many elements cannot follow; [`Error::Bound`] if there are more than `bound`.
    #[inline]
    pub fn get_length(&mut self, bound: Option<usize>, element: usize) -> Result<usize, Error> {
        let length = self.get::<u32>()? as usize;
        self.check_length(length, bound, element)
    }

    /// Refuses a length that was just read if it cannot be.
    #[inline]
    pub(crate) fn check_length(&self, length: usize, bound: Option<usize>, element: usize) -> Result<usize, Error> {
        if let Some(bound) = bound.filter(|bound| length > *bound) {
            return Err(Error::Bound { offset: self.position - 4, length, bound });
        }
        let needed = length.saturating_mul(element);
        if needed > self.remaining() {
            return Err(self.truncated(needed));
        }
        Ok(length)
    }

    /// Reads a string; a length of 0, which some writers use for the empty string, is accepted.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::Bound`] if it has more than `bound` bytes; [`Error::Terminator`]; [`Error::Utf8`].
    #[inline]
    pub fn get_string(&mut self, bound: Option<usize>) -> Result<String, Error> {
        let length = self.get_length(bound.map(|b| b.saturating_add(1)), 1)?;
        self.get_text(length)
    }

    /// Reads a string whose length was just read.
    pub(crate) fn get_text(&mut self, length: usize) -> Result<String, Error> {
        let offset = self.position;
        match self.take(1, length)? {
            [] => Ok(String::new()),
            [text @ .., 0] => Ok(std::str::from_utf8(text).map_err(|_| Error::Utf8 { offset })?.to_owned()),
            _ => Err(Error::Terminator { offset }),
        }
    }

    /// Reads a fixed number of strings.
    ///
    /// # Errors
    /// As [`Reader::get_string`].
    pub fn get_string_array<const N: usize>(&mut self, bound: Option<usize>) -> Result<[String; N], Error> {
        let mut values = std::array::from_fn(|_| String::new());
        for value in &mut values {
            *value = self.get_string(bound)?;
        }
        Ok(values)
    }

    /// Reads a length and that many strings.
    ///
    /// # Errors
    /// As [`Reader::get_string`]; [`Error::Bound`] if there are more than `bound`.
    pub fn get_string_sequence(&mut self, bound: Option<usize>, each: Option<usize>) -> Result<Vec<String>, Error> {
        let length = self.get_length(bound, 4)?;
        let mut values = self.modest(length);
        for _ in 0..length {
            values.push(self.get_string(each)?);
        }
        Ok(values)
    }

    /// Reads a wide string, see [`Writer::put_wstring`]. A unit over `FFFF` is taken for a whole character, as some writers mean it.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::Bound`] if it has more than `bound` units; [`Error::Utf16`].
    pub fn get_wstring(&mut self, bound: Option<usize>) -> Result<String, Error> {
        let length = self.get_length(bound, 4)?;
        let offset = self.position;
        let bytes = self.take(4, length.saturating_mul(4))?;
        wide_text(bytes.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit))).ok_or(Error::Utf16 { offset })
    }

    /// Reads `length` bytes as they are.
    pub(crate) fn get_raw(&mut self, align: usize, length: usize) -> Result<&'a [u8], Error> {
        self.take(align, length)
    }

    /// Position after the header.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Reads a fixed number of messages.
    ///
    /// # Errors
    /// Those of the message.
    pub fn get_message_array<M: Message, const N: usize>(&mut self) -> Result<[M; N], Error> {
        let mut values = std::array::from_fn(|_| M::default());
        for value in &mut values {
            *value = M::decode(self)?;
        }
        Ok(values)
    }

    /// Reads a length and that many messages.
    ///
    /// # Errors
    /// Those of the message; [`Error::Bound`] if there are more than `bound`.
    pub fn get_message_sequence<M: Message>(&mut self, bound: Option<usize>) -> Result<Vec<M>, Error> {
        let length = self.get_length(bound, M::message_type().min_size)?;
        let mut values = self.modest(length);
        for _ in 0..length {
            values.push(M::decode(self)?);
        }
        Ok(values)
    }

    /// A vector with room for `length` items, but for no more bytes than remain to be read.
    fn modest<T>(&self, length: usize) -> Vec<T> {
        Vec::with_capacity(length.min(self.remaining() / size_of::<T>().max(1)))
    }
}

/// Text of UTF-16 units, or of whole characters.
pub(crate) fn wide_text(units: impl Iterator<Item = u32>) -> Option<String> {
    let mut text = String::new();
    let mut units = units.peekable();
    while let Some(unit) = units.next() {
        let code = match (unit, units.peek()) {
            (0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
                let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                units.next();
                code
            }
            _ => unit,
        };
        text.push(char::from_u32(code)?);
    }
    Some(text)
}
