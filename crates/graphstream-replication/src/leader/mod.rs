//! The leader: a journal, its uploader and, optionally, the database that is written through it, in one process.
//!
//! ```text
//!   start   open the journal (recover) ─► compare with the head ─► claim ─► replay what the database lacks
//!   run     execute / append ─► synced            segment full, aged, or asked for: seal ─► upload ─► publish ─► stored
//!   end     no more appends ─► seal ─► upload ─► publish, within a deadline ─► close
//! ```
//! One clock decides how long entries wait: the journal's `segment_age_max`. Whatever is sealed is shipped at once, so it is
//! also the RPO, but for the time that sealing, uploading and publishing take.

mod beginning;
mod database;
mod room;
mod ticket;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graphstream_format::Position;
use graphstream_journal::{
    Clock, Entropy, Fs, Journal, JournalOptions, ReaderOptions, RecoveryReport, StdFs, SystemClock, WhenFull,
};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_proto::JournalEntry;
use graphstream_remote::{Committed, Remote};
use graphstream_replay::TransactionalTarget;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::beginning::Beginning;
pub use self::beginning::continue_from_head;
use self::database::Database;
use self::room::Room;
pub use self::ticket::{AppendTicket, Level};
pub use self::writing::{Appended, Synced, WriteThrough, Writing};
use crate::threads::blocking;
use crate::uploader::Writer;
use crate::{
    ArchiveStatus, ArchiveView, Error, Result, Stop, UploadBudget, Uploader, UploaderHandle, UploaderOptions,
};

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

/// Entries that were written through: executed, *synced*, committed in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The first sequence of the batch.
    pub first: u64,
    /// The position after its last entry: give it to a reader that must see the batch.
    pub position: Position,
}

/// What [`Leader::shutdown`] leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Where the journal ends.
    pub position: Position,
    /// What is committed.
    pub committed: Committed,
}

/// Started with an application's database; keeps it journaled, shipped and published.
///
/// Dropping a leader stops its uploader without waiting; what is synced ships at the next start. [`Leader::shutdown`] waits.
#[derive(Debug)]
pub struct Leader {
    journal: Journal,
    database: Option<Arc<Mutex<Database>>>,
    committed: watch::Receiver<Committed>,
    room: Arc<Room>,
    /// Of an application that executes itself.
    told: writing::Shared,
    /// Such an application has begun.
    written_through: AtomicBool,
    archive: ArchiveView,
    uploader: UploaderHandle,
    stop: Stop,
    uploading: JoinHandle<Result<()>>,
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

    /// Lets a leader whose disk is lost go on: without a journal in the directory, it begins right behind what is committed, in the same
    /// lineage, and a [`database`](Self::database) must stand at exactly that position. Entries that were only *synced* on the lost disk are
    /// gone. Say so for one start, after making sure that the path is right and that the other disk does not come back: without
    /// it, a directory without the journal of a published history is refused ([`Error::NoJournal`]). Nothing changes for a journal with entries.
    pub fn continue_from_head(mut self, allowed: bool) -> Self {
        self.continue_from_head = allowed;
        self
    }

