//! What a follower has seen published: a head that goes back, forks, or belongs to somebody else is an error, also after a restart.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::path::Path;
use std::time::Duration;

use graphstream_journal::Journal;
use graphstream_remote::{DatabaseId, Error as RemoteError, Head};
use graphstream_replication::{Error, ErrorKind, FollowerOptions, Stop};
use world::{LONG, Recorder, World, append, append_to, causes, eager_follower, small_segments};

fn kept_in(dir: &Path) -> FollowerOptions {
    eager_follower().with_cache_dir(dir)
}

async fn catch_up(world: &World, target: &Recorder, dir: &Path, until: Option<u64>) -> Result<(), Error> {
    let mut follower = world.follower_with(target, kept_in(dir)).await.unwrap();
    follower.catch_up(until, &Stop::new()).await.map(drop)
}

/// Three heads of one database: 20 entries in epoch 1, 30 in epoch 2, and 40 in epoch 2.
async fn three_heads(world: &World) -> [Vec<u8>; 3] {
    let mut heads = Vec::new();
    let journal = world.journal("journal", 20);
    for (last, next) in [(20, 30), (30, 40), (40, 0)] {
        // Each claims an epoch of its own for its first publication; the third goes on in the second one's.
        let mut uploader = world.uploader_after("journal").await;
        uploader.ship().await.unwrap();
        heads.push(world.object(&world.head_key()).await);
        assert_eq!(world.head().await.committed().sequence, last);
        if next > 0 {
            append_to(&journal, last + 1, next);
            journal.seal().unwrap();
        }
    }
    heads.try_into().unwrap()
}

#[tokio::test]
async fn h08_s08_an_older_head_is_refused_though_the_target_has_less_than_it_says() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let [first, second, third] = three_heads(&world).await;
    let target = Recorder::default();
    // It has seen the newest head, and applied a tenth of what that says.
    catch_up(&world, &target, dir.path(), Some(4)).await.unwrap();
    for older in [&first, &second] {
        world.put(&world.head_key(), older.clone()).await;
        let error = catch_up(&world, &target, dir.path(), None).await.unwrap_err();
        assert!(matches!(&error, Error::Remote(RemoteError::Rewound(_))), "{}", causes(&error));
        assert_eq!(error.kind(), ErrorKind::Integrity);
        target.assert_holds(4);
        // Another target beside it profits from what this one has seen.
        let beside = Recorder::default();
        let error = catch_up(&world, &beside, dir.path(), None).await.unwrap_err();
        assert!(matches!(&error, Error::Remote(RemoteError::Rewound(_))), "{}", causes(&error));
        beside.assert_holds(0);
    }
    world.put(&world.head_key(), third).await;
    catch_up(&world, &target, dir.path(), None).await.unwrap();
    target.assert_holds(40);
}

#[tokio::test]
async fn h08_a_floor_that_is_lost_is_weaker_and_no_error() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let [_, second, _] = three_heads(&world).await;
    let target = Recorder::default();
    catch_up(&world, &target, dir.path(), Some(4)).await.unwrap();
    let lineage = world.head().await.lineage().to_string();
    std::fs::write(dir.path().join(lineage).join("floor.json"), "{}").unwrap();
    world.put(&world.head_key(), second).await;
    catch_up(&world, &target, dir.path(), None).await.unwrap();
    target.assert_holds(30);
}

#[tokio::test]
async fn h08_a_head_of_a_lower_epoch_is_refused_though_it_says_as_much() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    three_heads(&world).await;
    let target = Recorder::default();
    catch_up(&world, &target, dir.path(), None).await.unwrap();
    let newest = world.object(&world.head_key()).await;
    // As if the last epoch had never been claimed.
    let mut json: serde_json::Value = serde_json::from_slice(&newest).unwrap();
    let rows = json["epochs"].as_array_mut().unwrap();
    rows.pop().unwrap();
    let last = rows.last().unwrap().clone();
    json["epoch"] = last["epoch"].clone();
    json["owner"] = last["owner"].clone();
    json["segments"] = serde_json::json!([]);
    let lower = json.to_string().into_bytes();
    Head::parse(&lower, None).unwrap();
    world.put(&world.head_key(), lower).await;
    let error = catch_up(&world, &target, dir.path(), None).await.unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::Rewound(_))), "{}", causes(&error));
}

#[tokio::test]
async fn h08_another_chain_in_the_same_epoch_is_a_fork() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let committed = world.published(30).await;
    let target = Recorder::default();
    catch_up(&world, &target, dir.path(), Some(4)).await.unwrap();
    let head = String::from_utf8(world.object(&world.head_key()).await).unwrap();
    let other = head.replace(&committed.chain.to_string(), &"5a".repeat(32));
    world.put(&world.head_key(), other.into_bytes()).await;
    let error = catch_up(&world, &target, dir.path(), None).await.unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::Fork { sequence: 30, .. })), "{}", causes(&error));
    target.assert_holds(4);
}

