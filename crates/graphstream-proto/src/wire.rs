//! The protobuf wire format, as much of it as the payload needs.
//!
//! Written by hand rather than through the generated messages for two reasons. The limits must hold before memory is taken: a 16 MiB
//! payload of empty parameters would be half a GiB of generated messages. And encoding through messages would copy every
//! string of every entry once more. The tests hold this code against the generated one in both directions.

use crate::limits::{MESSAGES_DEEP_MAX, PAYLOAD_BYTES_MAX};
use crate::{Error, Result};

/// The four wire types there are. Groups, which proto3 does not have, are refused with their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

impl WireType {
    fn number(self) -> u64 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Bytes => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// A field's number and wire type, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) wire_type: WireType,
    pub(crate) offset: usize,
}

/// Reads one message. Offsets are those of the whole payload.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    levels_left: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, offset: 0, levels_left: MESSAGES_DEEP_MAX }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The next field's key, or `None` at the message's end.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<Field>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset;
        let key = self.varint()?;
        let wire_type = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            5 => WireType::Fixed32,
            _ => return Err(Error::InvalidFieldKey { offset, key }),
        };
        match u32::try_from(key >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => Ok(Some(Field { number, wire_type, offset })),
            _ => Err(Error::InvalidFieldKey { offset, key }),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        // Nearly all keys and lengths are one byte.
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            self.offset += 1;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64> {
        if let Some(word) = self.rest.first_chunk().copied().map(u64::from_le_bytes)
            && let Some(length) = varint_len(word)
        {
            self.take(length)?;
            return Ok(seven_bits_each(word & (u64::MAX >> (64 - 8 * length))));
        }
        let offset = self.offset;
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    return Err(Error::VarintTooLong { offset });
                }
                self.take(index + 1)?;
                return Ok(value);
            }
        }
        if self.rest.len() >= 10 {
            return Err(Error::VarintTooLong { offset });
        }
        Err(Error::Truncated { offset: offset + self.rest.len(), needed: 1, found: 0 })
    }

    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8]> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(bytes)
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        let taken = usize::try_from(length).ok().filter(|length| *length <= self.rest.len());
        let Some(length) = taken else {
            return Err(Error::Truncated { offset: self.offset, needed: length, found: self.rest.len() });
        };
        self.take(length)
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        self.text(bytes)
    }

    /// As [`string`](Self::string); `None` if it is the text that is held, which then needs no other look.
    #[inline]
    pub(crate) fn string_or(&mut self, held: &str) -> Result<Option<&'a str>> {
        let bytes = self.bytes()?;
        if bytes == held.as_bytes() { Ok(None) } else { self.text(bytes).map(Some) }
    }

    /// The bytes that were just read, as text.
    #[inline]
    fn text(&self, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes)
            .map_err(|source| Error::NotUtf8 { offset: self.offset - bytes.len(), source })
    }

    /// The reader of the message in the field that is next, if it has this key and a length, of one byte each; else nothing is read.
    #[inline]
    pub(crate) fn short_message(&mut self, key: u8) -> Option<Reader<'a>> {
        let levels_left = self.levels_left.checked_sub(1)?;
        let [found, length @ 0..=0x7f, rest @ ..] = self.rest else { return None };
        if *found != key {
            return None;
        }
        let (message, rest) = rest.split_at_checked(usize::from(*length))?;
        let offset = self.offset + 2;
        (self.rest, self.offset) = (rest, offset + message.len());
        Some(Reader { rest: message, offset, levels_left })
    }

    /// What is left of the message, if a message in it may hold fields.
    #[inline]
    pub(crate) fn may_nest(&self) -> Option<&'a [u8]> {
        (self.levels_left > 0).then_some(self.rest)
    }

    /// A reader of the message in a field of wire type bytes.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Reader<'a>> {
        let Some(levels_left) = self.levels_left.checked_sub(1) else {
            return Err(Error::NestingTooDeep { max: MESSAGES_DEEP_MAX });
        };
        let rest = self.bytes()?;
        Ok(Reader { rest, offset: self.offset - rest.len(), levels_left })
    }

    /// Passes over a field's content.
    pub(crate) fn skip(&mut self, wire_type: WireType) -> Result<()> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.take(8).map(drop),
            WireType::Bytes => self.bytes().map(drop),
            WireType::Fixed32 => self.take(4).map(drop),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let (offset, found) = (self.offset, self.rest.len());
            return Err(Error::Truncated { offset, needed: length as u64, found });
        };
        self.rest = rest;
        self.offset += length;
        Ok(taken)
    }
}

/// The bytes of the varint that eight bytes begin with; `None` if it is longer.
#[inline]
pub(crate) fn varint_len(word: u64) -> Option<usize> {
    let ends = !word & 0x8080_8080_8080_8080;
    (ends != 0).then(|| ends.trailing_zeros() as usize / 8 + 1)
}

/// What eight bytes say with their lower seven bits.
#[inline]
pub(crate) fn seven_bits_each(word: u64) -> u64 {
    let pairs = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// Writes a message and its nested ones, never more than a payload may hold.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    level: usize,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes.min(PAYLOAD_BYTES_MAX)), level: 0 }
    }

    /// The payload. What a length of ten bytes or less could add at the end is checked here.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        if self.out.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge { max: PAYLOAD_BYTES_MAX });
        }
        Ok(self.out)
    }

    pub(crate) fn varint_field(&mut self, number: u32, value: u64) -> Result<()> {
        self.room(20)?;
        self.key(number, WireType::Varint);
        push_varint(&mut self.out, value);
        Ok(())
    }

    pub(crate) fn double_field(&mut self, number: u32, value: f64) -> Result<()> {
        self.room(18)?;
        self.key(number, WireType::Fixed64);
        self.out.extend_from_slice(&value.to_bits().to_le_bytes());
        Ok(())
    }

    pub(crate) fn bytes_field(&mut self, number: u32, bytes: &[u8]) -> Result<()> {
        self.room(bytes.len())?;
        self.key(number, WireType::Bytes);
        push_varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// A field with the message that `write` writes. Its length is put before it once it is known: for nearly all messages one
    /// byte, which is left free; a longer one moves the message.
    pub(crate) fn message_field(
        &mut self,
        number: u32,
        write: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if self.level >= MESSAGES_DEEP_MAX {
            return Err(Error::NestingTooDeep { max: MESSAGES_DEEP_MAX });
        }
        self.room(1)?;
        self.key(number, WireType::Bytes);
        let length_at = self.out.len();
        self.out.push(0);
        self.level += 1;
        write(self)?;
        self.level -= 1;
        let length = self.out.len() - length_at - 1;
        match (u8::try_from(length), self.out.get_mut(length_at)) {
            (Ok(length @ 0..=0x7f), Some(byte)) => *byte = length,
            _ => {
                let mut bytes = Vec::with_capacity(10);
                push_varint(&mut bytes, length as u64);
                self.out.splice(length_at..=length_at, bytes);
            }
        }
        Ok(())
    }

    /// Refuses what would certainly be too large, before it is copied.
    fn room(&self, bytes: usize) -> Result<()> {
        // Slack for what is reserved but not used; `finish` looks at the true size.
        if self.out.len().saturating_add(bytes) > PAYLOAD_BYTES_MAX + 32 {
            return Err(Error::PayloadTooLarge { max: PAYLOAD_BYTES_MAX });
        }
        Ok(())
    }

    fn key(&mut self, number: u32, wire_type: WireType) {
        push_varint(&mut self.out, u64::from(number) << 3 | wire_type.number());
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
