//! What the fuzz targets share: checksums that are put right, so that mutated bytes get past them to the code behind, and reading
//! a segment to its end.
//!
//! ```text
//!  corpus/TARGET ──▶ libFuzzer ──▶ bytes ──▶ checksums put right ──▶ the decoder ──▶ an error, or a value that
//!                       ▲                                                │           says the same again when written
//!                       └──────────────── coverage ──────────────────────┘
//! ```

use graphstream_format::header::{HEADER_LEN, field};
use graphstream_format::open::{RECORD_HEADER_LEN, RECORDS_START, extension_field, record_field};
use graphstream_format::v1::{ENTRY_HEADER_LEN, entry_field};
use graphstream_format::v2::{FOOTER_LEN, FRAME_HEADER_LEN, footer_field, frame_field};
use graphstream_format::{Entry, ReadOptions, Result, SegmentEnd, SegmentKind, SegmentReader, verify_stored};
use sha2::{Digest as _, Sha256};

/// Most bytes a body may decompress to here: bombs are met soon.
pub const BODY_BYTES_MAX: u64 = 1 << 20;

/// All entries of a segment and how it ended.
pub fn read(bytes: &[u8]) -> (Vec<Entry>, Result<SegmentEnd>) {
    read_with(bytes, ReadOptions::default().with_body_bytes_max(BODY_BYTES_MAX))
}

/// As [`read`], in another way. What a reader takes for a whole sealed segment is one for those who look without keys, too.
pub fn read_with(bytes: &[u8], options: ReadOptions) -> (Vec<Entry>, Result<SegmentEnd>) {
    let stored = verify_stored(bytes, bytes.len() as u64);
    let mut reader = match SegmentReader::new(bytes, bytes.len() as u64, options) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut entries = Vec::new();
    for item in reader.by_ref() {
        match item {
            Ok(entry) => entries.push(entry),
            Err(error) => return (entries, Err(error)),
        }
    }
    if reader.kind() != SegmentKind::Open {
        assert_eq!(&stored.expect("as stored"), reader.header());
    }
    let end = reader.end().copied();
    (entries, end.ok_or_else(|| unreachable!("an end without an error says what it is")))
}

/// Puts a header's checksum right.
pub fn fix_header(bytes: &mut [u8]) {
    if bytes.len() >= HEADER_LEN {
        let crc = crc32c::crc32c(&bytes[..field::HEADER_CRC32C]);
        bytes[field::HEADER_CRC32C..HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Puts the body's length and checksum in the header right, for a body behind the extension that `tail` bytes follow.
pub fn fix_body(bytes: &mut [u8], tail: usize) {
    if bytes.len() < HEADER_LEN {
        return;
    }
    let start = HEADER_LEN + u32_at(bytes, field::EXT_LEN) as usize;
    let Some(body) = bytes.len().checked_sub(tail).and_then(|end| bytes.get(start..end)) else { return };
    let (body_len, checksum): (u64, [u8; 32]) = (body.len() as u64, Sha256::digest(body).into());
    bytes[field::BODY_LEN..field::BODY_LEN + 8].copy_from_slice(&body_len.to_be_bytes());
    bytes[field::BODY_CHECKSUM..field::BODY_CHECKSUM + 32].copy_from_slice(&checksum);
}

/// Puts the checksum of each version 1 entry in an uncompressed body right, as far as the lengths make sense.
pub fn fix_v1_entries(body: &mut [u8]) {
    let mut rest = body;
    while rest.len() >= ENTRY_HEADER_LEN {
        let len = u32_at(rest, entry_field::PAYLOAD_LEN) as usize;
        if len > rest.len() - ENTRY_HEADER_LEN {
            return;
        }
        let (entry, behind) = rest.split_at_mut(ENTRY_HEADER_LEN + len);
        let crc = crc32c::crc32c(&entry[entry_field::PAYLOAD_LEN..]);
        entry[entry_field::CRC32C..entry_field::CRC32C + 4].copy_from_slice(&crc.to_be_bytes());
        rest = behind;
    }
}

/// Puts a footer's checksum right.
pub fn fix_footer(bytes: &mut [u8]) {
    let Some(start) = bytes.len().checked_sub(FOOTER_LEN) else { return };
    let footer = &mut bytes[start..];
    let crc = crc32c::crc32c(&footer[..footer_field::CRC32C]);
    footer[footer_field::CRC32C..].copy_from_slice(&crc.to_be_bytes());
}

/// Puts the checksums of version 2 frames, from the front as far as the lengths make sense, and of the footer right.
pub fn fix_v2(bytes: &mut [u8]) {
    if bytes.len() < HEADER_LEN + FOOTER_LEN {
        return;
    }
    fix_footer(bytes);
    let (_, rest) = bytes.split_at_mut(HEADER_LEN);
    let (mut rest, footer) = rest.split_at_mut(rest.len() - FOOTER_LEN);
    let mut frames = u32_at(footer, footer_field::FRAME_COUNT);
    while frames > 0 && rest.len() >= FRAME_HEADER_LEN {
        let len = u32_at(rest, frame_field::STORED_LEN) as usize;
        if len > rest.len() - FRAME_HEADER_LEN {
            return;
        }
        let (frame, behind) = rest.split_at_mut(FRAME_HEADER_LEN + len);
        let crc = crc32c::crc32c(&frame[frame_field::STORED_LEN..]);
        frame[frame_field::CRC32C..frame_field::STORED_LEN].copy_from_slice(&crc.to_be_bytes());
        rest = behind;
        frames -= 1;
    }
}

/// Puts right the extension's checksum of an open segment, and nonce and checksums of each record as far as the lengths make sense.
pub fn fix_open(bytes: &mut [u8]) {
    let records = RECORDS_START as usize;
    if bytes.len() < records {
        return;
    }
    let checksum: [u8; 32] = Sha256::digest(&bytes[HEADER_LEN..records]).into();
    bytes[field::BODY_CHECKSUM..field::BODY_CHECKSUM + 32].copy_from_slice(&checksum);
    let nonce: [u8; 16] = std::array::from_fn(|at| bytes[HEADER_LEN + extension_field::NONCE + at]);
    let mut at = records;
    while bytes.len() - at >= RECORD_HEADER_LEN {
        let record = &mut bytes[at..];
        let length = (u32_at(record, record_field::LENGTH) as usize).next_multiple_of(8);
        if length > record.len() - RECORD_HEADER_LEN {
            return;
        }
        let record = &mut record[..RECORD_HEADER_LEN + length];
        record[..16].copy_from_slice(&nonce);
        let body = crc32c::crc32c(&record[record_field::ENTRIES..]);
        record[record_field::BODY_CRC32C..record_field::LENGTH].copy_from_slice(&body.to_be_bytes());
        let header = crc32c::crc32c(&nonce);
        let header = crc32c::crc32c_append(header, &record[record_field::BODY_CRC32C..record_field::ENTRIES]);
        let header = crc32c::crc32c_append(header, &(at as u64).to_be_bytes());
        record[record_field::HEADER_CRC32C..record_field::BODY_CRC32C].copy_from_slice(&header.to_be_bytes());
        at += RECORD_HEADER_LEN + length;
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|index| bytes[at + index]))
}
