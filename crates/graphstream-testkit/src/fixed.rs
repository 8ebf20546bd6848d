//! Time and randomness that every run repeats.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use graphstream_journal::{Clock, Entropy};

/// A clock that moves by one millisecond whenever it is asked.
#[derive(Debug)]
pub struct SteppingClock(AtomicI64);

impl SteppingClock {
    /// A clock that says this first, in milliseconds since 1970.
    #[must_use]
    pub fn starting_at(ms: i64) -> Self {
        Self(AtomicI64::new(ms))
    }

    /// Sets it, back or forward.
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for SteppingClock {
    fn now_ms(&self) -> i64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// "Random" numbers that count, starting from a seed.
#[derive(Debug)]
pub struct CountingEntropy(AtomicU64);

impl CountingEntropy {
    /// Numbers that differ from those of another seed.
    #[must_use]
    pub fn seeded(seed: u32) -> Self {
        Self(AtomicU64::new(u64::from(seed) << 32 | 1))
    }
}

impl Entropy for CountingEntropy {
    fn random(&self) -> io::Result<[u8; 16]> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        // Spread over all bytes, so that no nonce is mostly zeros.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let source = if index < 8 { mixed } else { number };
            *byte = (source >> (8 * (index % 8))) as u8;
        }
        Ok(bytes)
    }
}
