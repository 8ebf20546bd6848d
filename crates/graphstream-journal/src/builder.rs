//! Opening a journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::Lineage;
use graphstream_metrics::GraphstreamMetrics;

use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::committer::Committer;
use crate::core::Shared;
use crate::directory::JournalDir;
use crate::error::Result;
use crate::fs::{Fs, StdFs};
use crate::journal::Journal;
use crate::options::JournalOptions;
use crate::recovery::{Opening, RecoveryReport};
use crate::starting_point::StartingPoint;

/// What a journal is opened with: options, components, and what a new directory is set up with.
#[derive(Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct JournalBuilder {
    dir: PathBuf,
    options: JournalOptions,
    fs: Arc<dyn Fs>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Option<Arc<GraphstreamMetrics>>,
    database_id: Option<[u8; 16]>,
    lineage: Option<Lineage>,
    start: Option<StartingPoint>,
}

impl JournalBuilder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            options: JournalOptions::default(),
            fs: Arc::new(StdFs),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            metrics: None,
            database_id: None,
            lineage: None,
            start: None,
        }
    }

    /// How the journal behaves.
    pub fn options(mut self, options: JournalOptions) -> Self {
        self.options = options;
        self
    }

    /// The file system (default: the operating system's).
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// The clock that commit times come from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where nonces and new identities come from.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Where the journal counts.
    pub fn metrics(mut self, metrics: Arc<GraphstreamMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The database that a *new* directory belongs to (default: random). An existing one keeps what it has.
    pub fn database_id(mut self, id: [u8; 16]) -> Self {
        self.database_id = Some(id);
        self
    }

    /// The lineage of a *new* directory (default: random). An existing one keeps what it has.
    pub fn lineage(mut self, lineage: Lineage) -> Self {
        self.lineage = Some(lineage);
        self
    }

    /// Where a *new* journal begins instead of at sequence 1: kept in `recovery.json` for as long as there are no segments.
    pub fn starting_point(mut self, start: StartingPoint) -> Self {
        self.start = Some(start);
        self
    }

    /// Takes `LOCK`, recovers what is there (or sets up a new directory) and opens the journal for appending.
    ///
    /// # Errors
    /// [`Error::Locked`](crate::Error::Locked) by another writer; [`Error::Fenced`](crate::Error::Fenced) by a shipper's note;
    /// the integrity errors of [`ErrorKind::Integrity`](crate::ErrorKind::Integrity), with nothing changed; [`Error::Io`](crate::Error::Io).
    pub fn open(self) -> Result<(Journal, RecoveryReport)> {
        self.options.check()?;
        let dir = JournalDir::at(&self.dir, Arc::clone(&self.fs));
        let opening = Opening {
            dir: &dir,
            clock: &*self.clock,
            entropy: &*self.entropy,
            form: self.options.form(),
            database_id: self.database_id,
            lineage: self.lineage,
            start: self.start,
        };
        let (recovered, report) = opening.run()?;
        let lineage = report.position.lineage;
        let committer = Committer::new(
            dir.clone(),
            self.clock,
            self.entropy,
            lineage,
            self.options.segment_bytes_max,
            recovered.tail,
        );
        let metrics = self.metrics.unwrap_or_else(GraphstreamMetrics::shared);
        let shared = Shared::new(
            dir,
            self.options,
            lineage,
            metrics,
            committer,
            recovered.lock,
            recovered.newest_sealed,
        );
        Ok((Journal::new(shared), report))
    }
}
