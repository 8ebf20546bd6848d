//! When a failed call may be made again, and after which pause.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::random::Random;

/// How often and how soon a failed call is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Attempts per call, the first included; 0 means 1. Default 6.
    pub attempts_max: u32,
    /// The longest first pause; each later one may be twice as long. Default 100 ms.
    pub pause_first: Duration,
    /// The longest pause, unless the store asks for a longer one. Default 10 s.
    pub pause_max: Duration,
    /// No attempt begins later than this after the first one; a pause that would end later is not begun. It does not cut an
    /// attempt short. Default 120 s.
    pub elapsed_max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts_max: 6,
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(10),
            elapsed_max: Duration::from_secs(120),
        }
    }
}

impl RetryConfig {
    /// Sets [`attempts_max`](Self::attempts_max).
    #[must_use]
    pub fn with_attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts;
        self
    }

    /// Sets [`pause_first`](Self::pause_first).
    #[must_use]
    pub fn with_pause_first(mut self, pause: Duration) -> Self {
        self.pause_first = pause;
        self
    }

    /// Sets [`pause_max`](Self::pause_max).
    #[must_use]
    pub fn with_pause_max(mut self, pause: Duration) -> Self {
        self.pause_max = pause;
        self
    }

    /// Sets [`elapsed_max`](Self::elapsed_max).
    #[must_use]
    pub fn with_elapsed_max(mut self, elapsed: Duration) -> Self {
        self.elapsed_max = elapsed;
        self
    }
}

/// Pauses of one outage: each is drawn evenly from 0 to a bound that doubles ("full jitter"), so that clients that failed
/// together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: Arc<Random>,
}

impl Backoff {
    /// The first pause is at most `first`, none is longer than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, random: Arc::new(Random::unseeded()) }
    }

    /// Draws the pauses from a seed: one seed, one sequence of pauses.
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.random = Arc::new(Random::new(seed));
        self
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Something succeeded.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and says how long to wait.
    pub fn next_pause(&mut self) -> Duration {
        let bound = self.first.saturating_mul(1u32 << self.failures.min(31)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.random.below(bound)
    }

    /// A random duration below `range`, for whoever asks at intervals and not in step with others.
    #[must_use]
    pub fn jitter(&self, range: Duration) -> Duration {
        self.random.below(range)
    }
}

/// What decides about repeating calls: a [`RetryConfig`] at work. Clones draw from the same random numbers.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    config: RetryConfig,
    random: Arc<Random>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new(RetryConfig::default())
    }
}

impl RetryPolicy {
    /// A policy of these numbers.
    #[must_use]
    pub fn new(config: RetryConfig) -> Self {
        Self { config, random: Arc::new(Random::unseeded()) }
    }

    /// Draws the pauses from a seed: one seed, one sequence of pauses.
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.random = Arc::new(Random::new(seed));
        self
    }

    /// The numbers.
    #[must_use]
    pub fn config(&self) -> &RetryConfig {
        &self.config
    }

    /// The attempts of one call, of which the first is about to be made.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        let RetryConfig { attempts_max, pause_first, pause_max, elapsed_max } = self.config;
        Attempts {
            backoff: Backoff {
                first: pause_first,
                longest: pause_max,
                failures: 0,
                random: Arc::clone(&self.random),
            },
            attempts_max,
            elapsed_max,
            started: Instant::now(),
        }
    }
}

/// The attempts of one call:
///
/// ```
/// # use graphstream_storage::{Error, ErrorClass, RetryPolicy};
/// # async fn call() -> Result<u64, Error> { Ok(1) }
/// # async fn repeated(policy: RetryPolicy) -> Result<u64, Error> {
/// let mut attempts = policy.attempts();
/// loop {
///     match call().await {
///         Err(error) if error.class() == ErrorClass::Unavailable && attempts.pause(error.retry_after()).await => {}
///         outcome => return outcome,
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Attempts {
    backoff: Backoff,
    attempts_max: u32,
    elapsed_max: Duration,
    started: Instant,
}

impl Attempts {
    /// Waits after a failed attempt, at least for `at_least`; `false`, without waiting, when there is to be no other attempt.
    pub async fn pause(&mut self, at_least: Option<Duration>) -> bool {
        if self.backoff.failures().saturating_add(1) >= self.attempts_max {
            return false;
        }
        let pause = self.backoff.next_pause().max(at_least.unwrap_or_default());
        if self.started.elapsed().saturating_add(pause) > self.elapsed_max {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    /// Failed attempts so far.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Something was achieved: the budget starts anew.
    pub(crate) fn renew(&mut self) {
        self.backoff.reset();
        self.started = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_are_drawn_below_a_doubling_bound_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(SECOND, 5 * SECOND);
        let bounds = [1, 2, 4, 5, 5].map(|seconds| seconds * SECOND);
        let mut longest = [Duration::ZERO; 5];
        for _ in 0..200 {
            backoff.reset();
            for (bound, longest) in bounds.iter().zip(&mut longest) {
                let pause = backoff.next_pause();
                assert!(pause < *bound);
                *longest = pause.max(*longest);
            }
            assert_eq!(backoff.failures(), 5);
        }
        // Full jitter reaches from nothing up to the bound.
        assert!(
            bounds.iter().zip(longest).all(|(bound, longest)| longest > bound.mul_f64(0.9)),
            "{longest:?}"
        );
        backoff.failures = u32::MAX;
        assert!(backoff.next_pause() < 5 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded_by_count() {
        for (attempts_max, pauses) in [(0, 0), (1, 0), (2, 1), (6, 5)] {
            let mut attempts =
                RetryPolicy::new(RetryConfig::default().with_attempts_max(attempts_max)).attempts();
            let mut made = 0;
            while attempts.pause(None).await {
                made += 1;
            }
            assert_eq!(made, pauses, "{attempts_max} attempts");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded_by_time_and_a_pause_beyond_it_is_not_begun() {
        let config = RetryConfig::default().with_attempts_max(u32::MAX).with_elapsed_max(60 * SECOND);
        let start = Instant::now();
        let mut attempts = RetryPolicy::new(config.clone()).attempts();
        while attempts.pause(None).await {
            assert!(start.elapsed() <= 60 * SECOND);
        }
        let start = Instant::now();
        let mut attempts = RetryPolicy::new(config).attempts();
        assert!(attempts.pause(Some(59 * SECOND)).await);
        assert_eq!(start.elapsed(), 59 * SECOND);
        assert!(!attempts.pause(Some(2 * SECOND)).await);
        assert_eq!(start.elapsed(), 59 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_seed_is_one_sequence_of_pauses() {
        let run = |seed| async move {
            let mut attempts = RetryPolicy::default().with_jitter_seed(seed).attempts();
            let mut times = Vec::new();
            let start = Instant::now();
            while attempts.pause(None).await {
                times.push(start.elapsed());
            }
            times
        };
        assert_eq!(run(1).await, run(1).await);
        assert_ne!(run(1).await, run(2).await);
    }
}
