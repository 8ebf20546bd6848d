//! Reading takes the memory of an entry, not of a segment.
//!
//! One test in a binary of its own: the allocator counts for the whole process, and tests beside it would be counted, too.
#![allow(missing_docs, clippy::unwrap_used)]

use graphstream_journal::{Ack, Entry, Journal, JournalOptions, JournalReader, ReaderOptions, Service};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

#[test]
fn h01_memory_stays_small_whatever_the_segment_size() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_segment_bytes_max(64 << 20).with_service(Service::Inline);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    // Compresses well: a small file that decodes to 48 MiB.
    for n in 0..48_u8 {
        let _ = journal.append(vec![n; MIB]).unwrap().wait(Ack::Written).unwrap();
    }
    journal.close().unwrap();
    drop(journal);
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let mut reader = JournalReader::open(dir.path(), ReaderOptions::default()).unwrap();
    let mut entry = Entry::default();
    let mut entries = 0;
    while reader.read_next(&mut entry).unwrap() {
        entries += 1;
    }
    assert_eq!(entries, 48);
    let peak = ALLOCATED.peak_usage().saturating_sub(before);
    assert!(peak > MIB, "an entry is in memory: {peak} bytes counted");
    assert!(peak < 8 * MIB, "{peak} bytes to read entries of 1 MiB");
}
