//! The model's counterexamples: histories in which an earlier text of the protocol broke a promise. Each test walks the
//! trace and asserts that the promise holds. Those that need a collector's or a repair's deciding code are left to the
//! crates that own it; what they demand of leaders and readers is here.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod world;

use graphstream_remote::{
    Error, ErrorKind, Fenced, Head, HeadReader, HistoryRule, LeaderSession, OwnerNonce, SegmentName,
    SessionOptions,
};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, FaultBackend, Operation, PutMode};
use world::{
    EtagStore, Journal, Leader, Random, commits, identity, in_every_world, keys, merge, remote, run,
};

const LOST: Fault = Fault::After(ErrorClass::TimeoutUnknown);
const NEVER: Fault = Fault::Before(ErrorClass::TimeoutUnknown);
const LATE: Fault = Fault::Late(ErrorClass::TimeoutUnknown);
const DOWN: Fault = Fault::Before(ErrorClass::Unavailable);

fn fenced<T: std::fmt::Debug>(result: Result<T, Error>) -> Fenced {
    match result {
        Err(Error::Fenced(fenced)) => *fenced,
        other => panic!("expected to be fenced, got {other:?}"),
    }
}

fn head(store: &EtagStore) -> Head {
    Head::parse(&store.bytes("head.json").unwrap(), keys().as_deref()).unwrap()
}

fn put_head(rule: Fault) -> Rule {
    Rule::new(Operation::Put, rule).on_key("head.json")
}

/// A's upload of [1] is not published; B claims and commits nothing; A learns that it is fenced and says so for 1. The
/// note that it leaves makes its next start set 1 aside, although no rival has committed there.
#[test]
fn v1_reported_fenced_never_returns() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(1);
        let faulty = FaultBackend::new(store.clone());
        let a_remote = remote(faulty.clone(), &random);
        let mut a = Leader::start(&a_remote, Journal::of(&["a"])).unwrap();
        a.upload(1..=1).unwrap();
        faulty.inject(put_head(Fault::Before(ErrorClass::Unavailable)));
        assert_eq!(a.publish().unwrap_err().kind(), ErrorKind::Storage);

        let b = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
        let told = fenced(a.publish());
        assert_eq!((told.epoch, told.by_epoch, told.fenced_after), (1, 2, 0));
        assert_eq!(told.by_owner, b.session.nonce());
        // Final: nothing that it is asked afterwards writes anything.
        let before = store.objects().clone();
        assert_eq!(fenced(a.publish()), told);
        assert_eq!(fenced(a.upload(1..=1)), told);
        assert_eq!(fenced(run(a.session.check(&a.journal))), told);
        assert_eq!(fenced(a.claim()), told);
        assert_eq!(*store.objects(), before);

        // The restart, with the note obeyed: entries beyond it move aside.
        let mut journal = a.journal;
        journal.truncate(told.fenced_after);
        let mut again = Leader::start(&a_remote, journal).unwrap();
        assert_eq!(again.epoch(), 3);
        again.store(&["b"]).unwrap();
        let rule_head = head(&store);
        let orphan =
            SegmentName::parse(&store.names("seg/0/0000000000000001-0000000000000001-00000001")[0]).unwrap();
        assert!(!HistoryRule::of(&rule_head).admits(&orphan), "what was reported Fenced is not history");
        assert!(commits(&rule_head.committed(), Journal::of(&["b"]).chain(1)));
    });
}

/// A's publication of 1='a' has no answer and never landed; B claims at 0 and publishes 1='b'. Equal sequences must not
/// make A count itself in.
#[test]
fn v2_equal_sequence_is_not_stored() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(2);
        let faulty = FaultBackend::new(store.clone());
        let mut a = Leader::start(&remote(faulty.clone(), &random), Journal::of(&["a"])).unwrap();
        a.upload(1..=1).unwrap();
        faulty.inject(put_head(NEVER));
        // The reads that would settle it fail as well: A does not know.
        faulty.inject(Rule::new(Operation::Get, DOWN).on_key("head.json"));
        assert_eq!(a.publish().unwrap_err().kind(), ErrorKind::Storage);

        let mut b = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
        b.store(&["b"]).unwrap();
        let told = fenced(a.publish());
        assert_eq!(told.fenced_after, 0, "1='a' is not stored");
        assert_eq!(told.committed.sequence, 1);
    });
}

