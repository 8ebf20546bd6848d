//! Whoever waits for *written* or *synced* does the work himself where nobody does.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::task::Waker;

use super::sleepers::Answer;
use super::{Guard, Shared, State, Wanted, wait_on};
use crate::failure::Failure;
use crate::options::SyncPolicy;
use crate::sync::Instant;
use crate::ticket::{Ack, Level};

impl Shared {
    /// What became of a ticket's entries, if it is known whether they have reached `ack`.
    pub(crate) fn resolve(state: &State, wanted: Wanted<'_>) -> Option<Answer> {
        let Wanted { group, index, ack, .. } = wanted;
        let Some(outcome) = group.outcome.get() else {
            let over = state.over.as_ref().filter(|_| state.foreign)?;
            return Some(Err(over.unresolved()));
        };
        let Some(sequences) = wanted.sequences() else {
            let failure = outcome.failure.clone().unwrap_or(Failure::Closed);
            let unresolved = index < outcome.attempted;
            return Some(Err(if unresolved { failure.unresolved() } else { failure.not_written() }));
        };
        match (ack, &state.over) {
            (Ack::Written, _) => Some(Ok(sequences)),
            (Ack::Synced, _) if *sequences.end() <= state.synced.sequence => Some(Ok(sequences)),
            (Ack::Synced, Some(over)) => Some(Err(over.unresolved())),
            (Ack::Synced, None) => None,
        }
    }

    /// Waits until a ticket's entries have reached what is wanted, doing the work itself where nobody does. `None` after the
    /// deadline.
    pub(crate) fn wait(&self, wanted: Wanted<'_>, deadline: Option<Instant>) -> Option<Answer> {
        let mut state = self.state();
        // Whether others count on this one: it was woken for a role, or has held one.
        let mut relied_on = false;
        loop {
            if let Some(result) = Self::resolve(&state, wanted) {
                if relied_on {
                    drop(self.call(state, false));
                }
                return Some(result);
            }
            let queued = wanted.group.outcome.get().is_none();
            relied_on = true;
            state = match wanted.ack {
                Ack::Written if state.can_write() => self.lead_write(state),
                Ack::Synced if !self.timed() && !state.syncing && !queued => self.lead_sync(state),
                // While a sync runs it is better to collect than to write: the next one then covers more.
                Ack::Synced if !self.timed() && !state.syncing && state.can_write() => {
                    self.lead_write_to_sync(state)
                }
                // Under the interval policy the timer writes and syncs.
                _ => match self.rest(state, wanted, deadline) {
                    ControlFlow::Continue(state) => state,
                    ControlFlow::Break(answer) => return answer,
                },
            };
        }
    }

    /// Under this policy a timer writes and syncs, and a caller only waits.
    pub(super) fn timed(&self) -> bool {
        self.pooled() && matches!(self.options.sync_policy, SyncPolicy::Interval(_))
    }

    /// Sleeps until another thread has done something. A fork has no other threads: its journal ends instead.
    fn rest<'a>(
        &'a self,
        mut state: Guard<'a>,
        wanted: Wanted<'_>,
        deadline: Option<Instant>,
    ) -> ControlFlow<Option<Answer>, Guard<'a>> {
        self.check_process(&mut state);
        if state.foreign { ControlFlow::Continue(state) } else { self.sleep(state, wanted, deadline) }
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
