//! What a store holds or serves is not what was published: nothing of it is applied, and the error says where.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::io::Cursor;

use graphstream_format::encryption::{DataKey, EncryptWith};
use graphstream_format::v2::SegmentRange;
use graphstream_format::{
    ChainHash, Lineage, Position, ReadOptions, SegmentReader, WriteOptions, convert_encrypted,
};
use graphstream_journal::{Ack, Journal};
use graphstream_proto::JournalEntry;
use graphstream_remote::Error as RemoteError;
use graphstream_replication::{Error, ErrorKind};
use graphstream_storage::faults::{BodyFault, Fault, Rule};
use graphstream_storage::{ErrorClass, Key, Operation};
use sha2::{Digest, Sha256};
use world::{Recorder, World, append_to, causes, sequences, small_segments};

/// A follower finds the damage, applies nothing, and says which object it is in.
async fn assert_damage(world: &World, key: &str) -> Error {
    let target = Recorder::default();
    let error = world.catch_up(&target).await.expect_err("damage must be found");
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", causes(&error));
    assert!(causes(&error).contains(key), "{} does not name {key}", causes(&error));
    target.assert_holds(0);
    error
}

#[tokio::test]
async fn s07_a_flipped_bit_anywhere_in_any_segment_is_found_before_anything_is_applied() {
    let world = World::new();
    world.published(30).await;
    for key in world.segments().await {
        let bytes = world.object(&key).await;
        // Every part of the header, the body and the trailer; all bytes are the format's own tests' business.
        for at in (0..bytes.len()).step_by(23).chain([bytes.len() - 1]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            world.put(&key, damaged).await;
            assert_damage(&world, key.as_str()).await;
        }
        world.put(&key, bytes).await;
    }
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(30);
}

#[tokio::test]
async fn s07_a_segment_of_another_length_is_refused() {
    let world = World::new();
    world.published(30).await;
    let key = world.segments().await.swap_remove(1);
    let bytes = world.object(&key).await;
    for length in [0, 1, 127, 128, bytes.len() - 1] {
        world.put(&key, bytes[..length].to_vec()).await;
        assert_damage(&world, key.as_str()).await;
    }
    world.put(&key, [bytes.as_slice(), b"x"].concat()).await;
    assert_damage(&world, key.as_str()).await;
}

#[tokio::test]
async fn s07_swapped_segments_are_refused() {
    let world = World::new();
    world.published(30).await;
    let keys = world.segments().await;
    let (first, second) = (world.object(&keys[0]).await, world.object(&keys[1]).await);
    world.put(&keys[0], second).await;
    world.put(&keys[1], first).await;
    assert_damage(&world, keys[0].as_str()).await;
}

#[tokio::test]
async fn s07_damage_on_the_way_is_fetched_again() {
    for fault in [BodyFault::FlipBit(999), BodyFault::Truncate(200), BodyFault::Cut(200)] {
        let world = World::new();
        world.published(30).await;
        world.faults.inject(Rule::new(Operation::Get, Fault::Body(fault)).on_key("seg/").nth(2));
        let target = Recorder::default();
        world.catch_up(&target).await.unwrap();
        target.assert_holds(30);
    }
}

#[tokio::test]
async fn s08_a_missing_segment_is_a_gap_with_its_sequences() {
    let world = World::new();
    world.published(30).await;
    let keys = world.segments().await;
    for (index, key) in keys.iter().enumerate() {
        let bytes = world.object(key).await;
        world.remove(key).await;
        let target = Recorder::default();
        let error = world.catch_up(&target).await.unwrap_err();
        let Error::Remote(RemoteError::Gap { first, last, committed, .. }) = &error else {
            panic!("{error}")
        };
        let name = |at: usize| sequences(keys[at].as_str());
        assert_eq!((*first, *committed), (name(index).0, 30));
        assert_eq!(*last, name(index).1);
        assert_eq!(error.kind(), ErrorKind::Integrity);
        target.assert_holds(0);
        world.put(key, bytes).await;
    }
}

#[tokio::test]
async fn s08_an_older_head_is_a_rewind_and_a_missing_one_is_not_an_empty_database() {
    let world = World::new();
    let journal = world.journal("journal", 20);
    let mut uploader = world.uploader("journal").await.unwrap();
    uploader.ship().await.unwrap();
    let older = world.object(&world.head_key()).await;
    append_to(&journal, 21, 30);
    journal.seal().unwrap();
    uploader.ship().await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();

    let newer = world.object(&world.head_key()).await;
    world.put(&world.head_key(), older).await;
    let error = world.catch_up(&target).await.unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::Rewound(_))), "{error}");
    assert_eq!(error.kind(), ErrorKind::Integrity);

    world.remove(&world.head_key()).await;
    let error = world.catch_up(&target).await.unwrap_err();
    assert!(matches!(&error, Error::Remote(RemoteError::HeadMissing { .. })), "{error}");
    target.assert_holds(30);
    world.put(&world.head_key(), newer).await;
    world.catch_up(&target).await.unwrap();
}

