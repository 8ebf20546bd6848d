//! Sealing the segments that were left, beside the writer: whose turn it is says [`SealQueue`](crate::seal_queue::SealQueue).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::LeftSegment;
use crate::core::{Point, Shared, State, wait_on};
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::seal::{self, ReadySegment, SealOrder, SealedSegment};
use crate::seal_queue::Step;
use crate::service::{SEALS, job};
use crate::ticket::Level;

/// How long until sealing is tried again after it failed: doubled up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

impl Shared {
    /// Called by the committer with a synced segment of so many bytes. Waits while too many are waiting. Sealing begins once the writer is through, or when
    /// half of what may wait does: the processors belong to a burst first.
    pub(crate) fn hand_over(&self, order: SealOrder, bytes: u64) -> Result<(), Failure> {
        let mut state = self.state();
        while state.to_seal.len() >= self.options.waiting_segments_max {
            if !self.pooled() {
                drop(state);
                self.drain();
                state = self.state();
                if state.to_seal.is_empty() {
                    break;
                }
            }
            if let Some(source) = &state.seal_error {
                return Err(Failure::Backlog { waiting: state.to_seal.len(), source: Arc::clone(source) });
            }
            state = wait_on(self.progress(), state);
        }
        self.count_left(&mut state, LeftSegment { last_sequence: order.last_sequence, bytes });
        state.to_seal.push(order);
        self.metrics.journal.segments_waiting.set(state.to_seal.len() as u64);
        if !self.pooled() {
            drop(state);
            self.drain();
            return Ok(());
        }
        if state.seal_error.is_none()
            && state.to_seal.len() >= self.options.deferred_segments_max()
            && let Err(error) = self.call_sealer(&mut state)
        {
            state.seal_error = Some(Arc::new(error));
        }
        Ok(())
    }

    /// Called when the write role is given back: begins with what waits to be sealed, unless the writer goes on at once.
    pub(crate) fn seal_behind_writer(&self, state: &mut State) {
        if self.pooled()
            && !state.is_burst()
            && state.seal_error.is_none()
            && state.to_seal.wants_another()
            && let Err(error) = self.call_sealer(state)
        {
            state.seal_error = Some(Arc::new(error));
        }
    }

    /// Has another thread look for something to seal, unless one is on its way.
    fn call_sealer(&self, state: &mut State) -> Result<()> {
        if !state.asked.seal_scheduled {
            SEALS.submit(job(&self.this, Self::drain))?;
            state.asked.seal_scheduled = true;
        }
        Ok(())
    }

    /// Seals what waits, beside others who do, until nothing is left to begin or it fails.
    pub(crate) fn drain(&self) {
        let mut state = self.state();
        state.asked.seal_scheduled = false;
        self.check_process(&mut state);
        if state.foreign {
            return;
        }
        // The first step may be one that has failed before; after that, only time or another caller tries it again.
        let mut again = true;
        while let Some(step) = state.to_seal.begin(again) {
            again &= !matches!(step, Step::Compress(_));
            if self.pooled() && state.to_seal.wants_another() {
                // Without another thread this one comes to it.
                let _ = self.call_sealer(&mut state);
            }
            drop(state);
            let first_sequence = step.first_sequence();
            let role = Sealing { shared: self, first_sequence };
            let result = self.take_step(step);
            // The role is given back together with the result, so that nobody seals the same segment again in between.
            role.done();
            state = self.state();
            match result {
                Ok(Done::Compressed(ready)) => state.to_seal.ready(ready),
                Ok(Done::Discarded) => state.to_seal.put_back(first_sequence),
                Ok(Done::Published(sealed)) => self.note_sealed(&mut state, sealed),
                Err(error) => {
                    if !self.note_failed(&mut state, first_sequence, error) {
                        // It waits until it is in front: whoever is busy with the one there comes to it then.
                        return;
                    }
                }
            }
            // Whoever waits for the threads to end, or for a failure, looks again.
            self.progress().notify_all();
        }
    }

