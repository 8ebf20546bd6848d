//! A database that is written through: it and its journal agree after every error and every restart.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::Duration;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_journal::JournalReader;
use graphstream_replay::ErrorClass as TargetClass;
use graphstream_replication::{Error, ErrorKind, Leader, Started};
use world::target::Mishap;
use world::{LONG, Recorder, World, entries, entry};

async fn start(world: &World, database: &Recorder) -> (Leader, Started) {
    world.leader("journal").database(Box::new(database.clone())).start().await.unwrap()
}

/// The journal and the database hold the same `1..=last`.
#[track_caller]
fn assert_agreed(world: &World, database: &Recorder, last: u64) {
    database.assert_holds(last);
    let journaled = JournalReader::open(world.dir("journal"), Default::default()).unwrap();
    let last_entry = journaled.map(Result::unwrap).last();
    assert_eq!(last_entry.as_ref().map_or(0, |entry| entry.sequence), last);
    assert_eq!(
        database.durable().position.map(|position| position.chain_hash),
        last_entry.map(|entry| entry.chain_hash)
    );
}

#[tokio::test]
async fn what_is_executed_is_in_the_journal_in_the_database_and_in_the_followers() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, started) = start(&world, &database).await;
    assert_eq!(started.healed, 0);
    let written = leader.execute(entry(1)).await.unwrap();
    assert_eq!((written.first, written.position.sequence), (1, 1));
    let written = leader.execute_batch(entries(2..=9)).await.unwrap();
    assert_eq!((written.first, written.position.sequence), (2, 9));
    assert_eq!(database.durable().position, Some(written.position));
    assert_eq!(leader.journal().positions().synced.sequence, 9);
    leader.shutdown(LONG).await.unwrap();
    assert!(database.durable().closed);
    assert_agreed(&world, &database, 9);
    let follower = Recorder::default();
    world.catch_up(&follower).await.unwrap();
    assert_eq!(follower.durable().rows, database.durable().rows);
    assert_eq!(follower.durable().position, database.durable().position);
}

#[tokio::test]
async fn a_refused_statement_is_never_journaled_and_takes_its_batch_with_it() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, _) = start(&world, &database).await;
    leader.execute(entry(1)).await.unwrap();
    database.durable().poison = Some(4);
    let error = leader.execute_batch(entries(2..=5)).await.unwrap_err();
    let Error::Statement { index: 2, source } = &error else { panic!("{error}") };
    assert_eq!(source.reason().as_deref(), Some("no such table"));
    assert_eq!(error.kind(), ErrorKind::Target);
    assert_eq!(leader.journal().positions().written.sequence, 1);
    database.durable().poison = None;
    leader.execute(entry(2)).await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    assert_agreed(&world, &database, 2);
}

#[tokio::test]
async fn l11_a_commit_that_fails_stops_the_leader_and_the_next_start_heals() {
    for mishap in [Mishap::DiesBefore, Mishap::DiesAfter] {
        let world = World::new();
        let database = Recorder::default();
        let (leader, _) = start(&world, &database).await;
        leader.execute_batch(entries(1..=3)).await.unwrap();
        database.durable().mishaps = vec![Some(mishap)];
        let error = leader.execute_batch(entries(4..=6)).await.unwrap_err();
        assert!(matches!(&error, Error::Target(error) if error.class() == TargetClass::Gone), "{error}");
        // The journal has them: executing more would leave the database behind for good.
        let error = leader.execute(entry(7)).await.unwrap_err();
        assert!(matches!(error, Error::Diverged { first: 4, last: 6 }), "{error}");
        leader.shutdown(LONG).await.unwrap();

        let (leader, started) = start(&world, &database).await;
        assert_eq!(started.healed, if mishap == Mishap::DiesBefore { 3 } else { 0 }, "{mishap:?}");
        leader.execute(entry(7)).await.unwrap();
        leader.shutdown(LONG).await.unwrap();
        assert_agreed(&world, &database, 7);
    }
}

#[tokio::test]
async fn a_failed_append_leaves_the_database_as_it_was() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, _) = start(&world, &database).await;
    leader.execute(entry(1)).await.unwrap();
    // Another leader takes over; this one learns it and ends its journal.
    leader.journal().fence(1).unwrap();
    let error = leader.execute(entry(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    database.assert_holds(1);
    drop(leader);
}

#[tokio::test]
async fn a_database_that_lost_its_disk_is_replayed_from_the_journal() {
    let world = World::new();
    let (leader, _) = start(&world, &Recorder::default()).await;
    for first in (1..=1200).step_by(100) {
        leader.execute_batch(entries(first..=first + 99)).await.unwrap();
    }
    leader.shutdown(LONG).await.unwrap();
    let empty = Recorder::default();
    let (leader, started) = start(&world, &empty).await;
    assert_eq!(started.healed, 1200);
    empty.assert_holds(1200);
    assert!(empty.durable().batches.len() > 1, "in batches");
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn a_database_that_does_not_fit_the_journal_is_refused() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, _) = start(&world, &database).await;
    leader.execute_batch(entries(1..=5)).await.unwrap();
    let lineage = leader.journal().lineage();
    leader.shutdown(LONG).await.unwrap();
    let epoch = world.head().await.epoch();

    let chain_hash = ChainHash::from_bytes([9; 32]);
    let ahead = Recorder::at(Position { lineage, sequence: 6, chain_hash });
    let forked = Recorder::at(Position { lineage, sequence: 5, chain_hash });
    let foreign = Recorder::of_lineage(Lineage::from_bytes([1; 16]));
    let refusal = async |database: Recorder| {
        world.leader("journal").database(Box::new(database)).start().await.unwrap_err()
    };
    assert!(matches!(refusal(ahead).await, Error::DatabaseAhead { database: 6, journal: 5 }));
    assert!(matches!(refusal(forked).await, Error::DatabaseForked { sequence: 5, .. }));
    assert!(matches!(refusal(foreign).await, Error::TargetLineage { .. }));
    let (leader, _) = start(&world, &database).await;
    assert!(leader.is_shipping(), "the refused ones hold nothing; head of epoch {epoch} before");
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn appending_beside_the_database_is_refused_and_so_is_executing_without_one() {
    let world = World::new();
    let (leader, _) = start(&world, &Recorder::default()).await;
    assert!(matches!(leader.append(&entry(1)).unwrap_err(), Error::WriteThrough));
    leader.shutdown(LONG).await.unwrap();
    let leader = world.lead("journal").await;
    assert!(matches!(leader.execute(entry(1)).await.unwrap_err(), Error::NoTarget));
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn r10_a_dropped_execution_still_happens_whole_or_not_at_all() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, _) = start(&world, &database).await;
    let dropped = tokio::time::timeout(Duration::ZERO, leader.execute_batch(entries(1..=3)));
    let _finished_or_not = dropped.await;
    // The next one waits for it, for there is one writer at a time.
    leader.execute(entry(4)).await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    let held = database.numbers();
    assert!(held == [1, 2, 3, 4] || held == [4], "{held:?}");
    let last = u64::try_from(held.len()).unwrap();
    assert_eq!(database.durable().position.unwrap().sequence, last);
}
