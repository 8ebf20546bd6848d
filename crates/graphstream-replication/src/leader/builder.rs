//! What a leader starts with, and how it starts.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graphstream_journal::{
    Clock, Entropy, Fs, Journal, JournalOptions, RecoveryReport, StdFs, SystemClock, SystemEntropy, WhenFull,
};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Committed, Remote};
use graphstream_replay::TransactionalTarget;
use graphstream_replay::guard::{Guard, GuardOptions};

use super::Leader;
use super::admission::Admission;
use super::beginning::Beginning;
use super::database::Database;
use super::room::Room;
use crate::threads::blocking;
use crate::uploader::Writer;
use crate::{Result, Stop, UploadBudget, Uploader, UploaderOptions};

/// How long the oldest entry waits in a leader's open segment, unless the journal's options say it.
const SEGMENT_AGE_MAX: Duration = Duration::from_secs(10);

/// What a leader starts with.
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct LeaderBuilder {
    dir: PathBuf,
    remote: Remote,
    journal: JournalOptions,
    uploader: UploaderOptions,
    metrics: Arc<GraphstreamMetrics>,
    database: Option<Database>,
    fs: Option<Arc<dyn Fs>>,
    clock: Arc<dyn Clock>,
    entropy: Option<Arc<dyn Entropy>>,
    continue_from_head: bool,
    budget: Option<UploadBudget>,
    guard: Option<GuardOptions>,
}

/// What [`LeaderBuilder::start`] found and did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// What the journal's recovery found and repaired.
    pub recovery: RecoveryReport,
    /// Entries replayed into the database, because it lacked them.
    pub healed: u64,
    /// The claimed epoch.
    pub epoch: u32,
    /// What was committed before.
    pub committed: Committed,
}

impl Leader {
    /// A leader for the journal in `dir`, publishing to `remote`. The [keys](Remote::with_keys) of `remote` are the journal's, too: with them what
    /// is sealed is encrypted.
    pub fn builder(dir: impl AsRef<Path>, remote: Remote) -> LeaderBuilder {
        LeaderBuilder {
            dir: dir.as_ref().to_path_buf(),
            remote,
            journal: JournalOptions::default(),
            uploader: UploaderOptions::default(),
            metrics: Arc::default(),
            database: None,
            fs: None,
            clock: Arc::new(SystemClock),
            entropy: None,
            continue_from_head: false,
            budget: None,
            guard: Some(GuardOptions::default()),
        }
    }
}

impl LeaderBuilder {
    /// How the journal behaves. Its `segment_age_max` bounds how long entries wait before they are shipped, and with that the
    /// RPO; without one a leader takes 10 s ([`Duration::MAX`] is no bound).
    pub fn journal_options(mut self, options: JournalOptions) -> Self {
        self.journal = options;
        self
    }

    /// How sealed segments are shipped.
    pub fn uploader_options(mut self, options: UploaderOptions) -> Self {
        self.uploader = options;
        self
    }

    /// Where journal and uploader count.
    pub fn metrics(mut self, metrics: Arc<GraphstreamMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// The file system of the journal (default: the operating system's).
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = Some(fs);
        self
    }

