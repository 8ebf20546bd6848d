//! The leader: a journal, its uploader and, optionally, the database that is written through it, in one process.
//!
//! ```text
//!   start   open the journal (recover) ─► compare with the head ─► claim ─► replay what the database lacks
//!   run     execute / append ─► synced            segment full, aged, or asked for: seal ─► upload ─► publish ─► stored
//!   end     no more appends ─► seal ─► upload ─► publish, within a deadline ─► close
//! ```
//! One clock decides how long entries wait: the journal's `segment_age_max`. Whatever is sealed is shipped at once, so it is
//! also the RPO, but for the time that sealing, uploading and publishing take.

mod admission;
mod beginning;
mod builder;
mod database;
mod room;
mod ticket;
mod writing;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graphstream_format::Position;
use graphstream_journal::{Journal, ReaderOptions};
use graphstream_proto::JournalEntry;
use graphstream_remote::Committed;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::admission::Admission;
pub use self::beginning::continue_from_head;
pub use self::builder::{LeaderBuilder, Started};
use self::database::Database;
use self::room::Room;
pub use self::ticket::{AppendTicket, Level};
pub use self::writing::{Appended, Synced, WriteThrough, Writing};
use crate::threads::blocking;
use crate::{ArchiveStatus, ArchiveView, Error, Result, Stop, UploaderHandle};

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
    admission: Arc<Admission>,
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

impl Leader {
    /// The entry as this leader journals it: with the entry's own values in place of the clock and of one UUID. [`execute`](Self::execute) and
    /// [`append`](Self::append) do this themselves; an application that executes by itself ([`write_through`](Self::write_through)) calls it
    /// before, so that it executes what is journaled. Admitted entries are admitted again as they are.
    ///
    /// # Errors
    /// [`Error::Refused`] when the statement isn't safe to replay ([`guard`](LeaderBuilder::guard)); [`Error::Randomness`].
    pub fn admit(&self, entry: JournalEntry) -> Result<JournalEntry> {
        let admitted = match self.admission.admit(std::slice::from_ref(&entry))? {
            Cow::Borrowed(_) => None,
            Cow::Owned(admitted) => admitted.into_iter().next(),
        };
        Ok(admitted.unwrap_or(entry))
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
    /// [`Error::Refused`]: one isn't safe to replay, nothing was executed. [`Error::Statement`]: the database refused one, nothing was journaled. [`Error::Journal`]: the append failed, and with
    /// `Unresolved` it isn't known whether the entries will be there after a restart. [`Error::Target`] from the commit:
    /// journaled, but not in the database; from then on [`Error::Diverged`] until the leader is started again,
    /// which replays them. [`Error::NoTarget`] without a database.
    pub async fn execute_batch(&self, entries: Vec<JournalEntry>) -> Result<Written> {
        let database = Arc::clone(self.database.as_ref().ok_or(Error::NoTarget)?);
        let entries: Arc<[JournalEntry]> = match self.admission.admit(&entries)? {
            Cow::Borrowed(_) => entries.into(),
            Cow::Owned(admitted) => admitted.into(),
        };
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
    /// ([`WhenFull::Block`](graphstream_journal::WhenFull::Block)): in asynchronous code, await [`room`](Self::room) before, or let it fail.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Encode`], [`Error::Journal`].
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
        let ticket = self.journal.append_batch(&encode(&self.admission.admit(entries)?)?)?;
        Ok(AppendTicket::new(ticket, self.committed.clone()))
    }

    /// The token of an entry that is *written*: what a reader hands to [`Waiter::wait`](crate::Waiter::wait) at a follower to read it there.
    /// [`Written::position`] is one, too.
    ///
    /// # Errors
    /// [`Error::LocalGap`] if it is not in the journal (any more), [`Error::Journal`] if that can't be read.
    pub async fn token(&self, sequence: u64) -> Result<Position> {
        let journal = self.journal.clone();
        blocking("reading a position", move || position_of(&journal, sequence)).await
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
