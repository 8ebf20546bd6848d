//! What has reached the file: the open segment, and where the journal ends in it.

use std::sync::Arc;

use graphstream_format::ChainHash;
use graphstream_format::open::Placement;

use crate::committer::Tail;
use crate::core::{Oldest, Shared};
use crate::creation::{Planned, Segments, publish};
use crate::drafting::Draft;
use crate::error::Error;
use crate::failure::Failure;
use crate::open_segment::OpenSegment;
use crate::queue::Outcome;
use crate::sabotage;
use crate::sync::Instant;

/// Chain hashes that are kept in memory until their segment is sealed take at most this part of a segment's size ...
const CHAIN_SHARE: usize = 4;
/// ... up to this size: 4 MiB of hashes. Entries of 128 bytes and more have room for all of theirs.
const CHAIN_SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pen {
    pub(crate) tail: Tail,
    pub(crate) open: Option<OpenSegment>,
    /// How many chain hashes of a segment are kept for sealing.
    chain_max: usize,
}

/// Writes one group.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    pub(crate) pen: &'a mut Pen,
    pub(crate) segments: &'a Segments,
    pub(crate) outcome: &'a mut Outcome,
    pub(crate) now_ms: i64,
    pub(crate) host: &'a Shared,
}

impl Pen {
    pub(crate) fn new(tail: Tail, segment_bytes_max: u64) -> Self {
        let chain_bytes = usize::try_from(segment_bytes_max.min(CHAIN_SEGMENT_BYTES_MAX)).unwrap_or(0);
        Self { tail, open: None, chain_max: chain_bytes / CHAIN_SHARE / size_of::<ChainHash>() }
    }

    pub(crate) fn publish(&self, host: &Shared) {
        publish(self.open.as_ref(), self.tail, host);
    }
}

impl Writing<'_> {
    /// Leaves the open segment and creates the one behind it.
    pub(crate) fn rotate(&mut self, next: &Planned) -> Result<(), Failure> {
        self.segments.leave(&mut self.pen.open, self.pen.tail, self.host)?;
        self.segments.check_fenced()?;
        self.pen.open = Some(self.segments.create(next)?);
        Ok(())
    }

    /// Writes a record. Its entries count from then on.
    pub(crate) fn write(&mut self, draft: &mut Draft) -> Result<(), Failure> {
        let Some(segment) = &mut self.pen.open else { return Ok(()) };
        let placement = Placement { offset: segment.offset, durable_offset: segment.durable_offset() };
        let record = draft
            .finish(placement)
            .map_err(|source| Failure::poison(Error::segment(&segment.open.path)(source)))?;
        if segment.is_empty() {
            segment.limit = segment.limit.max(segment.offset + record.len() as u64);
        }
        if let Err(failure) = segment.write(record) {
            if sabotage::is("full_keeps_sequences") {
                self.pen.tail.sequence = draft.tail.sequence;
            }
            self.outcome.attempted =
                self.outcome.written + if failure.is_final() { draft.entries } else { 0 };
            return Err(failure);
        }
        let known = self.pen.chain_max.saturating_sub(segment.chain.len());
        Arc::make_mut(&mut segment.chain).extend(draft.chain.iter().take(known));
        segment.open.oldest.get_or_init(|| Oldest { at: Instant::now(), at_ms: self.now_ms });
        self.pen.tail = draft.tail;
        self.outcome.written += draft.entries;
        self.outcome.attempted = self.outcome.written;
        if segment.is_early_sync_due() {
            self.pen.publish(self.host);
            self.host.sync_early();
        }
        Ok(())
    }
}
