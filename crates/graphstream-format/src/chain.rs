//! The hash chain over payloads.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The chain hash after an entry: SHA-256 of the chain hash before it followed by its payload. It stands for the
/// whole history up to that entry; two journals with equal chain hashes hold equal payloads in equal order.
///
/// ```
/// use graphstream_format::ChainHash;
/// let first = ChainHash::ZERO.after(b"CREATE (:Person)");
/// let second = first.after(b"CREATE (:City)");
/// assert_ne!(first, second);
/// assert_eq!(second.to_string().parse::<ChainHash>()?, second);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// The chain hash before the first entry of a journal.
    pub const ZERO: Self = Self([0; 32]);

    /// The chain hash of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they stand in files.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The chain hash after an entry with this payload.
    #[must_use]
    pub fn after(&self, payload: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(payload);
        Self(hasher.finalize().into())
    }

    /// The first 8 bytes as a big-endian number: `prev_segment_checksum` of a header.
    #[must_use]
    pub const fn prefix_u64(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::InvalidHex { what: "a chain hash", bytes: 32 })?;
        Ok(Self(bytes))
    }
}
