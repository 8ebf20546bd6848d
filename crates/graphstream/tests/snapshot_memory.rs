//! What a snapshot, and a restore from it, take in memory does not depend on how large the database is.
//!
//! `GRAPHSTREAM_SNAPSHOT_MIB=2048` takes a database of that size, and says what the process had resident at most.
#![cfg(feature = "fs")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use graphstream::format::Position;
use graphstream::proto::JournalEntry;
use graphstream::remote::{DatabaseName, HeadRead, Remote};
use graphstream::replay::{Guarantee, ReplayEntry, ReplayTarget, Result as ReplayResult};
use graphstream::replication::{Engine, OpenedBy};
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::{Ack, Leader, Restore, Snapshot};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A database that is only large: it stands where it is said to.
struct Large(Position);

impl ReplayTarget for Large {
    fn name(&self) -> &str {
        "large"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> ReplayResult<Option<Position>> {
        Ok(Some(self.0))
    }

    fn apply(&mut self, _batch: &[ReplayEntry], position: Position) -> ReplayResult<()> {
        self.0 = position;
        Ok(())
    }

    fn reopen(&mut self) -> ReplayResult<()> {
        Ok(())
    }

    fn close(&mut self) -> ReplayResult<()> {
        Ok(())
    }
}

/// Bytes that no compression makes smaller.
fn fill(path: &Path, bytes: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}

/// The most that was allocated at once while a database of this size was copied, and while it was restored.
async fn peaks(bytes: u64) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = FsBackend::open(dir.path().join("store"), FsOptions::default()).unwrap();
    let remote = Remote::new(Arc::new(store), "", DatabaseName::new("people").unwrap()).unwrap();
    let (leader, _) = Leader::builder(dir.path().join("journal"), remote.clone()).start().await.unwrap();
    leader.append(&JournalEntry::new("CREATE (:P)", 0)).unwrap().acked(Ack::Synced).await.unwrap();
    leader.sync().await.unwrap();
    let HeadRead::Found(stored) = remote.read_head(None).await.unwrap() else { panic!("no head") };
    let position = remote.committed_position(&stored).await.unwrap();
    let engine = || -> Arc<dyn Engine> {
        Arc::new(OpenedBy::new("large", "", move |_path: &Path| Ok(Box::new(Large(position)) as Box<_>)))
    };
    let source = dir.path().join("large.db");
    fill(&source, bytes);

    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let snapshot = Snapshot::of_path(remote.clone(), &source, engine()).position(position);
    let report = snapshot.create().await.unwrap();
    assert!(report.manifest.stored_bytes() >= bytes);
    let copied = ALLOCATOR.peak_usage().saturating_sub(before);

    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let restored = dir.path().join("restored.db");
    Restore::into_database(remote, &restored, engine()).run().await.unwrap();
    assert_eq!(restored.metadata().unwrap().len(), bytes / 8 * 8);
    (copied, ALLOCATOR.peak_usage().saturating_sub(before))
}

#[tokio::test]
async fn a_large_database_takes_no_more_memory_than_a_small_one() {
    let mib = std::env::var("GRAPHSTREAM_SNAPSHOT_MIB").map_or(160, |text| text.parse().unwrap());
    let (copied, restored) = peaks(mib << 20).await;
    // Six pieces of 8 MiB, and zstd.
    assert!(copied < 72 << 20, "{copied} bytes to copy {mib} MiB");
    assert!(restored < 24 << 20, "{restored} bytes to restore {mib} MiB");
    let resident = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = resident.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    eprintln!("{mib} MiB: {copied} bytes allocated at most to copy, {restored} to restore; {resident}");
}
