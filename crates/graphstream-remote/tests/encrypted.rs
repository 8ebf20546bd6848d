//! Encrypted histories: what a store shows, what a writer of the store can forge (nothing), how keys change, how encryption is turned on,
//! and how the chain hash that a head hides is found again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod world;

use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_remote::{
    ChainValue, DatabaseId, Error, ErrorKind, Floor, Head, HeadPoll, HeadProblem, HeadRead, HeadReader,
    Identity, LeaderSession, OwnerNonce, Remote, Result, SegmentDamage, SegmentName, SessionOptions,
    StoredHead,
};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, FaultBackend, Operation};
use world::{
    Encryption, EtagStore, Journal, Leader, Random, data_key, encrypt, entries, identity, ring, run,
};

/// A remote with these keys.
fn remote(store: &EtagStore, random: &Arc<Random>, numbers: &[u8]) -> Remote {
    encrypt(Encryption::Off);
    let plain = world::remote(store.clone(), random);
    match ring(numbers) {
        Some(keys) => {
            // Segments with either key; heads with the current one of these.
            encrypt(if numbers.len() > 1 { Encryption::Rotating } else { Encryption::On });
            plain.with_keys(keys)
        }
        None => plain,
    }
}

fn problem<T: std::fmt::Debug>(result: Result<T>) -> HeadProblem {
    match result {
        Err(Error::HeadDamaged { source, .. }) => source,
        other => panic!("expected a head that is refused, got {other:?}"),
    }
}

fn stored(remote: &Remote) -> StoredHead {
    match run(remote.read_head(None)).unwrap() {
        HeadRead::Found(stored) => *stored,
        other => panic!("{other:?}"),
    }
}

fn json(store: &EtagStore, name: &str) -> String {
    String::from_utf8(store.bytes(name).unwrap().to_vec()).unwrap()
}

/// Everything that is committed, or why not.
fn read(remote: &Remote) -> Result<Journal> {
    let mut reader = HeadReader::new(remote.clone())?;
    run(reader.poll())?;
    let plan = run(reader.resolve(0, &[]))?;
    let mut journal = Journal::default();
    for segment in &plan.segments {
        let mut bytes = Vec::new();
        run(remote.fetch_segment(&plan.head.head, segment, &mut bytes))?.unwrap();
        entries(&bytes).iter().for_each(|entry| journal.append(&entry.payload));
    }
    Ok(journal)
}

/// A database with two segments under keys 1.
fn encrypted(random: &Arc<Random>) -> (EtagStore, Leader) {
    let store = EtagStore::default();
    let mut leader = Leader::start(&remote(&store, random, &[1]), Journal::default()).unwrap();
    leader.store(&["canary-one", "canary-two"]).unwrap();
    (store, leader)
}

#[test]
fn k02_no_object_shows_a_payload_a_key_or_a_chain_hash() {
    let random = Random::new(1);
    let store = EtagStore::default();
    let mut a = Leader::start(&remote(&store, &random, &[1]), Journal::default()).unwrap();
    a.store(&["canary-one", "canary-two"]).unwrap();
    let journal = a.journal.clone();
    let mut b = Leader::start(&remote(&store, &random, &[2, 1]), journal).unwrap();
    b.store(&["canary-three"]).unwrap();
    let mut secret: Vec<Vec<u8>> = vec![b"canary".to_vec(), vec![0xc1; 8], vec![0xc2; 8]];
    for chain in &b.journal.chains {
        secret.extend([chain.as_bytes()[..8].to_vec(), chain.to_string().as_bytes()[..16].to_vec()]);
    }
    assert_eq!(store.objects().len(), 1 + 2 + 3);
    for (key, bytes) in store.objects().iter() {
        for secret in &secret {
            assert!(!bytes.windows(secret.len()).any(|window| window == &secret[..]), "{key} shows a secret");
        }
    }
}

