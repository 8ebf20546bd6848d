//! What the handles, tickets and service jobs of one journal share, and who may do what when.
//!
//! ```text
//!  producers --append--> queue --[write role]--> open segment --[sync role]--> on disk --[seal role]--> sealed
//!                                 written                        synced                     sealed
//! ```
//!
//! Each role is held by one thread at a time: a caller that waits takes it when it is free and does the work for everybody
//! (group commit), so a single producer never pays for waking another thread. `state` is locked only for moments; files are
//! touched without it. A role that ends by a panic poisons the journal.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use graphstream_format::{ChainHash, Lineage, Position, limits};
use graphstream_metrics::GraphstreamMetrics;

use crate::committer::{Committer, OpenFile, Tail};
use crate::directory::JournalDir;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::lock::WriterLock;
use crate::options::{JournalOptions, QueuePolicy, Service, SyncPolicy};
use crate::queue::{Group, Item, Queue};
use crate::seal::{SealOrder, SealedSegment};
use crate::ticket::{Ack, Level};

/// What an entry costs in the queue beside its payload.
const ITEM_BYTES: usize = std::mem::size_of::<Item>();

/// Everything about one open journal.
#[derive(Debug)]
pub(crate) struct Shared {
    /// For the jobs of the service pool.
    pub(crate) this: Weak<Self>,
    pub(crate) dir: JournalDir,
    pub(crate) options: JournalOptions,
    pub(crate) lineage: Lineage,
    pub(crate) metrics: Arc<GraphstreamMetrics>,
    state: Mutex<State>,
    /// Some position, role or failure has changed.
    progress: Condvar,
    /// The queue was taken.
    space: Condvar,
    /// Only for the holder of the write role.
    committer: Mutex<Committer>,
    lock: Mutex<Option<WriterLock>>,
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
    pub(crate) sealing: bool,

    pub(crate) written: Point,
    pub(crate) synced: Point,
    pub(crate) sealed: Point,
    /// The open segment and where it ends, for the sync role.
    open: Option<(Arc<OpenFile>, u64)>,

    pub(crate) to_seal: VecDeque<SealOrder>,
    pub(crate) newest_sealed: Option<SealedSegment>,
    pub(crate) seal_error: Option<Arc<Error>>,

