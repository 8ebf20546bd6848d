//! Whoever waits for *written* or *synced* does the work himself where nobody does.

use std::ops::RangeInclusive;
use std::sync::PoisonError;
use std::task::Waker;

use super::{Guard, Shared, State, wait_on};
use crate::error::Result;
use crate::failure::Failure;
use crate::options::SyncPolicy;
use crate::queue::Group;
use crate::sync::Instant;
use crate::ticket::{Ack, Level};

impl Shared {
    /// What became of a ticket's entries, if it is known whether they have reached `ack`.
    pub(crate) fn resolve(
        state: &State,
        group: &Group,
        index: usize,
        count: usize,
        ack: Ack,
    ) -> Option<Result<RangeInclusive<u64>>> {
        let Some(outcome) = group.outcome.get() else {
            let over = state.over.as_ref().filter(|_| state.foreign)?;
            return Some(Err(over.unresolved()));
        };
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
                Ack::Synced if timed => self.wait_for_others(state, deadline)?,
                // While a sync runs it is better to collect than to write: the next one then covers more.
                Ack::Synced if queued && state.can_write() && !state.syncing => self.lead_write_only(state),
                Ack::Synced if !queued && !state.syncing => self.lead_sync(state),
                _ => self.wait_for_others(state, deadline)?,
            };
        }
    }

    /// Waits for progress that another thread makes. A fork has no other threads: its journal ends instead.
    fn wait_for_others<'a>(&'a self, mut state: Guard<'a>, deadline: Option<Instant>) -> Option<Guard<'a>> {
        self.check_process(&mut state);
        if state.foreign { Some(state) } else { self.wait_progress(state, deadline) }
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
}
