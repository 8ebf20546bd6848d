//! The walk over a segment's parts.

use super::frames::Frames;
use super::{Part, PartKind};
use crate::bytes::{array, u64_at};
use crate::error::{Error, Result};
use crate::header::{
    FLAG_COMPRESSED, FLAG_SEALED, HEADER_LEN, MAGIC, VERSION_1, VERSION_2, VERSION_OPEN, field,
};
use crate::limits;
use crate::open::{self, ALIGNMENT, RECORD_HEADER_LEN, record_field};
use crate::read_at::ReadAt;
use crate::v1::{ENTRY_HEADER_LEN, EntryFrame, TRAILER_LEN};
use crate::window::{Anywhere, CHUNK, Window};

/// The parts of a segment of any kind, in order. They fill the file; a part that nothing recognises is [`PartKind::Unparsed`], and goes as
/// far as the next place that something does recognise.
///
/// Memory is a few buffers of 64 KiB, and time grows with the file, whatever the bytes are. After an error there is no further part.
///
/// ```
/// use std::io::Cursor;
/// use graphstream_format::layout::{PartKind, Parts};
/// use graphstream_format::{ChainHash, Compression, Lineage, SegmentStart, v2};
///
/// let start = SegmentStart {
///     lineage: Lineage::from_bytes([7; 16]),
///     first_seq: 1,
///     chain_before: ChainHash::ZERO,
///     created_ms: 1_700_000_000_000,
/// };
/// let mut writer = v2::Writer::new(Cursor::new(Vec::new()), start, Compression::None)?;
/// writer.push(b"first", 1_700_000_000_001)?;
/// let file = writer.finish()?.inner.into_inner();
///
/// let parts: Vec<_> = Parts::new(file.as_slice(), file.len() as u64).collect::<Result<_, _>>()?;
/// let kinds: Vec<_> = parts.iter().map(|part| part.kind).collect();
/// assert_eq!(kinds, [
///     PartKind::Header, PartKind::Frame, PartKind::IndexRow, PartKind::ChainHash, PartKind::Footer,
/// ]);
/// let count = parts[1].fields().find(|field| field.name == "count").unwrap();
/// assert_eq!((count.offset, count.length), (128 + 12, 4));
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Debug)]
pub struct Parts<S> {
    window: Bytes<S>,
    file_len: u64,
    at: u64,
    body: Body,
    failed: bool,
}

/// What follows the header.
#[derive(Debug)]
enum Body {
    /// Nothing that is known.
    Unknown,
    /// Version 1: entries, or one compressed body, up to `end`; then the chain hash.
    Sealed { compressed: bool, end: u64 },
    /// Entries up to the end of the file.
    LegacyOpen,
    /// Extension and records.
    Open { nonce: [u8; 16] },
    /// Version 2.
    Frames(Frames),
}

/// A part that was recognised where the walk stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) kind: PartKind,
    pub(super) length: u64,
    pub(super) tail: u64,
}

impl Found {
    pub(super) const fn new(kind: PartKind, length: u64) -> Self {
        Self { kind, length, tail: 0 }
    }
}

/// The file, whose errors say where.
#[derive(Debug)]
pub(super) struct Bytes<S>(Window<Anywhere<S>>);

impl<S: ReadAt> Bytes<S> {
    /// Up to `wanted` bytes from `offset`: fewer only where the file ends.
    pub(super) fn get(&mut self, offset: u64, wanted: usize) -> Result<&[u8]> {
        self.0.bytes(offset, wanted).map_err(|source| Error::read(source, offset))
    }

    /// `N` bytes; `None` where the file ends before.
    pub(super) fn array<const N: usize>(&mut self, offset: u64) -> Result<Option<[u8; N]>> {
        Ok(self.get(offset, N)?.first_chunk().copied())
    }
}

impl<S: ReadAt> Parts<S> {
    /// Stands before the header of a file of `file_len` bytes. Nothing is read yet.
    pub fn new(source: S, file_len: u64) -> Self {
        let window = Bytes(Window::new(Anywhere(source)));
        Self { window, file_len, at: 0, body: Body::Unknown, failed: false }
    }

    fn find(&mut self) -> Result<Found> {
        let (at, rest) = (self.at, self.file_len - self.at);
        if at == 0 {
            return self.header();
        }
        match &mut self.body {
            Body::Unknown => self.rest(),
            Body::Frames(frames) => match frames.find(&mut self.window, at, self.file_len)? {
                Some(found) => Ok(found),
                None => self.rest(),
            },
            &mut Body::Sealed { compressed, end } => {
                if at < end {
                    let unparsed = Found::new(PartKind::Unparsed, end - at);
                    if compressed {
                        return Ok(Found::new(PartKind::Body, end - at));
                    }
                    return Ok(entry(&mut self.window, at, end)?.unwrap_or(unparsed));
                }
                self.body = Body::Unknown;
                if rest >= TRAILER_LEN as u64 {
                    return Ok(Found::new(PartKind::ChainHash, TRAILER_LEN as u64));
                }
                self.rest()
            }
            Body::LegacyOpen => match entry(&mut self.window, at, self.file_len)? {
                Some(found) => Ok(found),
                None => self.rest(),
            },
            &mut Body::Open { nonce } => {
                if at == HEADER_LEN as u64 {
                    return Ok(Found::new(PartKind::Extension, open::EXTENSION_LEN as u64));
                }
                let bytes = self.window.get(at, RECORD_HEADER_LEN)?;
                match record(bytes, nonce, rest) {
                    Some(found) => Ok(found),
                    None => self.up_to_record(nonce),
                }
            }
        }
    }