/// The other side of V2: A's publication landed, its answer was lost, and B claimed on top and went further. A's position is
/// at most start(2) and its chain there is equal: it counts, although the head's chain can't be compared any more.
#[test]
fn v2_landed_before_the_rival_is_stored() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(3);
        let faulty = FaultBackend::new(store.clone());
        let mut a = Leader::start(&remote(faulty.clone(), &random), Journal::of(&["a1", "a2"])).unwrap();
        a.upload(1..=1).unwrap();
        faulty.inject(put_head(LOST));
        faulty.inject(Rule::new(Operation::Get, DOWN).on_key("head.json"));
        assert_eq!(a.publish().unwrap_err().kind(), ErrorKind::Storage);
        a.upload(2..=2).unwrap();

        let mut b = Leader::start(&remote(store.clone(), &random), Journal::of(&["a1"])).unwrap();
        assert_eq!(b.session.epoch_start(), Some(1));
        b.store(&["b2", "b3"]).unwrap();
        let told = fenced(a.publish());
        assert_eq!(told.fenced_after, 1, "1 is stored, 2 is not");
    });
}

/// As above, but three epochs later and with the rival's epoch gone from the head, because it committed nothing: the first
/// epoch above ours is found by its object.
#[test]
fn v2_first_epoch_above_is_found_by_its_object() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(4);
        let faulty = FaultBackend::new(store.clone());
        let mut a = Leader::start(&remote(faulty.clone(), &random), Journal::of(&["a1", "a2"])).unwrap();
        a.upload(1..=1).unwrap();
        faulty.inject(put_head(LOST));
        faulty.inject(Rule::new(Operation::Get, DOWN).on_key("head.json"));
        assert!(a.publish().is_err());

        let clean = remote(store.clone(), &random);
        let first = Leader::start(&clean, Journal::of(&["a1"])).unwrap();
        Leader::start(&clean, Journal::of(&["a1"])).unwrap();
        let mut last = Leader::start(&clean, Journal::of(&["a1"])).unwrap();
        last.store(&["c2"]).unwrap();
        assert_eq!(head(&store).epochs().iter().map(|row| row.epoch).collect::<Vec<_>>(), [1, 4]);
        let told = fenced(a.publish());
        assert_eq!((told.by_epoch, told.by_owner, told.fenced_after), (2, first.session.nonce(), 1));
    });
}

/// Level 0 is listed, then a compactor merges and deletes, then level 1 is listed: nothing may fall between. (Listing level 1
/// first would see neither.) The GET of a level-0 segment then answers 404, and a second listing finds the merged one.
#[test]
fn v3_compaction_between_listings_is_not_a_gap() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(5);
        let mut leader = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
        let many: Vec<String> = (1..=70).map(|n| format!("entry {n}")).collect();
        leader.store(&many.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        // The window does not reach back to 1, so a reader at 0 lists.
        assert!(head(&store).segments()[0].name.first() > 1);
        let inputs: Vec<_> =
            store.names("seg/0/").iter().map(|name| SegmentName::parse(name).unwrap()).collect();

        // At which point of the reader's requests the compactor works makes no difference.
        for step in 0..8 {
            let copy = EtagStore::default();
            copy.objects().extend(store.objects().clone());
            let hook = world_hook::Hooked::new(copy.clone(), step, {
                let (copy, inputs) = (copy.clone(), inputs.clone());
                move || {
                    merge(&copy, &inputs, 1);
                    inputs.iter().for_each(|input| drop(copy.remove(&input.to_string())));
                }
            });
            let reader_remote = remote(hook, &random);
            let mut reader = HeadReader::new(reader_remote.clone()).unwrap();
            run(reader.poll()).unwrap();
            let journal = read_all(&mut reader);
            assert_eq!(journal, leader.journal, "compactor before request {step}");
        }
    });
}

