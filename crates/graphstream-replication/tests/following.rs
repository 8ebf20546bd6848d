//! A follower on a healthy store: everything once, in order, wherever it was stopped, at one request per look.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_replay::ReplayTarget;
use graphstream_replication::{Error, ErrorKind, Follower, FollowerStatus, Stop};
use graphstream_storage::Operation;
use world::target::Mishap;
use world::{LONG, Recorder, World, append, commit_ms, eager_follower};

#[tokio::test]
async fn what_was_appended_arrives_whole_and_in_order() {
    let world = World::new();
    let committed = world.published(40).await;
    assert!(world.segments().await.len() >= 4, "a path of several segments");
    let target = Recorder::default();
    let status = world.catch_up(&target).await.unwrap();
    target.assert_holds(40);
    assert_eq!(target.durable().rows, world::entries(1..=40));
    let applied = status.applied.unwrap();
    assert_eq!((applied.sequence, applied.chain_hash), (committed.sequence, committed.chain.hash().unwrap()));
    assert_eq!(status.applied_commit_ms, Some(commit_ms(40)));
    assert_eq!((status.lag_entries(), status.lag_bytes), (0, 0));
    assert!(target.durable().closed);
}

#[tokio::test]
async fn r05_stopped_at_any_entry_it_continues_without_a_duplicate_or_a_hole() {
    let world = World::new();
    world.published(25).await;
    for stop in 1..25 {
        let target = Recorder::default();
        let mut first = world.follower(&target).await;
        first.catch_up(Some(stop), &Stop::new()).await.unwrap();
        drop(first);
        target.assert_holds(stop);
        world.catch_up(&target).await.unwrap();
        target.assert_holds(25);
    }
}

#[tokio::test]
async fn batches_are_no_larger_than_asked() {
    let world = World::new();
    world.published(40).await;
    let target = Recorder::default();
    let mut follower =
        world.follower_with(&target, eager_follower().with_batch_entries_max(3)).await.unwrap();
    follower.catch_up(None, &Stop::new()).await.unwrap();
    target.assert_holds(40);
    let batches = target.durable().batches.clone();
    assert!(batches.iter().all(|size| (1..=3).contains(size)), "{batches:?}");
    assert!(batches.contains(&3));
}

#[tokio::test]
async fn without_room_in_the_cache_segments_are_fetched_twice_and_nothing_else_changes() {
    let world = World::new();
    world.published(40).await;
    let cache = tempfile::tempdir().unwrap();
    let options = eager_follower().with_cache_dir(cache.path()).with_cache_bytes_max(0);
    let target = Recorder::default();
    let before = world.faults.calls(Operation::Get);
    world.follower_with(&target, options).await.unwrap().catch_up(None, &Stop::new()).await.unwrap();
    target.assert_holds(40);
    let segments = world.segments().await.len() as u64;
    assert_eq!(world.faults.calls(Operation::Get) - before, 1 + 2 * segments, "the head, each segment twice");
    // Its own directory goes with the follower, which has gone; what it has seen of the history stays.
    let left: Vec<_> =
        std::fs::read_dir(cache.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, [world.head().await.lineage().to_string().as_str()]);
    let shelf = std::fs::read_dir(cache.path().join(&left[0])).unwrap();
    let segments =
        shelf.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "hadbj"));
    assert_eq!(segments.count(), 0, "no segment stays in the cache");
}

#[tokio::test]
async fn the_steady_state_costs_one_conditional_get_per_look_and_nothing_else() {
    let world = World::new();
    world.published(20).await;
    let target = Recorder::default();
    let metrics = Arc::<GraphstreamMetrics>::default();
    let to: Box<dyn ReplayTarget> = Box::new(target.clone());
    let options = eager_follower().with_poll_interval_max(Duration::from_millis(2));
    let mut follower = Follower::open(world.remote(), to, options, Arc::clone(&metrics)).await.unwrap();
    let mut status = follower.watch();
    let stop = Stop::new();
    let cancel = stop.clone();
    let task = tokio::spawn(async move { follower.run(None, &cancel).await });
    status.wait_for(|status| status.applied_sequence() == 20).await.unwrap();
    // Every answer is "not modified", which has no body.
    let looks = || metrics.snapshot().follower;
    let counts = || Operation::ALL.map(|operation| (operation, world.faults.calls(operation)));
    while looks().head_not_modified == 0 {
        tokio::task::yield_now().await;
    }
    let (before, begun) = (counts(), looks());
    while looks().head_polls < begun.head_polls + 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    task.await.unwrap().unwrap();
    let (after, ended) = (counts(), looks());
    let polls = ended.head_polls - begun.head_polls;
    // The counts at either end may have been taken in the middle of a look.
    let unchanged = ended.head_not_modified - begun.head_not_modified;
    assert!(unchanged.abs_diff(polls) <= 1, "{unchanged} of {polls}");
    for ((operation, before), (_, after)) in before.into_iter().zip(after) {
        let expected = if operation == Operation::Get { polls } else { 0 };
        let most = if operation == Operation::Get { 1 } else { 0 };
        assert!((after - before).abs_diff(expected) <= most, "{operation:?}: {} in {polls}", after - before);
    }
    assert_eq!(ended.segments_fetched, begun.segments_fetched);
}

