//! The writing half: gives entries their sequence, commit time and chain hash, frames them into records, and keeps one
//! open segment.
//!
//! ```text
//!           create (temp, header, sync, rename, sync dir)
//!   no segment ------------------------------------------------> open --record, record, ...--> full
//!        ^                                                                                       |
//!        +----------- hand over to sealing <----- sync (N is on disk before N+1 exists) <--------+
//! ```
//!
//! One thread at a time runs this (see `core`); only it knows where the file ends.

use std::path::Path;
use std::sync::Arc;

use graphstream_format::open::{
    Nonce, OpenHeader, Placement, RECORD_HEADER_LEN, RECORDS_START, RecordEncoder,
};
use graphstream_format::{ChainHash, Lineage, SegmentStart, limits};

use crate::clock::{Clock, Entropy};
use crate::core::{Oldest, Shared};
use crate::directory::{JournalDir, remove_if_exists};
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::fs::FsFile;
use crate::open_segment::OpenSegment;
use crate::queue::{Item, Outcome, Queue};
use crate::seal::SealOrder;
use crate::space::Space;
use crate::sync::Instant;
use crate::{names, sabotage, small_file};

/// Groups larger than this are cut into several records, so that readers and a torn tail stay small.
const RECORD_BYTES_TARGET: usize = 1 << 20;
/// A record's entries are padded to 8 bytes.
const PADDING_MAX: usize = 7;
/// Chain hashes that are kept in memory until their segment is sealed take at most this part of a segment's size ...
const CHAIN_SHARE: usize = 4;
/// ... up to this size: 4 MiB of hashes. Entries of 128 bytes and more have room for all of theirs.
const CHAIN_SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// Where the journal ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub(crate) sequence: u64,
    pub(crate) chain_hash: ChainHash,
    /// Commit times never go below this.
    pub(crate) commit_ms: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Committer {
    dir: JournalDir,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    lineage: Lineage,
    segment_bytes_max: u64,
    tail: Tail,
    segment: Option<OpenSegment>,
    /// How many chain hashes of a segment are kept for sealing.
    chain_max: usize,
    encoder: RecordEncoder,
}

/// Why a record was not written, and how many of its entries may be in the file nevertheless.
struct Stopped {
    failure: Failure,
    attempted: usize,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { failure, attempted: 0 }
    }
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

impl Committer {
    pub(crate) fn new(
        dir: JournalDir,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        lineage: Lineage,
        segment_bytes_max: u64,
        tail: Tail,
    ) -> Self {
        Self {
            dir,
            clock,
            entropy,
            lineage,
            segment_bytes_max,
            tail,
            segment: None,
            chain_max: usize::try_from(segment_bytes_max.min(CHAIN_SEGMENT_BYTES_MAX)).unwrap_or(0)
                / CHAIN_SHARE
                / size_of::<ChainHash>(),
            // Every segment draws its own nonce before its first record.
            encoder: RecordEncoder::new(Nonce::from_bytes([0; 16])),
        }
    }

    pub(crate) fn tail(&self) -> Tail {
        self.tail
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.entropy)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(crate) fn raise_commit_floor(&mut self, commit_ms: i64) {
        self.tail.commit_ms = self.tail.commit_ms.max(commit_ms);
    }

    /// Writes a group. Entries written before a failure stay written.
    pub(crate) fn commit(&mut self, queue: &Queue, host: &Shared) -> Outcome {
        let first_sequence = self.tail.sequence.saturating_add(1);
        let mut outcome = Outcome { first_sequence, written: 0, attempted: 0, failure: None };
        let now_ms = self.clock.now_ms();
        let aged = self.segment.as_ref().is_some_and(|segment| host.is_aged_by_clock(&segment.open, now_ms));
        if aged && let Err(failure) = self.leave_segment(host) {
            outcome.failure = Some(failure);
            return outcome;
        }
        let (mut items, mut payloads) = (queue.items.as_slice(), queue.payloads.as_slice());
        while !items.is_empty() {
            match self.commit_record(items, payloads, now_ms, host) {
                Ok((taken, bytes)) => {
                    items = items.get(taken..).unwrap_or_default();
                    payloads = payloads.get(bytes..).unwrap_or_default();
                    outcome.written += taken;
                    outcome.attempted = outcome.written;
                }
                Err(Stopped { failure, attempted }) => {
                    outcome.attempted = outcome.written + attempted;
                    outcome.failure = Some(failure);
                    break;
                }
            }
        }
        self.publish(host);
        outcome
    }

