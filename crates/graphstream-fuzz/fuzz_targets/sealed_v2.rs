//! A sealed version 2 segment: what reads whole from front to back reads the same one by one, and survives version 1 and back.
#![no_main]

use std::io::Cursor;

use graphstream_format::header::HEADER_LEN;
use graphstream_format::v2::{FOOTER_LEN, RandomReader};
use graphstream_format::{
    Entry, ReadOptions, SegmentKind, SegmentReader, SegmentVersion, WriteOptions, convert,
};
use graphstream_fuzz::{BODY_BYTES_MAX, fix_body, fix_header, fix_v2, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: Vec<u8>| {
    let mut bytes = bytes;
    fix_v2(&mut bytes);
    if bytes.len() > HEADER_LEN + FOOTER_LEN {
        fix_body(&mut bytes, FOOTER_LEN);
    }
    fix_header(&mut bytes);
    let (entries, end) = read(&bytes);
    let random = one_by_one(&bytes, entries.len());
    let Ok(end) = end else { return };
    let reader = SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default());
    if reader.expect("read above").kind() != SegmentKind::SealedV2 {
        return;
    }
    assert_eq!(random.expect("a segment that verifies"), entries);
    let old = converted(&bytes, SegmentVersion::V1);
    let new = converted(&old, SegmentVersion::V2);
    let (again, again_end) = read(&new);
    assert_eq!(again_end.expect("what was written").chain_hash, end.chain_hash);
    assert_eq!(again.len(), entries.len());
});

/// The first entries, each by its sequence; `None` where that fails.
fn one_by_one(bytes: &[u8], count: usize) -> Option<Vec<Entry>> {
    let mut segment = RandomReader::open(bytes, bytes.len() as u64).ok()?;
    let _ = segment.first_at_or_after(0);
    let mut entries = Vec::new();
    for sequence in (segment.first_seq()..=segment.last_seq()).take(count) {
        let mut entry = Entry::default();
        segment.entry(sequence).ok()??.copy_to(&mut entry);
        entries.push(entry);
    }
    Some(entries)
}

fn converted(bytes: &[u8], version: SegmentVersion) -> Vec<u8> {
    let options = ReadOptions::default().with_body_bytes_max(BODY_BYTES_MAX);
    let mut reader = SegmentReader::new(bytes, bytes.len() as u64, options).expect("read above");
    let options = WriteOptions::default().with_version(version);
    convert(&mut reader, Cursor::new(Vec::new()), &options, None).expect("read above").inner.into_inner()
}
