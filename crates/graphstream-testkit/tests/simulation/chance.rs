//! One seed for everything that is left to chance, and the clock that the runtime moves.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use graphstream_journal::{Clock, Entropy};
use graphstream_remote::Randomness;
use tokio::time::Instant;

/// SplitMix64.
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn per_mille(&self, chance: u64) -> bool {
        self.below(1000) < chance
    }

    /// From `least` to just below `most`, in whole milliseconds.
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        let range = u64::try_from((most - least).as_millis()).unwrap();
        least + Duration::from_millis(self.below(range.max(1)))
    }

    fn bytes(&self) -> [u8; 16] {
        ((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes()
    }
}

impl Randomness for Chance {
    fn bytes16(&self) -> graphstream_remote::Result<[u8; 16]> {
        Ok(self.bytes())
    }
}

impl Entropy for Chance {
    fn random(&self) -> io::Result<[u8; 16]> {
        Ok(self.bytes())
    }
}

/// The runtime's paused time, as milliseconds since 1970; each machine's is wrong by something else.
#[derive(Debug)]
pub struct VirtualClock {
    start: Instant,
    at_start_ms: i64,
}

impl VirtualClock {
    pub fn new(wrong_by_ms: i64) -> Self {
        Self { start: Instant::now(), at_start_ms: 1_700_000_000_000 + wrong_by_ms }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.at_start_ms + i64::try_from(self.start.elapsed().as_millis()).unwrap()
    }
}