    /// No more appends, though what was appended is still written.
    closing: bool,
    /// The journal is over.
    pub(crate) over: Option<Failure>,

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
    /// A job that will look at the two above is queued or running.
    pub(crate) scheduled: bool,
    pub(crate) flush_timer: bool,
    pub(crate) sync_timer: bool,
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
        let Tail { sequence, chain_hash, .. } = committer.tail();
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
            sealing: false,
            written: point,
            synced: point,
            sealed: point,
            open: None,
            to_seal: VecDeque::new(),
            newest_sealed,
            seal_error: None,
            closing: false,
            over: None,
            wakers: BTreeMap::new(),
            next_waker: 0,
            asked: Asked::default(),
        };
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            dir,
            options,
            lineage,
            metrics,
            state: Mutex::new(state),
            progress: Condvar::new(),
            space: Condvar::new(),
            committer: Mutex::new(committer),
            lock: Mutex::new(Some(lock)),
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

    pub(crate) fn position(&self, point: Point) -> Position {
        Position { lineage: self.lineage, sequence: point.sequence, chain_hash: point.chain_hash }
    }

    // ---- producers ----

    /// Queues entries that belong together (one, or a batch). Returns their group and the place of the first in it.
    pub(crate) fn enqueue<P: AsRef<[u8]>>(
        &self,
        entries: &[(P, Option<i64>)],
    ) -> Result<(Arc<Group>, usize)> {
        let bytes = check_sizes(entries)?;
        let cost = bytes + entries.len() * ITEM_BYTES;
        let mut state = self.state();
        loop {
            if let Some(over) = &state.over {
                return Err(over.not_written());
            }
            if state.closing {
                return Err(Error::Closed);
            }
            let max = self.options.queue_bytes_max;
            if state.queued_bytes == 0 || state.queued_bytes + cost <= max {
                break;
            }
            if self.options.queue_policy == QueuePolicy::Fail {
                return Err(Error::QueueFull { queued: state.queued_bytes, bytes: cost, max });
            }
            state = if state.can_write() { self.lead_write(state) } else { wait_on(&self.space, state) };
        }
        if self.pooled() && !state.asked.flush_timer {
            self.arm_flush_timer(&mut state)?;
        }
        state.queued_bytes += cost;
        let queue = &mut state.queue;
        let (group, index) = (Arc::clone(&queue.group), queue.items.len());
        for (place, (payload, commit_ms)) in entries.iter().enumerate() {
            let payload = payload.as_ref();
            queue.payloads.extend_from_slice(payload);
            let together = if place == 0 { entries.len() - 1 } else { 0 };
            queue.items.push(Item { bytes: payload.len(), together, commit_ms: *commit_ms });
        }
        Ok((group, index))
    }

    // ---- waiting ----

    /// What became of a ticket's entries, if it is known whether they have reached `ack`.
    pub(crate) fn resolve(
        state: &State,
        group: &Group,
        index: usize,
        count: usize,
        ack: Ack,
    ) -> Option<Result<RangeInclusive<u64>>> {
        let outcome = group.outcome.get()?;
        if index + count > outcome.written {
            let failure = outcome.failure.clone().unwrap_or(Failure::Closed);
            let unresolved = index < outcome.attempted;
            return Some(Err(if unresolved { failure.unresolved() } else { failure.not_written() }));
        }
        let first = outcome.first_sequence + index as u64;
        let last = first + (count as u64 - 1);
        match (ack, &state.over) {
            (Ack::Written, _) => Some(Ok(first..=last)),
            (Ack::Synced, _) if last <= state.synced.sequence => Some(Ok(first..=last)),
            (Ack::Synced, Some(over)) => Some(Err(over.unresolved())),
            (Ack::Synced, None) => None,
        }
    }

    /// Waits until a ticket's entries have reached `ack`, doing the work itself where nobody does. `None` after the deadline.
    pub(crate) fn wait(
        &self,
        group: &Group,
        index: usize,
        count: usize,
        ack: Ack,
        deadline: Option<Instant>,
    ) -> Option<Result<RangeInclusive<u64>>> {
        let mut state = self.state();
        loop {
            if let Some(result) = Self::resolve(&state, group, index, count, ack) {
                return Some(result);
            }
            let timed = self.pooled() && matches!(self.options.sync_policy, SyncPolicy::Interval(_));
            let queued = group.outcome.get().is_none();
            state = match ack {
                Ack::Written if state.can_write() => self.lead_write(state),
                // The timer writes and syncs.
                Ack::Synced if timed => self.wait_progress(state, deadline)?,
                // While a sync runs it is better to collect than to write: the next one then covers more.
                Ack::Synced if queued && state.can_write() && !state.syncing => self.lead_write_only(state),
                Ack::Synced if !queued && !state.syncing => self.lead_sync(state),
                _ => self.wait_progress(state, deadline)?,
            };
        }
    }

    /// Waits for progress; `None` when the deadline is over.
    pub(crate) fn wait_progress<'a>(
        &'a self,
        state: Guard<'a>,
        deadline: Option<Instant>,
    ) -> Option<Guard<'a>> {
        let Some(deadline) = deadline else { return Some(wait_on(&self.progress, state)) };
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let (state, _) = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        Some(state)
    }

    pub(crate) fn register_waker(
        &self,
        state: &mut State,
        key: &mut Option<u64>,
        level: Level,
        waker: &Waker,
    ) {
        let key = *key.get_or_insert_with(|| {
            state.next_waker += 1;
            state.next_waker
        });
        state.wakers.insert(key, (level, waker.clone()));
    }

    pub(crate) fn forget_waker(&self, key: Option<u64>) {
        if let Some(key) = key {
            self.state().wakers.remove(&key);
        }
    }

    /// Tells everybody that a level has moved.
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

    // ---- the write role ----

    /// Writes what is queued, and sees to its sync as the policy says. The caller has seen that the role is free.
    pub(crate) fn lead_write<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        let mut state = self.lead_write_only(state);
        if state.over.is_none() && state.written.sequence > state.synced.sequence {
            match self.options.sync_policy {
                SyncPolicy::Always if self.pooled() => {
                    let group = state.written_group;
                    self.ask(&mut state, 0, group);
                }
                SyncPolicy::Always if !state.syncing => state = self.lead_sync(state),
                _ => {}
            }
        }
        state
    }

    /// Writes what is queued and leaves the sync to the caller.
    fn lead_write_only<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        // The tickets of the group carry the failure.
        self.write_role(state, |_, _| Ok(())).0
    }

    /// Holds the write role for one group and for what is to be done behind it.
    fn write_role<'a>(
        &'a self,
        mut state: Guard<'a>,
        then: impl FnOnce(&mut Committer, &Self) -> Result<(), Failure>,
    ) -> (Guard<'a>, Option<Failure>) {
        state.writing = true;
        let number = state.queued_group;
        state.queued_group += 1;
        let spare = state.spare.take();
        let taken = state.queue.take(spare);
        state.queued_bytes = 0;
        drop(state);
        self.space.notify_all();

        let role = Role { shared: self, group: Some(&taken.group) };
        let mut committer = locked(&self.committer);
        let outcome = (!taken.is_empty()).then(|| committer.commit(&taken, self));
        let failure = match outcome.as_ref().and_then(|outcome| outcome.failure.clone()) {
            Some(failure) => Some(failure),
            None => then(&mut committer, self).err(),
        };
        drop(committer);
        role.done();

        let mut state = self.state();
        if let Some(outcome) = outcome {
            self.count_group(&taken, &outcome);
            // The one who took the group sets its outcome; the role guard does so only after a panic.
            let _ = taken.group.outcome.set(outcome);
        }
        if let Some(failure) = &failure {
            self.stop(&mut state, failure.clone());
        }
        state.spare = Some(taken.recycle(self.options.queue_bytes_max.min(1 << 20)));
        state.writing = false;
        state.written_group = number;
        if let (SyncPolicy::Interval(_), true) = (self.options.sync_policy, self.pooled()) {
            self.arm_sync_timer(&mut state);
        }
        self.announce(&mut state, Level::Written);
        (state, failure)
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
    }

    fn count_group(&self, taken: &Queue, outcome: &crate::queue::Outcome) {
        let metrics = &self.metrics.journal;
        metrics.entries_appended.add(outcome.written as u64);
        let bytes: usize = taken.items.iter().take(outcome.written).map(|item| item.bytes).sum();
        metrics.bytes_appended.add(bytes as u64);
        metrics.group_entries.observe(taken.items.len() as u64);
    }

    /// Called by the committer: up to where is written, and into which file.
    pub(crate) fn publish_written(&self, tail: Tail, open: Option<(Arc<OpenFile>, u64)>) {
        let mut state = self.state();
        state.written = Point { sequence: tail.sequence, chain_hash: tail.chain_hash };
        state.open = open;
        self.metrics.journal.written_sequence.set(tail.sequence);
    }

    // ---- the sync role ----

    /// Syncs what is written. The caller has seen that the role is free.
    pub(crate) fn lead_sync<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let (target, group) = (state.written, state.written_group);
        if state.over.is_some() {
            return state;
        }
        let Some((open, end)) = state.open.clone().filter(|_| target.sequence > state.synced.sequence) else {
            // Whatever was written before went with a segment that was left, synced.
            state.synced_group = state.synced_group.max(group);
            return state;
        };
        state.syncing = true;
        drop(state);

        let role = Role { shared: self, group: None };
        let started = Instant::now();
        let result = open.file.sync_data();
        role.done();

        let mut state = self.state();
        state.syncing = false;
        match result {
            Ok(()) => {
                self.metrics.journal.syncs.inc();
                self.metrics.journal.sync_seconds.observe(started.elapsed());
                open.durable_offset.store(end, std::sync::atomic::Ordering::Release);
                state.synced = target;
                state.synced_group = state.synced_group.max(group);
                self.metrics.journal.synced_sequence.set(target.sequence);
                self.announce(&mut state, Level::Synced);
            }
            Err(source) => {
                let error = Error::Io { operation: "syncing", path: open.path.clone(), source };
                self.finish(&mut state, Failure::poison(error));
            }
        }
        state
    }

    /// Called by the committer before it leaves a segment: everything written is synced when this returns `Ok`.
    pub(crate) fn sync_for_rotation(&self) -> Result<(), Failure> {
        let mut state = self.state();
        loop {
            if let Some(over) = &state.over {
                return Err(over.clone());
            }
            if state.synced.sequence == state.written.sequence {
                return Ok(());
            }
            state = if state.syncing { wait_on(&self.progress, state) } else { self.lead_sync(state) };
        }
    }

    /// Syncs everything that was appended before the call.
    pub(crate) fn sync_all(&self) -> Result<Position> {
        let mut state = self.state();
        let (target, group) = (state.newest_group(), Arc::clone(&state.queue.group));
        let queued = target == state.queued_group;
        loop {
            if let Some(failure) =
                group.outcome.get().filter(|_| queued).and_then(|outcome| outcome.failure.as_ref())
            {
                return Err(failure.unresolved());
            }
            if let Some(over) = &state.over {
                return Err(over.unresolved());
            }
            state = if state.written_group < target {
                if state.can_write() { self.lead_write_only(state) } else { wait_on(&self.progress, state) }
            } else if state.synced_group < target {
                if state.syncing { wait_on(&self.progress, state) } else { self.lead_sync(state) }
            } else {
                return Ok(self.position(state.synced));
            };
        }
    }

    // ---- leaving the open segment ----

    /// Writes what is queued, syncs, and leaves the open segment to sealing. Returns the last sequence that will be sealed.
    pub(crate) fn rotate(&self) -> Result<u64> {
        let state = self.write_turn(self.state());
        if let Some(over) = &state.over {
            return Err(over.not_written());
        }
        let mut last = 0;
        let (state, failure) = self.write_role(state, |committer, host| {
            last = committer.tail().sequence;
            committer.leave_segment(host)
        });
        drop(state);
        match failure {
            Some(failure) => Err(failure.not_written()),
            None => Ok(last),
        }
    }

    /// Waits until nobody writes, ahead of those who only want to write. The caller holds the state until it has taken the role
    /// or does not need it any more.
    fn write_turn<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        state.write_turns += 1;
        while state.writing {
            state = wait_on(&self.progress, state);
        }
        state.write_turns -= 1;
        // Those who held back look again once the state is free.
        self.progress.notify_all();
        self.space.notify_all();
        state
    }

    pub(crate) fn raise_commit_floor(&self, commit_ms: i64) {
        let state = self.write_turn(self.state());
        // Nobody takes the write role while the state is locked.
        locked(&self.committer).raise_commit_floor(commit_ms);
        drop(state);
    }

    pub(crate) fn begin_closing(&self) {
        self.state().closing = true;
    }

    pub(crate) fn release_lock(&self) {
        locked(&self.lock).take();
    }
}

