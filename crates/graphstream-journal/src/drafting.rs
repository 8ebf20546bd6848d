//! Entries become records: each gets its sequence, its commit time and its chain hash, and as many as fit are framed together. This
//! needs no file: it knows what its records will be to the segment, and what comes after it, before they are written.

use std::path::PathBuf;

use graphstream_format::open::{Nonce, Placement, RECORD_HEADER_LEN, RECORDS_START, RecordEncoder};
use graphstream_format::{ChainHash, limits};

use crate::committer::Tail;
use crate::creation::{Planned, Segments};
use crate::error::Error;
use crate::failure::Failure;
use crate::open_segment::OpenSegment;
use crate::queue::{Item, Queue};
use crate::sabotage;

/// Groups larger than this are cut into several records, so that readers and a torn tail stay small, and one is written while
/// the next is drafted.
const RECORD_BYTES_TARGET: usize = 256 << 10;
/// A record's entries are padded to 8 bytes.
const PADDING_MAX: usize = 7;

/// A record without its place in a file.
#[derive(Debug)]
pub(crate) struct Draft {
    encoder: RecordEncoder,
    /// The chain hashes after its entries.
    pub(crate) chain: Vec<ChainHash>,
    pub(crate) entries: usize,
    payload_bytes: usize,
    /// Where the journal ends once it is written.
    pub(crate) tail: Tail,
}

impl Draft {
    pub(crate) fn new(tail: Tail) -> Self {
        // Every segment draws its own nonce before its first record.
        let encoder = RecordEncoder::new(Nonce::from_bytes([0; 16]));
        Self { encoder, chain: Vec::new(), entries: 0, payload_bytes: 0, tail }
    }

    /// The record, for its place.
    pub(crate) fn finish(&mut self, placement: Placement) -> graphstream_format::Result<&[u8]> {
        self.encoder.finish(placement)
    }
}

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Go on in a new segment.
    Rotate(Planned),
    /// Write the draft.
    Record,
    /// No entry is left.
    Nothing,
}

/// Drafts the records of a group.
#[derive(Debug)]
pub(crate) struct Drafting<'a> {
    segments: &'a Segments,
    items: &'a [Item],
    payloads: &'a [u8],
    /// The commit time of entries that ask for none.
    now_ms: i64,
    /// Where the journal ends once all that was drafted is written.
    tail: Tail,
    end: Option<End>,
}

/// Where the open segment ends then.
#[derive(Debug)]
struct End {
    path: PathBuf,
    nonce: Nonce,
    offset: u64,
    limit: u64,
}

/// Entries that go into one record whatever happens: one, or a batch.
struct Unit {
    items: usize,
    /// The most its entries take in a record.
    bytes: usize,
}

impl Unit {
    fn at(items: &[Item]) -> Option<Self> {
        let together = items.first()?.together;
        let count = if sabotage::is("rotation_splits_a_batch") { 1 } else { together + 1 };
        let bytes = items.iter().take(count).map(|item| item.bytes + limits::ENTRY_OVERHEAD_BYTES_MAX).sum();
        Some(Self { items: count, bytes })
    }
}

impl<'a> Drafting<'a> {
    pub(crate) fn new(
        segments: &'a Segments,
        queue: &'a Queue,
        now_ms: i64,
        tail: Tail,
        open: Option<&OpenSegment>,
    ) -> Self {
        let end = open.map(|segment| End {
            path: segment.open.path.clone(),
            nonce: segment.nonce,
            offset: segment.offset,
            limit: segment.limit,
        });
        Self { segments, items: &queue.items, payloads: &queue.payloads, now_ms, tail, end }
    }

    pub(crate) const fn tail(&self) -> Tail {
        self.tail
    }

    /// Says what is to be done next, and drafts it if it is a record.
    pub(crate) fn next(&mut self, draft: &mut Draft) -> Result<Next, Failure> {
        let Some(first) = Unit::at(self.items) else { return Ok(Next::Nothing) };
        let record_bytes = (RECORD_HEADER_LEN + first.bytes + PADDING_MAX) as u64;
        let room = match &mut self.end {
            Some(end) if end.offset + record_bytes <= end.limit => end.limit - end.offset,
            // What is larger than a segment gets one of its own.
            Some(end) if end.offset == RECORDS_START => record_bytes,
            _ => {
                let planned = self.segments.plan(self.tail, record_bytes)?;
                self.end = Some(End {
                    path: planned.path.clone(),
                    nonce: planned.nonce,
                    offset: RECORDS_START,
                    limit: planned.limit,
                });
                return Ok(Next::Rotate(planned));
            }
        };
        self.fill(draft, usize::try_from(room).unwrap_or(usize::MAX).min(RECORD_BYTES_TARGET))?;
        Ok(Next::Record)
    }

    /// Drafts a record with as many entries as this length takes, and with the next one or batch at least.
    fn fill(&mut self, draft: &mut Draft, record_bytes_max: usize) -> Result<(), Failure> {
        let Some(end) = &mut self.end else { return Ok(()) };
        let mut tail = self.tail;
        let Some(first_sequence) = tail.sequence.checked_add(1) else {
            return Err(Failure::Exhausted { last: tail.sequence });
        };
        draft.encoder.begin_segment(end.nonce, first_sequence);
        draft.chain.clear();
        let (mut entries, mut bytes) = (0, 0);
        while let Some(unit) = self.items.get(entries..).and_then(Unit::at) {
            let would_be = draft.encoder.record_len() + unit.bytes + PADDING_MAX;
            if entries > 0 && would_be > record_bytes_max {
                break;
            }
            if u64::MAX - tail.sequence < unit.items as u64 {
                if entries > 0 {
                    break;
                }
                return Err(Failure::Exhausted { last: tail.sequence });
            }
            for item in self.items.iter().skip(entries).take(unit.items) {
                let payload = self.payloads.get(bytes..bytes + item.bytes).unwrap_or_default();
                tail.commit_ms = tail.commit_ms.max(item.commit_ms.unwrap_or(self.now_ms));
                draft
                    .encoder
                    .push(payload, tail.commit_ms)
                    .map_err(|source| Failure::poison(Error::segment(&end.path)(source)))?;
                tail.chain_hash = tail.chain_hash.after(payload);
                draft.chain.push(tail.chain_hash);
                tail.sequence += 1;
                bytes += item.bytes;
            }
            entries += unit.items;
        }
        (draft.entries, draft.payload_bytes, draft.tail) = (entries, bytes, tail);
        end.offset += draft.encoder.record_len() as u64;
        self.tail = tail;
        self.items = self.items.get(entries..).unwrap_or_default();
        self.payloads = self.payloads.get(bytes..).unwrap_or_default();
        Ok(())
    }
}
