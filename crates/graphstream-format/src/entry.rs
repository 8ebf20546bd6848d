//! What a journal holds, and where in it something stands.

use crate::chain::ChainHash;
use crate::error::{Error, Result, Unwritable};
use crate::lineage::Lineage;

/// One entry of a journal, verified. `Default` is an empty buffer for
/// [`SegmentReader::read_next`](crate::SegmentReader::read_next).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its number, from 1, without holes.
    pub sequence: u64,
    /// When the leader took it, in milliseconds since 1970 (UTC); never less than that of the entry before it.
    pub commit_ms: i64,
    /// Whether `commit_ms` is the entry's own. Version 1 keeps one time per segment, so there it is only a bound.
    pub commit_exact: bool,
    /// The bytes that were appended; this crate does not look inside.
    pub payload: Vec<u8>,
    /// The chain hash *after* this entry.
    pub chain_hash: ChainHash,
}

/// A point in a history: everything up to and including `sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history.
    pub lineage: Lineage,
    /// The last sequence included; 0 before the first entry.
    pub sequence: u64,
    /// The chain hash after that entry; [`ChainHash::ZERO`] before the first.
    pub chain_hash: ChainHash,
}

impl Position {
    /// The position before the first entry of a lineage.
    #[must_use]
    pub const fn start(lineage: Lineage) -> Self {
        Self { lineage, sequence: 0, chain_hash: ChainHash::ZERO }
    }
}

/// Where a segment begins: what its header says before any entry is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// The history it belongs to; [`Lineage::LEGACY`] is refused by writers.
    pub lineage: Lineage,
    /// The sequence of its first entry, from 1.
    pub first_seq: u64,
    /// The chain hash before its first entry.
    pub chain_before: ChainHash,
    /// When it was created, in milliseconds since 1970 (UTC).
    pub created_ms: i64,
}

impl SegmentStart {
    /// Refuses what no segment of ours may begin with.
    pub(crate) fn check(&self) -> Result<()> {
        if self.lineage.is_legacy() {
            return Err(Error::Unwritable(Unwritable::LegacyLineage));
        }
        if self.first_seq == 0 {
            return Err(Error::Unwritable(Unwritable::SequenceRange));
        }
        Ok(())
    }
}
