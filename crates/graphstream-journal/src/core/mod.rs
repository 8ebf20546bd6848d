//! What the handles, tickets and service jobs of one journal share, and who may do what when.
//!
//! ```text
//!  producers --append--> queue --[write role]--> open segment --[sync role]--> on disk --[sealing]--> sealed
//!                                 written                        synced                     sealed
//! ```
//!
//! The write role and the sync role are held by one thread at a time each: a caller that waits takes one when it is free and does the
//! work for everybody (group commit), so a single producer never pays for waking another thread. A large group takes a second thread that writes (see
//! `committer`). `state` is locked only for moments;
//! files are touched without it. A role that ends by a panic poisons the journal, and so does a step of sealing (see `seal_queue`).

mod age;
mod enqueue;
mod role;
mod room;
mod sleepers;
mod sync_role;
mod waiting;
mod write_role;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_metrics::GraphstreamMetrics;

pub(crate) use age::Oldest;
use enqueue::HAND_OVER_BYTES;
use room::Room;
use sleepers::Sleepers;
pub(crate) use sleepers::Wanted;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::committer::{Committer, Tail};
use crate::directory::JournalDir;
use crate::error::Error;
use crate::failure::Failure;
use crate::form::Form;
use crate::lock::WriterLock;
use crate::open_segment::OpenFile;
use crate::options::{JournalOptions, Service};
use crate::queue::Queue;
use crate::seal::SealedSegment;
use crate::seal_queue::SealQueue;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::ticket::Level;

/// Everything about one open journal.
#[derive(Debug)]
pub(crate) struct Shared {
    /// For the jobs of the service pool.
    pub(crate) this: Weak<Self>,
    pub(crate) dir: JournalDir,
    pub(crate) options: JournalOptions,
    /// How segments are sealed.
    pub(crate) form: Form,
    pub(crate) lineage: Lineage,
    pub(crate) metrics: Arc<GraphstreamMetrics>,
    state: Mutex<State>,
    /// Some position, role or failure has changed; for all but those who wait for a ticket, who sleep by themselves.
    progress: Condvar,
    /// The queue was taken, or cursors hold back less than they may.
    space: Condvar,
    /// Only for the holder of the write role.
    committer: Mutex<Committer>,
    lock: Mutex<Option<WriterLock>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// One cursor is moved at a time.
    pub(crate) releasing: Mutex<()>,
    /// The cursors are read by one thread at a time.
    looking: Mutex<()>,
    owner_pid: u32,
}

/// How far something has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) sequence: u64,
    pub(crate) chain_hash: ChainHash,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) queue: Queue,
    queued_bytes: usize,
    spare: Option<Queue>,

    /// The number of the group that is in the queue, from 1.
    pub(crate) queued_group: u64,
    /// The last group that has its outcome; they come in order.
    pub(crate) written_group: u64,
    /// The last group whose written entries are all synced.
    pub(crate) synced_group: u64,

    pub(crate) writing: bool,
    /// How many wait for the write role for something other than writing; they come first.
    write_turns: u32,
    pub(crate) syncing: bool,

    pub(crate) written: Point,
    pub(crate) synced: Point,
    pub(crate) sealed: Point,
    /// The open segment and where it ends, for the sync role.
    open: Option<(Arc<OpenFile>, u64)>,

    pub(crate) to_seal: SealQueue,
    pub(crate) newest_sealed: Option<SealedSegment>,
    pub(crate) seal_error: Option<Arc<Error>>,

    /// What cursors may hold back, if that is bounded.
    room: Option<Room>,

    /// No more appends, though what was appended is still written.
    closing: bool,
    /// This process is a fork: nobody here ends what was under way when it was made.
    pub(crate) foreign: bool,
    /// The journal is over.
    pub(crate) over: Option<Failure>,

    sleepers: Sleepers,
    wakers: BTreeMap<u64, (Level, Waker)>,
    next_waker: u64,
    pub(crate) asked: Asked,
}

/// What the service pool was asked to do.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Groups up to this number are to be written.
    pub(crate) write_group: u64,
    /// Groups up to this number are to be synced.
    pub(crate) sync_group: u64,
    /// A job that will look at `write_group` is queued or running.
    pub(crate) write_scheduled: bool,
    /// The same for `sync_group`.
    pub(crate) sync_scheduled: bool,
    pub(crate) flush_timer: bool,
    pub(crate) sync_timer: bool,
    pub(crate) early_sync: bool,
    pub(crate) age_timer: bool,
    pub(crate) seal_scheduled: bool,
    pub(crate) seal_failures: u32,
}

pub(crate) type Guard<'a> = MutexGuard<'a, State>;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic inside is turned into a poisoned journal by the roles; the data itself is never left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Whether the write role can be taken for a group.
    pub(crate) fn can_write(&self) -> bool {
        !self.writing && self.write_turns == 0
    }

    /// Whether so much is queued that it is written at once.
    pub(crate) fn is_burst(&self) -> bool {
        self.queued_bytes >= HAND_OVER_BYTES
    }

    /// The last group with entries.
    pub(crate) fn newest_group(&self) -> u64 {
        if self.queue.is_empty() { self.queued_group - 1 } else { self.queued_group }
    }
}

