//! A leader and its uploader: what *stored* means, in-order publication, restarts, outages, shutdown.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::Duration;

use graphstream_journal::{Ack, Journal, JournalOptions};
use graphstream_remote::Error as RemoteError;
use graphstream_replication::{Error, ErrorKind, Stop, UPLOADER_CURSOR};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::{
    LONG, Recorder, World, append, append_to, causes, cut_off, entry, patient_uploads, sealed, small_segments,
};

/// Calls to the store so far.
fn calls(world: &World) -> u64 {
    Operation::ALL.iter().map(|operation| world.faults.calls(*operation)).sum()
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn stored_means_uploaded_and_covered_by_the_head() {
    let world = World::new();
    let leader = world.lead("journal").await;
    cut_off(&world.faults);
    append(&leader, 1, 30).await;
    let nothing = leader.stored(1);
    assert!(tokio::time::timeout(Duration::from_millis(20), nothing).await.is_err(), "nothing is stored yet");
    world.faults.clear();
    let committed = leader.sync().await.unwrap();
    assert_eq!(committed.sequence, 30);
    assert_eq!(world.head().await.committed(), committed);
    assert_eq!(leader.stored(30).await.unwrap(), committed);
    assert_eq!(leader.journal().positions().written.chain_hash, committed.chain.hash().unwrap());
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(30);
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn what_nobody_waited_for_is_stored_too() {
    let world = World::new();
    for end in [9, 18] {
        let leader = world.lead("journal").await;
        for number in end - 8..=end {
            let _not_waited_for = leader.append(&entry(number)).unwrap();
        }
        if end == 9 {
            assert_eq!(leader.sync().await.unwrap().sequence, end);
        }
        let report = leader.shutdown(LONG).await.unwrap();
        assert_eq!((report.position.sequence, report.committed.sequence), (end, end));
    }
}

/// The leader's options ask for no look at the journal within the hour, and no bound on the age is needed for a full segment.
#[tokio::test]
async fn a_segment_is_shipped_when_it_is_sealed() {
    let world = World::new();
    let full = small_segments().with_segment_age_max(Duration::MAX);
    let (leader, _) = world.leader("journal").journal_options(full).start().await.unwrap();
    let mut last = 0;
    for _ in 0..3 {
        // Full.
        let sealed = leader.journal().positions().sealed.sequence;
        while leader.journal().positions().sealed.sequence == sealed {
            last += 1;
            append(&leader, last, last).await;
        }
        let sealed = leader.journal().positions().sealed.sequence;
        let stored = tokio::time::timeout(LONG, leader.stored(sealed)).await;
        assert!(stored.expect("it is shipped").unwrap().sequence >= sealed);
    }
    leader.shutdown(LONG).await.unwrap();

    // Aged: nobody asks, and nothing follows.
    let aged = JournalOptions::default().with_segment_age_max(Duration::from_millis(20));
    let (leader, _) = world.leader("journal").journal_options(aged).start().await.unwrap();
    for _ in 0..3 {
        last += 1;
        append(&leader, last, last).await;
        let stored = tokio::time::timeout(LONG, leader.stored(last)).await;
        assert_eq!(stored.expect("it is shipped").unwrap().sequence, last);
    }
    leader.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(last);
}

#[tokio::test]
async fn a_journal_that_ends_behind_its_leader_ends_the_uploader_after_what_is_sealed() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 30).await;
    leader.journal().close().unwrap();
    until(|| !leader.is_shipping()).await;
    assert_eq!(leader.stored(30).await.unwrap().sequence, 30);
    let error = leader.shutdown(LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal, "{error}");
}

#[tokio::test]
async fn shutdown_stores_what_was_appended_and_the_next_leader_goes_on() {
    let world = World::new();
    for round in 0..4 {
        let (leader, started) = world.leader("journal").start().await.unwrap();
        assert_eq!(started.committed.sequence, round * 5);
        assert_eq!(u64::from(started.epoch), round + 1, "every start claims an epoch of its own");
        append(&leader, round * 5 + 1, round * 5 + 5).await;
        let report = leader.shutdown(LONG).await.unwrap();
        assert_eq!((report.position.sequence, report.committed.sequence), (round * 5 + 5, round * 5 + 5));
    }
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(20);
}

