//! Takes a payload apart into a shape and the values of its slots.
//!
//! The grammar is that of `journal.proto`, three messages deep, as a guess about opaque bytes: fields may come in any order, and what is no
//! message inside a field is its bytes. What a shape and its slots would not give back byte for byte is no shape at all: numbers that
//! are not in their shortest form, wire types that are not in use, lengths beyond the end.

use super::{DEPTH_MAX, op};
use crate::varint;

/// The value of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// For VARINT.
    Number(u64),
    /// For FIXED: where its eight bytes start in the payload.
    Fixed { start: usize },
    /// For BYTES and WHOLE: where they stand in the payload.
    Bytes { start: usize, end: usize },
}

/// What a length-delimited field holds.
#[derive(Clone, Copy)]
enum Inside {
    /// Bytes that repeat.
    Literal,
    /// A message of this level.
    Message(Level),
    /// Bytes that differ.
    Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// query = 1, params = 2, timestamp_ms = 3.
    Entry,
    /// key = 1, value = 2.
    Param,
    /// One of many kinds.
    Value,
}

impl Level {
    const fn inside(self, field: u64) -> Inside {
        match (self, field) {
            (Self::Entry | Self::Param, 1) => Inside::Literal,
            (Self::Entry, 2) => Inside::Message(Self::Param),
            (Self::Param, 2) => Inside::Message(Self::Value),
            _ => Inside::Bytes,
        }
    }
}

/// The field of an entry that is its time.
const TIME_FIELD: u64 = 3;

/// Where the bytes begin and end whose length stands at `at`.
#[inline]
fn delimited(payload: &[u8], at: usize) -> Option<(usize, usize)> {
    let (len, read) = varint::read(payload.get(at..)?)?;
    let start = at + read;
    let end = usize::try_from(len).ok()?.checked_add(start).filter(|&end| end <= payload.len())?;
    Some((start, end))
}

