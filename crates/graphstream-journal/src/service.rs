//! The process-wide service pool: threads for writes and syncs nobody else does and for the timers, and threads for sealing. They
//! start on first need and end when they have been idle for a while; all journals of the process share them.
//!
//! While all threads of a lane are at work and something more is to be done, or to be watched for, another one is started,
//! up to a bound: a journal on a slow device holds up the others' syncs only when as many devices are slow at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use crate::core::{FLUSH_DELAY, Guard, Shared, State, locked, wait_on};
use crate::error::{Error, Result};
use crate::options::SyncPolicy;
use crate::seal_queue::SEALED_AT_ONCE_MAX;
use crate::sync::{Condvar, Instant, Mutex, per_process, thread};

type Job = Box<dyn FnOnce() + Send>;

/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(1);
/// So that no delay leaves the range of the clock. Whoever is woken early looks and waits again.
const DELAY_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

per_process! {
    /// Writes, syncs and timers.
    pub(crate) static COMMITS: Lane = Lane::new("graphstream-journal-commit", 8);
}
per_process! {
    /// Sealing: it may take long and must not keep the others. Room for two journals that keep all their sealers busy.
    pub(crate) static SEALS: Lane = Lane::new("graphstream-journal-seal", 2 * SEALED_AT_ONCE_MAX);
}

/// Threads that come and go, and their work.
pub(crate) struct Lane {
    name: &'static str,
    threads_max: usize,
    work: Mutex<Work>,
    changed: Condvar,
}

struct Work {
    /// The process whose threads run. A fork has the value and not the threads.
    process: u32,
    threads: usize,
    /// How many of them wait for something to do.
    idle: usize,
    jobs: VecDeque<Job>,
    timers: BinaryHeap<Reverse<Timer>>,
    next_timer: u64,
}

impl Work {
    /// Whether there is something to do or to watch for, and nobody who will.
    fn needs_thread(&self, max: usize) -> bool {
        let unattended = self.jobs.len() > self.idle || (self.idle == 0 && !self.timers.is_empty());
        unattended && self.threads < max
    }

    /// What is to be done now.
    fn take(&mut self, now: Instant) -> Option<Job> {
        if self.timers.peek().is_some_and(|Reverse(timer)| timer.due <= now) {
            return self.timers.pop().map(|Reverse(timer)| timer.job);
        }
        self.jobs.pop_front()
    }
}

