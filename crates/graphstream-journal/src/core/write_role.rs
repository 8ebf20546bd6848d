//! The write role: one thread at a time writes what is queued, and leaves the open segment.

use std::sync::Arc;
use std::time::Duration;

use super::role::Role;
use super::{Guard, Point, Shared, locked, wait_on};
use crate::committer::{Committer, Tail};
use crate::error::Result;
use crate::failure::Failure;
use crate::open_segment::OpenFile;
use crate::options::SyncPolicy;
use crate::queue::{Outcome, Queue};
use crate::sabotage;
use crate::sync::thread;
use crate::ticket::Level;

/// How often a writer lets the other threads run before it takes what they have appended.
const COLLECTING_MAX: usize = 3;

impl Shared {
    /// Writes what is queued, and sees to its sync as the policy says. The caller has seen that the role is free.
    pub(crate) fn lead_write<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        let mut state = self.lead_write_only(state);
        if state.over.is_none() && state.written.sequence > state.synced.sequence {
            match self.options.sync_policy {
                SyncPolicy::Always if self.pooled() => {
                    let group = state.written_group;
                    self.ask_to_sync(&mut state, group);
                }
                SyncPolicy::Always if !state.syncing => state = self.lead_sync(state),
                _ => {}
            }
        }
        state
    }

    /// Writes what is queued and leaves the sync to the caller.
    pub(super) fn lead_write_only<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        // The tickets of the group carry the failure.
        self.write_role(state, false, |_, _| Ok(())).0
    }

    /// As [`Shared::lead_write_only`], for a caller that syncs next, or calls others who do: what the producers that were just
    /// answered are about to append is written with it.
    pub(super) fn lead_write_to_sync<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        if state.over.is_none() {
            state.writing = true;
            for _ in 0..COLLECTING_MAX {
                if state.queue.items.len() >= state.sleepers.answered {
                    break;
                }
                drop(state);
                thread::yield_now();
                state = self.state();
            }
            state.writing = false;
            if state.over.is_some() {
                // Whoever ended the journal meanwhile waits for the role.
                self.progress.notify_all();
            }
        }
        self.write_role(state, true, |_, _| Ok(())).0
    }

    /// Holds the write role for one group and for what is to be done behind it.
    pub(super) fn write_role<'a>(
        &'a self,
        mut state: Guard<'a>,
        syncs_next: bool,
        then: impl FnOnce(&mut Committer, &Self) -> Result<(), Failure>,
    ) -> (Guard<'a>, Option<Failure>) {
        self.check_process(&mut state);
        if let Some(over) = &state.over {
            let over = over.clone();
            return (state, Some(over));
        }
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
        } else if sabotage::is("a_good_group_clears_poison") {
            state.over = None;
        }
        state.spare = Some(taken.recycle(self.options.queue_bytes_max.min(1 << 20)));
        state.writing = false;
        self.seal_behind_writer(&mut state);
        state.written_group = number;
        if let (SyncPolicy::Interval(_), true) = (self.options.sync_policy, self.pooled()) {
            self.arm_sync_timer(&mut state);
        }
        self.arm_age_timer(&mut state, Duration::ZERO);
        self.announce(&mut state, Level::Written);
        (self.call(state, syncs_next), failure)
    }

    fn count_group(&self, taken: &Queue, outcome: &Outcome) {
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

    /// Writes what is queued, syncs, and leaves the open segment to sealing. Returns the last sequence that will be sealed.
    pub(crate) fn rotate(&self) -> Result<u64> {
        let state = self.write_turn(self.state());
        let mut last = 0;
        let (state, failure) = self.write_role(state, false, |committer, host| {
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
    pub(super) fn write_turn<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        self.check_process(&mut state);
        state.write_turns += 1;
        while state.writing && !state.foreign {
            state = wait_on(&self.progress, state);
        }
        state.write_turns -= 1;
        // Those who held back look again once the state is free.
        self.progress.notify_all();
        self.space.notify_all();
        self.call_locked(&mut state);
        state
    }

    pub(crate) fn raise_commit_floor(&self, commit_ms: i64) {
        let state = self.write_turn(self.state());
        if state.over.is_none() {
            // Nobody takes the write role while the state is locked.
            locked(&self.committer).raise_commit_floor(commit_ms);
        }
        drop(state);
    }
}
