//! Cutting entries into batches, one transaction of the target each.

use std::sync::{Arc, Mutex, PoisonError};

use graphstream_format::{ChainHash, Entry, Lineage, Position};
use graphstream_proto::JournalEntry;
use graphstream_replay::{LineBatch, ReplayEntry, ReplayTarget};

use crate::{Error, FollowerOptions, Result};

/// Lines of so many bytes are a batch, whatever else may be in one: nothing is gained by more at a time.
const LINES_BYTES_MAX: usize = 512 << 10;

/// How large batches get, and of what they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) entries_max: usize,
    pub(crate) bytes_max: usize,
    /// Whether the target [takes lines](graphstream_replay::ReplayTarget::takes_lines).
    pub(crate) lines: bool,
}

/// A decoded batch waits while the one before it is applied; one more is being decoded.
const BATCHES_AHEAD: usize = 1;
/// Batches of lines are small, and taken faster than they are made: so many of the next segment wait while this one is decoded, by two threads then.
const BATCHES_OF_LINES_AHEAD: usize = 24;

impl Limits {
    pub(crate) fn of(options: &FollowerOptions, lines: bool) -> Self {
        Self { entries_max: options.batch_entries_max.max(1), bytes_max: options.batch_bytes_max, lines }
    }

    /// How many batches of a segment wait to be applied.
    pub(crate) const fn batches_ahead(self) -> usize {
        if self.lines { BATCHES_OF_LINES_AHEAD } else { BATCHES_AHEAD }
    }
}

/// Consecutive entries and the position after them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) content: Content,
    /// The chain hash after each of them.
    pub(crate) hashes: Vec<ChainHash>,
    /// Of their payloads.
    bytes: usize,
    pub(crate) position: Position,
    /// Commit time of the last entry.
    pub(crate) commit_ms: i64,
}

/// Entries as the target takes them.
#[derive(Debug)]
pub(crate) enum Content {
    Entries(Vec<ReplayEntry>),
    Lines(LineBatch),
}

impl Content {
    /// Gives it to a target; returns whether it is durable.
    pub(crate) fn apply(
        &self,
        target: &mut dyn ReplayTarget,
        position: Position,
    ) -> graphstream_replay::Result<bool> {
        match self {
            Self::Entries(entries) => target.apply(entries, position).map(|()| true),
            Self::Lines(lines) => target.apply_lines(lines),
        }
    }

    /// Bytes of lines.
    fn lines_bytes(&self) -> usize {
        match self {
            Self::Entries(_) => 0,
            Self::Lines(lines) => lines.text().len(),
        }
    }
}

impl Batch {
    /// Whether both fit into one.
    pub(crate) fn has_room_for(&self, next: &Self, limits: Limits) -> bool {
        std::mem::discriminant(&self.content) == std::mem::discriminant(&next.content)
            && self.hashes.len() + next.hashes.len() <= limits.entries_max
            && self.bytes + next.bytes <= limits.bytes_max
            && self.content.lines_bytes() + next.content.lines_bytes() <= LINES_BYTES_MAX
    }

    pub(crate) fn is_full(&self, limits: Limits) -> bool {
        self.hashes.len() >= limits.entries_max
            || self.bytes >= limits.bytes_max
            || self.content.lines_bytes() >= LINES_BYTES_MAX
    }

    /// This one and the one behind it.
    pub(crate) fn and(mut self, next: Self) -> Self {
        match (&mut self.content, next.content) {
            (Content::Entries(entries), Content::Entries(next)) => entries.extend(next),
            (Content::Lines(lines), Content::Lines(next)) => lines.append(&next),
            // There is no room for one of another kind.
            (Content::Entries(_), Content::Lines(_)) | (Content::Lines(_), Content::Entries(_)) => {}
        }
        self.hashes.extend(next.hashes);
        Self {
            content: self.content,
            hashes: self.hashes,
            bytes: self.bytes + next.bytes,
            position: next.position,
            commit_ms: next.commit_ms,
        }
    }
}

