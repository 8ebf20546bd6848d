//! The target itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use grafeo::{GraphStore, Session};
use graphstream_format::{Lineage, Position};
use graphstream_proto::JournalEntry;
use graphstream_replay::{
    BatchStep, Cause, Error as ReplayError, Guarantee, Reason, ReplayEntry, ReplayTarget,
    Result as ReplayResult, TransactionalTarget, check_batch,
};

use crate::database::{Database, Transaction};
use crate::reserved::NotAPosition;
use crate::{Error, GraphDigest, digest};

/// How a database is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GrafeoOptions {
    /// The most bytes grafeo may use for its buffers; `None` leaves it to grafeo.
    pub memory_bytes_max: Option<usize>,
}

impl GrafeoOptions {
    /// Sets [`memory_bytes_max`](Self::memory_bytes_max).
    #[must_use]
    pub fn with_memory_bytes_max(mut self, bytes: Option<usize>) -> Self {
        self.memory_bytes_max = bytes;
        self
    }
}

/// Replays into a grafeo database, and lets a leader write through it.
///
/// ```
/// use graphstream_format::{ChainHash, Lineage};
/// use graphstream_proto::JournalEntry;
/// use graphstream_replay::{ReplayEntry, ReplayTarget};
/// use graphstream_target_grafeo::GrafeoTarget;
///
/// # let dir = std::env::temp_dir().join(format!("graphstream-grafeo-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// let mut target = GrafeoTarget::open(dir.join("follower.grafeo"))?;
/// let entry = JournalEntry::new("CREATE (:Person {id: $id})", 0).with_param("id", 1_i64);
/// let chain_hash = ChainHash::ZERO.after(&entry.encode()?);
/// let batch = [ReplayEntry { sequence: 1, commit_ms: 0, chain_hash, entry }];
/// let position = batch[0].position(Lineage::from_bytes([7; 16]));
/// target.apply(&batch, position)?;
///
/// assert_eq!(target.digest()?.nodes["Person"], 1);
/// assert_eq!(target.position()?, Some(position));
/// # target.close()?;
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GrafeoTarget {
    name: String,
    path: PathBuf,
    options: GrafeoOptions,
    /// `None` once it is closed or has failed.
    open: Option<Database>,
}