/// A reader holds a head with committed 2; committed goes to 3 and a merged [1..3] replaces all. Nothing in the listing ends
/// at or before 2: only the newer head explains it.
#[test]
fn v4_gap_only_under_an_unchanged_head() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(6);
        let mut leader = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
        leader.store(&["one", "two"]).unwrap();
        let mut reader = HeadReader::new(remote(store.clone(), &random)).unwrap();
        run(reader.poll()).unwrap();
        leader.store(&["three"]).unwrap();
        let inputs: Vec<_> =
            store.names("seg/0/").iter().map(|name| SegmentName::parse(name).unwrap()).collect();
        merge(&store, &inputs, 1);
        inputs.iter().for_each(|input| drop(store.remove(&input.to_string())));

        assert_eq!(reader.current().unwrap().head.committed().sequence, 2);
        assert_eq!(read_all(&mut reader), leader.journal);
        assert_eq!(reader.current().unwrap().head.committed().sequence, 3);
    });
}

/// B claims in the head and dies before its epoch object; A reads that head. Before A tells anybody `Fenced`, epoch/2
/// stands: without it, a loss of the head would let a repair adopt A's uncommitted segment.
#[test]
fn v5_fenced_leader_creates_the_epoch_object_of_its_rival() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(7);
        let mut a = Leader::start(&remote(store.clone(), &random), Journal::of(&["a"])).unwrap();
        a.upload(1..=1).unwrap();
        let b_faulty = FaultBackend::new(store.clone());
        b_faulty.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/00000002").always());
        let mut b = Leader::start(&remote(b_faulty.clone(), &random), Journal::default()).unwrap();
        assert_eq!(store.names("epoch/"), ["epoch/00000001.json"]);

        let told = fenced(a.publish());
        assert_eq!(told.by_epoch, 2);
        let object = store.bytes("epoch/00000002.json").expect("the fenced leader helped");
        // B would have written the same bytes, and goes on.
        b_faulty.clear();
        b.store(&["b"]).unwrap();
        assert_eq!(store.bytes("epoch/00000002.json").unwrap(), object);
    });
}

/// If the rival's epoch object cannot be created, nobody is told `Fenced` yet.
#[test]
fn v5_fenced_is_not_reported_before_the_epoch_object_stands() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(8);
        let a_faulty = FaultBackend::new(store.clone());
        let mut a = Leader::start(&remote(a_faulty.clone(), &random), Journal::of(&["a"])).unwrap();
        a.upload(1..=1).unwrap();
        let b_faulty = FaultBackend::new(store.clone());
        b_faulty.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/").always());
        Leader::start(&remote(b_faulty, &random), Journal::default()).unwrap();

        a_faulty.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/").always());
        assert_eq!(a.publish().unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(a.session.fenced(), None);
        a_faulty.clear();
        assert_eq!(fenced(a.publish()).by_epoch, 2);
    });
}

/// A starting leader, too, creates what the one before it left out, before it claims over it.
#[test]
fn v5_starting_leader_creates_the_epoch_object_before_it_claims() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(9);
        let faulty = FaultBackend::new(store.clone());
        faulty.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/").always());
        Leader::start(&remote(faulty, &random), Journal::default()).unwrap();
        assert!(store.names("epoch/").is_empty());
        let second = FaultBackend::new(store.clone());
        second.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/").always());
        let refused = Leader::start(&remote(second, &random), Journal::default());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(head(&store).epoch(), 1, "no claim over an epoch without its object");
        Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
        assert_eq!(store.names("epoch/"), ["epoch/00000001.json", "epoch/00000002.json"]);
    });
}