    /// The header, from which the rest follows; all of the file if it is none.
    fn header(&mut self) -> Result<Found> {
        let whole = Found::new(PartKind::Unparsed, self.file_len);
        let Some(header) = self.window.array::<HEADER_LEN>(0)? else { return Ok(whole) };
        if array::<5>(&header, field::MAGIC) != MAGIC {
            return Ok(whole);
        }
        let [version, flags] = array(&header, field::VERSION);
        let compressed = flags & FLAG_COMPRESSED != 0;
        self.body = match version {
            VERSION_1 if flags & FLAG_SEALED == 0 => Body::LegacyOpen,
            VERSION_1 => {
                let end = (HEADER_LEN as u64).saturating_add(u64_at(&header, field::BODY_LEN));
                Body::Sealed { compressed, end: end.min(self.file_len) }
            }
            VERSION_2 => Body::Frames(Frames::new(&mut self.window, &header, self.file_len)?),
            VERSION_OPEN => match self.window.array::<{ open::EXTENSION_LEN }>(HEADER_LEN as u64)? {
                Some(extension) => Body::Open { nonce: array(&extension, open::extension_field::NONCE) },
                None => Body::Unknown,
            },
            _ => Body::Unknown,
        };
        Ok(Found::new(PartKind::Header, HEADER_LEN as u64))
    }

    /// Where no record stands in an open segment: what is there, up to the next one.
    fn up_to_record(&mut self, nonce: [u8; 16]) -> Result<Found> {
        let mut offset = self.at + ALIGNMENT as u64;
        loop {
            let chunk = self.window.get(offset, CHUNK)?;
            let places = chunk.windows(RECORD_HEADER_LEN).step_by(ALIGNMENT);
            for (number, bytes) in places.enumerate() {
                let place = offset + (number * ALIGNMENT) as u64;
                if record(bytes, nonce, self.file_len.saturating_sub(place)).is_some() {
                    return self.zeros_or_not(place);
                }
            }
            if chunk.len() < CHUNK {
                return self.rest();
            }
            // The next place behind those that fitted into the chunk.
            offset += (CHUNK - RECORD_HEADER_LEN + ALIGNMENT) as u64;
        }
    }

    /// What nothing recognises, up to the end of the file: zeros, or bytes and then zeros.
    fn rest(&mut self) -> Result<Found> {
        self.zeros_or_not(self.file_len)
    }

    /// The bytes from here to `end`: zeros, or something else up to the zeros at its end.
    fn zeros_or_not(&mut self, end: u64) -> Result<Found> {
        let mut offset = self.at;
        let mut content_end = self.at;
        while offset < end {
            let chunk = self.window.get(offset, CHUNK)?;
            let within =
                usize::try_from(end - offset).map_or(chunk, |left| chunk.get(..left).unwrap_or(chunk));
            if let Some(last) = within.iter().rposition(|&byte| byte != 0) {
                content_end = offset + last as u64 + 1;
            }
            if within.is_empty() {
                // The file is shorter than was said: nothing is known of the rest.
                content_end = end;
                break;
            }
            offset += within.len() as u64;
        }
        // Records are aligned: what stands behind the content is looked for there.
        let content_end = match self.body {
            Body::Open { .. } => content_end.next_multiple_of(ALIGNMENT as u64).min(end),
            _ => content_end,
        };
        Ok(match content_end - self.at {
            0 => Found::new(PartKind::Zeros, end - self.at),
            length => Found::new(PartKind::Unparsed, length),
        })
    }
}

impl<S: ReadAt> Iterator for Parts<S> {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.file_len {
            return None;
        }
        let found = match self.find() {
            Ok(found) => found,
            Err(error) => {
                self.failed = true;
                return Some(Err(error));
            }
        };
        let length = found.length.clamp(1, self.file_len - self.at);
        let part = Part { kind: found.kind, offset: self.at, length, tail: found.tail };
        self.at += length;
        Some(Ok(part))
    }
}

impl<S: ReadAt> std::iter::FusedIterator for Parts<S> {}

/// A version 1 entry that ends at `end` or before.
fn entry<S: ReadAt>(window: &mut Bytes<S>, at: u64, end: u64) -> Result<Option<Found>> {
    let Some(fixed) = window.array::<ENTRY_HEADER_LEN>(at)? else { return Ok(None) };
    let entry = EntryFrame::decode(&fixed);
    let length = ENTRY_HEADER_LEN as u64 + u64::from(entry.payload_len);
    let possible = entry.sequence > 0
        && entry.payload_len as usize <= limits::PAYLOAD_BYTES_MAX
        && at.checked_add(length).is_some_and(|entry_end| entry_end <= end);
    Ok(possible.then_some(Found::new(PartKind::Entry, length)))
}

/// A record of the segment with this nonce, with `rest` bytes from its start to the end of the file.
fn record(bytes: &[u8], nonce: [u8; 16], rest: u64) -> Option<Found> {
    let fixed = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
    // A nonce of zeros would be found everywhere in reserved space.
    if array::<16>(fixed, record_field::NONCE) != nonce || nonce == [0; 16] {
        return None;
    }
    let length = crate::bytes::u32_at(fixed, record_field::LENGTH) as usize;
    let padded = length.next_multiple_of(ALIGNMENT);
    let whole = (RECORD_HEADER_LEN + padded) as u64;
    (length <= limits::BATCH_BYTES_MAX && whole <= rest).then_some(Found {
        kind: PartKind::Record,
        length: whole,
        tail: (padded - length) as u64,
    })
}
