//! From an open segment to a sealed one: what was verified while reading is not computed again, and nothing else differs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Cursor;

use graphstream_format::open::{Nonce, OpenHeader, Placement, RECORDS_START, RecordEncoder, Scanner};
use graphstream_format::{
    ChainHash, Compression, Error, Lineage, ReadOptions, SegmentReader, SegmentStart, v1,
};

const START: SegmentStart = SegmentStart {
    lineage: Lineage::from_bytes([7; 16]),
    first_seq: 1,
    chain_before: ChainHash::ZERO,
    created_ms: 1_700_000_000_000,
};

/// Entries from none to a quarter of a MiB, so that some pass what the writer collects and some are collected.
fn payloads() -> Vec<Vec<u8>> {
    [3, 0, 100_000, 40_000, 1, 262_144, 5].into_iter().zip(1..).map(|(len, byte)| vec![byte; len]).collect()
}

fn open_segment() -> Vec<u8> {
    let header = OpenHeader { start: START, nonce: Nonce::from_bytes([9; 16]) };
    let mut file = header.encode().unwrap().to_vec();
    let mut encoder = RecordEncoder::new(header.nonce);
    encoder.begin(1);
    for (payload, commit_ms) in payloads().iter().zip(START.created_ms..) {
        encoder.push(payload, commit_ms).unwrap();
    }
    let placement = Placement { offset: RECORDS_START, durable_offset: RECORDS_START };
    file.extend_from_slice(encoder.finish(placement).unwrap());
    file
}

fn writer(compression: Compression) -> v1::Writer<Cursor<Vec<u8>>> {
    v1::Writer::new(Cursor::new(Vec::new()), START, compression).unwrap()
}

#[test]
fn verified_entries_make_the_same_segment() {
    for compression in [Compression::None, Compression::default()] {
        let (mut verified, mut computed) = (writer(compression), writer(compression));
        let open = open_segment();
        let mut scanner = Scanner::open(open.as_slice()).unwrap();
        while let Some(entry) = scanner.next_entry().unwrap() {
            computed.push(entry.payload, entry.commit_ms).unwrap();
            verified.push_verified(entry).unwrap();
            assert_eq!(verified.chain_hash(), computed.chain_hash());
        }
        let (verified, computed) = (verified.finish().unwrap(), computed.finish().unwrap());
        assert_eq!(verified.chain_hash, computed.chain_hash);
        let bytes = verified.inner.into_inner();
        assert!(bytes == computed.inner.into_inner());
        let reader =
            SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
        assert!(reader.map(|entry| entry.unwrap().payload).eq(payloads()));
    }
}

#[test]
fn a_wrong_chain_hash_is_refused_by_readers() {
    let mut writer = writer(Compression::None);
    let open = open_segment();
    let mut scanner = Scanner::open(open.as_slice()).unwrap();
    let mut entry = scanner.next_entry().unwrap().unwrap();
    entry.chain_hash = ChainHash::from_bytes([1; 32]);
    writer.push_verified(entry).unwrap();
    writer.push(b"next", START.created_ms).unwrap();
    let bytes = writer.finish().unwrap().inner.into_inner();
    let mut reader =
        SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
    let error = reader.verify().unwrap_err();
    assert!(matches!(error, Error::Damaged { sequence: Some(2), .. }), "{error:?}");
}

#[test]
fn known_chain_hashes_are_taken_and_damage_is_found_all_the_same() {
    let (mut open, mut chain) = (open_segment(), ChainHash::ZERO);
    let mut scanner = Scanner::open(open.as_slice()).unwrap();
    let mut known = Vec::new();
    for payload in payloads() {
        chain = chain.after(&payload);
        known.push(chain);
        let entry = scanner.next_entry_known(chain).unwrap().unwrap();
        assert!(entry.chain_hash == chain && entry.payload == payload);
    }
    assert!(scanner.next_entry_known(chain).unwrap().is_none());
    assert_eq!(scanner.point().chain_hash, chain);

    let middle = open.len() / 2;
    open[middle] ^= 1;
    let mut scanner = Scanner::open(open.as_slice()).unwrap();
    assert!(
        scanner.next_entry_known(known[0]).unwrap().is_none(),
        "a record with a flipped bit is not whole"
    );
}