/// No segment is put under an epoch before its object stands (a repair would propose past objects that no rule admits).
#[test]
fn v6_no_segment_before_the_epoch_object() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(10);
        let faulty = FaultBackend::new(store.clone());
        faulty.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/").always());
        let mut a = Leader::start(&remote(faulty.clone(), &random), Journal::of(&["a"])).unwrap();
        assert_eq!(a.upload(1..=1).unwrap_err().kind(), ErrorKind::Storage);
        assert!(store.names("seg/").is_empty());
        faulty.clear();
        a.upload(1..=1).unwrap();
        assert_eq!(store.names("epoch/"), ["epoch/00000001.json"]);
        assert_eq!(a.publish().unwrap(), 1);
    });
}

/// The head is lost, and an old creation lands late: {epoch 0, committed 0}, healthy to look at. The epoch objects
/// remember better; no leader claims under it.
#[test]
fn v7_late_creation_is_caught_by_the_start_check() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(11);
        let faulty = FaultBackend::new(store.clone());
        // The slow process read "no head" and sent its creation, which hangs in the network.
        faulty.inject(put_head(LATE));
        let slow_remote = remote(faulty.clone(), &random);
        assert_eq!(run(slow_remote.create_head(&identity())).unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(faulty.late_calls(), 1);

        let mut a = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap();
        a.store(&["a"]).unwrap();
        store.remove("head.json").unwrap();
        faulty.land_late().await_now().unwrap().unwrap();
        assert_eq!(head(&store).epoch(), 0);

        let before = store.objects().clone();
        for journal in [Journal::default(), a.journal.clone()] {
            let error = Leader::start(&remote(store.clone(), &random), journal).unwrap_err();
            assert!(matches!(error, Error::EpochAboveHead { head_epoch: 0, .. }), "{error}");
            assert_eq!(error.kind(), ErrorKind::Rewind);
        }
        // The running leader sees a head below its epoch: it publishes nothing.
        a.journal.append(b"a2");
        a.upload(2..=2).unwrap();
        assert_eq!(a.publish().unwrap_err().kind(), ErrorKind::Rewind);
        assert_eq!(head(&store).epoch(), 0);
        assert!(before.iter().all(|(key, bytes)| store.objects().get(key) == Some(bytes)));
    });
}

/// A new head must never have an old one's bytes, or a stale `If-Match` would succeed (ABA: versions are contents).
#[test]
fn v7_equal_heads_have_different_bytes() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(12);
        let a = remote(store.clone(), &random);
        run(a.create_head(&identity())).unwrap();
        let first = store.remove("head.json").unwrap();
        // A claimer that read the first head is about to swap it.
        let stale = PutMode::Match(EtagStore::version(&first));
        run(a.create_head(&identity())).unwrap();
        let second = store.bytes("head.json").unwrap();
        assert_ne!(first, second);
        let claim = Head::parse(&first, keys().as_deref()).unwrap();
        let nonce = OwnerNonce::from_bytes([1; 16]);
        let claim = claim.claimed(nonce, claim.write_id(), 0).unwrap().render(keys().as_deref()).unwrap();
        let key = a.head_key().unwrap();
        let refused = store.put_now(&key, &claim.into(), &stale).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::VersionMismatch);
        assert_eq!(store.bytes("head.json").unwrap(), second);
    });
}