impl GrafeoTarget {
    /// Opens or creates a database with default options.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(path: impl AsRef<Path>) -> ReplayResult<Self> {
        Self::open_with(path, GrafeoOptions::default())
    }

    /// Opens or creates a database. A new one is a single file if its name ends in `.grafeo`, otherwise a directory.
    ///
    /// # Errors
    /// [`ReplayError::Open`] when grafeo can't open it, because it is open elsewhere for example;
    /// [`ReplayError::NotAFile`] for a FIFO or a device, [`ReplayError::DamagedPosition`].
    pub fn open_with(path: impl AsRef<Path>, options: GrafeoOptions) -> ReplayResult<Self> {
        let path = path.as_ref().to_path_buf();
        let mut target = Self { name: format!("grafeo:{}", path.display()), path, options, open: None };
        target.reopen()?;
        Ok(target)
    }

    /// Counts, and a digest over all rows, of what is committed. The adapter's own node isn't in it.
    ///
    /// # Errors
    /// [`ReplayError::Gone`] when the database isn't open or holds a value that no journal could have brought.
    pub fn digest(&self) -> ReplayResult<GraphDigest> {
        let open = self.opened("computing its digest")?;
        let store: &dyn GraphStore = &**open.db.store();
        digest::of_store(store).map_err(|error| self.gone("computing its digest", error))
    }

    /// A session that sees what is committed and can't write: for queries of the application.
    ///
    /// # Errors
    /// [`ReplayError::Gone`] when the database isn't open.
    pub fn read_session(&self) -> ReplayResult<Session> {
        Ok(self.opened("opening a session")?.read_session())
    }

    fn opened(&self, attempt: &'static str) -> ReplayResult<&Database> {
        self.open.as_ref().ok_or_else(|| self.not_open(attempt))
    }

    fn not_open(&self, attempt: &'static str) -> ReplayError {
        self.gone(attempt, Reason::new("it is closed, or failed before: reopen it"))
    }

    fn gone(&self, attempt: &'static str, source: impl Into<Cause>) -> ReplayError {
        ReplayError::Gone { target: self.name.clone(), attempt, source: source.into() }
    }

    fn state(&self, attempt: &'static str, state: &'static str) -> ReplayError {
        ReplayError::State { target: self.name.clone(), attempt, state }
    }

    /// Gives the database up after an error that leaves its state unknown.
    fn give_up(&mut self, attempt: &'static str, error: Error) -> ReplayError {
        self.open = None;
        self.gone(attempt, error)
    }

    /// Runs a batch in a new transaction. With a lineage, it commits wherever an entry needs that.
    fn run_all(&mut self, batch: &[ReplayEntry], commits: Option<Lineage>) -> ReplayResult<Ran> {
        const ATTEMPT: &str = "applying a batch";
        let mut ran = Ran::Whole;
        self.begin()?;
        let mut before: Option<&ReplayEntry> = None;
        for entry in batch {
            let needs_commit = self.open.as_mut().and_then(|open| open.needs_commit_before(&entry.entry));
            if needs_commit.is_some() {
                match (commits, before) {
                    (Some(lineage), Some(before)) => {
                        let position = before.position(lineage);
                        let committed = self.open.as_mut().map_or(Ok(()), |open| open.commit(position));
                        committed.map_err(|error| self.give_up("committing a part of a batch", error))?;
                        self.begin()?;
                    }
                    _ => ran = Ran::NeedsCommits,
                }
            }
            match self.run(ATTEMPT, &entry.entry) {
                Ok(()) => {}
                Err(Failure::Gone(error)) => return Err(error),
                // It found other labels than it will find behind the commits, so this says nothing yet.
                Err(Failure::Refused(error)) if ran == Ran::NeedsCommits && error.depends_on_data() => {
                    return Ok(ran);
                }
                Err(Failure::Refused(error)) => {
                    self.roll_back_or_reopen()?;
                    return Err(ReplayError::Poison {
                        target: self.name.clone(),
                        sequence: entry.sequence,
                        source: error.into(),
                    });
                }
            }
            before = Some(entry);
        }
        Ok(ran)
    }

    /// After an entry that was refused: what is committed, and nothing else.
    fn roll_back_or_reopen(&mut self) -> ReplayResult<()> {
        match &mut self.open {
            Some(open) => open.rollback().map_err(|error| self.give_up("rolling back a batch", error)),
            // grafeo panicked.
            None => self.reopen(),
        }
    }

    /// Runs one entry in the open transaction. A panic of grafeo closes the database.
    fn run(&mut self, attempt: &'static str, entry: &JournalEntry) -> ReplayResult<(), Failure> {
        let Some(open) = self.open.as_mut() else { return Err(Failure::Gone(self.not_open(attempt))) };
        let ran = catch_unwind(AssertUnwindSafe(|| open.run(entry)));
        match ran {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                if let Some(transaction) = &mut open.transaction {
                    transaction.failed = true;
                }
                Err(Failure::Refused(error))
            }
            Err(_) => {
                // What it left behind is anybody's guess. Opening it again rolls back to the last commit.
                self.open = None;
                Err(Failure::Refused(Error::Panicked))
            }
        }
    }
}

/// How a batch ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// All of it, in one transaction.
    Whole,
    /// An entry of it needs the commit of those before it, and had none.
    NeedsCommits,
}

enum Failure {
    Gone(ReplayError),
    Refused(Error),
}

