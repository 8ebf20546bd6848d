//! The clock of decorators that compare times; those that wait do so on tokio's.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// A clock that is not set: for intervals, never for dates.
pub trait MonotonicClock: fmt::Debug + Send + Sync {
    /// Time since a moment that the clock chose once.
    fn now(&self) -> Duration;
}

/// Tokio's clock, which tests can pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl MonotonicClock for TokioClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
