//! What an uploader reports, what it keeps beside the segments, and how little it does per segment.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graphstream_journal::{Ack, Journal, JournalDir, JournalReader};
use graphstream_remote::Error as RemoteError;
use graphstream_replication::{
    ArchiveOptions, CacheOptions, Error, Level, Stop, UPLOADER_CURSOR, UploadManifest, UploadMessage,
    Uploader, UploaderOptions,
};
use graphstream_storage::Operation;
use graphstream_testkit::{CrashFs, Crashes};
use world::{
    LONG, Recorder, World, append, append_to, cut_off, entry, patient_uploads, sealed, small_segments,
};

async fn uploader_with(world: &World, options: UploaderOptions) -> Uploader {
    Uploader::open(world.dir("journal"), world.remote(), options, Arc::default()).await.unwrap()
}

fn dir(world: &World) -> JournalDir {
    JournalDir::open(world.dir("journal")).unwrap()
}

#[tokio::test]
async fn the_archive_state_follows_uploads_failures_and_the_live_journal() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 30).await;
    cut_off(&world.faults);
    leader.journal().seal().unwrap();
    let failed = async {
        loop {
            let status = leader.archive().await.unwrap();
            if status.failures > 0 && status.archived + status.pending.entries == 30 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let status = failed.await;
    assert_eq!((status.gap_entries, status.pending.entries), (30 - status.archived, 30 - status.archived));
    assert!(status.gap_bytes >= status.pending.bytes && status.pending.bytes > 0, "{status:?}");
    let failure = status.last_failure.unwrap();
    assert_eq!(failure.sequence, status.archived + 1);
    assert!(failure.reason.contains("head.json") || failure.reason.contains("seg/"), "{failure:?}");
    assert!(failure.at_ms > 1_700_000_000_000);

    world.faults.clear();
    leader.sync().await.unwrap();
    append(&leader, 31, 32).await;
    let status = leader.archive().await.unwrap();
    assert_eq!((status.archived, status.gap_entries, status.pending.segments), (30, 2, 0));
    assert_eq!(status.archived_segments, sealed(&world.dir("journal")).len() as u64);
    assert!(status.gap_bytes > 0 && status.archived_ms.is_some() && status.last_failure.is_some());
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn a_batch_is_published_at_once() {
    for (batch, expected) in [(1, 5), (2, 3), (16, 1)] {
        let world = World::new();
        let journal = world.journal("journal", 0);
        for number in 1..=5 {
            append_to(&journal, number, number);
            journal.seal().unwrap();
        }
        let options =
            patient_uploads().with_archive(ArchiveOptions::default().with_batch_segments_max(batch));
        let mut uploader = uploader_with(&world, options).await;
        uploader.claim().await.unwrap();
        let before = world.head().await.revision();
        uploader.ship().await.unwrap();
        assert_eq!(world.head().await.revision() - before, expected, "batches of {batch}");
    }
}

#[tokio::test]
async fn published_segments_go_when_nobody_needs_them_and_never_the_newest_committed() {
    let world = World::new();
    let (leader, _) = world
        .leader("journal")
        .uploader_options(patient_uploads().with_cache(CacheOptions::nothing()))
        .start()
        .await
        .unwrap();
    leader.journal().dir().set_cursor("reader", 20, 0).unwrap();
    append(&leader, 1, 40).await;
    leader.uploader().upload().await.unwrap();
    let first = sealed(&world.dir("journal"))[0].header.clone();
    assert!(
        first.first_seq > 1 && first.first_seq <= 21 && first.last_seq > 20,
        "the reader needs 21: {first:?}"
    );
    leader.journal().dir().set_cursor("reader", 40, 0).unwrap();

    // Nothing that is not committed goes, whatever the cursors say.
    cut_off(&world.faults);
    append(&leader, 41, 60).await;
    leader.journal().seal().unwrap();
    leader.journal().dir().set_cursor("reader", 60, 0).unwrap();
    drop(leader);
    world.faults.clear();
    let firsts: Vec<u64> =
        sealed(&world.dir("journal")).iter().map(|segment| segment.first_sequence).collect();
    assert!(firsts[0] <= 40 && firsts.len() > 2, "{firsts:?}");

    // The next leader has all that it needs to be compared with the head, and goes on.
    let again = async {
        loop {
            let builder = world.leader("journal");
            let options = patient_uploads().with_cache(CacheOptions::nothing());
            match builder.uploader_options(options).start().await {
                Ok(started) => return started,
                // The dropped one may still be on its way out.
                Err(error) if error.to_string().contains("LOCK") || error.to_string().contains("SHIP") => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (leader, started) = tokio::time::timeout(LONG, again).await.unwrap();
    assert_eq!(started.recovery.position.sequence, 60);
    leader.sync().await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    let left = sealed(&world.dir("journal"));
    assert_eq!((left.len(), left[0].header.last_seq), (1, 60), "what holds the last committed entry stays");
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(60);
}

#[tokio::test]
async fn published_segments_stay_for_a_while_by_default_and_go_at_once_if_that_is_said() {
    let world = World::new();
    world.journal("journal", 40).close().unwrap();
    let before = sealed(&world.dir("journal")).len();
    uploader_with(&world, patient_uploads()).await.ship().await.unwrap();
    assert_eq!(sealed(&world.dir("journal")).len(), before);
    // After a restart they are known again.
    let uploader = uploader_with(&world, patient_uploads()).await;
    assert_eq!(uploader.cache().segments, before);
    drop(uploader);
    let delete = ArchiveOptions::default().with_delete_after_archive(true);
    uploader_with(&world, patient_uploads().with_archive(delete)).await.ship().await.unwrap();
    assert_eq!(sealed(&world.dir("journal")).len(), 1);
}

#[tokio::test]
async fn the_manifest_says_what_the_head_says() {
    let world = World::new();
    let journal = world.journal("journal", 30);
    let mut uploader = uploader_with(&world, patient_uploads()).await;
    assert_eq!(UploadManifest::read(&dir(&world)).unwrap(), None);
    uploader.ship().await.unwrap();
    let manifest = UploadManifest::read(&dir(&world)).unwrap().unwrap();
    let head = world.head().await;
    assert_eq!(manifest, UploadManifest::of(&head));
    assert_eq!((manifest.committed, manifest.epoch), (30, 1));
    let keys: Vec<String> =
        manifest.segments.iter().map(|segment| format!("people/{}", segment.key)).collect();
    assert_eq!(keys, world.segments().await.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>());
    append_to(&journal, 31, 33);
    journal.seal().unwrap();
    uploader.ship().await.unwrap();
    assert_eq!(UploadManifest::read(&dir(&world)).unwrap().unwrap().committed, 33);
}

#[tokio::test]
async fn with_the_manifest_alone_an_older_head_or_none_is_known_for_what_it_is() {
    let world = World::new();
    let journal = world.journal("journal", 20);
    let mut uploader = uploader_with(&world, patient_uploads()).await;
    uploader.ship().await.unwrap();
    let old = world.object(&world.head_key()).await;
    append_to(&journal, 21, 40);
    journal.seal().unwrap();
    uploader.ship().await.unwrap();
    drop(uploader);
    journal.close().unwrap();
    dir(&world).remove_cursor(UPLOADER_CURSOR).unwrap();

    world.put(&world.head_key(), old).await;
    let error = world.uploader("journal").await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::Rewound { .. })), "{error}");
    for key in world.keys("").await {
        world.remove(&key).await;
    }
    let error = world.uploader("journal").await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::HeadMissing { .. })), "{error}");
}

