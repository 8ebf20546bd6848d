//! The segments that followers keep on the local disk: used again after a kill, never trusted, never more than allowed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_replay::ReplayTarget;
use graphstream_replication::{Error, Follower, FollowerOptions, Stop};
use graphstream_storage::Operation;
use world::target::Mishap;
use world::{Recorder, World, causes, eager_follower};

/// The cached segments below a cache directory.
fn cached(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for file in fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "hadbj") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn bytes(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| file.metadata().unwrap().len()).sum()
}

/// Follows into a target that is lost before its first batch: everything was fetched and verified, and nothing applied.
async fn interrupted(world: &World, options: FollowerOptions) -> Recorder {
    let target = Recorder::default();
    target.durable().mishaps = vec![Some(Mishap::DiesBefore)];
    target.durable().lost = true;
    let mut follower = world.follower_with(&target, options).await.unwrap();
    follower.catch_up(None, &Stop::new()).await.unwrap_err();
    drop(follower);
    target.durable().lost = false;
    target
}

/// How often segments were asked for.
fn gets(world: &World) -> u64 {
    world.faults.calls(Operation::Get)
}

#[tokio::test]
async fn r05_what_was_fetched_before_a_restart_is_not_fetched_again() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.published(40).await;
    let options = || eager_follower().with_cache_dir(dir.path());
    let target = interrupted(&world, options()).await;
    let segments = world.segments().await.len() as u64;
    assert_eq!(cached(dir.path()).len() as u64, segments);

    let before = gets(&world);
    let metrics = Arc::<GraphstreamMetrics>::default();
    let to: Box<dyn ReplayTarget> = Box::new(target.clone());
    let mut follower = Follower::open(world.remote(), to, options(), Arc::clone(&metrics)).await.unwrap();
    follower.catch_up(None, &Stop::new()).await.unwrap();
    target.assert_holds(40);
    assert_eq!(gets(&world) - before, 1, "the head alone");
    let counted = metrics.snapshot().follower;
    assert_eq!((counted.segments_reused, counted.segments_fetched), (segments, 0));
    assert!(cached(dir.path()).is_empty(), "what is applied is not needed any more");
}

#[tokio::test]
async fn s07_l13_cached_bytes_that_are_not_the_segments_are_fetched_instead() {
    for in_window in [true, false] {
        let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
        world.published(40).await;
        if !in_window {
            let head = world.object(&world.head_key()).await;
            let mut json: serde_json::Value = serde_json::from_slice(&head).unwrap();
            json["segments"] = serde_json::json!([]);
            world.put(&world.head_key(), json.to_string().into_bytes()).await;
        }
        let options = || eager_follower().with_cache_dir(dir.path());
        for damage in ["flipped", "cut", "empty", "longer", "swapped", "directory", "link"] {
            let target = interrupted(&world, options()).await;
            let files = cached(dir.path());
            let file = &files[1];
            let whole = fs::read(file).unwrap();
            match damage {
                "flipped" => {
                    let mut flipped = whole.clone();
                    flipped[whole.len() / 2] ^= 1;
                    fs::write(file, flipped).unwrap();
                }
                "cut" => fs::write(file, &whole[..whole.len() - 1]).unwrap(),
                "empty" => fs::write(file, "").unwrap(),
                "longer" => fs::write(file, [&whole[..], b"x"].concat()).unwrap(),
                "swapped" => drop(fs::copy(&files[2], file).unwrap()),
                "directory" => {
                    fs::remove_file(file).unwrap();
                    fs::create_dir(file).unwrap();
                }
                _ => {
                    fs::remove_file(file).unwrap();
                    std::os::unix::fs::symlink("/dev/zero", file).unwrap();
                }
            }
            let before = gets(&world);
            world
                .follower_with(&target, options())
                .await
                .unwrap()
                .catch_up(None, &Stop::new())
                .await
                .unwrap();
            target.assert_holds(40);
            let fetched = gets(&world) - before;
            assert!((2..=3).contains(&fetched), "{damage}: {fetched} requests");
            if damage == "directory" {
                fs::remove_dir(file).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn the_limit_counts_what_others_have_left_and_what_is_behind_the_target_goes() {
    let (world, other, dir) = (World::new(), World::new(), tempfile::tempdir().unwrap());
    world.published(40).await;
    other.published(40).await;
    let unlimited = eager_follower().with_cache_dir(dir.path());
    interrupted(&other, unlimited.clone()).await;
    let theirs = cached(dir.path());
    let segment = theirs[0].metadata().unwrap().len();
    let limit = bytes(&theirs) + 2 * segment + segment / 2;
    let options = unlimited.clone().with_cache_bytes_max(limit);
    let target = interrupted(&world, options.clone()).await;
    let all = cached(dir.path());
    assert!(bytes(&all) <= limit, "{} of {limit}", bytes(&all));
    assert!(all.len() > theirs.len(), "something of ours is kept");
    let mut follower = world.follower_with(&target, options.clone()).await.unwrap();
    follower.catch_up(Some(20), &Stop::new()).await.unwrap();
    follower.catch_up(None, &Stop::new()).await.unwrap();
    target.assert_holds(40);
    assert_eq!(cached(dir.path()), theirs, "theirs are not ours to remove");

    // A target that got further in another way needs none of what was cached for it.
    let left = interrupted(&world, unlimited).await;
    assert!(cached(dir.path()).len() > theirs.len());
    drop(left);
    world.follower_with(&target, options).await.unwrap().catch_up(None, &Stop::new()).await.unwrap();
    assert!(cached(dir.path()).len() >= theirs.len());
}

#[tokio::test]
async fn a_cache_that_cannot_be_made_is_an_error_that_names_it() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.published(5).await;
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let options = eager_follower().with_cache_dir(file.join("cache"));
    let error = world.follower_with(&Recorder::default(), options).await.unwrap_err();
    assert!(matches!(&error, Error::Cache { .. }), "{}", causes(&error));
}

/// Two followers share a directory; whoever is faster removes what it has applied under the other's hands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_that_share_a_cache_do_not_disturb_each_other() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.published(120).await;
    for _ in 0..5 {
        let targets = [Recorder::default(), Recorder::default(), Recorder::default()];
        let mut running = Vec::new();
        for target in &targets {
            let options = eager_follower().with_cache_dir(dir.path());
            let mut follower = world.follower_with(target, options).await.unwrap();
            running.push(tokio::spawn(async move { follower.catch_up(None, &Stop::new()).await }));
        }
        for follower in running {
            follower.await.unwrap().unwrap();
        }
        for target in &targets {
            target.assert_holds(120);
        }
    }
}