impl ReplayTarget for GrafeoTarget {
    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> ReplayResult<Option<Position>> {
        Ok(self.opened("asking for its position")?.position)
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> ReplayResult<()> {
        const ATTEMPT: &str = "applying a batch";
        let open = self.opened(ATTEMPT)?;
        if open.transaction.is_some() {
            return Err(self.state("apply a batch", "a transaction is open"));
        }
        if check_batch(&self.name, open.position.as_ref(), batch, &position)? == BatchStep::Nothing {
            return Ok(());
        }
        if self.run_all(batch, None)? == Ran::NeedsCommits {
            // Nothing in it is wrong by itself: now in parts, each with its own position.
            self.rollback()?;
            self.run_all(batch, Some(position.lineage))?;
        }
        let committed = self.open.as_mut().map_or(Ok(()), |open| open.commit(position));
        committed.map_err(|error| self.give_up("committing a batch", error))
    }

    fn state_digest(&mut self) -> ReplayResult<Option<GraphDigest>> {
        self.digest().map(Some)
    }

    fn reopen(&mut self) -> ReplayResult<()> {
        // Closing writes grafeo's checkpoint, from a state that holds a batch with its position or neither.
        self.open = None;
        if let Ok(found) = std::fs::metadata(&self.path)
            && !found.is_file()
            && !found.is_dir()
        {
            let path = self.path.clone();
            return Err(ReplayError::NotAFile { path, found: "a FIFO, a socket or a device" });
        }
        let (open, damage) = Database::open(&self.path, &self.options)
            .map_err(|error| ReplayError::Open { target: self.name.clone(), source: error.into() })?;
        damage.map_err(|NotAPosition(expected)| ReplayError::DamagedPosition {
            target: self.name.clone(),
            expected,
        })?;
        self.open = Some(open);
        Ok(())
    }

    fn close(&mut self) -> ReplayResult<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        open.close().map_err(|error| self.gone("closing it", error))
    }
}

impl TransactionalTarget for GrafeoTarget {
    fn begin(&mut self) -> ReplayResult<()> {
        if self.opened("beginning a transaction")?.transaction.is_some() {
            return Err(self.state("begin a transaction", "one is open"));
        }
        let begun = self.open.as_mut().map_or(Ok(()), Database::begin);
        begun.map_err(|error| self.give_up("beginning a transaction", error))
    }

    fn execute(&mut self, entry: &JournalEntry) -> ReplayResult<()> {
        const ATTEMPT: &str = "executing a statement";
        match &self.opened(ATTEMPT)?.transaction {
            None => return Err(self.state("execute a statement", "no transaction is open")),
            Some(Transaction { failed: true, .. }) => {
                return Err(self.state("execute a statement", "one failed before it: roll back"));
            }
            Some(_) => {}
        }
        let ran = match self.open.as_mut().and_then(|open| open.needs_commit_before(entry)) {
            Some(error) => Err(Failure::Refused(error)),
            None => self.run(ATTEMPT, entry),
        };
        ran.map_err(|failure| match failure {
            Failure::Gone(error) => error,
            Failure::Refused(error @ Error::Panicked) => self.gone(ATTEMPT, error),
            Failure::Refused(error) => {
                ReplayError::Statement { target: self.name.clone(), source: error.into() }
            }
        })
    }

    fn rollback(&mut self) -> ReplayResult<()> {
        self.opened("rolling back")?;
        let rolled_back = self.open.as_mut().map_or(Ok(()), Database::rollback);
        rolled_back.map_err(|error| self.give_up("rolling back", error))
    }

    fn commit(&mut self, position: Position) -> ReplayResult<()> {
        const ATTEMPT: &str = "committing";
        let open = self.opened(ATTEMPT)?;
        match &open.transaction {
            None => return Err(self.state("commit", "no transaction is open")),
            Some(Transaction { failed: true, .. }) => {
                return Err(self.state("commit", "a statement failed in the transaction: roll back"));
            }
            Some(_) => {}
        }
        let recorded = open.position;
        if check_batch(&self.name, recorded.as_ref(), &[], &position)? != BatchStep::PositionOnly {
            return Err(ReplayError::Backwards {
                target: self.name.clone(),
                recorded: recorded.map_or(0, |at| at.sequence),
                offered: position.sequence,
            });
        }
        let committed = self.open.as_mut().map_or(Ok(()), |open| open.commit(position));
        committed.map_err(|error| self.give_up(ATTEMPT, error))
    }
}