#[tokio::test]
async fn a_run_with_nothing_to_publish_claims_nothing() {
    let world = World::new();
    let (journal, _) = Journal::builder(world.dir("journal")).options(small_segments()).open().unwrap();
    let mut uploader = world.uploader("journal").await.unwrap();
    let shipped = uploader.ship().await.unwrap();
    assert_eq!((shipped.segments, shipped.committed.sequence, uploader.epoch()), (0, 0, None));
    assert!(world.keys("epoch/").await.is_empty());
    append_to(&journal, 1, 3);
    journal.seal().unwrap();
    uploader.ship().await.unwrap();
    assert_eq!(uploader.epoch(), Some(1));
    drop(uploader);

    let mut again = world.uploader("journal").await.unwrap();
    again.ship().await.unwrap();
    assert_eq!((again.epoch(), world.head().await.epoch()), (None, 1));
}

#[tokio::test]
async fn l16_a_second_shipper_is_refused() {
    let world = World::new();
    let leader = world.lead("journal").await;
    let error = world.uploader("journal").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert!(error.to_string().contains("SHIP"), "{error}");
    leader.shutdown(LONG).await.unwrap();
    world.uploader("journal").await.unwrap();
}

#[tokio::test]
async fn segments_are_published_in_order_whatever_their_uploads_do() {
    let world = World::new();
    world.journal("journal", 40).close().unwrap();
    let segments = sealed(&world.dir("journal"));
    assert!(segments.len() >= 4);
    // The second upload fails once; those after it arrive.
    world
        .faults
        .inject(Rule::new(Operation::Put, Fault::Before(ErrorClass::Unavailable)).on_key("seg/").nth(2));
    let mut uploader = world.uploader("journal").await.unwrap();
    let error = uploader.ship().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let uploaded = world.segments().await.len();
    assert!(uploaded >= 3, "those uploaded beside it are there: {uploaded}");
    let committed = world.head().await.committed().sequence;
    assert_eq!(committed, segments[0].header.last_seq, "the head covers the contiguous ones only");
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(committed);

    uploader.ship().await.unwrap();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(40);
}

#[tokio::test]
async fn r01_an_uploader_stopped_anywhere_leaves_a_store_that_the_next_one_completes() {
    // Every call to the store is, once, the last one that this uploader makes.
    for (operation, calls) in [(Operation::Get, 8), (Operation::Put, 16), (Operation::List, 3)] {
        for call in 1..=calls {
            for fault in [Fault::Hang, Fault::HangAfter] {
                let world = World::new();
                world.journal("journal", 30).close().unwrap();
                world.faults.inject(Rule::new(operation, fault.clone()).nth(call));
                let stopped = async { world.uploader("journal").await?.ship().await };
                let _ended_or_not = tokio::time::timeout(Duration::from_millis(30), stopped).await;
                world.faults.clear();
                let mut next = world.uploader_after("journal").await;
                let shipped = next.ship().await.unwrap();
                assert_eq!(shipped.committed.sequence, 30, "{operation} {call} {fault:?}");
                let target = Recorder::default();
                world.catch_up(&target).await.unwrap();
                target.assert_holds(30);
            }
        }
    }
}

#[tokio::test]
async fn s02_lost_answers_are_resolved_and_nobody_is_fenced_by_themselves() {
    for call in 1..=16 {
        let world = World::new();
        world.journal("journal", 30).close().unwrap();
        world.faults.inject(Rule::new(Operation::Put, Fault::After(ErrorClass::TimeoutUnknown)).nth(call));
        let mut uploader = world.uploader("journal").await.unwrap();
        let mut shipped = uploader.ship().await;
        if let Err(error) = &shipped {
            assert!(error.is_transient(), "answer {call} lost: {error}");
            shipped = uploader.ship().await;
        }
        assert_eq!(shipped.unwrap().committed.sequence, 30);
        assert_eq!(world.head().await.epoch(), 1, "answer {call} lost");
    }
}

