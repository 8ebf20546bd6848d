//! Where nonces and write ids come from; narrow, so that a seeded test replays exactly.

use std::fmt;

use crate::error::{Error, Result};
use crate::{OwnerNonce, WriteId};

/// A source of random bytes that are never repeated between processes.
pub trait Randomness: fmt::Debug + Send + Sync + 'static {
    /// 16 fresh random bytes.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] when the source fails. Nothing may be written then.
    fn bytes16(&self) -> Result<[u8; 16]>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    fn bytes16(&self) -> Result<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|source| Error::NoRandomness { source })?;
        Ok(bytes)
    }
}

impl OwnerNonce {
    /// A fresh nonce; one per start of a leader.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn random(source: &dyn Randomness) -> Result<Self> {
        source.bytes16().map(Self::from_bytes)
    }
}

impl WriteId {
    /// A fresh write id; one per attempt.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn random(source: &dyn Randomness) -> Result<Self> {
        source.bytes16().map(Self::from_bytes)
    }
}
