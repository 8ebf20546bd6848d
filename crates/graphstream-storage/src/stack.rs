//! All decorators around one store, in the order that works.
//!
//! ```text
//!   retry            outermost: its pauses hold nothing, and every attempt passes everything below
//!     breaker        sees each attempt; a refused one takes no token and no time. Retry waits until it may probe, if it can
//!       rate limit   outside of the time-outs: waiting for a token is not the store's silence
//!         timeout    around what the store itself does
//!           metrics  innermost: counts what the store was really asked, and how long it took
//!             backend
//! ```
//! What callers see of it (retries, the breaker's state) each decorator counts itself.

use std::sync::Arc;

use graphstream_metrics::GraphstreamMetrics;

use crate::{
    CircuitBreaker, CircuitBreakerBackend, CircuitBreakerConfig, MeteredBackend, RateLimitBackend,
    RateLimitConfig, RetryBackend, RetryConfig, RetryPolicy, StorageBackend, TimeoutBackend, TimeoutConfig,
};

/// The default decorators of a store, with their numbers. What the default leaves out: a rate limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackConfig {
    /// How failed calls are made again.
    pub retry: RetryConfig,
    /// When the store is left alone.
    pub circuit_breaker: CircuitBreakerConfig,
    /// How much it is asked for at most. Default: no limit.
    pub rate_limit: RateLimitConfig,
    /// How long it may be silent.
    pub timeout: TimeoutConfig,
}

impl StackConfig {
    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry;
        self
    }

    /// Sets [`circuit_breaker`](Self::circuit_breaker).
    #[must_use]
    pub fn with_circuit_breaker(mut self, breaker: CircuitBreakerConfig) -> Self {
        self.circuit_breaker = breaker;
        self
    }

    /// Sets [`rate_limit`](Self::rate_limit).
    #[must_use]
    pub fn with_rate_limit(mut self, limit: RateLimitConfig) -> Self {
        self.rate_limit = limit;
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: TimeoutConfig) -> Self {
        self.timeout = timeout;
        self
    }

    /// Wraps `backend`, counting in `metrics`. Each call makes a breaker and buckets of its own, so wrap a store once and share it.
    pub fn wrap(
        &self,
        backend: impl StorageBackend,
        metrics: &Arc<GraphstreamMetrics>,
    ) -> Arc<dyn StorageBackend> {
        let Self { retry, circuit_breaker, rate_limit, timeout } = self.clone();
        let counted = MeteredBackend::new(backend, Arc::clone(metrics));
        let limited = RateLimitBackend::new(TimeoutBackend::new(counted, timeout), &rate_limit);
        let breaker = CircuitBreaker::new(circuit_breaker).with_metrics(Arc::clone(metrics));
        let guarded = CircuitBreakerBackend::new(limited, breaker);
        Arc::new(RetryBackend::new(guarded, RetryPolicy::new(retry)).with_metrics(Arc::clone(metrics)))
    }
}
