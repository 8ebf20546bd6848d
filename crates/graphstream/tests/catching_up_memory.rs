//! What a leader takes to catch up on an outage does not depend on how long that was.
#![cfg(feature = "fs")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use graphstream::journal::Compression;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replication::{OutageState, UploaderOptions};
use graphstream::storage::faults::{Fault, Rule};
use graphstream::storage::{ErrorClass, FaultBackend, Operation};
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::{JournalOptions, Leader};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SEGMENT_BYTES: usize = 256 << 10;
const LONG: Duration = Duration::from_secs(60);

/// How much more was allocated at once than before the store came back, with so many segments to catch up on.
async fn peak_of_catching_up(segments: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let store = FsBackend::open(dir.path().join("store"), FsOptions::default()).unwrap();
    let store = FaultBackend::new(store);
    let remote = Remote::new(Arc::new(store.clone()), "", DatabaseName::new("people").unwrap()).unwrap();
    let journal = JournalOptions::default()
        .with_segment_bytes_max(SEGMENT_BYTES as u64)
        .with_compression(Compression::None);
    let uploads = UploaderOptions::default().with_retry_interval_max(Duration::from_millis(20));
    let leader = Leader::builder(dir.path().join("journal"), remote);
    let (leader, _) = leader.journal_options(journal).uploader_options(uploads).start().await.unwrap();
    for operation in Operation::ALL {
        store.inject(Rule::new(operation, Fault::Before(ErrorClass::Unavailable)).always());
    }
    let payload = vec![7; SEGMENT_BYTES / 4];
    for _ in 0..segments * 4 {
        let _ = leader.journal().append(&payload).unwrap();
    }
    let last = leader.journal().seal().unwrap().unwrap().last_sequence;
    leader.outage().wait_for(|status| status.state == OutageState::Degraded).await.unwrap();

    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    store.clear();
    let stored = tokio::time::timeout(LONG, leader.stored(last)).await.expect("it is caught up on").unwrap();
    assert!(stored.sequence >= last);
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    leader.shutdown(LONG).await.unwrap();
    peak
}

#[tokio::test]
async fn catching_up_keeps_memory_flat() {
    let short = peak_of_catching_up(8).await;
    let long = peak_of_catching_up(64).await;
    // Four uploads at a time, each with buffers of its own, and one segment that is verified: the backlog is 16 MiB.
    assert!(long < 8 << 20, "{long} bytes for 64 segments, {short} for 8");
    assert!(long < short + (1 << 20), "{long} bytes for 64 segments, {short} for 8");
}