pub(crate) fn wait_on<'a>(condvar: &Condvar, state: Guard<'a>) -> Guard<'a> {
    condvar.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn check_sizes<P: AsRef<[u8]>>(entries: &[(P, Option<i64>)]) -> Result<usize> {
    let (mut bytes, mut framed) = (0_usize, 0_usize);
    for (payload, _) in entries {
        let len = payload.as_ref().len();
        if len > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge { bytes: len, max: limits::PAYLOAD_BYTES_MAX });
        }
        bytes += len;
        framed += len + limits::ENTRY_OVERHEAD_BYTES_MAX;
        if framed > limits::BATCH_BYTES_MAX {
            return Err(Error::BatchTooLarge { bytes: framed, max: limits::BATCH_BYTES_MAX });
        }
    }
    if entries.is_empty() { Err(Error::EmptyBatch) } else { Ok(bytes) }
}

/// Turns a panic of whoever holds a role into a poisoned journal, so that nobody waits for a role that never ends.
struct Role<'a> {
    shared: &'a Shared,
    group: Option<&'a Group>,
}

impl Role<'_> {
    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let failure = Failure::poison(Error::Panicked);
        let mut state = self.shared.state();
        if let Some(group) = self.group {
            let _ = group.outcome.set(crate::queue::Outcome {
                first_sequence: 0,
                written: 0,
                attempted: usize::MAX,
                failure: Some(failure.clone()),
            });
            state.writing = false;
        } else {
            state.syncing = false;
        }
        self.shared.finish(&mut state, failure);
    }
}

/// How long entries may lie in the queue when nobody waits for them.
pub(crate) const FLUSH_DELAY: Duration = Duration::from_millis(5);
