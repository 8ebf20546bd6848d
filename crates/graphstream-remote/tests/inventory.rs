//! What names alone show. Each kind of damage and of leftovers gives its own finding, and a leader, a rival and a compactor at work
//! between any two requests give none.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod world;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use graphstream_remote::{
    ErrorKind, Finding, Head, HeadShows, HistoryRule, Inventory, ObjectName, SegmentName, Severity,
};
use graphstream_storage::{
    Error as StoreError, GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, PutBody, PutMode,
    StorageBackend, Version,
};
use world::{EtagStore, Journal, Leader, Random, merge, remote, run};

/// A store with entries 1 to 4, each a segment, of epoch 1.
fn stored() -> (EtagStore, Arc<Random>, Leader) {
    let (store, random) = (EtagStore::default(), Random::new(11));
    let mut leader = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
    leader.store(&["a", "b", "c", "d"]).unwrap();
    (store, random, leader)
}

fn inventory(store: &EtagStore) -> Inventory {
    run(remote(store.clone(), &Random::new(1)).inventory()).unwrap()
}

fn findings(store: &EtagStore) -> Vec<Finding> {
    inventory(store).findings()
}

#[track_caller]
fn one(store: &EtagStore) -> Finding {
    let mut findings = findings(store);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

fn segments(store: &EtagStore) -> Vec<SegmentName> {
    store.names("seg/").iter().map(|name| SegmentName::parse(name).unwrap()).collect()
}

fn head(store: &EtagStore) -> Head {
    Head::parse(&store.bytes("head.json").unwrap(), None).unwrap()
}

fn snapshot(store: &EtagStore, sequence: u64, epoch: u32, complete: bool) -> String {
    let directory = format!("snap/{sequence:016x}-{epoch:08x}-{:012x}", sequence * 1000);
    store.set(&format!("{directory}/000000.tar.zst"), "data");
    if complete {
        store.set(&format!("{directory}/manifest.json"), "{}");
    }
    directory
}

#[test]
fn a_whole_history_has_no_findings() {
    let (store, ..) = stored();
    store.set("probe", "x");
    let inventory = inventory(&store);
    assert_eq!(inventory.findings(), []);
    assert_eq!((inventory.begins_after(), inventory.restorable_from()), (0, Some(0)));
    assert_eq!(inventory.segments().iter().filter(|segment| segment.history).count(), 4);
    // Head, epoch object, probe.
    assert_eq!(inventory.objects(), 4 + 3);
    let nothing = EtagStore::default();
    assert_eq!(findings(&nothing), []);
    assert_eq!(run(remote(nothing, &Random::new(1)).inventory()).unwrap().restorable_from(), None);
}

#[test]
fn l18_every_missing_run_is_a_gap_with_its_sequences() {
    for missing in 1_u32..(1 << 4) {
        let (store, ..) = stored();
        let names = segments(&store);
        let mut expected: Vec<(u64, u64)> = Vec::new();
        for (at, name) in names.iter().enumerate().filter(|(at, _)| missing & (1 << at) != 0) {
            store.remove(&name.to_string());
            let sequence = at as u64 + 1;
            match expected.last_mut() {
                Some(last) if last.1 + 1 == sequence => last.1 = sequence,
                _ => expected.push((sequence, sequence)),
            }
        }
        let inventory = inventory(&store);
        let gaps = inventory.findings();
        let found: Vec<_> = gaps.iter().map(|gap| gap.sequences().unwrap()).collect();
        assert_eq!(found, expected, "{missing:b}");
        for gap in &gaps {
            assert_eq!((gap.kind(), gap.severity()), (Some(ErrorKind::Gap), Severity::Damage));
            let Finding::Gap { first, named, .. } = gap else { panic!("{gap:?}") };
            assert_eq!(named.map(|name| name.first()), Some(*first), "the head names it");
        }
        assert_eq!(inventory.restorable_from(), None, "{missing:b}");
    }
}

#[test]
fn a_snapshot_makes_what_it_holds_dispensable() {
    let (store, ..) = stored();
    let names = segments(&store);
    store.remove(&names[0].to_string());
    store.remove(&names[1].to_string());
    let unfinished = snapshot(&store, 3, 1, false);
    let found = findings(&store);
    assert!(matches!(found[0], Finding::Gap { first: 1, last: 2, .. }), "{found:?}");
    assert!(matches!(found[1], Finding::SnapshotUnfinished { objects: 1, .. }), "{found:?}");
    // It reaches what is left.
    store.set(&format!("{unfinished}/manifest.json"), "{}");
    let whole = inventory(&store);
    assert_eq!(whole.findings(), []);
    assert_eq!((whole.begins_after(), whole.restorable_from()), (2, Some(3)));
    // Behind the snapshot there must be no hole.
    store.remove(&names[3].to_string());
    assert!(matches!(one(&store), Finding::Gap { first: 4, last: 4, .. }));
    assert_eq!(inventory(&store).restorable_from(), None);
    // A snapshot of the end needs nothing else.
    snapshot(&store, 4, 1, true);
    store.remove(&names[2].to_string());
    let alone = inventory(&store);
    assert_eq!((alone.findings(), alone.restorable_from()), (Vec::new(), Some(4)));
}

#[test]
fn snapshots_of_no_history_are_leftovers() {
    let (store, random, _) = stored();
    let mut rival =
        Leader::start(&remote(store.clone(), &random), Journal::of(&["a", "b", "c", "d"])).unwrap();
    rival.store(&["e"]).unwrap();
    // Beyond what is committed, and of a leader that was fenced before it.
    for (sequence, epoch) in [(6, 2), (5, 1)] {
        let directory = snapshot(&store, sequence, epoch, true);
        assert!(matches!(one(&store), Finding::SnapshotOrphan { name } if name.sequence() == sequence));
        store.remove(&format!("{directory}/manifest.json"));
        store.remove(&format!("{directory}/000000.tar.zst"));
    }
    for (sequence, epoch) in [(4, 1), (5, 2)] {
        snapshot(&store, sequence, epoch, true);
    }
    assert_eq!(findings(&store), []);
}

#[test]
fn orphans_are_named_with_the_epoch_that_fenced_them() {
    let (store, random, mut zombie) = stored();
    zombie.journal.append(b"zombie");
    let orphan = zombie.upload(5..=5).unwrap();
    // In flight, until somebody else leads.
    let unpublished = one(&store);
    assert_eq!(unpublished, Finding::Unpublished { name: orphan, committed: 4 });
    assert_eq!(unpublished.severity(), Severity::Leftover);
    let mut rival =
        Leader::start(&remote(store.clone(), &random), Journal::of(&["a", "b", "c", "d"])).unwrap();
    for _ in 0..2 {
        assert_eq!(one(&store), Finding::Orphan { name: orphan, fenced_by: Some(2) });
        rival.store(&["e"]).unwrap();
    }
    assert_eq!(inventory(&store).restorable_from(), Some(0));
}

#[test]
fn merged_segments_fill_what_they_replaced() {
    let (store, ..) = stored();
    let names = segments(&store);
    let merged = merge(&store, &names[..3], 1);
    assert_eq!(findings(&store), []);
    names[..3].iter().for_each(|name| drop(store.remove(&name.to_string())));
    assert_eq!(findings(&store), []);
    store.remove(&merged.to_string());
    assert!(matches!(one(&store), Finding::Gap { first: 1, last: 3, .. }));
}

#[test]
fn two_segments_for_the_same_sequences_are_a_fork() {
    let (store, ..) = stored();
    let names = segments(&store);
    let twice = SegmentName::new(0, 2, 3, 1, 9999).unwrap();
    store.set(&twice.to_string(), "x");
    let found = findings(&store);
    assert!(
        !found.is_empty() && found.iter().all(|finding| finding.kind() == Some(ErrorKind::Fork)),
        "{found:?}"
    );
    assert!(found.contains(&Finding::Overlap { name: twice, other: names[1] }), "{found:?}");
}

#[test]
fn a_size_that_the_head_does_not_say_is_damage() {
    let (store, ..) = stored();
    let name = segments(&store)[2];
    let bytes = store.bytes(&name.to_string()).unwrap();
    let (expected, found) = (bytes.len() as u64, bytes.len() as u64 - 1);
    store.set(&name.to_string(), bytes.slice(1..));
    assert_eq!(one(&store), Finding::SizeDiffers { name, expected, found });
}

#[test]
fn h08_a_head_older_than_its_objects_is_a_rewind() {
    // Of an earlier epoch: the epoch object remembers, and what was stored under it.
    let (store, random, leader) = stored();
    let old = store.bytes("head.json").unwrap();
    let mut rival = Leader::start(&remote(store.clone(), &random), leader.journal).unwrap();
    rival.store(&["e"]).unwrap();
    store.set("head.json", old);
    let found = findings(&store);
    assert_eq!(found.len(), 2, "{found:?}");
    for (finding, object) in
        found.iter().zip([ObjectName::Epoch(2), ObjectName::Segment(segments(&store)[4])])
    {
        assert_eq!(finding.kind(), Some(ErrorKind::Rewind));
        assert_eq!(*finding, Finding::HeadOlder { object: object.to_string(), shown: HeadShows::Epoch(1) });
    }
    // Of the same epoch: only what was merged meanwhile tells, for what is merged was committed.
    let (store, _, mut leader) = stored();
    let old = store.bytes("head.json").unwrap();
    leader.store(&["e", "f"]).unwrap();
    let merged = merge(&store, &segments(&store)[3..6], 1);
    store.set("head.json", old);
    let found = findings(&store);
    let expected = Finding::HeadOlder { object: merged.to_string(), shown: HeadShows::Committed(4) };
    assert_eq!(found[0], expected);
    assert!(found[1..].iter().all(|finding| matches!(finding, Finding::Unpublished { .. })), "{found:?}");
    // To whoever knows what was committed, it always shows.
    store.remove(&merged.to_string());
    assert!(findings(&store).iter().all(|finding| finding.severity() == Severity::Leftover));
    assert_eq!(
        inventory(&store).with_floor(5).findings()[0],
        Finding::HeadBelowFloor { floor: 5, committed: 4 }
    );
    assert_eq!(inventory(&store).with_floor(4).findings().len(), findings(&store).len());
}

#[test]
fn a_missing_head_is_damage_wherever_anything_proves_that_there_was_one() {
    let (store, ..) = stored();
    store.remove("head.json");
    loop {
        let evidence: Vec<_> =
            ["seg/", "snap/", "epoch/"].iter().flat_map(|below| store.names(below)).collect();
        let Some(first) = evidence.first() else { break };
        assert_eq!(one(&store), Finding::HeadMissing { evidence: first.clone() });
        store.remove(first);
    }
    assert_eq!(findings(&store), []);
    store.set("seg/0/what", "x");
    assert_eq!(one(&store), Finding::HeadMissing { evidence: "seg/0/what".to_owned() });
}

#[test]
fn epoch_objects_must_be_what_the_head_says() {
    let (store, random, leader) = stored();
    let first = store.bytes("epoch/00000001.json").unwrap();
    store.remove("epoch/00000001.json");
    assert_eq!(one(&store), Finding::EpochObjectMissing { epoch: 1, start: 0 });
    store.set("epoch/00000001.json", "{}");
    assert_eq!(one(&store), Finding::EpochObjectDiffers { epoch: 1 });
    store.set("epoch/00000001.json", first);
    // Who has claimed and not yet put anything may have died before it put the object.
    Leader::start(&remote(store.clone(), &random), leader.journal).unwrap();
    store.remove("epoch/00000002.json");
    assert_eq!(findings(&store), []);
}

#[test]
fn h03_names_that_are_not_ours_are_shown_and_nothing_else() {
    let (store, ..) = stored();
    let mut unknown = [
        "seg/0/0000000000000001-0000000000000001-00000001-0000000003e8.hadbj.tmp",
        "seg/9/0000000000000001-0000000000000001-00000001-0000000003e8.hadbj",
        "seg/0/000000000000000G-0000000000000001-00000001-0000000003e8.hadbj",
        "epoch/1.json",
        "snap/x",
        "label/UPPER.json",
        "readme.txt",
        "probe2",
    ];
    unknown.iter().for_each(|name| store.set(name, "x"));
    unknown.sort_unstable();
    let expected: Vec<_> =
        unknown.iter().map(|name| Finding::UnknownName { relative: (*name).to_owned() }).collect();
    assert_eq!(findings(&store), expected);
}

/// Lets others work in the store before every request.
struct Meddled<F>(EtagStore, Mutex<F>);

impl<F: FnMut(&EtagStore)> Meddled<F> {
    fn meddle(&self) {
        (self.1.lock().unwrap())(&self.0);
    }
}

impl<F> std::fmt::Debug for Meddled<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl<F: FnMut(&EtagStore) + Send + 'static> StorageBackend for Meddled<F> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome, StoreError> {
        self.meddle();
        self.0.get(key, options).await
    }
    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version, StoreError> {
        self.0.put(key, body, mode).await
    }
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        self.0.head(key).await
    }
    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.0.delete(key).await
    }
    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<(), StoreError>)>, StoreError> {
        self.0.delete_many(keys).await
    }
    async fn list(&self, mut request: ListRequest) -> Result<ListPage, StoreError> {
        self.meddle();
        request.limit = Some(3);
        self.0.list(request).await
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Merges some neighbours of a level, and at once or later deletes what they replace.
fn compact(store: &EtagStore, random: &Random, replaced: &mut Vec<SegmentName>) {
    if random.per_mille(500) {
        replaced.drain(..).for_each(|name| drop(store.remove(&name.to_string())));
        return;
    }
    let head = head(store);
    let rule = HistoryRule::of(&head);
    let level = u8::try_from(random.below(2)).unwrap();
    let mut history = segments(store);
    history.retain(|name| name.level() == level && rule.admits(name) && !replaced.contains(name));
    history.sort_by_key(SegmentName::first);
    let at = random.below(history.len().max(1));
    let neighbours: Vec<_> = history.iter().skip(at).take(3).copied().collect();
    let joined = neighbours.is_sorted_by(|a, b| a.last() + 1 == b.first());
    if neighbours.len() > 1 && joined {
        merge(store, &neighbours, level + 1);
        replaced.extend(neighbours);
    }
}

#[test]
fn s06_leaders_rivals_and_compactors_between_any_two_requests_are_no_damage() {
    let mut merged = 0;
    for seed in 0..25 {
        let random = Random::new(seed);
        let store = EtagStore::default();
        let (others, chance) = (Arc::clone(&random), Random::new(seed + 1000));
        let mut leader: Option<Leader> = None;
        let mut replaced = Vec::new();
        let budget = Arc::new(Mutex::new(20));
        let left = Arc::clone(&budget);
        let mut work = move |store: &EtagStore| {
            // Listing must be faster than writing, or it never ends.
            let mut left = left.lock().unwrap();
            for _ in 0..chance.below(4).min(*left) {
                *left -= 1;
                let journal = leader.as_ref().map(|leader| leader.journal.clone()).unwrap_or_default();
                match chance.below(10) {
                    0..=4 if leader.is_some() => {
                        drop(leader.as_mut().unwrap().store(&["x", "y"]));
                    }
                    5..=7 if leader.is_some() => compact(store, &chance, &mut replaced),
                    8 if leader.is_some() => {
                        // Uploaded, and never published.
                        let leader = leader.as_mut().unwrap();
                        leader.journal.append(b"orphan");
                        let last = leader.journal.last_sequence();
                        drop(leader.upload(last..=last));
                    }
                    _ => {
                        // A new leader, which has what is committed and not what the one before it had on top.
                        let mut journal = journal;
                        if store.bytes("head.json").is_some() {
                            journal.truncate(head(store).committed().sequence);
                        }
                        leader = Some(Leader::start(&remote(store.clone(), &others), journal).unwrap());
                    }
                }
            }
        };
        (0..20).for_each(|_| work(&store));
        let meddled = Meddled(store.clone(), Mutex::new(work));
        let remote = remote(meddled, &random);
        for round in 0..5 {
            *budget.lock().unwrap() = 20;
            let inventory = run(remote.inventory()).unwrap();
            let damage: Vec<_> =
                inventory.findings().into_iter().filter(|finding| finding.kind().is_some()).collect();
            assert!(damage.is_empty(), "seed {seed}, round {round}: {damage:?}");
            assert_eq!(inventory.restorable_from(), Some(0), "seed {seed}, round {round}");
            merged += inventory.segments().iter().filter(|segment| segment.name.level() > 0).count();
        }
    }
    assert!(merged > 100, "compactors did nothing");
}
