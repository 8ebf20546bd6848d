//! Restores: to any point, from what is there, verified before anything is visible, and gone on with after a kill.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::fs;

use graphstream_journal::{Ack, Journal, JournalDir, ReaderOptions};
use graphstream_remote::{Label, LabelName};
use graphstream_replication::{
    Error, ErrorKind, Goal, Hole, Restore, RestoreOptions, RestoredLineage, find_point,
};
use graphstream_storage::faults::{BodyFault, Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::archive::sequences;
use world::{World, causes, commit_ms};

fn upto(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

/// Removes the segments that hold nothing beyond `last`.
async fn collect_up_to(world: &World, last: u64) {
    for key in world.segments().await {
        let end = key.as_str().split('/').next_back().unwrap().split('-').next().unwrap().to_owned();
        if u64::from_str_radix(&end, 16).unwrap() <= last {
            world.remove(&key).await;
        }
    }
}

#[tokio::test]
async fn any_sequence_with_all_segments_and_from_a_snapshot_without_those_below() {
    let world = World::new();
    world.published(40).await;
    for last in 1..=40 {
        let (report, found) = world.restored(&format!("plain-{last}"), Goal::Sequence(last)).await.unwrap();
        assert_eq!(found, upto(last));
        assert_eq!((report.position.sequence, report.plan.after), (last, 0));
        assert!(!world.dir(&format!("plain-{last}.restore")).exists());
    }
    let snapshot = world.snapshot_at(20).await;
    collect_up_to(&world, 20).await;
    for last in 20..=40 {
        let (report, found) = world.restored(&format!("from-{last}"), Goal::Sequence(last)).await.unwrap();
        assert_eq!(found, upto(last));
        assert_eq!(report.plan.snapshot.unwrap().name().unwrap(), snapshot.name);
        assert_eq!(
            fs::read(world.dir(&format!("plain-{last}"))).unwrap(),
            fs::read(world.dir(&format!("from-{last}"))).unwrap()
        );
    }
    let hole = world.restored("below", Goal::Sequence(19)).await.unwrap_err();
    assert!(
        matches!(hole, Error::RestoreHole(Hole { goal: 19, first: 1, below: None, above: Some(20), .. })),
        "{hole:?}"
    );
    assert_eq!(hole.kind(), ErrorKind::Integrity);
    assert!(!world.dir("below").exists());
}

#[tokio::test]
async fn times_are_inclusive_and_labels_are_held_to_their_chain() {
    let world = World::new();
    world.published(30).await;
    for last in [1, 2, 7, 15, 29, 30] {
        let (_, found) = world.restored(&format!("at-{last}"), Goal::Time(commit_ms(last))).await.unwrap();
        assert_eq!(found, upto(last));
    }
    assert_eq!(world.restored("later", Goal::Time(i64::MAX)).await.unwrap().1, upto(30));
    let error = world.restored("before", Goal::Time(commit_ms(1) - 1)).await.unwrap_err();
    assert!(matches!(error, Error::BeforeHistory { first_ms, .. } if first_ms == commit_ms(1)), "{error:?}");

    let (remote, name) = (world.remote(), LabelName::new("here").unwrap());
    let (stored, point) = find_point(&remote, &Goal::Sequence(17)).await.unwrap();
    let (id, lineage) = (stored.head.database_id(), stored.head.lineage());
    let label = Label::new(id, lineage, 17, point.chain_hash.into(), point.commit_ms);
    remote.set_label(&name, &label, false).await.unwrap();
    assert_eq!(world.restored("labelled", Goal::Label(name.clone())).await.unwrap().1, upto(17));
    let other = Label::new(id, lineage, 17, graphstream_format::ChainHash::from_bytes([9; 32]).into(), 0);
    remote.set_label(&name, &other, true).await.unwrap();
    let error = world.restored("mislabelled", Goal::Label(name)).await.unwrap_err();
    assert!(matches!(error, Error::LabelForked { sequence: 17, .. }), "{error:?}");
    assert!(!world.dir("mislabelled").exists());
    let error = world.restored("x", Goal::Label(LabelName::new("nobody").unwrap())).await.unwrap_err();
    assert!(matches!(error, Error::NoLabel { .. }), "{error:?}");
    for sequence in [0, 31] {
        let error = world.restored("x", Goal::Sequence(sequence)).await.unwrap_err();
        assert!(matches!(error, Error::BeyondCommitted { committed: 30, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_plan_changes_nothing_and_says_what_is_done() {
    let world = World::new();
    world.published(30).await;
    world.snapshot_at(10).await;
    let before = (world.keys("").await, fs::read_dir(world.dir("")).unwrap().count());
    let plan = world.restore("planned", Goal::Sequence(22)).plan().await.unwrap();
    assert_eq!((plan.sequence, plan.after, plan.entries()), (22, 10, 12));
    assert!(plan.snapshot_bytes() > 0 && plan.segment_bytes() > 0);
    assert!(plan.segments.iter().all(|segment| segment.name.last() > 10 && segment.name.first() <= 22));
    assert_eq!(before, (world.keys("").await, fs::read_dir(world.dir("")).unwrap().count()));
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_or_not_there_is_passed_for_an_older_one_or_none() {
    let world = World::new();
    world.published(40).await;
    let (older, newer) = (world.snapshot_at(10).await, world.snapshot_at(30).await);
    let of = |report: &graphstream_replication::SnapshotReport| report.name.to_string();
    let parts = |keys: Vec<graphstream_storage::Key>, name: &str| -> Vec<_> {
        keys.into_iter()
            .filter(|key| key.as_str().contains(name) && key.as_str().contains("/part-"))
            .collect()
    };
    let newer_parts = parts(world.keys("snap/").await, &of(&newer));
    let (first, second) = (world.object(&newer_parts[0]).await, world.object(&newer_parts[1]).await);
    let manifest_key = world.remote().manifest_key(&newer.name).unwrap();
    let manifest = world.object(&manifest_key).await;

    // Swapped, flipped, cut, missing data objects; a manifest that says something else.
    let text = String::from_utf8(manifest.clone()).unwrap();
    let file = &newer.manifest.files[0];
    let other_size =
        text.replacen(&format!("\"size\":{}", file.size), &format!("\"size\":{}", file.size - 1), 1);
    let other_path = text.replacen("\"database\"", "\"elsewhere\"", 1);
    let traversal = text.replacen("\"database\"", "\"../../etc/passwd\"", 1);
    let other_hash = text.replacen(&hex::encode(file.sha256), &"0".repeat(64), 1);
    let huge = text.replacen(&format!("\"size\":{}", file.size), "\"size\":9223372036854775807", 1);
    let mut flipped = first.clone();
    flipped[100] ^= 1;
    // What is changed, and to what; `None` is removed.
    type Change = (graphstream_storage::Key, Option<Vec<u8>>);
    let cases: Vec<(&str, Vec<Change>)> = vec![
        (
            "swapped",
            vec![
                (newer_parts[0].clone(), Some(second.clone())),
                (newer_parts[1].clone(), Some(first.clone())),
            ],
        ),
        ("flipped", vec![(newer_parts[0].clone(), Some(flipped))]),
        ("cut", vec![(newer_parts[1].clone(), Some(second[..10].to_vec()))]),
        ("missing", vec![(newer_parts[1].clone(), None)]),
        ("size", vec![(manifest_key.clone(), Some(other_size.into_bytes()))]),
        ("path", vec![(manifest_key.clone(), Some(other_path.into_bytes()))]),
        ("traversal", vec![(manifest_key.clone(), Some(traversal.into_bytes()))]),
        ("hash", vec![(manifest_key.clone(), Some(other_hash.into_bytes()))]),
        ("huge", vec![(manifest_key.clone(), Some(huge.into_bytes()))]),
        ("no json", vec![(manifest_key.clone(), Some(b"{".to_vec()))]),
        ("no manifest", vec![(manifest_key.clone(), None)]),
    ];
    for (what, changes) in cases {
        for (key, content) in &changes {
            match content {
                Some(content) => world.put(key, content.clone()).await,
                None => world.remove(key).await,
            }
        }
        let (report, found) = world.restored(&format!("after {what}"), Goal::Latest).await.unwrap();
        assert_eq!(found, upto(40), "{what}");
        assert_eq!(report.plan.snapshot.map(|it| it.sequence), Some(10), "{what}");
        assert_eq!(report.plan.passed.len(), usize::from(what != "no manifest"), "{what}");
        world.put(&newer_parts[0], first.clone()).await;
        world.put(&newer_parts[1], second.clone()).await;
        world.put(&manifest_key, manifest.clone()).await;
    }
    // Without any, from the first entry.
    world.remove(&manifest_key).await;
    world.remove(&world.remote().manifest_key(&older.name).unwrap()).await;
    let (report, found) = world.restored("from the first", Goal::Latest).await.unwrap();
    assert_eq!((found, report.plan.after), (upto(40), 0));
    // A damaged one that alone would have led there is what the error says.
    world.put(&manifest_key, manifest).await;
    world.put(&newer_parts[0], second).await;
    collect_up_to(&world, 30).await;
    let error = world.restored("none left", Goal::Latest).await.unwrap_err();
    assert!(matches!(error, Error::SnapshotDamaged { .. }), "{error:?}");
    assert!(!world.dir("none left").exists());
}

#[tokio::test]
async fn a_hole_names_the_nearest_points_on_both_sides() {
    let world = World::new();
    world.published(40).await;
    let snapshot = world.snapshot_at(30).await;
    let keys = world.segments().await;
    let middle = &keys[keys.len() / 2 - 1];
    let numbers: Vec<u64> = middle
        .as_str()
        .split('/')
        .next_back()
        .unwrap()
        .split('-')
        .take(2)
        .map(|part| u64::from_str_radix(part, 16).unwrap())
        .collect();
    let (last, first) = (numbers[0], numbers[1]);
    assert!(last < 30, "the snapshot lies behind the hole");
    world.remove(middle).await;
    for goal in [first, last, last + 1] {
        let error = world.restored("hole", Goal::Sequence(goal)).await.unwrap_err();
        let Error::RestoreHole(hole) = &error else { panic!("{error:?}") };
        assert_eq!((hole.first, hole.last), (first, last));
        assert_eq!((hole.below, hole.above), (Some(first - 1), Some(30)));
        assert!(error.to_string().contains(&format!("{} and 30", first - 1)), "{error}");
    }
    let error = world.restored("hole", Goal::Time(commit_ms(first))).await.unwrap_err();
    assert!(matches!(error, Error::RestoreHole(_)), "{error:?}");
    for (name, goal) in [("below", first - 1), ("above", 30), ("behind", 40)] {
        assert_eq!(world.restored(name, Goal::Sequence(goal)).await.unwrap().1, upto(goal));
    }
    assert_eq!(snapshot.name.sequence(), 30);
}

#[tokio::test]
async fn s07_nothing_damaged_is_ever_visible() {
    let world = World::new();
    world.published(30).await;
    for key in world.segments().await {
        let bytes = world.object(&key).await;
        for at in [6, 60, 100, 127, 150, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            world.put(&key, damaged).await;
            let error = world.restored("damaged", Goal::Latest).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "{}", causes(&error));
            assert!(!world.dir("damaged").exists());
            // What was sound would be kept for the next.
            fs::remove_dir_all(world.dir("damaged.restore")).unwrap();
        }
        world.put(&key, bytes).await;
    }
    let keys = world.segments().await;
    let (first, second) = (world.object(&keys[0]).await, world.object(&keys[1]).await);
    world.put(&keys[0], second.clone()).await;
    world.put(&keys[1], first.clone()).await;
    let error = world.restored("damaged", Goal::Latest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", causes(&error));
    world.put(&keys[0], first).await;
    world.put(&keys[1], second).await;
    fs::remove_dir_all(world.dir("damaged.restore")).unwrap();
    // On the way only: fetched once more.
    world
        .faults
        .inject(Rule::new(Operation::Get, Fault::Body(BodyFault::FlipBit(2000))).on_key("seg/").nth(1));
    assert_eq!(world.restored("damaged", Goal::Latest).await.unwrap().1, upto(30));
}

#[tokio::test]
async fn l11_a_restore_that_ends_at_any_request_is_gone_on_with() {
    let world = World::new();
    world.published(40).await;
    world.snapshot_at(12).await;
    collect_up_to(&world, 12).await;
    let gets = |world: &World| world.faults.calls(Operation::Get);
    let start = gets(&world);
    world.restored("straight", Goal::Latest).await.unwrap();
    let whole = gets(&world) - start;
    let mut spared = 0;
    for n in 1..=whole {
        let name = format!("stopped-{n}");
        world.faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Denied)).nth(n));
        world.restored(&name, Goal::Latest).await.unwrap_err();
        world.faults.clear();
        assert!(!world.dir(&name).exists(), "{n}");
        let start = gets(&world);
        assert_eq!(world.restored(&name, Goal::Latest).await.unwrap().1, upto(40));
        spared += whole - (gets(&world) - start);
        assert!(!world.dir(&format!("{name}.restore")).exists());
    }
    assert!(spared > whole, "{spared} requests of {whole} were spared in all");
}

#[tokio::test]
async fn what_a_killed_restore_left_is_verified_again() {
    let world = World::new();
    world.published(30).await;
    world.faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Denied)).on_key("seg/").nth(3));
    world.restored("left", Goal::Latest).await.unwrap_err();
    world.faults.clear();
    let work = world.dir("left.restore/segments");
    let mut damaged = 0;
    for entry in fs::read_dir(work).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hadbj") {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0);
    // A database that is no database, and one of another goal.
    fs::create_dir_all(world.dir("left.restore/database")).unwrap();
    fs::write(world.dir("left.restore/database/left"), "nothing of ours\n").unwrap();
    assert_eq!(world.restored("left", Goal::Sequence(25)).await.unwrap().1, upto(25));
}

#[tokio::test]
async fn what_stands_there_stays_unless_it_is_said() {
    let world = World::new();
    world.published(10).await;
    fs::write(world.dir("mine"), "mine\n").unwrap();
    let error = world.restored("mine", Goal::Latest).await.unwrap_err();
    assert!(matches!(error, Error::RestoreExists { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(world.dir("mine")).unwrap(), "mine\n");
    let restore = world.restore("mine", Goal::Latest).options(RestoreOptions::default().with_replace(true));
    let aside = restore.run().await.unwrap().set_aside.unwrap();
    assert_eq!(fs::read_to_string(aside).unwrap(), "mine\n");
    assert_eq!(sequences(&world.dir("mine")), upto(10));
}

#[tokio::test]
async fn a_restored_journal_is_one_and_of_a_lineage_of_its_own() {
    let world = World::new();
    world.published(40).await;
    let head = world.head().await;
    for (name, lineage, last) in [
        ("new", RestoredLineage::New, 40),
        ("kept", RestoredLineage::Kept, 40),
        ("cut", RestoredLineage::New, 23),
        ("first", RestoredLineage::Kept, 1),
    ] {
        let restore =
            Restore::into_journal(world.remote(), world.dir(name), lineage).goal(Goal::Sequence(last));
        let report = restore.run().await.unwrap();
        let dir = JournalDir::open(world.dir(name)).unwrap();
        let identity = dir.identity().unwrap().unwrap();
        assert_eq!(identity.lineage == head.lineage(), lineage == RestoredLineage::Kept, "{name}");
        assert_eq!(identity.database_id, *head.database_id().as_bytes());
        assert_eq!(report.position, dir.position().unwrap(), "{name}");
        let entries: Vec<_> = dir.reader(ReaderOptions::default()).unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), upto(last), "{name}");
        assert!(entries.iter().all(|entry| entry.commit_ms == commit_ms(entry.sequence)));
        let (_, point) = find_point(&world.remote(), &Goal::Sequence(last)).await.unwrap();
        assert_eq!(entries.last().unwrap().chain_hash, point.chain_hash, "{name}");

        // It goes on.
        let (journal, report) = Journal::builder(world.dir(name)).open().unwrap();
        assert!(report.is_clean(), "{report:?}");
        let ticket = journal.append(world::entry(last + 1).encode().unwrap()).unwrap();
        assert_eq!(ticket.wait(Ack::Synced).unwrap(), last + 1..=last + 1);
        journal.close().unwrap();
    }
    // One of its own lineage can't be shipped over the history that it came from, and can be under another name.
    let error = world.uploader("new").await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", causes(&error));
    let error = Restore::into_journal(world.remote(), world.dir("new"), RestoredLineage::New).run().await;
    assert!(matches!(error, Err(Error::RestoreExists { .. })), "{error:?}");
}

#[tokio::test]
async fn a_journal_begins_where_the_segments_do_if_a_snapshot_leads_into_them() {
    let world = World::new();
    world.published(40).await;
    let (all, snapshot) = (world.objects().await, world.snapshot_at(20).await);
    collect_up_to(&world, 20).await;
    let restore = || Restore::into_journal(world.remote(), world.dir("late"), RestoredLineage::New);
    let report = restore().run().await.unwrap();
    assert!(report.plan.after > 0);
    let dir = JournalDir::open(world.dir("late")).unwrap();
    let reader = dir.reader(ReaderOptions::default()).unwrap();
    let found: Vec<_> = reader.map(|entry| entry.unwrap().sequence).collect();
    assert_eq!(found, (report.plan.after + 1..=40).collect::<Vec<_>>());
    assert_eq!(dir.position().unwrap().chain_hash, world.head().await.committed().chain.hash().unwrap());
    fs::remove_dir_all(world.dir("late")).unwrap();
    // To before the snapshot nothing leads, and without it the first entries are missing.
    let first = report.plan.after + 1;
    let error = restore().goal(Goal::Sequence(first)).run().await.unwrap_err();
    assert!(
        matches!(&error, Error::RestoreHole(hole) if hole.above == Some(snapshot.name.sequence())),
        "{error:?}"
    );
    world.hold(&all).await;
    collect_up_to(&world, 20).await;
    let error = restore().run().await.unwrap_err();
    let Error::RestoreHole(hole) = &error else { panic!("{error:?}") };
    assert_eq!((hole.first, hole.last, hole.below), (1, report.plan.after, None));
    assert!(!world.dir("late").exists());
}

#[tokio::test]
async fn l11_a_journal_killed_while_it_is_placed_is_restored_by_the_next() {
    let world = World::new();
    world.published(40).await;
    // As a kill leaves it: half of the segments fetched, one with its lineage changed, one moved.
    world.faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Denied)).on_key("seg/").nth(3));
    let restore = || Restore::into_journal(world.remote(), world.dir("journal"), RestoredLineage::New);
    restore().run().await.unwrap_err();
    world.faults.clear();
    let segments = world.dir("journal.restore/segments");
    let mut files: Vec<_> = fs::read_dir(&segments).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let bytes = fs::read(&files[0]).unwrap();
    let mut header = graphstream_format::Header::decode(bytes[..128].try_into().unwrap()).unwrap();
    header.lineage = graphstream_format::Lineage::from_bytes([7; 16]);
    fs::write(&files[0], [header.encode().as_slice(), &bytes[128..]].concat()).unwrap();
    fs::create_dir(world.dir("journal.restore/journal")).unwrap();
    fs::rename(&files[1], world.dir("journal.restore/journal/journal-0000000000000007.hadbj")).unwrap();
    let report = restore().run().await.unwrap();
    assert!(report.resumed);
    let dir = JournalDir::open(world.dir("journal")).unwrap();
    let reader = dir.reader(ReaderOptions::default()).unwrap();
    assert_eq!(reader.map(|entry| entry.unwrap().sequence).collect::<Vec<_>>(), upto(40));
}

