//! Where a journal stands: the chain hash after an entry, and its end, each from the one segment that tells.

use graphstream_format::{ChainHash, Entry, Lineage, Position};

use super::{At, JournalReader, Last};
use crate::directory::JournalDir;
use crate::error::{Error, Result};
use crate::options::ReaderOptions;
use crate::starting_point::StartingPoint;

impl JournalDir {
    /// The chain hash after an entry, from the one segment that holds it (its part up to the entry is read and verified).
    /// 0 stands for the beginning; the sequence before the first segment is known too.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`], [`Error::Gap`] when it was released, and what a reader meets.
    pub fn chain_at(&self, sequence: u64) -> Result<ChainHash> {
        if sequence == 0 {
            return Ok(ChainHash::ZERO);
        }
        let mut entry = Entry::default();
        let start = StartingPoint::read(&*self.fs, &self.path);
        let sequences = self.segment_sequences()?;
        let before_first = sequences.first().map_or_else(
            || matches!(&start, Ok(Some(start)) if start.sequence == sequence),
            |first| first - 1 == sequence,
        );
        if before_first {
            if let (None, Some(start)) = (sequences.first(), start?) {
                return Ok(start.chain_hash);
            }
            let mut reader = JournalReader::of(self.clone(), ReaderOptions::default());
            reader.read_next(&mut entry)?;
            let before = match &reader.at {
                At::Final(reader, _) => reader.chain_before(),
                At::Open(scanner, _) => Some(scanner.header().start.chain_before),
                _ => None,
            };
            return before.ok_or_else(|| Error::Gap { first: 1, last: sequence, path: self.path.clone() });
        }
        let options = ReaderOptions::default().with_from_sequence(sequence);
        let mut reader = JournalReader::of(self.clone(), options);
        if reader.read_next(&mut entry)? {
            return Ok(entry.chain_hash);
        }
        let last = reader.last.map_or(0, |last| last.sequence);
        Err(Error::BeyondEnd { sequence, last, path: self.path.clone() })
    }

    /// Where the journal ends, as far as it can be seen now: by its newest segment, which is read. Of a journal without
    /// entries, where it begins.
    ///
    /// # Errors
    /// What a reader meets in that segment.
    pub fn position(&self) -> Result<Position> {
        let lineage = self.identity()?.map_or(Lineage::LEGACY, |identity| identity.lineage);
        let start = || -> Result<Position> {
            let start = StartingPoint::read(&*self.fs, &self.path)?;
            Ok(start.map_or_else(
                || Position::start(lineage),
                |start| Position { lineage, sequence: start.sequence, chain_hash: start.chain_hash },
            ))
        };
        let Some(&newest) = self.segment_sequences()?.last() else { return start() };
        let options = ReaderOptions::default().with_from_sequence(newest);
        let mut reader = JournalReader::of(self.clone(), options);
        let mut entry = Entry::default();
        while reader.read_next(&mut entry)? {}
        reader.last.map_or_else(start, |Last { sequence, chain_hash }| {
            Ok(Position { lineage, sequence, chain_hash })
        })
    }
}
