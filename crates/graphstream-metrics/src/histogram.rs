//! Histograms of durations and of counts.
//!
//! They are our own because prometheus-client's takes a lock for every observation, and a group commit observes two.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the durations' buckets, in microseconds: from a sync on a fast disk to a hanging request.
const DURATION_BOUNDS_US: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// The upper bounds of the counts' buckets.
const COUNT_BOUNDS: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384];

/// How long something took.
#[derive(Debug, Default)]
pub struct DurationHistogram(Buckets<18>);

impl DurationHistogram {
    /// Adds one observation.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // A duration a little above a bound must not count as below it, hence rounding up.
        let exact = duration.subsec_nanos().is_multiple_of(1_000);
        self.0.add(&DURATION_BOUNDS_US, if exact { micros } else { micros.saturating_add(1) }, micros);
    }

    /// What was observed so far, in seconds.
    pub fn get(&self) -> HistogramSnapshot {
        self.0.snapshot(&DURATION_BOUNDS_US, 1e6)
    }
}

/// How many there were.
#[derive(Debug, Default)]
pub struct CountHistogram(Buckets<13>);

impl CountHistogram {
    /// Adds one observation.
    pub fn observe(&self, count: u64) {
        self.0.add(&COUNT_BOUNDS, count, count);
    }

    /// What was observed so far.
    pub fn get(&self) -> HistogramSnapshot {
        self.0.snapshot(&COUNT_BOUNDS, 1.0)
    }
}

/// What a histogram has observed.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct HistogramSnapshot {
    /// How many observations there were.
    pub count: u64,
    /// All observations together, in the histogram's unit.
    pub sum: f64,
    /// Upper bound, in the histogram's unit, and the observations in that bucket alone (above the bound before it). The
    /// last bound is [`f64::INFINITY`] and means all others.
    pub buckets: Vec<(f64, u64)>,
}

impl HistogramSnapshot {
    /// The mean observation, or `None` when there was none.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

#[derive(Debug)]
struct Buckets<const N: usize> {
    counts: [AtomicU64; N],
    beyond: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; N], beyond: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl<const N: usize> Buckets<N> {
    fn add(&self, bounds: &[u64; N], value: u64, summand: u64) {
        let bucket = self.counts.get(bounds.partition_point(|bound| *bound < value));
        bucket.unwrap_or(&self.beyond).fetch_add(1, Relaxed);
        self.sum.fetch_add(summand, Relaxed);
    }

    fn snapshot(&self, bounds: &[u64; N], divisor: f64) -> HistogramSnapshot {
        let mut buckets = Vec::with_capacity(N + 1);
        for (bound, count) in bounds.iter().zip(&self.counts) {
            buckets.push((*bound as f64 / divisor, count.load(Relaxed)));
        }
        buckets.push((f64::INFINITY, self.beyond.load(Relaxed)));
        // The count is that of the buckets just read, so that a snapshot always adds up.
        let count = buckets.iter().map(|(_, count)| count).sum();
        HistogramSnapshot { count, sum: self.sum.load(Relaxed) as f64 / divisor, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = DurationHistogram::default();
        for nanos in [0, 100_000, 100_001, 60_000_000_000, 60_000_000_001, u64::MAX] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let snapshot = histogram.get();
        assert_eq!(snapshot.count, 6);
        let counts: Vec<u64> = snapshot.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts[0], 2, "0 and exactly 100 microseconds");
        assert_eq!(counts[1], 1, "a nanosecond more");
        assert_eq!(counts[17], 1, "exactly a minute");
        assert_eq!(counts[18], 2, "beyond");
    }

    #[test]
    fn sums_and_means_are_in_the_unit() {
        let histogram = DurationHistogram::default();
        assert_eq!(histogram.get().mean(), None);
        histogram.observe(Duration::from_millis(500));
        histogram.observe(Duration::from_millis(1500));
        assert_eq!(histogram.get().sum, 2.0);
        assert_eq!(histogram.get().mean(), Some(1.0));
        let counts = CountHistogram::default();
        counts.observe(3);
        counts.observe(100_000);
        assert_eq!(counts.get().sum, 100_003.0);
        assert_eq!(counts.get().buckets.last(), Some(&(f64::INFINITY, 1)));
    }
}
