//! A copy of each journal that graphstream 0.3.0 wrote is opened for writing, sealed again under a lineage, continued over several
//! segments and starts, and read to the end: the old entries are what the predecessor's own reader returned, the new ones follow in
//! one unbroken chain. The predecessor's decoder still reads every segment.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub, reason = "shared between tests")]
mod recorded;

use std::path::Path;

use graphstream_format::{ChainHash, Entry, Lineage};
use graphstream_journal::{
    Ack, Compression, Journal, JournalDir, JournalOptions, JournalReader, ReaderOptions, SegmentVersion,
};
use graphstream_proto::{JournalEntry, Schema, schema_of};
use hadb_changeset::journal as predecessor;

const LINEAGE: Lineage = Lineage::from_bytes([0x5c; 16]);
const NEW: u64 = 200;

fn ours(sequence: u64) -> JournalEntry {
    JournalEntry::new("CREATE (:Person {id: $id})", 1_800_000_000_000 + sequence as i64)
        .with_param("id", sequence as i64)
}

fn read(dir: &Path) -> Vec<Entry> {
    JournalReader::open(dir, ReaderOptions::default()).unwrap().map(|entry| entry.unwrap()).collect()
}

fn open(dir: &Path) -> (Journal, graphstream_journal::RecoveryReport) {
    // What the predecessor's decoder reads.
    let options = JournalOptions::default()
        .with_segment_bytes_max(4 << 10)
        .with_segment_version(SegmentVersion::V1)
        .with_compression(Compression::VERSION_1);
    Journal::builder(dir).options(options).lineage(LINEAGE).open().unwrap()
}

/// The predecessor's entries, then `new` of ours, in one chain from its beginning.
fn check_entries(dir: &Path, journal: &str, new: u64) {
    let (entries, expected) = (read(dir), recorded::expected(journal));
    assert_eq!(entries.len() as u64, expected.len() as u64 + new);
    let mut chain = ChainHash::ZERO;
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry.sequence, place as u64 + 1);
        chain = chain.after(&entry.payload);
        assert_eq!(entry.chain_hash, chain, "sequence {}", entry.sequence);
        match expected.get(place) {
            Some(expected) => {
                recorded::check(expected, entry.sequence, &entry.chain_hash.to_string(), &entry.payload);
            }
            None => {
                assert_eq!(schema_of(&entry.payload).unwrap(), Schema::V1);
                let decoded = JournalEntry::decode(&entry.payload, entry.sequence).unwrap();
                assert_eq!(decoded, ours(entry.sequence));
            }
        }
    }
    assert!(entries.is_sorted_by_key(|entry| entry.commit_ms));
}

/// Every segment is sealed under the lineage, and says to the predecessor's decoder what it says to ours.
fn check_segments(dir: &Path, entries: u64) {
    let segments = JournalDir::open(dir).unwrap().segments().unwrap();
    let mut prev_hash = predecessor::ZERO_HASH;
    let mut sequence = 0;
    for segment in &segments {
        assert!(segment.is_sealed());
        assert_eq!(segment.header.lineage, LINEAGE);
        let decoded = predecessor::decode(&std::fs::read(&segment.path).unwrap()).unwrap();
        assert_eq!(decoded.header.prev_segment_checksum, predecessor::hash_to_u64(&prev_hash));
        for entry in &decoded.entries {
            sequence += 1;
            assert_eq!((entry.sequence, entry.prev_hash), (sequence, prev_hash));
            prev_hash = predecessor::compute_entry_hash(&prev_hash, &entry.payload);
        }
        assert_eq!(decoded.chain_hash, prev_hash);
    }
    assert_eq!(sequence, entries);
}

fn take_over_and_continue((journal, count): (&str, u64)) {
    let copy = tempfile::tempdir().unwrap();
    let dir = copy.path();
    for path in recorded::segments(journal) {
        std::fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    check_entries(dir, journal, 0);

    let (writer, report) = open(dir);
    assert_eq!(report.adopted.unwrap().segments.len(), recorded::segments(journal).len());
    assert_eq!((report.position.lineage, report.position.sequence), (LINEAGE, count));
    check_entries(dir, journal, 0);
    for n in 1..=NEW / 2 {
        let _ = writer.append(ours(count + n).encode().unwrap()).unwrap().wait(Ack::Written).unwrap();
    }
    writer.close().unwrap();
    check_entries(dir, journal, NEW / 2);
    check_segments(dir, count + NEW / 2);

    // Another start, and an unclean stop behind it.
    let (writer, report) = open(dir);
    assert!(report.is_clean(), "taken over once: {report:?}");
    for n in NEW / 2 + 1..=NEW {
        let _ = writer.append(ours(count + n).encode().unwrap()).unwrap().wait(Ack::Synced).unwrap();
    }
    drop(writer);
    check_entries(dir, journal, NEW);
    let (writer, report) = open(dir);
    assert_eq!((report.position.sequence, report.adopted), (count + NEW, None));
    writer.close().unwrap();
    check_entries(dir, journal, NEW);
    check_segments(dir, count + NEW);
}

#[test]
fn the_cleanly_closed_journal_is_taken_over_and_continued() {
    take_over_and_continue(recorded::SEALED);
}

#[test]
fn the_journal_with_an_open_segment_is_taken_over_and_continued() {
    take_over_and_continue(recorded::UNSEALED_TAIL);
}