/// A number that payloads with equal queries have in common, and others rarely: of the query's length and of what stands at its end and before
/// its middle. Queries of one application begin alike.
#[inline]
pub(super) fn likeness(payload: &[u8]) -> Option<u64> {
    const QUERY: u8 = 1 << 3 | 2;
    let (start, end) = delimited(payload, 1).filter(|_| payload.first() == Some(&QUERY))?;
    let query = payload.get(start..end)?;
    let word = |bytes: &[u8]| bytes.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (front, _) = query.split_at(query.len() / 2);
    let mixed = word(query) ^ word(front).rotate_left(29) ^ query.len() as u64;
    Some(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Whether `bytes` begin with these. Most literals are so short that to call for it takes longer than it.
#[inline]
fn begin_with(bytes: &[u8], literal: &[u8]) -> bool {
    if literal.len() > 16 {
        return bytes.starts_with(literal);
    }
    if bytes.len() < literal.len() {
        return false;
    }
    literal.iter().zip(bytes).fold(0, |different, (one, other)| different | (one ^ other)) == 0
}

/// Takes payloads apart. Its buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Shaper {
    /// The shape: operations, END included.
    pub(super) shape: Vec<u8>,
    /// What its slots hold, in their order; but not TIME.
    pub(super) slots: Vec<Slot>,
    /// What TIME is, if there is one.
    pub(super) time: Option<u64>,
    /// How many operations the shape has, END included.
    pub(super) operations: usize,
    /// Where the bytes begin that go into the next literal.
    literal_at: usize,
}

impl Shaper {
    /// Shape and slots of a payload that is a message as far as can be seen; false otherwise.
    pub(super) fn take_apart(&mut self, payload: &[u8]) -> bool {
        self.clear();
        if self.message(payload, 0, payload.len(), Level::Entry).is_none() {
            return false;
        }
        self.literal(payload, payload.len());
        self.operation(op::END);
        true
    }

    /// The slots of a payload if this shape gives it back; false otherwise. Far faster than to take it apart.
    pub(super) fn follow(&mut self, shape: &[u8], payload: &[u8]) -> bool {
        self.slots.clear();
        self.time = None;
        self.slots_by(shape, payload).is_some()
    }

    fn slots_by(&mut self, mut shape: &[u8], payload: &[u8]) -> Option<()> {
        let (mut at, mut ends, mut depth) = (0, [0; DEPTH_MAX], 0);
        loop {
            let (&code, behind) = shape.split_first()?;
            shape = behind;
            match code {
                op::END => return (at == payload.len()).then_some(()),
                op::LITERAL => {
                    let (len, read) = varint::read(shape)?;
                    let (literal, behind) = shape.get(read..)?.split_at_checked(len as usize)?;
                    shape = behind;
                    if !begin_with(payload.get(at..)?, literal) {
                        return None;
                    }
                    at += literal.len();
                }
                op::TIME | op::VARINT => {
                    let (number, read) = varint::read_at(payload, at)?;
                    at += read;
                    if code == op::TIME {
                        self.time = Some(number);
                    } else {
                        self.slots.push(Slot::Number(number));
                    }
                }
                op::FIXED => {
                    self.slots.push(Slot::Fixed { start: at });
                    at = at.checked_add(8).filter(|end| *end <= payload.len())?;
                }
                op::BYTES => {
                    let (start, end) = delimited(payload, at)?;
                    self.slots.push(Slot::Bytes { start, end });
                    at = end;
                }
                op::OPEN => {
                    let (start, end) = delimited(payload, at)?;
                    *ends.get_mut(depth)? = end;
                    depth += 1;
                    at = start;
                }
                op::CLOSE => {
                    depth = depth.checked_sub(1)?;
                    // The length would be another one.
                    if at != *ends.get(depth)? {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    /// The shape of a payload without structure.
    pub(super) fn whole(&mut self, payload: &[u8]) {
        self.clear();
        self.operation(op::WHOLE);
        self.operation(op::END);
        self.slots.push(Slot::Bytes { start: 0, end: payload.len() });
    }

    fn clear(&mut self) {
        self.shape.clear();
        self.slots.clear();
        (self.time, self.operations, self.literal_at) = (None, 0, 0);
    }

    fn operation(&mut self, operation: u8) {
        self.shape.push(operation);
        self.operations += 1;
    }

    /// Ends the literal before a slot at `end`.
    fn literal(&mut self, payload: &[u8], end: usize) {
        if let Some(bytes) = payload.get(self.literal_at..end).filter(|bytes| !bytes.is_empty()) {
            self.operation(op::LITERAL);
            varint::write(bytes.len() as u64, &mut self.shape);
            self.shape.extend_from_slice(bytes);
        }
        self.literal_at = end;
    }

    /// The fields from `at` to `end`, exactly. `None` if they are no message.
    fn message(&mut self, payload: &[u8], mut at: usize, end: usize, level: Level) -> Option<()> {
        while at < end {
            let (tag, tag_len) = varint::read(payload.get(at..end)?)?;
            at += tag_len;
            let (field, wire_type) = (tag >> 3, tag & 7);
            match wire_type {
                0 => {
                    let (value, len) = varint::read(payload.get(at..end)?)?;
                    self.literal(payload, at);
                    at += len;
                    self.literal_at = at;
                    if level == Level::Entry && field == TIME_FIELD && self.time.is_none() {
                        self.time = Some(value);
                        self.operation(op::TIME);
                    } else {
                        self.operation(op::VARINT);
                        self.slots.push(Slot::Number(value));
                    }
                }
                1 => {
                    let behind = at.checked_add(8).filter(|&behind| behind <= end)?;
                    self.literal(payload, at);
                    self.operation(op::FIXED);
                    self.slots.push(Slot::Fixed { start: at });
                    (at, self.literal_at) = (behind, behind);
                }
                2 => {
                    let (start, behind) = delimited(payload.get(..end)?, at)?;
                    self.delimited(payload, (at, start, behind), level.inside(field));
                    at = behind;
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// What stands from `start` to `end`, behind its length at `at`.
    fn delimited(&mut self, payload: &[u8], (at, start, end): (usize, usize, usize), inside: Inside) {
        match inside {
            Inside::Literal => return,
            Inside::Message(level) => {
                let before = (self.shape.len(), self.slots.len(), self.operations, self.literal_at);
                self.literal(payload, at);
                self.operation(op::OPEN);
                self.literal_at = start;
                if self.message(payload, start, end, level).is_some() {
                    self.literal(payload, end);
                    self.operation(op::CLOSE);
                    return;
                }
                let (shape_len, slots, operations, literal_at) = before;
                self.shape.truncate(shape_len);
                self.slots.truncate(slots);
                (self.operations, self.literal_at) = (operations, literal_at);
            }
            Inside::Bytes => {}
        }
        self.literal(payload, at);
        self.operation(op::BYTES);
        self.slots.push(Slot::Bytes { start, end });
        self.literal_at = end;
    }
}
