//! A journal in memory, and looks into the graph that a target made of it.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::path::{Path, PathBuf};

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_replay::{ReplayEntry, ReplayTarget, Result};
use graphstream_target_grafeo::{GrafeoTarget, from_grafeo};

pub(crate) const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);

/// A statement without parameters.
pub(crate) fn statement(query: &str) -> JournalEntry {
    JournalEntry::new(query, 0)
}

/// Chains entries, the first one after `after`.
pub(crate) fn chain(
    after: Option<Position>,
    entries: impl IntoIterator<Item = JournalEntry>,
) -> Vec<ReplayEntry> {
    let (mut sequence, mut chain_hash) =
        after.map_or((0, ChainHash::ZERO), |at| (at.sequence, at.chain_hash));
    entries
        .into_iter()
        .map(|entry| {
            sequence += 1;
            chain_hash = chain_hash.after(&entry.encode().unwrap());
            ReplayEntry { sequence, commit_ms: 0, chain_hash, entry }
        })
        .collect()
}

/// Where a target is after a batch.
pub(crate) fn end(batch: &[ReplayEntry]) -> Position {
    batch.last().unwrap().position(LINEAGE)
}

/// Applies entries as one batch that follows the target's position.
pub(crate) fn apply(
    target: &mut GrafeoTarget,
    entries: impl IntoIterator<Item = JournalEntry>,
) -> Result<()> {
    let batch = chain(target.position()?, entries);
    target.apply(&batch, end(&batch))
}

/// Applies statements without parameters as one batch.
pub(crate) fn run(target: &mut GrafeoTarget, queries: &[&str]) -> Result<()> {
    apply(target, queries.iter().map(|query| statement(query)))
}

/// Copies a database that is open, as a power cut would leave it: grafeo finds a WAL to recover from.
pub(crate) fn copy_open(from: &Path, to: &Path) {
    for name in ["", ".wal"] {
        let with = |path: &Path| PathBuf::from(format!("{}{name}", path.display()));
        if with(from).exists() {
            copy(&with(from), &with(to));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        copy(&file.path(), &to.join(file.file_name()));
    }
}

/// The rows that a reading query returns.
pub(crate) fn rows(target: &GrafeoTarget, query: &str) -> Vec<Vec<ParamValue>> {
    let session = target.read_session().unwrap();
    let found = session.execute_language(query, "cypher", Some(Default::default())).unwrap();
    found.rows().iter().map(|row| row.iter().map(|value| from_grafeo(value).unwrap()).collect()).collect()
}

/// The one integer that a reading query returns.
pub(crate) fn number(target: &GrafeoTarget, query: &str) -> i64 {
    match rows(target, query).as_slice() {
        [row] => match row.as_slice() {
            [ParamValue::Int64(number)] => *number,
            other => panic!("{query} returned {other:?}"),
        },
        other => panic!("{query} returned {other:?}"),
    }
}