/// The epoch object of a lost claimer with other content (two owners of one epoch): never a claim over it, and nothing under
/// the epoch is uploaded or published.
#[test]
fn v8_two_owners_of_one_epoch_is_damage() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(13);
        let lost = FaultBackend::new(store.clone());
        lost.inject(Rule::new(Operation::Put, DOWN).on_key("epoch/").always());
        let mut a = Leader::start(&remote(lost.clone(), &random), Journal::of(&["a"])).unwrap();
        // The head is lost, and somebody writes a head of the same epoch and its object.
        let other = Head::created(
            identity().database_id,
            identity().lineage,
            head(&store).write_id(),
            keys().as_deref(),
        );
        let other = other.claimed(OwnerNonce::from_bytes([3; 16]), other.write_id(), 0).unwrap();
        store.set("head.json", other.render(keys().as_deref()).unwrap());
        let row = *other.current_row().unwrap();
        run(remote(store.clone(), &random).ensure_epoch_object(&other, &row)).unwrap();

        lost.clear();
        let error = a.upload(1..=1).unwrap_err();
        assert!(matches!(error, Error::EpochObjectDiffers { epoch: 1, .. }), "{error}");
        assert_eq!(a.publish().unwrap_err().kind(), ErrorKind::Damage);
        assert!(store.names("seg/").is_empty());
        // Whoever runs into our own epoch under another nonce, with nothing of ours standing, was simply fenced.
        assert_eq!(fenced(run(a.session.check(&a.journal))).by_owner, row.owner);

        // And with a head that says otherwise than the object, nobody starts.
        let third = other.claimed(OwnerNonce::from_bytes([4; 16]), other.write_id(), 0).unwrap();
        let wrong = store.bytes("epoch/00000001.json").unwrap();
        store.set("head.json", third.render(keys().as_deref()).unwrap());
        store.set("epoch/00000002.json", wrong);
        let error = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap_err();
        assert!(matches!(error, Error::EpochObjectDiffers { epoch: 2, .. }), "{error}");
    });
}

/// "412 on our own epoch = fenced" broke the promise that a healthy leader never fences itself.
#[test]
fn s03_own_412_is_a_retry() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(14);
        let faulty = FaultBackend::new(store.clone());
        let mut a = Leader::start(&remote(faulty.clone(), &random), Journal::of(&["a1", "a2"])).unwrap();
        a.upload(1..=1).unwrap();
        faulty.inject(put_head(LOST));
        faulty.inject(Rule::new(Operation::Get, DOWN).on_key("head.json"));
        assert!(a.publish().is_err(), "landed, but A does not know");
        a.upload(2..=2).unwrap();
        assert_eq!(a.publish().unwrap(), 2);
        assert_eq!(head(&store).committed().sequence, 2);
    });
}

/// A delayed publication lands after the next attempt was sent: only one of them can.
#[test]
fn s02_delayed_publication_lands_late_and_harmless() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(15);
        let faulty = FaultBackend::new(store.clone());
        let mut a = Leader::start(&remote(faulty.clone(), &random), Journal::of(&["a1", "a2"])).unwrap();
        a.upload(1..=1).unwrap();
        faulty.inject(put_head(LATE));
        assert_eq!(a.publish().unwrap(), 1, "read back as not there, and sent again");
        let late = faulty.land_late().await_now().unwrap();
        assert_eq!(late.unwrap_err().class(), ErrorClass::VersionMismatch);
        a.upload(2..=2).unwrap();
        assert_eq!(a.publish().unwrap(), 2);
    });
}

/// The missing head: a running leader publishes nothing and never creates one.
#[test]
fn s08_missing_head_stops_publication() {
    in_every_world(|| {
        let store = EtagStore::default();
        let random = Random::new(16);
        let mut a = Leader::start(&remote(store.clone(), &random), Journal::of(&["a"])).unwrap();
        let lost = store.remove("head.json").unwrap();
        a.upload(1..=1).unwrap();
        for _ in 0..2 {
            let error = a.publish().unwrap_err();
            assert!(matches!(error, Error::HeadMissing { .. }), "{error}");
            assert_eq!(store.bytes("head.json"), None);
        }
        // Nor does a starting one: something is there.
        let error = Leader::start(&remote(store.clone(), &random), Journal::default()).unwrap_err();
        assert!(matches!(error, Error::HeadMissing { evidence: Some(_), .. }), "{error}");
        // Put back by hand, all goes on.
        store.set("head.json", lost);
        assert_eq!(a.publish().unwrap(), 1);
    });
}

