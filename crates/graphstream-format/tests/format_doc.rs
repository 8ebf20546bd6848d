//! `docs/format.md` is normative: its tables must say what the code does.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use graphstream_format::encryption;
use graphstream_format::header::{self, field};
use graphstream_format::open::{self, extension_field, record_field};
use graphstream_format::v2::{self, footer_field, frame_field, index_field};
use graphstream_format::{limits, v1, v1::entry_field};

type Rows = Vec<Vec<String>>;

/// Every table of the page by the third cell of its head, which names what it lists.
fn tables() -> BTreeMap<String, Rows> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut tables = BTreeMap::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with('|') {
            continue;
        }
        let head = cells(line);
        let mut rows = Rows::new();
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            if !row.starts_with("|---") {
                rows.push(cells(row));
            }
        }
        assert!(tables.insert(head.join(" "), rows).is_none(), "two tables with head {head:?}");
    }
    tables
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Offsets as given, fields without holes or overlaps up to `end` (`None`: the last field has no fixed length).
fn check(tables: &BTreeMap<String, Rows>, head: &str, expected: &[(&str, usize)], end: Option<usize>) {
    let rows = &tables[head];
    let names: Vec<_> = rows.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{head}");
    let mut next = 0;
    for (row, (name, offset)) in rows.iter().zip(expected) {
        let found: usize = row[0].parse().unwrap();
        assert_eq!(found, *offset, "{head}: {name}");
        assert_eq!(found, next, "{head}: a hole or an overlap before {name}");
        next = row[1].parse().map_or(found, |length: usize| found + length);
    }
    assert_eq!(end.unwrap_or(expected[expected.len() - 1].1), next, "{head}");
}

#[test]
fn the_page_and_the_constants_agree_on_every_offset() {
    let tables = tables();
    check(
        &tables,
        "offset length field meaning",
        &[
            ("magic", field::MAGIC),
            ("version", field::VERSION),
            ("flags", field::FLAGS),
            ("compression", field::COMPRESSION),
            ("ext_len", field::EXT_LEN),
            ("first_seq", field::FIRST_SEQ),
            ("last_seq", field::LAST_SEQ),
            ("entry_count", field::ENTRY_COUNT),
            ("body_len", field::BODY_LEN),
            ("body_checksum", field::BODY_CHECKSUM),
            ("prev_segment_checksum", field::PREV_SEGMENT_CHECKSUM),
            ("created_ms", field::CREATED_MS),
            ("lineage", field::LINEAGE),
            ("first_commit_ms", field::FIRST_COMMIT_MS),
            ("last_commit_ms", field::LAST_COMMIT_MS),
            ("header_crc32c", field::HEADER_CRC32C),
        ],
        Some(header::HEADER_LEN),
    );
    check(
        &tables,
        "offset length entry field meaning",
        &[
            ("crc32c", entry_field::CRC32C),
            ("payload_len", entry_field::PAYLOAD_LEN),
            ("sequence", entry_field::SEQUENCE),
            ("prev_hash", entry_field::PREV_HASH),
            ("payload", entry_field::PAYLOAD),
        ],
        None,
    );
    assert_eq!(v1::ENTRY_HEADER_LEN, entry_field::PAYLOAD);
    check(
        &tables,
        "offset length frame field meaning",
        &[
            ("crc32c", frame_field::CRC32C),
            ("stored_len", frame_field::STORED_LEN),
            ("raw_len", frame_field::RAW_LEN),
            ("count", frame_field::COUNT),
            ("first_seq", frame_field::FIRST_SEQ),
            ("first_commit_ms", frame_field::FIRST_COMMIT_MS),
            ("chain_before", frame_field::CHAIN_BEFORE),
            ("entries", frame_field::ENTRIES),
        ],
        None,
    );
    assert_eq!(v2::FRAME_HEADER_LEN, frame_field::ENTRIES);
    check(
        &tables,
        "offset length index field meaning",
        &[
            ("offset", index_field::OFFSET),
            ("first_seq", index_field::FIRST_SEQ),
            ("first_commit_ms", index_field::FIRST_COMMIT_MS),
            ("chain_before", index_field::CHAIN_BEFORE),
        ],
        Some(v2::INDEX_ROW_LEN),
    );
    check(
        &tables,
        "offset length footer field meaning",
        &[
            ("index_offset", footer_field::INDEX_OFFSET),
            ("index_len", footer_field::INDEX_LEN),
            ("frame_count", footer_field::FRAME_COUNT),
            ("first_seq", footer_field::FIRST_SEQ),
            ("last_seq", footer_field::LAST_SEQ),
            ("version", footer_field::VERSION),
            ("flags", footer_field::FLAGS),
            ("zeros", footer_field::ZEROS),
            ("crc32c", footer_field::CRC32C),
        ],
        Some(v2::FOOTER_LEN),
    );
    check(
        &tables,
        "offset length extension field meaning",
        &[("nonce", extension_field::NONCE), ("chain_before", extension_field::CHAIN_BEFORE)],
        Some(open::EXTENSION_LEN),
    );
    check(
        &tables,
        "offset length record field meaning",
        &[
            ("nonce", record_field::NONCE),
            ("header_crc32c", record_field::HEADER_CRC32C),
            ("body_crc32c", record_field::BODY_CRC32C),
            ("length", record_field::LENGTH),
            ("count", record_field::COUNT),
            ("first_seq", record_field::FIRST_SEQ),
            ("first_commit_ms", record_field::FIRST_COMMIT_MS),
            ("durable_offset", record_field::DURABLE_OFFSET),
            ("entries", record_field::ENTRIES),
        ],
        None,
    );
    assert_eq!(open::RECORD_HEADER_LEN, record_field::ENTRIES);
    assert_eq!(open::RECORDS_START as usize, header::HEADER_LEN + open::EXTENSION_LEN);
    assert_eq!(open::RECORDS_START as usize % open::ALIGNMENT, 0);
}

