//! The leader's own database: a follower of its own journal that is written through.
//!
//! ```text
//!   begin ─► execute each ─► journal: append, synced ─► commit with the position
//!               │ refused         │ failed                  │ failed
//!               ▼                 ▼                         ▼
//!            rollback,         rollback;                 the journal has what the database lacks:
//!            not journaled     the journal says          nothing more is written; the next start replays it
//! ```

use graphstream_format::{ChainHash, Position};
use graphstream_journal::{Ack, Journal, ReaderOptions};
use graphstream_proto::JournalEntry;
use graphstream_replay::{ReplayTarget, TransactionalTarget};

use super::Written;
use crate::follower::{Batcher, Limits, Spares};
use crate::{Error, Result};

/// Healing replays in the follower's default batches.
const HEAL_ENTRIES_MAX: usize = 500;
const HEAL_BYTES_MAX: usize = 4 << 20;

/// The database and whether it still goes with the journal.
pub(super) struct Database {
    target: Box<dyn TransactionalTarget>,
    /// Entries that are journaled but that a commit failed to take.
    lacks: Option<(u64, u64)>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("target", &self.target.name())
            .field("lacks", &self.lacks)
            .finish_non_exhaustive()
    }
}

impl Database {
    pub(super) fn new(target: Box<dyn TransactionalTarget>) -> Self {
        Self { target, lacks: None }
    }

    /// Replays what the journal has beyond the database's position. Returns the number of entries. Blocks.
    pub(super) fn heal(&mut self, journal: &Journal) -> Result<u64> {
        let end = journal.positions().synced;
        let position = self.target.position()?.unwrap_or(Position::start(end.lineage));
        if position.lineage != end.lineage {
            return Err(Error::TargetLineage { target: position.lineage, published: end.lineage });
        }
        if position.sequence > end.sequence {
            return Err(Error::DatabaseAhead { database: position.sequence, journal: end.sequence });
        }
        let first = journal.dir().segment_sequences()?.first().copied();
        let begins_after = first.map_or(end.sequence, |first| first.saturating_sub(1));
        if position.sequence < begins_after {
            return Err(Error::DatabaseBehind { database: position.sequence, journal: begins_after });
        }
        check(&position, journal.dir().chain_at(position.sequence)?)?;
        if position.sequence == end.sequence {
            return Ok(0);
        }
        let options = ReaderOptions::default().with_from_sequence(position.sequence.saturating_add(1));
        let limits = Limits { entries_max: HEAL_ENTRIES_MAX, bytes_max: HEAL_BYTES_MAX, lines: false };
        let mut batcher = Batcher::new(end.lineage, limits, Spares::default());
        let mut healed = 0;
        for entry in journal.dir().reader(options)? {
            let entry = entry?;
            if entry.sequence > end.sequence {
                break;
            }
            healed += 1;
            if let Some(batch) = batcher.push(&entry)? {
                batch.content.apply(&mut self.target, batch.position)?;
            }
        }
        if let Some(batch) = batcher.take() {
            batch.content.apply(&mut self.target, batch.position)?;
        }
        Ok(healed)
    }

    /// Runs the entries in one transaction, journals them as one record, and commits. Blocks.
    pub(super) fn write(&mut self, journal: &Journal, entries: &[JournalEntry]) -> Result<Written> {
        if let Some((first, last)) = self.lacks {
            return Err(Error::Diverged { first, last });
        }
        let payloads = super::encode(entries)?;
        journal.check_room()?;
        self.target.begin()?;
        for (index, entry) in entries.iter().enumerate() {
            if let Err(source) = self.target.execute(entry) {
                self.target.rollback()?;
                return Err(Error::Statement { index, source });
            }
        }
        let journaled = journal.append_batch(&payloads).and_then(|ticket| ticket.wait(Ack::Synced));
        let sequences = match journaled {
            Ok(sequences) => sequences,
            Err(error) => {
                self.target.rollback()?;
                return Err(error.into());
            }
        };
        let (first, last) = sequences.into_inner();
        // From here on the entries are history: a database that does not take them must be healed.
        self.lacks = Some((first, last));
        let position = super::position_of(journal, last)?;
        self.target.commit(position)?;
        self.lacks = None;
        Ok(Written { first, position })
    }

    pub(super) fn close(&mut self) -> Result<()> {
        Ok(self.target.close()?)
    }
}

fn check(position: &Position, journal: ChainHash) -> Result<()> {
    if position.chain_hash == journal {
        return Ok(());
    }
    Err(Error::DatabaseForked { sequence: position.sequence, database: position.chain_hash, journal })
}