#[tokio::test]
async fn h08_another_lineage_or_database_in_its_place_is_refused_before_anything_else_is_said() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.published(30).await;
    let target = Recorder::default();
    catch_up(&world, &target, dir.path(), None).await.unwrap();
    let ours = world.objects().await;
    // Shorter than ours: it is another history, and not an older state of this one.
    let other = World::new();
    other.published(5).await;
    world.hold(&other.objects().await).await;
    let error = catch_up(&world, &target, dir.path(), None).await.unwrap_err();
    let Error::TargetLineage { published, .. } = &error else { panic!("{}", causes(&error)) };
    assert_eq!(*published, other.head().await.lineage());
    target.assert_holds(30);

    world.hold(&ours).await;
    let head = String::from_utf8(world.object(&world.head_key()).await).unwrap();
    let id = world.head().await.database_id().to_string();
    let renamed = head.replace(&id, &DatabaseId::from_bytes([9; 16]).to_string());
    world.put(&world.head_key(), renamed.into_bytes()).await;
    let error = catch_up(&world, &target, dir.path(), None).await.unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::OtherDatabase { .. })), "{}", causes(&error));
}

#[tokio::test]
async fn h08_while_it_runs_a_head_that_goes_back_ends_the_follower() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let [_, second, _] = three_heads(&world).await;
    let target = Recorder::default();
    let mut follower = world.follower_with(&target, kept_in(dir.path())).await.unwrap();
    let mut status = follower.watch();
    let running = tokio::spawn(async move { follower.run(None, &Stop::new()).await });
    status.wait_for(|status| status.applied_sequence() == 40).await.unwrap();
    world.put(&world.head_key(), second).await;
    let error = tokio::time::timeout(LONG, running).await.expect("it ends").unwrap().unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::Rewound(_))), "{}", causes(&error));
    target.assert_holds(40);
}

/// A zombie's segments join the chain and are whole; the head never names them.
#[tokio::test]
async fn r03_h08_what_a_zombie_uploads_is_never_applied() {
    let world = World::new();
    let way = world.another_way();
    let zombie = world.leader_through(&way, "zombie").start().await.unwrap().0;
    append(&zombie, 1, 20).await;
    zombie.sync().await.unwrap();
    // The heads that it publishes from now on are lost, its segments are not.
    let head = graphstream_storage::faults::Rule::new(
        graphstream_storage::Operation::Put,
        graphstream_storage::faults::Fault::Before(graphstream_storage::ErrorClass::Unavailable),
    );
    way.inject(head.on_key("head.json").always());
    append(&zombie, 21, 30).await;
    zombie.journal().seal().unwrap();
    let before = 20;
    while world.segments().await.iter().all(|key| world::sequences(key.as_str()).1 <= before) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(20);
    // Another leader goes on from what is committed, with other entries under the same sequences.
    let rival = world.leader("rival").continue_from_head(true).start().await.unwrap().0;
    for number in 101..=115 {
        let _ticket = rival.append(&world::entry(number)).unwrap();
    }
    rival.sync().await.unwrap();
    let status = world.catch_up(&target).await.unwrap();
    assert_eq!(status.applied_sequence(), 35);
    let numbers: Vec<u64> = (1..=20).chain(101..=115).collect();
    assert_eq!(target.numbers(), numbers);
    drop(zombie);
    rival.shutdown(LONG).await.unwrap();
}

/// A follower that stands inside a segment finds out when that was replaced by one with another past.
#[tokio::test]
async fn s05_h08_an_object_replaced_under_its_key_is_found_where_the_target_stands_in_it() {
    let world = World::new();
    world.published(30).await;
    let head = world.head().await;
    let keys = world.segments().await;
    let (first, last) = world::sequences(keys[1].as_str());
    assert!(last > first);
    let target = Recorder::default();
    world.follower(&target).await.catch_up(Some(first), &Stop::new()).await.unwrap();
    // The same history up to the segment before, another first entry, the rest as it was.
    let forged = World::new();
    let (journal, _) = Journal::builder(forged.dir("journal"))
        .lineage(head.lineage())
        .options(small_segments())
        .open()
        .unwrap();
    for number in 1..=30 {
        let forged = if number == first { 99 } else { number };
        let payload = world::entry(forged).encode().unwrap();
        let _unwaited = journal.append_at(payload, world::commit_ms(number)).unwrap();
    }
    journal.seal().unwrap();
    forged.uploader("journal").await.unwrap().ship().await.unwrap();
    let replacement = forged.segments().await;
    assert_eq!(world::sequences(replacement[1].as_str()), (first, last), "cut at the same places");
    // The head no longer knows the old ones by their SHA-256.
    let mut json: serde_json::Value = serde_json::from_slice(&world.object(&world.head_key()).await).unwrap();
    json["segments"] = serde_json::json!([]);
    world.put(&world.head_key(), json.to_string().into_bytes()).await;
    for (ours, theirs) in keys.iter().zip(&replacement) {
        world.put(ours, forged.object(theirs).await).await;
    }
    let error = world.catch_up(&target).await.unwrap_err();
    let Error::Forked { sequence, .. } = &error else { panic!("{}", causes(&error)) };
    assert_eq!(*sequence, first);
    target.assert_holds(first);
}
