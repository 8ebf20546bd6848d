//! Time and randomness, as traits so that a test can replay them.

use std::fmt;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where commit times come from. It may jump or stand still: the journal clamps what it says to non-decreasing and
/// orders by sequence only.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since 1970 (UTC).
    fn now_ms(&self) -> i64;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// Where lineages, database ids and segment nonces come from.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Sixteen bytes that nobody can foresee.
    ///
    /// # Errors
    /// When the source fails.
    fn random(&self) -> io::Result<[u8; 16]>;
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }
}
