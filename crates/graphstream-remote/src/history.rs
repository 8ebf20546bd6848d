//! The history rule: which segments in the store are history. Pure.
//!
//! ```text
//!   epochs      start(1)=0        start(3)=7             start(4)=12        committed=20
//!                  │  history of 1   │    history of 3       │  history of 4    │
//!   level 0   e1  [1..4][5..7]  e1 [8..9] orphan of a zombie: beyond start(3)
//!             e3                [8..10][11..12]
//!             e2  anything: an epoch that is not listed committed nothing, or has nothing left
//!   level 1       [1...........10]  last <= committed: what was merged was history
//! ```

use crate::{EpochRow, Head, SegmentName, SnapshotName, sabotage};

/// Decides what is history under one head.
///
/// A level-0 segment of epoch `e` is history iff `start(e) < first` and `last <= min(committed, start of the next
/// epoch)`. A segment of a higher level is history iff `last <= committed`, for compactors merge history only.
#[derive(Debug, Clone, Copy)]
pub struct HistoryRule<'a> {
    epochs: &'a [EpochRow],
    committed: u64,
}

impl<'a> HistoryRule<'a> {
    /// The rule under `head`.
    #[must_use]
    pub fn of(head: &'a Head) -> Self {
        Self { epochs: head.epochs(), committed: head.committed().sequence }
    }

    /// Whether the segment is history.
    #[must_use]
    pub fn admits(&self, name: &SegmentName) -> bool {
        if name.last() > self.committed {
            return false;
        }
        if name.level() > 0 {
            return true;
        }
        let Ok(at) = self.epochs.binary_search_by_key(&name.epoch(), |row| row.epoch) else { return false };
        let starts_within = self.epochs.get(at).is_some_and(|row| row.start_sequence < name.first());
        let ends_within = sabotage::is("older_epochs_are_adopted")
            || self.epochs.get(at + 1).is_none_or(|next| name.last() <= next.start_sequence);
        starts_within && ends_within
    }

    /// Whether a snapshot of this name holds history: its last entry is committed, and of an epoch that held it. An epoch that has left
    /// the head's list has nothing left to contradict it.
    #[must_use]
    pub fn admits_snapshot(&self, name: &SnapshotName) -> bool {
        if name.sequence() > self.committed {
            return false;
        }
        let Ok(at) = self.epochs.binary_search_by_key(&name.epoch(), |row| row.epoch) else {
            return self.epochs.last().is_some_and(|newest| name.epoch() < newest.epoch);
        };
        let starts_within = self.epochs.get(at).is_some_and(|row| row.start_sequence < name.sequence());
        starts_within && self.epochs.get(at + 1).is_none_or(|next| name.sequence() <= next.start_sequence)
    }
}
