//! What the sealed part of a journal knows about its own chain: what a leader's session compares with the head.

use graphstream_format::ChainHash;
use graphstream_journal::{JournalDir, ReaderOptions};
use graphstream_remote::{LocalChain, LocalError};

use crate::Result;

/// The sealed segments of a directory.
#[derive(Debug)]
pub(super) struct SealedChain {
    dir: JournalDir,
    last: (u64, ChainHash),
}

impl SealedChain {
    /// Looks for the newest sealed segment. Blocks for the disk.
    pub(super) fn open(dir: JournalDir) -> Result<Self> {
        let mut chain = Self { dir, last: (0, ChainHash::ZERO) };
        if chain.dir.segment_sequences()?.is_empty() {
            // It may begin behind entries that stayed elsewhere.
            let start = chain.dir.position()?;
            chain.last = (start.sequence, start.chain_hash);
            return Ok(chain);
        }
        let newest =
            chain.dir.segments()?.iter().rev().find(|segment| segment.is_sealed()).map(|s| s.header.last_seq);
        if let Some(sequence) = newest
            && let Some(hash) = chain.read(sequence)?
        {
            chain.last = (sequence, hash);
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
        let options = ReaderOptions::default().with_from_sequence(sequence);
        let mut reader = self.dir.reader(options)?;
        let entry = reader.next().transpose()?;
        Ok(entry.filter(|entry| entry.sequence == sequence).map(|entry| entry.chain_hash))
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
