//! The journal's handle.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use graphstream_format::{Lineage, Position};

use crate::budget::Held;
use crate::builder::JournalBuilder;
use crate::core::{Shared, State};
use crate::directory::JournalDir;
use crate::error::Result;
use crate::failure::Failure;
use crate::seal::SealedSegment;
use crate::sync::Instant;
use crate::ticket::{Level, Ticket};

/// An open journal: the only writer of its directory. Clones are handles of the same journal, for any number of
/// producer threads.
///
/// When the last handle is dropped without [`Journal::close`], what is queued is still written and synced, and the open
/// segment stays open: the next open seals it.
///
/// ```
/// use graphstream_journal::{Ack, Journal, JournalReader, ReaderOptions};
/// # let dir = tempfile::tempdir()?;
/// let (journal, _recovery) = Journal::builder(dir.path()).open()?;
/// let first = journal.append("CREATE (:Person {name: 'Ada'})")?;
/// let second = journal.append("CREATE (:City {name: 'London'})")?;
/// assert_eq!(second.wait(Ack::Synced)?, 2..=2);
/// assert_eq!(first.wait(Ack::Synced)?, 1..=1);
/// journal.close()?;
///
/// let entries: Vec<_> = JournalReader::open(dir.path(), ReaderOptions::default())?.collect::<Result<_, _>>()?;
/// assert_eq!(entries.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Journal {
    handle: Arc<Handle>,
}

/// The last one dropped sees to what is queued.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

/// How far the journal has come; `sealed <= synced <= written`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Positions {
    /// The last entry in the operating system.
    pub written: Position,
    /// The last entry that fdatasync has returned for.
    pub synced: Position,
    /// The last entry in a sealed segment.
    pub sealed: Position,
}

/// What [`Journal::close`] leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Where the journal ends, all of it sealed.
    pub position: Position,
    /// The newest sealed segment; `None` in a journal without entries.
    pub newest_sealed: Option<SealedSegment>,
}