/// Nonces are per start; a session that lost its claim to an unknown outcome recognises it by the nonce.
#[test]
fn s02_lost_claim_is_recognised_by_its_nonce() {
    in_every_world(|| {
        for fault in [LOST, LATE, NEVER] {
            let store = EtagStore::default();
            let random = Random::new(17);
            let faulty = FaultBackend::new(store.clone());
            let session_remote = remote(faulty.clone(), &random);
            run(session_remote.create_head(&identity())).unwrap();
            let nonce = OwnerNonce::from_bytes([5; 16]);
            let journal = Journal::default();
            let options = SessionOptions::default();
            let mut session =
                run(LeaderSession::open(session_remote, identity(), nonce, options, &journal)).unwrap();
            faulty.inject(put_head(fault.clone()));
            run(session.claim(&journal, 0)).unwrap();
            assert_eq!((session.epoch(), head(&store).epoch()), (Some(1), 1), "{fault:?}");
            assert_eq!(head(&store).owner(), Some(nonce));
            if let Some(late) = faulty.land_late().await_now() {
                assert_eq!(late.unwrap_err().class(), ErrorClass::VersionMismatch);
            }
        }
    });
}

/// Reads everything that is committed, resolving again whatever answers 404.
fn read_all(reader: &mut HeadReader) -> Journal {
    let mut journal = Journal::default();
    let mut missing = Vec::new();
    for _ in 0..20 {
        let plan = run(reader.resolve(journal.last_sequence(), &missing)).unwrap();
        for segment in &plan.segments {
            let mut bytes = Vec::new();
            let fetched = run(reader.remote().fetch_segment(&plan.head.head, segment, &mut bytes)).unwrap();
            if fetched.is_none() {
                missing.push(segment.name);
                break;
            }
            for entry in world::entries(&bytes) {
                if entry.sequence == journal.last_sequence() + 1 {
                    journal.append(&entry.payload);
                    assert_eq!(journal.chain(entry.sequence), entry.chain_hash);
                }
            }
        }
        if journal.last_sequence() == plan.head.head.committed().sequence {
            assert!(commits(&plan.head.head.committed(), journal.chain(journal.last_sequence())));
            return journal;
        }
    }
    panic!("no end: at {} after 20 plans, missing {missing:?}", journal.last_sequence());
}

trait AwaitNow: Future + Sized {
    fn await_now(self) -> Self::Output {
        run(self)
    }
}

impl<F: Future> AwaitNow for F {}

mod world_hook {
    //! A backend that lets something happen right before the n-th list or get of a segment.

    use std::sync::Mutex;

    use async_trait::async_trait;
    use graphstream_storage::{
        Error, GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, PutBody, PutMode, Result,
        StorageBackend, Version,
    };

    use super::EtagStore;
    use super::world::body_bytes;

    type Action = Box<dyn FnOnce() + Send>;

    pub(super) struct Hooked {
        store: EtagStore,
        left: Mutex<(usize, Option<Action>)>,
    }

    impl Hooked {
        pub(super) fn new(store: EtagStore, step: usize, action: impl FnOnce() + Send + 'static) -> Self {
            Self { store, left: Mutex::new((step, Some(Box::new(action)))) }
        }

        fn step(&self) {
            let mut left = self.left.lock().unwrap();
            match left.0.checked_sub(1) {
                Some(less) => left.0 = less,
                None => {
                    if let Some(action) = left.1.take() {
                        action();
                    }
                }
            }
        }
    }

    impl std::fmt::Debug for Hooked {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Hooked")
        }
    }

    #[async_trait]
    impl StorageBackend for Hooked {
        async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
            if key.as_str().contains("/seg/") {
                self.step();
            }
            self.store.get(key, options).await
        }

        async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
            self.store.put_now(key, &body_bytes(&body), &mode)
        }

        async fn head(&self, key: &Key) -> Result<ObjectMeta> {
            self.store.head(key).await
        }

        async fn delete(&self, key: &Key) -> Result<()> {
            self.store.delete(key).await
        }

        async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<(), Error>)>> {
            self.store.delete_many(keys).await
        }

        async fn list(&self, request: ListRequest) -> Result<ListPage> {
            self.step();
            self.store.list(request).await
        }

        fn describe(&self) -> String {
            "hooked:".to_owned()
        }
    }
}
