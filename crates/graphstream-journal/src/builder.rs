//! Opening a journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{Lineage, SegmentVersion};
use graphstream_metrics::GraphstreamMetrics;

use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::committer::Committer;
use crate::core::Shared;
use crate::directory::JournalDir;
use crate::error::{Error, Result};
use crate::form::Form;
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
    keys: Option<Arc<KeyRing>>,
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
            keys: None,
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

    /// Where a *new* journal begins instead of at sequence 1: kept in `recovery.json` for as long as there are no segments. An existing
    /// one without segments is moved forward to it, if it is of the [`lineage`](Self::lineage) given here; never back.
    pub fn starting_point(mut self, start: StartingPoint) -> Self {
        self.start = Some(start);
        self
    }

    /// Encrypts every segment that is sealed with the current key of this ring, and reads older ones with the others. That encryption is
    /// required, and by which key, stands in `journal.json` before the first such segment does: from then on the journal opens with its
    /// key alone. The open segment is local and stays plain until it is sealed.
    ///
    /// Another current key than last time affects new segments only, but the key that `journal.json` names must be in the ring. A
    /// journal with plain segments is refused unless the options say [`JournalOptions::encrypt_existing`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use graphstream_format::encryption::KeyRing;
    /// use graphstream_journal::{Ack, Journal, JournalReader, ReaderOptions, SystemEntropy, generate_key};
    /// # let dir = tempfile::tempdir()?;
    /// let keys = Arc::new(KeyRing::new(generate_key(&SystemEntropy)?));
    /// let (journal, _recovery) = Journal::builder(dir.path()).keys(Arc::clone(&keys)).open()?;
    /// let _ = journal.append("CREATE (:Person {name: 'Ada'})")?.wait(Ack::Synced)?;
    /// journal.close()?;
    ///
    /// assert!(JournalReader::open(dir.path(), ReaderOptions::default()).is_err(), "it takes the key");
    /// let reader = JournalReader::open(dir.path(), ReaderOptions::default().with_keys(keys))?;
    /// assert_eq!(reader.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(mut self, keys: Arc<KeyRing>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Takes `LOCK`, recovers what is there (or sets up a new directory) and opens the journal for appending.
    ///
    /// # Errors
    /// [`Error::Locked`](crate::Error::Locked) by another writer; [`Error::Fenced`](crate::Error::Fenced) by a shipper's note;
    /// [`Error::EncryptionRequired`](crate::Error::EncryptionRequired), [`Error::EncryptionKeyMissing`](crate::Error::EncryptionKeyMissing)
    /// and [`Error::NotEncrypted`](crate::Error::NotEncrypted), with nothing changed; the integrity errors of [`ErrorKind::Integrity`](crate::ErrorKind::Integrity), with nothing changed; [`Error::Io`](crate::Error::Io).
    pub fn open(self) -> Result<(Journal, RecoveryReport)> {
        self.options.check()?;
        if self.keys.is_some() && self.options.segment_version != SegmentVersion::V2 {
            let expected = "expected version 2: version 1 cannot be encrypted";
            return Err(Error::InvalidOption { option: "segment_version", found: 1, expected });
        }
        let mut dir = JournalDir::at(&self.dir, Arc::clone(&self.fs));
        dir.keys = self.keys;
        let opening = Opening {
            dir: &dir,
            clock: &*self.clock,
            entropy: &*self.entropy,
            form: Form {
                write: self.options.form(),
                keys: dir.keys.clone(),
                entropy: Arc::clone(&self.entropy),
            },
            encrypt_existing: self.options.encrypt_existing,
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
        shared.look_at_cursors()?;
        Ok((Journal::new(shared), report))
    }
}
