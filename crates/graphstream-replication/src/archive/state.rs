//! What is archived and what is next. Pure.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How segments are archived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveOptions {
    /// Segments per plan, that is, per publication of an uploader; at least 1. Default 16.
    pub batch_segments_max: usize,
    /// Whether each segment is verified before it is archived, entry by entry. Otherwise an uploader compares its ends with the chain (header, index and
    /// last frame), which spares decompressing it: damage between them is published, and found by whoever reads it then, as an error. Default
    /// true.
    pub verify_before_archive: bool,
    /// Whether local segments go as soon as they are archived and nobody needs them, instead of staying for a while. Default false.
    pub delete_after_archive: bool,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self { batch_segments_max: 16, verify_before_archive: true, delete_after_archive: false }
    }
}

impl ArchiveOptions {
    /// Sets [`batch_segments_max`](Self::batch_segments_max).
    #[must_use]
    pub fn with_batch_segments_max(mut self, segments: usize) -> Self {
        self.batch_segments_max = segments.max(1);
        self
    }

    /// Sets [`verify_before_archive`](Self::verify_before_archive).
    #[must_use]
    pub fn with_verify_before_archive(mut self, verify: bool) -> Self {
        self.verify_before_archive = verify;
        self
    }

    /// Sets [`delete_after_archive`](Self::delete_after_archive).
    #[must_use]
    pub fn with_delete_after_archive(mut self, delete: bool) -> Self {
        self.delete_after_archive = delete;
        self
    }
}

/// A sealed segment of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveSegment {
    /// Sequence of its first entry.
    pub first: u64,
    /// Sequence of its last entry.
    pub last: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Commit time of its first entry, in ms since 1970; 0 if that is not known.
    pub first_commit_ms: i64,
}

impl ArchiveSegment {
    /// A segment that holds these sequences in so many bytes.
    #[must_use]
    pub fn new(sequences: RangeInclusive<u64>, bytes: u64) -> Self {
        let (first, last) = sequences.into_inner();
        Self { first, last, bytes, first_commit_ms: 0 }
    }

    /// Sets [`first_commit_ms`](Self::first_commit_ms).
    #[must_use]
    pub fn with_first_commit_ms(mut self, first_commit_ms: i64) -> Self {
        self.first_commit_ms = first_commit_ms;
        self
    }
}

/// A segment that does not continue what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the segment of entries {first} to {last} does not continue what is known: the next one begins at {expected}"
)]
pub struct NotNext {
    /// Its first sequence.
    pub first: u64,
    /// Its last sequence.
    pub last: u64,
    /// Where the next segment begins.
    pub expected: u64,
}

/// What is archived next: consecutive segments, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchivePlan {
    /// The last sequence that is archived. The first segment may begin before it (somebody else archived a part of it).
    pub after: u64,
    /// What to archive, in this order.
    pub segments: Vec<ArchiveSegment>,
    /// Whether each is to be verified first.
    pub verify: bool,
    /// Whether each may be deleted once it is archived.
    pub delete: bool,
}

/// What waits to be archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Sealed segments.
    pub segments: usize,
    /// Their entries that are not archived.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The last failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveFailure {
    /// The first sequence that was not archived.
    pub sequence: u64,
    /// Why, in words.
    pub reason: String,
    /// When, in ms since 1970.
    pub at_ms: i64,
}

/// Where the journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveJournal {
    /// The last sequence written.
    pub written: u64,
    /// Bytes of the open segment's file; 0 without one.
    pub open_bytes: u64,
    /// When the open segment was begun, in ms since 1970, if there is one.
    pub open_since_ms: Option<i64>,
    /// The clock, in ms since 1970.
    pub now_ms: i64,
}

impl LiveJournal {
    /// A journal that ends at a sequence, and of whose open segment nothing is known.
    #[must_use]
    pub fn at(written: u64, now_ms: i64) -> Self {
        Self { written, open_bytes: 0, open_since_ms: None, now_ms }
    }

    /// With an open segment.
    #[must_use]
    pub fn with_open(mut self, bytes: u64, since_ms: i64) -> Self {
        (self.open_bytes, self.open_since_ms) = (bytes, Some(since_ms));
        self
    }
}

/// What an archiver reports.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ArchiveStatus {
    /// The last sequence archived.
    pub archived: u64,
    /// When that was, in ms since 1970; `None` when nothing was since the start.
    pub archived_ms: Option<i64>,
    /// Segments archived since the start.
    pub archived_segments: u64,
    /// Their bytes.
    pub archived_bytes: u64,
    /// Failures since the start.
    pub failures: u64,
    /// The last one; it stays when later attempts succeed.
    pub last_failure: Option<ArchiveFailure>,
    /// What is sealed and waits.
    pub pending: Pending,
    /// Entries that a lost machine would cost now.
    pub gap_entries: u64,
    /// Bytes of the files that hold them, at most: the whole open segment counts, with the space that it has reserved.
    pub gap_bytes: u64,
    /// How long the oldest of them has waited, in seconds, at most; 0 when there is none.
    pub gap_seconds: f64,
}

