//! Which objects hold the sequences that a reader wants. Pure: the listing is done elsewhere.

use std::sync::Arc;

use crate::{Head, HistoryRule, SegmentName, StoredHead, WindowSegment};

/// A segment to fetch, with what is known about it beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedSegment {
    /// Its name.
    pub name: SegmentName,
    /// Bytes of the object, from the window or the listing.
    pub size: u64,
    /// SHA-256 of the object, when the window names it.
    pub sha256: Option<[u8; 32]>,
}

impl PlannedSegment {
    /// All fields.
    #[must_use]
    pub fn new(name: SegmentName, size: u64, sha256: Option<[u8; 32]>) -> Self {
        Self { name, size, sha256 }
    }
}

impl From<WindowSegment> for PlannedSegment {
    fn from(row: WindowSegment) -> Self {
        Self::new(row.name, row.size, Some(row.sha256))
    }
}

/// Segments that hold, in order and without a hole, the entries from `from + 1` on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The head under which the segments are history. It may be newer than the one that was asked with.
    pub head: Arc<StoredHead>,
    /// The position of the reader.
    pub from: u64,
    /// Each begins at or before the end of the one before plus one. The first may begin before `from + 1`, and segments
    /// of different levels may overlap: readers skip what they have.
    pub segments: Vec<PlannedSegment>,
    /// The last sequence that the segments hold. At most the head's committed sequence; less when the plan was cut
    /// short to bound memory: ask again from here.
    pub reaches: u64,
}

impl Plan {
    /// Whether the segments reach the head's committed sequence.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.reaches >= self.head.head.committed().sequence
    }
}

/// The segments of the head's window that hold `from + 1..=committed`; `None` when the window does not reach back so far.
pub(crate) fn from_window(head: &Head, from: u64) -> Option<Vec<PlannedSegment>> {
    let rule = HistoryRule::of(head);
    let rows = head.segments();
    let reaches_back = rows.first().is_some_and(|row| row.name.first() <= from.saturating_add(1));
    let history = rows.iter().filter(|row| row.name.last() > from).all(|row| rule.admits(&row.name));
    (reaches_back && history)
        .then(|| rows.iter().filter(|row| row.name.last() > from).map(|row| (*row).into()).collect())
}

/// What a cover reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cover {
    /// The chosen segments, in order.
    pub(crate) segments: Vec<PlannedSegment>,
    /// The last sequence covered without a hole; `from` when nothing fits.
    pub(crate) reaches: u64,
    /// Where the next segment behind the hole begins, if there is any.
    pub(crate) next_first: Option<u64>,
}

/// Chooses, among history, segments that hold the entries after `from` without a hole, as far as that goes. Merged
/// segments win over the smaller ones that they contain.
pub(crate) fn cover(from: u64, mut history: Vec<PlannedSegment>) -> Cover {
    // By last, then first: every candidate that could fill a hole before a segment has come before it, or reaches beyond it.
    history.sort_by_key(|segment| (segment.name.last(), segment.name.first(), segment.name.level()));
    let mut segments: Vec<PlannedSegment> = Vec::new();
    let mut reaches = from;
    let mut next_first = None;
    for candidate in history {
        let name = candidate.name;
        if name.last() <= reaches {
            continue;
        }
        if name.first() > reaches.saturating_add(1) {
            next_first = Some(next_first.map_or(name.first(), |first: u64| first.min(name.first())));
            continue;
        }
        while segments.last().is_some_and(|top| name.first() <= top.name.first()) {
            segments.pop();
        }
        segments.push(candidate);
        reaches = name.last();
        next_first = None;
    }
    Cover { segments, reaches, next_first }
}
