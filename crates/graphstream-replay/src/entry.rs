//! One entry of the journal on its way into a target.

use graphstream_format::{ChainHash, Position};
use graphstream_proto::JournalEntry;

/// A decoded entry together with its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayEntry {
    /// Its place in the journal, from 1.
    pub sequence: u64,
    /// The leader's clock at commit, in milliseconds since 1970.
    pub commit_ms: i64,
    /// The chain hash after this entry.
    pub chain_hash: ChainHash,
    /// The statement and its parameters.
    pub entry: JournalEntry,
}

impl ReplayEntry {
    /// The position of a target that has applied everything up to and including this entry.
    #[must_use]
    pub fn position(&self, lineage: graphstream_format::Lineage) -> Position {
        Position { lineage, sequence: self.sequence, chain_hash: self.chain_hash }
    }
}
