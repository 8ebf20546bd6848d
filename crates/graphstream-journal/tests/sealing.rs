//! Sealing takes the chain hashes that appending has computed, as far as they are kept. What it writes is what every reader accepts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use graphstream_format::SegmentKind;
use graphstream_journal::{
    Ack, ChainHash, Error, Journal, JournalDir, JournalOptions, JournalReader, ReaderOptions, SegmentVersion,
    Service,
};

/// Small enough that the hashes of few entries are kept.
const SEGMENT: u64 = 4 << 10;

fn open(dir: &Path) -> Journal {
    let options = JournalOptions::default()
        .with_segment_bytes_max(SEGMENT)
        .with_waiting_segments_max(1)
        .with_service(Service::Inline);
    Journal::builder(dir).options(options).open().unwrap().0
}

fn read_all(dir: &Path) -> Vec<Vec<u8>> {
    JournalReader::open(dir, ReaderOptions::default()).unwrap().map(|entry| entry.unwrap().payload).collect()
}

#[test]
fn entries_beyond_those_whose_hashes_are_kept_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let expected: Vec<Vec<u8>> = (0..2_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    for part in expected.chunks(7) {
        journal.append_batch(part).unwrap().wait(Ack::Written).unwrap();
    }
    let sealed = journal.close().unwrap().newest_sealed.unwrap();
    assert_eq!(sealed.last_sequence, 2_000);
    assert!(sealed.entries() > SEGMENT / 4 / 32, "fewer entries than hashes are kept prove nothing");
    assert_eq!(read_all(dir.path()), expected);
}

#[test]
fn a_segment_that_goes_on_after_a_backlog_is_sealed_whole() {
    let dir = tempfile::tempdir().unwrap();
    // Sealing the first segment fails: a directory stands in its way.
    let obstacle = dir.path().join("journal-0000000000000001.hadbj.tmp");
    let journal = open(dir.path());
    let mut expected = Vec::new();
    let mut append = |payload: Vec<u8>| {
        let result = journal.append(&payload).unwrap().wait(Ack::Written);
        expected.extend(result.is_ok().then_some(payload));
        result
    };
    append(vec![1; 3000]).unwrap();
    std::fs::create_dir(&obstacle).unwrap();
    append(vec![2; 3000]).unwrap();
    let refused = append(vec![3; 3000]).unwrap_err();
    assert!(matches!(refused, Error::SealBacklog { .. }), "{refused:?}");
    // What still fits goes into the segment that could not be handed over.
    append(vec![4; 30]).unwrap();
    append(vec![5; 20]).unwrap();
    std::fs::remove_dir(&obstacle).unwrap();
    append(vec![6; 3000]).unwrap();
    journal.close().unwrap();
    assert_eq!(read_all(dir.path()), expected);
    assert_eq!(expected.len(), 5);
}

/// A journal may change its version at any start: nothing is sealed again, and the chain runs on.
#[test]
fn segments_of_both_versions_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let versions = [SegmentVersion::V1, SegmentVersion::V2, SegmentVersion::V2, SegmentVersion::V1];
    for (round, version) in (0..).zip(versions) {
        let options = JournalOptions::default().with_service(Service::Inline).with_segment_version(version);
        let (journal, report) = Journal::builder(dir.path()).options(options).open().unwrap();
        assert_eq!(report.position.sequence, 3 * round);
        journal.append_batch(&[b"a", b"b", b"c"]).unwrap().wait(Ack::Synced).unwrap();
        journal.close().unwrap();
    }
    let segments = JournalDir::open(dir.path()).unwrap().segments().unwrap();
    let kinds: Vec<_> = segments.iter().map(|segment| segment.header.kind()).collect();
    let (v1, v2) = (SegmentKind::SealedV1, SegmentKind::SealedV2);
    assert_eq!(kinds, [v1, v2, v2, v1]);
    let entries: Vec<_> = JournalReader::open(dir.path(), ReaderOptions::default())
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    assert!(entries.iter().map(|entry| entry.sequence).eq(1..=12));
    let mut chain = ChainHash::ZERO;
    for entry in &entries {
        chain = chain.after(&entry.payload);
        assert_eq!(entry.chain_hash, chain);
        assert_eq!(entry.commit_exact, (4..=9).contains(&entry.sequence));
    }
}
