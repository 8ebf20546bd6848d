//! Whether what is journaled gets away, as a state machine without I/O and without a clock of its own.
//!
//! ```text
//!                 the store fails for as many looks,
//!                    or for as long, as is allowed
//!       ┌─────────┐ ─────────────────────────────────► ┌──────────┐
//!   ──► │ healthy │                                    │ degraded │
//!       └─────────┘ ◄───────────────────────────────── └──────────┘
//!         │     ▲             a look succeeds            │      ▲
//!         │     │                                        │      │
//!    budget     │ room, and            ┌──────┐     budget      │ room, but the
//!    reached    └─────────────────────── │ full │ ◄───────┘      │ store still fails
//!         └────────────────────────────► └──────┘ ──────────────┘
//!                 the store answers
//! ```
//!
//! *Full* is about the journal's budget ([`held_bytes_max`](graphstream_journal::JournalOptions::held_bytes_max)): appends wait or fail.
//! It comes before the store's own failures, and it may come without them, when the store is slow or another cursor stands still.

use std::time::Duration;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum OutageState {
    /// What is sealed is shipped.
    #[default]
    Healthy,
    /// The store fails. Entries are appended and *synced* as always, and pile up on disk.
    Degraded,
    /// The journal's disk budget is exhausted: appends wait or fail.
    Full,
}

impl OutageState {
    /// Its name in messages and JSON: `healthy`, `degraded` or `full`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Full => "full",
        }
    }

    /// Its number in the metric `graphstream_leader_outage_state`.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Full => 2,
        }
    }
}

impl std::fmt::Display for OutageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the machine is told. Times are since the same moment, and don't go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutageEvent {
    /// A look at the journal was shipped, or had nothing to ship.
    Answered,
    /// A look that began then was ended by the store.
    Failed {
        /// When it began.
        began: Duration,
    },
    /// The budget is exhausted, or is not.
    Budget {
        /// Whether it is.
        full: bool,
    },
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutageTransition {
    /// The state before.
    pub from: OutageState,
    /// The state now.
    pub to: OutageState,
    /// How long it was in the state before.
    pub lasted: Duration,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    failures_max: u32,
    failing_max: Duration,
    state: OutageState,
    since: Duration,
    failures: u32,
    failing_since: Option<Duration>,
    full: bool,
}

