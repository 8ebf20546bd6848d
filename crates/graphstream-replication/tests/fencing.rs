//! Two leaders for one database: the later one wins, and nothing of the stale one is ever seen.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::path::Path;

use graphstream_journal::{Ack, ErrorKind as JournalErrorKind, Journal, JournalDir, JournalOptions};
use graphstream_remote::{Error as RemoteError, SegmentName};
use graphstream_replication::{Error, ErrorKind, Leader};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::{LONG, Recorder, World, append, append_to, commit_ms, cut_off, entry, sealed};

/// Copies a journal's directory, as a restored disk image or a moved volume does.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else if let Err(error) = std::fs::copy(file.path(), target) {
            // Its owner is alive, and has just renamed it into what it was written for.
            let renamed = file.path().extension().is_some_and(|extension| extension == "tmp");
            assert!(
                renamed && error.kind() == std::io::ErrorKind::NotFound,
                "{}: {error}",
                file.path().display()
            );
        }
    }
}

/// A leader that was cut off from the store while another took over, and that has just got its connection back. Entries
/// `1..=10` are stored; `11..=14` are its own, *synced* and nothing more.
async fn zombie(world: &World) -> (Leader, Leader) {
    let way = world.another_way();
    let (old, _) = world.leader_through(&way, "old").start().await.unwrap();
    append(&old, 1, 10).await;
    old.sync().await.unwrap();
    cut_off(&way);
    copy(&world.dir("old"), &world.dir("new"));
    append(&old, 11, 14).await;
    let new = world.lead("new").await;
    way.clear();
    (old, new)
}

#[tokio::test]
async fn r03_a_stale_leaders_entries_are_never_seen_and_its_writer_ends() {
    let world = World::new();
    let (old, new) = zombie(&world).await;
    // Its journal has ended before the call or during it.
    let error = old.sync().await.unwrap_err();
    assert!(
        matches!(error, Error::NotStored { sequence: 14 }) || error.kind() == ErrorKind::Fenced,
        "{error}"
    );
    let refused = old.append(&entry(15)).and_then(|ticket| Ok(ticket.wait(Ack::Written)?)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced, "{refused}");
    let error = old.shutdown(LONG).await.unwrap_err();
    let Error::Remote(RemoteError::Fenced(fenced)) = &error else { panic!("{error}") };
    assert_eq!((fenced.epoch, fenced.by_epoch, fenced.fenced_after), (1, 2, 10));
    assert_eq!(error.kind(), ErrorKind::Fenced);

    for number in 21..=25 {
        new.append(&entry(number)).unwrap().acked(Ack::Synced).await.unwrap();
    }
    new.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    assert_eq!(target.numbers(), (1..=10).chain(21..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn r04_restarted_the_fenced_leader_sets_its_fork_aside() {
    let world = World::new();
    let (old, new) = zombie(&world).await;
    old.sync().await.unwrap_err();
    old.shutdown(LONG).await.unwrap_err();
    new.shutdown(LONG).await.unwrap();

    // The new leader committed nothing of its own, so the old one may lead again, without what was never stored.
    let (old, started) = world.leader("old").start().await.unwrap();
    let forked = started.recovery.forked.expect("entries beyond the fence are set aside");
    assert_eq!((forked.after, forked.last), (10, 14));
    assert_eq!(started.recovery.position.sequence, 10);
    assert!(world.dir("old").join("forked").is_dir());
    append(&old, 11, 12).await;
    old.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(12);
}

#[tokio::test]
async fn r04_a_leader_on_an_old_disk_image_does_not_lead_over_what_is_committed() {
    let world = World::new();
    let leader = world.lead("disk").await;
    append(&leader, 1, 10).await;
    leader.sync().await.unwrap();
    copy(&world.dir("disk"), &world.dir("image"));
    append(&leader, 11, 20).await;
    leader.shutdown(LONG).await.unwrap();

    let error = world.leader("image").start().await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::Behind { local: 10, .. })), "{error}");
    assert_eq!(world.head().await.committed().sequence, 20);
    // With entries of its own beyond the image it is a fork, and both hashes are shown.
    let (journal, _) = Journal::builder(world.dir("image")).open().unwrap();
    for number in 31..=45 {
        journal.append(entry(number).encode().unwrap()).unwrap().wait(Ack::Synced).unwrap();
    }
    journal.close().unwrap();
    let error = world.leader("image").start().await.unwrap_err();
    let Error::Remote(RemoteError::Fork { sequence: 20, local, published, .. }) = &error else {
        panic!("{error}")
    };
    assert_ne!(local, published);
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(20);
}

#[tokio::test]
async fn r04_an_old_image_that_ends_where_the_last_epoch_began_does_not_lead_either() {
    let world = World::new();
    let leader = world.lead("disk").await;
    append(&leader, 1, 10).await;
    leader.shutdown(LONG).await.unwrap();
    copy(&world.dir("disk"), &world.dir("image"));
    let leader = world.lead("disk").await;
    append(&leader, 11, 15).await;
    leader.shutdown(LONG).await.unwrap();

    // The head knows the chain hash there, so the image is known to be part of the history: still, the sequences 11 to 15 are
    // not to be given out again, for they would count as stored.
    let error = world.leader("image").start().await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::Behind { local: 10, .. })), "{error}");
}

