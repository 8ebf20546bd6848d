//! Pauses between attempts at a store that does not answer: doubling from 100 ms, with full jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);

/// The pauses of one outage.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    attempts: u32,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(longest: Duration) -> Self {
        Self { attempts: 0, longest }
    }

    /// Attempts that failed since the last success.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Something succeeded.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The pause before the next attempt: uniform between half the doubled interval and all of it.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(1u32 << self.attempts.min(16)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        doubled / 2 + jitter(doubled / 2)
    }
}

/// A random duration below `range`. Without a source of randomness it is `range` itself: only spread is lost.
pub(crate) fn jitter(range: Duration) -> Duration {
    let fraction = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    range.mul_f64(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let pauses: Vec<_> = (0..6).map(|_| backoff.next_pause()).collect();
        for (pause, bound_ms) in pauses.iter().zip([100, 200, 400, 800, 1000, 1000]) {
            let bound = Duration::from_millis(bound_ms);
            assert!(*pause >= bound / 2 && *pause <= bound, "{pause:?} for a bound of {bound:?}");
        }
        assert_eq!(backoff.attempts(), 6);
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST);
    }
}
