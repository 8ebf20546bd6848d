//! Snapshots of encrypted histories: nothing of the database is readable in the store, and what is not proven by a key is not taken.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use graphstream_journal::Journal;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{DocumentProblem, Error as RemoteError, ErrorKind as RemoteKind, Remote};
use graphstream_replay::JsonlTarget;
use graphstream_replication::{
    Error, Follower, Goal, JsonlEngine, Restore, RestoreOptions, RestoreReport, RestoredLineage, Result,
    Snapshot, SnapshotDamage, SnapshotOptions, SnapshotReport, Stop, Uploader,
};
use world::archive::sequences;
use world::keys::{key, ring};
use world::{World, append_to, causes, eager_follower, patient_uploads, small_segments};

struct Encrypted {
    world: World,
    journal: Journal,
}

impl Encrypted {
    /// 30 entries of an encrypted journal, published.
    async fn new() -> Self {
        let world = World::new();
        let builder = Journal::builder(world.dir("encrypted")).options(small_segments());
        let (journal, _) = builder.keys(ring(&[1])).open().unwrap();
        let this = Self { world, journal };
        this.publish(1, 30).await;
        this
    }

    async fn publish(&self, first: u64, last: u64) {
        append_to(&self.journal, first, last);
        self.journal.seal().unwrap();
        let metrics = Arc::<GraphstreamMetrics>::default();
        let dir = self.world.dir("encrypted");
        let mut uploader = Uploader::open(dir, self.remote(&[1]), patient_uploads(), metrics).await.unwrap();
        uploader.ship().await.unwrap();
    }

    fn remote(&self, numbers: &[u8]) -> Remote {
        if numbers.is_empty() { self.world.remote() } else { self.world.remote().with_keys(ring(numbers)) }
    }

    fn restore(&self, numbers: &[u8], name: &str, goal: Goal) -> Restore {
        Restore::into_database(self.remote(numbers), self.world.dir(name), Arc::new(JsonlEngine))
            .goal(goal)
            .options(RestoreOptions::default().with_batch_entries_max(3))
    }

    /// A file of lines with the first entries.
    async fn lines(&self, name: &str, last: u64) -> PathBuf {
        self.restore(&[1], name, Goal::Sequence(last)).run().await.unwrap();
        self.world.dir(name)
    }

    async fn snapshot(&self, numbers: &[u8], last: u64) -> SnapshotReport {
        let path = self.lines(&format!("snapshot-{last}"), last).await;
        let options = SnapshotOptions::default().with_part_bytes(200).with_staging_dir(self.world.dir(""));
        let snapshot = Snapshot::of_path(self.remote(numbers), path, Arc::new(JsonlEngine));
        snapshot.options(options).create().await.unwrap()
    }

    async fn restored(&self, numbers: &[u8], name: &str) -> Result<RestoreReport> {
        self.restore(numbers, name, Goal::Latest).run().await
    }

    /// Removes the segments that end at or before an entry.
    async fn expire(&self, last: u64) {
        for key in self.world.segments().await {
            if world::sequences(key.as_str()).1 <= last {
                self.world.remove(&key).await;
            }
        }
    }
}

