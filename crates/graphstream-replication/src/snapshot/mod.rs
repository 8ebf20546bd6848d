//! Snapshots: a copy of a database in the object store, from which restores and new followers begin.
//!
//! ```text
//!   quiesce ──► copy the files ──► resume ──► open the copy: its position ──► is that committed, with this chain hash?
//!                                                                                    │ yes: that names the snapshot
//!      manifest, create-only, last ◄── read back, compared ◄── tar, zstd, data objects, a few in flight
//! ```
//! The sequence of a snapshot is the one *inside the copy*: whatever the database did meanwhile, the copy and its position belong
//! together. Of an encrypted history parts and manifest are encrypted before they leave. A copy of a fenced leader's branch, or of another lineage, is refused. A snapshot that was given up anywhere leaves objects
//! without a manifest, which nothing takes for a snapshot.

mod archive;
mod check;
mod engine;
mod opening;
mod quiesce;
mod schedule;
mod source;
mod upload;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use graphstream_format::Position;
use graphstream_format::encryption::{SEGMENT_RANDOM_LEN, TAG_LEN};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{ManifestPut, Remote, SEALED_PART_BYTES_MAX, SnapshotManifest, SnapshotName};

pub(crate) use self::archive::read as unpack;
pub use self::engine::{Engine, JsonlEngine, OpenedBy};
pub(crate) use self::opening::Opening;
use self::quiesce::Paused;
pub use self::quiesce::{Quiesce, QuiesceError};
pub use self::schedule::{LastSnapshot, SnapshotSchedule};
use self::source::Origin;
pub(crate) use self::source::{is_known, places};
pub(crate) use self::upload::Heard;
use self::upload::Uploaded;
use crate::error::SnapshotDamage;
use crate::history::Finder;
use crate::temporary::Temporary;
use crate::threads::blocking;
use crate::{Error, Result, SnapshotOptions};

/// How directories of copies begin.
const TEMPORARY: &str = "graphstream-snapshot-";

/// What is being done, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotStep {
    /// The database's writers are paused and its files copied.
    Copying,
    /// The copy is archived and uploaded, so many bytes of files in all.
    Uploading {
        /// Bytes of all files.
        bytes: u64,
    },
    /// The objects are read back and compared, so many bytes of files in all.
    ReadingBack {
        /// Bytes of all files.
        bytes: u64,
    },
}

/// Hears of the work as it goes on, from any thread.
pub trait SnapshotProgress: Send + Sync + 'static {
    /// A step begins.
    fn begin(&self, step: SnapshotStep);
    /// So many more bytes of the step are done.
    fn advance(&self, bytes: u64);
}

/// What was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SnapshotReport {
    /// What it is called.
    pub name: SnapshotName,
    /// What it holds.
    pub manifest: Arc<SnapshotManifest>,
    /// Whether a snapshot of this position was there already: then nothing was uploaded.
    pub existed: bool,
    /// How long the database's writers were paused.
    pub paused: Duration,
}

/// A snapshot that is about to be made.
///
/// ```no_run
/// use std::sync::Arc;
/// use graphstream_replication::{JsonlEngine, Snapshot};
/// # async fn snapshot(remote: graphstream_remote::Remote) -> Result<(), graphstream_replication::Error> {
/// let report = Snapshot::of_path(remote, "people.jsonl", Arc::new(JsonlEngine)).create().await?;
/// println!("{} entries, {} bytes", report.name.sequence(), report.manifest.stored_bytes());
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until `create`"]
pub struct Snapshot {
    remote: Remote,
    origin: Origin,
    engine: Arc<dyn Engine>,
    position: Option<Position>,
    quiesce: Option<Box<dyn Quiesce>>,
    options: SnapshotOptions,
    metrics: Arc<GraphstreamMetrics>,
    progress: Option<Arc<dyn SnapshotProgress>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("remote", &self.remote)
            .field("engine", &self.engine)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The files to archive, and what they stand in.
struct Files {
    place: PathBuf,
    position: Position,
    /// Removed with this.
    _staging: Option<Temporary>,
    /// The database itself is archived: its writers stand still until it is.
    paused: Option<(Paused, Instant)>,
    /// How long they did for a copy.
    took: Duration,
}

impl Snapshot {
    /// Of the database at `path`: a file, with the log `path.wal` beside it, or a directory.
    pub fn of_path(remote: Remote, path: impl AsRef<Path>, engine: Arc<dyn Engine>) -> Self {
        Self::new(remote, Origin::Path(path.as_ref().to_path_buf()), engine)
    }