#[tokio::test]
async fn h08_a_target_with_another_chain_is_a_fork() {
    let world = World::new();
    let committed = world.published(30).await;
    let lineage = world.head().await.lineage();
    for sequence in [1, 13, 30] {
        let position = Position { lineage, sequence, chain_hash: ChainHash::from_bytes([5; 32]) };
        let target = Recorder::at(position);
        let error = world.catch_up(&target).await.expect_err("a fork");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{}", causes(&error));
        assert_eq!(target.numbers(), Vec::<u64>::new(), "at {sequence}");
    }
    let beyond = Position { lineage, sequence: 31, chain_hash: committed.chain.hash().unwrap() };
    let error = world.catch_up(&Recorder::at(beyond)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}

#[tokio::test]
async fn a_target_of_another_lineage_is_refused() {
    let world = World::new();
    world.published(30).await;
    let foreign = Lineage::from_bytes([3; 16]);
    let target = Recorder::at(Position { sequence: 4, ..Position::start(foreign) });
    let error = world.catch_up(&target).await.unwrap_err();
    let Error::TargetLineage { target: found, published } = &error else { panic!("{error}") };
    assert_eq!((*found, *published), (foreign, world.head().await.lineage()));
    assert_eq!(target.numbers(), Vec::<u64>::new());
}

/// A rewritten history: valid segments whose digests the head was made to name, but whose chain is not the head's.
#[tokio::test]
async fn h08_segments_that_do_not_lead_to_the_heads_chain_are_not_applied() {
    let world = World::new();
    world.published(30).await;
    let head = world.head().await;
    let forged = World::new();
    let (journal, _) = Journal::builder(forged.dir("journal"))
        .lineage(head.lineage())
        .options(small_segments())
        .open()
        .unwrap();
    for number in 1..=30 {
        let number = if number == 30 { 99 } else { number };
        let _unwaited =
            journal.append_at(world::entry(number).encode().unwrap(), world::commit_ms(number)).unwrap();
    }
    journal.seal().unwrap();
    forged.uploader("journal").await.unwrap().ship().await.unwrap();

    let (ours, theirs) = (world.segments().await, forged.segments().await);
    let replacement = forged.object(theirs.last().unwrap()).await;
    replace_and_name(&world, ours.last().unwrap(), replacement).await;

    let target = Recorder::default();
    let error = world.catch_up(&target).await.unwrap_err();
    assert!(matches!(&error, Error::HeadChain { sequence: 30, .. }), "{}", causes(&error));
    target.assert_holds(0);
}

/// What a bucket writer can do who has no key: another object in place of the newest segment, and a head that names it.
async fn replace_and_name(world: &World, newest: &Key, replacement: Vec<u8>) {
    let original = world.object(newest).await;
    let mut head = String::from_utf8(world.object(&world.head_key()).await).unwrap();
    let digest = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    assert!(head.contains(&digest(&original)));
    head = head.replace(&digest(&original), &digest(&replacement));
    let size = |bytes: &[u8]| format!("\"size\":{}", bytes.len());
    // The newest segment is the last one that the head names.
    let at = head.rfind(&size(&original)).unwrap();
    head.replace_range(at..at + size(&original).len(), &size(&replacement));
    world.put(newest, replacement).await;
    world.put(&world.head_key(), head.into_bytes()).await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A follower without the key says which one it takes, and applies nothing that comes before.
#[tokio::test]
async fn h04_an_encrypted_segment_is_refused_with_the_id_of_its_key() {
    let world = World::new();
    world.published(30).await;
    let newest = world.segments().await.pop().unwrap();
    let plain = world.object(&newest).await;
    let reader = || SegmentReader::new(plain.as_slice(), plain.len() as u64, ReadOptions::default()).unwrap();
    let key = DataKey::taking(&mut [7; 32]);
    let encrypted = convert_encrypted(
        &mut reader(),
        Cursor::new(Vec::new()),
        &WriteOptions::default(),
        None,
        SegmentRange::of(&mut reader()).unwrap(),
        EncryptWith::new(&key, [9; 39]),
    )
    .unwrap();
    replace_and_name(&world, &newest, encrypted.inner.into_inner()).await;

    let target = Recorder::default();
    let error = world.catch_up(&target).await.unwrap_err();
    let Error::EncryptedSegment { id, .. } = &error else { panic!("{}", causes(&error)) };
    assert_eq!(*id, key.id());
    target.assert_holds(0);
}

#[tokio::test]
async fn an_entry_that_is_none_is_named_and_what_came_before_stays() {
    let world = World::new();
    let (journal, _) = Journal::builder(world.dir("journal")).options(small_segments()).open().unwrap();
    append_to(&journal, 1, 20);
    journal.append(b"\xff\xff\xff").unwrap().wait(Ack::Synced).unwrap();
    let _unwaited = journal.append(JournalEntry::new("CREATE ()", 0).encode().unwrap()).unwrap();
    journal.seal().unwrap();
    world.uploader("journal").await.unwrap().ship().await.unwrap();
    let target = Recorder::default();
    let error = world.catch_up(&target).await.unwrap_err();
    assert!(matches!(&error, Error::Payload { sequence: 21, .. }), "{}", causes(&error));
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let applied = target.durable().position.map_or(0, |position| position.sequence);
    assert!(applied <= 20);
    target.assert_holds(applied);
}

#[tokio::test]
async fn a_damaged_head_is_named() {
    let world = World::new();
    world.published(5).await;
    world.put(&world.head_key(), b"{}".to_vec()).await;
    assert_damage(&world, "people/head.json").await;
}

#[tokio::test]
async fn s01_denied_while_catching_up_is_the_stores_fault_and_changes_nothing() {
    let world = World::new();
    world.published(5).await;
    world.faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Denied)).always());
    let target = Recorder::default();
    let error = world.catch_up(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(causes(&error).contains("people/head.json"), "{}", causes(&error));
    target.assert_holds(0);
}
