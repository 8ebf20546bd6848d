//! Payloads under construction, one behind the other in a buffer of fixed length.

use crate::varint;

/// Bytes that are copied at once, whatever of them is meant: much faster than as many as it takes, and what is too much is written over.
const STEP: usize = 32;
/// Bytes of the buffer behind those that payloads may take, and of what is copied from behind what is meant.
pub(crate) const SLACK: usize = STEP;

/// The payloads so far.
#[derive(Debug)]
pub(crate) struct Building<'b> {
    buffer: &'b mut [u8],
    /// Where the next byte goes.
    pub(crate) at: usize,
}

impl<'b> Building<'b> {
    /// In a buffer of [`SLACK`] bytes more than all payloads may take.
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    /// What was built from this place on; `None` if it is longer than it may be.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> Option<&[u8]> {
        self.buffer.get(..self.buffer.len().checked_sub(SLACK)?)?.get(start..self.at)
    }

    /// Appends `len` bytes of `from`, the first at `start`.
    #[inline]
    pub(super) fn append(&mut self, from: &[u8], start: usize, len: usize) -> Option<()> {
        let (source, target) = (from.get(start..)?, self.buffer.get_mut(self.at..)?);
        match (source.first_chunk::<STEP>(), target.first_chunk_mut::<STEP>()) {
            (Some(source), Some(target)) if len <= STEP => *target = *source,
            _ => target.get_mut(..len)?.copy_from_slice(source.get(..len)?),
        }
        self.at += len;
        Some(())
    }

    #[inline]
    pub(super) fn varint(&mut self, value: u64) -> Option<()> {
        let target = self.buffer.get_mut(self.at..)?;
        if value < 1 << 56 {
            let (word, len) = varint::word(value);
            *target.first_chunk_mut()? = word.to_le_bytes();
            self.at += len;
            return Some(());
        }
        self.long_varint(value)
    }

    #[cold]
    fn long_varint(&mut self, mut value: u64) -> Option<()> {
        for byte in self.buffer.get_mut(self.at..)?.first_chunk_mut::<10>()? {
            *byte = value as u8 | 0x80;
            value >>= 7;
            self.at += 1;
            if value == 0 {
                *byte &= 0x7f;
                break;
            }
        }
        Some(())
    }

    /// Puts the length of what stands behind `start` there, where one byte was left for it.
    #[inline]
    pub(super) fn close(&mut self, start: usize) -> Option<()> {
        let len = self.at.checked_sub(start + 1)?;
        if len < 0x80 {
            *self.buffer.get_mut(start)? = len as u8;
            return Some(());
        }
        self.close_long(start, len)
    }

    #[cold]
    fn close_long(&mut self, start: usize, len: usize) -> Option<()> {
        let more = varint::len(len as u64) - 1;
        let end = self.at;
        self.at += more;
        self.buffer.get_mut(start + 1..self.at)?.copy_within(..end - start - 1, more);
        for (shift, byte) in (0..).step_by(7).zip(self.buffer.get_mut(start..=start + more)?) {
            *byte = (len >> shift) as u8 | 0x80;
        }
        *self.buffer.get_mut(start + more)? &= 0x7f;
        Some(())
    }
}
