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

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives no more than seven bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let some = buffer.len().min(7);
            self.0.read(&mut buffer[..some])
        }
    }

    fn numbers() -> Vec<u8> {
        (0..20_000_u32).map(|number| (number % 251) as u8).collect()
    }

    #[test]
    fn a_stream_is_skipped_as_far_as_its_end_and_never_read_back() {
        let bytes = numbers();
        for (start, to, end) in [
            (0, 0, 20_000_usize),
            (0, 5_000, 20_000),
            (100, 9_001, 15_000),
            (3, 14_997, 15_000),
            (0, 15_000, 15_000),
            (0, 16_000, 15_000),
        ] {
            let mut source = Forward::new(Slow(&bytes[start..]), start as u64, end as u64);
            let mut buffer = [0; 64];
            let read = source.read(&mut buffer, to as u64).unwrap();
            assert_eq!(read, end.saturating_sub(to).min(7), "{start} {to} {end}");
            assert_eq!(buffer[..read], bytes[to..to + read], "{start} {to} {end}");
            // It stands right behind what it gave, and nothing at or behind its end was taken from the stream.
            assert_eq!(source.inner.0, &bytes[(to + read).min(end)..], "{start} {to} {end}");
            if to < end {
                let back = source.read(&mut buffer, to as u64).unwrap_err();
                assert_eq!(back.kind(), ErrorKind::Unsupported);
            }
        }
    }

    #[test]
    fn a_window_gives_what_stands_there_and_less_only_at_the_end() {
        let bytes = numbers();
        let mut window = Window::new(Forward::new(Slow(&bytes), 0, bytes.len() as u64));
        for (offset, wanted) in [(0, 10), (4, 3_000), (4, 1), (3_100, 9_000), (19_990, 100), (20_000, 1)] {
            let expected = &bytes[offset..(offset + wanted).min(bytes.len())];
            assert_eq!(window.bytes(offset as u64, wanted).unwrap(), expected, "{offset} {wanted}");
            assert_eq!(window.held(offset as u64, expected.len()), expected, "{offset} {wanted}");
        }
        assert!(window.bytes(19_000, 1).is_err());
        // A live source is asked again, in both directions.
        let mut window = Window::new(Anywhere(&bytes));
        for (offset, wanted) in [(19_990, 100), (5, 7_000), (6_000, 2), (0, 1)] {
            let expected = &bytes[offset..(offset + wanted).min(bytes.len())];
            assert_eq!(window.bytes(offset as u64, wanted).unwrap(), expected, "{offset} {wanted}");
        }
    }
}
