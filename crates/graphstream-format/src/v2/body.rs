//! The body of a sealed segment as it is stored.

use std::io::{ErrorKind, Read};

use sha2::{Digest, Sha256};

use crate::damage::Damage;
use crate::error::{Error, Result};

/// Bytes of a frame that are read, and allocated for, at once at first.
const STEP: usize = 64 << 10;

/// Hashes and counts what is read.
pub(super) struct Body<R> {
    pub(super) inner: R,
    hasher: Sha256,
    /// Of the next byte, in the file.
    pub(super) offset: u64,
    /// Bytes that were not read yet.
    pub(super) left: u64,
}

impl<R: Read> Body<R> {
    /// `len` bytes of `inner`, of which the first stands at `offset`.
    pub(super) fn new(inner: R, offset: u64, len: u64) -> Self {
        Self { inner, hasher: Sha256::new(), offset, left: len }
    }

    /// Appends the next `len` bytes. The buffer grows with what is really there, not with what a length claims.
    pub(super) fn read(&mut self, mut len: u64, into: &mut Vec<u8>, sequence: Option<u64>) -> Result<()> {
        let early = |offset| Error::damaged(Damage::EndsEarly, offset, sequence);
        if len > self.left {
            return Err(early(self.offset));
        }
        while len > 0 {
            let before = into.len();
            // As much again as has arrived already: a claim alone costs no more than the first step.
            let step = len.min(before.max(STEP) as u64);
            into.resize(before + step as usize, 0);
            let arrived = into.get_mut(before..).unwrap_or_default();
            self.inner.read_exact(arrived).map_err(|source| match source.kind() {
                ErrorKind::UnexpectedEof => early(self.offset),
                _ => Error::read(source, self.offset),
            })?;
            self.hasher.update(&*arrived);
            self.offset += step;
            self.left -= step;
            len -= step;
        }
        Ok(())
    }

    /// The SHA-256 of what was read; afterwards it begins anew.
    pub(super) fn checksum(&mut self) -> [u8; 32] {
        self.hasher.finalize_reset().into()
    }
}
