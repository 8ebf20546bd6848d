//! Reading one's own writes: a reader waits for what a leader acknowledged, and is told when that will never come.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::Duration;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_replication::{Error, ErrorKind, Level, Stop};
use tokio::time::timeout;
use world::{LONG, Recorder, World, append, causes, entry};

#[tokio::test]
async fn a_reader_sees_what_it_wrote_once_it_has_waited() {
    let world = World::new();
    let leader = world.lead("journal").await;
    let target = Recorder::default();
    let mut follower = world.follower(&target).await;
    let (waiter, stop) = (follower.waiter(), Stop::new());
    let stopped = stop.clone();
    let running = tokio::spawn(async move { follower.run(None, &stopped).await });
    for number in 1..=20 {
        let ticket = leader.append(&entry(number)).unwrap();
        let sequence = *ticket.reached(Level::Synced).await.unwrap().end();
        // As it travels: as text, from the leader's client to the follower's.
        let token = leader.token(sequence).await.unwrap().to_string();
        leader.journal().seal().unwrap();
        timeout(LONG, waiter.wait(token.parse().unwrap())).await.expect("it is applied").unwrap();
        assert!(target.numbers().contains(&number));
        // Again, now that it is there.
        waiter.wait(token.parse().unwrap()).await.unwrap();
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn what_can_never_come_is_an_error_and_not_a_wait() {
    let world = World::new();
    let committed = world.published(30).await;
    let lineage = world.head().await.lineage();
    let target = Recorder::default();
    let mut follower = world.follower(&target).await;
    let waiter = follower.waiter();
    let position = |sequence, chain_hash| Position { lineage, sequence, chain_hash };
    // Before anything is known of the history.
    let fenced = follower.wait(position(30, ChainHash::from_bytes([7; 32])));
    let foreign = Position { lineage: Lineage::from_bytes([1; 16]), ..position(3, ChainHash::ZERO) };
    let other = follower.wait(foreign);
    let (fenced, other) = (tokio::spawn(fenced), tokio::spawn(other));
    follower.catch_up(None, &Stop::new()).await.unwrap();
    let fenced = timeout(LONG, fenced).await.expect("it ends").unwrap().unwrap_err();
    let Error::PositionForked { sequence: 30, followed, .. } = &fenced else { panic!("{}", causes(&fenced)) };
    assert_eq!((*followed, fenced.kind()), (committed.chain.hash().unwrap(), ErrorKind::Integrity));
    let other = timeout(LONG, other).await.expect("it ends").unwrap().unwrap_err();
    assert!(matches!(other, Error::ForeignPosition { .. }), "{other}");

    // The follower has ended: what is applied is known, and nothing else will come.
    waiter.wait(position(30, committed.chain.hash().unwrap())).await.unwrap();
    waiter.wait(Position::start(lineage)).await.unwrap();
    let beyond = waiter.wait(position(31, ChainHash::ZERO)).await.unwrap_err();
    assert!(matches!(beyond, Error::Ended(_)), "{beyond}");
    drop(follower);
    let beyond = waiter.wait(position(31, ChainHash::ZERO)).await.unwrap_err();
    assert!(matches!(beyond, Error::Ended(_)), "{beyond}");
}

#[tokio::test]
async fn a_wait_has_a_limit_if_it_is_given_one() {
    let world = World::new();
    world.published(5).await;
    let lineage = world.head().await.lineage();
    let mut follower = world.follower(&Recorder::default()).await;
    let waiter = follower.waiter();
    let mut status = follower.watch();
    let stop = Stop::new();
    let stopped = stop.clone();
    let running = tokio::spawn(async move { follower.run(None, &stopped).await });
    status.wait_for(|status| status.applied_sequence() == 5).await.unwrap();
    let position = Position { lineage, sequence: 6, chain_hash: ChainHash::ZERO };
    let error = waiter.wait_at_most(position, Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { sequence: 6, applied: 5, .. }), "{error}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// A follower that was just started knows the chain hash at its target's position and no other one: earlier ones are in the store.
#[tokio::test]
async fn positions_that_were_passed_long_ago_are_compared_with_the_store() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 30).await;
    leader.sync().await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    let follower = world.follower(&target).await;
    let waiter = follower.waiter();
    for sequence in [1, 7, 8, 29, 30] {
        let token = leader.token(sequence).await.unwrap();
        waiter.wait(token).await.unwrap();
        let forked = Position { chain_hash: ChainHash::from_bytes([9; 32]), ..token };
        let error = waiter.wait(forked).await.unwrap_err();
        let Error::PositionForked { sequence: found, .. } = &error else { panic!("{}", causes(&error)) };
        assert_eq!(*found, sequence);
    }
    // What is not in the store any more can't be compared, and is not taken for good.
    let token = leader.token(3).await.unwrap();
    let oldest = world.segments().await.remove(0);
    world.remove(&oldest).await;
    let error = waiter.wait(token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", causes(&error));
    leader.shutdown(LONG).await.unwrap();
}