    /// Opens the journal, compares it with the store, claims the next epoch (whoever led before is fenced), replays what the
    /// database lacks, and starts shipping.
    ///
    /// # Errors
    /// [`Error::Journal`]; [`Error::Remote`] without the store, with another history in it, or when more is committed than
    /// this journal has; [`Error::NoJournal`] when the directory holds none, but the database is published;
    /// [`Error::TargetLineage`], [`Error::DatabaseAhead`], [`Error::DatabaseBehind`], [`Error::DatabaseForked`],
    /// [`Error::Target`] for a database that does not fit the journal.
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
        } = self;
        let fs = fs.unwrap_or_else(|| Arc::new(StdFs));
        let beginning = Beginning::of(&dir, &fs, &remote, continue_from_head).await?;
        let options = with_an_age(journal);
        let uploader = uploader.with_held_bytes_max(options.held_bytes_max);
        let waits = options.when_full == WhenFull::Block;
        let counted = Arc::clone(&metrics);
        let builder = Journal::builder(dir).options(options).metrics(counted);
        let mut builder = builder.fs(fs).clock(Arc::clone(&clock));
        if let Some(entropy) = entropy {
            builder = builder.entropy(entropy);
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

impl Leader {
    /// A leader for the journal in `dir`, publishing to `remote`.
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
        }
    }

    /// Runs one statement in the database, journals it, and commits: *synced* when this returns.
    ///
    /// # Errors
    /// As [`execute_batch`](Self::execute_batch).
    pub async fn execute(&self, entry: JournalEntry) -> Result<Written> {
        self.execute_batch(vec![entry]).await
    }

    /// Runs statements in one transaction of the database, journals them as one record, and commits: all *synced* when
    /// this returns, or none of them happened. One writer at a time; reads of the database are not held up.
    ///
    /// # Errors
    /// [`Error::Statement`]: the database refused one, nothing was journaled. [`Error::Journal`]: the append failed, and with
    /// `Unresolved` it isn't known whether the entries will be there after a restart. [`Error::Target`] from the commit:
    /// journaled, but not in the database; from then on [`Error::Diverged`] until the leader is started again,
    /// which replays them. [`Error::NoTarget`] without a database.
    pub async fn execute_batch(&self, entries: Vec<JournalEntry>) -> Result<Written> {
        let database = Arc::clone(self.database.as_ref().ok_or(Error::NoTarget)?);
        let entries: Arc<[JournalEntry]> = entries.into();
        // Held up before anything is executed, and without a thread that waits.
        let write = || {
            let (journal, database, entries) =
                (self.journal.clone(), Arc::clone(&database), Arc::clone(&entries));
            blocking("writing through", move || {
                // A panicking database leaves `lacks` as it was when it mattered: the next call is refused if need be.
                database.lock().unwrap_or_else(PoisonError::into_inner).write(&journal, &entries)
            })
        };
        self.room.wait_with(write).await
    }

    /// Appends an entry for applications that have no database behind the leader. The ticket can be awaited.
    ///
    /// While the journal's disk budget is exhausted this call waits with its thread, if the journal's options say so
    /// ([`WhenFull::Block`]): in asynchronous code, await [`room`](Self::room) before, or let it fail.
    ///
    /// # Errors
    /// [`Error::Encode`], [`Error::Journal`].
    pub fn append(&self, entry: &JournalEntry) -> Result<AppendTicket> {
        self.append_batch(std::slice::from_ref(entry))
    }

    /// Appends entries that belong together: one record, one ticket, all or nothing.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`Error::WriteThrough`] when a database is written through: its position would be wrong.
    pub fn append_batch(&self, entries: &[JournalEntry]) -> Result<AppendTicket> {
        if self.database.is_some() || self.written_through.load(Ordering::Acquire) {
            return Err(Error::WriteThrough);
        }
        let ticket = self.journal.append_batch(&encode(entries)?)?;
        Ok(AppendTicket::new(ticket, self.committed.clone()))
    }

    /// Waits until everything up to `sequence` is *stored*: in the object store and covered by the published head. It rides
    /// the upload of its segment, which is left when it is full or aged; [`sync`](Self::sync) forces that.
    ///
    /// # Errors
    /// [`Error::NotStored`] when the uploader has ended; [`shutdown`](Self::shutdown) says why.
    pub async fn stored(&self, sequence: u64) -> Result<Committed> {
        ticket::stored(self.committed.clone(), sequence).await
    }

    /// Waits until everything up to `sequence` has reached `level`. It causes no write, sync or upload: it rides those that happen.
    ///
    /// # Errors
    /// [`Error::Journal`] when the journal ends before; as [`stored`](Self::stored).
    pub async fn reached(&self, sequence: u64, level: Level) -> Result<()> {
        match level {
            Level::Written => Ok(self.journal.reached(sequence, graphstream_journal::Level::Written).await?),
            Level::Synced => Ok(self.journal.reached(sequence, graphstream_journal::Level::Synced).await?),
            Level::Stored => self.stored(sequence).await.map(drop),
        }
    }

    /// Seals, uploads and publishes everything appended before the call, and waits until it is *stored*.
    ///
    /// # Errors
    /// [`Error::Journal`] when it can't be synced or sealed; otherwise as [`stored`](Self::stored).
    pub async fn sync(&self) -> Result<Committed> {
        let journal = self.journal.clone();
        let seal = move || {
            journal.seal()?;
            Ok(journal.positions().sealed)
        };
        let sealed = blocking("sealing", seal).await?;
        self.stored(sealed.sequence).await
    }

    /// The journal, for tickets, positions and readers.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What is committed, as it moves.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Committed> {
        self.committed.clone()
    }

    /// Asks the uploader: upload now, say when, end.
    #[must_use]
    pub fn uploader(&self) -> UploaderHandle {
        self.uploader.clone()
    }

    /// What is archived, what waits and what failed, and what a lost machine would cost now. Looks at one file's header.
    ///
    /// # Errors
    /// [`Error::Journal`].
    pub async fn archive(&self) -> Result<ArchiveStatus> {
        let (archive, written) = (self.archive.clone(), self.journal.positions().written.sequence);
        blocking("looking at the open segment", move || archive.status(written)).await
    }

    /// Whether the uploader still runs. When not, [`shutdown`](Self::shutdown) says why.
    #[must_use]
    pub fn is_shipping(&self) -> bool {
        !self.uploading.is_finished()
    }

    /// Seals, uploads and publishes what there is, within `deadline`, then closes journal and database.
    ///
    /// # Errors
    /// [`Error::Deadline`] when not everything was stored in time: it ships at the next start. What ended the uploader
    /// otherwise: the store's last answer, or [`Fenced`](graphstream_remote::Error::Fenced). Journal and database are
    /// closed in any case.
    pub async fn shutdown(mut self, deadline: Duration) -> Result<ShutdownReport> {
        self.stop.cancel();
        let ended = tokio::time::timeout(deadline, &mut self.uploading).await;
        let shipped = match ended {
            Ok(Ok(shipped)) => Some(shipped),
            Ok(Err(_)) => Some(Err(Error::Ended("the uploader"))),
            Err(_) => {
                // Once the task is gone it holds no lock any more: another leader may start.
                self.uploading.abort();
                let _ = (&mut self.uploading).await;
                None
            }
        };
        let (journal, database) = (self.journal.clone(), self.database.take());
        let fenced = matches!(&shipped, Some(Err(Error::Remote(graphstream_remote::Error::Fenced(_)))));
        let position = blocking("closing the journal", move || {
            let closed = journal.close();
            if let Some(database) = database {
                database.lock().unwrap_or_else(PoisonError::into_inner).close()?;
            }
            match closed {
                Ok(report) => Ok(report.position),
                Err(_) if fenced => Ok(journal.positions().written),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        let committed = *self.committed.borrow();
        match shipped {
            Some(shipped) => shipped.map(|()| ShutdownReport { position, committed }),
            None => Err(Error::Deadline { unstored: position.sequence.saturating_sub(committed.sequence) }),
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.uploading.abort();
    }
}

fn encode(entries: &[JournalEntry]) -> Result<Vec<Vec<u8>>> {
    let encode = |(index, entry): (usize, &JournalEntry)| {
        entry.encode().map_err(|source| Error::Encode { index, source })
    };
    entries.iter().enumerate().map(encode).collect()
}

/// The position after an entry that was just written. Only when somebody appended behind our back it has to be read.
fn position_of(journal: &Journal, sequence: u64) -> Result<Position> {
    let written = journal.positions().written;
    if written.sequence == sequence {
        return Ok(written);
    }
    let options = ReaderOptions::default().with_from_sequence(sequence);
    let entry = journal.dir().reader(options)?.next().transpose()?;
    match entry.filter(|entry| entry.sequence == sequence) {
        Some(entry) => Ok(Position { lineage: written.lineage, sequence, chain_hash: entry.chain_hash }),
        None => Err(Error::LocalGap { first: sequence, last: sequence }),
    }
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
