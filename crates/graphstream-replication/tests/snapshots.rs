//! Snapshots: valid only if they are of the published history, there only when they are whole, and what was paused goes on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use graphstream_format::Position;
use graphstream_replication::{
    Error, ErrorKind, Goal, JsonlEngine, Quiesce, QuiesceError, Snapshot, SnapshotDamage, SnapshotOptions,
};
use graphstream_storage::faults::{BodyFault, Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::{World, causes};

/// Counts its calls, and fails where it is told to.
#[derive(Clone, Default)]
struct Writers {
    paused: Arc<AtomicUsize>,
    resumed: Arc<AtomicUsize>,
    fails: (bool, bool),
}

impl Writers {
    fn calls(&self) -> (usize, usize) {
        (self.paused.load(Ordering::SeqCst), self.resumed.load(Ordering::SeqCst))
    }
}

impl Quiesce for Writers {
    fn quiesce(&mut self) -> Result<(), QuiesceError> {
        self.paused.fetch_add(1, Ordering::SeqCst);
        if self.fails.0 { Err("no checkpoint".into()) } else { Ok(()) }
    }

    fn resume(&mut self) -> Result<(), QuiesceError> {
        self.resumed.fetch_add(1, Ordering::SeqCst);
        if self.fails.1 { Err("nobody there".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_snapshot_is_named_after_the_position_inside_the_copy() {
    let world = World::new();
    world.published(30).await;
    let report = world.snapshot_at(12).await;
    assert_eq!((report.name.sequence(), report.name.epoch()), (12, 1));
    assert_eq!(report.name.commit_ms(), world::commit_ms(12));
    let manifest = &report.manifest;
    assert_eq!((manifest.engine.name.as_str(), manifest.files.len()), ("jsonl", 1));
    assert!(manifest.parts.len() > 1, "{manifest:?}");
    let listed = world.remote().list_snapshots().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].is_complete && listed[0].objects == manifest.parts.len() as u64);
    assert_eq!(listed[0].bytes, manifest.stored_bytes());

    // The same again is the same.
    let again = world.snapshot_of(&world.dir("snapshot-12")).create().await.unwrap();
    assert!(again.existed && !report.existed);
    assert_eq!(again.manifest, report.manifest);
    // The staging directory is gone.
    let left = fs::read_dir(world.dir("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("graphstream-snapshot-")));
}

#[tokio::test]
async fn a_reader_and_a_database_where_it_stands_give_the_same() {
    let world = World::new();
    let committed = world.published(20).await;
    let path = world.lines("database", 20).await;
    let file = fs::File::open(&path).unwrap();
    let options = SnapshotOptions::default().with_staging_dir(world.dir(""));
    let read = Snapshot::of_reader(world.remote(), file, Arc::new(JsonlEngine)).options(options);
    let read = read.create().await.unwrap();
    assert_eq!(read.manifest.files[0].size, fs::metadata(&path).unwrap().len());

    for key in world.keys("snap/").await {
        world.remove(&key).await;
    }
    let lineage = world.head().await.lineage();
    let position = Position { lineage, sequence: 20, chain_hash: committed.chain.hash().unwrap() };
    let writers = Writers::default();
    let placed = world.snapshot_of(&path).position(position).quiesce(writers.clone()).create().await.unwrap();
    assert_eq!(placed.manifest.files, read.manifest.files);
    assert_eq!(writers.calls(), (1, 1));
    assert!(placed.paused > Duration::ZERO);
}

#[tokio::test]
async fn what_is_not_in_the_history_is_refused() {
    let world = World::new();
    world.published(20).await;
    let path = world.lines("database", 20).await;
    let whole = fs::read_to_string(&path).unwrap();
    let last = whole.lines().last().unwrap();
    let chain =
        serde_json::from_str::<serde_json::Value>(last).unwrap()["chain_hash"].as_str().unwrap().to_owned();

    // As a fenced leader's database: other entries, so another chain.
    fs::write(&path, whole.replace(&chain, &chain.chars().rev().collect::<String>())).unwrap();
    let error = world.snapshot_of(&path).create().await.unwrap_err();
    assert!(matches!(error, Error::SnapshotForked { sequence: 20, .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Integrity);

    // Beyond what is committed: not yet, or never.
    let beyond = last.replace("\"sequence\":20", "\"sequence\":21");
    fs::write(&path, format!("{whole}{beyond}\n")).unwrap();
    let error = world.snapshot_of(&path).create().await.unwrap_err();
    assert!(matches!(error, Error::SnapshotAhead { sequence: 21, committed: 20 }), "{error:?}");

    // Of another history altogether.
    let lineage = world.head().await.lineage().to_string();
    fs::write(&path, whole.replace(&lineage, &"7".repeat(32))).unwrap();
    let error = world.snapshot_of(&path).create().await.unwrap_err();
    assert!(matches!(error, Error::TargetLineage { .. }), "{error:?}");

    fs::write(&path, "").unwrap();
    let error = world.snapshot_of(&path).create().await.unwrap_err();
    assert!(matches!(error, Error::NoPosition { .. }), "{error:?}");
    assert_eq!(world.keys("snap/").await, []);
}

#[tokio::test]
async fn r04_a_fenced_leaders_database_is_refused() {
    let world = World::new();
    world.published(5).await;
    // The first leader has entries that the second one's history never gets.
    let target = world::Recorder::default();
    let (first, _) = world.leader("published").start().await.unwrap();
    let way = world.another_way();
    drop(target);
    world::append(&first, 6, 9).await;
    let path = world.lines("database", 5).await;
    let mut lines = graphstream_replay::JsonlTarget::open(&path).unwrap();
    let reader = first.journal().dir().reader(graphstream_journal::ReaderOptions::default()).unwrap();
    let entries: Vec<_> = reader.map(Result::unwrap).filter(|entry| entry.sequence > 5).collect();
    let batch: Vec<_> = entries
        .iter()
        .map(|entry| graphstream_replay::ReplayEntry {
            sequence: entry.sequence,
            commit_ms: entry.commit_ms,
            chain_hash: entry.chain_hash,
            entry: graphstream_proto::JournalEntry::decode(&entry.payload, entry.sequence).unwrap(),
        })
        .collect();
    let lineage = world.head().await.lineage();
    graphstream_replay::ReplayTarget::apply(&mut lines, &batch, batch[3].position(lineage)).unwrap();
    drop(lines);
    world::cut_off(&world.faults);
    let (second, _) = world.leader_through(&way, "second").continue_from_head(true).start().await.unwrap();
    world::append(&second, 106, 115).await;
    second.sync().await.unwrap();
    world.faults.clear();
    let error = world.snapshot_of(&path).create().await.unwrap_err();
    assert!(matches!(error, Error::SnapshotForked { sequence: 9, .. }), "{error:?}");
    assert_eq!(world.keys("snap/").await, []);
}

#[tokio::test]
async fn l11_given_up_at_any_request_there_is_no_snapshot_and_the_next_attempt_makes_one() {
    let world = World::new();
    world.published(30).await;
    let path = world.lines("database", 25).await;
    for operation in [Operation::Put, Operation::Get] {
        for n in 1.. {
            world.faults.inject(Rule::new(operation, Fault::Before(ErrorClass::Denied)).nth(n));
            let made = world.snapshot_of(&path).create().await;
            world.faults.clear();
            if let Ok(report) = made {
                assert!(n > 1 && !report.existed, "{operation}: no request of its own");
                break;
            }
            // Objects may have been left, but nothing takes them for a snapshot.
            let listed = world.remote().list_snapshots().await.unwrap();
            assert!(listed.iter().all(|it| !it.is_complete), "{operation} {n}");
            let plan = world.restore("other", Goal::Latest).plan().await.unwrap();
            assert!(plan.snapshot.is_none() && plan.passed.is_empty());
        }
        // The last attempt went through, beside what the others have left.
        let plan = world.restore("other", Goal::Latest).plan().await.unwrap();
        assert_eq!(plan.snapshot.unwrap().sequence, 25);
        for key in world.keys("snap/").await.into_iter().filter(|key| key.as_str().ends_with(".json")) {
            world.remove(&key).await;
        }
    }
}

#[tokio::test]
async fn s02_lost_answers_change_nothing() {
    let world = World::new();
    world.published(30).await;
    let path = world.lines("database", 25).await;
    for n in 1..=4 {
        world.faults.inject(Rule::new(Operation::Put, Fault::After(ErrorClass::TimeoutUnknown)).nth(n));
        let report = world.snapshot_of(&path).create().await.unwrap();
        world.faults.clear();
        assert!(!report.existed, "put {n}");
        assert_eq!(world.restored(&format!("restored-{n}"), Goal::Sequence(25)).await.unwrap().1.len(), 25);
        for key in world.keys("snap/").await {
            world.remove(&key).await;
        }
    }
}

#[tokio::test]
async fn s07_what_is_read_back_wrong_gets_no_manifest() {
    let world = World::new();
    world.published(30).await;
    let path = world.lines("database", 25).await;
    for fault in [BodyFault::FlipBit(77), BodyFault::Truncate(100), BodyFault::Cut(100)] {
        world.faults.inject(Rule::new(Operation::Get, Fault::Body(fault)).on_key("/part-").nth(2));
        world.snapshot_of(&path).create().await.unwrap_err();
        world.faults.clear();
        assert!(world.remote().list_snapshots().await.unwrap().iter().all(|it| !it.is_complete));
    }
    // The store lost one.
    world
        .faults
        .inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::NotFound)).on_key("/part-").nth(1));
    let error = world.snapshot_of(&path).create().await.unwrap_err();
    let missing =
        matches!(&error, Error::SnapshotDamaged { source: SnapshotDamage::Missing { index: 0 }, .. });
    assert!(missing, "{}", causes(&error));
}

#[tokio::test]
async fn writers_go_on_whatever_happens() {
    let world = World::new();
    world.published(10).await;
    let path = world.lines("database", 10).await;
    let writers = Writers::default();
    world.snapshot_of(&path).quiesce(writers.clone()).create().await.unwrap();
    assert_eq!(writers.calls(), (1, 1));

    // The checkpoint fails; there is nothing to copy; they can't be told to go on.
    let writers = Writers { fails: (true, false), ..Writers::default() };
    let error = world.snapshot_of(&path).quiesce(writers.clone()).create().await.unwrap_err();
    assert!(causes(&error).contains("no checkpoint"), "{}", causes(&error));
    assert_eq!((writers.calls(), error.kind()), ((1, 1), ErrorKind::Target));
    let writers = Writers::default();
    let error = world.snapshot_of(&world.dir("nothing")).quiesce(writers.clone()).create().await.unwrap_err();
    assert!(matches!(error, Error::SnapshotFile { .. }), "{error:?}");
    assert_eq!(writers.calls(), (1, 1));
    let writers = Writers { fails: (false, true), ..Writers::default() };
    let error = world.snapshot_of(&path).quiesce(writers.clone()).create().await.unwrap_err();
    assert!(causes(&error).contains("nobody there"), "{}", causes(&error));

    // The store fails while the database itself is read.
    for key in world.keys("snap/").await {
        world.remove(&key).await;
    }
    let (head, writers) = (world.head().await, Writers::default());
    let position = Position {
        lineage: head.lineage(),
        sequence: 10,
        chain_hash: head.committed().chain.hash().unwrap(),
    };
    world.faults.inject(Rule::new(Operation::Put, Fault::Before(ErrorClass::Denied)));
    world.snapshot_of(&path).position(position).quiesce(writers.clone()).create().await.unwrap_err();
    assert_eq!(writers.calls(), (1, 1));

    // Without a store nobody is paused in the first place.
    let writers = Writers::default();
    world::cut_off(&world.faults);
    world.snapshot_of(&path).quiesce(writers.clone()).create().await.unwrap_err();
    assert_eq!(writers.calls(), (0, 0));
}
