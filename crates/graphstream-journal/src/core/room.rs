//! Appends wait, or fail, while cursors hold back as many bytes as they may.
//!
//! Only new entries are held up: what was accepted is written, synced and sealed, so that whoever ships can get on, and a journal can be
//! closed. Nobody watches the cursors in between: they are read at each rotation, when this process moves one, and while
//! the budget is exhausted by whoever appends, once a second at most.

use std::sync::PoisonError;
use std::time::Duration;

use super::{Guard, Shared, State, locked};
use crate::budget::{Budget, Held, LeftSegment};
use crate::error::{Error, Result};
use crate::options::{Service, WhenFull};
use crate::sync::Instant;

/// How often the cursors are read while appends are held up: another process may have moved one.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The budget of an open journal.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) budget: Budget,
    /// When the cursors were last read.
    looked: Instant,
    /// As last told.
    full: bool,
}

impl Room {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, looked: Instant::now(), full: false }
    }
}

impl Shared {
    /// Goes on once something may be appended. With [`WhenFull::Fail`] it says that nothing may.
    pub(super) fn make_room<'a>(&'a self, mut state: Guard<'a>, when_full: WhenFull) -> Result<Guard<'a>> {
        // Inline every run does the same steps: one look before each wait or refusal, whatever the time is.
        let mut looks = true;
        loop {
            if let Some(over) = &state.over {
                return Err(over.not_written());
            }
            if state.closing {
                return Err(Error::Closed);
            }
            let Some(refusal) = state.room.as_ref().and_then(|room| room.budget.refusal()) else {
                return Ok(state);
            };
            self.check_process(&mut state);
            let left = state.room.as_mut().map_or(Duration::ZERO, |room| {
                let left = match self.options.service {
                    Service::Inline if std::mem::take(&mut looks) => Duration::ZERO,
                    Service::Inline => LOOK_INTERVAL,
                    Service::Pool => LOOK_INTERVAL.saturating_sub(room.looked.elapsed()),
                };
                if left.is_zero() {
                    // The others wait for what this one finds.
                    room.looked = Instant::now();
                }
                left
            });
            if state.foreign {
                continue;
            }
            if left.is_zero() {
                drop(state);
                if let Err(error) = self.look_at_cursors() {
                    tracing::warn!(%error, "the cursors that hold up appends can't be read");
                }
                self.look_for_fence();
                state = self.state();
                continue;
            }
            if when_full == WhenFull::Fail {
                return Err(refusal);
            }
            (state, _) = self.space.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            looks = true;
        }
    }

    /// A fence is looked for at each rotation, and now there is none.
    fn look_for_fence(&self) {
        match self.dir.fenced() {
            Ok(None) => {}
            Ok(Some(_)) => {
                let state = self.write_turn(self.state());
                drop(self.write_role(state, false, |committer, _| committer.check_fenced()));
            }
            Err(error) => tracing::warn!(%error, "whether another leader has taken over can't be read"),
        }
    }

    /// Reads the cursors, and no longer counts what the slowest has passed.
    pub(crate) fn look_at_cursors(&self) -> Result<()> {
        if self.options.held_bytes_max.is_none() {
            return Ok(());
        }
        // An older answer must not follow a newer one.
        let _looking = locked(&self.looking);
        let slowest = self.dir.slowest_cursor()?;
        let covered = |slowest| self.state().room.as_ref().is_none_or(|room| room.budget.covers(slowest));
        let found = match &slowest {
            Some(slowest) if !covered(slowest) => self.dir.left_beyond(slowest.sequence)?,
            _ => Vec::new(),
        };
        let mut state = self.state();
        if let Some(room) = &mut state.room {
            room.budget.moved(slowest, found);
            room.looked = Instant::now();
        }
        self.tell_held(&mut state);
        Ok(())
    }

    /// The writer has left a segment of this size.
    pub(crate) fn count_left(&self, state: &mut State, segment: LeftSegment) {
        if let Some(room) = &mut state.room {
            room.budget.left(segment);
            self.tell_held(state);
        }
    }

    /// A segment has another size since it is sealed.
    pub(crate) fn count_sealed(&self, state: &mut State, segment: LeftSegment) {
        if let Some(room) = &mut state.room {
            room.budget.sealed(segment);
            self.tell_held(state);
        }
    }

    fn tell_held(&self, state: &mut State) {
        let Some(room) = &mut state.room else { return };
        let (held, full) = (room.budget.held(), room.budget.is_full());
        self.metrics.journal.held_bytes.set(held.bytes);
        if full == room.full {
            return;
        }
        room.full = full;
        let (held, held_max) = (held.bytes, self.options.held_bytes_max);
        if full {
            self.metrics.journal.budget_exhaustions.inc();
            tracing::warn!(held, held_max, "cursors hold back what they may: appends are held up");
        } else {
            tracing::info!(held, held_max, "appends go on");
            self.space.notify_all();
        }
    }

    /// What cursors hold back; `None` without a budget.
    pub(crate) fn held(&self) -> Option<Held> {
        self.state().room.as_ref().map(|room| room.budget.held())
    }

    /// Says why nothing may be appended now, whatever the policy.
    pub(crate) fn check_room(&self) -> Result<()> {
        self.make_room(self.state(), WhenFull::Fail).map(drop)
    }
}
