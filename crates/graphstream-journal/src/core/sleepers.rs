//! Callers that wait for their tickets, each asleep by itself: a call wakes those it concerns and nobody else.
//!
//! ```text
//! caller --would only wait--> asleep --its entries got there--> answered: returns without taking the lock
//!                               ^ |
//!                               | +--a role is free and it can do that work--> looks: takes the role, or sleeps again
//!                               +----------------------------------------------+
//! ```
//!
//! No wake-up is lost, because whoever gives a role back, or leaves without taking the one he was woken for, calls the next
//! caller who could take it; and a caller only sleeps while a role it needs is held.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::{Arc, PoisonError};

use super::{Guard, Shared, State, locked};
use crate::error::Result;
use crate::queue::Group;
use crate::sync::{Condvar, Instant, Mutex};
use crate::ticket::Ack;

/// What a caller waits for: the entries of a ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) group: &'a Arc<Group>,
    pub(crate) index: usize,
    pub(crate) count: usize,
    pub(crate) ack: Ack,
}

impl Wanted<'_> {
    /// The entries' sequences, once they are written.
    pub(super) fn sequences(&self) -> Option<RangeInclusive<u64>> {
        let outcome = self.group.outcome.get()?;
        if self.index + self.count > outcome.written {
            return None;
        }
        let first = outcome.first_sequence + self.index as u64;
        Some(first..=first + (self.count as u64 - 1))
    }
}

/// What a ticket's holder is told.
pub(super) type Answer = Result<RangeInclusive<u64>>;

/// Callers asleep, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    asleep: Vec<Sleeper>,
    /// Taken from `asleep`, to be woken once the state is not locked.
    due: Vec<(Arc<Bell>, Call)>,
    /// How many were answered in one go the last time: about as many entries come back soon.
    pub(super) answered: usize,
}

#[derive(Debug)]
struct Sleeper {
    group: Arc<Group>,
    index: usize,
    count: usize,
    ack: Ack,
    /// Its policy leaves the work to the timer.
    timed: bool,
    bell: Arc<Bell>,
}

/// Why a caller is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Its entries have reached what it waits for.
    Reached,
    /// Something has changed that it has to see for itself.
    Look,
}

#[derive(Debug)]
struct Bell {
    call: Mutex<Option<Call>>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self, call: Call) {
        *locked(&self.call) = Some(call);
        self.rung.notify_all();
    }

    /// `None` after the deadline.
    fn wait(&self, deadline: Option<Instant>) -> Option<Call> {
        let mut call = locked(&self.call);
        loop {
            if call.is_some() {
                return *call;
            }
            call = match deadline {
                None => self.rung.wait(call).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left =
                        deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                    self.rung.wait_timeout(call, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Sleeper {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { group: &self.group, index: self.index, count: self.count, ack: self.ack }
    }
}

impl Shared {
    /// Sleeps until there is an answer or a role to take. The caller has seen that somebody holds a role it needs.
    pub(super) fn sleep<'a>(
        &'a self,
        mut state: Guard<'a>,
        wanted: Wanted<'_>,
        deadline: Option<Instant>,
    ) -> ControlFlow<Option<Answer>, Guard<'a>> {
        let bell = Arc::new(Bell { call: Mutex::new(None), rung: Condvar::new() });
        state.sleepers.asleep.push(Sleeper {
            group: Arc::clone(wanted.group),
            index: wanted.index,
            count: wanted.count,
            ack: wanted.ack,
            timed: wanted.ack == Ack::Synced && self.timed(),
            bell: Arc::clone(&bell),
        });
        drop(state);
        match bell.wait(deadline) {
            // Its sequences don't change any more: no need to look again.
            Some(Call::Reached) => match wanted.sequences() {
                Some(sequences) => ControlFlow::Break(Some(Ok(sequences))),
                None => ControlFlow::Continue(self.state()),
            },
            Some(Call::Look) => ControlFlow::Continue(self.state()),
            None => {
                let mut state = self.state();
                state.sleepers.asleep.retain(|sleeper| !Arc::ptr_eq(&sleeper.bell, &bell));
                // It may have been called for a role just now.
                drop(self.call(state, false));
                ControlFlow::Break(None)
            }
        }
    }

    /// Wakes who has an answer, and who could do what is to be done now. To be called by whoever gives a role back or does not
    /// take one that is free. A caller that `syncs_next` itself needs nobody for that.
    pub(super) fn call<'a>(&'a self, mut state: Guard<'a>, syncs_next: bool) -> Guard<'a> {
        self.find_due(&mut state, syncs_next);
        if state.sleepers.due.is_empty() {
            return state;
        }
        let mut due = std::mem::take(&mut state.sleepers.due);
        drop(state);
        for (bell, call) in due.drain(..) {
            bell.ring(call);
        }
        let mut state = self.state();
        if state.sleepers.due.is_empty() {
            // Its space is used again.
            state.sleepers.due = due;
        }
        state
    }

    /// As [`Shared::call`], for the rare caller that has to keep the state locked.
    pub(super) fn call_locked(&self, state: &mut State) {
        self.find_due(state, false);
        for (bell, call) in std::mem::take(&mut state.sleepers.due) {
            bell.ring(call);
        }
    }

    fn find_due(&self, state: &mut State, syncs_next: bool) {
        if state.foreign {
            // They are in the parent.
            state.sleepers.asleep.clear();
            return;
        }
        let mut sleepers = std::mem::take(&mut state.sleepers);
        // One for each role is enough: he does the work for all, or calls the next.
        let (mut writer, mut syncer) = (!state.can_write(), state.syncing || syncs_next);
        let mut answered = 0;
        sleepers.asleep.retain(|sleeper| {
            let call = match Self::resolve(state, sleeper.wanted()) {
                Some(Ok(_)) => {
                    answered += 1;
                    Call::Reached
                }
                Some(Err(_)) => Call::Look,
                None if sleeper.timed => return true,
                None => {
                    let queued = sleeper.group.outcome.get().is_none();
                    let role = match sleeper.ack {
                        Ack::Synced if !queued => &mut syncer,
                        // Who wants it synced collects while a sync runs.
                        Ack::Synced if state.syncing => return true,
                        _ => &mut writer,
                    };
                    if std::mem::replace(role, true) {
                        return true;
                    }
                    Call::Look
                }
            };
            sleepers.due.push((Arc::clone(&sleeper.bell), call));
            false
        });
        sleepers.answered += answered;
        state.sleepers = sleepers;
    }
}