/// L11: the power is cut at any step of the bookkeeping behind a publication. The next look puts it right, uploads nothing again, and
/// the journal goes on.
#[tokio::test]
async fn l11_bookkeeping_that_was_cut_off_is_done_again() {
    let world = World::new();
    let fs = CrashFs::new();
    let builder = || Journal::builder("/journal").options(small_segments());
    let (journal, _) = builder().fs(Arc::new(fs.clone())).open().unwrap();
    append_to(&journal, 1, 40);
    journal.close().unwrap();
    let fs = fs.after_kill();
    let upload = async |fs: &CrashFs| {
        let dir = JournalDir::open_on("/journal", Arc::new(fs.clone())).unwrap();
        let options = patient_uploads().with_cache(CacheOptions::nothing());
        let mut uploader = Uploader::open_on(dir, world.remote(), options, Arc::default()).await.unwrap();
        uploader.ship().await.unwrap()
    };
    assert_eq!(upload(&fs).await.committed.sequence, 40);
    let head = world.head().await;
    let puts = world.faults.calls(Operation::Put);
    let mut crashes = Crashes::of(&fs);
    let mut states = 0;
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 2, at as u64) {
            let fs = image.boot();
            let dir = JournalDir::open_on("/journal", Arc::new(fs.clone())).unwrap();
            let manifest = UploadManifest::read(&dir).unwrap().map_or(0, |manifest| manifest.committed);
            let cursor = dir.cursor(UPLOADER_CURSOR).unwrap().map_or(0, |cursor| cursor.sequence);
            assert!(manifest >= cursor, "{image:?}: {manifest} {cursor}");
            if cursor == 0 {
                assert_eq!(
                    dir.segment_sequences().unwrap()[0],
                    1,
                    "{image:?}: nothing goes before it is noted"
                );
            }
            assert_eq!(upload(&fs).await.segments, 0, "{image:?}");
            assert_eq!(UploadManifest::read(&dir).unwrap(), Some(UploadManifest::of(&head)));
            assert_eq!(dir.cursor(UPLOADER_CURSOR).unwrap().unwrap().sequence, 40);
            assert_eq!(dir.segments().unwrap().len(), 1, "{image:?}");
            let (journal, report) = builder().fs(Arc::new(fs.clone())).open().unwrap();
            assert_eq!(report.position.sequence, 40, "{image:?}");
            journal.append(entry(41).encode().unwrap()).unwrap().wait(Ack::Synced).unwrap();
            journal.close().unwrap();
            states += 1;
        }
    }
    assert!(states > 20, "{states}");
    assert_eq!(world.faults.calls(Operation::Put), puts, "nothing was uploaded again");
}

