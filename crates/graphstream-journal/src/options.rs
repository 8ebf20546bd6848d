//! What a caller can choose. Plain data; components (file system, clock, metrics) go into the builder.

use std::sync::Arc;
use std::time::Duration;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{Compression, SegmentVersion, WriteOptions};

use crate::error::{Error, Result};

/// When the journal syncs on its own. It never changes what an acknowledgement means: *synced* is said only after
/// fdatasync has returned for the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Every group is synced as soon as the sync before it has returned (group commit).
    Always,
    /// A timer syncs, whatever the load; who waits for *synced* waits for the timer (or for [`Journal::sync`](crate::Journal::sync)).
    Interval(Duration),
    /// Only when somebody waits for *synced*, asks for a sync, or a segment fills up (whenever a quarter of it was written) or is left
    /// behind.
    Never,
}

impl SyncPolicy {
    /// The interval policy with its default of 100 ms.
    pub const INTERVAL: Self = Self::Interval(Duration::from_millis(100));
}

/// What happens to an append that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// It waits; the caller's thread helps by writing out what is queued.
    Block,
    /// It fails with [`Error::QueueFull`].
    Fail,
}

/// What happens to an append while cursors hold back as many bytes as they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits, until a cursor has moved or the journal ends.
    Block,
    /// It fails with [`Error::BudgetFull`].
    Fail,
}

/// Who does what nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// A process-wide pool of threads, started on first need and ended when idle.
    Pool,
    /// Nobody: segments are sealed by the thread that rotates, entries wait in the queue until somebody waits for them or
    /// the queue is full, and there are no timers. Every run does the same steps: for tests.
    Inline,
}

/// How a journal behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalOptions {
    /// Largest open segment in bytes (default 4 MiB). An entry or batch that is larger than this gets a segment of its own.
    /// Until a segment is sealed, up to a quarter of this (4 MiB at most) is kept in memory for it: chain hashes, 32 bytes an entry.
    pub segment_bytes_max: u64,
    /// How long the oldest entry may stay in the open segment: then it is rotated and sealed, also when nothing follows. With
    /// shipping, this bounds how much a lost machine costs. Without the pool it is looked at when entries are written (default: no bound).
    pub segment_age_max: Option<Duration>,
    /// Which layout segments are sealed in (default version 2). Version 1 is what the predecessor reads;
    /// [`Compression::VERSION_1`] suits it. Readers take both, side by side.
    pub segment_version: SegmentVersion,
    /// How sealed segments are compressed (default columns, then zstd level 3).
    pub compression: Compression,
    /// When the journal syncs on its own (default [`SyncPolicy::Always`]).
    pub sync_policy: SyncPolicy,
    /// Most bytes of payload that may be queued (default 8 MiB); one entry or batch is always taken. As much again may be under way to the
    /// file, of which 17 records (256 KiB each, or an entry or batch that is larger) are held once more until they are written.
    pub queue_bytes_max: usize,
    /// What an append does when the queue is full (default: block).
    pub queue_policy: QueuePolicy,
    /// How many segments may wait to be sealed before appends wait (default 8). While 1 MiB and more is queued sealing does not begin until half of
    /// them wait: a burst is written first. Two at most are sealed at once, and become visible in
    /// order. Each takes the memory of the compressor (3 MiB at level 3), of the largest record in the segment, and of a frame or 128 KiB twice.
    pub waiting_segments_max: usize,
    /// How many bytes of segments cursors may hold back before appends wait or fail, at least [`JournalOptions::segment_bytes_max`] (default:
    /// no bound). With shipping, this is the disk that an outage of the store may take: what the uploader's cursor has not passed stays.
    /// The open segment does not count, and what was accepted before is still written (twice `queue_bytes_max` at most). Without a cursor, as where nobody
    /// ships, nothing is held back and there is no bound. A cursor that another process moves is noticed within a second.
    pub held_bytes_max: Option<u64>,
    /// What an append does when `held_bytes_max` is reached (default: block, so that nothing is refused that a patient caller could keep).
    pub when_full: WhenFull,
    /// Who does what nobody waits for (default: the pool).
    pub service: Service,
    /// Whether keys may be given for a journal that has sealed plain segments (default: no, that is refused). Then what is sealed from
    /// that opening on is encrypted, and the plain segments stay readable as they are: `journal.json` notes up to which sequence.
    pub encrypt_existing: bool,
    /// Whether the journal takes nothing more ([`Error::Closed`]) once entries could not be written, though it could go on: on a full device, or
    /// while sealing fails (default: no). For who appends without waiting for each answer, and whose entries make sense in their order
    /// alone: without it, entries that are appended before the failure is looked at may be written, behind those that were not.
    pub stop_at_failure: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes_max: 4 << 20,
            segment_age_max: None,
            segment_version: SegmentVersion::V2,
            compression: Compression::default(),
            sync_policy: SyncPolicy::Always,
            queue_bytes_max: 8 << 20,
            queue_policy: QueuePolicy::Block,
            waiting_segments_max: 8,
            held_bytes_max: None,
            when_full: WhenFull::Block,
            service: Service::Pool,
            encrypt_existing: false,
            stop_at_failure: false,
        }
    }
}

