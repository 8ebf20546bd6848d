//! The predecessor reads what we write: hadb-changeset 0.3.2 decodes our sealed version 1 segments, with and without
//! compression, and finds the same sequences, chain hashes and payloads. What it ignores (bytes 92..128 of the header) is ours.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Cursor;

use graphstream_format::{ChainHash, Compression, Lineage, ReadOptions, SegmentReader, SegmentStart, v1};
use hadb_changeset::journal;

const CREATED_MS: i64 = 1_795_178_335_965;

fn payloads() -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = (0..300)
        .map(|index| format!("MATCH (a:Person {{id: {index}}}) SET a.seen = {}", index * 7).into_bytes())
        .collect();
    payloads.push(Vec::new());
    payloads.push((0..200_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    payloads.push(vec![0; 70_000]);
    payloads
}

fn ours(
    first_seq: u64,
    chain_before: ChainHash,
    payloads: &[Vec<u8>],
    compression: Compression,
) -> (Vec<u8>, ChainHash) {
    let start = SegmentStart {
        lineage: Lineage::from_bytes([0xa7; 16]),
        first_seq,
        chain_before,
        created_ms: CREATED_MS,
    };
    let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start, compression).unwrap();
    for (index, payload) in payloads.iter().enumerate() {
        writer.push(payload, CREATED_MS + index as i64).unwrap();
    }
    let sealed = writer.finish().unwrap();
    (sealed.inner.into_inner(), sealed.chain_hash)
}

#[test]
fn the_predecessor_decodes_our_version_1_segments() {
    let payloads = payloads();
    for compression in [
        Compression::None,
        Compression::Zstd { level: 1 },
        Compression::default(),
        Compression::Zstd { level: 19 },
    ] {
        let (first, second) = payloads.split_at(120);
        let (file, chain) = ours(1, ChainHash::ZERO, first, compression);
        let (next, last_chain) = ours(121, chain, second, compression);

        let mut prev_hash = journal::ZERO_HASH;
        let mut sequence = 0;
        for (bytes, expected_chain, expected) in [(&file, chain, first), (&next, last_chain, second)] {
            let segment = journal::decode(bytes).unwrap_or_else(|error| panic!("{compression:?}: {error}"));
            assert!(segment.header.is_sealed() && segment.header.has_chain_hash());
            assert_eq!(segment.header.is_compressed(), compression != Compression::None);
            assert_eq!(segment.header.first_seq, sequence + 1);
            assert_eq!(segment.header.entry_count, expected.len() as u64);
            assert_eq!(segment.header.created_ms, CREATED_MS);
            assert_eq!(segment.header.prev_segment_checksum, journal::hash_to_u64(&prev_hash));
            assert_eq!(segment.entries.len(), expected.len());
            for (entry, payload) in segment.entries.iter().zip(expected) {
                sequence += 1;
                assert_eq!(entry.sequence, sequence);
                assert_eq!(entry.prev_hash, prev_hash);
                assert_eq!(&entry.payload, payload);
                prev_hash = journal::compute_entry_hash(&entry.prev_hash, &entry.payload);
            }
            assert_eq!(segment.chain_hash, prev_hash);
            assert_eq!(&segment.chain_hash, expected_chain.as_bytes());
            assert_eq!(segment.header.last_seq, sequence);
        }
    }
}

#[test]
fn we_read_what_the_predecessor_seals() {
    let numbered: Vec<_> =
        payloads().into_iter().enumerate().map(|(index, payload)| (index as u64 + 1, payload)).collect();
    let entries = journal::build_entry_chain(journal::ZERO_HASH, numbered.clone());
    let segment = journal::seal(entries, 0);
    let files = [
        journal::encode(&segment),
        journal::encode_compressed(&segment, 3),
        journal::encode_compressed(&segment, 22),
    ];
    for file in files {
        let mut reader =
            SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default()).unwrap();
        assert!(reader.header().is_legacy());
        let read: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), numbered.len());
        for (entry, (sequence, payload)) in read.iter().zip(&numbered) {
            assert_eq!((entry.sequence, &entry.payload), (*sequence, payload));
            assert_eq!((entry.commit_ms, entry.commit_exact), (segment.header.created_ms, false));
        }
        let end = reader.end().unwrap();
        assert_eq!(end.chain_hash.as_bytes(), &segment.chain_hash);
        assert!(end.body_checksum_verified);
    }
}