fn problem(error: &RemoteError) -> &DocumentProblem {
    match error {
        RemoteError::DocumentDamaged { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn k02_the_store_shows_nothing_of_the_database_and_it_comes_back() {
    let encrypted = Encrypted::new().await;
    let report = encrypted.snapshot(&[1], 25).await;
    assert_eq!(report.manifest.key_id(), Some(key(1).id()));
    assert!(report.manifest.parts.len() > 2);
    // The same again is the same.
    let again =
        Snapshot::of_path(encrypted.remote(&[1]), encrypted.world.dir("snapshot-25"), Arc::new(JsonlEngine));
    assert!(again.create().await.unwrap().existed);

    // The canaries: what stands in the database, what it is called, hashes of it, chain hashes, keys.
    let path = encrypted.world.dir("snapshot-25");
    let file = fs::read(&path).unwrap();
    let hash = report.manifest.files[0].sha256;
    let chain = report.manifest.chain_hash;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secrets = [
        b"CREATE".to_vec(),
        b"number".to_vec(),
        b"\"path\"".to_vec(),
        file[..24].to_vec(),
        hash[..8].to_vec(),
        hex(&hash).as_bytes()[..16].to_vec(),
        chain.as_bytes()[..8].to_vec(),
        chain.to_string().as_bytes()[..16].to_vec(),
        vec![0xc1; 8],
        // A frame of zstd, and a tar.
        vec![0x28, 0xb5, 0x2f, 0xfd],
        b"ustar".to_vec(),
    ];
    let objects = encrypted.world.keys("snap/").await;
    assert_eq!(objects.len(), report.manifest.parts.len() + 1);
    for key in &objects {
        let bytes = encrypted.world.object(key).await;
        for secret in &secrets {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == &secret[..]),
                "{key} shows {secret:?}"
            );
        }
    }

    // With the snapshot and what is behind it, and from the first entry.
    let all: Vec<u64> = (1..=30).collect();
    for (name, expires) in [("from-the-first", false), ("from-the-snapshot", true)] {
        if expires {
            encrypted.expire(25).await;
        } else {
            for key in &objects {
                let moved = graphstream_storage::Key::new(format!("elsewhere/{key}")).unwrap();
                encrypted.world.put(&moved, encrypted.world.object(key).await).await;
                encrypted.world.remove(key).await;
            }
        }
        let report = encrypted.restored(&[1], name).await.unwrap();
        assert_eq!(report.plan.snapshot.is_some(), expires);
        assert_eq!(sequences(&encrypted.world.dir(name)), all, "{name}");
        for key in &objects {
            if !expires {
                let moved = graphstream_storage::Key::new(format!("elsewhere/{key}")).unwrap();
                encrypted.world.put(key, encrypted.world.object(&moved).await).await;
            }
        }
    }
    // A journal needs no snapshot; it begins where the segments do.
    let journal = encrypted.world.dir("journal");
    let restore = Restore::into_journal(encrypted.remote(&[1]), journal, RestoredLineage::Kept);
    assert_eq!(restore.run().await.unwrap().position.sequence, 30);
}

#[tokio::test]
async fn k04_a_missing_key_and_a_wrong_one_are_told_apart() {
    let encrypted = Encrypted::new().await;
    let name = encrypted.snapshot(&[1], 25).await.name;
    let read = |numbers: &'static [u8]| {
        let remote = encrypted.remote(numbers);
        async move { remote.read_snapshot_manifest(&name).await }
    };
    let missing = read(&[]).await.unwrap_err();
    assert!(matches!(problem(&missing), DocumentProblem::KeyRequired { id } if *id == key(1).id()));
    let wrong = read(&[2]).await.unwrap_err();
    assert!(matches!(problem(&wrong), DocumentProblem::UnknownKey { id } if *id == key(1).id()));
    assert_eq!((missing.kind(), wrong.kind()), (RemoteKind::Key, RemoteKind::Key));
    assert!(read(&[2, 1]).await.unwrap().is_some());
    for numbers in [&[][..], &[2]] {
        let error = encrypted.restored(numbers, "nothing").await.unwrap_err();
        let is_key = matches!(&error, Error::Remote(error) if error.kind() == RemoteKind::Key);
        assert!(is_key, "{}", causes(&error));
        assert!(!encrypted.world.dir("nothing").exists());
    }
    // Nobody makes one without the key either.
    let path = encrypted.world.dir("snapshot-25");
    let keyless = Snapshot::of_path(encrypted.remote(&[]), path, Arc::new(JsonlEngine));
    assert!(matches!(keyless.create().await, Err(Error::Remote(error)) if error.kind() == RemoteKind::Key));
}

#[tokio::test]
async fn k03_a_snapshot_keeps_its_key_when_the_current_one_changes() {
    let encrypted = Encrypted::new().await;
    let old = encrypted.snapshot(&[1], 20).await;
    let new = encrypted.snapshot(&[2, 1], 25).await;
    assert_eq!((old.manifest.key_id(), new.manifest.key_id()), (Some(key(1).id()), Some(key(2).id())));
    encrypted.expire(25).await;
    let restored = encrypted.restored(&[2, 1], "restored").await.unwrap();
    assert_eq!(restored.plan.snapshot.unwrap().sequence, 25);
    assert_eq!(sequences(&encrypted.world.dir("restored")).len(), 30);
    // Whoever has the old key alone is told which one the newest takes.
    let error = encrypted.restored(&[1], "nothing").await.unwrap_err();
    let Error::Remote(error) = &error else { panic!("{error:?}") };
    assert!(matches!(problem(error), DocumentProblem::UnknownKey { id } if *id == key(2).id()));
}

