//! What the sealed part of a journal knows about its own chain: what a leader's session compares with the head.

use graphstream_format::ChainHash;
use graphstream_journal::{JournalDir, SegmentInfo};
use graphstream_remote::{LocalChain, LocalError};

use crate::Result;

/// The sealed segments of a directory.
#[derive(Debug, Clone)]
pub(super) struct SealedChain {
    dir: JournalDir,
    last: (u64, ChainHash),
}

impl SealedChain {
    /// Looks for the newest sealed segment. Blocks for the disk.
    pub(super) fn open(dir: JournalDir) -> Result<Self> {
        let mut chain = Self { dir, last: (0, ChainHash::ZERO) };
        let sequences = chain.dir.segment_sequences()?;
        if sequences.is_empty() {
            // It may begin behind entries that stayed elsewhere.
            let start = chain.dir.position()?;
            chain.last = (start.sequence, start.chain_hash);
            return Ok(chain);
        }
        chain.dir.check_keys()?;
        for &first in sequences.iter().rev() {
            let Some(segment) = chain.dir.segment(first)?.filter(SegmentInfo::is_sealed) else { continue };
            let last = segment.header.last_seq;
            chain.last = (last, chain.dir.chain_at(last)?);
            return Ok(chain);
        }
        // Nothing is sealed yet: what its first segment continues.
        if let Some(before) = sequences.first().map(|first| first.saturating_sub(1)) {
            chain.last = (before, chain.dir.chain_at(before)?);
        }
        Ok(chain)
    }

    /// More has been sealed, and verified up to here.
    pub(super) fn advance(&mut self, sequence: u64, chain_hash: ChainHash) {
        if sequence > self.last.0 {
            self.last = (sequence, chain_hash);
        }
    }

    /// The chain hash after the entry; `None` if it is not sealed, or not there any more.
    pub(super) fn hash_at(&self, sequence: u64) -> graphstream_journal::Result<Option<ChainHash>> {
        match sequence {
            0 => Ok(Some(ChainHash::ZERO)),
            sequence if sequence == self.last.0 => Ok(Some(self.last.1)),
            sequence if sequence > self.last.0 => Ok(None),
            sequence => self.read(sequence),
        }
    }

    /// Reads one segment up to the entry.
    fn read(&self, sequence: u64) -> graphstream_journal::Result<Option<ChainHash>> {
        match self.dir.chain_at(sequence) {
            Ok(hash) => Ok(Some(hash)),
            Err(graphstream_journal::Error::Gap { .. } | graphstream_journal::Error::BeyondEnd { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl LocalChain for SealedChain {
    fn last(&self) -> (u64, ChainHash) {
        self.last
    }

    fn chain_at(&self, sequence: u64) -> Result<Option<ChainHash>, LocalError> {
        Ok(self.hash_at(sequence)?)
    }
}
