//! Encrypted journals, all the way: shipped, followed, continued without their disk, and what is refused on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{Header, ReadOptions, SegmentReader};
use graphstream_journal::{Ack, Journal, JournalOptions};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{HeadProblem, HeadRead, Remote, SegmentDamage, StoredHead};
use graphstream_replication::{
    ArchiveOptions, Error, ErrorKind, Follower, Leader, LeaderBuilder, Result, Stop, UploadManifest,
    Uploader, continue_from_head,
};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::keys::{key, ring};
use world::{
    LONG, Recorder, World, append, append_to, causes, eager_follower, patient_uploads, small_segments,
};

fn remote(world: &World, numbers: &[u8]) -> Remote {
    if numbers.is_empty() { world.remote() } else { world.remote().with_keys(ring(numbers)) }
}

fn journal(world: &World, name: &str, numbers: &[u8], options: JournalOptions) -> Journal {
    let builder = Journal::builder(world.dir(name)).options(options);
    let builder = if numbers.is_empty() { builder } else { builder.keys(ring(numbers)) };
    builder.open().unwrap().0
}

async fn uploader(world: &World, name: &str, numbers: &[u8]) -> Result<Uploader> {
    let metrics = Arc::<GraphstreamMetrics>::default();
    Uploader::open(world.dir(name), remote(world, numbers), patient_uploads(), metrics).await
}

fn leader(world: &World, name: &str, numbers: &[u8]) -> LeaderBuilder {
    Leader::builder(world.dir(name), remote(world, numbers))
        .journal_options(small_segments())
        .uploader_options(patient_uploads())
}

async fn follow(world: &World, numbers: &[u8], target: &Recorder) -> Result<u64> {
    let metrics = Arc::<GraphstreamMetrics>::default();
    let target = Box::new(target.clone());
    let mut follower = Follower::open(remote(world, numbers), target, eager_follower(), metrics).await?;
    Ok(follower.catch_up(None, &Stop::new()).await?.applied_sequence())
}

async fn head(world: &World, numbers: &[u8]) -> StoredHead {
    match remote(world, numbers).read_head(None).await.unwrap() {
        HeadRead::Found(stored) => *stored,
        other => panic!("{other:?}"),
    }
}

fn problem<T: std::fmt::Debug>(result: Result<T>) -> HeadProblem {
    match result {
        Err(Error::Remote(graphstream_remote::Error::HeadDamaged { source, .. })) => source,
        other => panic!("{other:?}"),
    }
}

/// All objects, searched for what entries, keys and chain hashes look like.
async fn shows_nothing(world: &World, journal: &Journal, keys: &Arc<KeyRing>) {
    let dir = journal.dir().clone().with_keys(Arc::clone(keys));
    let mut secret = vec![b"CREATE".to_vec(), b"number".to_vec(), vec![0xc1; 8], vec![0xc2; 8]];
    for sequence in 1..=journal.positions().written.sequence {
        let chain = dir.chain_at(sequence).unwrap();
        secret.extend([chain.as_bytes()[..8].to_vec(), chain.to_string().as_bytes()[..16].to_vec()]);
    }
    for key in world.keys("").await {
        let bytes = world.object(&key).await;
        for secret in &secret {
            assert!(!bytes.windows(secret.len()).any(|window| window == &secret[..]), "{key} shows a secret");
        }
    }
}

#[tokio::test]
async fn k02_an_encrypted_journal_is_shipped_and_followed_and_the_store_shows_nothing() {
    let world = World::new();
    let writer = journal(&world, "encrypted", &[1], small_segments());
    append_to(&writer, 1, 40);
    writer.seal().unwrap();
    let mut shipper = uploader(&world, "encrypted", &[1]).await.unwrap();
    let shipped = shipper.ship().await.unwrap();
    assert_eq!((shipped.committed.sequence, shipped.committed.chain.key_id()), (40, Some(key(1).id())));
    let target = Recorder::default();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 40);
    target.assert_holds(40);
    // It goes on where it was, and so does the shipper.
    append_to(&writer, 41, 60);
    writer.seal().unwrap();
    shipper.ship().await.unwrap();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 60);
    target.assert_holds(60);
    shows_nothing(&world, &writer, &ring(&[1])).await;
    // The floor for the next start is what the head said, not a chain hash.
    let manifest = UploadManifest::read(writer.dir()).unwrap().unwrap();
    assert_eq!(manifest.chain, head(&world, &[1]).await.head.committed().chain);
    drop(shipper);
    let mut again = uploader(&world, "encrypted", &[1]).await.unwrap();
    assert_eq!(again.ship().await.unwrap().segments, 0);
}