#[tokio::test]
async fn h06_what_a_writer_of_the_bucket_changes_is_refused_with_its_kind() {
    let encrypted = Encrypted::new().await;
    let older = encrypted.snapshot(&[1], 12).await;
    let newer = encrypted.snapshot(&[1], 25).await;
    let remote = encrypted.remote(&[1]);
    let manifest_of = |report: &SnapshotReport| remote.manifest_key(&report.name).unwrap();
    let (first, second) = (manifest_of(&older), manifest_of(&newer));
    let whole = encrypted.world.objects().await;
    let manifest = encrypted.world.object(&second).await;
    let text = String::from_utf8(manifest.clone()).unwrap();
    let created = format!("\"created_ms\":{}", newer.manifest.created_ms);
    let forged = text.replacen(&created, "\"created_ms\":0", 1);
    assert_ne!(forged, text);
    // A plain manifest of the same, which the bucket's writer may make without a key.
    let plain = format!(
        "{{\"format\":1,{}",
        text.split_once("\"content\":{").unwrap().1.trim_end().strip_suffix("}").unwrap()
    );
    let parts: Vec<_> = (0..2).map(|index| remote.part_key(&newer.manifest, index).unwrap()).collect();
    let (one, other) = (encrypted.world.object(&parts[0]).await, encrypted.world.object(&parts[1]).await);
    let mut flipped = one.clone();
    flipped[100] ^= 1;
    for (what, changes) in [
        ("forged", vec![(second.clone(), forged.into_bytes())]),
        ("plain", vec![(second.clone(), plain.into_bytes())]),
        ("of another snapshot", vec![(second.clone(), encrypted.world.object(&first).await)]),
        ("flipped", vec![(parts[0].clone(), flipped)]),
        ("swapped", vec![(parts[0].clone(), other), (parts[1].clone(), one)]),
    ] {
        for (key, bytes) in changes {
            encrypted.world.put(&key, bytes).await;
        }
        let read = encrypted.remote(&[1]).read_snapshot_manifest(&newer.name).await;
        match what {
            "forged" => assert!(matches!(problem(&read.unwrap_err()), DocumentProblem::Forged { .. })),
            "plain" => assert!(matches!(problem(&read.unwrap_err()), DocumentProblem::Plaintext)),
            "of another snapshot" => assert_eq!(read.unwrap_err().kind(), RemoteKind::Damage),
            _ => assert!(read.unwrap().is_some()),
        }
        // The one before it leads there, too.
        let name = format!("restored-{}", what.replace(' ', "-"));
        let report = encrypted.restored(&[1], &name).await.unwrap();
        assert_eq!(report.plan.snapshot.unwrap().sequence, 12, "{what}");
        assert_eq!(report.plan.passed.len(), 1, "{what}");
        assert_eq!(sequences(&encrypted.world.dir(&name)).len(), 30, "{what}");
        encrypted.world.hold(&whole).await;
    }
    // Without another one it is the error itself.
    encrypted.world.put(&parts[0], vec![0; 216]).await;
    encrypted.world.remove(&first).await;
    encrypted.expire(25).await;
    let error = encrypted.restored(&[1], "nothing").await.unwrap_err();
    let damaged = matches!(&error, Error::SnapshotDamaged { source: SnapshotDamage::Object(_), .. });
    assert!(damaged, "{}", causes(&error));
}

#[tokio::test]
async fn h07_a_plain_snapshot_from_before_encryption_is_not_taken() {
    let world = World::new();
    world.published(20).await;
    let plain = world.snapshot_at(15).await;
    let (journal, _) = Journal::builder(world.dir("published"))
        .options(small_segments().with_encrypt_existing(true))
        .keys(ring(&[1]))
        .open()
        .unwrap();
    let encrypted = Encrypted { world, journal };
    append_to(&encrypted.journal, 21, 30);
    encrypted.journal.seal().unwrap();
    let metrics = Arc::<GraphstreamMetrics>::default();
    let dir = encrypted.world.dir("published");
    let mut uploader = Uploader::open(dir, encrypted.remote(&[1]), patient_uploads(), metrics).await.unwrap();
    uploader.ship().await.unwrap();

    let error = encrypted.remote(&[1]).read_snapshot_manifest(&plain.name).await.unwrap_err();
    assert!(matches!(problem(&error), DocumentProblem::Plaintext));
    assert_eq!(error.kind(), RemoteKind::Damage);
    let report = encrypted.restored(&[1], "restored").await.unwrap();
    assert!(report.plan.snapshot.is_none());
    assert!(
        report.plan.passed[0].reason.contains("nothing unencrypted is accepted"),
        "{:?}",
        report.plan.passed
    );
    // No journal can be made of both.
    let dir = encrypted.world.dir("journal");
    let restore = Restore::into_journal(encrypted.remote(&[1]), &dir, RestoredLineage::Kept);
    assert!(matches!(restore.run().await, Err(Error::RestorePlain { .. })));
    assert!(!dir.exists());
    // An encrypted one of later is.
    assert_eq!(encrypted.snapshot(&[1], 25).await.manifest.key_id(), Some(key(1).id()));
    encrypted.expire(25).await;
    assert!(encrypted.restored(&[1], "again").await.unwrap().plan.snapshot.is_some());
}

#[tokio::test]
async fn a_follower_with_the_key_begins_again_with_an_encrypted_snapshot() {
    let encrypted = Encrypted::new().await;
    let path = encrypted.lines("people.jsonl", 9).await;
    encrypted.snapshot(&[1], 25).await;
    encrypted.expire(25).await;
    let target = Box::new(JsonlTarget::open(&path).unwrap());
    let metrics = Arc::<GraphstreamMetrics>::default();
    let follower = Follower::open(encrypted.remote(&[1]), target, eager_follower(), metrics).await.unwrap();
    let mut follower = follower.replaceable_at(&path, Arc::new(JsonlEngine));
    follower.catch_up(None, &Stop::new()).await.unwrap();
    assert_eq!(sequences(&path), (1..=30).collect::<Vec<_>>());
    // It goes on behind it.
    encrypted.publish(31, 40).await;
    follower.catch_up(None, &Stop::new()).await.unwrap();
    assert_eq!(sequences(&path).len(), 40);
}