/// Runs an uploader beside its writer and asks it.
#[tokio::test]
async fn messages_upload_acknowledge_and_end() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 3).await;
    let handle = leader.uploader();
    assert_eq!(handle.upload().await.unwrap().sequence, 3, "what was appended before is sealed for it");
    append(&leader, 4, 5).await;
    handle.send(UploadMessage::Upload).await.unwrap();
    assert_eq!(tokio::time::timeout(LONG, leader.stored(5)).await.unwrap().unwrap().sequence, 5);

    // While the store fails, whoever waits goes on waiting.
    cut_off(&world.faults);
    append(&leader, 6, 7).await;
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.upload().await }
    });
    let failed = async {
        while leader.archive().await.unwrap().failures == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, failed).await.unwrap();
    assert!(!waiting.is_finished());
    world.faults.clear();
    assert_eq!(tokio::time::timeout(LONG, waiting).await.unwrap().unwrap().unwrap().sequence, 7);

    append(&leader, 8, 9).await;
    handle.send(UploadMessage::Shutdown).await.unwrap();
    let ended = async {
        while leader.is_shipping() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, ended).await.unwrap();
    assert_eq!(world.head().await.committed().sequence, 9, "sealed, uploaded and published before it ended");
    assert!(matches!(handle.upload().await, Err(Error::Ended(_))));
    assert!(matches!(handle.send(UploadMessage::Upload).await, Err(Error::Ended(_))));
    leader.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn waiting_for_stored_rides_the_next_upload_and_causes_none() {
    let world = World::new();
    let leader = world.lead("journal").await;
    let first = leader.append(&entry(1)).unwrap();
    assert_eq!(first.reached(Level::Written).await.unwrap(), 1..=1);
    let batch = leader.append_batch(&world::entries(2..=4)).unwrap();
    assert_eq!(batch.reached(Level::Synced).await.unwrap(), 2..=4);
    leader.reached(4, Level::Synced).await.unwrap();
    let puts = world.faults.calls(Operation::Put);
    let early = tokio::time::timeout(Duration::from_millis(20), batch.reached(Level::Stored)).await;
    assert!(
        early.is_err() && world.faults.calls(Operation::Put) == puts,
        "it has caused an upload: {early:?}"
    );
    let (stored, position, synced) =
        tokio::join!(batch.reached(Level::Stored), leader.reached(1, Level::Stored), leader.sync());
    assert_eq!((stored.unwrap(), synced.unwrap().sequence), (2..=4, 4));
    position.unwrap();
    leader.uploader().send(UploadMessage::Shutdown).await.unwrap();
    while leader.is_shipping() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let never = leader.append(&entry(5)).unwrap();
    assert!(matches!(never.reached(Level::Stored).await, Err(Error::NotStored { sequence: 5 })));
    leader.shutdown(LONG).await.unwrap();
}

/// R08: the store is away at shutdown: it ends at its deadline, says how many entries are left, and the next start ships them.
#[tokio::test]
async fn r08_a_shutdown_says_what_is_left_and_the_next_start_ships_it() {
    let world = World::new();
    let leader = world.lead("journal").await;
    append(&leader, 1, 5).await;
    leader.sync().await.unwrap();
    world.faults.inject(
        graphstream_storage::faults::Rule::new(Operation::Put, graphstream_storage::faults::Fault::Hang)
            .always(),
    );
    append(&leader, 6, 9).await;
    let error = leader.shutdown(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { unstored: 4 }), "{error}");
    world.faults.clear();
    world.lead("journal").await.shutdown(LONG).await.unwrap();
    assert_eq!(world.head().await.committed().sequence, 9);
}

/// A reader of entries, for what stands on the local disk.
fn local(path: &Path) -> Vec<u64> {
    JournalReader::open(path, Default::default()).unwrap().map(|entry| entry.unwrap().sequence).collect()
}

#[tokio::test]
async fn beside_its_writer_a_shipper_lets_go_of_what_is_published_too() {
    let world = World::new();
    let journal = world.journal("journal", 40);
    let options = patient_uploads().with_cache(CacheOptions::nothing());
    let mut uploader = uploader_with(&world, options).await;
    uploader.ship().await.unwrap();
    append_to(&journal, 41, 45);
    let here = local(&world.dir("journal"));
    assert_eq!(here.last(), Some(&45));
    assert!(here[0] > 1 && here[0] <= 40, "{here:?}");
    journal.seal().unwrap();
    let stop = Stop::new();
    stop.cancel();
    uploader.run(&stop).await.unwrap();
    assert_eq!(world.head().await.committed().sequence, 45);
}
