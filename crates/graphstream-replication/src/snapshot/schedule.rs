//! When the next snapshot is due. Pure: whoever asks brings the clock and the positions.

use std::time::Duration;

/// The newest snapshot that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSnapshot {
    /// The last entry in it.
    pub sequence: u64,
    /// When it was made, in ms since 1970.
    pub created_ms: i64,
}

impl LastSnapshot {
    /// All fields.
    #[must_use]
    pub const fn new(sequence: u64, created_ms: i64) -> Self {
        Self { sequence, created_ms }
    }
}

/// After how much time, or how many entries, a database is copied again.
///
/// ```
/// use std::time::Duration;
/// use graphstream_replication::{LastSnapshot, SnapshotSchedule};
///
/// let schedule = SnapshotSchedule::default().with_interval(Duration::from_secs(3600)).with_entries(1_000);
/// let last = Some(LastSnapshot::new(500, 0));
/// assert!(!schedule.is_due(60_000, last, 1_499), "neither an hour nor a thousand entries");
/// assert!(schedule.is_due(60_000, last, 1_500) && schedule.is_due(3_600_000, last, 501));
/// assert!(!schedule.is_due(i64::MAX, last, 500), "there is nothing new in it");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SnapshotSchedule {
    /// So long after the last one. Default: time alone makes none.
    pub interval: Option<Duration>,
    /// So many committed entries after those in the last one. Default: entries alone make none.
    pub entries: Option<u64>,
}

impl SnapshotSchedule {
    /// Sets [`interval`](Self::interval).
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Sets [`entries`](Self::entries).
    #[must_use]
    pub const fn with_entries(mut self, entries: u64) -> Self {
        self.entries = Some(entries);
        self
    }

    /// Whether one is due. Never of what the last one holds already; the first one as soon as anything is committed. A clock that went
    /// back makes none early.
    #[must_use]
    pub fn is_due(&self, now_ms: i64, last: Option<LastSnapshot>, committed: u64) -> bool {
        let Some(last) = last else {
            return committed > 0 && (self.interval.is_some() || self.entries.is_some());
        };
        if committed <= last.sequence {
            return false;
        }
        let age_ms = u64::try_from(now_ms.saturating_sub(last.created_ms)).unwrap_or(0);
        let old = self.interval.is_some_and(|interval| Duration::from_millis(age_ms) >= interval);
        let behind = self.entries.is_some_and(|entries| committed - last.sequence >= entries.max(1));
        old || behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_due_with_the_first_entry_and_none_without_a_schedule() {
        let hourly = SnapshotSchedule::default().with_interval(Duration::from_secs(3600));
        assert!(hourly.is_due(0, None, 1) && !hourly.is_due(0, None, 0));
        let none = SnapshotSchedule::default();
        assert!(!none.is_due(i64::MAX, None, 9) && !none.is_due(i64::MAX, Some(LastSnapshot::new(1, 0)), 9));
    }

    #[test]
    fn a_clock_that_went_back_makes_none_early() {
        let hourly = SnapshotSchedule::default().with_interval(Duration::from_secs(3600));
        assert!(!hourly.is_due(0, Some(LastSnapshot::new(1, 10_000_000)), 9));
        assert!(!hourly.is_due(i64::MIN, Some(LastSnapshot::new(1, i64::MAX)), 9));
    }
}