#[tokio::test]
async fn r03_a_shipper_beside_the_writer_notes_the_fence_and_the_writer_stops() {
    let world = World::new();
    let journal = world.journal("old", 10);
    let mut old = world.uploader("old").await.unwrap();
    old.ship().await.unwrap();
    copy(&world.dir("old"), &world.dir("new"));
    world.lead("new").await.shutdown(LONG).await.unwrap();

    append_to(&journal, 11, 12);
    journal.seal().unwrap();
    let error = old.ship().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    drop(old);
    let note = JournalDir::open(world.dir("old")).unwrap().fenced().unwrap().expect("FENCED");
    assert_eq!(note.after, 10);
    assert!(matches!(world.uploader("old").await.unwrap_err(), Error::FencedBefore { after: 10 }));
    // The writer looks when it rotates.
    let stopped = (13..2000).find_map(|number| {
        let payload = entry(number).encode().unwrap();
        journal.append(payload).and_then(|ticket| ticket.wait(Ack::Synced)).err()
    });
    assert_eq!(stopped.expect("the writer stops").kind(), JournalErrorKind::Fenced);
    drop(journal);
    let reopened = Journal::builder(world.dir("old")).open().unwrap_err();
    assert_eq!(reopened.kind(), JournalErrorKind::Fenced);
    // An operator decides that it may lead again: its fork is set aside, not built upon.
    JournalDir::open(world.dir("old")).unwrap().clear_fenced().unwrap();
    let (_journal, report) = Journal::builder(world.dir("old")).open().unwrap();
    assert_eq!(report.forked.map(|forked| forked.after), Some(10));
    assert_eq!(report.position.sequence, 10);
}

#[tokio::test]
async fn s03_a_fenced_leader_whose_last_answer_was_lost_learns_what_counts() {
    for lost in 1..=4 {
        let world = World::new();
        let journal = world.journal("old", 10);
        let mut old = world.uploader("old").await.unwrap();
        old.ship().await.unwrap();
        append_to(&journal, 11, 20);
        journal.seal().unwrap();
        // The publication lands, its answer and the reads after it do not.
        world.faults.inject(
            Rule::new(Operation::Put, Fault::After(ErrorClass::TimeoutUnknown)).on_key("head.json").nth(1),
        );
        world.faults.inject(
            Rule::new(Operation::Get, Fault::Before(ErrorClass::Unavailable))
                .on_key("head.json")
                .first(lost * 3),
        );
        let first = old.ship().await;
        world.faults.clear();
        let committed = world.head().await.committed().sequence;
        assert_eq!(committed, 20, "it landed");
        copy(&world.dir("old"), &world.dir("new"));
        world.lead("new").await.shutdown(LONG).await.unwrap();
        let error = match first {
            Ok(shipped) => {
                assert_eq!(shipped.committed.sequence, 20);
                old.ship().await.unwrap_err()
            }
            Err(_) => old.ship().await.unwrap_err(),
        };
        let Error::Remote(RemoteError::Fenced(fenced)) = &error else { panic!("{error}") };
        assert_eq!(fenced.fenced_after, 20, "what landed counts");
    }
}

/// The same history, cut into other segments: the epoch of the second leader begins inside one.
#[tokio::test]
async fn a_segment_that_begins_before_the_epoch_is_cut_again() {
    let world = World::new();
    let first = world.journal("first", 17);
    world.uploader("first").await.unwrap().ship().await.unwrap();
    let identity = first.dir().identity().unwrap().unwrap();
    first.close().unwrap();

    let (second, _) = Journal::builder(world.dir("second"))
        .options(JournalOptions::default())
        .lineage(identity.lineage)
        .database_id(identity.database_id)
        .open()
        .unwrap();
    append_to(&second, 1, 30);
    second.seal().unwrap();
    assert_eq!(sealed(&world.dir("second")).len(), 1);
    let shipped = world.uploader("second").await.unwrap().ship().await.unwrap();
    assert_eq!((shipped.segments, shipped.committed.sequence), (1, 30));
    let newest = world.segments().await.pop().unwrap();
    let name = SegmentName::parse(newest.as_str().strip_prefix("people/").unwrap()).unwrap();
    assert_eq!((name.first(), name.last(), name.epoch(), name.commit_ms()), (18, 30, 2, commit_ms(30)));
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(30);
}

#[tokio::test]
async fn a_segment_of_a_fork_is_not_cut_but_refused() {
    let world = World::new();
    let first = world.journal("first", 17);
    world.uploader("first").await.unwrap().ship().await.unwrap();
    let identity = first.dir().identity().unwrap().unwrap();
    first.close().unwrap();
    let (second, _) = Journal::builder(world.dir("second"))
        .lineage(identity.lineage)
        .database_id(identity.database_id)
        .open()
        .unwrap();
    append_to(&second, 1, 16);
    second.append_at(entry(99).encode().unwrap(), commit_ms(17)).unwrap().wait(Ack::Synced).unwrap();
    append_to(&second, 18, 30);
    second.seal().unwrap();
    let error = match world.uploader("second").await {
        Ok(mut uploader) => uploader.ship().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Remote(RemoteError::Fork { sequence: 17, .. })), "{error}");
    assert_eq!(world.head().await.committed().sequence, 17);
}