impl Journal {
    /// Opens the journal in a directory with what the builder is told.
    pub fn builder(dir: impl AsRef<Path>) -> JournalBuilder {
        JournalBuilder::new(dir.as_ref())
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { handle: Arc::new(Handle { shared }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Appends one entry. Its commit time is the clock's when it is written, clamped to non-decreasing.
    ///
    /// With a full queue the call waits, or fails, as [`QueuePolicy`](crate::QueuePolicy) says, and so it does at
    /// [`held_bytes_max`](crate::JournalOptions::held_bytes_max) as [`WhenFull`](crate::WhenFull) says; otherwise it does no file operation.
    ///
    /// # Errors
    /// [`Error::PayloadTooLarge`](crate::Error::PayloadTooLarge), [`Error::QueueFull`](crate::Error::QueueFull),
    /// [`Error::BudgetFull`](crate::Error::BudgetFull); after the journal's end [`Error::Closed`](crate::Error::Closed), [`Error::Poisoned`](crate::Error::Poisoned) or [`Error::Fenced`](crate::Error::Fenced).
    pub fn append(&self, payload: impl AsRef<[u8]>) -> Result<Ticket> {
        self.enqueue(&[(payload, None)])
    }

    /// Appends one entry with a given commit time (milliseconds since 1970), clamped to non-decreasing: for imports.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_at(&self, payload: impl AsRef<[u8]>, commit_ms: i64) -> Result<Ticket> {
        self.enqueue(&[(payload, Some(commit_ms))])
    }

    /// Appends entries that belong together: one record, one ticket, and after a crash all of them or none.
    ///
    /// # Errors
    /// As [`Journal::append`]; [`Error::EmptyBatch`](crate::Error::EmptyBatch),
    /// [`Error::BatchTooLarge`](crate::Error::BatchTooLarge) beyond 32 MiB with framing.
    pub fn append_batch<P: AsRef<[u8]>>(&self, payloads: &[P]) -> Result<Ticket> {
        let entries: Vec<(&[u8], Option<i64>)> =
            payloads.iter().map(|payload| (payload.as_ref(), None)).collect();
        self.enqueue(&entries)
    }

    /// As [`Journal::append_batch`], with a commit time for each entry.
    ///
    /// # Errors
    /// As [`Journal::append_batch`].
    pub fn append_batch_at<P: AsRef<[u8]>>(&self, entries: &[(P, i64)]) -> Result<Ticket> {
        let entries: Vec<(&[u8], Option<i64>)> =
            entries.iter().map(|(payload, commit_ms)| (payload.as_ref(), Some(*commit_ms))).collect();
        self.enqueue(&entries)
    }

    fn enqueue<P: AsRef<[u8]>>(&self, entries: &[(P, Option<i64>)]) -> Result<Ticket> {
        let shared = Arc::clone(self.shared());
        let (group, index) = shared.enqueue(entries)?;
        Ok(Ticket { shared, group, index, count: entries.len() })
    }

    /// Writes and syncs everything appended before the call, whatever the policy.
    ///
    /// # Errors
    /// As [`Ticket::wait`](crate::Ticket::wait).
    pub fn sync(&self) -> Result<Position> {
        self.shared().sync_all()
    }

    /// Writes and syncs everything appended before the call, seals the open segment and waits for it. Returns the newest
    /// sealed segment; `None` in a journal without entries.
    ///
    /// # Errors
    /// As [`Ticket::wait`](crate::Ticket::wait); [`Error::Shared`](crate::Error::Shared) with the reason when sealing fails (it is tried again).
    pub fn seal(&self) -> Result<Option<SealedSegment>> {
        let last = self.shared().rotate()?;
        self.shared().wait_sealed(last)
    }

    /// How far the journal has come.
    #[must_use]
    pub fn positions(&self) -> Positions {
        let shared = self.shared();
        let state = shared.state();
        Positions {
            written: shared.position(state.written),
            synced: shared.position(state.synced),
            sealed: shared.position(state.sealed),
        }
    }

    /// Waits until everything up to `sequence` has reached `level`. It causes no write, sync or seal: it rides along with those
    /// that happen. Waiting for what nobody has appended is fine. To have entries written and synced, wait on their
    /// [`Ticket`]s, or use [`Journal::sync`] and [`Journal::seal`].
    ///
    /// # Errors
    /// As [`Ticket::wait`], once the journal has ended without getting there.
    pub fn wait(&self, sequence: u64, level: Level) -> Result<()> {
        self.wait_until(sequence, level, None).map(|_| ())
    }

    /// As [`Journal::wait`], but gives up after `timeout` with false.
    ///
    /// # Errors
    /// As [`Journal::wait`].
    pub fn wait_timeout(&self, sequence: u64, level: Level, timeout: Duration) -> Result<bool> {
        self.wait_until(sequence, level, Instant::now().checked_add(timeout))
    }

    fn wait_until(&self, sequence: u64, level: Level, deadline: Option<Instant>) -> Result<bool> {
        let shared = self.shared();
        let mut state = shared.state();
        shared.check_process(&mut state);
        loop {
            if let Some(result) = reached(&state, sequence, level) {
                return result.map(|()| true);
            }
            match shared.wait_progress(state, deadline) {
                Some(after) => state = after,
                None => return Ok(false),
            }
        }
    }

    /// A future of [`Journal::wait`].
    pub fn reached(&self, sequence: u64, level: Level) -> Reached {
        Reached { shared: Arc::clone(self.shared()), sequence, level, waker: None }
    }

    /// Moves a named cursor: its owner needs nothing up to and including `sequence` any more. Then removes the sealed segments
    /// that every cursor has passed, and returns how many. A cursor never goes back: a smaller sequence leaves it where it is.
    /// It blocks for the disk, beside the writer.
    ///
    /// # Errors
    /// [`Error::CursorBeyondSynced`](crate::Error::CursorBeyondSynced), with nothing changed; after the journal's end as
    /// [`Journal::append`]; as [`JournalDir::set_cursor`] and [`JournalDir::remove_released`].
    pub fn release(&self, cursor: &str, sequence: u64) -> Result<usize> {
        self.shared().release(cursor, sequence)
    }

    /// Says whether an append would be held up by [`held_bytes_max`](crate::JournalOptions::held_bytes_max), whatever
    /// [`WhenFull`](crate::WhenFull) says: for who must not wait in an append, as in asynchronous code.
    ///
    /// # Errors
    /// [`Error::BudgetFull`](crate::Error::BudgetFull) if so; after the journal's end as [`Journal::append`].
    pub fn check_room(&self) -> Result<()> {
        self.shared().check_room()
    }

    /// What cursors hold back, as it was when last looked at; `None` without
    /// [`held_bytes_max`](crate::JournalOptions::held_bytes_max). [`JournalDir::held`] counts it.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        self.shared().held()
    }

    /// Looks at the cursors now, after one was moved by other means than [`Journal::release`]: appends that were held up go on at
    /// once if they may. Does nothing without [`held_bytes_max`](crate::JournalOptions::held_bytes_max).
    ///
    /// # Errors
    /// As [`JournalDir::held`].
    pub fn look_at_cursors(&self) -> Result<()> {
        self.shared().look_at_cursors()
    }

    /// Commit times given from now on are at least this (milliseconds since 1970): a leader passes the head's.
    pub fn raise_commit_floor(&self, commit_ms: i64) {
        self.shared().raise_commit_floor(commit_ms);
    }

    /// Ends the journal because another leader took over after this sequence: notes it durably in `journal.json`, then
    /// fails everything that is not acknowledged with [`Error::Fenced`](crate::Error::Fenced).
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when the note cannot be made; nobody has been told then.
    pub fn fence(&self, after: u64) -> Result<()> {
        let shared = self.shared();
        shared.dir.note_fenced_after(Some(after))?;
        let path = shared.dir.path.join(crate::names::JOURNAL_JSON);
        shared.finish(&mut shared.state(), Failure::Fenced { after, path });
        Ok(())
    }

    /// The history that the journal holds.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.shared().lineage
    }