    fn take_step(&self, step: Step) -> Result<Done> {
        let (fs, dir) = (&*self.dir.fs, &self.dir.path);
        match step {
            Step::Compress(order) => seal::compress(fs, dir, &self.form, &order).map(Done::Compressed),
            Step::Publish(ready) => {
                let started = Instant::now();
                seal::publish(fs, dir, &ready)?;
                self.metrics.journal.seal_seconds.observe(ready.spent + started.elapsed());
                Ok(Done::Published(ready.sealed))
            }
            Step::Discard(ready) => {
                seal::discard(fs, &ready);
                Ok(Done::Discarded)
            }
        }
    }

    fn note_sealed(&self, state: &mut State, sealed: SealedSegment) {
        state.to_seal.published(sealed.first_sequence);
        let segment = LeftSegment { last_sequence: sealed.last_sequence, bytes: sealed.file_bytes };
        self.count_sealed(state, segment);
        self.metrics.journal.segments_sealed.inc();
        self.metrics.journal.sealed_sequence.set(sealed.last_sequence);
        self.metrics.journal.segments_waiting.set(state.to_seal.len() as u64);
        tracing::debug!(
            first_sequence = sealed.first_sequence,
            last_sequence = sealed.last_sequence,
            file_bytes = sealed.file_bytes,
            "segment sealed"
        );
        state.sealed = Point { sequence: sealed.last_sequence, chain_hash: sealed.chain_hash };
        state.newest_sealed = Some(sealed);
        state.seal_error = None;
        state.asked.seal_failures = 0;
        self.announce(state, Level::Sealed);
    }

    /// Returns whether the failure counts.
    fn note_failed(&self, state: &mut State, first_sequence: u64, error: Error) -> bool {
        let counts = state.to_seal.failed(first_sequence);
        if !counts {
            tracing::warn!(%error, first_sequence, "sealing ahead failed");
            self.progress().notify_all();
            return false;
        }
        tracing::error!(%error, first_sequence, "sealing failed");
        state.seal_error = Some(Arc::new(error));
        let failures = state.asked.seal_failures;
        state.asked.seal_failures = failures.saturating_add(1);
        if self.pooled() && state.over.is_none() {
            let delay = RETRY_FIRST.saturating_mul(1 << failures.min(10)).min(RETRY_MAX);
            // Without a thread the next rotation or `seal` tries again.
            state.asked.seal_scheduled = SEALS.after(delay, job(&self.this, Self::drain)).is_ok();
        }
        self.announce(state, Level::Sealed);
        true
    }

    /// Waits until everything up to `sequence` is sealed, trying again if the last attempt failed.
    pub(crate) fn wait_sealed(&self, sequence: u64) -> Result<Option<SealedSegment>> {
        // This thread would only wait: it does its share of the work itself.
        self.drain();
        let mut state = self.state();
        loop {
            if state.sealed.sequence >= sequence {
                return Ok(state.newest_sealed.clone());
            }
            if state.to_seal.is_idle() {
                if let Some(error) = &state.seal_error {
                    return Err(Error::Shared(Arc::clone(error)));
                }
                if let Some(over) = state.over.as_ref().filter(|_| state.to_seal.is_stopped()) {
                    return Err(over.unresolved());
                }
                drop(state);
                self.drain();
                state = self.state();
                continue;
            }
            state = wait_on(self.progress(), state);
        }
    }

    /// Stops sealing: nothing of this journal touches the directory when this returns.
    pub(crate) fn stop_sealing(&self) {
        let mut state = self.state();
        state.to_seal.stop();
        while !state.to_seal.is_idle() {
            state = wait_on(self.progress(), state);
        }
        state.to_seal.clear();
    }
}

/// What came of a step.
enum Done {
    Compressed(ReadySegment),
    Published(SealedSegment),
    Discarded,
}

/// Gives the step back after a panic.
struct Sealing<'a> {
    shared: &'a Shared,
    first_sequence: u64,
}

impl Sealing<'_> {
    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Sealing<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.to_seal.put_back(self.first_sequence);
        self.shared.finish(&mut state, Failure::poison(Error::Panicked));
        // The journal may have been over before.
        self.shared.announce(&mut state, Level::Sealed);
    }
}
