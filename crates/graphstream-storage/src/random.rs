//! Random numbers that spread load and script faults; nothing here is a secret.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64: one seed, one sequence.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// With a seed that no other has.
    pub(crate) fn unseeded() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform from 0 to just below `range`.
    pub(crate) fn below(&self, range: Duration) -> Duration {
        // 53 bits: what a double holds exactly, so that the fraction stays below 1.
        let fraction = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        range.mul_f64(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spread_over_the_whole_range() {
        let random = Random::new(1);
        let range = Duration::from_secs(10);
        let drawn: Vec<_> = (0..1000).map(|_| random.below(range)).collect();
        assert!(drawn.iter().all(|drawn| *drawn < range));
        for tenth in 0..10 {
            let within = range * tenth / 10..range * (tenth + 1) / 10;
            let count = drawn.iter().filter(|drawn| within.contains(drawn)).count();
            assert!((50..150).contains(&count), "{count} of 1000 in {within:?}");
        }
        assert!(random.below(Duration::MAX) < Duration::MAX);
        assert_eq!(random.below(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn seeds_differ_when_none_is_given() {
        assert_ne!(Random::unseeded().next(), Random::unseeded().next());
    }
}