#[tokio::test]
async fn k04_without_the_key_nothing_is_shipped_or_followed_and_nothing_is_touched() {
    let world = World::new();
    let writer = journal(&world, "encrypted", &[1], small_segments());
    append_to(&writer, 1, 20);
    writer.close().unwrap();
    for numbers in [&[][..], &[2]] {
        let error = uploader(&world, "encrypted", numbers).await.unwrap_err();
        let named = match &error {
            Error::Journal(graphstream_journal::Error::EncryptionRequired { id, .. })
                if numbers.is_empty() =>
            {
                id
            }
            Error::Journal(graphstream_journal::Error::EncryptionKeyMissing { id, .. }) => id,
            other => panic!("{other:?}"),
        };
        assert_eq!(*named, key(1).id());
        let error = leader(&world, "encrypted", numbers).start().await.err().unwrap();
        assert!(matches!(error, Error::Journal(_)), "{error:?}");
    }
    assert!(world.keys("").await.is_empty());
    // Keys for a plain journal: it would be split in two.
    journal(&world, "plain", &[], small_segments()).close().unwrap();
    world.journal("plain-too", 20).close().unwrap();
    let error = uploader(&world, "plain-too", &[1]).await.unwrap_err();
    assert!(matches!(error, Error::Journal(graphstream_journal::Error::NotEncrypted { .. })), "{error:?}");

    uploader(&world, "encrypted", &[1]).await.unwrap().ship().await.unwrap();
    let target = Recorder::default();
    let refused = follow(&world, &[], &target).await;
    assert_eq!(refused.as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    assert!(matches!(problem(refused), HeadProblem::KeyRequired { id } if id == key(1).id()));
    let refused = follow(&world, &[2], &target).await;
    assert!(matches!(problem(refused), HeadProblem::UnknownKey { id } if id == key(1).id()));
    target.assert_holds(0);
}

#[tokio::test]
async fn h07_a_plain_database_is_refused_by_who_has_keys() {
    let world = World::new();
    world.published(20).await;
    let target = Recorder::default();
    let refused = follow(&world, &[1], &target).await;
    assert_eq!(refused.as_ref().unwrap_err().kind(), ErrorKind::Integrity);
    assert!(matches!(problem(refused), HeadProblem::Plaintext));
    // An encrypted journal does not key what others have published plain.
    let identity =
        graphstream_journal::JournalDir::open(world.dir("published")).unwrap().identity().unwrap().unwrap();
    let other = Journal::builder(world.dir("other")).options(small_segments()).keys(ring(&[1]));
    let other = other.database_id(identity.database_id).lineage(identity.lineage).open().unwrap().0;
    append_to(&other, 1, 30);
    other.close().unwrap();
    assert!(matches!(problem(uploader(&world, "other", &[1]).await), HeadProblem::Plaintext));
}

#[tokio::test]
async fn h06_what_a_writer_of_the_bucket_changes_is_refused_with_its_kind() {
    let world = World::new();
    let writer = journal(&world, "encrypted", &[1], small_segments());
    append_to(&writer, 1, 40);
    writer.close().unwrap();
    uploader(&world, "encrypted", &[1]).await.unwrap().ship().await.unwrap();
    let segments = world.segments().await;
    let head_key = world.head_key();
    let whole = world.object(&head_key).await;
    let text = String::from_utf8(whole.clone()).unwrap();
    let refused = async |what: &str| {
        let target = Recorder::default();
        let error = follow(&world, &[1], &target).await.unwrap_err();
        target.assert_holds(0);
        assert_eq!(error.kind(), ErrorKind::Integrity, "{what}: {}", causes(&error));
        error
    };
    // The head is edited; its MAC is taken off; it is another kind of document, or nothing at all.
    world.put(&head_key, text.replace("\"sequence\":40", "\"sequence\":39").into_bytes()).await;
    assert!(matches!(problem::<()>(Err(refused("edited").await)), HeadProblem::Forged { .. }));
    let (_, content) = text.split_once("\"content\":{").unwrap();
    let stripped = format!("{{\"format\":1,{}", content.strip_suffix("}\n").unwrap());
    world.put(&head_key, stripped.into_bytes()).await;
    refused("without its MAC").await;
    let epoch = world.keys("epoch/").await.pop().unwrap();
    world.put(&head_key, world.object(&epoch).await).await;
    assert!(matches!(problem::<()>(Err(refused("an epoch object").await)), HeadProblem::Forged { .. }));
    world.put(&head_key, whole.clone()).await;
    // Two segments change places; one is replaced by a plain one that says the same.
    let (first, second) = (world.object(&segments[0]).await, world.object(&segments[1]).await);
    world.put(&segments[0], second.clone()).await;
    world.put(&segments[1], first.clone()).await;
    refused("swapped").await;
    world.put(&segments[1], second).await;
    let mut plain =
        SegmentReader::new(&first[..], first.len() as u64, ReadOptions::default().with_keys(ring(&[1])))
            .unwrap();
    let decrypted = graphstream_format::convert(
        &mut plain,
        std::io::Cursor::new(Vec::new()),
        &graphstream_format::WriteOptions::default(),
        None,
    );
    world.put(&segments[0], decrypted.unwrap().inner.into_inner()).await;
    refused("plain").await;
    world.put(&segments[0], first).await;
    // The epoch object is for leaders: whoever starts compares it with the head.
    let object = world.object(&epoch).await;
    world
        .put(
            &epoch,
            String::from_utf8(object.clone())
                .unwrap()
                .replace("claimed_ms\":1", "claimed_ms\":2")
                .into_bytes(),
        )
        .await;
    let error = uploader(&world, "encrypted", &[1]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Remote(graphstream_remote::Error::EpochObjectDiffers { .. })),
        "{error:?}"
    );
    world.put(&epoch, object).await;
    let target = Recorder::default();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 40);
}