/// Buffers of lines that were applied, for the next ones: memory that one thread makes and another gives back costs more than writing into it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spares(Arc<Mutex<Vec<LineBatch>>>);

impl Spares {
    pub(crate) fn give(&self, applied: Content) {
        if let Content::Lines(mut lines) = applied {
            // The last of them may have been a long one.
            lines.clear(2 * LINES_BYTES_MAX);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(lines);
        }
    }

    fn content(&self, lineage: Lineage, limits: Limits) -> Content {
        if !limits.lines {
            return Content::Entries(Vec::new());
        }
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Content::Lines(spare.unwrap_or_else(|| LineBatch::new(lineage)))
    }
}

/// Collects entries until a batch is full.
#[derive(Debug)]
pub(crate) struct Batcher {
    limits: Limits,
    spares: Spares,
    content: Content,
    hashes: Vec<ChainHash>,
    bytes: usize,
    /// Of the last entry.
    position: Position,
    commit_ms: i64,
    /// An entry on its way to its line.
    decoded: JournalEntry,
}

impl Batcher {
    /// A batcher of one lineage, that of all spares.
    pub(crate) fn new(lineage: Lineage, limits: Limits, spares: Spares) -> Self {
        Self {
            limits,
            content: spares.content(lineage, limits),
            spares,
            hashes: Vec::new(),
            bytes: 0,
            position: Position::start(lineage),
            commit_ms: 0,
            decoded: JournalEntry::default(),
        }
    }

