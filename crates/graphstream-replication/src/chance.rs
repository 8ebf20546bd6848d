//! Pauses with jitter, drawn from where the remote draws its nonces, so that a seeded one repeats them.

use std::time::Duration;

use graphstream_remote::Remote;
use graphstream_storage::Backoff;

use crate::Result;
use crate::options::RETRY_INTERVAL_FIRST;

/// The pauses of a loop that tries again.
pub(crate) fn backoff(remote: &Remote, longest: Duration) -> Result<Backoff> {
    Ok(Backoff::new(RETRY_INTERVAL_FIRST, longest).with_jitter_seed(jitter_seed(remote)?))
}

/// A seed for pauses.
pub(crate) fn jitter_seed(remote: &Remote) -> Result<u64> {
    let [a, b, c, d, e, f, g, h, ..] = remote.randomness().bytes16()?;
    Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}
