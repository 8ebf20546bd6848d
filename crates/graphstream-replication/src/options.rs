//! Plain data that callers set; components (backends, targets, metrics) enter through builders.

use std::path::PathBuf;
use std::time::Duration;

use crate::archive::ArchiveOptions;
use crate::uploader::CacheOptions;

/// The longest first pause after a failure; what `retry_interval_max` bounds starts from it.
pub(crate) const RETRY_INTERVAL_FIRST: Duration = Duration::from_millis(100);

/// How a follower tails and applies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerOptions {
    /// How often the head is asked for while it changes. A tenth of it is added at random, so that a fleet
    /// doesn't ask in step. Default 1 s.
    pub poll_interval: Duration,
    /// How often it is asked for when it has not changed for long: from the ninth look in a row that finds nothing on, each pause is half as
    /// long again as the one before, up to this. The first change brings back [`poll_interval`](Self::poll_interval). Default: five times that.
    pub poll_interval_max: Option<Duration>,
    /// Segments fetched at the same time, 1 to 64. Default 4.
    pub fetches_max: usize,
    /// Entries per batch, that is, per transaction of the target; at least 1. Default 500.
    pub batch_entries_max: usize,
    /// Payload bytes per batch; one entry always fits. Default 4 MiB.
    pub batch_bytes_max: usize,
    /// Bytes of fetched segments kept on disk between verifying and applying; beyond it they are fetched twice.
    /// Default 256 MiB.
    pub cache_bytes_max: u64,
    /// The directory for fetched segments, which are removed once applied, and for the floor: what this follower has seen published, so that
    /// an older head is refused after a restart, too. What a killed follower fetched is used by the next, after its bytes were verified. Followers
    /// may share it, and the limit with it. Default: none; segments go into the system's temporary directory, what a killed follower
    /// left there is removed by the next, and after a restart no more is known than the target's position.
    pub cache_dir: Option<PathBuf>,
    /// How often in a row a target that is gone is reopened without any progress in between. Default 5.
    pub target_restarts_max: u32,
    /// How often in a row an unreachable store is asked again before [`Follower::catch_up`](crate::Follower::catch_up)
    /// gives up; [`Follower::run`](crate::Follower::run) never does. Default 5.
    pub store_retries_max: u32,
    /// The longest pause between retries. Each is drawn from 0 to a bound that starts at 100 ms and doubles. Default 30 s.
    pub retry_interval_max: Duration,
}

impl Default for FollowerOptions {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
            poll_interval_max: None,
            fetches_max: 4,
            batch_entries_max: 500,
            batch_bytes_max: 4 << 20,
            cache_bytes_max: 256 << 20,
            cache_dir: None,
            target_restarts_max: 5,
            store_retries_max: 5,
            retry_interval_max: Duration::from_secs(30),
        }
    }
}

impl FollowerOptions {
    /// Sets [`poll_interval`](Self::poll_interval).
    #[must_use]
    pub fn with_poll_interval(mut self, poll_interval: Duration) -> Self {
        self.poll_interval = poll_interval;
        self
    }

    /// Sets [`poll_interval_max`](Self::poll_interval_max).
    #[must_use]
    pub fn with_poll_interval_max(mut self, poll_interval_max: Duration) -> Self {
        self.poll_interval_max = Some(poll_interval_max);
        self
    }

    /// Sets [`batch_entries_max`](Self::batch_entries_max).
    #[must_use]
    pub fn with_batch_entries_max(mut self, entries: usize) -> Self {
        self.batch_entries_max = entries.max(1);
        self
    }

    /// Sets [`cache_dir`](Self::cache_dir).
    #[must_use]
    pub fn with_cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// Sets [`cache_bytes_max`](Self::cache_bytes_max).
    #[must_use]
    pub fn with_cache_bytes_max(mut self, bytes: u64) -> Self {
        self.cache_bytes_max = bytes;
        self
    }

    /// Sets [`store_retries_max`](Self::store_retries_max).
    #[must_use]
    pub fn with_store_retries_max(mut self, retries: u32) -> Self {
        self.store_retries_max = retries;
        self
    }
}

/// How snapshots are made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotOptions {
    /// Bytes of a data object. Default 8 MiB.
    pub part_bytes: usize,
    /// Data objects uploaded at the same time, 1 to 64; as many, and two more, are in memory. Default 4.
    pub uploads_max: usize,
    /// Below which directory the database is copied; it takes as much room as the database. Default: the system's temporary one.
    pub staging_dir: Option<PathBuf>,
    /// How long entries that the copy holds and that are not committed yet are waited for. Default 60 s.
    pub commit_wait: Duration,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { part_bytes: 8 << 20, uploads_max: 4, staging_dir: None, commit_wait: Duration::from_secs(60) }
    }
}

impl SnapshotOptions {
    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn with_part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets [`uploads_max`](Self::uploads_max).
    #[must_use]
    pub fn with_uploads_max(mut self, uploads: usize) -> Self {
        self.uploads_max = uploads;
        self
    }

    /// Sets [`staging_dir`](Self::staging_dir).
    #[must_use]
    pub fn with_staging_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.staging_dir = Some(dir.into());
        self
    }

    /// Sets [`commit_wait`](Self::commit_wait).
    #[must_use]
    pub fn with_commit_wait(mut self, wait: Duration) -> Self {
        self.commit_wait = wait;
        self
    }
}