struct Timer {
    due: Instant,
    /// In the order they were set, when due together.
    number: u64,
    job: Job,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl Lane {
    const fn new(name: &'static str, threads_max: usize) -> Self {
        Self {
            name,
            threads_max,
            work: Mutex::new(Work {
                process: 0,
                threads: 0,
                idle: 0,
                jobs: VecDeque::new(),
                timers: BinaryHeap::new(),
                next_timer: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Runs a job on one of the lane's threads, behind those already there.
    pub(crate) fn submit(&'static self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        self.add(|work| work.jobs.push_back(Box::new(job)))
    }

    /// Runs a job after a delay; after a year at the latest.
    pub(crate) fn after(&'static self, delay: Duration, job: impl FnOnce() + Send + 'static) -> Result<()> {
        let due = Instant::now() + delay.min(DELAY_MAX);
        self.add(|work| {
            work.next_timer += 1;
            work.timers.push(Reverse(Timer { due, number: work.next_timer, job: Box::new(job) }));
        })
    }

    fn add(&'static self, add: impl FnOnce(&mut Work)) -> Result<()> {
        let mut work = locked(&self.work);
        let current = std::process::id();
        if work.process != current {
            // The first use, or we are a fork: what was there belongs to journals of the parent.
            work.jobs.clear();
            work.timers.clear();
            (work.process, work.threads, work.idle) = (current, 0, 0);
        }
        if work.threads == 0 {
            self.spawn(&mut work)?;
        }
        add(&mut work);
        self.staff(&mut work);
        drop(work);
        // Each idle thread waits for the first timer it has seen.
        self.changed.notify_all();
        Ok(())
    }

    /// Starts another thread if one is missing. Without it those there are come to it later.
    fn staff(&'static self, work: &mut Work) {
        if work.needs_thread(self.threads_max)
            && let Err(error) = self.spawn(work)
        {
            tracing::warn!(%error, "the journal service goes on with the threads it has");
        }
    }

    fn spawn(&'static self, work: &mut Work) -> Result<()> {
        thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || self.run())
            .map_err(|source| Error::Thread { source })?;
        work.threads += 1;
        work.idle += 1;
        Ok(())
    }

    /// A thread; it is idle when it begins.
    fn run(&'static self) {
        let mut work = locked(&self.work);
        let mut idle_since = Instant::now();
        loop {
            let now = Instant::now();
            if let Some(job) = work.take(now) {
                work.idle -= 1;
                self.staff(&mut work);
                drop(work);
                // A job that panics has poisoned its own journal; the others go on.
                let _ = catch_unwind(AssertUnwindSafe(job));
                work = locked(&self.work);
                work.idle += 1;
                idle_since = Instant::now();
                continue;
            }
            let end = idle_since + IDLE;
            let due = work.timers.peek().map(|Reverse(timer)| timer.due);
            let dispensable = due.is_none() || work.idle > 1;
            if dispensable && end <= now {
                work.threads -= 1;
                work.idle -= 1;
                return;
            }
            let wake = if dispensable { due.map_or(end, |due| due.min(end)) } else { due.unwrap_or(end) };
            let wait = wake.saturating_duration_since(now);
            (work, _) = self.changed.wait_timeout(work, wait).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a journal asks of the pool.
impl Shared {
    /// Has the pool write the groups up to this one. Its job is another one than that for syncs, which may be waiting for the disk.
    pub(crate) fn ask_to_write(&self, state: &mut State, group: u64) {
        state.asked.write_group = state.asked.write_group.max(group);
        if !state.asked.write_scheduled {
            state.asked.write_scheduled = self.submit(Self::write_asked);
        }
    }

    /// Has the pool write the groups up to this one, and sync them.
    pub(crate) fn ask_to_sync(&self, state: &mut State, group: u64) {
        state.asked.sync_group = state.asked.sync_group.max(group);
        if !state.asked.sync_scheduled {
            state.asked.sync_scheduled = self.submit(Self::sync_asked);
        }
    }

    fn submit(&self, work: fn(&Self)) -> bool {
        // Whoever waits next does the work instead.
        COMMITS
            .submit(job(&self.this, work))
            .inspect_err(|error| tracing::error!(%error, "journal service unavailable"))
            .is_ok()
    }

    /// Writes what was asked for. Others may do it meanwhile: that counts, so that it ends under any load.
    fn write_asked(&self) {
        let mut state = self.state();
        while state.over.is_none() && state.written_group < state.asked.write_group {
            state = self.write_or_wait(state);
        }
        state.asked.write_scheduled = false;
    }

    /// As [`Shared::write_asked`], for syncs.
    fn sync_asked(&self) {
        let mut state = self.state();
        while state.over.is_none() && state.synced_group < state.asked.sync_group {
            state = if state.written_group < state.asked.sync_group {
                self.write_or_wait(state)
            } else if state.syncing {
                wait_on(self.progress(), state)
            } else {
                self.lead_sync(state)
            };
        }
        state.asked.sync_scheduled = false;
    }

    fn write_or_wait<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        if state.can_write() { self.lead_write(state) } else { wait_on(self.progress(), state) }
    }

    /// Sees to it that entries nobody waits for are written soon.
    pub(crate) fn arm_flush_timer(&self, state: &mut State) -> Result<()> {
        COMMITS.after(FLUSH_DELAY, job(&self.this, Self::flush))?;
        state.asked.flush_timer = true;
        Ok(())
    }

    fn flush(&self) {
        let mut state = self.state();
        state.asked.flush_timer = false;
        if state.over.is_some() || state.queue.is_empty() {
            return;
        }
        state.asked.write_group = state.queued_group;
        if !state.asked.write_scheduled {
            state.asked.write_scheduled = true;
            drop(state);
            self.write_asked();
        }
    }

    /// Asks for a sync of what is written, unless one runs: it need not be soon.
    pub(crate) fn sync_early(&self) {
        let mut state = self.state();
        if !self.pooled() || state.syncing || state.asked.early_sync {
            return;
        }
        // Without a thread rotation syncs it all.
        state.asked.early_sync = COMMITS.submit(job(&self.this, Self::run_early_sync)).is_ok();
    }

    fn run_early_sync(&self) {
        let mut state = self.state();
        state.asked.early_sync = false;
        if !state.syncing {
            drop(self.lead_sync(state));
        }
    }

    /// Under the interval policy: sees to it that what is written is synced after the interval.
    pub(crate) fn arm_sync_timer(&self, state: &mut State) {
        let SyncPolicy::Interval(interval) = self.options.sync_policy else { return };
        if state.asked.sync_timer || state.synced.sequence == state.written.sequence {
            return;
        }
        match COMMITS.after(interval, job(&self.this, Self::sync_on_time)) {
            Ok(()) => state.asked.sync_timer = true,
            Err(error) => tracing::error!(%error, "journal service unavailable"),
        }
    }

    fn sync_on_time(&self) {
        let mut state: Guard<'_> = self.state();
        state.asked.sync_timer = false;
        if !state.syncing {
            state = self.lead_sync(state);
        }
        // Entries that were written meanwhile wait for the next interval.
        self.arm_sync_timer(&mut state);
    }
}

/// A job that does nothing once its journal is gone.
pub(crate) fn job(journal: &Weak<Shared>, run: fn(&Shared)) -> impl FnOnce() + Send + 'static {
    let journal = Weak::clone(journal);
    move || {
        if let Some(journal) = journal.upgrade() {
            run(&journal);
        }
    }
}