    /// Of a database that is one file, whose bytes come from a reader: they are kept below
    /// [`staging_dir`](SnapshotOptions::staging_dir) until they are uploaded.
    pub fn of_reader(remote: Remote, reader: impl Read + Send + 'static, engine: Arc<dyn Engine>) -> Self {
        Self::new(remote, Origin::Reader(Box::new(reader)), engine)
    }

    fn new(remote: Remote, origin: Origin, engine: Arc<dyn Engine>) -> Self {
        Self {
            remote,
            origin,
            engine,
            position: None,
            quiesce: None,
            options: SnapshotOptions::default(),
            metrics: GraphstreamMetrics::shared(),
            progress: None,
        }
    }

    /// Pauses the database's writers while its files are copied.
    pub fn quiesce(mut self, quiesce: impl Quiesce) -> Self {
        self.quiesce = Some(Box::new(quiesce));
        self
    }

    /// The position that the files hold, from whoever knows it. Then nothing is copied and opened: a path is archived where it stands,
    /// and its writers stand still until everything is uploaded.
    pub fn position(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// How it is made.
    pub fn options(mut self, options: SnapshotOptions) -> Self {
        self.options = options;
        self
    }

    /// Where it is counted.
    pub fn metrics(mut self, metrics: Arc<GraphstreamMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Who hears of the work.
    pub fn progress(mut self, progress: Arc<dyn SnapshotProgress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Makes it. Writers that were paused go on whatever happens, also when this is dropped: then as soon as the file in hand is
    /// copied.
    ///
    /// # Errors
    /// [`Error::Quiesce`]; [`Error::SnapshotSource`] and [`Error::SnapshotFile`] for files that can't be copied; [`Error::NoPosition`],
    /// [`Error::TargetLineage`], [`Error::SnapshotAhead`], [`Error::SnapshotForked`] for a copy that is not of the published history;
    /// [`Error::SnapshotDamaged`] when what is read back is not what was uploaded; [`Error::Remote`].
    pub async fn create(self) -> Result<SnapshotReport> {
        let (metrics, started) = (Arc::clone(&self.metrics), Instant::now());
        let created = self.make().await;
        match &created {
            Ok(report) => {
                metrics.snapshot.created.inc();
                metrics.snapshot.seconds.observe(started.elapsed());
                metrics.snapshot.last_sequence.set(report.name.sequence());
                metrics.snapshot.last_ms.set(u64::try_from(now_ms()).unwrap_or(0));
                if !report.existed {
                    metrics.snapshot.stored_bytes.add(report.manifest.stored_bytes());
                }
            }
            Err(_) => metrics.snapshot.failures.inc(),
        }
        created
    }

    async fn make(self) -> Result<SnapshotReport> {
        // Before anybody is paused: a store that isn't there costs the application nothing.
        let mut finder = Finder::open(self.remote.clone()).await?;
        let progress = self.progress.clone();
        self.begin(SnapshotStep::Copying);
        let (origin, quiesce) = (self.origin, self.quiesce);
        let (engine, position, staging) =
            (Arc::clone(&self.engine), self.position, self.options.staging_dir.clone());
        let mut files =
            blocking("copying the database", move || prepare(origin, quiesce, &*engine, position, staging))
                .await?;
        let (remote, options, engine) = (&self.remote, &self.options, self.engine.describe());
        let name = check::check(&mut finder, files.position, options.commit_wait).await?;
        if let Some(found) = existing(remote, &name, files.position).await? {
            let paused = resume(&mut files).await?;
            return Ok(SnapshotReport { name, manifest: Arc::new(found), existed: true, paused });
        }
        let place = files.place.clone();
        let items = blocking("looking at the copy", move || source::items(&place)).await?;
        let bytes = items.iter().filter_map(|item| item.size).sum();
        let heard: Heard = match progress.clone() {
            Some(progress) => Arc::new(move |bytes| progress.advance(bytes)),
            None => Arc::new(|_| ()),
        };
        let begin = |step| {
            if let Some(progress) = &progress {
                progress.begin(step);
            }
        };
        begin(SnapshotStep::Uploading { bytes });
        let [a, b, c, d, e, f, g, h, ..] = remote.randomness().bytes16()?;
        let attempt = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let database_id = finder.head.head.database_id();
        let mut part_bytes = options.part_bytes.max(1);
        let mut sealer = None;
        // A head that is keyed was read with the keys; a plain one by who has none.
        if let Some(keys) = remote.keys() {
            part_bytes = part_bytes.min(SEALED_PART_BYTES_MAX as usize - TAG_LEN);
            let random = random(remote)?;
            let with = (&**keys, &random);
            sealer = Some(SnapshotManifest::sealer(&name, database_id, files.position, attempt, with));
        }
        let sizes = (part_bytes, options.uploads_max.clamp(1, 64));
        let uploaded =
            upload::upload(remote, (&name, attempt), items, sealer, sizes, Arc::clone(&heard)).await?;
        let paused = resume(&mut files).await?;
        let Uploaded { archived, parts, sealer } = uploaded;
        let mut manifest = SnapshotManifest::new(&name, database_id, files.position, engine, attempt);
        manifest.created_ms = now_ms();
        manifest.archive_bytes = archived.bytes;
        manifest.directories = archived.directories;
        manifest.files = archived.files;
        manifest.parts = parts;
        if let Some(sealer) = sealer {
            let unsealed =
                |source| Error::SnapshotDamaged { snapshot: name, source: SnapshotDamage::Manifest(source) };
            manifest.seal(sealer).map_err(unsealed)?;
        }
        let manifest = Arc::new(manifest);
        begin(SnapshotStep::ReadingBack { bytes });
        upload::read_back(remote, Arc::clone(&manifest), heard).await?;
        let (manifest, existed) = match remote.put_snapshot_manifest(&manifest).await? {
            ManifestPut::Created => (manifest, false),
            ManifestPut::Exists(found) => (Arc::new(*found), true),
        };
        tracing::info!(
            sequence = name.sequence(),
            bytes = manifest.stored_bytes(),
            existed,
            ?paused,
            "snapshot stored"
        );
        Ok(SnapshotReport { name, manifest, existed, paused })
    }

    fn begin(&self, step: SnapshotStep) {
        if let Some(progress) = &self.progress {
            progress.begin(step);
        }
    }
}

/// Salt and nonce prefix of one snapshot.
fn random(remote: &Remote) -> Result<[u8; SEGMENT_RANDOM_LEN]> {
    let mut random = [0; SEGMENT_RANDOM_LEN];
    for piece in random.chunks_mut(16) {
        let drawn = remote.randomness().bytes16()?;
        let count = piece.len();
        piece.copy_from_slice(drawn.get(..count).unwrap_or_default());
    }
    Ok(random)
}

/// A snapshot of the same position that is there already, and whole as far as its manifest goes.
async fn existing(
    remote: &Remote,
    name: &SnapshotName,
    position: Position,
) -> Result<Option<SnapshotManifest>> {
    let Some(found) = remote.read_snapshot_manifest(name).await? else { return Ok(None) };
    if found.position() == position {
        return Ok(Some(found));
    }
    let (sequence, copy, history) = (position.sequence, found.chain_hash, position.chain_hash);
    Err(Error::SnapshotForked { sequence, copy, history })
}

/// Pauses, copies, resumes, and asks the copy where it stands. Blocks.
fn prepare(
    mut origin: Origin,
    quiesce: Option<Box<dyn Quiesce>>,
    engine: &dyn Engine,
    position: Option<Position>,
    staging: Option<PathBuf>,
) -> Result<Files> {
    if let (Origin::Path(path), Some(position)) = (&origin, position) {
        let started = Instant::now();
        let paused = Some((Paused::begin(quiesce)?, started));
        return Ok(Files { place: path.clone(), position, _staging: None, paused, took: Duration::ZERO });
    }
    let root = staging.unwrap_or_else(std::env::temp_dir);
    let failed =
        |source| Error::SnapshotFile { attempted: "creating a directory in", path: root.clone(), source };
    let dir = Temporary::create(&root, TEMPORARY).map_err(failed)?;
    // Of its own: the database may be called as the lock is.
    let place = dir.path().join("copy");
    fs::create_dir(&place).map_err(failed)?;
    let started = Instant::now();
    let paused = Paused::begin(quiesce)?;
    let copied = source::copy(&mut origin, &place);
    // Whether it went well or not.
    paused.end()?;
    let (place, took) = (copied?, started.elapsed());
    let position = match position {
        Some(position) => position,
        None => {
            engine.position(&place)?.ok_or_else(|| Error::NoPosition { engine: engine.describe().name })?
        }
    };
    Ok(Files { place, position, _staging: Some(dir), paused: None, took })
}

/// Lets writers go on that stood still for the upload. Returns how long they did.
async fn resume(files: &mut Files) -> Result<Duration> {
    let Some((paused, since)) = files.paused.take() else { return Ok(files.took) };
    blocking("letting the database's writers go on", move || paused.end()).await?;
    Ok(since.elapsed())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}
