//! The sync role: one thread at a time syncs what is written. One failure ends the journal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use graphstream_format::Position;

use super::role::Role;
use super::{Guard, Shared, wait_on};
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::sabotage;
use crate::ticket::Level;

impl Shared {
    /// Syncs what is written. The caller has seen that the role is free.
    pub(crate) fn lead_sync<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        self.check_process(&mut state);
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
        if sabotage::is("ack_before_sync") {
            (state.synced, state.synced_group) = (target, group);
        }
        drop(state);

        let role = Role { shared: self, group: None };
        let started = Instant::now();
        let mut result = open.file.sync_data();
        if sabotage::is("retry_a_failed_fsync") {
            result = result.or_else(|_| open.file.sync_data());
        }
        role.done();

        let mut state = self.state();
        state.syncing = false;
        match result {
            Ok(()) => {
                self.metrics.journal.syncs.inc();
                self.metrics.journal.sync_seconds.observe(started.elapsed());
                let newest = state.open.as_ref().filter(|_| sabotage::is("durable_offset_at_return"));
                let end = newest.map_or(end, |(_, end)| *end);
                open.durable_offset.store(end, Ordering::Release);
                state.synced = target;
                state.synced_group = state.synced_group.max(group);
                self.metrics.journal.synced_sequence.set(target.sequence);
                self.announce(&mut state, Level::Synced);
                state.sleepers.answered = 0;
                state = self.call(state, false);
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
        self.check_process(&mut state);
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
}