#[tokio::test]
async fn a_target_without_a_file_gets_every_entry_and_must_be_empty() {
    let world = World::new();
    world.published(20).await;
    let target = world::Recorder::default();
    let into = |target: &world::Recorder| {
        let options = RestoreOptions::default().with_work_dir(world.dir("work"));
        Restore::into_target(world.remote(), Box::new(target.clone()))
            .goal(Goal::Sequence(15))
            .options(options)
    };
    into(&target).run().await.unwrap();
    target.assert_holds(15);
    let error = into(&target).run().await.unwrap_err();
    assert!(matches!(error, Error::RestoreNotEmpty { sequence: 15, .. }), "{error:?}");

    // Killed in the middle of applying.
    let target = world::Recorder::default();
    target.durable().poison = Some(9);
    fs::remove_dir_all(world.dir("work")).unwrap();
    into(&target)
        .options(RestoreOptions::default().with_work_dir(world.dir("work")).with_batch_entries_max(2))
        .run()
        .await
        .unwrap_err();
    target.durable().poison = None;
    into(&target).run().await.unwrap();
    target.assert_holds(15);
}

#[tokio::test]
async fn two_restores_of_one_thing_exclude_each_other() {
    let world = World::new();
    world.published(5).await;
    let work = world.dir("same.restore");
    fs::create_dir_all(&work).unwrap();
    let lock = fs::File::create(work.join("lock")).unwrap();
    lock.try_lock().unwrap();
    let error = world.restored("same", Goal::Latest).await.unwrap_err();
    assert!(matches!(error, Error::RestoreRunning { .. }), "{error:?}");
    drop(lock);
    world.restored("same", Goal::Latest).await.unwrap();
}
