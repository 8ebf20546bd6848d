//! One record: a group of entries that is read whole or not at all.

use super::{ALIGNMENT, Nonce, RECORD_HEADER_LEN, RECORDS_START, record_field as at};
use crate::bytes::{array, i64_at, put, u32_at, u64_at};
use crate::damage::RecordDefect;
use crate::error::{Error, Result, Unwritable};
use crate::limits;
use crate::varint;

/// Where a record goes, and what is known to be on disk then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The record's own file offset, a multiple of 8; it is part of its checksum.
    pub offset: u64,
    /// The end of the file when the last fdatasync that returned was *started*; [`RECORDS_START`] before the first.
    pub durable_offset: u64,
}

/// Encodes the records of one open segment, one after another, into one buffer that is kept.
///
/// ```
/// use graphstream_format::open::{Nonce, Placement, RECORDS_START, RecordEncoder};
/// let mut encoder = RecordEncoder::new(Nonce::from_bytes([9; 16]));
/// encoder.begin(1);
/// encoder.push(b"first", 1_700_000_000_000)?;
/// encoder.push(b"second", 1_700_000_000_003)?;
/// let record = encoder.finish(Placement { offset: RECORDS_START, durable_offset: RECORDS_START })?;
/// assert_eq!(record.len() % 8, 0);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordEncoder {
    nonce: Nonce,
    buffer: Vec<u8>,
    first_seq: u64,
    first_commit_ms: i64,
    last_commit_ms: i64,
    count: u32,
    /// Bytes of the entries so far; behind them the buffer may hold the padding of an earlier `finish`.
    length: usize,
}

impl RecordEncoder {
    /// An encoder for the segment with this nonce. [`RecordEncoder::begin`] starts the first record.
    #[must_use]
    pub fn new(nonce: Nonce) -> Self {
        let mut encoder = Self {
            nonce,
            buffer: Vec::new(),
            first_seq: 0,
            first_commit_ms: 0,
            last_commit_ms: 0,
            count: 0,
            length: 0,
        };
        encoder.begin(0);
        encoder
    }

    /// Starts a new record whose first entry has this sequence; what was pushed before is dropped, the buffer is kept.
    pub fn begin(&mut self, first_seq: u64) {
        self.buffer.clear();
        self.buffer.resize(RECORD_HEADER_LEN, 0);
        self.first_seq = first_seq;
        self.count = 0;
        self.length = 0;
    }

    /// Starts a record of another segment.
    pub fn begin_segment(&mut self, nonce: Nonce, first_seq: u64) {
        self.nonce = nonce;
        self.begin(first_seq);
    }

    /// Whether a payload of this length surely fits into the current record.
    #[must_use]
    pub fn fits(&self, payload_len: usize) -> bool {
        payload_len <= limits::PAYLOAD_BYTES_MAX
            && self.length + limits::ENTRY_OVERHEAD_BYTES_MAX + payload_len <= limits::BATCH_BYTES_MAX
    }

