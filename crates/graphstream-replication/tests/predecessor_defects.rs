//! What the predecessor's uploader, cache and followers got wrong, one test each (numbers as in our list of its defects).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::Duration;

use graphstream_replication::{
    CacheOptions, Error, ErrorKind, Stop, UPLOADER_CURSOR, UploadManifest, UploadMessage,
};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::{LONG, Recorder, World, append, append_to, cut_off, patient_uploads, sealed};

/// One sealed segment per entry.
fn segments(world: &World, count: u64) -> graphstream_journal::Journal {
    let journal = world.journal("journal", 0);
    for number in 1..=count {
        append_to(&journal, number, number);
        journal.seal().unwrap();
    }
    journal
}

/// Its cache removed every uploaded segment older than an hour, the last one too: the next write was number 1, and overwrote the first
/// segment in the store.
#[tokio::test]
async fn defect_12_after_cleaning_up_the_journal_goes_on_where_it_was() {
    let world = World::new();
    segments(&world, 5).close().unwrap();
    let options = patient_uploads().with_cache(CacheOptions::nothing());
    let (leader, _) = world.leader("journal").uploader_options(options.clone()).start().await.unwrap();
    leader.sync().await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    assert_eq!(sealed(&world.dir("journal")).len(), 1);
    let stored = world.segments().await;
    let first = world.object(&stored[0]).await;
    let (leader, started) = world.leader("journal").uploader_options(options).start().await.unwrap();
    assert_eq!(started.recovery.position.sequence, 5);
    append(&leader, 6, 6).await;
    leader.shutdown(LONG).await.unwrap();
    assert_eq!(world.object(&stored[0]).await, first);
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(6);
}

/// If the timer had just sealed, its sync found nothing to seal and said yes, though nothing was uploaded.
#[tokio::test]
async fn defect_14_a_sync_with_nothing_to_seal_waits_for_what_is_not_stored() {
    let world = World::new();
    let leader = world.lead("journal").await;
    cut_off(&world.faults);
    append(&leader, 1, 3).await;
    leader.journal().seal().unwrap();
    let early = tokio::time::timeout(Duration::from_millis(20), leader.sync()).await;
    assert!(early.is_err(), "{early:?}");
    world.faults.clear();
    assert_eq!(leader.sync().await.unwrap().sequence, 3);
    leader.shutdown(LONG).await.unwrap();
}

/// Independent uploads in no order: later segments appeared while an earlier one had failed, and readers stepped over the hole.
#[tokio::test]
async fn defect_16_a_follower_never_sees_a_segment_behind_one_that_failed() {
    for failing in 1..=5 {
        let world = World::new();
        let _journal = segments(&world, 5);
        let mut uploader = world.uploader("journal").await.unwrap();
        world.faults.inject(
            Rule::new(Operation::Put, Fault::Before(ErrorClass::Unavailable)).on_key("seg/").nth(failing),
        );
        uploader.ship().await.unwrap_err();
        let target = Recorder::default();
        if failing > 1 {
            world.catch_up(&target).await.unwrap();
        }
        target.assert_holds(failing - 1);
        uploader.ship().await.unwrap();
        world.catch_up(&target).await.unwrap();
        target.assert_holds(5);
    }
}

/// It listed from the first sequence on: at 5 with segments 1-3, 4-6, 7-9, it got 7-9 alone, and 6 was skipped.
#[tokio::test]
async fn defect_17_a_follower_inside_a_segment_gets_the_rest_of_it() {
    let world = World::new();
    let journal = world.journal("journal", 0);
    for first in [1, 4, 7] {
        append_to(&journal, first, first + 2);
        journal.seal().unwrap();
    }
    world.uploader("journal").await.unwrap().ship().await.unwrap();
    let target = Recorder::default();
    let mut follower = world.follower(&target).await;
    follower.catch_up(Some(5), &Stop::new()).await.unwrap();
    drop(follower);
    target.assert_holds(5);
    world.catch_up(&target).await.unwrap();
    target.assert_holds(9);
}

/// Unconditional puts under a key without epoch or writer: two leaders overwrote each other's segments.
#[tokio::test]
async fn defect_18_no_leader_overwrites_what_another_has_uploaded() {
    let world = World::new();
    let _first = segments(&world, 3);
    world.uploader("journal").await.unwrap().ship().await.unwrap();
    let mut before = Vec::new();
    for key in world.segments().await {
        before.push((world.object(&key).await, key));
    }
    // Another journal that counts from 1, under the same name.
    let other = world.journal("other", 2);
    assert_eq!(world.uploader("other").await.unwrap_err().kind(), ErrorKind::Integrity);
    drop(other);
    // The same history, led by another process: under names of its own.
    let (leader, _) = world.leader("again").continue_from_head(true).start().await.unwrap();
    append(&leader, 4, 5).await;
    leader.shutdown(LONG).await.unwrap();
    for (bytes, key) in before {
        assert_eq!(world.object(&key).await, bytes, "{key}");
    }
}

