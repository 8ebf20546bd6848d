//! A journal of the factory's statements.

use std::path::PathBuf;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::JournalEntry;

use super::{Broken, TargetFactory};
use crate::{ReplayEntry, ReplayTarget, Result};

/// A journal of the factory's statements, made as far as it is needed.
pub(super) struct Journal<'a> {
    factory: &'a dyn TargetFactory,
    pub(super) lineage: Lineage,
    schema: Vec<JournalEntry>,
    entries: Vec<ReplayEntry>,
}

impl<'a> Journal<'a> {
    pub(super) fn new(factory: &'a dyn TargetFactory) -> Self {
        let lineage = Lineage::from_bytes([0xc0; 16]);
        Self { factory, lineage, schema: factory.schema(), entries: Vec::new() }
    }

    /// How many entries come before the first statement.
    pub(super) fn head(&self) -> u64 {
        self.schema.len() as u64
    }

    /// The entries `first..=last`.
    pub(super) fn range(&mut self, first: u64, last: u64) -> Result<Vec<ReplayEntry>, Broken> {
        while (self.entries.len() as u64) < last {
            let n = self.entries.len();
            let entry = match self.schema.get(n) {
                Some(entry) => entry.clone(),
                None => self.factory.statement((n - self.schema.len()) as u64 + 1),
            };
            let before = self.entries.last().map_or(ChainHash::ZERO, |entry| entry.chain_hash);
            self.entries.push(chained(n as u64 + 1, before, entry)?);
        }
        let from = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
        let to = usize::try_from(last).unwrap_or(usize::MAX);
        Ok(self.entries.get(from..to).unwrap_or_default().to_vec())
    }

    pub(super) fn position(&mut self, sequence: u64) -> Result<Position, Broken> {
        let chain_hash = match sequence {
            0 => ChainHash::ZERO,
            _ => self.range(sequence, sequence)?.first().map_or(ChainHash::ZERO, |entry| entry.chain_hash),
        };
        Ok(Position { lineage: self.lineage, sequence, chain_hash })
    }

    pub(super) fn apply(
        &mut self,
        target: &mut dyn ReplayTarget,
        first: u64,
        last: u64,
    ) -> Result<Result<()>, Broken> {
        let batch = self.range(first, last)?;
        let position = self.position(last)?;
        Ok(target.apply(&batch, position))
    }

    /// A target with the schema applied, and where.
    pub(super) fn prepared(&mut self) -> Result<(PathBuf, Box<dyn ReplayTarget>), Broken> {
        let place = self.factory.fresh();
        let mut target = self.factory.open(&place)?;
        if self.head() > 0 {
            self.apply(target.as_mut(), 1, self.head())??;
        }
        Ok((place, target))
    }
}

pub(super) fn chained(sequence: u64, before: ChainHash, entry: JournalEntry) -> Result<ReplayEntry, Broken> {
    let payload = entry.encode().map_err(|error| Broken {
        obligation: "-",
        detail: format!("the factory's entry {sequence} can't be encoded: {error}"),
        source: None,
    })?;
    let commit_ms = 1_700_000_000_000_i64.saturating_add_unsigned(sequence);
    Ok(ReplayEntry { sequence, commit_ms, chain_hash: before.after(&payload), entry })
}
