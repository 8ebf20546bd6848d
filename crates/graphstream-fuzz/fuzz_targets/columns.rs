//! The columnar form of one frame: what is taken for one fills the frame exactly, and is the same again when it is written.
#![no_main]

use std::io::Cursor;

use graphstream_format::header::{
    COMPRESSION_COLUMNS, FLAG_COLUMNS, FLAG_COMPRESSED, FLAG_SEALED, HEADER_LEN, Header, VERSION_2,
};
use graphstream_format::v2::{FINAL_HASH_LEN, FOOTER_LEN, INDEX_ROW_LEN, Writer};
use graphstream_format::{ChainHash, Compression, Entry, Lineage, SegmentStart};
use graphstream_fuzz::{fix_body, fix_header, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // Number of entries u8 | length of their rows u16 | columnar form.
    let [count, high, low, columnar @ ..] = input else { return };
    let raw_len = u16::from_be_bytes([*high, *low]);
    let (entries, end) = read(&segment(*count, raw_len, columnar));
    assert!(end.is_err(), "the index is zeros");
    if entries.is_empty() {
        return;
    }
    assert_eq!(entries.len(), usize::from(*count));
    let rows: usize =
        entries.iter().zip(once_before(&entries)).map(|(entry, before)| row_len(entry, before)).sum();
    assert_eq!(rows, usize::from(raw_len));

    let mut writer =
        Writer::new(Cursor::new(Vec::new()), start(), Compression::Columns { level: 1 }).expect("a start");
    for entry in &entries {
        writer.push(&entry.payload, entry.commit_ms).expect("an entry");
    }
    let (again, end) = read(&writer.finish().expect("an end").inner.into_inner());
    assert!(end.is_ok());
    assert_eq!(again, entries);
});

fn start() -> SegmentStart {
    SegmentStart {
        lineage: Lineage::from_bytes(*b"0123456789abcdef"),
        first_seq: 1,
        chain_before: ChainHash::ZERO,
        created_ms: 0,
    }
}

/// The commit time before each entry.
fn once_before(entries: &[Entry]) -> impl Iterator<Item = i64> {
    std::iter::once(0).chain(entries.iter().map(|entry| entry.commit_ms))
}

fn row_len(entry: &Entry, commit_ms_before: i64) -> usize {
    let varint_len = |value: u64| (64 - (value | 1).leading_zeros() as usize).div_ceil(7);
    let delta = entry.commit_ms.abs_diff(commit_ms_before);
    varint_len(entry.payload.len() as u64) + varint_len(delta) + entry.payload.len()
}

/// A segment of one frame, whole up to its index.
fn segment(count: u8, raw_len: u16, columnar: &[u8]) -> Vec<u8> {
    let stored = uncompressed(columnar);
    let mut covered = Vec::new();
    for number in [stored.len() as u32, u32::from(raw_len), u32::from(count)] {
        covered.extend_from_slice(&number.to_be_bytes());
    }
    covered.extend_from_slice(&1_u64.to_be_bytes());
    covered.extend_from_slice(&0_i64.to_be_bytes());
    covered.extend_from_slice(ChainHash::ZERO.as_bytes());
    covered.extend_from_slice(&stored);
    let mut file = vec![0; HEADER_LEN];
    file.extend_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
    file.extend_from_slice(&covered);
    file.resize(file.len() + INDEX_ROW_LEN + FINAL_HASH_LEN + FOOTER_LEN, 0);
    let header = Header {
        version: VERSION_2,
        flags: FLAG_SEALED | FLAG_COMPRESSED | FLAG_COLUMNS,
        compression: COMPRESSION_COLUMNS,
        ext_len: 0,
        first_seq: 1,
        last_seq: count.max(1).into(),
        entry_count: count.max(1).into(),
        body_len: 0,
        body_checksum: [0; 32],
        prev_segment_checksum: 0,
        created_ms: 0,
        lineage: start().lineage,
        first_commit_ms: 0,
        last_commit_ms: 0,
    };
    file[..HEADER_LEN].copy_from_slice(&header.encode());
    fix_body(&mut file, FOOTER_LEN);
    fix_header(&mut file);
    file
}

/// A zstd frame (RFC 8878) that says its length and holds raw blocks, as many as it takes.
fn uncompressed(bytes: &[u8]) -> Vec<u8> {
    let mut out = 0xfd2f_b528_u32.to_le_bytes().to_vec();
    // A single segment, whose length takes four bytes.
    out.push(0xa0);
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    let mut blocks = bytes.chunks(100 << 10).peekable();
    while let Some(block) = blocks.next() {
        let last = u32::from(blocks.peek().is_none());
        out.extend_from_slice(&(last | (block.len() as u32) << 3).to_le_bytes()[..3]);
        out.extend_from_slice(block);
    }
    out
}