/// Without its cache each tick uploaded every sealed segment again: 220 puts for 20 segments in 11 ticks of an idle writer.
#[tokio::test]
async fn defect_25_an_idle_writers_segments_are_uploaded_once() {
    let world = World::new();
    let _journal = segments(&world, 20);
    let mut uploader = world.uploader("journal").await.unwrap();
    uploader.ship().await.unwrap();
    let puts = world.faults.calls(Operation::Put);
    for _ in 0..11 {
        assert_eq!(uploader.ship().await.unwrap().segments, 0);
    }
    drop(uploader);
    assert_eq!(
        world.uploader("journal").await.unwrap().ship().await.unwrap().segments,
        0,
        "nor after a restart"
    );
    assert_eq!(world.faults.calls(Operation::Put), puts);
}

/// When the sender of its shutdown was dropped, the loop ran without a pause: thousands of puts in a second.
#[tokio::test]
async fn defect_26_dropping_every_handle_asks_for_nothing() {
    let world = World::new();
    let _journal = segments(&world, 3);
    let mut uploader = world.uploader("journal").await.unwrap();
    drop(uploader.handle());
    uploader.ship().await.unwrap();
    let calls = || Operation::ALL.iter().map(|operation| world.faults.calls(*operation)).sum::<u64>();
    let before = calls();
    let stop = Stop::new();
    let ran = tokio::time::timeout(Duration::from_millis(50), uploader.run(&stop)).await;
    assert!(ran.is_err(), "it goes on: {ran:?}");
    assert!(calls() - before <= 1, "{} calls within the first of its intervals", calls() - before);
}

/// What was in flight was queued again each tick, until its channel was full and the loop stood, shutdown included.
#[tokio::test]
async fn defect_27_requests_during_an_upload_queue_nothing_twice_and_never_block() {
    let world = World::new();
    let leader = world.lead("journal").await;
    world.faults.inject(Rule::new(Operation::Put, Fault::Hang).on_key("seg/").always());
    append(&leader, 1, 3).await;
    let before = world.faults.calls(Operation::Put);
    for _ in 0..1000 {
        leader.uploader().send(UploadMessage::Upload).await.unwrap();
    }
    leader.journal().seal().unwrap();
    while world.faults.calls(Operation::Put) == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..1000 {
        leader.uploader().send(UploadMessage::Upload).await.unwrap();
    }
    assert_eq!(world.faults.calls(Operation::Put) - before, 1, "one segment, one put");
    let error = leader.shutdown(Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { unstored: 3 }), "{error}");
}

/// One file that could not be read, or that cleaning up had removed under its hands, ended the whole scan.
#[tokio::test]
async fn defect_28_a_damaged_segment_holds_up_only_what_is_behind_it() {
    for removed in [false, true] {
        let world = World::new();
        segments(&world, 5).close().unwrap();
        let third = sealed(&world.dir("journal")).remove(2);
        if removed {
            std::fs::remove_file(&third.path).unwrap();
        } else {
            let mut bytes = std::fs::read(&third.path).unwrap();
            bytes[130] ^= 0x55;
            std::fs::write(&third.path, bytes).unwrap();
        }
        let mut uploader = world.uploader("journal").await.unwrap();
        let error = uploader.ship().await.unwrap_err();
        if removed {
            assert!(matches!(error, Error::LocalGap { first: 3, last: 3 }), "{error}");
        } else {
            assert!(error.to_string().contains("journal-0000000000000003"), "{error}");
        }
        assert_eq!(world.head().await.committed().sequence, 2);
        assert_eq!(uploader.archive().status(5).unwrap().last_failure.unwrap().sequence, 3);
    }
}

/// The whole manifest was written and synced for every upload, and a damaged one was fatal.
#[tokio::test]
async fn defect_29_a_damaged_manifest_is_written_anew() {
    let world = World::new();
    let journal = segments(&world, 12);
    let path = world.dir("journal").join("upload_manifest.json");
    world.uploader("journal").await.unwrap().ship().await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let foreign =
        String::from_utf8(whole.clone()).unwrap().replacen("\"lineage\": \"", "\"lineage\": \"0", 1);
    for damaged in [&b""[..], &whole[..whole.len() / 2], b"{}", b"\xff\xfe", foreign.as_bytes()] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(UploadManifest::read(journal.dir()).unwrap(), None);
        world.uploader("journal").await.unwrap().ship().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "written anew, from the head");
    }
    assert_eq!(journal.dir().cursor(UPLOADER_CURSOR).unwrap().unwrap().sequence, 12);
}

/// Its list of what to resume was silently empty when a lock was held, and later versions dropped everything behind the 256th.
#[tokio::test]
async fn defect_30_a_restart_ships_everything_that_waits() {
    let world = World::new();
    segments(&world, 300).close().unwrap();
    world
        .faults
        .inject(Rule::new(Operation::Put, Fault::Before(ErrorClass::Unavailable)).on_key("seg/").nth(20));
    let mut uploader = world.uploader("journal").await.unwrap();
    uploader.ship().await.unwrap_err();
    assert_eq!(
        uploader.archive().status(300).unwrap().pending.entries,
        300 - world.head().await.committed().sequence
    );
    drop(uploader);
    let mut uploader = world.uploader("journal").await.unwrap();
    assert_eq!(uploader.ship().await.unwrap().committed.sequence, 300);
    let manifest =
        UploadManifest::read(&graphstream_journal::JournalDir::open(world.dir("journal")).unwrap());
    assert_eq!(manifest.unwrap().unwrap().segments.len(), 64, "however many there are (defect 29)");
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(300);
}
