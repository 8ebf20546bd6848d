//! The fields of each kind of part, from the offsets that readers and writers use. Each field reaches to the next, the last one to the end.

use super::Encoding::{self, Bytes, Content, Milliseconds, Number, Text};
use super::PartKind;
use crate::encryption::extension_field as encryption;
use crate::header::field as header;
use crate::open::{extension_field as extension, record_field as record};
use crate::v1::entry_field as entry;
use crate::v2::{footer_field as footer, frame_field as frame, index_field as index};

/// A field and where it starts in its part.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) at: usize,
    pub(super) encoding: Encoding,
}

const fn row(name: &'static str, at: usize, encoding: Encoding) -> Row {
    Row { name, at, encoding }
}

pub(super) const fn table(kind: PartKind) -> &'static [Row] {
    match kind {
        PartKind::Header => HEADER,
        PartKind::Extension => EXTENSION,
        PartKind::EncryptionExtension => ENCRYPTION_EXTENSION,
        PartKind::Record => RECORD,
        PartKind::Entry => ENTRY,
        PartKind::Body => BODY,
        PartKind::Frame => FRAME,
        PartKind::Chunk => CHUNK,
        PartKind::IndexRow => INDEX_ROW,
        PartKind::ChainHash => CHAIN_HASH,
        PartKind::Footer => FOOTER,
        PartKind::Zeros => ZEROS,
        PartKind::Unparsed => UNPARSED,
    }
}

/// What stands at the end of a part of varying length.
pub(super) const fn tail(kind: PartKind) -> Option<(&'static str, Encoding)> {
    match kind {
        PartKind::Record => Some(("padding", Content)),
        PartKind::Chunk => Some(("tag", Bytes)),
        _ => None,
    }
}

const HEADER: &[Row] = &[
    row("magic", header::MAGIC, Text),
    row("version", header::VERSION, Number),
    row("flags", header::FLAGS, Number),
    row("compression", header::COMPRESSION, Number),
    row("ext_len", header::EXT_LEN, Number),
    row("first_seq", header::FIRST_SEQ, Number),
    row("last_seq", header::LAST_SEQ, Number),
    row("entry_count", header::ENTRY_COUNT, Number),
    row("body_len", header::BODY_LEN, Number),
    row("body_checksum", header::BODY_CHECKSUM, Bytes),
    row("prev_segment_checksum", header::PREV_SEGMENT_CHECKSUM, Bytes),
    row("created_ms", header::CREATED_MS, Milliseconds),
    row("lineage", header::LINEAGE, Bytes),
    row("first_commit_ms", header::FIRST_COMMIT_MS, Milliseconds),
    row("last_commit_ms", header::LAST_COMMIT_MS, Milliseconds),
    row("header_crc32c", header::HEADER_CRC32C, Bytes),
];

const EXTENSION: &[Row] =
    &[row("nonce", extension::NONCE, Bytes), row("chain_before", extension::CHAIN_BEFORE, Bytes)];

const ENCRYPTION_EXTENSION: &[Row] = &[
    row("key_id", encryption::KEY_ID, Bytes),
    row("salt", encryption::SALT, Bytes),
    row("nonce_prefix", encryption::NONCE_PREFIX, Bytes),
    row("zero", encryption::ZERO, Number),
];

const RECORD: &[Row] = &[
    row("nonce", record::NONCE, Bytes),
    row("header_crc32c", record::HEADER_CRC32C, Bytes),
    row("body_crc32c", record::BODY_CRC32C, Bytes),
    row("length", record::LENGTH, Number),
    row("count", record::COUNT, Number),
    row("first_seq", record::FIRST_SEQ, Number),
    row("first_commit_ms", record::FIRST_COMMIT_MS, Milliseconds),
    row("durable_offset", record::DURABLE_OFFSET, Number),
    row("entries", record::ENTRIES, Content),
];

const ENTRY: &[Row] = &[
    row("crc32c", entry::CRC32C, Bytes),
    row("payload_len", entry::PAYLOAD_LEN, Number),
    row("sequence", entry::SEQUENCE, Number),
    row("prev_hash", entry::PREV_HASH, Bytes),
    row("payload", entry::PAYLOAD, Content),
];

const FRAME: &[Row] = &[
    row("crc32c", frame::CRC32C, Bytes),
    row("stored_len", frame::STORED_LEN, Number),
    row("raw_len", frame::RAW_LEN, Number),
    row("count", frame::COUNT, Number),
    row("first_seq", frame::FIRST_SEQ, Number),
    row("first_commit_ms", frame::FIRST_COMMIT_MS, Milliseconds),
    row("chain_before", frame::CHAIN_BEFORE, Bytes),
    row("entries", frame::ENTRIES, Content),
];

const CHUNK: &[Row] =
    &[row("length", 0, Number), row("ciphertext", crate::encryption::CHUNK_PREFIX_LEN, Content)];

const INDEX_ROW: &[Row] = &[
    row("offset", index::OFFSET, Number),
    row("first_seq", index::FIRST_SEQ, Number),
    row("first_commit_ms", index::FIRST_COMMIT_MS, Milliseconds),
    row("chain_before", index::CHAIN_BEFORE, Bytes),
];

const FOOTER: &[Row] = &[
    row("index_offset", footer::INDEX_OFFSET, Number),
    row("index_len", footer::INDEX_LEN, Number),
    row("frame_count", footer::FRAME_COUNT, Number),
    row("first_seq", footer::FIRST_SEQ, Number),
    row("last_seq", footer::LAST_SEQ, Number),
    row("version", footer::VERSION, Number),
    row("flags", footer::FLAGS, Number),
    row("zeros", footer::ZEROS, Bytes),
    row("crc32c", footer::CRC32C, Bytes),
];
const BODY: &[Row] = &[row("body", 0, Content)];
const CHAIN_HASH: &[Row] = &[row("chain_hash", 0, Bytes)];
const ZEROS: &[Row] = &[row("zeros", 0, Content)];
const UNPARSED: &[Row] = &[row("bytes", 0, Content)];