    /// Adds the next entry. Commit times must not decrease.
    ///
    /// # Errors
    /// [`Error::PayloadTooLarge`], [`Error::BatchTooLarge`], [`Error::CommitTimeDecreases`] or
    /// [`Unwritable::SequenceRange`]; the record is then as it was.
    pub fn push(&mut self, payload: &[u8], commit_ms: i64) -> Result<()> {
        let sequence = self.first_seq.checked_add(self.count.into());
        let Some(sequence) = sequence.filter(|sequence| *sequence != 0) else {
            return Err(Error::Unwritable(Unwritable::SequenceRange));
        };
        if payload.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge {
                bytes: payload.len() as u64,
                max: limits::PAYLOAD_BYTES_MAX as u64,
            });
        }
        let previous = if self.count == 0 { commit_ms } else { self.last_commit_ms };
        // Times may span the whole range of i64: the difference always fits an u64.
        let delta = commit_ms.wrapping_sub(previous).cast_unsigned();
        if commit_ms < previous {
            return Err(Error::CommitTimeDecreases { sequence, previous, found: commit_ms });
        }
        let bytes = varint::len(payload.len() as u64) + varint::len(delta) + payload.len() + self.length;
        if bytes > limits::BATCH_BYTES_MAX {
            return Err(Error::BatchTooLarge { bytes: bytes as u64, max: limits::BATCH_BYTES_MAX as u64 });
        }
        self.buffer.truncate(RECORD_HEADER_LEN + self.length);
        varint::write(payload.len() as u64, &mut self.buffer);
        varint::write(delta, &mut self.buffer);
        self.buffer.extend_from_slice(payload);
        if self.count == 0 {
            self.first_commit_ms = commit_ms;
        }
        self.last_commit_ms = commit_ms;
        self.count += 1;
        self.length = bytes;
        Ok(())
    }

    /// Number of entries in the current record.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        self.count
    }

    /// Whether the current record has no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The length in bytes that [`RecordEncoder::finish`] will return.
    #[must_use]
    pub fn record_len(&self) -> usize {
        RECORD_HEADER_LEN + self.length.next_multiple_of(ALIGNMENT)
    }

    /// Completes the current record for its place and returns its bytes. Call [`RecordEncoder::begin`] before the
    /// next; calling `finish` again, for another place, gives the same entries.
    ///
    /// # Errors
    /// [`Unwritable::Empty`] without entries, [`Unwritable::Placement`] for an impossible place.
    pub fn finish(&mut self, placement: Placement) -> Result<&[u8]> {
        let Placement { offset, durable_offset } = placement;
        if self.count == 0 {
            return Err(Error::Unwritable(Unwritable::Empty));
        }
        let aligned = |offset: u64| offset.is_multiple_of(ALIGNMENT as u64);
        if !aligned(offset)
            || !aligned(durable_offset)
            || durable_offset < RECORDS_START
            || durable_offset > offset
        {
            return Err(Error::Unwritable(Unwritable::Placement { offset, durable_offset }));
        }
        let length = self.length;
        self.buffer.truncate(RECORD_HEADER_LEN + length);
        self.buffer.resize(RECORD_HEADER_LEN + length.next_multiple_of(ALIGNMENT), 0);
        let (_, body) = self.buffer.split_at(RECORD_HEADER_LEN);
        let body_crc = crc32c::crc32c(body);
        put(&mut self.buffer, at::NONCE, self.nonce.as_bytes());
        put(&mut self.buffer, at::BODY_CRC32C, &body_crc.to_be_bytes());
        put(&mut self.buffer, at::LENGTH, &(length as u32).to_be_bytes());
        put(&mut self.buffer, at::COUNT, &self.count.to_be_bytes());
        put(&mut self.buffer, at::FIRST_SEQ, &self.first_seq.to_be_bytes());
        put(&mut self.buffer, at::FIRST_COMMIT_MS, &self.first_commit_ms.to_be_bytes());
        put(&mut self.buffer, at::DURABLE_OFFSET, &durable_offset.to_be_bytes());
        let crc = header_checksum(&array(&self.buffer, 0), offset);
        put(&mut self.buffer, at::HEADER_CRC32C, &crc.to_be_bytes());
        Ok(&self.buffer)
    }
}

/// The fixed fields of a record whose nonce and header checksum are right.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHeader {
    pub(super) body_crc: u32,
    pub(super) length: u32,
    pub(super) count: u32,
    pub(super) first_seq: u64,
    pub(super) first_commit_ms: i64,
    pub(super) durable_offset: u64,
}

impl RecordHeader {
    /// Reads the fields found at `offset` of the segment with this nonce.
    pub(super) fn decode(
        bytes: &[u8; RECORD_HEADER_LEN],
        nonce: Nonce,
        offset: u64,
    ) -> std::result::Result<Self, RecordDefect> {
        if array::<16>(bytes, at::NONCE) != *nonce.as_bytes() {
            return Err(RecordDefect::NoRecord);
        }
        if header_checksum(bytes, offset) != u32_at(bytes, at::HEADER_CRC32C) {
            return Err(RecordDefect::HeaderChecksum);
        }
        Ok(Self {
            body_crc: u32_at(bytes, at::BODY_CRC32C),
            length: u32_at(bytes, at::LENGTH),
            count: u32_at(bytes, at::COUNT),
            first_seq: u64_at(bytes, at::FIRST_SEQ),
            first_commit_ms: i64_at(bytes, at::FIRST_COMMIT_MS),
            durable_offset: u64_at(bytes, at::DURABLE_OFFSET),
        })
    }

