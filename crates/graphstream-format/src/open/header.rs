//! Header and extension of an open segment.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{EXTENSION_LEN, RECORDS_START, extension_field as at};
use crate::bytes::{array, put};
use crate::chain::ChainHash;
use crate::damage::Damage;
use crate::entry::SegmentStart;
use crate::error::{Error, Result};
use crate::header::{HEADER_LEN, Header, SegmentKind, VERSION_OPEN};

/// 16 random bytes, fresh for every open segment: the magic of its records. The caller draws them from the operating
/// system; all zeros are refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// The nonce of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({})", hex::encode(self.0))
    }
}

/// What stands before the records of an open segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHeader {
    /// Where the segment begins.
    pub start: SegmentStart,
    /// The magic of its records.
    pub nonce: Nonce,
}

impl OpenHeader {
    /// Header and extension, [`RECORDS_START`] bytes.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a zero lineage or sequence; [`Error::Damaged`] for a zero nonce.
    pub fn encode(&self) -> Result<[u8; RECORDS_START as usize]> {
        self.start.check()?;
        self.check_nonce()?;
        let mut extension = [0; EXTENSION_LEN];
        put(&mut extension, at::NONCE, self.nonce.as_bytes());
        put(&mut extension, at::CHAIN_BEFORE, self.start.chain_before.as_bytes());
        let header = Header {
            version: VERSION_OPEN,
            flags: 0,
            compression: 0,
            ext_len: EXTENSION_LEN as u32,
            first_seq: self.start.first_seq,
            last_seq: 0,
            entry_count: 0,
            body_len: 0,
            body_checksum: Sha256::digest(extension).into(),
            prev_segment_checksum: self.start.chain_before.prefix_u64(),
            created_ms: self.start.created_ms,
            lineage: self.start.lineage,
            first_commit_ms: 0,
            last_commit_ms: 0,
        };
        let mut out = [0; RECORDS_START as usize];
        put(&mut out, 0, &header.encode());
        put(&mut out, HEADER_LEN, &extension);
        Ok(out)
    }

    /// Reads both. `bytes` may be longer.
    ///
    /// # Errors
    /// As [`Header::decode`]; [`Error::Damaged`] if the bytes end early, the extension does not fit its hash, or the
    /// segment is not an open one.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let Some((first, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Error::damaged(Damage::EndsEarly, bytes.len() as u64, None));
        };
        let header = Header::decode(first)?;
        let Some(extension) = rest.first_chunk::<EXTENSION_LEN>() else {
            return Err(Error::damaged(Damage::EndsEarly, bytes.len() as u64, None));
        };
        Self::from_parts(&header, extension)
    }

    pub(crate) fn from_parts(header: &Header, extension: &[u8; EXTENSION_LEN]) -> Result<Self> {
        if header.kind() != SegmentKind::Open {
            let found = u64::from(header.version);
            return Err(Error::damaged(Damage::HeaderField { field: "version", found }, 5, None));
        }
        let checksum: [u8; 32] = Sha256::digest(extension).into();
        if checksum != header.body_checksum {
            return Err(Error::damaged(Damage::ExtensionChecksum, HEADER_LEN as u64, None));
        }
        let chain_before = ChainHash::from_bytes(array(extension, at::CHAIN_BEFORE));
        let (found, expected) = (header.prev_segment_checksum, chain_before.prefix_u64());
        if found != expected {
            let what = Damage::ChainPrefix { expected, found };
            return Err(Error::damaged(what, crate::header::field::PREV_SEGMENT_CHECKSUM as u64, None));
        }
        let this = Self {
            start: SegmentStart {
                lineage: header.lineage,
                first_seq: header.first_seq,
                chain_before,
                created_ms: header.created_ms,
            },
            nonce: Nonce(array(extension, at::NONCE)),
        };
        this.check_nonce()?;
        Ok(this)
    }

    /// Reserved space is zeros, and a magic of zeros would be found everywhere in it.
    fn check_nonce(&self) -> Result<()> {
        if self.nonce.0 == [0; 16] {
            let what = Damage::HeaderField { field: "nonce", found: 0 };
            return Err(Error::damaged(what, HEADER_LEN as u64, None));
        }
        Ok(())
    }
}