/// A plain segment in place of one that the head's window does not name any more: the head still says that it must be encrypted.
#[tokio::test]
async fn h07_a_plain_segment_that_no_window_names_is_refused() {
    let world = World::new();
    let writer = journal(&world, "encrypted", &[1], small_segments());
    append_to(&writer, 1, 1200);
    writer.close().unwrap();
    uploader(&world, "encrypted", &[1]).await.unwrap().ship().await.unwrap();
    let stored = head(&world, &[1]).await;
    assert!(stored.head.segments()[0].name.first() > 1, "the window does not reach back to the first");
    let first = world.segments().await.remove(0);
    let bytes = world.object(&first).await;
    let read = ReadOptions::default().with_keys(ring(&[1]));
    let mut reader = SegmentReader::new(&bytes[..], bytes.len() as u64, read).unwrap();
    let (to, form) = (std::io::Cursor::new(Vec::new()), graphstream_format::WriteOptions::default());
    let plain = graphstream_format::convert(&mut reader, to, &form, None).unwrap();
    world.put(&first, plain.inner.into_inner()).await;
    let target = Recorder::default();
    let error = follow(&world, &[1], &target).await.unwrap_err();
    let Error::Remote(graphstream_remote::Error::SegmentDamaged { source, .. }) = &error else {
        panic!("{}", causes(&error))
    };
    assert!(matches!(**source, SegmentDamage::Plaintext { plain_up_to: 0 }), "{source}");
    target.assert_holds(0);
}

/// Encryption is turned on for a journal that is published in part: what was sealed plain and not shipped goes up encrypted.
#[tokio::test]
async fn k03_turned_on_nothing_plain_is_shipped_from_there_on() {
    let world = World::new();
    let writer = journal(&world, "turned-on", &[], small_segments());
    append_to(&writer, 1, 20);
    writer.seal().unwrap();
    let mut plain = uploader(&world, "turned-on", &[]).await.unwrap();
    plain.ship().await.unwrap();
    let before = world.segments().await.len();
    append_to(&writer, 21, 40);
    writer.close().unwrap();
    let writer = journal(&world, "turned-on", &[1], small_segments().with_encrypt_existing(true));
    append_to(&writer, 41, 60);
    writer.seal().unwrap();
    assert_eq!(writer.dir().identity().unwrap().unwrap().plain_up_to, Some(40));
    // The plain shipper ships what it may still ship, or stops; in any case with the reason.
    let error = loop {
        match plain.ship().await {
            Ok(shipped) => assert!(shipped.committed.sequence <= 40),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Journal(_) | Error::EncryptedLocal { .. }), "{error:?}");
    assert!(!error.is_transient());
    let committed = plain.watch().borrow().sequence;
    drop(plain);
    let mut shipper = uploader(&world, "turned-on", &[1]).await.unwrap();
    let shipped = shipper.ship().await.unwrap();
    assert_eq!(shipped.committed.sequence, 60);
    let stored = head(&world, &[1]).await;
    assert_eq!(stored.head.plain_up_to(), Some(committed));
    for (number, key) in world.segments().await.iter().enumerate() {
        let bytes = world.object(key).await;
        let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(header.is_encrypted(), header.last_seq > committed, "{number} of {before} and more");
    }
    let target = Recorder::default();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 60);
    target.assert_holds(60);
}