#[tokio::test]
async fn it_tails_a_leader_until_the_entry_it_was_asked_for() {
    let world = World::new();
    let leader = world.lead("journal").await;
    let target = Recorder::default();
    let mut follower = world.follower(&target).await;
    let following = tokio::spawn(async move { follower.run(Some(30), &Stop::new()).await });
    for first in [1, 11, 21] {
        append(&leader, first, first + 9).await;
        leader.sync().await.unwrap();
    }
    let status: FollowerStatus =
        tokio::time::timeout(LONG, following).await.expect("it ends").unwrap().unwrap();
    assert_eq!(status.applied_sequence(), 30);
    target.assert_holds(30);
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_it_with_the_batch_in_hand_applied_and_the_target_closed() {
    let world = World::new();
    world.published(20).await;
    let target = Recorder::default();
    let mut follower = world.follower(&target).await;
    let stop = Stop::new();
    let mut status = follower.watch();
    let cancel = stop.clone();
    let following = tokio::spawn(async move { follower.run(None, &cancel).await });
    status.wait_for(|status| status.applied_sequence() > 0).await.unwrap();
    stop.cancel();
    let ended = tokio::time::timeout(LONG, following).await.expect("it ends").unwrap().unwrap();
    target.assert_holds(ended.applied_sequence());
    assert!(target.durable().closed);
}

#[tokio::test]
async fn without_a_database_catching_up_fails_and_running_waits() {
    let world = World::new();
    let target = Recorder::default();
    let error = world.catch_up(&target).await.unwrap_err();
    assert!(matches!(&error, Error::NoDatabase { database, .. } if database == "people"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Store);

    let mut follower = world.follower(&target).await;
    let following = tokio::spawn(async move { follower.run(Some(5), &Stop::new()).await });
    world.published(5).await;
    tokio::time::timeout(LONG, following).await.expect("it ends").unwrap().unwrap();
    target.assert_holds(5);
}

#[tokio::test]
async fn r05_a_target_that_dies_is_reopened_and_asked_what_it_has() {
    for mishap in [Mishap::DiesBefore, Mishap::DiesAfter] {
        for batch in 0..4 {
            let world = World::new();
            world.published(40).await;
            let target = Recorder::default();
            target.durable().mishaps = (0..batch).map(|_| None).chain([Some(mishap)]).collect();
            world.catch_up(&target).await.unwrap();
            target.assert_holds(40);
            assert_eq!(target.durable().reopened, 1, "{mishap:?} in batch {batch}");
        }
    }
}

#[tokio::test]
async fn a_target_that_stays_gone_ends_the_follower() {
    let world = World::new();
    world.published(10).await;
    let target = Recorder::default();
    target.durable().mishaps = vec![Some(Mishap::DiesBefore)];
    target.durable().lost = true;
    let error = world.catch_up(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Target);
    assert_eq!(target.durable().reopened, eager_follower().target_restarts_max);
    target.assert_holds(0);
}

#[tokio::test]
async fn r07_an_entry_that_fails_stops_the_follower_with_its_sequence_and_nothing_is_skipped() {
    let world = World::new();
    world.published(30).await;
    let target = Recorder::default();
    target.durable().poison = Some(17);
    for _ in 0..2 {
        let error = world.catch_up(&target).await.unwrap_err();
        let Error::Target(poison) = &error else { panic!("{error}") };
        assert_eq!(poison.sequence(), Some(17));
        assert_eq!(poison.reason().as_deref(), Some("no such table"));
        assert!(target.numbers().iter().all(|number| *number < 17), "nothing of its batch is there");
    }
    target.durable().poison = None;
    world.catch_up(&target).await.unwrap();
    target.assert_holds(30);
}
