//! Parameters as nearly all are, taken apart without looking at one field after another: a key, then one text or number, each
//! length in one byte.
//!
//! ```text
//! 0x0a | key_len | key | 0x12 | value_len | field | text, varint or double
//! ```
//!
//! It is a short way to what the decoder finds on its own, never to anything else: what is not exactly this is `None`, and is left to the
//! decoder, which says what is wrong with it.

use crate::wire::{self, Reader};

/// A value that holds no other, its text not yet known to be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plain<'a> {
    Bool(bool),
    Int64(i64),
    Double(f64),
    String(&'a [u8]),
}

const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const BOOL: u8 = 2 << 3;
const INT64: u8 = 3 << 3;
const DOUBLE: u8 = 4 << 3 | 1;
const STRING: u8 = 5 << 3 | 2;
/// A byte from here on is the first of a longer varint.
const LONGER: usize = 0x80;

/// The key and the value in a `ParamEntry` of either schema.
#[inline]
pub(crate) fn param(message: &[u8]) -> Option<(&[u8], Plain<'_>)> {
    let [KEY, length, rest @ ..] = message else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let [VALUE, length, field, value @ ..] = rest else { return None };
    // Their lengths fit the message and each other, so a single byte is what it says.
    if message.len() >= LONGER || usize::from(*length) != value.len() + 1 {
        return None;
    }
    let plain = match (*field, value) {
        (STRING, [length, text @ ..]) if usize::from(*length) == text.len() => Plain::String(text),
        (INT64, _) => Plain::Int64(varint_at_end(message, value)?.cast_signed()),
        (BOOL, _) => Plain::Bool(varint_at_end(message, value)? != 0),
        (DOUBLE, _) => Plain::Double(f64::from_bits(u64::from_le_bytes(value.try_into().ok()?))),
        _ => return None,
    };
    Some((key, plain))
}

/// The number that all of `bytes`, the end of `message`, are. The lengths of numbers follow no pattern, so no loop goes over them where
/// eight bytes can be loaded at once.
#[inline]
fn varint_at_end(message: &[u8], bytes: &[u8]) -> Option<u64> {
    if let (Some(last), 1..=8) = (message.last_chunk(), bytes.len()) {
        let word = u64::from_le_bytes(*last) >> (64 - 8 * bytes.len());
        return (wire::varint_len(word) == Some(bytes.len())).then(|| wire::seven_bits_each(word));
    }
    let mut reader = Reader::new(bytes);
    let value = reader.varint().ok()?;
    (reader.offset() == bytes.len()).then_some(value)
}
