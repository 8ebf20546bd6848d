//! An application that executes in its own database, step by step: what is dropped where, and what that leaves behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::Duration;

use graphstream_format::{ChainHash, Position};
use graphstream_journal::{JournalOptions, ReaderOptions};
use graphstream_replication::{Error, ErrorKind, Leader, WriteThrough};
use world::{LONG, Recorder, World, append, entries, entry};

async fn begin(world: &World) -> (Leader, WriteThrough) {
    let leader = world.lead("journal").await;
    let through = leader.write_through(Position::start(leader.journal().lineage())).await.unwrap();
    (leader, through)
}

/// The application's database: it replays what it lacks.
fn healed(leader: &Leader, from: Position) -> Position {
    leader.journal().sync().unwrap();
    let options = ReaderOptions::default().with_from_sequence(from.sequence + 1);
    let mut position = from;
    for entry in leader.journal().dir().reader(options).unwrap() {
        let entry = entry.unwrap();
        position = Position { sequence: entry.sequence, chain_hash: entry.chain_hash, ..position };
    }
    position
}

#[tokio::test]
async fn step_by_step_the_database_and_the_journal_agree() {
    let world = World::new();
    let (leader, through) = begin(&world).await;
    let mut last = None;
    for first in [1, 4] {
        let writing = through.write().await.unwrap();
        let synced = writing.append(&entries(first..=first + 2)).unwrap().synced().await.unwrap();
        let position = synced.position();
        assert_eq!(leader.journal().positions().synced, position, "it is history before it is committed");
        let written = synced.committed();
        assert_eq!((written.first, written.position), (first, position));
        last = Some(position);
    }
    // The same database, after a restart of its own.
    leader.write_through(last.unwrap()).await.unwrap();
    leader.sync().await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(6);
}

#[tokio::test]
async fn one_writes_at_a_time() {
    let world = World::new();
    let (leader, through) = begin(&world).await;
    let writing = through.write().await.unwrap();
    let another = leader.write_through(Position::start(leader.journal().lineage()));
    assert!(tokio::time::timeout(Duration::from_millis(10), another).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(10), through.write()).await.is_err());
    let synced = writing.append(&[entry(1)]).unwrap().synced().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(10), through.write()).await.is_err());
    synced.committed();
    drop(through.write().await.unwrap());
}

#[tokio::test]
async fn dropped_before_the_append_nothing_has_happened() {
    let world = World::new();
    let (leader, through) = begin(&world).await;
    drop(through.write().await.unwrap());
    // Nor when it is refused.
    let error = through.write().await.unwrap().append(&[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal, "{error}");
    assert_eq!(leader.journal().positions().written.sequence, 0);
    let synced = through.write().await.unwrap().append(&[entry(1)]).unwrap().synced().await.unwrap();
    assert_eq!(synced.committed().first, 1);
}

#[tokio::test]
async fn l11_dropped_after_the_append_nothing_is_written_until_the_database_was_healed() {
    for synced in [false, true] {
        let world = World::new();
        let (leader, through) = begin(&world).await;
        let first = through.write().await.unwrap().append(&entries(1..=2)).unwrap();
        let database = first.synced().await.unwrap().committed().position;
        let appended = through.write().await.unwrap().append(&entries(3..=5)).unwrap();
        if synced {
            drop(appended.synced().await.unwrap());
        } else {
            drop(appended);
            leader.journal().sync().unwrap();
        }
        for _ in 0..2 {
            let error = through.write().await.unwrap_err();
            assert!(matches!(error, Error::Diverged { first: 3, last: 5 }), "{error}");
        }
        let error = leader.write_through(database).await.unwrap_err();
        assert!(matches!(error, Error::DatabaseLacks { first: 3, last: 5 }), "{error}");
        assert!(matches!(through.write().await, Err(Error::Diverged { .. })), "it was not healed");
        let database = healed(&leader, database);
        leader.write_through(database).await.unwrap();
        // The old one is as good.
        let written = through.write().await.unwrap().append(&[entry(6)]).unwrap().synced().await.unwrap();
        assert_eq!(written.committed().first, 6);
    }
}

#[tokio::test]
async fn a_database_that_does_not_fit_the_journal_is_refused() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 4).await;
    let end = leader.journal().positions().synced;
    let at = |sequence, chain_hash| Position { sequence, chain_hash, ..end };
    let refused = async |position| leader.write_through(position).await.unwrap_err();
    let error = refused(at(5, end.chain_hash)).await;
    assert!(matches!(error, Error::DatabaseAhead { database: 5, journal: 4 }), "{error}");
    let error = refused(at(2, end.chain_hash)).await;
    assert!(matches!(error, Error::DatabaseForked { sequence: 2, .. }), "{error}");
    let error = refused(at(0, ChainHash::ZERO)).await;
    assert!(matches!(error, Error::DatabaseLacks { first: 1, last: 4 }), "{error}");
    let foreign = Position { lineage: graphstream_format::Lineage::from_bytes([9; 16]), ..end };
    assert!(matches!(refused(foreign).await, Error::TargetLineage { .. }));
    leader.write_through(end).await.unwrap();
    // From now on an append would leave the entry out of the database.
    assert!(matches!(leader.append(&entry(5)), Err(Error::WriteThrough)));
}

#[tokio::test]
async fn what_others_append_to_the_journal_is_noticed() {
    let world = World::new();
    let (leader, through) = begin(&world).await;
    world::append_to(leader.journal(), 1, 1);
    assert!(matches!(through.write().await, Err(Error::Diverged { first: 1, last: 1 })));
}

#[tokio::test]
async fn beside_a_database_of_the_leaders_own_nobody_else_writes_through() {
    let world = World::new();
    let leader = world.leader("journal").database(Box::new(Recorder::default()));
    let leader = leader.journal_options(JournalOptions::default()).start().await.unwrap().0;
    let position = Position::start(leader.journal().lineage());
    assert!(matches!(leader.write_through(position).await, Err(Error::WriteThrough)));
}