    /// The directory, as readers see it.
    #[must_use]
    pub fn dir(&self) -> &JournalDir {
        &self.shared().dir
    }

    /// Writes, syncs and seals everything and gives the directory free. Other handles find the journal closed. The
    /// directory is given free whatever the answer is; closing again finds the journal closed.
    ///
    /// # Errors
    /// As [`Journal::seal`]: what was not acknowledged then is in the state the error says.
    pub fn close(&self) -> Result<CloseReport> {
        let shared = self.shared();
        shared.begin_closing();
        let result = shared.rotate().and_then(|last| shared.wait_sealed(last));
        let report = result.map(|newest_sealed| CloseReport {
            position: shared.position(shared.state().written),
            newest_sealed,
        });
        shared.shut_down();
        report
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let shared = &self.shared;
        let mut state = shared.state();
        shared.check_process(&mut state);
        let over = state.over.is_some();
        drop(state);
        if !over {
            shared.begin_closing();
            if let Err(error) = shared.sync_all() {
                tracing::error!(%error, "entries of a dropped journal could not be written");
            }
        }
        shared.shut_down();
    }
}

impl Shared {
    /// Nothing touches the directory when this returns, and somebody else may open it.
    fn shut_down(&self) {
        let mut state = self.state();
        self.check_process(&mut state);
        self.finish(&mut state, Failure::Closed);
        if state.foreign {
            // Nobody here ends what was under way in the parent, and the lock stays the parent's.
            return;
        }
        while state.writing || state.syncing {
            state = crate::core::wait_on(self.progress(), state);
        }
        drop(state);
        self.stop_sealing();
        self.release_lock();
    }
}

fn reached(state: &State, sequence: u64, level: Level) -> Option<Result<()>> {
    let at = match level {
        Level::Written => state.written,
        Level::Synced => state.synced,
        Level::Sealed => state.sealed,
    };
    if at.sequence >= sequence {
        return Some(Ok(()));
    }
    let over = state.over.as_ref()?;
    Some(Err(if sequence <= state.written.sequence { over.unresolved() } else { over.not_written() }))
}

/// See [`Journal::reached`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Reached {
    shared: Arc<Shared>,
    sequence: u64,
    level: Level,
    waker: Option<u64>,
}

impl Future for Reached {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.shared.state();
        this.shared.check_process(&mut state);
        if let Some(result) = reached(&state, this.sequence, this.level) {
            return Poll::Ready(result);
        }
        this.shared.register_waker(&mut state, &mut this.waker, this.level, context.waker());
        Poll::Pending
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        self.shared.forget_waker(self.waker.take());
    }
}