#[tokio::test]
async fn s01_under_faults_by_chance_everything_arrives_once_and_in_order() {
    for seed in 0..8 {
        let world = World::with_seed(seed);
        for operation in [Operation::Get, Operation::Put, Operation::List] {
            for fault in [
                Fault::Before(ErrorClass::Unavailable),
                Fault::Before(ErrorClass::Throttled),
                Fault::After(ErrorClass::TimeoutUnknown),
            ] {
                world.faults.inject(Rule::new(operation, fault).per_mille(60));
            }
        }
        let target = Recorder::default();
        let mut follower = world.follower(&target).await;
        let following = tokio::spawn(async move { follower.run(Some(60), &Stop::new()).await });
        let journal = world.journal("journal", 10);
        retry(&world, 10).await;
        for last in (20..=60).step_by(10) {
            append_to(&journal, last - 9, last);
            journal.seal().unwrap();
            retry(&world, last).await;
        }
        tokio::time::timeout(LONG, following).await.expect("it ends").unwrap().unwrap();
        target.assert_holds(60);
    }
}

/// Ships with uploaders that are started anew after each failure, as an operator's supervisor does.
async fn retry(world: &World, until: u64) {
    for _ in 0..200 {
        let Ok(mut uploader) = world.uploader("journal").await else { continue };
        if let Ok(shipped) = uploader.ship().await {
            assert_eq!(shipped.committed.sequence, until);
            return;
        }
    }
    panic!("200 attempts were not enough");
}

#[tokio::test]
async fn s11_a_dead_store_stops_no_append_and_recovers_without_a_restart() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 10).await;
    leader.sync().await.unwrap();
    for operation in Operation::ALL {
        world.faults.inject(Rule::new(operation, Fault::Before(ErrorClass::Denied)).always());
    }
    append(&leader, 11, 30).await;
    let before = calls(&world);
    tokio::select! {
        stored = leader.sync() => panic!("{stored:?}"),
        () = until(|| calls(&world) > before + 5) => {}
    }
    assert!(leader.is_shipping());
    assert_eq!(leader.watch().borrow().sequence, 10, "no level is reported higher than true");
    world.faults.clear();
    assert_eq!(leader.stored(30).await.unwrap().sequence, 30);
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn r08_shutdown_with_a_dead_store_ends_at_its_deadline_and_another_leader_ships_the_rest() {
    let world = World::new();
    let leader = world.lead("journal").await;
    world.faults.inject(Rule::new(Operation::Put, Fault::Hang).always());
    append(&leader, 1, 10).await;
    let error = leader.shutdown(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { unstored: 10 }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Store);
    world.faults.clear();
    // No lock is left behind: the next one starts at once, in this process.
    let (leader, started) = world.leader("journal").start().await.unwrap();
    assert_eq!(started.recovery.position.sequence, 10);
    assert_eq!(leader.sync().await.unwrap().sequence, 10);
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn r08_shutdown_with_a_failing_store_says_what_failed() {
    let world = World::new();
    let leader = world.lead("journal").await;
    world.faults.inject(Rule::new(Operation::Put, Fault::Before(ErrorClass::Unavailable)).always());
    append(&leader, 1, 10).await;
    let error = leader.shutdown(LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error}");
    world.faults.clear();
    let leader = world.lead("journal").await;
    leader.shutdown(LONG).await.unwrap();
    assert_eq!(world.head().await.committed().sequence, 10);
}

#[tokio::test]
async fn without_the_store_a_leader_does_not_start() {
    let world = World::new();
    world.faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Unavailable)).always());
    let error = world.leader("journal").start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    world.faults.clear();
    world.lead("journal").await.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn a_waiter_for_stored_learns_that_the_uploader_has_ended() {
    let world = World::new();
    let leader = world.lead("journal").await;
    world.faults.inject(Rule::new(Operation::Put, Fault::Before(ErrorClass::Unavailable)).always());
    append(&leader, 1, 10).await;
    // A damaged journal is nothing that a retry mends.
    leader.journal().seal().unwrap();
    let segment = sealed(&world.dir("journal")).swap_remove(0);
    let mut bytes = std::fs::read(&segment.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment.path, bytes).unwrap();
    until(|| !leader.is_shipping()).await;
    let error = leader.sync().await.unwrap_err();
    assert!(matches!(error, Error::NotStored { sequence: 10 }), "{error}");
    let error = leader.shutdown(LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(causes(&error).contains(segment.path.to_str().unwrap()), "{}", causes(&error));
    assert!(world.segments().await.is_empty(), "damage is never uploaded");
}

#[tokio::test]
async fn l18_a_segment_that_vanished_before_it_was_shipped_is_a_gap() {
    let world = World::new();
    world.journal("journal", 30).close().unwrap();
    let segments = sealed(&world.dir("journal"));
    std::fs::remove_file(&segments[1].path).unwrap();
    let mut uploader = world.uploader("journal").await.unwrap();
    let error = uploader.ship().await.unwrap_err();
    let header = &segments[1].header;
    assert!(
        matches!(error, Error::LocalGap { first, last } if (first, last) == (header.first_seq, header.last_seq)),
        "{error}"
    );
    assert_eq!(world.head().await.committed().sequence, segments[0].header.last_seq);
}

#[tokio::test]
async fn the_uploaders_cursor_follows_what_is_committed() {
    let world = World::new();
    let journal = world.journal("journal", 30);
    let mut uploader = world.uploader("journal").await.unwrap();
    uploader.ship().await.unwrap();
    let cursor = journal.dir().cursor(UPLOADER_CURSOR).unwrap().unwrap();
    assert_eq!(cursor.sequence, 30);
}

#[tokio::test]
async fn a_journal_that_published_never_creates_a_head_again() {
    let world = World::new();
    world.published(30).await;
    for key in world.keys("").await {
        world.remove(&key).await;
    }
    let error = world.uploader("published").await.unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::HeadMissing { .. })), "{error}");

    // Not even when the journal no longer knows its chain where it published last.
    for segment in sealed(&world.dir("published")) {
        std::fs::remove_file(segment.path).unwrap();
    }
    world.uploader("published").await.unwrap_err();
    assert!(world.keys("").await.is_empty(), "nothing was created");
}