    /// Writes one record with as many of the items as fit; returns how many, and the bytes of their payloads.
    fn commit_record(
        &mut self,
        items: &[Item],
        payloads: &[u8],
        now_ms: i64,
        host: &Shared,
    ) -> Result<(usize, usize), Stopped> {
        let Some(first) = Unit::at(items) else { return Ok((0, 0)) };
        self.make_room((RECORD_HEADER_LEN + first.bytes + PADDING_MAX) as u64, host)?;
        let Some(segment) = &mut self.segment else { return Ok((0, 0)) };
        let Some(first_sequence) = self.tail.sequence.checked_add(1) else {
            return Err(Failure::Exhausted { last: self.tail.sequence }.into());
        };

        self.encoder.begin_segment(segment.nonce, first_sequence);
        let room = usize::try_from(segment.limit - segment.offset).unwrap_or(usize::MAX);
        let mut tail = self.tail;
        let chain = Arc::make_mut(&mut segment.chain);
        let known = chain.len();
        let (mut taken, mut bytes) = (0, 0);
        while let Some(unit) = items.get(taken..).and_then(Unit::at) {
            let would_be = self.encoder.record_len() + unit.bytes + PADDING_MAX;
            if taken > 0 && would_be > room.min(RECORD_BYTES_TARGET) {
                break;
            }
            if u64::MAX - tail.sequence < unit.items as u64 {
                if taken > 0 {
                    break;
                }
                return Err(Failure::Exhausted { last: tail.sequence }.into());
            }
            for item in items.iter().skip(taken).take(unit.items) {
                let payload = payloads.get(bytes..bytes + item.bytes).unwrap_or_default();
                tail.commit_ms = tail.commit_ms.max(item.commit_ms.unwrap_or(now_ms));
                self.encoder
                    .push(payload, tail.commit_ms)
                    .map_err(|source| Failure::poison(Error::segment(&segment.open.path)(source)))?;
                tail.chain_hash = tail.chain_hash.after(payload);
                if chain.len() < self.chain_max {
                    chain.push(tail.chain_hash);
                }
                tail.sequence += 1;
                bytes += item.bytes;
            }
            taken += unit.items;
        }

        let placement = Placement { offset: segment.offset, durable_offset: segment.durable_offset() };
        let record = self
            .encoder
            .finish(placement)
            .map_err(|source| Failure::poison(Error::segment(&segment.open.path)(source)))?;
        if let Err(failure) = segment.write(record) {
            Arc::make_mut(&mut segment.chain).truncate(known);
            if sabotage::is("full_keeps_sequences") {
                self.tail.sequence = tail.sequence;
            }
            let attempted = if failure.is_final() { taken } else { 0 };
            return Err(Stopped { failure, attempted });
        }
        segment.open.oldest.get_or_init(|| Oldest { at: Instant::now(), at_ms: now_ms });
        let early_sync = segment.is_early_sync_due();
        self.tail = tail;
        if early_sync {
            self.publish(host);
            host.sync_early();
        }
        Ok((taken, bytes))
    }

    /// Makes sure that the open segment can take a record of this length.
    fn make_room(&mut self, record_bytes: u64, host: &Shared) -> Result<(), Failure> {
        if let Some(segment) = &mut self.segment {
            if segment.offset + record_bytes <= segment.limit {
                return Ok(());
            }
            if segment.is_empty() {
                segment.limit = RECORDS_START + record_bytes;
                return Ok(());
            }
            self.leave_segment(host)?;
        }
        self.segment = Some(self.create_segment(record_bytes)?);
        Ok(())
    }

    /// Syncs the open segment and hands it to sealing. What follows goes into a new one.
    pub(crate) fn leave_segment(&mut self, host: &Shared) -> Result<(), Failure> {
        self.publish(host);
        let Some(segment) = &self.segment else { return Ok(()) };
        if !sabotage::is("n_plus_1_before_n") {
            host.sync_for_rotation()?;
        }
        if sabotage::is("ack_before_the_renames_sync") {
            let _ = self.dir.fs.sync_dir(&self.dir.path);
        }
        if segment.is_empty() {
            return self.drop_empty_segment(host);
        }
        host.hand_over(SealOrder {
            first_sequence: segment.first_sequence,
            last_sequence: self.tail.sequence,
            chain_hash: self.tail.chain_hash,
            // The segment keeps its own: it goes on if it can't be handed over now.
            chain: Arc::clone(&segment.chain),
        })?;
        self.segment = None;
        self.publish(host);
        Ok(())
    }