impl Outage {
    /// Healthy. It is degraded by so many failed looks in a row, or once the first of them began so long ago.
    #[must_use]
    pub const fn new(failures_max: u32, failing_max: Duration) -> Self {
        Self {
            failures_max,
            failing_max,
            state: OutageState::Healthy,
            since: Duration::ZERO,
            failures: 0,
            failing_since: None,
            full: false,
        }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> OutageState {
        self.state
    }

    /// How long it has been in its state at `at`.
    #[must_use]
    pub const fn lasts(&self, at: Duration) -> Duration {
        at.saturating_sub(self.since)
    }

    /// What has changed from an earlier state of this machine to now, at `at`, as one transition.
    #[must_use]
    pub(crate) fn change_from(&self, earlier: &Self, at: Duration) -> Option<OutageTransition> {
        let (from, to) = (earlier.state, self.state);
        (from != to).then(|| OutageTransition { from, to, lasted: earlier.lasts(at) })
    }

    /// Looks that have failed in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Something has happened at `at`.
    pub fn step(&mut self, at: Duration, event: OutageEvent) -> Option<OutageTransition> {
        match event {
            OutageEvent::Answered => (self.failures, self.failing_since) = (0, None),
            OutageEvent::Failed { began } => {
                self.failures = self.failures.saturating_add(1);
                self.failing_since.get_or_insert(began);
            }
            OutageEvent::Budget { full } => self.full = full,
        }
        let failing = self.failing_since.is_some_and(|since| at.saturating_sub(since) >= self.failing_max);
        let degraded = failing || (self.failures > 0 && self.failures >= self.failures_max);
        let to = match (self.full, degraded) {
            (true, _) => OutageState::Full,
            (false, true) => OutageState::Degraded,
            (false, false) => OutageState::Healthy,
        };
        if to == self.state {
            return None;
        }
        let transition = OutageTransition { from: self.state, to, lasted: at.saturating_sub(self.since) };
        (self.state, self.since) = (to, at);
        Some(transition)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::OutageEvent::{Answered, Budget, Failed};
    use super::OutageState::{Degraded, Full, Healthy};
    use super::*;

    const FULL: OutageEvent = Budget { full: true };
    const ROOM: OutageEvent = Budget { full: false };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failed(began: u64) -> OutageEvent {
        Failed { began: seconds(began) }
    }

    /// Each row: what happened before, what happens, and the states between which that leads.
    #[test]
    fn every_transition() {
        let three = || vec![(1, failed(1)), (2, failed(2)), (3, failed(3))];
        let with = |mut events: Vec<(u64, OutageEvent)>, more: &[(u64, OutageEvent)]| {
            events.extend_from_slice(more);
            events
        };
        let rows = [
            (vec![], (1, Answered), Healthy, Healthy),
            (vec![], (1, failed(0)), Healthy, Healthy),
            (vec![], (1, ROOM), Healthy, Healthy),
            (vec![], (1, FULL), Healthy, Full),
            (vec![(1, failed(1)), (2, failed(2))], (3, failed(3)), Healthy, Degraded),
            (vec![(1, failed(1)), (2, failed(2)), (3, Answered)], (4, failed(4)), Healthy, Healthy),
            // One look that took so long, or one long after the first.
            (vec![], (30, failed(0)), Healthy, Degraded),
            (vec![(1, failed(0))], (30, failed(29)), Healthy, Degraded),
            (vec![(1, failed(0))], (29, failed(29)), Healthy, Healthy),
            (three(), (4, failed(4)), Degraded, Degraded),
            (three(), (4, ROOM), Degraded, Degraded),
            (three(), (4, FULL), Degraded, Full),
            (three(), (4, Answered), Degraded, Healthy),
            (vec![(1, FULL)], (2, FULL), Full, Full),
            (vec![(1, FULL)], (2, ROOM), Full, Healthy),
            (vec![(1, FULL)], (2, failed(2)), Full, Full),
            (with(three(), &[(4, FULL)]), (5, Answered), Full, Full),
            (with(three(), &[(4, FULL)]), (5, ROOM), Full, Degraded),
            (with(three(), &[(4, FULL), (5, Answered)]), (6, ROOM), Full, Healthy),
            (vec![(1, FULL), (2, failed(2)), (3, failed(3)), (4, failed(4))], (5, ROOM), Full, Degraded),
        ];
        for (before, (at, event), from, to) in rows {
            let mut outage = Outage::new(3, seconds(30));
            let mut since = Duration::ZERO;
            for (at, event) in &before {
                if outage.step(seconds(*at), *event).is_some() {
                    since = seconds(*at);
                }
            }
            assert_eq!(outage.state(), from, "after {before:?}");
            let transition = outage.step(seconds(at), event);
            let expected = (from != to).then(|| OutageTransition { from, to, lasted: seconds(at) - since });
            assert_eq!(transition, expected, "{event:?} after {before:?}");
            assert_eq!(outage.state(), to, "{event:?} after {before:?}");
        }
    }

    proptest! {
        /// Whatever happens: full is exactly while the budget is, the time in all states adds up, an answer and room make it healthy.
        #[test]
        fn the_state_follows_from_what_was_last_heard(
            events in vec((0..10_u64, prop_oneof![Just(Answered), Just(failed(0)), Just(FULL), Just(ROOM)]), 0..80)
        ) {
            let mut outage = Outage::new(3, seconds(30));
            let (mut now, mut full, mut failures) = (0, false, 0);
            let (mut lasted, mut state, mut changed) = (Duration::ZERO, Healthy, 0);
            let mut first_failure = None;
            for (pause, event) in events {
                now += pause;
                let event = match event {
                    Failed { .. } => failed(now),
                    other => other,
                };
                match event {
                    Answered => (failures, first_failure) = (0, None),
                    Failed { .. } => {
                        failures += 1;
                        first_failure.get_or_insert(now);
                    }
                    Budget { full: is } => full = is,
                }
                if let Some(transition) = outage.step(seconds(now), event) {
                    prop_assert_eq!(transition.from, state);
                    prop_assert_ne!(transition.from, transition.to);
                    state = transition.to;
                    lasted += transition.lasted;
                    changed = now;
                }
                prop_assert_eq!(outage.state(), state);
                prop_assert_eq!(outage.failures(), failures);
                prop_assert_eq!(lasted, seconds(changed));
                prop_assert_eq!(state == Full, full);
                let failing = failures >= 3 || first_failure.is_some_and(|first| now - first >= 30);
                prop_assert_eq!(state == Degraded, !full && failing);
            }
            outage.step(seconds(now), ROOM);
            outage.step(seconds(now), Answered);
            prop_assert_eq!(outage.state(), Healthy);
        }
    }
}
