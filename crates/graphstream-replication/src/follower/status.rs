//! Where a follower stands.

use std::time::Duration;

use graphstream_format::Position;

/// Where a follower stands, as others watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FollowerStatus {
    /// What the target has; `None` before the first entry.
    pub applied: Option<Position>,
    /// The head's epoch as last read; 0 before the first read.
    pub epoch: u32,
    /// What the head says is committed, as last read; `None` before the first read, and while its chain hash is not known here: the
    /// head of an encrypted history does not say it.
    pub committed: Option<Position>,
    /// The last sequence that was fetched and verified.
    pub fetched_sequence: u64,
    /// The head's committed sequence as last read; 0 before the first read.
    pub committed_sequence: u64,
    /// Commit time of the last entry that this process applied, in ms since 1970.
    pub applied_commit_ms: Option<i64>,
    /// The head's commit time as last read, in ms since 1970.
    pub committed_commit_ms: i64,
    /// Bytes of segments that are committed, known and not applied.
    pub lag_bytes: u64,
    /// Looks at the store in a row that failed, up to now.
    pub failures: u32,
    /// The last entry in the snapshot that is taking the target's place right now, because the entries behind
    /// [`applied`](Self::applied) are not in the store any more.
    pub replacing: Option<u64>,
}

impl FollowerStatus {
    /// The last applied sequence; 0 before the first entry.
    #[must_use]
    pub fn applied_sequence(&self) -> u64 {
        self.applied.map_or(0, |position| position.sequence)
    }

    /// Entries that are committed and not applied.
    #[must_use]
    pub fn lag_entries(&self) -> u64 {
        self.committed_sequence.saturating_sub(self.applied_sequence())
    }

    /// From the commit of the last applied entry to that of the last committed one; `None` while nothing tells.
    #[must_use]
    pub fn lag_time(&self) -> Option<Duration> {
        if self.lag_entries() == 0 {
            return Some(Duration::ZERO);
        }
        let ms = self.committed_commit_ms.saturating_sub(self.applied_commit_ms?);
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }
}
