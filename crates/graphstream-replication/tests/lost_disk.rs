//! A leader whose disk is gone, or gone in parts: it goes on where the head stands if it is told to, and never by itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_journal::{Ack, Journal};
use graphstream_remote::Error as RemoteError;
use graphstream_replication::{Error, ErrorKind, Leader, Result, Started, continue_from_head};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::{LONG, Recorder, World, append, append_to, entries, entry, sealed, small_segments};

/// The journal that published `1..=20` is gone with its machine.
async fn lost() -> World {
    let world = World::new();
    let leader = world.lead("lost").await;
    append(&leader, 1, 20).await;
    leader.shutdown(LONG).await.unwrap();
    world
}

async fn go_on(world: &World, journal: &str) -> Result<(Leader, Started)> {
    world.leader(journal).continue_from_head(true).start().await
}

/// A follower sees `1..=last` as one history.
async fn assert_unbroken(world: &World, last: u64) {
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(last);
    let committed = world.head().await.committed();
    assert_eq!(target.durable().position.map(|position| position.chain_hash), committed.chain.hash());
}

#[tokio::test]
async fn a_directory_without_its_journal_is_refused_and_left_alone() {
    let world = lost().await;
    let error = world.leader("mistyped").start().await.unwrap_err();
    let Error::NoJournal { committed, database, .. } = &error else { panic!("{error}") };
    assert_eq!((committed.sequence, database.as_str()), (20, "people"));
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert!(!world.dir("mistyped").exists(), "nothing was set up");
    assert_eq!(world.head().await.epoch(), 1, "nothing was claimed");
}

#[tokio::test]
async fn told_so_it_goes_on_from_the_head_in_one_chain() {
    let world = lost().await;
    let before = world.head().await;
    let (leader, started) = go_on(&world, "new").await.unwrap();
    assert!(started.recovery.created);
    assert_eq!((started.epoch, started.recovery.position.sequence), (2, 20));
    assert_eq!(started.recovery.position.lineage, before.lineage());
    append(&leader, 21, 33).await;
    leader.shutdown(LONG).await.unwrap();
    assert_unbroken(&world, 33).await;

    // From then on it is a journal like any other, whatever is said.
    for told in [false, true] {
        let (leader, started) = world.leader("new").continue_from_head(told).start().await.unwrap();
        assert_eq!((started.recovery.created, started.recovery.position.sequence), (false, 33));
        leader.shutdown(LONG).await.unwrap();
    }
}

#[tokio::test]
async fn commit_times_go_on_behind_those_of_the_head() {
    let world = lost().await;
    let floor = world.head().await.committed().commit_ms;
    let (leader, _) = go_on(&world, "new").await.unwrap();
    let payload = entry(21).encode().unwrap();
    leader.journal().append_at(payload, floor - 60_000).unwrap().acked(Ack::Synced).await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    assert!(world.head().await.committed().commit_ms >= floor);
}

#[tokio::test]
async fn without_a_history_there_is_nothing_to_go_on_from() {
    let world = World::new();
    let (leader, started) = go_on(&world, "new").await.unwrap();
    assert_eq!(started.recovery.position.sequence, 0);
    append(&leader, 1, 3).await;
    leader.shutdown(LONG).await.unwrap();
    assert_unbroken(&world, 3).await;
}

#[tokio::test]
async fn a_lost_head_is_not_taken_for_a_new_database() {
    let world = lost().await;
    world.remove(&world.head_key()).await;
    for told in [false, true] {
        let error = world.leader("new").continue_from_head(told).start().await.unwrap_err();
        assert!(
            matches!(&error, Error::Remote(RemoteError::HeadMissing { evidence: Some(_), .. })),
            "{error}"
        );
        assert!(!world.dir("new").exists());
    }
}

/// A part of the disk is gone: the journal ends before the head, and nothing says what its other entries were.
#[tokio::test]
async fn a_journal_that_lost_its_end_is_refused_whatever_is_said() {
    let world = lost().await;
    let newest = sealed(&world.dir("lost")).pop().unwrap();
    std::fs::remove_file(newest.path).unwrap();
    for told in [false, true] {
        let error = world.leader("lost").continue_from_head(told).start().await.unwrap_err();
        let Error::Remote(RemoteError::Behind { local, committed }) = &error else { panic!("{error}") };
        assert_eq!((*local, committed.sequence), (newest.header.first_seq - 1, 20));
        assert_eq!(error.kind(), ErrorKind::Journal);
    }
    assert_eq!(world.head().await.epoch(), 1, "nothing was claimed");
}

#[tokio::test]
async fn a_journal_that_lost_all_its_segments_goes_on_only_if_told_so() {
    let world = lost().await;
    for segment in sealed(&world.dir("lost")) {
        std::fs::remove_file(segment.path).unwrap();
    }
    let error = world.leader("lost").start().await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::Behind { local: 0, .. })), "{error}");
    let (leader, started) = go_on(&world, "lost").await.unwrap();
    assert_eq!(started.recovery.position.sequence, 20);
    append(&leader, 21, 22).await;
    leader.shutdown(LONG).await.unwrap();
    assert_unbroken(&world, 22).await;
}

/// The store fails, or the process ends, at each request of the start: told so again, the leader goes on, and nobody sees a second
/// history.
#[tokio::test]
async fn l11_a_start_that_fails_at_any_request_is_repeated() {
    for operation in [Operation::Get, Operation::Put, Operation::List] {
        for fault in [ErrorClass::Unavailable, ErrorClass::TimeoutUnknown] {
            for nth in 1..=16 {
                let world = lost().await;
                let rule = match fault {
                    ErrorClass::TimeoutUnknown if operation == Operation::Put => Fault::After(fault),
                    _ => Fault::Before(fault),
                };
                world.faults.inject(Rule::new(operation, rule).nth(nth));
                let first = go_on(&world, "new").await;
                world.faults.clear();
                let (leader, _) = match first {
                    Ok(started) => started,
                    Err(error) => {
                        assert_ne!(error.kind(), ErrorKind::Integrity, "{operation:?} {nth}: {error}");
                        go_on(&world, "new").await.unwrap()
                    }
                };
                append(&leader, 21, 23).await;
                leader.shutdown(LONG).await.unwrap();
                assert_unbroken(&world, 23).await;
            }
        }
    }
}

