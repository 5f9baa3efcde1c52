//! Walks encoded bytes by a type's layout: turns big-endian into little-endian, checks, and normalises padding.

use crate::cdr::{Error, Reader, Writer, wide_text};
use crate::layout::{Layout, min_size};
use crate::{Kind, Shape};

/// The little-endian form of a big-endian message; `None` if the message is little-endian already.
///
/// # Errors
/// [`Error`] if the header is another one, or if big-endian bytes are not an encoding of this type.
pub(crate) fn to_little_endian<'a>(layout: impl Layout<'a>, bytes: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    match Reader::either(bytes)? {
        (_, false) => Ok(None),
        (reader, true) => Walk { reader, big: true, writer: Writer::with_capacity(bytes.len()) }.run(layout).map(Some),
    }
}

/// Checks an encoded message and normalises it: little-endian, padding zero, nothing after the message.
///
/// # Errors
/// [`Error`] if the bytes are not an encoding of this type.
pub fn recode<'a>(layout: impl Layout<'a>, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let (reader, big) = Reader::either(bytes)?;
    Walk { reader, big, writer: Writer::with_capacity(bytes.len()) }.run(layout)
}

struct Walk<'b> {
    reader: Reader<'b>,
    big: bool,
    writer: Writer,
}

impl Walk<'_> {
    fn run<'a>(mut self, layout: impl Layout<'a>) -> Result<Vec<u8>, Error> {
        self.message(layout)?;
        Ok(self.writer.finish())
    }

    fn message<'a, L: Layout<'a>>(&mut self, layout: L) -> Result<(), Error> {
        let mut empty = true;
        for field in layout.fields() {
            empty = false;
            let count = match field.shape {
                Shape::Single => 1,
                Shape::Array(count) => count,
                Shape::Sequence(bound) => {
                    let length = self.number()? as usize;
                    let length = self.reader.check_length(length, bound, min_size(field.kind))?;
                    self.writer.put_length(length);
                    length
                }
            };
            self.elements(field.kind, count)?;
        }
        if empty {
            // What stands in for "no field" means nothing: generated code writes 0.
            self.reader.get::<u8>()?;
            self.writer.put(0_u8);
        }
        Ok(())
    }

    /// A 32-bit number.
    fn number(&mut self) -> Result<u32, Error> {
        let value = self.reader.get::<u32>()?;
        Ok(if self.big { value.swap_bytes() } else { value })
    }

    fn elements<'a, L: Layout<'a>>(&mut self, kind: Kind<L>, count: usize) -> Result<(), Error> {
        match kind {
            Kind::Bool => (0..count).try_for_each(|_| {
                let value = self.reader.get::<bool>()?;
                self.writer.put(value);
                Ok(())
            }),
            Kind::I8 | Kind::U8 => {
                let bytes = self.reader.get_raw(1, count)?;
                self.writer.put_array(bytes);
                Ok(())
            }
            Kind::I16 | Kind::U16 => self.primitives(count, |bytes| u16::from_ne_bytes(*bytes)),
            Kind::I32 | Kind::U32 | Kind::F32 => self.primitives(count, |bytes| u32::from_ne_bytes(*bytes)),
            Kind::I64 | Kind::U64 | Kind::F64 => self.primitives(count, |bytes| u64::from_ne_bytes(*bytes)),
            Kind::String(bound) => (0..count).try_for_each(|_| self.string(bound)),
            Kind::WString(bound) => (0..count).try_for_each(|_| self.wide_string(bound)),
            Kind::Message(inner) => (0..count).try_for_each(|_| self.message(inner)),
        }
    }

    /// Copies primitives of `N` bytes; what stands in them does not matter, so floats go as integers.
    fn primitives<T: crate::cdr::Primitive, const N: usize>(
        &mut self,
        count: usize,
        read: impl Fn(&[u8; N]) -> T,
    ) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let bytes = self.reader.get_raw(N, count.saturating_mul(N))?;
        for chunk in bytes.as_chunks::<N>().0 {
            let mut chunk = *chunk;
            // `put` writes the native number as little-endian.
            if self.big != cfg!(target_endian = "big") {
                chunk.reverse();
            }
            self.writer.put(read(&chunk));
        }
        Ok(())
    }

    fn string(&mut self, bound: Option<usize>) -> Result<(), Error> {
        let length = self.number()? as usize;
        let length = self.reader.check_length(length, bound.map(|b| b.saturating_add(1)), 1)?;
        let text = self.reader.get_text(length)?;
        self.writer.put_string(&text);
        Ok(())
    }

    fn wide_string(&mut self, bound: Option<usize>) -> Result<(), Error> {
        let length = self.number()? as usize;
        let length = self.reader.check_length(length, bound, 4)?;
        let offset = self.reader.position();
        let bytes = self.reader.get_raw(4, length.saturating_mul(4))?;
        let big = self.big;
        let unit = |unit: &[u8; 4]| if big { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) };
        let text = wide_text(bytes.as_chunks().0.iter().map(unit)).ok_or(Error::Utf16 { offset })?;
        self.writer.put_wstring(&text);
        Ok(())
    }
}
