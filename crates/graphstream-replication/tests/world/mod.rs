//! A world for leaders and followers: one store in memory that fails on demand, journals on the local disk, and targets that keep
//! what they were given and survive their followers.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part of the world")]

pub mod archive;
pub mod keys;
pub mod target;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use graphstream_journal::{Ack, Journal, JournalOptions, SegmentInfo};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_proto::JournalEntry;
use graphstream_remote::{Committed, DatabaseName, Head, HeadRead, Remote};
use graphstream_replay::ReplayTarget;
use graphstream_replication::{
    Follower, FollowerOptions, FollowerStatus, Leader, LeaderBuilder, Result, Stop, Uploader, UploaderOptions,
};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{
    ErrorClass, FaultBackend, GetOptions, Key, ListRequest, MemoryBackend, Operation, PutBody, PutMode,
    StorageBackend,
};
use graphstream_testkit::damage::Objects;

pub use target::Recorder;

/// Waits that only a defect reaches.
pub const LONG: Duration = Duration::from_secs(30);

/// A store, and a directory for journals.
pub struct World {
    pub faults: FaultBackend,
    dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// Faults by chance come from this seed.
    pub fn with_seed(seed: u64) -> Self {
        let faults = FaultBackend::with_seed(MemoryBackend::new(), seed);
        Self { faults, dir: tempfile::tempdir().unwrap() }
    }

    pub fn remote(&self) -> Remote {
        Self::remote_through(&self.faults)
    }

    fn remote_through(store: &FaultBackend) -> Remote {
        Remote::new(Arc::new(store.clone()), "", DatabaseName::new("people").unwrap()).unwrap()
    }

    /// A way to the same store that fails on its own.
    pub fn another_way(&self) -> FaultBackend {
        FaultBackend::new(Arc::clone(self.faults.inner()))
    }

    /// The directory of a journal.
    pub fn dir(&self, journal: &str) -> PathBuf {
        self.dir.path().join(journal)
    }

    /// A leader with small segments, that looks at the store only when it has something to ship.
    pub fn leader(&self, journal: &str) -> LeaderBuilder {
        self.leader_through(&self.faults, journal)
    }

    pub fn leader_through(&self, store: &FaultBackend, journal: &str) -> LeaderBuilder {
        Leader::builder(self.dir(journal), Self::remote_through(store))
            .journal_options(small_segments())
            .uploader_options(patient_uploads())
    }

    /// A leader without a database, started.
    pub async fn lead(&self, journal: &str) -> Leader {
        self.leader(journal).start().await.unwrap().0
    }

    pub async fn uploader(&self, journal: &str) -> Result<Uploader> {
        let metrics = Arc::<GraphstreamMetrics>::default();
        Uploader::open(self.dir(journal), self.remote(), patient_uploads(), metrics).await
    }