    /// Takes an entry; returns the batch that it would have overfilled, or that it fills.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<Option<Batch>> {
        let Entry { payload, sequence, commit_ms, chain_hash, .. } = entry;
        let overfills = !self.hashes.is_empty() && self.bytes + payload.len() > self.limits.bytes_max;
        let before = if overfills { self.take() } else { None };
        let unreadable = |source| Error::Payload { sequence: *sequence, source };
        match &mut self.content {
            Content::Entries(entries) => {
                let decoded = JournalEntry::decode(payload, *sequence).map_err(unreadable)?;
                entries.push(ReplayEntry {
                    sequence: *sequence,
                    commit_ms: *commit_ms,
                    chain_hash: *chain_hash,
                    entry: decoded,
                });
            }
            Content::Lines(lines) => {
                self.decoded.decode_from(payload, *sequence).map_err(unreadable)?;
                lines.push(*sequence, *commit_ms, *chain_hash, &self.decoded);
            }
        }
        self.hashes.push(*chain_hash);
        self.bytes += payload.len();
        (self.position.sequence, self.position.chain_hash) = (*sequence, *chain_hash);
        self.commit_ms = *commit_ms;
        if before.is_some() {
            return Ok(before);
        }
        let full =
            self.hashes.len() >= self.limits.entries_max || self.content.lines_bytes() >= LINES_BYTES_MAX;
        Ok(if full { self.take() } else { None })
    }

    /// What has been collected so far.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        if self.hashes.is_empty() {
            return None;
        }
        let next = self.spares.content(self.position.lineage, self.limits);
        Some(Batch {
            content: std::mem::replace(&mut self.content, next),
            hashes: std::mem::take(&mut self.hashes),
            bytes: std::mem::take(&mut self.bytes),
            position: self.position,
            commit_ms: self.commit_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use graphstream_format::ChainHash;
    use graphstream_proto::json::parse_entry_line;

    use super::*;

    fn entry(sequence: u64) -> Entry {
        let payload =
            JournalEntry { query: "CREATE (:P)".to_owned(), ..JournalEntry::default() }.encode().unwrap();
        Entry {
            sequence,
            commit_ms: 1_000 + i64::try_from(sequence).unwrap(),
            commit_exact: true,
            chain_hash: ChainHash::ZERO.after(&payload),
            payload,
        }
    }

    const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);

    fn batched(limits: Limits, entries: u64) -> Vec<Batch> {
        let mut batcher = Batcher::new(LINEAGE, limits, Spares::default());
        let mut batches = Vec::new();
        for sequence in 1..=entries {
            batches.extend(batcher.push(&entry(sequence)).unwrap());
        }
        batches.extend(batcher.take());
        batches
    }

    /// The sequences in each batch, which are the same in batches of entries and of lines.
    fn batches(entries_max: usize, bytes_max: usize, entries: u64) -> Vec<Vec<u64>> {
        let limits = Limits { entries_max, bytes_max, lines: false };
        let of_entries = batched(limits, entries);
        let of_lines = batched(Limits { lines: true, ..limits }, entries);
        assert_eq!(of_entries.len(), of_lines.len());
        let mut sequences = Vec::new();
        for (batch, as_lines) in of_entries.iter().zip(&of_lines) {
            let (Content::Entries(entries), Content::Lines(lines)) = (&batch.content, &as_lines.content)
            else {
                panic!("batches of another kind")
            };
            let last = entries.last().unwrap();
            assert_eq!(batch.hashes, entries.iter().map(|entry| entry.chain_hash).collect::<Vec<_>>());
            assert_eq!(batch.hashes, as_lines.hashes);
            for batch in [batch, as_lines] {
                assert_eq!(batch.position, last.position(LINEAGE));
                assert_eq!(batch.commit_ms, last.commit_ms);
            }
            assert_eq!((lines.first(), lines.last()), (entries[0].sequence, last.position(LINEAGE)));
            let read = lines.text().lines().map(|line| parse_entry_line(line).unwrap());
            for (line, entry) in read.zip(entries) {
                assert_eq!((line.sequence, line.commit_ms), (entry.sequence, entry.commit_ms));
                assert_eq!(line.chain_hash, entry.chain_hash.to_string());
                assert_eq!(line.entry.as_ref(), &entry.entry);
            }
            assert_eq!(lines.text().lines().count(), entries.len());
            sequences.push(entries.iter().map(|entry| entry.sequence).collect());
        }
        sequences
    }

    #[test]
    fn lines_are_cut_by_their_own_bytes_too() {
        let limits = Limits { entries_max: usize::MAX, bytes_max: usize::MAX, lines: true };
        let entries = u64::try_from(3 * LINES_BYTES_MAX / 200).unwrap();
        let batches = batched(limits, entries);
        assert!(batches.len() > 2, "{}", batches.len());
        for (at, batch) in batches.iter().enumerate() {
            let bytes = batch.content.lines_bytes();
            assert!(bytes < LINES_BYTES_MAX + 1000, "{bytes}");
            assert_eq!(batch.is_full(limits), at + 1 < batches.len());
        }
        assert_eq!(batches.iter().map(|batch| batch.hashes.len() as u64).sum::<u64>(), entries);
    }

    #[test]
    fn batches_are_cut_by_entries_and_by_bytes_and_hold_every_entry_once() {
        assert_eq!(batches(2, usize::MAX, 5), [vec![1, 2], vec![3, 4], vec![5]]);
        let bytes = entry(1).payload.len();
        assert_eq!(batches(10, bytes * 3, 7), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        assert_eq!(batches(10, 0, 2), [vec![1], vec![2]], "an entry larger than a batch goes alone");
        assert!(batches(3, 100, 0).is_empty());
    }

    #[test]
    fn buffers_that_are_used_again_hold_nothing_of_before() {
        let limits = Limits { entries_max: 3, bytes_max: usize::MAX, lines: true };
        let spares = Spares::default();
        let mut batcher = Batcher::new(LINEAGE, limits, spares.clone());
        for first in (1..30).step_by(3) {
            let batch =
                (first..first + 3).filter_map(|sequence| batcher.push(&entry(sequence)).unwrap()).next();
            let Content::Lines(lines) = batch.unwrap().content else { panic!("no lines") };
            assert_eq!((lines.first(), lines.last().sequence), (first, first + 2));
            assert_eq!(lines.text().lines().count(), 3);
            spares.give(Content::Lines(lines));
        }
    }
}
