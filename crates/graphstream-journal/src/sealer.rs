//! The sealing role: takes the segments that were left, in order, one at a time, beside the writer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::{Point, Shared, wait_on};
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::seal::{SealOrder, SealedSegment, seal};
use crate::service::{SEALS, job};
use crate::ticket::Level;

/// How long until sealing is tried again after it failed: doubled up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

impl Shared {
    /// Called by the committer with a synced segment. Waits while too many are waiting.
    pub(crate) fn hand_over(&self, order: SealOrder) -> Result<(), Failure> {
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
        state.to_seal.push_back(order);
        self.metrics.journal.segments_waiting.set(state.to_seal.len() as u64);
        if !self.pooled() {
            drop(state);
            self.drain();
            return Ok(());
        }
        if !state.asked.seal_scheduled && state.seal_error.is_none() {
            match SEALS.submit(job(&self.this, Self::drain)) {
                Ok(()) => state.asked.seal_scheduled = true,
                Err(error) => state.seal_error = Some(Arc::new(error)),
            }
        }
        Ok(())
    }

    /// Seals what waits, until nothing does or it fails.
    pub(crate) fn drain(&self) {
        let mut state = self.state();
        state.asked.seal_scheduled = false;
        self.check_process(&mut state);
        if state.sealing || state.foreign {
            return;
        }
        while let Some(order) = state.to_seal.front().cloned() {
            state.sealing = true;
            drop(state);
            let role = Sealing(self);
            let started = Instant::now();
            let result = seal(&*self.dir.fs, &self.dir.path, &self.form, &order);
            // The role is given back together with the result, so that nobody seals the same segment again in between.
            role.done();
            state = self.state();
            state.sealing = false;
            match result {
                Ok(sealed) => {
                    self.metrics.journal.segments_sealed.inc();
                    self.metrics.journal.seal_seconds.observe(started.elapsed());
                    self.metrics.journal.sealed_sequence.set(sealed.last_sequence);
                    tracing::debug!(
                        first_sequence = sealed.first_sequence,
                        last_sequence = sealed.last_sequence,
                        file_bytes = sealed.file_bytes,
                        "segment sealed"
                    );
                    state.to_seal.pop_front();
                    self.metrics.journal.segments_waiting.set(state.to_seal.len() as u64);
                    state.sealed = Point { sequence: sealed.last_sequence, chain_hash: sealed.chain_hash };
                    state.newest_sealed = Some(sealed);
                    state.seal_error = None;
                    state.asked.seal_failures = 0;
                    self.announce(&mut state, Level::Sealed);
                }
                Err(error) => {
                    tracing::error!(error = %error, first_sequence = order.first_sequence, "sealing failed");
                    state.seal_error = Some(Arc::new(error));
                    let failures = state.asked.seal_failures;
                    state.asked.seal_failures = failures.saturating_add(1);
                    if self.pooled() && state.over.is_none() {
                        let delay = RETRY_FIRST.saturating_mul(1 << failures.min(10)).min(RETRY_MAX);
                        // Without a thread the next rotation or `seal` tries again.
                        state.asked.seal_scheduled = SEALS.after(delay, job(&self.this, Self::drain)).is_ok();
                    }
                    self.announce(&mut state, Level::Sealed);
                    return;
                }
            }
        }
    }

    /// Waits until everything up to `sequence` is sealed, trying again if the last attempt failed.
    pub(crate) fn wait_sealed(&self, sequence: u64) -> Result<Option<SealedSegment>> {
        // This thread would only wait: it does the work itself.
        self.drain();
        let mut state = self.state();
        loop {
            if state.sealed.sequence >= sequence {
                return Ok(state.newest_sealed.clone());
            }
            if !state.sealing {
                if let Some(error) = &state.seal_error {
                    return Err(Error::Shared(Arc::clone(error)));
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
        state.to_seal.clear();
        while state.sealing {
            state = wait_on(self.progress(), state);
        }
    }
}

/// Gives the role back after a panic.
struct Sealing<'a>(&'a Shared);

impl Sealing<'_> {
    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Sealing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.sealing = false;
        self.0.finish(&mut state, Failure::poison(Error::Panicked));
    }
}
