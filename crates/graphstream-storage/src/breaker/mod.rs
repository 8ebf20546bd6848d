//! A decorator that stops asking a store that keeps failing, and finds out with one call at a time whether it is back.
//!
//! ```text
//!              failures_max failures in a row              open_interval is over: the next call is the probe
//!   closed ───────────────────────────────────▶ open ───────────────────────────────────────────▶ half-open
//!      ▲                                         ▲ ▲              the probe failed: open_interval anew │ │
//!      │                                         │ └──────────────────────────────────────────────────┘ │
//!      │                                         └── the probe was given up: the next call may probe ────┤
//!      └─────────────────────────────────────────────────────────────────── the probe was answered ──────┘
//! ```

mod circuit;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use graphstream_metrics::GraphstreamMetrics;

pub use circuit::CircuitState;

use self::circuit::{Admission, Circuit};
use crate::clock::{MonotonicClock, TokioClock};
use crate::error::{Error, ErrorClass, Result};
use crate::{
    GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, PutBody, PutMode, StorageBackend, Version,
};

/// When a [`CircuitBreaker`] opens and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitBreakerConfig {
    /// Failures in a row that open it; 0 means 1. Default 10.
    pub failures_max: u32,
    /// How long it stays open before a call may probe. Default 10 s.
    pub open_interval: Duration,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self { failures_max: 10, open_interval: Duration::from_secs(10) }
    }
}

impl CircuitBreakerConfig {
    /// Sets [`failures_max`](Self::failures_max).
    #[must_use]
    pub fn with_failures_max(mut self, failures: u32) -> Self {
        self.failures_max = failures;
        self
    }

    /// Sets [`open_interval`](Self::open_interval).
    #[must_use]
    pub fn with_open_interval(mut self, interval: Duration) -> Self {
        self.open_interval = interval;
        self
    }
}

/// Decides whether a store is asked at all. Clones are one breaker, for several backends of one store, say.
///
/// *Failures* are errors of class `Unavailable` and `TimeoutUnknown`. Everything else is an answer: a missing object, a lost
/// race, a refused permission, and also `Throttled`, which comes from a store that is there and is met by pauses.
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    circuit: Arc<Mutex<Circuit>>,
    clock: Arc<dyn MonotonicClock>,
    metrics: Arc<GraphstreamMetrics>,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new(CircuitBreakerConfig::default())
    }
}

impl CircuitBreaker {
    /// A closed one.
    #[must_use]
    pub fn new(config: CircuitBreakerConfig) -> Self {
        Self {
            circuit: Arc::new(Mutex::new(Circuit::new(config))),
            clock: Arc::new(TokioClock::new()),
            metrics: GraphstreamMetrics::shared(),
        }
    }

    /// Takes the time from there.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn MonotonicClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Shows its state there.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<GraphstreamMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// The state. An open one stays open until somebody calls, even when its time is over.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.circuit().state()
    }

    /// Lets a call through, or says how long to stay away. While half-open, that is the time until the probe has lasted as long as
    /// the circuit stays open.
    ///
    /// # Errors
    /// That time.
    pub fn pass(&self) -> Result<CircuitPass, Duration> {
        let admitted = self.change(|circuit, now| circuit.admit(now));
        if admitted.is_err() {
            self.metrics.storage.circuit_refusals.inc();
        }
        Ok(CircuitPass { breaker: self.clone(), admission: Some(admitted?) })
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Every change is complete before anything else could fail.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Circuit, Duration) -> T) -> T {
        let mut circuit = self.circuit();
        let before = circuit.state();
        let result = change(&mut circuit, self.clock.now());
        let after = circuit.state();
        if before != after {
            let storage = &self.metrics.storage;
            storage.circuit_state.set(after.as_number());
            if after == CircuitState::Open && before == CircuitState::Closed {
                storage.circuit_openings.inc();
            }
            tracing::info!(?before, ?after, "the circuit to the store has changed");
        }
        result
    }
}

/// One call that was let through. Dropped without a report, it says nothing about the store, and a probe's place is free again.
#[derive(Debug)]
#[must_use]
pub struct CircuitPass {
    breaker: CircuitBreaker,
    admission: Option<Admission>,
}

impl CircuitPass {
    /// The store answered.
    pub fn answered(mut self) {
        if let Some(admission) = self.admission.take() {
            self.breaker.change(|circuit, _| circuit.answered(admission));
        }
    }

    /// The store failed.
    pub fn failed(mut self) {
        if let Some(admission) = self.admission.take() {
            self.breaker.change(|circuit, now| circuit.failed(admission, now));
        }
    }
}

impl Drop for CircuitPass {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.breaker.change(|circuit, now| circuit.given_up(admission, now));
        }
    }
}

/// Asks the store only while its [`CircuitBreaker`] lets it; otherwise fails at once with [`Error::CircuitOpen`].
///
/// A get is answered when its body begins. A bulk delete failed when all its keys did.
#[derive(Debug, Clone)]
pub struct CircuitBreakerBackend<B> {
    inner: B,
    breaker: CircuitBreaker,
}

impl<B: StorageBackend> CircuitBreakerBackend<B> {
    /// Wraps `inner`.
    pub fn new(inner: B, breaker: CircuitBreaker) -> Self {
        Self { inner, breaker }
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// The breaker.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    async fn guard<T>(
        &self,
        call: impl Future<Output = Result<T>>,
        failed: impl Fn(&Result<T>) -> bool,
    ) -> Result<T> {
        let pass = self.breaker.pass().map_err(|retry_after| Error::CircuitOpen {
            backend: self.inner.describe().into_boxed_str(),
            retry_after,
        })?;
        let result = call.await;
        if failed(&result) {
            pass.failed();
        } else {
            pass.answered();
        }
        result
    }
}

fn failed<T>(result: &Result<T>) -> bool {
    let failure =
        |error: &Error| matches!(error.class(), ErrorClass::Unavailable | ErrorClass::TimeoutUnknown);
    result.as_ref().is_err_and(failure)
}

#[async_trait]
impl<B: StorageBackend> StorageBackend for CircuitBreakerBackend<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.guard(self.inner.get(key, options), failed).await
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.guard(self.inner.put(key, body, mode), failed).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.guard(self.inner.head(key), failed).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.guard(self.inner.delete(key), failed).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        let all_failed = |result: &Result<Vec<(Key, Result<()>)>>| match result {
            Ok(outcomes) => !outcomes.is_empty() && outcomes.iter().all(|(_, outcome)| failed(outcome)),
            Err(_) => failed(result),
        };
        self.guard(self.inner.delete_many(keys), all_failed).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.guard(self.inner.list(request), failed).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
