//! Every class of damage that a store can show, from the table that restores and `verify` are held to as well: each has a typed error of
//! its own, and nothing is applied.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use graphstream_format::Error as FormatError;
use graphstream_remote::{Error as RemoteError, ErrorKind as RemoteKind, SegmentDamage};
use graphstream_replication::{Error, ErrorKind, Stop};
use graphstream_testkit::damage::{Damage, Objects};
use world::{Recorder, World, append_to, causes};

/// A history of several segments, and the head before its last publication.
async fn published(world: &World) -> (Objects, Vec<u8>) {
    let journal = world.journal("journal", 30);
    let mut uploader = world.uploader("journal").await.unwrap();
    uploader.ship().await.unwrap();
    let older = world.object(&world.head_key()).await;
    append_to(&journal, 31, 40);
    journal.seal().unwrap();
    uploader.ship().await.unwrap();
    (world.objects().await, older)
}

/// The word by which the command line calls such an error, and what distinguishes it from others with that word.
fn class(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::Remote(RemoteError::SegmentDamaged { source, .. }) => match &**source {
            SegmentDamage::Size { .. } => ("corruption", "length"),
            SegmentDamage::Contents(_) => ("corruption", "contents"),
            SegmentDamage::Replaced { .. } | SegmentDamage::Sha256 { .. } => ("corruption", "another object"),
            SegmentDamage::Sequences { .. } => ("corruption", "misplaced"),
            SegmentDamage::Lineage { .. } => ("lineage", "segment"),
            other => panic!("{other}"),
        },
        Error::Remote(RemoteError::Gap { .. }) => ("gap", ""),
        Error::Remote(RemoteError::Rewound(_)) => ("rewind", ""),
        Error::Remote(RemoteError::HeadMissing { .. }) => ("corruption", "no head"),
        Error::Remote(RemoteError::HeadDamaged { .. }) => ("corruption", "head"),
        Error::Forked { .. } => ("fork", ""),
        Error::Segment { source, .. } if matches!(**source, FormatError::ChainMismatch { .. }) => {
            ("fork", "")
        }
        other => panic!("{}", causes(other)),
    }
}

#[tokio::test]
async fn s07_s08_h08_every_class_of_damage_has_an_error_of_its_own_and_nothing_is_applied() {
    let world = World::new();
    let (whole, older) = published(&world).await;
    let segments = whole.segments().len();
    let mut seen = Vec::new();
    for damage in Damage::ALL {
        // Who has seen nothing can't know that a head is old; the others are as good as new.
        let target = Recorder::default();
        let applied = if damage == Damage::OlderHead { 40 } else { 0 };
        if applied > 0 {
            world.catch_up(&target).await.unwrap();
        }
        world.hold(&damage.done_to(&whole, &older)).await;
        for attempt in ["catch_up", "run"] {
            let mut follower = world.follower(&target).await;
            let error = match attempt {
                "run" => follower.run(None, &Stop::new()).await,
                _ => follower.catch_up(None, &Stop::new()).await,
            };
            let error = error.expect_err("it is damaged");
            assert_eq!(error.kind(), ErrorKind::Integrity, "{damage:?}: {}", causes(&error));
            let (kind, what) = class(&error);
            assert_eq!(kind, damage.kind(), "{damage:?}: {}", causes(&error));
            if let (Error::Remote(RemoteError::Gap { first, last, .. }), Some(index)) =
                (&error, damage.segment(segments))
            {
                assert_eq!((*first, *last), world::sequences(whole.segments()[index]), "{damage:?}");
            }
            if attempt == "run" && kind != "gap" {
                seen.push((kind, what));
            }
            target.assert_holds(applied);
        }
        world.hold(&whole).await;
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "two classes of damage look the same: {seen:?}");
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(40);
}

/// What stands under a key that the head no longer names by its SHA-256 is judged by its own bytes, and by the chain.
#[tokio::test]
async fn s07_h08_outside_of_the_heads_window_damage_is_found_as_well() {
    let world = World::new();
    let (mut whole, older) = published(&world).await;
    let head = whole.head().to_owned();
    let mut json: serde_json::Value = serde_json::from_slice(&whole.0[&head]).unwrap();
    json["segments"] = serde_json::Value::Array(Vec::new());
    whole.0.insert(head, json.to_string().into_bytes());
    for damage in Damage::ALL {
        let of_the_head = damage.segment(4).is_none() || damage == Damage::ReplacedAndNamed;
        if of_the_head {
            continue;
        }
        world.hold(&damage.done_to(&whole, &older)).await;
        let target = Recorder::default();
        let error = world.catch_up(&target).await.expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{damage:?}: {}", causes(&error));
        if damage == Damage::ForeignLineage {
            let Error::Remote(error) = &error else { panic!("{error}") };
            assert_eq!(error.kind(), RemoteKind::Lineage);
        }
        if damage == Damage::Replaced {
            assert_eq!(class(&error).0, "fork", "{}", causes(&error));
        }
        target.assert_holds(0);
    }
}
