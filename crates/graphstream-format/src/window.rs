//! A bounded view that moves forward over a segment, whatever it is read from.

use std::io::{Error, ErrorKind, Read, Result};

use crate::read_at::ReadAt;

/// Bytes asked from the source at once, at least.
pub(crate) const CHUNK: usize = 64 << 10;

/// Where a [`Window`] gets its bytes.
pub(crate) trait Source {
    /// Whether bytes may be read again, and may have changed since (another process appends).
    const LIVE: bool;

    /// Reads some bytes from `offset`; 0 is the end for now.
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize>;
}

/// A source that can be read anywhere, again and again.
#[derive(Debug)]
pub(crate) struct Anywhere<S>(pub(crate) S);

impl<S: ReadAt> Source for Anywhere<S> {
    const LIVE: bool = true;

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

/// A source that is read once, front to back, up to a known length.
#[derive(Debug)]
pub(crate) struct Forward<R> {
    inner: R,
    at: u64,
    end: u64,
}

impl<R: Read> Forward<R> {
    /// `inner` stands at `at`; nothing at or behind `end` is read.
    pub(crate) fn new(inner: R, at: u64, end: u64) -> Self {
        Self { inner, at, end }
    }
}

impl<R: Read> Source for Forward<R> {
    const LIVE: bool = false;

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        while self.at < offset && self.at < self.end {
            let mut skipped = [0; 4096];
            let wanted = (offset.min(self.end) - self.at).min(skipped.len() as u64) as usize;
            let (skipped, _) = skipped.split_at_mut(wanted);
            match self.inner.read(skipped)? {
                0 => return Ok(0),
                read => self.at += read as u64,
            }
        }
        if self.at > offset {
            return Err(Error::new(ErrorKind::Unsupported, "the stream cannot go back"));
        }
        let room = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(room);
        let read = if buffer.is_empty() { 0 } else { self.inner.read(buffer)? };
        self.at += read as u64;
        Ok(read)
    }
}

/// Bytes of a segment from some offset on. Memory grows with what was asked for *and* found, so a hostile length in a
/// small file costs nothing.
///
/// ```text
/// buffer  | passed | held: from `offset` on | room, used again |
///         0      passed                   filled
/// ```
#[derive(Debug)]
pub(crate) struct Window<S> {
    source: S,
    buffer: Vec<u8>,
    passed: usize,
    filled: usize,
    /// File offset of the first byte that is not passed.
    offset: u64,
}

impl<S: Source> Window<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, buffer: Vec::new(), passed: 0, filled: 0, offset: 0 }
    }

    /// Up to `wanted` bytes from `offset`: fewer only where the source ends. Offsets must not decrease unless the source
    /// is live.
    pub(crate) fn bytes(&mut self, offset: u64, wanted: usize) -> Result<&[u8]> {
        self.advance(offset)?;
        while self.filled - self.passed < wanted {
            if !self.fill(wanted)? {
                break;
            }
        }
        let held = self.buffer.get(self.passed..self.filled).unwrap_or_default();
        Ok(held.get(..wanted).unwrap_or(held))
    }

    /// A whole [`CHUNK`] from `offset`; fewer bytes only where the source ends.
    pub(crate) fn chunk(&mut self, offset: u64) -> Result<&[u8]> {
        self.bytes(offset, CHUNK)
    }

    /// `len` bytes at `offset` of what [`Window::bytes`] returned last; empty if they are not held.
    pub(crate) fn held(&self, offset: u64, len: usize) -> &[u8] {
        let Some(skip) = offset.checked_sub(self.offset).and_then(|skip| usize::try_from(skip).ok()) else {
            return &[];
        };
        let held = self.buffer.get(self.passed..self.filled).unwrap_or_default();
        held.get(skip..skip.saturating_add(len)).unwrap_or_default()
    }

    /// Drops what was read, so that a live source is asked again.
    pub(crate) fn forget(&mut self) {
        if S::LIVE {
            (self.passed, self.filled) = (0, 0);
        }
    }

    fn advance(&mut self, offset: u64) -> Result<()> {
        let held = (self.filled - self.passed) as u64;
        match offset.checked_sub(self.offset) {
            Some(skip) if skip <= held => self.passed += skip as usize,
            None if !S::LIVE => return Err(Error::new(ErrorKind::Unsupported, "the stream cannot go back")),
            _ => (self.passed, self.filled) = (0, 0),
        }
        self.offset = offset;
        Ok(())
    }

    /// Reads once more behind what is held; false at the end.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        self.buffer.copy_within(self.passed..self.filled, 0);
        self.filled -= self.passed;
        self.passed = 0;
        let held = self.filled;
        if self.buffer.len() < wanted.max(CHUNK) {
            // As much again as is held already: the buffer at most doubles before bytes prove that they exist.
            let grown = wanted.min(held.saturating_mul(2)).max(CHUNK);
            if self.buffer.len() < grown {
                self.buffer.reserve_exact(grown - self.buffer.len());
                self.buffer.resize(grown, 0);
            }
        }
        let (_, free) = self.buffer.split_at_mut(held);
        let read = loop {
            match self.source.read(free, self.offset + held as u64) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.filled += read.min(free.len());
        Ok(read > 0)
    }
}