#[test]
fn the_page_and_the_constants_agree_on_encryption() {
    let tables = tables();
    check(
        &tables,
        "offset length encryption field meaning",
        &[
            ("key_id", encryption::extension_field::KEY_ID),
            ("salt", encryption::extension_field::SALT),
            ("nonce_prefix", encryption::extension_field::NONCE_PREFIX),
            ("zero", encryption::extension_field::ZERO),
        ],
        Some(encryption::EXTENSION_LEN),
    );
    let chunk = &tables["offset length chunk field meaning"];
    assert_eq!(chunk[1][0].parse(), Ok(encryption::CHUNK_PREFIX_LEN));
    assert_eq!(chunk[2][1].parse(), Ok(encryption::TAG_LEN));
    let infos: Vec<_> = tables["info salt length used for"]
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[2].parse::<usize>().unwrap()))
        .collect();
    let expected = [
        (encryption::info::ID, encryption::KEY_ID_LEN),
        (encryption::info::SEGMENT, encryption::DATA_KEY_LEN),
        (encryption::info::SNAPSHOT, encryption::DATA_KEY_LEN),
        (encryption::info::CHAIN, 64),
        (encryption::info::DOCUMENT, 64),
        (encryption::info::WRAP, encryption::DATA_KEY_LEN),
    ];
    assert_eq!(infos, expected.map(|(info, length)| (info.to_owned(), length)));
}

#[test]
fn the_page_and_the_constants_agree_on_columns() {
    use v2::columns::{coding, op};
    let tables = tables();
    let codes = |head: &str| -> Vec<(u8, String)> {
        tables[head].iter().map(|row| (row[0].parse().unwrap(), row[2].clone())).collect()
    };
    let expected = [
        (op::END, "END"),
        (op::LITERAL, "LITERAL"),
        (op::TIME, "TIME"),
        (op::VARINT, "VARINT"),
        (op::FIXED, "FIXED"),
        (op::BYTES, "BYTES"),
        (op::OPEN, "OPEN"),
        (op::CLOSE, "CLOSE"),
        (op::WHOLE, "WHOLE"),
    ];
    let named = |(code, name): (u8, &str)| (code, name.to_owned());
    assert_eq!(codes("code columns operation what it appends"), expected.map(named));
    let expected = [(coding::PLAIN, "PLAIN"), (coding::DELTA, "DELTA"), (coding::TIME, "TIME")];
    assert_eq!(codes("code relative to coding for"), expected.map(named));
}

#[test]
fn the_page_and_the_constants_agree_on_flags_and_limits() {
    let tables = tables();
    let flags: Vec<_> =
        tables["bit flag meaning"].iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected = [
        (header::FLAG_COMPRESSED, "compressed"),
        (header::FLAG_SEALED, "sealed"),
        (header::FLAG_CHAIN_TRAILER, "chain_trailer"),
        (header::FLAG_ENCRYPTED, "encrypted"),
        (header::FLAG_COLUMNS, "columns"),
    ];
    assert_eq!(flags, expected.map(|(bit, name)| (format!("{bit:#04x}"), name.to_owned())));

    let found: Vec<(String, u64)> =
        tables["limit value of"].iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect();
    let expected = [
        ("payload_bytes_max", limits::PAYLOAD_BYTES_MAX as u64),
        ("batch_bytes_max", limits::BATCH_BYTES_MAX as u64),
        ("entry_overhead_bytes_max", limits::ENTRY_OVERHEAD_BYTES_MAX as u64),
        ("body_bytes_max", limits::BODY_BYTES_MAX),
        ("frame_raw_bytes_max", limits::FRAME_RAW_BYTES_MAX as u64),
        ("frames_max", limits::FRAMES_MAX.into()),
        ("frame_shapes_max", limits::FRAME_SHAPES_MAX as u64),
        ("frame_operations_max", limits::FRAME_OPERATIONS_MAX as u64),
        ("zstd_window_log_max", limits::ZSTD_WINDOW_LOG_MAX.into()),
        ("zstd_window_log_legacy_max", limits::ZSTD_WINDOW_LOG_LEGACY_MAX.into()),
        ("legacy_search_entries_max", limits::LEGACY_SEARCH_ENTRIES_MAX),
    ];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
}
