//! A journal in memory, and a follower that replays it.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::path::Path;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::JournalEntry;
use graphstream_proto::json::parse_entry_line;
use graphstream_replay::{ErrorClass, ReplayEntry, ReplayTarget, Result};

pub(crate) const LINEAGE: Lineage = Lineage::from_bytes([0xab; 16]);

/// Chains entries, the first one at sequence 1.
pub(crate) fn chain(entries: impl IntoIterator<Item = JournalEntry>) -> Vec<ReplayEntry> {
    let mut chain_hash = ChainHash::ZERO;
    (1..)
        .zip(entries)
        .map(|(sequence, entry)| {
            chain_hash = chain_hash.after(&entry.encode().unwrap());
            ReplayEntry { sequence, commit_ms: 1_700_000_000_000, chain_hash, entry }
        })
        .collect()
}

/// A journal of `count` small entries.
pub(crate) fn journal(count: i64) -> Vec<ReplayEntry> {
    chain((1..=count).map(|n| JournalEntry::new("CREATE (:N {n: $n})", 1_600_000_000_000).with_param("n", n)))
}

/// Where a target is after a batch.
pub(crate) fn end(batch: &[ReplayEntry]) -> Position {
    batch.last().unwrap().position(LINEAGE)
}

pub(crate) fn apply(target: &mut dyn ReplayTarget, batch: &[ReplayEntry]) -> Result<()> {
    target.apply(batch, end(batch))
}

pub(crate) fn sequence(target: &mut dyn ReplayTarget) -> Result<u64> {
    Ok(target.position()?.map_or(0, |position| position.sequence))
}

/// Replays what a target lacks of `journal`, in batches of `size`. A target that is gone is reopened and asked where it is, as a
/// follower does. Returns how often that was.
pub(crate) fn follow(target: &mut dyn ReplayTarget, journal: &[ReplayEntry], size: usize) -> Result<u32> {
    let mut reopened = 0;
    loop {
        let at = usize::try_from(sequence(target)?).unwrap();
        let Some(batch) = journal[at..].chunks(size).next() else { return Ok(reopened) };
        match apply(target, batch) {
            Err(error) if error.class() == ErrorClass::Gone => {
                target.reopen()?;
                reopened += 1;
            }
            other => other?,
        }
    }
}

/// The sequences of a `jsonl` file, in its order.
pub(crate) fn sequences(file: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line was left");
    text.lines().map(|line| parse_entry_line(line).unwrap().sequence).collect()
}
