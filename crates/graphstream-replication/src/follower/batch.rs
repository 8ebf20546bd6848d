//! Cutting entries into batches, one transaction of the target each.

use graphstream_format::{Entry, Lineage, Position};
use graphstream_proto::JournalEntry;
use graphstream_replay::ReplayEntry;

use crate::{Error, FollowerOptions, Result};

/// How large batches get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) entries_max: usize,
    pub(crate) bytes_max: usize,
}

impl Limits {
    pub(crate) fn of(options: &FollowerOptions) -> Self {
        Self { entries_max: options.batch_entries_max.max(1), bytes_max: options.batch_bytes_max }
    }
}

/// Consecutive entries and the position after them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<ReplayEntry>,
    /// Of their payloads.
    bytes: usize,
    pub(crate) position: Position,
    /// Commit time of the last entry.
    pub(crate) commit_ms: i64,
}

impl Batch {
    /// Whether both fit into one.
    pub(crate) fn has_room_for(&self, next: &Self, limits: Limits) -> bool {
        self.entries.len() + next.entries.len() <= limits.entries_max
            && self.bytes + next.bytes <= limits.bytes_max
    }

    pub(crate) fn is_full(&self, limits: Limits) -> bool {
        self.entries.len() >= limits.entries_max || self.bytes >= limits.bytes_max
    }

    /// This one and the one behind it.
    pub(crate) fn and(mut self, next: Self) -> Self {
        self.entries.extend(next.entries);
        Self { entries: self.entries, bytes: self.bytes + next.bytes, ..next }
    }
}

/// Collects entries until a batch is full.
#[derive(Debug)]
pub(crate) struct Batcher {
    lineage: Lineage,
    limits: Limits,
    entries: Vec<ReplayEntry>,
    bytes: usize,
}

impl Batcher {
    pub(crate) fn new(lineage: Lineage, limits: Limits) -> Self {
        Self { lineage, limits, entries: Vec::new(), bytes: 0 }
    }

    /// Takes an entry; returns the batch that it would have overfilled, or that it fills.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<Option<Batch>> {
        let decoded = JournalEntry::decode(&entry.payload, entry.sequence)
            .map_err(|source| Error::Payload { sequence: entry.sequence, source })?;
        let before = (!self.entries.is_empty() && self.bytes + entry.payload.len() > self.limits.bytes_max)
            .then(|| self.take())
            .flatten();
        self.bytes += entry.payload.len();
        self.entries.push(ReplayEntry {
            sequence: entry.sequence,
            commit_ms: entry.commit_ms,
            chain_hash: entry.chain_hash,
            entry: decoded,
        });
        if before.is_some() {
            return Ok(before);
        }
        Ok(if self.entries.len() >= self.limits.entries_max { self.take() } else { None })
    }

    /// What has been collected so far.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let bytes = std::mem::take(&mut self.bytes);
        let entries = std::mem::take(&mut self.entries);
        let last = entries.last()?;
        let (position, commit_ms) = (last.position(self.lineage), last.commit_ms);
        Some(Batch { entries, bytes, position, commit_ms })
    }
}

#[cfg(test)]
mod tests {
    use graphstream_format::ChainHash;

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

    fn batches(entries_max: usize, bytes_max: usize, entries: u64) -> Vec<Vec<u64>> {
        let mut batcher = Batcher::new(Lineage::from_bytes([7; 16]), Limits { entries_max, bytes_max });
        let mut batches = Vec::new();
        for sequence in 1..=entries {
            batches.extend(batcher.push(&entry(sequence)).unwrap());
        }
        batches.extend(batcher.take());
        for batch in &batches {
            let last = batch.entries.last().unwrap();
            assert_eq!(batch.position, last.position(Lineage::from_bytes([7; 16])));
            assert_eq!(batch.commit_ms, last.commit_ms);
        }
        batches.iter().map(|batch| batch.entries.iter().map(|entry| entry.sequence).collect()).collect()
    }

    #[test]
    fn batches_are_cut_by_entries_and_by_bytes_and_hold_every_entry_once() {
        assert_eq!(batches(2, usize::MAX, 5), [vec![1, 2], vec![3, 4], vec![5]]);
        let bytes = entry(1).payload.len();
        assert_eq!(batches(10, bytes * 3, 7), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        assert_eq!(batches(10, 0, 2), [vec![1], vec![2]], "an entry larger than a batch goes alone");
        assert!(batches(3, 100, 0).is_empty());
    }
}