#[tokio::test]
async fn a_journal_of_another_lineage_is_refused_by_the_store_it_would_overwrite() {
    let world = World::new();
    world.published(10).await;
    world.journal("other", 20).close().unwrap();
    let error = world.uploader("other").await.unwrap_err();
    assert!(
        matches!(&error, Error::Remote(RemoteError::OtherLineage { .. } | RemoteError::OtherDatabase { .. })),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn uploads_run_side_by_side_up_to_their_limit() {
    let world = World::new();
    world.journal("journal", 60).close().unwrap();
    world.faults.inject(Rule::new(Operation::Put, Fault::Hang).on_key("seg/").always());
    let metrics = std::sync::Arc::default();
    let options = patient_uploads().with_uploads_max(3);
    let mut uploader =
        graphstream_replication::Uploader::open(world.dir("journal"), world.remote(), options, metrics)
            .await
            .unwrap();
    let before = world.faults.calls(Operation::Put);
    uploader.claim().await.unwrap();
    let claimed = world.faults.calls(Operation::Put);
    assert!(claimed > before);
    let puts = || world.faults.calls(Operation::Put) - claimed;
    let full = async {
        until(|| puts() == 3).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    tokio::select! {
        shipped = uploader.ship() => panic!("{shipped:?}"),
        () = full => assert_eq!(puts(), 3),
    }
}

#[tokio::test]
async fn one_batch_is_one_record_all_or_nothing() {
    let world = World::new();
    let leader = world.lead("journal").await;
    let ticket = leader.append_batch(&world::entries(1..=5)).unwrap();
    assert_eq!(ticket.acked(Ack::Synced).await.unwrap(), 1..=5);
    let mut empty_query = world::entries(6..=7);
    empty_query[1].query.clear();
    let error = leader.append_batch(&empty_query).unwrap_err();
    assert!(matches!(error, Error::Encode { index: 1, .. }), "{error}");
    assert_eq!(leader.shutdown(LONG).await.unwrap().position.sequence, 5);
}
