//! Files the predecessor wrote are read exactly as its own reader read them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::fs;
use std::path::{Path, PathBuf};

use graphstream_format::{
    ChainHash, Damage, Entry, Error, Lineage, ReadOptions, RecordDefect, SegmentEnd, SegmentKind,
    SegmentReader, v1,
};
use segments::{read, read_with};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphstream-0.3.0")
}

fn segments_of(directory: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(fixtures().join(directory))
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn open_tail() -> Vec<u8> {
    segments_of("unsealed-tail").pop().unwrap().1
}

fn expected(directory: &str) -> Vec<Value> {
    let file = fs::File::open(fixtures().join(format!("{directory}.expected.jsonl.zst"))).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    unreachable!()
}

/// Sequence, query and timestamp of the predecessor's protobuf payload; enough to see that it is the right one.
fn peek(mut payload: &[u8]) -> (u64, String, u64) {
    let (mut sequence, mut query, mut timestamp_ms) = (0, String::new(), 0);
    while !payload.is_empty() {
        let tag = varint(&mut payload);
        let value = varint(&mut payload);
        match tag {
            0x08 => sequence = value,
            0x20 => timestamp_ms = value,
            0x12 | 0x1a => {
                let (bytes, rest) = payload.split_at(value as usize);
                payload = rest;
                if tag == 0x12 {
                    query = String::from_utf8(bytes.to_vec()).unwrap();
                }
            }
            other => panic!("field tag {other:#x}"),
        }
    }
    (sequence, query, timestamp_ms)
}

fn check(directory: &str, kinds: &[SegmentKind]) {
    let mut expected = expected(directory).into_iter();
    let mut chain = ChainHash::ZERO;
    let mut last = 0;
    let files = segments_of(directory);
    assert_eq!(files.len(), kinds.len());
    for ((name, bytes), kind) in files.iter().zip(kinds) {
        let options = ReadOptions::default().with_expected_chain(chain);
        let mut reader = SegmentReader::new(bytes.as_slice(), bytes.len() as u64, options).unwrap();
        assert_eq!(reader.kind(), *kind, "{name}");
        assert!(reader.header().is_legacy() && reader.header().lineage == Lineage::LEGACY);
        assert_eq!(reader.header().first_seq, last + 1);
        let created_ms = reader.header().created_ms;
        for entry in reader.by_ref() {
            let entry = entry.unwrap_or_else(|error| panic!("{name}: {error}"));
            let line = expected.next().unwrap();
            assert_eq!(line["sequence"], entry.sequence);
            assert_eq!(line["chain_hash"], entry.chain_hash.to_string());
            let (sequence, query, timestamp_ms) = peek(&entry.payload);
            assert_eq!(line["sequence"], sequence);
            assert_eq!(line["query"], query);
            assert_eq!(line["timestamp_ms"], timestamp_ms);
            assert_eq!((entry.commit_ms, entry.commit_exact), (created_ms, false));
            chain = entry.chain_hash;
        }
        let end = reader.end().unwrap();
        assert_eq!((end.chain_hash, end.torn), (chain, None));
        assert_eq!(end.body_checksum_verified, *kind == SegmentKind::SealedV1);
        last = end.last_seq;
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn sealed_journal_of_the_predecessor_reads_as_expected() {
    check("sealed", &[SegmentKind::SealedV1; 3]);
}

#[test]
fn open_tail_of_the_predecessor_reads_as_expected() {
    check("unsealed-tail", &[SegmentKind::SealedV1, SegmentKind::LegacyOpen]);
}

#[test]
fn a_follower_refuses_the_predecessors_files() {
    for (_, bytes) in segments_of("unsealed-tail") {
        let options = ReadOptions::default().with_legacy_refused();
        assert!(matches!(read_with(&bytes, options).end, Err(Error::LegacyRefused)));
        let options = ReadOptions::default().with_expected_lineage(segments::start().lineage);
        assert!(matches!(read_with(&bytes, options).end, Err(Error::LineageMismatch { .. })));
    }
}

#[test]
fn an_open_tail_that_does_not_continue_the_chain_is_named() {
    let wrong = ChainHash::ZERO.after(b"another history");
    for (name, bytes) in segments_of("unsealed-tail") {
        let read = read_with(&bytes, ReadOptions::default().with_expected_chain(wrong));
        assert!(read.entries.is_empty());
        assert!(
            matches!(read.end, Err(Error::ChainMismatch { expected, .. }) if expected == wrong),
            "{name}: {:?}",
            read.end
        );
    }
}

/// Where the entries of an open tail start, and where the last one ends.
fn boundaries(bytes: &[u8]) -> Vec<u64> {
    let mut boundaries = vec![128];
    for entry in read(bytes).entries {
        boundaries
            .push(boundaries[boundaries.len() - 1] + (v1::ENTRY_HEADER_LEN + entry.payload.len()) as u64);
    }
    boundaries
}

/// A short open tail: the first five entries.
fn short_tail() -> (Vec<u8>, Vec<Entry>, Vec<u64>) {
    let mut bytes = open_tail();
    let mut boundaries = boundaries(&bytes);
    boundaries.truncate(6);
    bytes.truncate(boundaries[5] as usize);
    let entries = read(&bytes).entries;
    assert_eq!(entries.len(), 5);
    (bytes, entries, boundaries)
}

/// PEERS 10: the predecessor's readers fail on a torn tail. Ours stop there and say so.
#[test]
fn p10_l01_a_torn_open_tail_is_reported_at_every_cut() {
    let (bytes, entries, boundaries) = short_tail();
    for cut in 128..=bytes.len() {
        let read = read(&bytes[..cut]);
        let whole = boundaries.iter().filter(|&&end| end <= cut as u64).count() - 1;
        assert_eq!(read.entries, entries[..whole], "cut at {cut}");
        let end: SegmentEnd = read.end.unwrap();
        let torn = (boundaries[whole] != cut as u64).then_some(boundaries[whole]);
        assert_eq!(end.torn.map(|torn| torn.offset), torn, "cut at {cut}");
    }
}

/// PEERS 6: after a failed write the predecessor went on behind the torn bytes; nothing behind was readable. Whole entries
/// behind damaged bytes are corruption: reported, never cut.
#[test]
fn p06_entries_behind_a_partial_write_are_reported_not_cut() {
    let (bytes, entries, boundaries) = short_tail();
    let (second, third) = (boundaries[1] as usize, boundaries[2] as usize);
    for written in 1..third - second {
        // The second entry was written in part, then again.
        let mut torn = bytes[..second + written].to_vec();
        torn.extend_from_slice(&bytes[second..]);
        let read = read(&torn);
        assert_eq!(read.entries, entries[..1], "{written} bytes written");
        match read.end {
            Err(Error::Damaged { what: Damage::EntriesBehind { later, .. }, offset, sequence }) => {
                assert_eq!(later, (second + written) as u64);
                assert_eq!(offset.get(), second as u64);
                assert_eq!(sequence, Some(entries[1].sequence));
            }
            other => panic!("{written} bytes written: {other:?}"),
        }
    }
}

/// The search behind damage finds an entry wherever it stands relative to the reader's buffers.
#[test]
fn p06_an_entry_far_behind_damage_is_found() {
    let (bytes, entries, boundaries) = short_tail();
    let second = boundaries[1] as usize;
    for garbage in (65_440..65_560).chain([200_000]) {
        let mut torn = bytes[..second].to_vec();
        torn.resize(second + garbage, 0xff);
        torn.extend_from_slice(&bytes[second..]);
        let read = read(&torn);
        assert_eq!(read.entries, entries[..1]);
        assert!(
            matches!(read.end, Err(Error::Damaged { what: Damage::EntriesBehind { later, .. }, .. }) if later == (second + garbage) as u64),
            "{garbage}: {:?}",
            read.end
        );
    }
}

/// PEERS 40: an entry with a valid CRC that does not continue the chain, or has another sequence, was written like that.
#[test]
fn p40_an_open_tail_must_continue_its_own_chain() {
    let (bytes, entries, boundaries) = short_tail();
    let (second, third) = (boundaries[1] as usize, boundaries[2] as usize);
    let without = [&bytes[..second], &bytes[third..]].concat();
    let read_without = read(&without);
    assert_eq!(read_without.entries, entries[..1]);
    assert!(matches!(read_without.end, Err(Error::Damaged { what: Damage::Sequence { .. }, .. })));

    let mut relinked = bytes.clone();
    relinked[second + v1::entry_field::PREV_HASH] ^= 1;
    let crc = crc32c::crc32c(&relinked[second + v1::entry_field::PAYLOAD_LEN..third]);
    relinked[second..second + 4].copy_from_slice(&crc.to_be_bytes());
    let read_relinked = read(&relinked);
    assert_eq!(read_relinked.entries, entries[..1]);
    let Err(Error::Damaged { what: Damage::Chain { expected, .. }, offset, sequence }) = read_relinked.end
    else {
        panic!("{:?}", read_relinked.end);
    };
    assert_eq!((expected, offset.get()), (entries[0].chain_hash, second as u64));
    assert_eq!(sequence, Some(entries[1].sequence));
}

#[test]
fn every_flipped_bit_of_a_legacy_open_tail_gives_a_prefix() {
    let (bytes, entries, boundaries) = short_tail();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let read = read(&flipped);
        let at = (bit / 8) as u64;
        // The creation time has no checksum in the predecessor's header.
        if (84..92).contains(&at) {
            continue;
        }
        if at < 128 {
            assert!(read.end.is_err() && read.entries.is_empty(), "bit {bit} of the header: {:?}", read.end);
            continue;
        }
        let whole = boundaries.iter().filter(|&&end| end <= at).count() - 1;
        assert_eq!(read.entries, entries[..whole], "bit {bit}");
        match (read.end, whole + 1 == entries.len()) {
            (Ok(end), true) => {
                assert_eq!(end.torn.unwrap().offset, boundaries[whole]);
            }
            (Err(Error::Damaged { .. }), false) => {}
            (other, _) => panic!("bit {bit}: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_bit_of_a_legacy_sealed_file_is_detected() {
    let (_, bytes) = segments_of("sealed").pop().unwrap();
    for bit in 0..bytes.len() * 8 {
        if (84..92).contains(&(bit / 8)) {
            continue;
        }
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).end.is_err(), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert!(read(&bytes[..cut]).end.is_err(), "cut at {cut}");
    }
}

/// PEERS 3: the predecessor seals in place; a crash in between leaves a sealed header over an unsealed body.
#[test]
fn p03_a_half_sealed_file_is_damage() {
    let (sealed, open) = (segments_of("unsealed-tail")[0].1.clone(), open_tail());
    for written in [128, 129, 4096, sealed.len() - 1] {
        let mut torn = open.clone();
        torn[..written].copy_from_slice(&sealed[..written]);
        assert!(matches!(read(&torn).end, Err(Error::Damaged { .. })), "{written} bytes written");
    }
}

#[test]
fn a_tail_of_zeros_after_power_loss_is_torn() {
    let (mut bytes, entries, boundaries) = short_tail();
    bytes.extend_from_slice(&[0; 5000]);
    let read = read(&bytes);
    assert_eq!(read.entries, entries);
    let torn = read.end.unwrap().torn.unwrap();
    assert_eq!((torn.offset, torn.why), (boundaries[5], RecordDefect::BodyChecksum));
}
