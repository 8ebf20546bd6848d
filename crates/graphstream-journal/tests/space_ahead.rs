//! Space for what comes next is zeros that were written, and never more of them than it is worth (decision 0015).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use graphstream_journal::{
    Ack, Error, Journal, JournalOptions, JournalReader, ReaderOptions, Service, SyncPolicy,
};
use graphstream_testkit::Fault;
use hooked_fs::HookedFs;
use proptest::prelude::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn options() -> JournalOptions {
    JournalOptions::default().with_service(Service::Inline).with_sync_policy(SyncPolicy::Never)
}

fn open(fs: &HookedFs, options: JournalOptions) -> Journal {
    Journal::builder("/journal").options(options).fs(Arc::new(fs.clone())).open().unwrap().0
}

/// The only segment there is.
fn segment(fs: &HookedFs) -> PathBuf {
    let named = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "hadbj");
    let segments: Vec<_> = fs.disk.files().into_iter().filter(named).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments.into_iter().next().unwrap()
}

fn file_bytes(fs: &HookedFs) -> u64 {
    fs.disk.content(segment(fs)).unwrap().len() as u64
}

/// How long the file is without the zeros at its end, to a multiple of 8 as records are.
fn used_bytes(fs: &HookedFs) -> u64 {
    let content = fs.disk.content(segment(fs)).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (end as u64).next_multiple_of(8)
}

fn payload(n: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|place| (place * 7 + n) as u8 | 1).collect()
}

fn append_synced(journal: &Journal, n: u64, bytes: usize) -> graphstream_journal::Result<()> {
    journal.append(payload(n, bytes))?.wait(Ack::Synced).map(drop)
}

fn read(fs: &HookedFs) -> Vec<Vec<u8>> {
    let reader = JournalReader::open_on("/journal", ReaderOptions::default(), Arc::new(fs.clone())).unwrap();
    reader.map(|entry| entry.unwrap().payload).collect()
}

#[test]
fn most_small_syncs_find_their_space_written() {
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    for n in 0..3_000 {
        append_synced(&journal, n, 700).unwrap();
    }
    assert!(used_bytes(&fs) > 2 * MIB);
    assert!(fs.growing_syncs() <= 12, "{} of 3,000 syncs had a new length to write", fs.growing_syncs());
}

#[test]
fn a_segment_with_one_small_entry_is_one_block() {
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    append_synced(&journal, 1, 500).unwrap();
    assert_eq!(file_bytes(&fs), 4 * KIB);
    assert_eq!(fs.growing_syncs(), 0, "the block was written with the header");
}

#[test]
fn large_synced_records_are_written_once() {
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    for n in 0..20 {
        append_synced(&journal, n, 100 << 10).unwrap();
    }
    assert_eq!(fs.zeros(), 0);
    assert_eq!(file_bytes(&fs), used_bytes(&fs));
}

#[test]
fn what_nobody_syncs_is_written_once() {
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    for n in 0..10_000 {
        let _ = journal.append(payload(n, 300)).unwrap().wait(Ack::Written).unwrap();
    }
    assert!(used_bytes(&fs) > 3 * MIB);
    assert!(fs.zeros() <= 128 * KIB, "{} bytes of zeros", fs.zeros());
}

#[test]
fn zeros_never_pass_the_end_of_a_segment() {
    let fs = HookedFs::default();
    let journal = open(&fs, options().with_segment_bytes_max(40 * KIB));
    for n in 0..50 {
        append_synced(&journal, n, 700).unwrap();
        assert!(file_bytes(&fs) <= 40 * KIB);
    }
    assert_eq!(file_bytes(&fs), 40 * KIB);
    let fs = HookedFs::default();
    let journal = open(&fs, options().with_segment_bytes_max(KIB));
    append_synced(&journal, 1, 100).unwrap();
    assert_eq!(file_bytes(&fs), KIB, "smaller than a block");
}

/// L06: the zeros find no room, the records do.
#[test]
fn l06_no_room_for_zeros_fails_nothing() {
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    append_synced(&journal, 0, 1_000).unwrap();
    // Nothing to spare: each entry has its bytes and not one more.
    for n in 1..40 {
        let room = used_bytes(&fs).max(4 * KIB) + 1_200;
        fs.set_file_bytes_max(Some(room));
        append_synced(&journal, n, 1_000).unwrap();
    }
    assert_eq!(file_bytes(&fs), used_bytes(&fs), "zeros that found no room give back what they took");
    fs.set_file_bytes_max(None);
    drop(journal);
    assert!(read(&fs).into_iter().eq((0..40).map(|n| payload(n, 1_000))));
}

/// L06, promise 9: a full disk is cut back to the last whole record, and appending goes on where it was when there is space.
#[test]
fn l06_a_full_disk_takes_every_record_that_has_room() {
    let room = 300 * KIB;
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    fs.set_file_bytes_max(Some(room));
    let mut acked = 0;
    let error = loop {
        match append_synced(&journal, acked, 1_000) {
            Ok(()) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    let used = used_bytes(&fs);
    assert!(room - used < 1_200, "full at {used} of {room}");
    assert_eq!(file_bytes(&fs), used, "cut to the last whole record");
    assert!(matches!(append_synced(&journal, acked, 1_000), Err(Error::Full { .. })));
    fs.set_file_bytes_max(None);
    append_synced(&journal, acked, 1_000).unwrap();
    drop(journal);
    assert!(read(&fs).into_iter().eq((0..=acked).map(|n| payload(n, 1_000))));
}

/// L05: zeros that can't be written for any other reason are a failed write.
#[test]
fn l05_zeros_that_fail_otherwise_end_the_journal() {
    let fs = HookedFs::default();
    let journal = open(&fs, options());
    append_synced(&journal, 0, 3_000).unwrap();
    // The record is written, then the zeros behind it.
    fs.disk.fail(fs.disk.calls() + 1, Fault::Error(ErrorKind::Other));
    let error = append_synced(&journal, 1, 3_000).unwrap_err();
    assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
    assert!(matches!(journal.append(b"late"), Err(Error::Poisoned { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever comes, in whatever order: at most twice what the records take, and a bit. (Each step was filled by records before
    /// the next, which is twice as large.)
    #[test]
    fn zeros_cost_at_most_twice_the_records(
        entries in prop::collection::vec((0..5_usize, 0..2_000_usize, any::<bool>()), 1..60),
    ) {
        let fs = HookedFs::default();
        let journal = open(&fs, options().with_segment_bytes_max(8 * MIB));
        let mut expected = Vec::new();
        for (n, (size, more, synced)) in entries.into_iter().enumerate() {
            let payload = payload(n as u64, [0, 100, 3_000, 20_000, 70_000][size] + more);
            let ack = if synced { Ack::Synced } else { Ack::Written };
            let _ = journal.append(&payload).unwrap().wait(ack).unwrap();
            expected.push(payload);
        }
        let (zeros, used) = (fs.zeros(), used_bytes(&fs));
        prop_assert!(zeros <= 2 * used + 20 * KIB, "{zeros} bytes of zeros for {used} bytes");
        drop(journal);
        prop_assert_eq!(read(&fs), expected);
    }
}
