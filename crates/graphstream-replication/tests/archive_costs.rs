//! What archiving costs: file operations do not grow with the segments that are archived already, and verifying can be spared.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use graphstream_journal::{Access, Ack, DirEntry, Fs, FsFile, Journal, JournalDir, LockMode};
use graphstream_proto::JournalEntry;
use graphstream_replication::{ArchiveOptions, CacheOptions, Error, ErrorKind, Uploader, UploaderOptions};
use graphstream_testkit::CrashFs;
use world::{Recorder, World, append_to, patient_uploads, sealed, small_segments};

/// Counts operations on a disk, and of a listing each name.
#[derive(Debug, Clone)]
struct CountingFs {
    disk: CrashFs,
    operations: Arc<AtomicU64>,
}

impl CountingFs {
    fn count(&self, operations: usize) {
        self.operations.fetch_add(operations as u64, Ordering::Relaxed);
    }

    fn counted(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}

impl Fs for CountingFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.count(1);
        self.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let names = self.disk.list(dir)?;
        self.count(1 + names.len());
        Ok(names)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        self.count(1);
        Ok(Arc::new(CountingFile { inner: self.disk.open(path, access)?, fs: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count(1);
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.count(1);
        self.disk.remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.count(1);
        self.disk.sync_dir(dir)
    }
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn FsFile>,
    fs: CountingFs,
}

impl FsFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fs.count(1);
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.fs.count(1);
        self.inner.write_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.fs.count(1);
        self.inner.size()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.fs.count(1);
        self.inner.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fs.count(1);
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.fs.count(1);
        self.inner.sync_all()
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.fs.count(1);
        self.inner.try_lock(mode)
    }
}

/// Appends `count` entries, each in a segment of its own.
fn segments(journal: &Journal, first: u64, count: u64) {
    for number in first..first + count {
        append_to(journal, number, number);
        journal.seal().unwrap();
    }
}

/// File operations of three uploads of one segment each, behind `archived` segments that are archived and stay as long as
/// `cache` says of their bytes.
async fn operations(archived: u64, cache: impl FnOnce(u64) -> CacheOptions) -> Vec<u64> {
    let world = World::new();
    let disk = CrashFs::new();
    let builder = Journal::builder("/journal").fs(Arc::new(disk.clone())).options(small_segments());
    let (journal, _) = builder.open().unwrap();
    segments(&journal, 1, archived);
    let fs = CountingFs { disk, operations: Arc::default() };
    let dir = JournalDir::open_on("/journal", Arc::new(fs.clone())).unwrap();
    let bytes = dir.segments().unwrap().iter().map(|segment| segment.file_bytes).sum();
    let options = patient_uploads().with_cache(cache(bytes));
    let mut uploader = Uploader::open_on(dir, world.remote(), options, Arc::default()).await.unwrap();
    uploader.ship().await.unwrap();
    assert_eq!(uploader.cache().segments as u64, archived);
    let mut operations = Vec::new();
    for number in archived + 1..=archived + 3 {
        segments(&journal, number, 1);
        let before = fs.counted();
        assert_eq!(uploader.ship().await.unwrap().segments, 1);
        operations.push(fs.counted() - before);
    }
    operations
}

#[tokio::test]
async fn an_upload_costs_as_many_file_operations_behind_a_thousand_segments_as_behind_ten() {
    let keep = |_| CacheOptions::default().with_age_max(Duration::from_secs(3600));
    assert_eq!(operations(1000, keep).await, operations(10, keep).await);
}

/// With each upload the oldest goes, as in a journal that has been running for longer than segments stay.
#[tokio::test]
async fn so_it_does_while_the_oldest_segments_go() {
    let keep = |bytes| CacheOptions::default().with_age_max(Duration::MAX).with_bytes_max(bytes);
    let (many, few) = (operations(1000, keep).await, operations(10, keep).await);
    // Numbers grow, and segments with them: another segment of ten may be too much.
    assert!(many.iter().max() <= few.iter().max().map(|few| few + 16).as_ref(), "{many:?} {few:?}");
}

/// A statement that does not fit into one frame with others.
fn large(number: u64) -> JournalEntry {
    let noise: String = (0..6000_u64)
        .map(|at| format!("{:016x}", (at + number * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .collect();
    world::entry(number).with_param("noise", noise)
}

/// Two sealed segments, the first of several frames.
fn two_segments(world: &World) {
    let options = small_segments().with_segment_bytes_max(64 << 20);
    let (journal, _) = Journal::builder(world.dir("journal")).options(options).open().unwrap();
    for number in 1..=12 {
        let payload = large(number).encode().unwrap();
        journal.append_at(payload, world::commit_ms(number)).unwrap().wait(Ack::Synced).unwrap();
    }
    journal.seal().unwrap();
    append_to(&journal, 13, 14);
    journal.close().unwrap();
}

fn unverified() -> UploaderOptions {
    patient_uploads().with_archive(ArchiveOptions::default().with_verify_before_archive(false))
}

async fn uploader(world: &World, options: UploaderOptions) -> Uploader {
    Uploader::open(world.dir("journal"), world.remote(), options, Arc::default()).await.unwrap()
}

#[tokio::test]
async fn what_was_not_verified_is_published_as_what_was() {
    let world = World::new();
    two_segments(&world);
    let shipped = uploader(&world, unverified()).await.ship().await.unwrap();
    assert_eq!((shipped.segments, shipped.committed.sequence), (2, 14));
    // Who reads it verifies names, lengths, checksums and chain.
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(14);
}

/// S07: damage is found before it is published, or, where verifying was spared, by who reads it; it is never applied.
#[tokio::test]
async fn s07_damage_is_refused_before_it_is_archived_unless_that_was_spared() {
    let world = World::new();
    two_segments(&world);
    let damaged = &sealed(&world.dir("journal"))[0];
    let mut bytes = std::fs::read(&damaged.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged.path, bytes).unwrap();

    let error = uploader(&world, patient_uploads()).await.ship().await.unwrap_err();
    assert!(matches!(error, Error::Local { .. }), "{error}");
    assert_eq!(world.segments().await, []);

    assert_eq!(uploader(&world, unverified()).await.ship().await.unwrap().segments, 2);
    let target = Recorder::default();
    let error = world.catch_up(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    target.assert_holds(0);
}

/// A segment of another history, or that continues nothing here, is refused all the same.
#[tokio::test]
async fn l18_a_segment_that_does_not_fit_is_refused_without_verifying_too() {
    let (world, other) = (World::new(), World::with_seed(7));
    two_segments(&world);
    two_segments(&other);
    let (ours, theirs) = (sealed(&world.dir("journal")), sealed(&other.dir("journal")));
    std::fs::copy(&theirs[0].path, &ours[0].path).unwrap();
    let error = uploader(&world, unverified()).await.ship().await.unwrap_err();
    assert!(matches!(error, Error::Local { .. }), "{error}");
    assert_eq!(world.segments().await, []);
}
