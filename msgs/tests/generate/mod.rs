//! Valid encodings of any shipped type, from a seed.

use msgs::cdr::Writer;
use msgs::{Kind, MessageType, Shape};

/// A small generator of numbers (xorshift64*).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// An encoding of `message_type`, header included.
pub fn encoding(message_type: &'static MessageType, numbers: &mut Numbers) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    message(message_type, numbers, &mut writer, 3);
    writer.finish()
}

fn message(message_type: &'static MessageType, numbers: &mut Numbers, w: &mut Writer, longest: usize) {
    if message_type.fields.is_empty() {
        w.put(0_u8);
    }
    for field in message_type.fields {
        let count = match field.shape {
            Shape::Single => 1,
            Shape::Array(count) => count,
            Shape::Sequence(bound) => {
                let count = numbers.below(longest + 1).min(bound.unwrap_or(usize::MAX));
                w.put_length(count);
                count
            }
        };
        for _ in 0..count {
            element(field.kind, numbers, w, longest.saturating_sub(1));
        }
    }
}

fn element(kind: Kind, numbers: &mut Numbers, w: &mut Writer, longest: usize) {
    const WORDS: [&str; 6] = ["", "a", "base_link", "Grüße", "日本", "four and more"];
    let word = |numbers: &mut Numbers, bound: Option<usize>| {
        let word = WORDS[numbers.below(WORDS.len())];
        if bound.is_some_and(|bound| word.len() > bound) { "" } else { word }
    };
    match kind {
        Kind::Bool => w.put(numbers.below(2) == 1),
        Kind::I8 | Kind::U8 => w.put(numbers.next() as u8),
        Kind::I16 | Kind::U16 => w.put(numbers.next() as u16),
        Kind::I32 | Kind::U32 | Kind::F32 => w.put(numbers.next() as u32),
        Kind::I64 | Kind::U64 | Kind::F64 => w.put(numbers.next()),
        Kind::String(bound) => w.put_string(word(numbers, bound)),
        Kind::WString(bound) => w.put_wstring(word(numbers, bound)),
        Kind::Message(inner) => message(inner, numbers, w, longest),
    }
}

/// `bytes` with damage: changed, inserted or removed bytes, and lengths that cannot be.
pub fn damaged(mut bytes: Vec<u8>, numbers: &mut Numbers) -> Vec<u8> {
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(bytes.len());
        match numbers.below(5) {
            0 => bytes[at] = numbers.next() as u8,
            1 => bytes.truncate(at.max(4)),
            2 => bytes.insert(at, numbers.next() as u8),
            3 => {
                let word = at & !3;
                let length = [u32::MAX, 1 << 31, 1 << 20, 0, 255, numbers.next() as u32][numbers.below(6)];
                if let Some(target) = bytes.get_mut(word..word + 4) {
                    target.copy_from_slice(&length.to_le_bytes());
                }
            }
            _ => bytes[at] ^= 1 << numbers.below(8),
        }
    }
    bytes
}