impl JournalOptions {
    /// Sets [`JournalOptions::segment_bytes_max`].
    #[must_use]
    pub fn with_segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }

    /// Sets [`JournalOptions::segment_age_max`].
    #[must_use]
    pub fn with_segment_age_max(mut self, age: Duration) -> Self {
        self.segment_age_max = Some(age);
        self
    }

    /// Sets [`JournalOptions::segment_version`].
    #[must_use]
    pub fn with_segment_version(mut self, version: SegmentVersion) -> Self {
        self.segment_version = version;
        self
    }

    /// Sets [`JournalOptions::compression`].
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets [`JournalOptions::sync_policy`].
    #[must_use]
    pub fn with_sync_policy(mut self, policy: SyncPolicy) -> Self {
        self.sync_policy = policy;
        self
    }

    /// Sets [`JournalOptions::queue_bytes_max`].
    #[must_use]
    pub fn with_queue_bytes_max(mut self, bytes: usize) -> Self {
        self.queue_bytes_max = bytes;
        self
    }

    /// Sets [`JournalOptions::queue_policy`].
    #[must_use]
    pub fn with_queue_policy(mut self, policy: QueuePolicy) -> Self {
        self.queue_policy = policy;
        self
    }

    /// Sets [`JournalOptions::waiting_segments_max`].
    #[must_use]
    pub fn with_waiting_segments_max(mut self, segments: usize) -> Self {
        self.waiting_segments_max = segments;
        self
    }

    /// Sets [`JournalOptions::held_bytes_max`].
    #[must_use]
    pub fn with_held_bytes_max(mut self, bytes: u64) -> Self {
        self.held_bytes_max = Some(bytes);
        self
    }

    /// Sets [`JournalOptions::when_full`].
    #[must_use]
    pub fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets [`JournalOptions::service`].
    #[must_use]
    pub fn with_service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// Sets [`JournalOptions::encrypt_existing`].
    #[must_use]
    pub fn with_encrypt_existing(mut self, encrypt_existing: bool) -> Self {
        self.encrypt_existing = encrypt_existing;
        self
    }

    /// Sets [`JournalOptions::stop_at_failure`].
    #[must_use]
    pub fn with_stop_at_failure(mut self, stop_at_failure: bool) -> Self {
        self.stop_at_failure = stop_at_failure;
        self
    }

    /// So many segments wait to be sealed until the writer has a moment.
    pub(crate) fn deferred_segments_max(&self) -> usize {
        (self.waiting_segments_max / 2).max(1)
    }

    /// How a segment is sealed.
    pub(crate) fn form(&self) -> WriteOptions {
        WriteOptions::default().with_version(self.segment_version).with_compression(self.compression)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |option, found, expected| Err(Error::InvalidOption { option, found, expected });
        if !(1024..=SEGMENT_BYTES_LIMIT).contains(&self.segment_bytes_max) {
            return wrong("segment_bytes_max", self.segment_bytes_max, "expected 1 KiB to 1 GiB");
        }
        if self.waiting_segments_max == 0 {
            return wrong("waiting_segments_max", 0, "expected at least 1");
        }
        if self.queue_bytes_max == 0 {
            return wrong("queue_bytes_max", 0, "expected at least 1");
        }
        if let Some(held) = self.held_bytes_max.filter(|held| *held < self.segment_bytes_max) {
            return wrong("held_bytes_max", held, "expected at least segment_bytes_max");
        }
        if self.segment_age_max == Some(Duration::ZERO) {
            return wrong("segment_age_max", 0, "expected more than nothing (or no bound)");
        }
        if self.sync_policy == SyncPolicy::Interval(Duration::ZERO) {
            return wrong("sync_interval", 0, "expected more than nothing (or the policy always)");
        }
        Ok(())
    }
}

/// Far below what the format can hold, and what a reader would need patience for.
const SEGMENT_BYTES_LIMIT: u64 = 1 << 30;

/// What a reader does.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReaderOptions {
    /// The first sequence to return; 0 stands for the first one that the directory holds (default 0).
    pub from_sequence: u64,
    /// Whether the end of the journal ends the reader for good (default), or only for now: then every call of `next`
    /// after a `None` looks again for what a writer has appended since, in this process or another.
    pub follow: bool,
    /// The keys of an encrypted journal (default: none). With keys, nothing is read that is plain and must not be.
    pub keys: Option<Arc<KeyRing>>,
}

impl ReaderOptions {
    /// Sets [`ReaderOptions::keys`].
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeyRing>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets [`ReaderOptions::from_sequence`].
    #[must_use]
    pub fn with_from_sequence(mut self, sequence: u64) -> Self {
        self.from_sequence = sequence;
        self
    }

    /// Sets [`ReaderOptions::follow`].
    #[must_use]
    pub fn with_follow(mut self, follow: bool) -> Self {
        self.follow = follow;
        self
    }
}
