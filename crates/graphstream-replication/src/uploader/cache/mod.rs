//! The local segments that are published: how long they stay.
//!
//! ```text
//!   sealed, published, passed by every cursor          │ kept
//!   ├── too old, or too many bytes: removed ──┤── stay ─┤ holds what was committed last │ not committed │ open
//! ```
//! Local readers and restarts find recent segments here instead of in the store. What is not committed, what a cursor holds back, the segment that holds
//! the last committed entry (it proves the chain there) and the newest sealed one (recovery goes on from it) are never touched.

mod plan;

use std::collections::VecDeque;
use std::time::Duration;

use graphstream_journal::JournalDir;

pub(crate) use self::plan::{Kept, through};
use crate::Result;

/// How long published segments stay on the local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// Since they were published (after a restart: since they were begun). Default 1 h.
    pub age_max: Duration,
    /// All of them together, oldest first. Default 256 MiB.
    pub bytes_max: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { age_max: Duration::from_secs(3600), bytes_max: 256 << 20 }
    }
}

impl CacheOptions {
    /// Sets [`age_max`](Self::age_max).
    #[must_use]
    pub fn with_age_max(mut self, age_max: Duration) -> Self {
        self.age_max = age_max;
        self
    }

    /// Sets [`bytes_max`](Self::bytes_max).
    #[must_use]
    pub fn with_bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Nothing stays that nobody needs.
    #[must_use]
    pub fn nothing() -> Self {
        Self { age_max: Duration::ZERO, bytes_max: 0 }
    }
}

/// The published segments in a journal's directory.
#[derive(Debug, Default, Clone)]
pub struct SegmentCache {
    options: CacheOptions,
    /// Ascending.
    kept: VecDeque<Kept>,
    bytes: u64,
}

/// What a [`SegmentCache`] holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What one cleanup removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanupStats {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl SegmentCache {
    /// What stands in the directory and is committed: the only look at all of it. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error::Journal).
    pub fn open(dir: &JournalDir, committed: u64, options: CacheOptions) -> Result<Self> {
        let mut cache = Self { options, ..Self::default() };
        for first in dir.segment_sequences()? {
            if first > committed {
                break;
            }
            // One that can't be read is for `verify`, and for whoever needs it.
            let Ok(Some(segment)) = dir.segment(first) else { continue };
            if segment.is_sealed() && segment.header.last_seq <= committed {
                cache.keep(Kept {
                    first,
                    last: segment.header.last_seq,
                    bytes: segment.file_bytes,
                    since_ms: segment.header.created_ms,
                });
            }
        }
        Ok(cache)
    }

    /// A segment was published.
    pub(crate) fn keep(&mut self, segment: Kept) {
        self.bytes = self.bytes.saturating_add(segment.bytes);
        self.kept.push_back(segment);
    }

    /// What it holds.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats { segments: self.kept.len(), bytes: self.bytes }
    }

    /// Whether anything is too old or too much, whoever needs it.
    pub(crate) fn is_due(&self, committed: u64, now_ms: i64) -> bool {
        // What holds the last committed entry stays.
        let needless = committed.saturating_sub(1);
        through(self.kept.iter().copied(), self.bytes, &self.options, needless, now_ms).is_some()
    }

    /// Removes what is too old or too much and needed by nobody. Blocks for the disk if there is any.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error::Journal); what was removed until then is.
    pub fn clean(&mut self, dir: &JournalDir, committed: u64, now_ms: i64) -> Result<CleanupStats> {
        let mut removed = CleanupStats::default();
        if !self.is_due(committed, now_ms) {
            return Ok(removed);
        }
        let passed = dir.cursors()?.iter().map(|cursor| cursor.sequence).min().unwrap_or(0);
        let needless = committed.saturating_sub(1).min(passed);
        let Some(through) = through(self.kept.iter().copied(), self.bytes, &self.options, needless, now_ms)
        else {
            return Ok(removed);
        };
        let due = self.kept.iter().take_while(|segment| segment.last <= through);
        let due: Vec<_> = due.map(|segment| segment.first).collect();
        // What an attempt before this one has removed counts.
        removed.segments = dir.remove_released_of(&due)?;
        for _ in 0..removed.segments {
            let Some(segment) = self.kept.pop_front() else { break };
            removed.bytes = removed.bytes.saturating_add(segment.bytes);
        }
        self.bytes = self.bytes.saturating_sub(removed.bytes);
        Ok(removed)
    }
}