/// Two machines are told to take over from the lost one: one of them leads, the other is fenced and can begin again.
#[tokio::test]
async fn r04_of_two_that_go_on_at_once_one_leads() {
    let world = lost().await;
    let (first, _) = go_on(&world, "first").await.unwrap();
    let (second, started) = go_on(&world, "second").await.unwrap();
    assert_eq!(started.epoch, 3);
    append(&second, 21, 25).await;
    second.sync().await.unwrap();
    append(&first, 21, 22).await;
    assert!(first.sync().await.is_err());
    assert_eq!(first.shutdown(LONG).await.unwrap_err().kind(), ErrorKind::Fenced);

    // Its entries beyond the fence go aside, and there it stands, with nothing of its own, behind the head.
    let error = world.leader("first").start().await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::Behind { local: 20, .. })), "{error}");
    assert!(world.dir("first").join("forked").is_dir());
    second.shutdown(LONG).await.unwrap();
    let (first, started) = go_on(&world, "first").await.unwrap();
    assert_eq!(started.recovery.position.sequence, 25);
    append(&first, 26, 27).await;
    first.shutdown(LONG).await.unwrap();
    assert_unbroken(&world, 27).await;
}

#[tokio::test]
async fn an_empty_journal_of_another_history_stays_what_it_is() {
    let world = lost().await;
    Journal::builder(world.dir("other")).open().unwrap().0.close().unwrap();
    let error = go_on(&world, "other").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert_eq!(Journal::builder(world.dir("other")).open().unwrap().1.position.sequence, 0);
}

#[tokio::test]
async fn the_database_must_stand_where_the_journal_begins() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, _) = world.leader("lost").database(Box::new(database.clone())).start().await.unwrap();
    leader.execute_batch(entries(1..=9)).await.unwrap();
    let backup = database.durable().position.unwrap();
    leader.execute_batch(entries(10..=20)).await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    let start = |database: Recorder| {
        world.leader("new").continue_from_head(true).database(Box::new(database)).start()
    };

    for (behind, at) in [(Recorder::at(backup), 9), (Recorder::default(), 0)] {
        let error = start(behind).await.unwrap_err();
        assert!(
            matches!(error, Error::DatabaseBehind { database, journal: 20 } if database == at),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    let same = database.durable().position.unwrap();
    let forked = Position { chain_hash: ChainHash::from_bytes([1; 32]), ..same };
    assert!(matches!(start(Recorder::at(forked)).await, Err(Error::DatabaseForked { sequence: 20, .. })));
    let ahead = Position { sequence: 21, ..same };
    assert!(matches!(start(Recorder::at(ahead)).await, Err(Error::DatabaseAhead { database: 21, .. })));
    let foreign = Position { lineage: Lineage::from_bytes([9; 16]), ..same };
    assert!(matches!(start(Recorder::at(foreign)).await, Err(Error::TargetLineage { .. })));

    let (leader, started) = start(database.clone()).await.unwrap();
    assert_eq!(started.healed, 0);
    leader.execute(entry(21)).await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    database.assert_holds(21);
    assert_unbroken(&world, 21).await;
}

/// A database that was restored from an old copy, before a journal that has let go of what came between.
#[tokio::test]
async fn a_database_older_than_its_journal_is_refused_and_not_healed_in_parts() {
    let world = World::new();
    let database = Recorder::default();
    let (leader, _) = world.leader("journal").database(Box::new(database.clone())).start().await.unwrap();
    for number in 1..=20 {
        leader.execute(entry(number)).await.unwrap();
    }
    leader.shutdown(LONG).await.unwrap();
    let oldest = sealed(&world.dir("journal")).remove(0);
    std::fs::remove_file(&oldest.path).unwrap();
    let old = Recorder::default();
    let error = world.leader("journal").database(Box::new(old.clone())).start().await.unwrap_err();
    let last = oldest.header.last_seq;
    assert!(matches!(error, Error::DatabaseBehind { database: 0, journal } if journal == last), "{error}");
    assert!(old.numbers().is_empty());
}

/// For an application that appends beside its shipper.
#[tokio::test]
async fn a_journal_is_set_up_from_the_head_for_another_writer() {
    let world = lost().await;
    let committed = continue_from_head(world.dir("new"), &world.remote()).await.unwrap();
    assert_eq!(committed, Some(world.head().await.committed()));
    let (journal, _) = Journal::builder(world.dir("new")).options(small_segments()).open().unwrap();
    append_to(&journal, 21, 21);
    let nothing_sealed = world.uploader("new").await.unwrap().ship().await.unwrap();
    assert_eq!((nothing_sealed.segments, nothing_sealed.committed.sequence), (0, 20));
    append_to(&journal, 22, 30);
    journal.seal().unwrap();
    world.uploader("new").await.unwrap().ship().await.unwrap();
    assert_unbroken(&world, 30).await;
    assert_eq!(continue_from_head(world.dir("new"), &world.remote()).await.unwrap(), None, "it has entries");
    let nowhere = World::new();
    assert_eq!(continue_from_head(nowhere.dir("new"), &nowhere.remote()).await.unwrap(), None);
    assert!(!nowhere.dir("new").exists());
}
