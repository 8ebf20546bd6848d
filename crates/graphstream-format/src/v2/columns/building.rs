//! Payloads under construction, one behind the other in a buffer of fixed length.

use super::decode::Stream;
use crate::varint;

/// Bytes that are copied at once, whatever of them is meant: much faster than as many as it takes, and what is too much is written over.
const STEP: usize = 32;
/// Bytes of the buffer behind those that payloads may take.
pub(crate) const SLACK: usize = STEP;

/// The payloads so far.
#[derive(Debug)]
pub(crate) struct Building<'b> {
    buffer: &'b mut [u8],
    /// Where the next byte goes.
    pub(crate) at: usize,
    /// Most bytes of all payloads.
    longest: usize,
}

impl<'b> Building<'b> {
    /// In a buffer of [`SLACK`] bytes more than all payloads may take.
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        let longest = buffer.len().saturating_sub(SLACK);
        Self { buffer, at: 0, longest }
    }

    /// What was built from this place on.
    pub(crate) fn since(&self, start: usize) -> Option<&[u8]> {
        self.buffer.get(start..self.at)
    }

    fn advance(&mut self, len: usize) -> Option<()> {
        self.at = self.at.checked_add(len).filter(|at| *at <= self.longest)?;
        Some(())
    }

    /// Appends these bytes of `from`.
    pub(super) fn append(&mut self, from: &[u8], start: usize, end: usize) -> Option<()> {
        let (source, target) = (from.get(start..)?, self.buffer.get_mut(self.at..)?);
        let len = end.checked_sub(start)?;
        match (source.first_chunk::<STEP>(), target.first_chunk_mut::<STEP>()) {
            (Some(source), Some(target)) if len <= STEP => *target = *source,
            _ => target.get_mut(..len)?.copy_from_slice(source.get(..len)?),
        }
        self.advance(len)
    }

    /// Appends the next bytes of a stream.
    pub(super) fn append_next(&mut self, from: &[u8], stream: &mut Stream, len: usize) -> Option<()> {
        let start = stream.at;
        stream.at = start.checked_add(len).filter(|end| *end <= stream.end)?;
        self.append(from, start, stream.at)
    }

    pub(super) fn varint(&mut self, mut value: u64) -> Option<()> {
        let target = self.buffer.get_mut(self.at..)?.first_chunk_mut::<10>()?;
        for (len, byte) in (1..).zip(target) {
            *byte = value as u8 | 0x80;
            value >>= 7;
            if value == 0 {
                *byte &= 0x7f;
                return self.advance(len);
            }
        }
        None
    }

    /// Puts the length of what stands behind `start` there, where one byte was left for it.
    pub(super) fn close(&mut self, start: usize) -> Option<()> {
        let len = self.at.checked_sub(start + 1)?;
        let more = varint::len(len as u64) - 1;
        if more == 0 {
            *self.buffer.get_mut(start)? = len as u8;
            return Some(());
        }
        let end = self.at;
        self.advance(more)?;
        self.buffer.copy_within(start + 1..end, start + 1 + more);
        for (shift, byte) in (0..).step_by(7).zip(self.buffer.get_mut(start..=start + more)?) {
            *byte = (len >> shift) as u8 | 0x80;
        }
        *self.buffer.get_mut(start + more)? &= 0x7f;
        Some(())
    }
}