    /// Checks what the fields say against the limits and the record's place.
    pub(super) fn check(&self, offset: u64) -> std::result::Result<(), RecordDefect> {
        let found = u64::from(self.length);
        if self.length as usize > limits::BATCH_BYTES_MAX {
            return Err(RecordDefect::Length { found, max: limits::BATCH_BYTES_MAX as u64 });
        }
        // Every entry takes at least its two varints.
        if self.count == 0 || found < u64::from(self.count) * 2 {
            return Err(RecordDefect::Count { found: self.count.into() });
        }
        let durable = self.durable_offset;
        if durable < RECORDS_START || durable > offset || !durable.is_multiple_of(ALIGNMENT as u64) {
            return Err(RecordDefect::DurableOffset { found: durable });
        }
        if self.first_seq == 0 || self.first_seq.checked_add(u64::from(self.count) - 1).is_none() {
            return Err(RecordDefect::Sequence { expected: 1, found: self.first_seq });
        }
        Ok(())
    }

    /// Length in bytes of the whole record.
    pub(super) fn record_len(&self) -> usize {
        RECORD_HEADER_LEN + (self.length as usize).next_multiple_of(ALIGNMENT)
    }
}

/// One entry's place inside a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntrySpan {
    /// Where its payload starts, in bytes from the start of the entries.
    pub(super) payload_at: usize,
    pub(super) payload_len: usize,
    pub(super) commit_ms: i64,
}

impl EntrySpan {
    /// Where the next entry starts.
    pub(super) fn end(&self) -> usize {
        self.payload_at + self.payload_len
    }

    /// The entry at `at` of `entries`; `previous_ms` is the commit time before it (of the record, for the first).
    pub(super) fn read(
        entries: &[u8],
        at: usize,
        previous_ms: i64,
    ) -> std::result::Result<Self, RecordDefect> {
        let rest = entries.get(at..).ok_or(RecordDefect::Entries)?;
        let (payload_len, first) = varint::read(rest).ok_or(RecordDefect::Entries)?;
        let rest = rest.get(first..).ok_or(RecordDefect::Entries)?;
        let (delta, second) = varint::read(rest).ok_or(RecordDefect::Entries)?;
        if payload_len > limits::PAYLOAD_BYTES_MAX as u64 {
            return Err(RecordDefect::Length { found: payload_len, max: limits::PAYLOAD_BYTES_MAX as u64 });
        }
        let payload_len = payload_len as usize;
        if rest.len() - second < payload_len {
            return Err(RecordDefect::Entries);
        }
        let commit_ms = previous_ms.checked_add_unsigned(delta).ok_or(RecordDefect::CommitTime)?;
        Ok(Self { payload_at: at + first + second, payload_len, commit_ms })
    }
}

/// Takes all entries of a record apart once, so that it is known to be whole before its first entry is given out.
pub(super) fn check_entries(header: &RecordHeader, body: &[u8]) -> std::result::Result<(), RecordDefect> {
    let (entries, padding) = body.split_at_checked(header.length as usize).ok_or(RecordDefect::Entries)?;
    let mut at = 0;
    let mut commit_ms = header.first_commit_ms;
    for index in 0..header.count {
        let span = EntrySpan::read(entries, at, commit_ms)?;
        if index == 0 && span.commit_ms != header.first_commit_ms {
            return Err(RecordDefect::CommitTime);
        }
        (at, commit_ms) = (span.end(), span.commit_ms);
    }
    if at != entries.len() || padding.iter().any(|&byte| byte != 0) {
        return Err(RecordDefect::Entries);
    }
    Ok(())
}

fn header_checksum(record: &[u8; RECORD_HEADER_LEN], offset: u64) -> u32 {
    let (nonce, rest) = record.split_at(at::HEADER_CRC32C);
    let (_, fields) = rest.split_at(4);
    let crc = crc32c::crc32c_append(crc32c::crc32c(nonce), fields);
    crc32c::crc32c_append(crc, &offset.to_be_bytes())
}