/// What is archived, what waits, what failed.
#[derive(Debug, Clone)]
pub struct ArchiveState {
    options: ArchiveOptions,
    archived: u64,
    archived_ms: Option<i64>,
    archived_segments: u64,
    archived_bytes: u64,
    failures: u64,
    last_failure: Option<ArchiveFailure>,
    /// Sealed and not archived; consecutive.
    waiting: VecDeque<ArchiveSegment>,
    waiting_bytes: u64,
}

impl ArchiveState {
    /// Everything up to and including `archived` is archived.
    #[must_use]
    pub fn new(options: ArchiveOptions, archived: u64) -> Self {
        Self {
            options,
            archived,
            archived_ms: None,
            archived_segments: 0,
            archived_bytes: 0,
            failures: 0,
            last_failure: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// The last sequence archived.
    #[must_use]
    pub fn archived(&self) -> u64 {
        self.archived
    }

    /// Where the next sealed segment begins, unless the first one begins earlier and ends later than what is archived.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.waiting.back().map_or(self.archived, |newest| newest.last).saturating_add(1)
    }

    /// A segment was sealed. One that is archived already changes nothing.
    ///
    /// # Errors
    /// [`NotNext`], with nothing changed, when it leaves a hole or overlaps what is known.
    pub fn sealed(&mut self, segment: ArchiveSegment) -> Result<(), NotNext> {
        let ArchiveSegment { first, last, bytes, .. } = segment;
        let expected = self.expected();
        let reaches_in = self.waiting.is_empty() && first <= expected;
        if first > last || !(first == expected || reaches_in) {
            return Err(NotNext { first, last, expected });
        }
        if last > self.archived {
            self.waiting.push_back(segment);
            self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
        }
        Ok(())
    }

    /// What waits.
    #[must_use]
    pub fn pending(&self) -> Pending {
        Pending {
            segments: self.waiting.len(),
            entries: self.expected().saturating_sub(1).saturating_sub(self.archived),
            bytes: self.waiting_bytes,
        }
    }

    /// What is to be archived next; no segments when nothing waits. The plan stays the same until something is marked.
    #[must_use]
    pub fn plan(&self) -> ArchivePlan {
        ArchivePlan {
            after: self.archived,
            segments: self.waiting.iter().take(self.options.batch_segments_max.max(1)).copied().collect(),
            verify: self.options.verify_before_archive,
            delete: self.options.delete_after_archive,
        }
    }

    /// Everything up to and including `through` is archived, by us: what is covered leaves the plan, and is returned. Never moves back.
    pub fn mark_archived(&mut self, through: u64, at_ms: i64) -> Vec<ArchiveSegment> {
        if through <= self.archived {
            return Vec::new();
        }
        self.archived_ms = Some(at_ms);
        let covered = self.archived_elsewhere(through);
        self.archived_segments = self.archived_segments.saturating_add(covered.len() as u64);
        let bytes: u64 = covered.iter().map(|segment| segment.bytes).sum();
        self.archived_bytes = self.archived_bytes.saturating_add(bytes);
        covered
    }

    /// As [`mark_archived`](Self::mark_archived), by somebody else: counted for nobody.
    pub fn archived_elsewhere(&mut self, through: u64) -> Vec<ArchiveSegment> {
        self.archived = self.archived.max(through);
        let covered = self.waiting.iter().take_while(|segment| segment.last <= self.archived).count();
        let covered: Vec<_> = self.waiting.drain(..covered).collect();
        let bytes: u64 = covered.iter().map(|segment| segment.bytes).sum();
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        covered
    }

    /// The entry `sequence` could not be archived, nor anything behind it. What is archived stays where it is.
    pub fn mark_failed(&mut self, sequence: u64, reason: impl Into<String>, at_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(ArchiveFailure { sequence, reason: reason.into(), at_ms });
    }

    /// The report, against the live journal.
    #[must_use]
    pub fn status(&self, live: LiveJournal) -> ArchiveStatus {
        let gap_entries = live.written.max(self.expected().saturating_sub(1)).saturating_sub(self.archived);
        let oldest_ms = self.waiting.front().map(|oldest| oldest.first_commit_ms).or(live.open_since_ms);
        let waited_ms = oldest_ms.map_or(0, |since| live.now_ms.saturating_sub(since));
        let waited = Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0));
        let is_open = gap_entries > self.pending().entries;
        let open_bytes = if is_open { live.open_bytes } else { 0 };
        ArchiveStatus {
            archived: self.archived,
            archived_ms: self.archived_ms,
            archived_segments: self.archived_segments,
            archived_bytes: self.archived_bytes,
            failures: self.failures,
            last_failure: self.last_failure.clone(),
            pending: self.pending(),
            gap_entries,
            gap_bytes: self.waiting_bytes.saturating_add(open_bytes),
            gap_seconds: if gap_entries == 0 { 0.0 } else { waited.as_secs_f64() },
        }
    }
}