/// What was sealed plain and not shipped at all goes up encrypted; an upload whose answer is lost is recognised, although it is sealed anew for
/// each attempt.
#[tokio::test]
async fn k03_what_is_sealed_again_is_the_same_each_time() {
    let world = World::new();
    let writer = journal(&world, "turned-on", &[], small_segments());
    append_to(&writer, 1, 20);
    writer.seal().unwrap();
    uploader(&world, "turned-on", &[]).await.unwrap().ship().await.unwrap();
    append_to(&writer, 21, 40);
    writer.close().unwrap();
    journal(&world, "turned-on", &[1], small_segments().with_encrypt_existing(true)).close().unwrap();
    let mut shipper = uploader(&world, "turned-on", &[1]).await.unwrap();
    // It has landed, and nobody can tell for now.
    let lost = Rule::new(Operation::Put, Fault::After(ErrorClass::TimeoutUnknown)).on_key("seg/0/");
    let down = Rule::new(Operation::Get, Fault::Before(ErrorClass::Unavailable)).on_key("seg/0/");
    world.faults.inject(lost);
    world.faults.inject(down);
    assert!(shipper.ship().await.unwrap_err().is_transient());
    world.faults.clear();
    assert_eq!(shipper.ship().await.unwrap().committed.sequence, 40);
    assert_eq!(head(&world, &[1]).await.head.plain_up_to(), Some(20));
    let target = Recorder::default();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 40);
}

/// By its ends alone, too: no plain segment slips through because nobody reads it.
#[tokio::test]
async fn k03_a_shipper_that_does_not_verify_encrypts_all_the_same() {
    let world = World::new();
    world.journal("turned-on", 30).close().unwrap();
    let writer = journal(&world, "turned-on", &[1], small_segments().with_encrypt_existing(true));
    append_to(&writer, 31, 60);
    writer.close().unwrap();
    let options = patient_uploads().with_archive(ArchiveOptions::default().with_verify_before_archive(false));
    let metrics = Arc::<GraphstreamMetrics>::default();
    let to = remote(&world, &[1]);
    let mut shipper = Uploader::open(world.dir("turned-on"), to, options, metrics).await.unwrap();
    shipper.ship().await.unwrap();
    assert_eq!(head(&world, &[1]).await.head.plain_up_to(), Some(0));
    for key in world.segments().await {
        assert_ne!(world.object(&key).await[6] & 0x10, 0, "{key} is plain");
    }
    let target = Recorder::default();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 60);
}

#[tokio::test]
async fn k03_a_key_is_rotated_under_leader_and_follower() {
    let world = World::new();
    let (first, _) = leader(&world, "rotated", &[1]).start().await.unwrap();
    append(&first, 1, 20).await;
    first.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    follow(&world, &[1], &target).await.unwrap();
    // First everybody gets the new key, then it is used.
    let (second, _) = leader(&world, "rotated", &[2, 1]).start().await.unwrap();
    assert_eq!(follow(&world, &[1, 2], &target).await.unwrap(), 20, "claimed, and nothing published");
    append(&second, 21, 40).await;
    second.sync().await.unwrap();
    assert!(matches!(problem(follow(&world, &[1], &target).await), HeadProblem::UnknownKey { .. }));
    assert_eq!(follow(&world, &[1, 2], &target).await.unwrap(), 40);
    target.assert_holds(40);
    let journal = second.journal().clone();
    second.shutdown(LONG).await.unwrap();
    shows_nothing(&world, &journal, &ring(&[1, 2])).await;
    // The new key alone does not open what the old one has sealed.
    let fresh = Recorder::default();
    let error = follow(&world, &[2], &fresh).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{}", causes(&error));
    fresh.assert_holds(0);
}