/// How something is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// Objects fetched, and verified, at the same time, 1 to 64. Default 4.
    pub fetches_max: usize,
    /// Entries per batch, that is, per transaction of the target; at least 1. Default 500.
    pub batch_entries_max: usize,
    /// Payload bytes per batch; one entry always fits. Default 4 MiB.
    pub batch_bytes_max: usize,
    /// Where it works until everything is whole; on the same file system as what is restored. What a killed restore left there is gone
    /// on with. Default: beside what is restored, with `.restore` behind its name.
    pub work_dir: Option<PathBuf>,
    /// Whether what stands where something is restored is moved aside. Default false: then it is an error.
    pub replace: bool,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            fetches_max: 4,
            batch_entries_max: 500,
            batch_bytes_max: 4 << 20,
            work_dir: None,
            replace: false,
        }
    }
}

impl RestoreOptions {
    /// Sets [`fetches_max`](Self::fetches_max).
    #[must_use]
    pub fn with_fetches_max(mut self, fetches: usize) -> Self {
        self.fetches_max = fetches;
        self
    }

    /// Sets [`batch_entries_max`](Self::batch_entries_max).
    #[must_use]
    pub fn with_batch_entries_max(mut self, entries: usize) -> Self {
        self.batch_entries_max = entries.max(1);
        self
    }

    /// Sets [`work_dir`](Self::work_dir).
    #[must_use]
    pub fn with_work_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.work_dir = Some(dir.into());
        self
    }

    /// Sets [`replace`](Self::replace).
    #[must_use]
    pub fn with_replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }
}

/// How sealed segments are shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploaderOptions {
    /// How often new segments are looked for in the directory. A tenth of it is added at random. Beside another process that appends,
    /// another leader is looked for so long after the last publication, then after pauses that double, up to 10 minutes. A
    /// [`Leader`](crate::Leader) ships a segment as soon as it is sealed, whatever this says, and asks the store nothing while there is none.
    /// Default 10 s.
    pub upload_interval: Duration,
    /// Segments uploaded at the same time, 1 to 64. Default 4.
    pub uploads_max: usize,
    /// The longest pause between retries while the store fails. Each is drawn from 0 to a bound that starts at 100 ms and doubles.
    /// Default 30 s.
    pub retry_interval_max: Duration,
    /// Lead also in a store that does not keep conditions on puts. Nothing fences leaders there: of two at once each overwrites what
    /// the other published, a request of one that has ended may still arrive, and *stored* entries are lost. Only where something else
    /// rules both out. Default false.
    pub allow_unconditional_store: bool,
    /// So many looks in a row that the store ends make the state [`Degraded`](crate::OutageState::Degraded). Default 3.
    pub failures_max: u32,
    /// So does a store that has failed for so long. Default 30 s.
    pub failing_max: Duration,
    /// The disk budget of whoever appends, to tell when it is exhausted ([`Full`](crate::OutageState::Full)); a
    /// [`Leader`](crate::Leader) knows its journal's. Default: not known.
    pub held_bytes_max: Option<u64>,
    /// How many segments are published at once, and whether local ones go right after.
    pub archive: ArchiveOptions,
    /// How long published segments stay on the local disk.
    pub cache: CacheOptions,
}

impl Default for UploaderOptions {
    fn default() -> Self {
        Self {
            upload_interval: Duration::from_secs(10),
            uploads_max: 4,
            retry_interval_max: Duration::from_secs(30),
            allow_unconditional_store: false,
            failures_max: 3,
            failing_max: Duration::from_secs(30),
            held_bytes_max: None,
            archive: ArchiveOptions::default(),
            cache: CacheOptions::default(),
        }
    }
}

impl UploaderOptions {
    /// Sets [`upload_interval`](Self::upload_interval).
    #[must_use]
    pub fn with_upload_interval(mut self, upload_interval: Duration) -> Self {
        self.upload_interval = upload_interval;
        self
    }

    /// Sets [`uploads_max`](Self::uploads_max).
    #[must_use]
    pub fn with_uploads_max(mut self, uploads: usize) -> Self {
        self.uploads_max = uploads.clamp(1, 64);
        self
    }

    /// Sets [`retry_interval_max`](Self::retry_interval_max).
    #[must_use]
    pub fn with_retry_interval_max(mut self, retry_interval_max: Duration) -> Self {
        self.retry_interval_max = retry_interval_max;
        self
    }

    /// Sets [`failures_max`](Self::failures_max).
    #[must_use]
    pub fn with_failures_max(mut self, failures: u32) -> Self {
        self.failures_max = failures.max(1);
        self
    }

    /// Sets [`failing_max`](Self::failing_max).
    #[must_use]
    pub fn with_failing_max(mut self, failing_max: Duration) -> Self {
        self.failing_max = failing_max;
        self
    }

    /// Sets [`held_bytes_max`](Self::held_bytes_max).
    #[must_use]
    pub fn with_held_bytes_max(mut self, bytes: Option<u64>) -> Self {
        self.held_bytes_max = bytes;
        self
    }

    /// Sets [`allow_unconditional_store`](Self::allow_unconditional_store).
    #[must_use]
    pub fn with_allow_unconditional_store(mut self, allow: bool) -> Self {
        self.allow_unconditional_store = allow;
        self
    }

    /// Sets [`archive`](Self::archive).
    #[must_use]
    pub fn with_archive(mut self, archive: ArchiveOptions) -> Self {
        self.archive = archive;
        self
    }

    /// Sets [`cache`](Self::cache).
    #[must_use]
    pub fn with_cache(mut self, cache: CacheOptions) -> Self {
        self.cache = cache;
        self
    }
}
