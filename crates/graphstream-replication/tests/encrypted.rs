//! Encrypted journals are not shipped: what a store shows of a history would let guesses of entries be tested.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_journal::{Journal, SystemEntropy, generate_key};
use graphstream_replication::{Error, ErrorKind};
use world::{World, append_to, small_segments};

fn keys() -> Arc<KeyRing> {
    Arc::new(KeyRing::new(generate_key(&SystemEntropy).unwrap()))
}

/// By the shipper, or by the journal that it reads.
fn refused(error: &Error, keys: &KeyRing) -> bool {
    match error {
        Error::EncryptedJournal { id, .. }
        | Error::Journal(graphstream_journal::Error::EncryptionRequired { id, .. }) => {
            *id == keys.current().id()
        }
        _ => false,
    }
}

#[tokio::test]
async fn k01_an_encrypted_journal_is_refused_before_anything_is_published() {
    let (world, keys) = (World::new(), keys());
    let builder = Journal::builder(world.dir("encrypted")).options(small_segments());
    let (journal, _) = builder.keys(Arc::clone(&keys)).open().unwrap();
    append_to(&journal, 1, 20);
    journal.close().unwrap();
    let error = world.uploader("encrypted").await.unwrap_err();
    assert!(matches!(&error, Error::EncryptedJournal { id, .. } if *id == keys.current().id()), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(world.keys("").await.is_empty());
    // A leader would write plain segments into it.
    let error = world.leader("encrypted").start().await.err().unwrap();
    assert!(refused(&error, &keys), "{error:?}");
    assert!(world.keys("").await.is_empty());
}

/// Encryption is turned on while a shipper runs: what was plain is shipped, and then it stops with the reason.
#[tokio::test]
async fn k01_a_shipper_stops_where_a_journal_becomes_encrypted() {
    let (world, keys) = (World::new(), keys());
    world.journal("turned-on", 20).close().unwrap();
    let mut uploader = world.uploader("turned-on").await.unwrap();
    let options = small_segments().with_encrypt_existing(true);
    let builder = Journal::builder(world.dir("turned-on")).options(options).keys(Arc::clone(&keys));
    let (journal, _) = builder.open().unwrap();
    append_to(&journal, 21, 40);
    journal.close().unwrap();
    let error = loop {
        match uploader.ship().await {
            Ok(shipped) => assert!(shipped.committed.sequence <= 20),
            Err(error) => break error,
        }
    };
    assert!(refused(&error, &keys), "{error:?}");
    assert!(!error.is_transient());
    for key in world.segments().await {
        assert_eq!(world.object(&key).await[6] & 0x10, 0, "{key} is encrypted");
    }
}