    /// Removes the open segment if it holds nothing.
    fn drop_empty_segment(&mut self, host: &Shared) -> Result<(), Failure> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        self.publish(host);
        remove_if_exists(&*self.dir.fs, &segment.open.path)
            .and_then(|()| self.dir.fs.sync_dir(&self.dir.path).map_err(Error::io("syncing", &self.dir.path)))
            .map_err(Failure::poison)
    }

    fn create_segment(&self, record_bytes: u64) -> Result<OpenSegment, Failure> {
        self.check_fenced()?;
        let Some(first_sequence) = self.tail.sequence.checked_add(1) else {
            return Err(Failure::Exhausted { last: self.tail.sequence });
        };
        let name = names::segment_name(first_sequence);
        let temp = self.dir.path.join(names::temp_name(&name));
        let path = self.dir.path.join(name);
        let limit = self.segment_bytes_max.max(RECORDS_START + record_bytes);

        let (file, nonce) = self.open_temp(&temp).map_err(|error| {
            if error.is_no_space() {
                return Failure::Full { path: path.clone(), bytes: Space::created_bytes(limit) };
            }
            Failure::NotCreated(Arc::new(error))
        })?;
        let visible = self
            .prepare(&*file, &temp, nonce, first_sequence, limit)
            .and_then(|()| self.dir.fs.rename(&temp, &path).map_err(Error::io("renaming into", &path)));
        if let Err(error) = visible {
            let _ = remove_if_exists(&*self.dir.fs, &temp);
            // Nothing stood in the temporary file yet, so a full device has done no harm.
            let full = error.is_no_space();
            let bytes = Space::created_bytes(limit);
            return Err(if full { Failure::Full { path, bytes } } else { Failure::poison(error) });
        }
        if !sabotage::is("ack_before_the_renames_sync") {
            self.dir.fs.sync_dir(&self.dir.path).map_err(|source| {
                Failure::poison(Error::Io { operation: "syncing", path: self.dir.path.clone(), source })
            })?;
        }
        tracing::debug!(first_sequence, "segment created");
        Ok(OpenSegment::new(file, path, nonce, first_sequence, limit))
    }

    /// Up to here a failure (too many open files, say) changes nothing.
    fn open_temp(&self, temp: &Path) -> Result<(Arc<dyn FsFile>, Nonce)> {
        let nonce = self.entropy.random().map_err(Error::io("drawing random numbers for", temp))?;
        let file = small_file::create_over(&*self.dir.fs, temp)?;
        Ok((file, Nonce::from_bytes(nonce)))
    }

    fn prepare(
        &self,
        file: &dyn FsFile,
        temp: &Path,
        nonce: Nonce,
        first_seq: u64,
        limit: u64,
    ) -> Result<()> {
        let start = SegmentStart {
            lineage: self.lineage,
            first_seq,
            chain_before: self.tail.chain_hash,
            created_ms: self.clock.now_ms(),
        };
        let header = OpenHeader { start, nonce }.encode().map_err(Error::segment(temp))?;
        let mut block = header.to_vec();
        block.resize(usize::try_from(Space::created_bytes(limit)).unwrap_or(0).max(header.len()), 0);
        small_file::write_full(file, &block, 0).map_err(Error::io("writing", temp))?;
        file.sync_all().map_err(Error::io("syncing", temp))
    }

    /// A shipper that was fenced leaves a note; the writer looks whenever it starts a segment, and notes for the next start
    /// what is to be set aside then.
    fn check_fenced(&self) -> Result<(), Failure> {
        let unreadable = |error| Failure::NotCreated(Arc::new(error));
        let Some(note) = self.dir.fenced().map_err(unreadable)? else { return Ok(()) };
        self.dir.note_fenced_after(Some(note.after)).map_err(unreadable)?;
        Err(Failure::Fenced { after: note.after, path: self.dir.path.join(names::FENCED) })
    }

    fn publish(&self, host: &Shared) {
        let open = self.segment.as_ref().map(|segment| (Arc::clone(&segment.open), segment.offset));
        host.publish_written(self.tail, open);
    }
}