#[test]
fn k05_a_plain_database_keeps_its_shape() {
    let random = Random::new(2);
    let store = EtagStore::default();
    let mut leader = Leader::start(&remote(&store, &random, &[]), Journal::default()).unwrap();
    leader.store(&["a"]).unwrap();
    let (head, epoch) = (json(&store, "head.json"), json(&store, "epoch/00000001.json"));
    assert!(head.starts_with(r#"{"format":1,"database_id":"09"#), "{head}");
    assert!(head.ends_with("\"snapshot\":null}\n"), "{head}");
    let chain = leader.journal.chain(1);
    assert!(
        head.contains(&format!(r#""committed":{{"sequence":1,"chain_hash":"{chain}","commit_ms":1000}}"#))
    );
    let row = format!(r#""start_sequence":0,"start_chain":"{}","claimed_ms":1000000}}"#, "0".repeat(64));
    assert!(head.contains(&row), "{head}");
    assert!(epoch.starts_with(r#"{"format":1,"database_id":"09"#) && epoch.ends_with(&format!("{row}}}\n")));
}

#[test]
fn k05_a_keyed_database_has_the_documented_shape() {
    let random = Random::new(2);
    let (store, leader) = encrypted(&random);
    let id = data_key(1).id();
    for name in ["head.json", "epoch/00000001.json"] {
        let text = json(&store, name);
        let start = format!(r#"{{"format":2,"key_id":"{id}","mac":""#);
        assert!(text.starts_with(&start) && text.ends_with("}}\n"), "{text}");
        assert!(text.contains(r#"","content":{"database_id":"09"#), "{text}");
        assert!(text.contains(&format!(r#""start_chain":{{"key_id":"{id}","mac":""#)), "{text}");
    }
    assert!(json(&store, "head.json").contains(r#""plain_up_to":0}"#));
    assert_eq!(read(leader.session.remote()).unwrap(), leader.journal);
}

#[test]
fn k04_without_the_key_nothing_is_read_and_that_is_no_damage() {
    let random = Random::new(3);
    let (store, leader) = encrypted(&random);
    let id = data_key(1).id();
    let none = remote(&store, &random, &[]);
    let error = read(&none).unwrap_err();
    assert_eq!((error.kind(), error.kind().as_str()), (ErrorKind::Key, "key"));
    assert!(!error.kind().is_integrity());
    assert!(matches!(problem::<()>(Err(error)), HeadProblem::KeyRequired { id: found } if found == id));
    let other = remote(&store, &random, &[2]);
    let error = read(&other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(matches!(problem::<()>(Err(error)), HeadProblem::UnknownKey { id: found } if found == id));
    // A leader without it touches nothing.
    let before = store.objects().clone();
    for remote in [none, other] {
        let error = Leader::start(&remote, leader.journal.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
    }
    assert_eq!(*store.objects(), before);
}

#[test]
fn h06_an_edited_head_is_forged() {
    let random = Random::new(4);
    let (store, mut leader) = encrypted(&random);
    let whole = json(&store, "head.json");
    let edits = [
        whole.replace(r#""sequence":2"#, r#""sequence":1"#),
        whole.replace(r#""revision":2"#, r#""revision":9"#),
        whole.replace(r#""plain_up_to":0"#, r#""plain_up_to":2"#),
        whole.replace(r#""commit_ms":2000"#, r#""commit_ms":2001"#),
    ];
    for edited in edits {
        assert_ne!(edited, whole);
        store.set("head.json", edited);
        let error = read(&remote(&store, &random, &[1])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage);
        assert!(matches!(problem::<()>(Err(error)), HeadProblem::Forged { .. }));
        // Neither a running leader nor a starting one takes it.
        assert!(matches!(problem(run(leader.session.check(&leader.journal))), HeadProblem::Forged { .. }));
        let started = Leader::start(&remote(&store, &random, &[1]), leader.journal.clone());
        assert!(matches!(problem(started), HeadProblem::Forged { .. }));
    }
    store.set("head.json", whole);
    leader.store(&["three"]).unwrap();
}

#[test]
fn h07_a_head_without_its_mac_is_plain_and_refused() {
    let random = Random::new(5);
    let (store, mut leader) = encrypted(&random);
    // What a forger can make of it: the same fields, plain, with any chain hash.
    let plain = Head::created(identity().database_id, identity().lineage, stored_write_id(&leader), None);
    let plain = plain.claimed(leader.session.nonce(), plain.write_id(), 0).unwrap();
    for bytes in [plain.render(None).unwrap(), content_of(&json(&store, "head.json"))] {
        store.set("head.json", bytes);
        let error = read(&remote(&store, &random, &[1])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
        let started = Leader::start(&remote(&store, &random, &[1]), leader.journal.clone()).unwrap_err();
        assert_eq!(started.kind(), ErrorKind::Damage, "{error}");
        assert_eq!(run(leader.session.check(&leader.journal)).unwrap_err().kind(), ErrorKind::Damage);
    }
    store.set("head.json", plain.render(None).unwrap());
    assert!(matches!(problem(read(&remote(&store, &random, &[1]))), HeadProblem::Plaintext));
    assert!(matches!(problem(leader.store(&["three"])), HeadProblem::Plaintext));
}

fn stored_write_id(leader: &Leader) -> graphstream_remote::WriteId {
    leader.session.head().unwrap().head.write_id()
}

/// The content of a keyed document as a document of format 1.
fn content_of(text: &str) -> Vec<u8> {
    let (_, content) = text.split_once(r#""content":{"#).unwrap();
    format!(r#"{{"format":1,{}"#, content.strip_suffix("}\n").unwrap()).into_bytes()
}

#[test]
fn h09_a_document_of_another_kind_or_database_is_not_the_head() {
    let random = Random::new(6);
    let (store, leader) = encrypted(&random);
    // An epoch object, under the same key, in the head's place.
    let whole = store.bytes("head.json").unwrap();
    store.set("head.json", store.bytes("epoch/00000001.json").unwrap());
    assert!(matches!(problem(read(&remote(&store, &random, &[1]))), HeadProblem::Forged { .. }));
    // Another database's head under the same key.
    let other = EtagStore::default();
    let other_identity = Identity::new(DatabaseId::from_bytes([5; 16]), identity().lineage);
    run(remote(&other, &random, &[1]).create_head(&other_identity)).unwrap();
    store.set("head.json", other.bytes("head.json").unwrap());
    let mut reader = HeadReader::new(remote(&store, &random, &[1])).unwrap().with_identity(identity());
    assert!(matches!(run(reader.poll()), Err(Error::OtherDatabase { .. })));
    let started = Leader::start(&remote(&store, &random, &[1]), leader.journal.clone());
    assert!(matches!(started, Err(Error::OtherDatabase { .. })));
    store.set("head.json", whole);
    assert_eq!(read(&remote(&store, &random, &[1])).unwrap(), leader.journal);
}

/// A genuine older head proves itself: only who has seen more knows better.
#[test]
fn h09_an_older_head_is_caught_by_floors_not_by_macs() {
    let random = Random::new(7);
    let (store, mut leader) = encrypted(&random);
    let older = store.bytes("head.json").unwrap();
    leader.store(&["three"]).unwrap();
    let mut reader = HeadReader::new(remote(&store, &random, &[1])).unwrap();
    assert!(matches!(run(reader.poll()), Ok(HeadPoll::Changed(_))));
    store.set("head.json", older);
    assert!(read(&remote(&store, &random, &[1])).is_ok(), "nobody without a floor can tell");
    assert!(matches!(run(reader.poll()), Err(Error::Rewound(_))));
    // A local chain hash is as good a floor as what a head said.
    let position = graphstream_format::Position {
        lineage: identity().lineage,
        sequence: 3,
        chain_hash: leader.journal.chain(3),
    };
    let mut reader =
        HeadReader::new(remote(&store, &random, &[1])).unwrap().with_floor(Floor::from(position));
    assert!(matches!(run(reader.poll()), Err(Error::Rewound(_))));
    let session = leader.publish_one("four");
    assert!(matches!(session, Err(Error::Rewound(_))), "{session:?}");
}

#[test]
fn h04_a_floor_of_another_chain_hash_is_a_fork_that_shows_no_chain_hash() {
    let random = Random::new(8);
    let (store, leader) = encrypted(&random);
    let mut position = graphstream_format::Position {
        lineage: identity().lineage,
        sequence: 2,
        chain_hash: leader.journal.chain(2),
    };
    let at = |position: graphstream_format::Position| {
        let reader = HeadReader::new(remote(&store, &random, &[2, 1])).unwrap();
        run(reader.with_floor(Floor::from(position)).poll())
    };
    at(position).unwrap();
    position.chain_hash = leader.journal.chain(1);
    let error = at(position).unwrap_err();
    assert!(matches!(error, Error::Fork { sequence: 2, .. }), "{error}");
    for chain in &leader.journal.chains {
        assert!(!format!("{error} {error:?}").contains(&chain.to_string()[..16]));
    }
}

#[test]
fn h06_an_edited_epoch_object_is_damage() {
    let random = Random::new(9);
    let (store, leader) = encrypted(&random);
    let whole = json(&store, "epoch/00000001.json");
    let plain = String::from_utf8(content_of(&whole)).unwrap();
    for bytes in [whole.replace("1000000", "1000001"), plain, "{}".to_owned()] {
        store.set("epoch/00000001.json", bytes);
        let started = Leader::start(&remote(&store, &random, &[1]), leader.journal.clone());
        assert!(matches!(started, Err(Error::EpochObjectDiffers { epoch: 1, .. })), "{started:?}");
    }
}

/// The first epoch above ours has left the head: what its object says decides about our waiters, so it must be proven.
#[test]
fn h06_the_epoch_object_that_fences_must_be_proven() {
    for (edit, forged) in [(0, true), (1, false)] {
        let random = Random::new(10);
        let store = EtagStore::default();
        let faulty = FaultBackend::new(store.clone());
        let mut a = {
            remote(&store, &random, &[1]);
            let to = world::remote(faulty.clone(), &random).with_keys(ring(&[1]).unwrap());
            Leader::start(&to, Journal::of(&["a1", "a2"])).unwrap()
        };
        a.upload(1..=1).unwrap();
        faulty
            .inject(Rule::new(Operation::Put, Fault::After(ErrorClass::TimeoutUnknown)).on_key("head.json"));
        faulty.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Unavailable)).on_key("head.json"));
        assert!(a.publish().is_err());
        let clean = remote(&store, &random, &[1]);
        for _ in 0..2 {
            Leader::start(&clean, Journal::of(&["a1"])).unwrap();
        }
        Leader::start(&clean, Journal::of(&["a1"])).unwrap().store(&["c2"]).unwrap();
        let whole = json(&store, "epoch/00000002.json");
        let edited = match edit {
            0 => whole.replace(r#""start_sequence":1"#, r#""start_sequence":0"#).into_bytes(),
            _ => content_of(&whole),
        };
        store.set("epoch/00000002.json", edited);
        let refused = problem(a.publish());
        assert_eq!(matches!(refused, HeadProblem::Forged { .. }), forged, "{refused}");
        assert_eq!(matches!(refused, HeadProblem::Plaintext), !forged, "{refused}");
        assert_eq!(a.session.fenced(), None, "nobody is told anything by a forgery");
        store.set("epoch/00000002.json", whole);
        let Err(Error::Fenced(fenced)) = a.publish() else { panic!("fenced") };
        assert_eq!((fenced.by_epoch, fenced.fenced_after), (2, 1));
    }
}

#[test]
fn h07_a_plain_or_swapped_segment_is_refused() {
    let random = Random::new(11);
    let (store, leader) = encrypted(&random);
    let names = store.names("seg/0/");
    let whole = store.bytes(&names[0]).unwrap();
    // The window names hashes; a reader that lists does not have them, and a forger can't touch the window.
    let fetch = |name: &str| {
        let head = stored(&remote(&store, &random, &[1])).head;
        let name = SegmentName::parse(name).unwrap();
        let size = store.bytes(&name.to_string()).unwrap().len() as u64;
        let planned = graphstream_remote::PlannedSegment::new(name, size, None);
        let mut bytes = Vec::new();
        run(remote(&store, &random, &[1]).fetch_segment(&head, &planned, &mut bytes)).map(|_| bytes)
    };
    let plain = world::sealed(1, leader.journal.chain(0), &[b"canary-one"], None);
    store.set(&names[0], plain);
    let error = fetch(&names[0]).unwrap_err();
    let Error::SegmentDamaged { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, SegmentDamage::Plaintext { plain_up_to: 0 }), "{source}");
    assert!(matches!(read(&remote(&store, &random, &[1])), Err(Error::SegmentDamaged { .. })));
    // The other segment under this name.
    store.set(&names[0], store.bytes(&names[1]).unwrap());
    assert!(matches!(fetch(&names[0]), Err(Error::SegmentDamaged { .. })));
    store.set(&names[0], whole);
    assert_eq!(read(&remote(&store, &random, &[1])).unwrap(), leader.journal);
}

#[test]
fn h07_a_plain_segment_is_not_uploaded_under_a_keyed_head() {
    let random = Random::new(12);
    let (store, mut leader) = encrypted(&random);
    leader.journal.append(b"three");
    let segment = leader.journal.segment(3..=3).with_encrypted(false);
    let refused = run(leader.session.uploader().unwrap().upload(&segment));
    assert!(matches!(refused, Err(Error::PlainSegment { first: 3, last: 3 })), "{refused:?}");
    assert_eq!(store.names("seg/0/").len(), 2);
}

/// The old leader has the old key alone, the new one both: the old one publishes nothing, and is not told that it was fenced by what it
/// can't read.
#[test]
fn k03_rotation_half_done() {
    let random = Random::new(13);
    let (store, mut old) = encrypted(&random);
    let mut new = Leader::start(&remote(&store, &random, &[2, 1]), old.journal.clone()).unwrap();
    new.store(&["three"]).unwrap();
    let before = store.objects().clone();
    let refused = old.publish_one("other three");
    // Its segment is an orphan of a fenced epoch; the head and the epochs are as they were.
    assert!(matches!(problem(refused), HeadProblem::UnknownKey { id } if id == data_key(2).id()));
    assert_eq!(old.session.fenced(), None);
    assert!(before.iter().all(|(key, bytes)| store.objects().get(key) == Some(bytes)));
    // A reader that was given the new key reads on across both; one that was not says which it lacks.
    assert_eq!(read(&remote(&store, &random, &[1, 2])).unwrap(), new.journal);
    assert!(matches!(problem(read(&remote(&store, &random, &[1]))), HeadProblem::UnknownKey { .. }));
    // Given the new key, the old leader finds its fork as ever.
    let error = Leader::start(&remote(&store, &random, &[2, 1]), old.journal.clone()).unwrap_err();
    assert!(matches!(error, Error::Fork { sequence: 3, common_through: 2, .. }), "{error}");
    // The key changes what is written from now on, not what stands: the row of the new epoch begins at a value under the old key.
    let head = stored(&remote(&store, &random, &[2, 1])).head;
    assert_eq!(head.committed().chain.key_id(), Some(data_key(2).id()));
    assert_eq!(head.current_row().unwrap().start_chain.key_id(), Some(data_key(1).id()));
}

#[test]
fn k03_encryption_is_turned_on_from_here_on_and_only_if_that_is_said() {
    let random = Random::new(14);
    let store = EtagStore::default();
    let mut plain = Leader::start(&remote(&store, &random, &[]), Journal::default()).unwrap();
    plain.store(&["one", "two"]).unwrap();
    let epoch_1 = store.bytes("epoch/00000001.json").unwrap();
    let keyed = remote(&store, &random, &[1]);
    // Without being said, keys refuse it all: readers, and leaders.
    assert!(matches!(problem(read(&keyed)), HeadProblem::Plaintext));
    assert!(matches!(problem(Leader::start(&keyed, plain.journal.clone())), HeadProblem::Plaintext));
    // A journal that is plain up to less than what is committed has not written that.
    for (plain_up_to, taken) in [(1, false), (2, true)] {
        let nonce = OwnerNonce::random(&*random).unwrap();
        let options = SessionOptions::default().with_plain_up_to(plain_up_to);
        let opened = run(LeaderSession::open(keyed.clone(), identity(), nonce, options, &plain.journal));
        let mut session = match opened {
            Ok(session) if taken => session,
            refused if !taken => {
                assert!(matches!(problem(refused), HeadProblem::Plaintext));
                continue;
            }
            other => panic!("{other:?}"),
        };
        run(session.claim(&plain.journal, 0)).unwrap();
        let mut leader = Leader { session, journal: plain.journal.clone(), uploaded: Vec::new() };
        let claimed = stored(&keyed).head;
        assert_eq!(claimed.plain_up_to(), Some(2));
        let position = run(keyed.committed_position(&stored(&keyed))).unwrap();
        assert_eq!(position.chain_hash, plain.journal.chain(2), "out of a plain segment");
        // The plain leader is out, and can't find out more without a key.
        encrypt(Encryption::Off);
        assert!(matches!(problem(plain.publish_one("x")), HeadProblem::KeyRequired { .. }));
        encrypt(Encryption::On);
        leader.store(&["three"]).unwrap();
        assert_eq!(store.bytes("epoch/00000001.json").unwrap(), epoch_1, "never written again");
        let head = stored(&keyed).head;
        let starts: Vec<_> = head.epochs().iter().map(|row| row.start_chain.key_id().is_some()).collect();
        assert_eq!((starts, head.plain_up_to()), (vec![false, true], Some(2)));
        assert!(!head.demands_encryption(2) && head.demands_encryption(3));
        assert_eq!(read(&keyed).unwrap(), leader.journal);
        // A plain segment behind that point is no history, whoever puts it there.
        let name = store.names("seg/0/").into_iter().find(|name| name.contains("00000002-")).unwrap();
        store.set(&name, world::sealed(3, leader.journal.chain(2), &[b"three"], None));
        assert!(matches!(read(&keyed), Err(Error::SegmentDamaged { .. })));
        assert!(matches!(problem(read(&remote(&store, &random, &[]))), HeadProblem::KeyRequired { .. }));
    }
}

#[test]
fn r05_the_chain_hash_of_a_keyed_head_is_found_in_its_last_segment() {
    let random = Random::new(15);
    let store = EtagStore::default();
    let keys = remote(&store, &random, &[1]);
    let mut leader = Leader::start(&keys, Journal::default()).unwrap();
    let position = run(keys.committed_position(&stored(&keys))).unwrap();
    assert_eq!(position, graphstream_format::Position::start(identity().lineage));
    // Longer than what is read of it.
    let many: Vec<Vec<u8>> = (0..4u32).map(|n| incompressible(n, 250_000)).collect();
    many.iter().for_each(|payload| leader.journal.append(payload));
    leader.upload(1..=1).unwrap();
    leader.upload(2..=4).unwrap();
    leader.publish().unwrap();
    for numbers in [&[1][..], &[2, 1]] {
        let remote = remote(&store, &random, numbers);
        let position = run(remote.committed_position(&stored(&remote))).unwrap();
        assert_eq!((position.sequence, position.chain_hash), (4, leader.journal.chain(4)));
    }
    // Lost, or of another history.
    let head = stored(&keys);
    let last = head.head.segments().last().unwrap().name;
    let whole = store.remove(&last.to_string()).unwrap();
    assert!(matches!(run(keys.committed_position(&head)), Err(Error::Gap { first: 4, last: 4, .. })));
    encrypt(Encryption::On);
    let forged = incompressible(9, 250_000);
    let payloads = [&many[1][..], &many[2], &forged];
    let other = world::sealed(2, leader.journal.chain(1), &payloads, ring(&[1]).as_deref());
    store.set(&last.to_string(), other);
    let error = run(keys.committed_position(&head)).unwrap_err();
    let Error::SegmentDamaged { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, SegmentDamage::Chain { found: ChainValue::Keyed(_), .. }), "{source}");
    store.set(&last.to_string(), whole);
    run(keys.committed_position(&head)).unwrap();
}

fn incompressible(seed: u32, length: usize) -> Vec<u8> {
    let random = Random::new(seed.into());
    (0..length / 8).flat_map(|_| random.next().to_be_bytes()).collect()
}

impl Leader {
    fn publish_one(&mut self, payload: &str) -> Result<u64> {
        self.store(&[payload])
    }
}

#[test]
fn k05_a_ring_of_a_remote_shows_ids_alone() {
    let random = Random::new(16);
    let shown = format!("{:?}", remote(&EtagStore::default(), &random, &[1]));
    let keys: Arc<KeyRing> = ring(&[1]).unwrap();
    assert!(shown.contains(&keys.current().id().to_string()));
    assert!(!shown.contains("c1c1") && !shown.contains("193, 193"));
}

/// Masters are keys like others: the first wraps, the others open what was wrapped before.
fn masters(numbers: &[u8]) -> Arc<KeyRing> {
    ring(numbers).unwrap()
}

#[test]
fn k03_keys_are_wrapped_by_a_master_and_wrapped_again_by_another() {
    let random = Random::new(17);
    let (store, mut leader) = encrypted(&random);
    let plain = remote(&store, &random, &[]);
    assert!(run(plain.read_keys(&masters(&[7]))).unwrap().is_none());
    assert!(run(plain.write_keys(None, &masters(&[7]))).unwrap().is_none(), "nothing to write");
    let written = run(plain.write_keys(ring(&[1]).as_deref(), &masters(&[7]))).unwrap().unwrap();
    assert!(written.created && written.keys == [data_key(1).id()]);
    let ring_of = |numbers: &[u8]| run(plain.read_keys(&masters(numbers))).unwrap().unwrap().ring;
    let opened = plain.clone().with_keys(Arc::new(ring_of(&[7])));
    encrypt(Encryption::On);
    assert_eq!(read(&opened).unwrap(), leader.journal);
    // A new data key becomes the current one; the one that was there stays.
    let written = run(plain.write_keys(ring(&[2]).as_deref(), &masters(&[7]))).unwrap().unwrap();
    assert!(!written.created && written.keys == [data_key(2).id(), data_key(1).id()]);
    let before = store.objects().clone();
    // Another master: one small object changes, and the old master opens nothing any more.
    run(plain.write_keys(None, &masters(&[8, 7]))).unwrap().unwrap();
    let changed: Vec<_> = before
        .iter()
        .filter(|(key, bytes)| store.objects()[key] != **bytes)
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(changed, ["people/keys.json"]);
    let refused = run(plain.read_keys(&masters(&[7])));
    assert_eq!(refused.as_ref().unwrap_err().kind(), ErrorKind::Key);
    assert!(matches!(problem(refused), HeadProblem::UnknownKey { id } if id == data_key(8).id()));
    assert_eq!(ring_of(&[8]).ids().collect::<Vec<_>>(), [data_key(2).id(), data_key(1).id()]);
    // Under the wrong master nothing is replaced either.
    assert!(run(plain.write_keys(ring(&[3]).as_deref(), &masters(&[7]))).is_err());
    leader.store(&["three"]).unwrap();
    // Neither data keys nor masters are in it.
    let bytes = store.bytes("keys.json").unwrap();
    for number in [1, 2, 7, 8] {
        assert!(!bytes.windows(8).any(|window| window == [0xc0 + number; 8]));
        assert!(!json(&store, "keys.json").contains(&format!("{:02x}", 0xc0 + number).repeat(8)));
    }
}

#[test]
fn h06_keys_that_were_changed_swapped_or_taken_out_are_forged() {
    let random = Random::new(18);
    let store = EtagStore::default();
    let plain = remote(&store, &random, &[]);
    run(plain.write_keys(ring(&[2, 1]).as_deref(), &masters(&[7]))).unwrap();
    let whole = json(&store, "keys.json");
    let (start, rest) = whole.split_once(r#"{"keys":["#).unwrap();
    let rows: Vec<_> = rest.strip_suffix("]}}\n").unwrap().split_inclusive('}').collect();
    assert_eq!(rows.len(), 2);
    let second = rows[1].trim_start_matches(',');
    for rows in [format!("{second},{}", rows[0]), second.to_owned(), String::new()] {
        store.set("keys.json", format!("{start}{{\"keys\":[{rows}]}}}}\n"));
        assert!(matches!(problem(run(plain.read_keys(&masters(&[7])))), HeadProblem::Forged { .. }));
    }
    store.set("keys.json", whole);
    run(plain.read_keys(&masters(&[7]))).unwrap().unwrap();
}

/// Lost answers, and two who write at once.
#[test]
fn s02_keys_are_replaced_by_compare_and_swap() {
    let random = Random::new(19);
    for fault in [Fault::After(ErrorClass::TimeoutUnknown), Fault::Before(ErrorClass::TimeoutUnknown)] {
        let store = EtagStore::default();
        let faulty = FaultBackend::new(store.clone());
        encrypt(Encryption::Off);
        let writer = world::remote(faulty.clone(), &random);
        for (number, master) in [(1, &[7][..]), (2, &[7]), (3, &[8, 7])] {
            faulty.inject(Rule::new(Operation::Put, fault.clone()).on_key("keys.json"));
            run(writer.write_keys(ring(&[number]).as_deref(), &masters(master))).unwrap();
        }
        let ring = run(writer.read_keys(&masters(&[8]))).unwrap().unwrap().ring;
        assert_eq!(ring.ids().collect::<Vec<_>>(), [3, 2, 1].map(|number| data_key(number).id()));
    }
}