impl Shared {
    pub(crate) fn new(
        dir: JournalDir,
        options: JournalOptions,
        lineage: Lineage,
        metrics: Arc<GraphstreamMetrics>,
        committer: Committer,
        lock: WriterLock,
        newest_sealed: Option<SealedSegment>,
    ) -> Arc<Self> {
        let room = options.held_bytes_max.map(|max| Room::new(Budget::new(max)));
        let Tail { sequence, chain_hash, .. } = committer.tail();
        let clock = committer.clock();
        let form = Form { write: options.form(), keys: dir.keys.clone(), entropy: committer.entropy() };
        let point = Point { sequence, chain_hash };
        metrics.journal.written_sequence.set(sequence);
        metrics.journal.synced_sequence.set(sequence);
        metrics.journal.sealed_sequence.set(sequence);
        metrics.journal.poisoned.set_bool(false);
        let state = State {
            queue: Queue::new(),
            queued_bytes: 0,
            spare: None,
            queued_group: 1,
            written_group: 0,
            synced_group: 0,
            writing: false,
            write_turns: 0,
            syncing: false,
            written: point,
            synced: point,
            sealed: point,
            open: None,
            to_seal: SealQueue::default(),
            newest_sealed,
            seal_error: None,
            room,
            closing: false,
            foreign: false,
            over: None,
            sleepers: Sleepers::default(),
            wakers: BTreeMap::new(),
            next_waker: 0,
            asked: Asked::default(),
        };
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            dir,
            options,
            form,
            lineage,
            metrics,
            state: Mutex::new(state),
            progress: Condvar::new(),
            space: Condvar::new(),
            committer: Mutex::new(committer),
            lock: Mutex::new(Some(lock)),
            clock,
            releasing: Mutex::new(()),
            looking: Mutex::new(()),
            owner_pid: std::process::id(),
        })
    }

    pub(crate) fn state(&self) -> Guard<'_> {
        locked(&self.state)
    }

    pub(crate) fn progress(&self) -> &Condvar {
        &self.progress
    }

    pub(crate) fn pooled(&self) -> bool {
        self.options.service == Service::Pool
    }

    /// Ends the journal in a fork of the process that opened it: the directory, the lock and the threads belong to the
    /// parent. Whoever is about to touch a file or to wait for another thread asks first.
    pub(crate) fn check_process(&self, state: &mut State) {
        let current = std::process::id();
        if current != self.owner_pid {
            state.foreign = true;
            self.finish(state, Failure::poison(Error::ForeignProcess { owner: self.owner_pid, current }));
        }
    }

    pub(crate) fn position(&self, point: Point) -> Position {
        Position { lineage: self.lineage, sequence: point.sequence, chain_hash: point.chain_hash }
    }

    /// Tells everybody but the sleepers that a level has moved.
    pub(crate) fn announce(&self, state: &mut State, level: Level) {
        let over = state.over.is_some();
        let due: Vec<u64> = state
            .wakers
            .iter()
            .filter(|(_, (wanted, _))| over || *wanted == level)
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            if let Some((_, waker)) = state.wakers.remove(&key) {
                waker.wake();
            }
        }
        self.progress.notify_all();
    }

    /// What was queued behind a failure fails with it, so that no entry gets ahead of one that its producer sees failed.
    fn stop(&self, state: &mut State, failure: Failure) {
        tracing::warn!(error = %failure.not_written(), "appending failed");
        if matches!(failure, Failure::Full { .. }) {
            self.metrics.journal.full.inc();
        }
        state.queue.fail(&failure);
        state.queue = Queue::new();
        state.queued_bytes = 0;
        state.closing |= self.options.stop_at_failure;
        self.space.notify_all();
        if failure.is_final() {
            self.finish(state, failure);
        }
    }

    /// The journal is over: nothing is accepted or acknowledged any more.
    pub(crate) fn finish(&self, state: &mut State, failure: Failure) {
        if state.over.is_some() {
            return;
        }
        if let Failure::Poisoned(source) = &failure {
            self.metrics.journal.poisoned.set_bool(true);
            tracing::error!(error = %source, "journal poisoned");
        }
        state.queue.fail(&failure);
        state.queue = Queue::new();
        state.queued_bytes = 0;
        state.over = Some(failure);
        self.space.notify_all();
        self.announce(state, Level::Written);
        self.call_locked(state);
    }

    pub(crate) fn begin_closing(&self) {
        self.state().closing = true;
        self.space.notify_all();
    }

    pub(crate) fn release_lock(&self) {
        locked(&self.lock).take();
    }
}

pub(crate) fn wait_on<'a>(condvar: &Condvar, state: Guard<'a>) -> Guard<'a> {
    condvar.wait(state).unwrap_or_else(PoisonError::into_inner)
}

/// How long entries may lie in the queue when nobody waits for them.
pub(crate) const FLUSH_DELAY: Duration = Duration::from_millis(5);
