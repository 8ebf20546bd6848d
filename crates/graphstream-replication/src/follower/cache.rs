//! Fetched segments on the local disk, between verifying and applying. Nothing here is durable: what is lost is fetched again.

mod temporary;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use graphstream_format::ReadOptions;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Head, PlannedSegment, Remote, SegmentSink};
use graphstream_storage::{RetryConfig, RetryPolicy};

use self::temporary::Temporary;
use crate::chance::jitter_seed;
use crate::threads::blocking;
use crate::{Error, FollowerOptions, Result};

/// A directory for fetched segments with a limit on what it holds.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: Temporary,
    bytes_max: u64,
    bytes: u64,
}

/// A segment in the cache; the file goes when this does.
#[derive(Debug)]
pub(crate) struct CachedSegment {
    path: PathBuf,
    options: ReadOptions,
}

impl CachedSegment {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How it is read: with the keys of the history, unless the head admits that it is plain.
    pub(crate) fn options(&self) -> ReadOptions {
        self.options.clone()
    }
}

impl Drop for CachedSegment {
    fn drop(&mut self) {
        // A file that can't be removed is only space; the next fetch of the segment replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

struct Sink(File);

impl SegmentSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.0.write_all(chunk)
    }
}

impl Cache {
    pub(crate) fn open(options: &FollowerOptions) -> Result<Self> {
        let failed = |path: &Path, source| Error::Cache {
            attempted: "creating the cache directory",
            path: path.to_path_buf(),
            source,
        };
        // A directory of its own also below a given one: followers may share that, and what a killed one left is known as such.
        let root = options.cache_dir.clone().unwrap_or_else(std::env::temp_dir);
        if options.cache_dir.is_some() {
            fs::create_dir_all(&root).map_err(|source| failed(&root, source))?;
        }
        let dir = Temporary::create(&root).map_err(|source| failed(&root, source))?;
        Ok(Self { dir, bytes_max: options.cache_bytes_max, bytes: 0 })
    }

    /// Whether a segment of this size may be kept until it is applied; then its bytes count.
    pub(crate) fn keep(&mut self, bytes: u64) -> bool {
        let fits = self.bytes.saturating_add(bytes) <= self.bytes_max;
        if fits {
            self.bytes += bytes;
        }
        fits
    }

    /// Forgets the bytes of kept segments.
    pub(crate) fn emptied(&mut self) {
        self.bytes = 0;
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Fetches a segment into `dir`, asking again while the store does not answer; `None` when the object is not there.
///
/// Bytes that are not what the head names may have been damaged on the way: they are fetched once more before the object is called
/// damaged.
pub(crate) async fn fetch(
    remote: &Remote,
    head: &Head,
    planned: &PlannedSegment,
    dir: &Path,
    options: &FollowerOptions,
    metrics: &GraphstreamMetrics,
) -> Result<Option<CachedSegment>> {
    let name = planned.name;
    let file =
        format!("{:016x}-{:016x}-{:08x}-{}.hadbj", name.last(), name.first(), name.epoch(), name.level());
    let mut cached = CachedSegment { path: dir.join(file), options: ReadOptions::default() };
    let config = RetryConfig::default()
        .with_attempts_max(options.store_retries_max.saturating_add(1))
        .with_pause_max(options.retry_interval_max)
        .with_elapsed_max(Duration::MAX);
    let mut attempts = RetryPolicy::new(config).with_jitter_seed(jitter_seed(remote)?).attempts();
    let mut damaged = false;
    loop {
        let file = File::create(&cached.path).map_err(|source| Error::Cache {
            attempted: "creating",
            path: cached.path.clone(),
            source,
        })?;
        match remote.fetch_segment(head, planned, &mut Sink(file)).await.map_err(Error::from) {
            Ok(Some(fetched)) => {
                cached.options = remote.read_options(&fetched.header);
                return Ok(Some(cached));
            }
            Ok(None) => return Ok(None),
            Err(error) if error.is_transient() => {
                metrics.follower.fetch_failures.inc();
                tracing::warn!(segment = %name, %error, failures = attempts.failures(), "fetching a segment failed");
                if !attempts.pause(None).await {
                    return Err(error);
                }
            }
            Err(Error::Remote(error @ graphstream_remote::Error::SegmentDamaged { .. })) if !damaged => {
                damaged = true;
                metrics.follower.fetch_failures.inc();
                tracing::warn!(segment = %name, %error, "fetching it once more");
            }
            Err(Error::Remote(error)) => {
                return Err(blocking("reading a damaged segment", move || {
                    Ok(Error::Remote(error.placed(cached.path())))
                })
                .await?);
            }
            Err(error) => return Err(error),
        }
    }
}