/// The old leader lives on with the old key alone while the new one leads with the new: it can't read that it was replaced, and stops.
#[tokio::test]
async fn k03_rotation_half_done_stops_the_old_leader_with_the_key_it_lacks() {
    let world = World::new();
    let (old, _) = leader(&world, "old", &[1]).start().await.unwrap();
    append(&old, 1, 20).await;
    old.sync().await.unwrap();
    let (new, _) = leader(&world, "new", &[2, 1]).continue_from_head(true).start().await.unwrap();
    append(&new, 21, 30).await;
    new.sync().await.unwrap();
    append(&old, 21, 25).await;
    let _ = old.sync().await.unwrap_err();
    assert!(!old.is_shipping());
    let refused = old.shutdown(LONG).await;
    assert!(matches!(problem(refused), HeadProblem::UnknownKey { id } if id == key(2).id()));
    let target = Recorder::default();
    assert_eq!(follow(&world, &[2, 1], &target).await.unwrap(), 30);
    target.assert_holds(30);
    new.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn r05_a_lost_disk_is_continued_from_a_head_that_shows_no_chain_hash() {
    let world = World::new();
    let (lost, _) = leader(&world, "lost", &[1]).start().await.unwrap();
    append(&lost, 1, 20).await;
    lost.sync().await.unwrap();
    let chain = lost.journal().positions().written.chain_hash;
    lost.shutdown(LONG).await.unwrap();
    // Without the key there is nothing to continue from.
    let refused = leader(&world, "new", &[]).continue_from_head(true).start().await;
    assert!(matches!(problem(refused.map(drop)), HeadProblem::KeyRequired { .. }));
    assert!(!world.dir("new").exists());
    let (new, started) = leader(&world, "new", &[2, 1]).continue_from_head(true).start().await.unwrap();
    let begins = started.recovery.position;
    assert_eq!((begins.sequence, begins.chain_hash), (20, chain));
    append(&new, 21, 40).await;
    new.sync().await.unwrap();
    new.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    assert_eq!(follow(&world, &[2, 1], &target).await.unwrap(), 40);
    target.assert_holds(40);
    // The same for an application that appends beside its shipper.
    let committed = continue_from_head(world.dir("beside"), &remote(&world, &[2, 1])).await.unwrap().unwrap();
    assert_eq!(committed.sequence, 40);
    let writer = journal(&world, "beside", &[2, 1], small_segments());
    append_to(&writer, 41, 50);
    writer.seal().unwrap();
    assert_eq!(
        uploader(&world, "beside", &[2, 1]).await.unwrap().ship().await.unwrap().committed.sequence,
        50
    );
    assert_eq!(follow(&world, &[2, 1], &target).await.unwrap(), 50);
}

/// A rival's epoch ended inside a segment: it is cut again, and what is cut is encrypted.
#[tokio::test]
async fn k02_a_segment_that_is_cut_again_is_encrypted() {
    let world = World::new();
    let writer = journal(&world, "cut", &[1], JournalOptions::default());
    append_to(&writer, 1, 10);
    writer.seal().unwrap();
    let mut shipper = uploader(&world, "cut", &[1]).await.unwrap();
    shipper.ship().await.unwrap();
    drop(shipper);
    append_to(&writer, 11, 20);
    writer.seal().unwrap();
    // A copy of the journal up to 15, sealed there, is published by a rival.
    let identity = writer.dir().identity().unwrap().unwrap();
    let copy = Journal::builder(world.dir("rival")).keys(ring(&[1])).database_id(identity.database_id);
    let copy = copy.lineage(identity.lineage).open().unwrap().0;
    append_to(&copy, 1, 15);
    copy.close().unwrap();
    uploader(&world, "rival", &[1]).await.unwrap().ship().await.unwrap();
    // Segment 11..=20 of ours begins before the epoch that starts at 15.
    let mut shipper = uploader(&world, "cut", &[1]).await.unwrap();
    assert_eq!(shipper.ship().await.unwrap().committed.sequence, 20);
    shows_nothing(&world, &writer, &ring(&[1])).await;
    let target = Recorder::default();
    assert_eq!(follow(&world, &[1], &target).await.unwrap(), 20);
    target.assert_holds(20);
    assert_eq!(writer.append(b"x").unwrap().wait(Ack::Synced).unwrap(), 21..=21);
}
