//! Entries that a target refuses and an operator has named: passed over once, recorded before, and nothing else.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::path::Path;
use std::sync::Arc;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_replay::{
    BatchStep, Error, Guarantee, Reason, ReplayEntry, ReplayTarget, Result, check_batch,
};
use graphstream_replication::{Follower, SkippingTarget, Stop};
use serde_json::Value;
use world::{Recorder, World, eager_follower, entry};

const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);

/// A target in memory that refuses some sequences.
#[derive(Debug, Default)]
struct Table {
    position: Option<Position>,
    applied: Vec<u64>,
    refused: Vec<u64>,
    /// It commits every entry by itself, as grafeo's parts.
    in_parts: bool,
    /// It dies when its position is to move without an entry.
    dies_skipping: bool,
}

impl ReplayTarget for Table {
    fn name(&self) -> &str {
        "table"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> Result<Option<Position>> {
        Ok(self.position)
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        let step = check_batch("table", self.position.as_ref(), batch, &position)?;
        if step == BatchStep::PositionOnly && self.dies_skipping {
            let source = Reason::new("killed").into();
            return Err(Error::Gone { target: "table".to_owned(), attempt: "applying", source });
        }
        let refused = batch.iter().find(|entry| self.refused.contains(&entry.sequence));
        if let Some(refused) = refused {
            if self.in_parts {
                let before = batch.iter().take_while(|entry| entry.sequence < refused.sequence);
                for entry in before {
                    self.applied.push(entry.sequence);
                    self.position = Some(entry.position(position.lineage));
                }
            }
            let source = Reason::new("no \"such\" column").into();
            return Err(Error::Poison { target: "table".to_owned(), sequence: refused.sequence, source });
        }
        self.applied.extend(batch.iter().map(|entry| entry.sequence));
        self.position = Some(position);
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

fn journal(last: u64) -> Vec<ReplayEntry> {
    let mut chain_hash = ChainHash::ZERO;
    let chained = (1..=last).map(|sequence| {
        let entry = entry(sequence);
        chain_hash = chain_hash.after(&entry.encode().unwrap());
        ReplayEntry { sequence, commit_ms: 1000, chain_hash, entry }
    });
    chained.collect()
}

fn follow(target: &mut dyn ReplayTarget, journal: &[ReplayEntry], batch: usize) -> Result<()> {
    let at = target.position()?.map_or(0, |at| at.sequence);
    for batch in journal[usize::try_from(at).unwrap()..].chunks(batch) {
        target.apply(batch, batch.last().unwrap().position(LINEAGE))?;
    }
    Ok(())
}

fn recorded(record: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sequences(record: &Path) -> Vec<u64> {
    recorded(record).iter().map(|line| line["entry"]["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn r07_what_is_named_and_refused_is_passed_over_wherever_it_stands_in_its_batch() {
    let journal = journal(12);
    let dir = tempfile::tempdir().unwrap();
    for in_parts in [false, true] {
        for batch in 1..=12 {
            for refused in [vec![1], vec![12], vec![5], vec![4, 5, 6], vec![1, 12], (1..=12).collect()] {
                let record = dir.path().join(format!("{in_parts} {batch} {refused:?}"));
                let metrics = GraphstreamMetrics::shared();
                let mut table = Table { refused: refused.clone(), in_parts, ..Table::default() };
                let mut target = SkippingTarget::new(&mut table, 1..=12, &record, Arc::clone(&metrics));
                follow(&mut target, &journal, batch).unwrap();
                let expected: Vec<u64> = (1..=12).filter(|sequence| !refused.contains(sequence)).collect();
                assert_eq!(table.applied, expected, "{refused:?} in batches of {batch}");
                assert_eq!(table.position, Some(journal[11].position(LINEAGE)));
                assert_eq!(sequences(&record), refused);
                assert_eq!(metrics.snapshot().follower.entries_skipped, refused.len() as u64);
            }
        }
    }
}

#[test]
fn r07_what_is_not_named_stops_it_and_what_is_not_refused_is_applied() {
    let journal = journal(6);
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    let mut table = Table { refused: vec![3, 5], ..Table::default() };
    let metrics = GraphstreamMetrics::shared();
    let mut target = SkippingTarget::new(&mut table, [2, 3], &record, Arc::clone(&metrics));
    let error = follow(&mut target, &journal, 6).unwrap_err();
    assert!(matches!(error, Error::Poison { sequence: 5, .. }), "{error}");
    // What stands before the skipped one is there, and what is behind it waits for the one that stops it.
    assert_eq!(table.applied, [1, 2]);
    assert_eq!(table.position, Some(journal[2].position(LINEAGE)));
    assert_eq!(sequences(&record), [3]);
    // Without the flag it goes on: what was skipped stays skipped.
    table.refused.clear();
    follow(&mut table, &journal, 6).unwrap();
    assert_eq!(table.applied, [1, 2, 4, 5, 6]);
}

#[test]
fn the_record_says_when_what_why_and_where() {
    let journal = journal(2);
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    let mut table = Table { refused: vec![2], ..Table::default() };
    let mut target = SkippingTarget::new(&mut table, [2], &record, GraphstreamMetrics::shared());
    follow(&mut target, &journal, 2).unwrap();
    let lines = recorded(&record);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line["skipped_ms"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!((&line["target"], &line["reason"]), (&"table".into(), &"no \"such\" column".into()));
    let entry = &line["entry"];
    assert_eq!(entry["query"], journal[1].entry.query);
    assert_eq!((&entry["params"]["number"], &entry["commit_ms"]), (&2.into(), &1000.into()));
    assert_eq!(entry["chain_hash"], journal[1].chain_hash.to_string());
    assert_eq!(entry["lineage"], LINEAGE.to_string());
    // It can be appended elsewhere, or applied by hand.
    graphstream_proto::json::parse_line(&entry.to_string(), 0).unwrap();
}

fn skip<'t>(table: &'t mut Table, record: &Path) -> SkippingTarget<&'t mut Table> {
    SkippingTarget::new(table, [2], record, GraphstreamMetrics::shared())
}

#[test]
fn r07_the_record_is_there_before_the_position_moves_and_nothing_moves_without_it() {
    let journal = journal(3);
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    let mut table = Table { refused: vec![2], dies_skipping: true, ..Table::default() };
    let error = follow(&mut skip(&mut table, &record), &journal, 3).unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error}");
    assert_eq!((sequences(&record), table.position), (vec![2], Some(journal[0].position(LINEAGE))));
    // It comes again, and is written again.
    table.dies_skipping = false;
    follow(&mut skip(&mut table, &record), &journal, 3).unwrap();
    assert_eq!((sequences(&record), table.applied), (vec![2, 2], vec![1, 3]));

    let mut table = Table { refused: vec![2], ..Table::default() };
    let nowhere = dir.path().join("missing").join("record");
    let error = follow(&mut skip(&mut table, &nowhere), &journal, 3).unwrap_err();
    assert!(matches!(error, Error::Open { .. }) && error.to_string().contains("record"), "{error}");
    assert_eq!(table.position, Some(journal[0].position(LINEAGE)));
}

#[tokio::test]
async fn a_follower_goes_on_behind_what_is_skipped() {
    let world = World::new();
    world.published(40).await;
    let target = Recorder::default();
    target.durable().poison = Some(17);
    world.catch_up(&target).await.unwrap_err();
    let record = world.dir("record");
    let metrics = GraphstreamMetrics::shared();
    let skipping = SkippingTarget::new(target.clone(), [17], &record, Arc::clone(&metrics));
    let mut follower =
        Follower::open(world.remote(), Box::new(skipping), eager_follower(), metrics).await.unwrap();
    let status = follower.catch_up(None, &Stop::new()).await.unwrap();
    assert_eq!(status.applied_sequence(), 40);
    let expected: Vec<u64> = (1..=40).filter(|number| *number != 17).collect();
    assert_eq!(target.numbers(), expected);
    assert_eq!(sequences(&record), [17]);
    // The next one needs no flag.
    world.catch_up(&target).await.unwrap();
    assert_eq!(target.numbers(), expected);
}