    /// The clock that commit times and the times of claims come from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the journal's nonces and identities come from. (Those of claims come from the [`Remote`].)
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Shares a budget of uploads with other leaders and uploaders of the process.
    pub fn upload_budget(mut self, budget: UploadBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The database that [`Leader::execute`] writes through.
    pub fn database(mut self, target: Box<dyn TransactionalTarget>) -> Self {
        self.database = Some(Database::new(target));
        self
    }

    /// What is refused or rewritten because a replay would give another result; `None` journals whatever is given. By default the guard
    /// is on, for a database that it doesn't know.
    pub fn guard(mut self, guard: impl Into<Option<GuardOptions>>) -> Self {
        self.guard = guard.into();
        self
    }

    /// Lets a leader whose disk is lost go on: without a journal in the directory, it begins right behind what is committed, in the same
    /// lineage, and a [`database`](Self::database) must stand at exactly that position. Entries that were only *synced* on the lost disk are
    /// gone. Say so for one start, after making sure that the path is right and that the other disk does not come back: without
    /// it, a directory without the journal of a published history is refused ([`Error::NoJournal`](crate::Error::NoJournal)). Nothing changes for a journal with entries.
    pub fn continue_from_head(mut self, allowed: bool) -> Self {
        self.continue_from_head = allowed;
        self
    }

    /// Opens the journal, compares it with the store, claims the next epoch (whoever led before is fenced), replays what the
    /// database lacks, and starts shipping.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error::Journal); [`Error::Remote`](crate::Error::Remote) without the store, with another history in it, or when more is committed than
    /// this journal has; [`Error::NoJournal`](crate::Error::NoJournal) when the directory holds none, but the database is published;
    /// [`Error::TargetLineage`](crate::Error::TargetLineage), [`Error::DatabaseAhead`](crate::Error::DatabaseAhead), [`Error::DatabaseBehind`](crate::Error::DatabaseBehind), [`Error::DatabaseForked`](crate::Error::DatabaseForked),
    /// [`Error::Target`](crate::Error::Target) for a database that does not fit the journal.
    pub async fn start(self) -> Result<(Leader, Started)> {
        let Self {
            dir,
            remote,
            journal,
            uploader,
            metrics,
            database,
            continue_from_head,
            fs,
            clock,
            entropy,
            budget,
            guard,
        } = self;
        let fs = fs.unwrap_or_else(|| Arc::new(StdFs));
        let beginning = Beginning::of(&dir, &fs, &remote, continue_from_head).await?;
        let options = with_an_age(journal);
        let uploader = uploader.with_held_bytes_max(options.held_bytes_max);
        let waits = options.when_full == WhenFull::Block;
        let counted = Arc::clone(&metrics);
        let builder = Journal::builder(dir).options(options).metrics(counted);
        let entropy = entropy.unwrap_or_else(|| Arc::new(SystemEntropy));
        let admission = Admission::new(guard.map(Guard::new), Arc::clone(&entropy), Arc::clone(&metrics));
        let mut builder = builder.fs(fs).clock(Arc::clone(&clock)).entropy(entropy);
        // What may not be plain in the store may not be sealed plain here.
        if let Some(keys) = remote.keys() {
            builder = builder.keys(Arc::clone(keys));
        }
        if let Some(beginning) = beginning {
            builder = beginning.set_up(builder);
        }
        let (journal, recovery) = blocking("opening the journal", move || Ok(builder.open()?)).await?;
        // Everything the journal had is sealed now, so the uploader can compare its end with the head.
        let (writer, dir) = (Writer::Here(journal.clone()), journal.dir().clone());
        let mut uploader = Uploader::open_with(writer, dir, remote, uploader, metrics, clock).await?;
        if let Some(budget) = budget {
            uploader = uploader.with_upload_budget(budget);
        }
        let committed = *uploader.watch().borrow();
        uploader.claim().await?;
        journal.raise_commit_floor(committed.commit_ms);
        let (database, healed) = heal(database, &journal).await?;
        let epoch = uploader.epoch().unwrap_or(0);
        let started = Started { recovery, healed, epoch, committed };
        let (stop, watch) = (Stop::new(), uploader.watch());
        let room = Arc::new(Room::new(journal.clone(), waits, uploader.outage()));
        let (archive, handle) = (uploader.archive(), uploader.handle());
        let stopped = stop.clone();
        let uploading = tokio::spawn(async move { uploader.run(&stopped).await });
        let leader = Leader {
            journal,
            database,
            admission: Arc::new(admission),
            committed: watch,
            room,
            told: Arc::default(),
            written_through: AtomicBool::new(false),
            archive,
            uploader: handle,
            stop,
            uploading,
        };
        Ok((leader, started))
    }
}

/// A leader ships what is sealed: without a bound on the age, a quiet application's entries would never be.
fn with_an_age(options: JournalOptions) -> JournalOptions {
    match options.segment_age_max {
        Some(_) => options,
        None => options.with_segment_age_max(SEGMENT_AGE_MAX),
    }
}

async fn heal(database: Option<Database>, journal: &Journal) -> Result<(Option<Arc<Mutex<Database>>>, u64)> {
    let Some(mut database) = database else { return Ok((None, 0)) };
    let journal = journal.clone();
    blocking("healing the database", move || {
        let healed = database.heal(&journal)?;
        if healed > 0 {
            tracing::info!(entries = healed, "replayed into the leader's database what it lacked");
        }
        Ok((Some(Arc::new(Mutex::new(database))), healed))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_bounds_the_age_of_what_is_not_shipped() {
        let age = |options| with_an_age(options).segment_age_max;
        assert_eq!(age(JournalOptions::default()), Some(Duration::from_secs(10)));
        let minute = Duration::from_secs(60);
        assert_eq!(age(JournalOptions::default().with_segment_age_max(minute)), Some(minute));
    }
}