    /// As [`uploader`](Self::uploader), behind one that was dropped: work on files that it had begun holds `SHIP` until it has ended.
    pub async fn uploader_after(&self, journal: &str) -> Uploader {
        loop {
            match self.uploader(journal).await {
                Err(graphstream_replication::Error::Journal(graphstream_journal::Error::Locked {
                    ..
                })) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    }

    /// A journal of entries `1..=count`, sealed, and nothing in the store.
    pub fn journal(&self, journal: &str, count: u64) -> Journal {
        let (journal, _) = Journal::builder(self.dir(journal)).options(small_segments()).open().unwrap();
        append_to(&journal, 1, count);
        journal.seal().unwrap();
        journal
    }

    /// `count` entries, published.
    pub async fn published(&self, count: u64) -> Committed {
        self.journal("published", count).close().unwrap();
        self.uploader("published").await.unwrap().ship().await.unwrap().committed
    }

    pub async fn follower(&self, target: &Recorder) -> Follower {
        self.follower_with(target, eager_follower()).await.unwrap()
    }

    pub async fn follower_with(&self, target: &Recorder, options: FollowerOptions) -> Result<Follower> {
        let target: Box<dyn ReplayTarget> = Box::new(target.clone());
        Follower::open(self.remote(), target, options, Arc::<GraphstreamMetrics>::default()).await
    }

    /// A new follower for the target, to the head.
    pub async fn catch_up(&self, target: &Recorder) -> Result<FollowerStatus> {
        self.follower_with(target, eager_follower()).await?.catch_up(None, &Stop::new()).await
    }

    /// The keys in the store below the database, ascending.
    pub async fn keys(&self, prefix: &str) -> Vec<Key> {
        let request = ListRequest::new(format!("people/{prefix}"));
        self.faults.inner().list(request).await.unwrap().objects.into_iter().map(|meta| meta.key).collect()
    }

    /// The keys of the segments, oldest first.
    pub async fn segments(&self) -> Vec<Key> {
        self.keys("seg/0/").await
    }

    /// An object as it is.
    pub async fn object(&self, key: &Key) -> Vec<u8> {
        let found = self.faults.inner().get(key, GetOptions::default()).await.unwrap().found().unwrap();
        found.bytes(u64::MAX).await.unwrap().to_vec()
    }

    /// Replaces an object behind everybody's back.
    pub async fn put(&self, key: &Key, bytes: Vec<u8>) {
        self.faults.inner().put(key, PutBody::from(bytes), PutMode::Overwrite).await.unwrap();
    }

    /// Everything that the store holds.
    pub async fn objects(&self) -> Objects {
        let mut objects = Objects::default();
        for key in self.keys("").await {
            let bytes = self.object(&key).await;
            objects.0.insert(key.to_string(), bytes);
        }
        objects
    }

    /// Makes the store hold these and no others, behind everybody's back.
    pub async fn hold(&self, objects: &Objects) {
        let there = self.objects().await;
        for key in there.0.keys().filter(|key| !objects.0.contains_key(*key)) {
            self.remove(&Key::new(key).unwrap()).await;
        }
        for (key, bytes) in objects.0.iter().filter(|(key, bytes)| there.0.get(*key) != Some(bytes)) {
            self.put(&Key::new(key).unwrap(), bytes.clone()).await;
        }
    }

    pub async fn remove(&self, key: &Key) {
        self.faults.inner().delete(key).await.unwrap();
    }

    pub fn head_key(&self) -> Key {
        self.remote().head_key().unwrap()
    }

    pub async fn head(&self) -> Head {
        match Self::remote_through(&self.another_way()).read_head(None).await.unwrap() {
            HeadRead::Found(stored) => stored.head,
            other => panic!("no head: {other:?}"),
        }
    }
}

/// A few entries per segment.
pub fn small_segments() -> JournalOptions {
    JournalOptions::default().with_segment_bytes_max(1024)
}

/// Only when asked.
pub fn patient_uploads() -> UploaderOptions {
    UploaderOptions::default()
        .with_upload_interval(Duration::from_secs(3600))
        .with_retry_interval_max(Duration::from_millis(2))
}

pub fn eager_follower() -> FollowerOptions {
    let mut options = FollowerOptions::default()
        .with_poll_interval(Duration::from_millis(2))
        .with_batch_entries_max(7)
        .with_store_retries_max(50);
    options.retry_interval_max = Duration::from_millis(2);
    options
}

/// The statement with a number of its own.
pub fn entry(number: u64) -> JournalEntry {
    JournalEntry::new("CREATE (:Item {number: $number})", 1_700_000_000_000)
        .with_param("number", i64::try_from(number).unwrap())
}

pub fn entries(numbers: std::ops::RangeInclusive<u64>) -> Vec<JournalEntry> {
    numbers.map(entry).collect()
}

/// Appends entries whose numbers are their sequences, *synced*.
pub fn append_to(journal: &Journal, first: u64, last: u64) {
    for number in first..=last {
        let payload = entry(number).encode().unwrap();
        let ticket = journal.append_at(payload, commit_ms(number)).unwrap();
        if number == last {
            assert_eq!(ticket.wait(Ack::Synced).unwrap(), last..=last);
        }
    }
}

/// Commit times that tell sequences apart.
pub fn commit_ms(sequence: u64) -> i64 {
    1_700_000_000_000 + i64::try_from(sequence).unwrap()
}

/// Appends entries whose numbers are their sequences to a leader, *synced*.
pub async fn append(leader: &Leader, first: u64, last: u64) {
    for number in first..=last {
        let ticket = leader.append(&entry(number)).unwrap();
        if number == last {
            ticket.acked(Ack::Synced).await.unwrap();
        }
    }
}

/// From now on nothing gets through, until the rules are cleared.
pub fn cut_off(way: &FaultBackend) {
    for operation in Operation::ALL {
        way.inject(Rule::new(operation, Fault::Before(ErrorClass::Unavailable)).always());
    }
}

/// The segments in a journal's directory.
pub fn sealed(dir: &Path) -> Vec<SegmentInfo> {
    let dir = graphstream_journal::JournalDir::open(dir).unwrap();
    dir.segments().unwrap().into_iter().filter(SegmentInfo::is_sealed).collect()
}

/// First and last sequence, by the name of a segment's key.
pub fn sequences(key: &str) -> (u64, u64) {
    let name = key.rsplit('/').next().unwrap();
    let mut parts = name.split('-').map(|part| u64::from_str_radix(part, 16));
    let last = parts.next().unwrap().unwrap();
    (parts.next().unwrap().unwrap(), last)
}

/// The innermost causes of an error, in one text.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
