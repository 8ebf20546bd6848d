//! The same entries through every writer: all readers give back what was written, whatever the payloads.
#![no_main]

use std::io::Cursor;

use graphstream_format::open::{Nonce, OpenHeader, Placement, RECORDS_START, RecordEncoder};
use graphstream_format::{
    ChainHash, Compression, Entry, Lineage, SegmentStart, SegmentVersion, SegmentWriter, WriteOptions,
};
use graphstream_fuzz::read;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Written {
    first_seq: u32,
    created_ms: i32,
    /// Milliseconds after the entry before it, and the payload.
    entries: Vec<(u16, Vec<u8>)>,
    /// After how many entries a record ends.
    group: u8,
    level: u8,
}

fuzz_target!(|written: Written| {
    if written.entries.is_empty() {
        return;
    }
    let start = SegmentStart {
        lineage: Lineage::from_bytes(*b"0123456789abcdef"),
        first_seq: u64::from(written.first_seq) + 1,
        chain_before: ChainHash::ZERO,
        created_ms: i64::from(written.created_ms),
    };
    let expected = expected(&start, &written);

    let open = open(&start, &expected, usize::from(written.group) + 1);
    let (entries, end) = read(&open);
    assert_eq!(entries, expected);
    assert!(end.is_ok_and(|end| end.torn.is_none()));

    for version in [SegmentVersion::V1, SegmentVersion::V2] {
        let level = i32::from(written.level % 5) + 1;
        for compression in [Compression::None, Compression::Zstd { level }, Compression::Columns { level }] {
            let options = WriteOptions::default().with_version(version).with_compression(compression);
            let mut writer = SegmentWriter::new(Cursor::new(Vec::new()), start, &options).expect("a start");
            for entry in &expected {
                writer.push(&entry.payload, entry.commit_ms).expect("an entry");
            }
            let (mut entries, end) = read(&writer.finish().expect("an end").inner.into_inner());
            assert_eq!(
                end.expect("a whole segment").chain_hash,
                expected.last().expect("not empty").chain_hash
            );
            if version == SegmentVersion::V1 {
                // It keeps no commit time per entry.
                for (entry, expected) in entries.iter_mut().zip(&expected) {
                    (entry.commit_ms, entry.commit_exact) = (expected.commit_ms, true);
                }
            }
            assert_eq!(entries, expected);
        }
    }
});

fn expected(start: &SegmentStart, written: &Written) -> Vec<Entry> {
    let mut chain = start.chain_before;
    let mut commit_ms = start.created_ms;
    let mut entries = Vec::new();
    for (index, (delta, payload)) in written.entries.iter().enumerate() {
        chain = chain.after(payload);
        commit_ms += i64::from(*delta);
        entries.push(Entry {
            sequence: start.first_seq + index as u64,
            commit_ms,
            commit_exact: true,
            payload: payload.clone(),
            chain_hash: chain,
        });
    }
    entries
}

fn open(start: &SegmentStart, entries: &[Entry], group: usize) -> Vec<u8> {
    let header = OpenHeader { start: *start, nonce: Nonce::from_bytes([9; 16]) };
    let mut file = header.encode().expect("a start").to_vec();
    let mut encoder = RecordEncoder::new(header.nonce);
    for record in entries.chunks(group) {
        encoder.begin(record[0].sequence);
        for entry in record {
            encoder.push(&entry.payload, entry.commit_ms).expect("an entry");
        }
        let placement = Placement { offset: file.len() as u64, durable_offset: RECORDS_START };
        file.extend_from_slice(encoder.finish(placement).expect("a record"));
    }
    file
}
