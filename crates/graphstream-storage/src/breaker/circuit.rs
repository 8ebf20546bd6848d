//! The states of a circuit breaker, without a lock or a clock.

use std::time::Duration;

use super::CircuitBreakerConfig;

/// Whether calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// All do.
    Closed,
    /// One does, to see whether the store is back.
    HalfOpen,
    /// None does until its time has come.
    Open,
}

impl CircuitState {
    /// As the metric shows it: 0 closed, 1 half-open, 2 open.
    #[must_use]
    pub fn as_number(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// Which state let a call through. What it reports counts only while that state lasts: an answer to a call from before
/// an outage says nothing about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admission(u64);

#[derive(Debug, Clone, Copy)]
enum State {
    /// With so many failures in a row.
    Closed(u32),
    /// Since when the probe has been under way.
    HalfOpen(Duration),
    /// Until when.
    Open(Duration),
}

/// See the module. All times are of one clock; one that steps back lets an open circuit wait longer, nothing worse.
#[derive(Debug)]
pub(super) struct Circuit {
    config: CircuitBreakerConfig,
    state: State,
    /// Counts the states that there have been.
    turn: u64,
}

impl Circuit {
    pub(super) fn new(config: CircuitBreakerConfig) -> Self {
        Self { config, state: State::Closed(0), turn: 0 }
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed(_) => CircuitState::Closed,
            State::HalfOpen(_) => CircuitState::HalfOpen,
            State::Open(_) => CircuitState::Open,
        }
    }

    /// Lets a call through, or says how long to stay away.
    pub(super) fn admit(&mut self, now: Duration) -> Result<Admission, Duration> {
        match self.state {
            State::Closed(_) => {}
            State::Open(until) if now >= until => self.turn_to(State::HalfOpen(now)),
            State::Open(until) => return Err(until.saturating_sub(now)),
            State::HalfOpen(since) => {
                return Err(since.saturating_add(self.config.open_interval).saturating_sub(now));
            }
        }
        Ok(Admission(self.turn))
    }

    /// The store answered.
    pub(super) fn answered(&mut self, admission: Admission) {
        if admission.0 == self.turn {
            match self.state {
                State::Closed(_) => self.state = State::Closed(0),
                State::HalfOpen(_) | State::Open(_) => self.turn_to(State::Closed(0)),
            }
        }
    }

    /// The store failed.
    pub(super) fn failed(&mut self, admission: Admission, now: Duration) {
        if admission.0 != self.turn {
            return;
        }
        let failures = match self.state {
            State::Closed(failures) => failures.saturating_add(1),
            State::HalfOpen(_) | State::Open(_) => u32::MAX,
        };
        if failures >= self.config.failures_max.max(1) {
            self.turn_to(State::Open(now.saturating_add(self.config.open_interval)));
        } else {
            self.state = State::Closed(failures);
        }
    }

    /// Nobody waits for the answer any more. A probe's place is free at once.
    pub(super) fn given_up(&mut self, admission: Admission, now: Duration) {
        if admission.0 == self.turn && matches!(self.state, State::HalfOpen(_)) {
            self.turn_to(State::Open(now));
        }
    }

    fn turn_to(&mut self, state: State) {
        self.state = state;
        self.turn = self.turn.wrapping_add(1);
    }
}
