//! The fields of a segment's header and of an open segment's extension: where they stand, and what they say.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use graphstream::format::header::{HEADER_LEN, field};
use graphstream::format::open::{EXTENSION_LEN, extension_field};
use graphstream::format::{Header, SegmentKind};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::times;

/// One field of header or extension, where it stands and what it says.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) value: FieldValue,
    /// What the value means, where that is not the value itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meaning: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum FieldValue {
    Number(u64),
    Signed(i64),
    Text(String),
}

impl std::fmt::Display for FieldValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Signed(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

pub(super) fn header_fields(header: &Header) -> Vec<Field> {
    use FieldValue::{Number, Signed, Text};

    let mut flags = Vec::new();
    for (bit, name) in [
        (graphstream::format::header::FLAG_COMPRESSED, "compressed"),
        (graphstream::format::header::FLAG_SEALED, "sealed"),
        (graphstream::format::header::FLAG_CHAIN_TRAILER, "chain trailer"),
    ] {
        if header.flags & bit != 0 {
            flags.push(name);
        }
    }
    let compression = match header.compression {
        graphstream::format::header::COMPRESSION_NONE => "none",
        graphstream::format::header::COMPRESSION_ZSTD => "zstd",
        _ => "unknown",
    };
    let sealed = header.is_sealed();
    let time = |ms: i64| (sealed || ms != 0).then(|| times::rfc3339(ms));
    let legacy_zero = header.is_legacy().then(|| "the predecessor left it zero".to_owned());
    let open_zero = (!sealed).then(|| "known when sealed".to_owned());
    let raw = header.encode();
    let crc = raw
        .get(field::HEADER_CRC32C..)
        .and_then(|tail| tail.try_into().ok())
        .map_or(0, |tail: [u8; 4]| u32::from_be_bytes(tail));
    let row = |name, offset, length, value, meaning| Field { name, offset, length, value, meaning };
    let checksum = match header.kind() {
        SegmentKind::SealedV1 | SegmentKind::SealedV2 => "SHA-256 of the body as stored",
        SegmentKind::Open => "SHA-256 of the extension",
        _ => "known when sealed",
    };
    vec![
        row("magic", field::MAGIC, 5, Text("HADBJ".to_owned()), None),
        row("version", field::VERSION, 1, Number(header.version.into()), None),
        row(
            "flags",
            field::FLAGS,
            1,
            Number(header.flags.into()),
            Some(flags.join(", ")).filter(|f| !f.is_empty()),
        ),
        row(
            "compression",
            field::COMPRESSION,
            1,
            Number(header.compression.into()),
            Some(compression.to_owned()),
        ),
        row("ext_len", field::EXT_LEN, 4, Number(header.ext_len.into()), None),
        row("first_seq", field::FIRST_SEQ, 8, Number(header.first_seq), None),
        row("last_seq", field::LAST_SEQ, 8, Number(header.last_seq), open_zero.clone()),
        row("entry_count", field::ENTRY_COUNT, 8, Number(header.entry_count), open_zero.clone()),
        row("body_len", field::BODY_LEN, 8, Number(header.body_len), open_zero.clone()),
        row(
            "body_checksum",
            field::BODY_CHECKSUM,
            32,
            Text(hex(&header.body_checksum)),
            Some(checksum.to_owned()),
        ),
        row(
            "prev_segment_checksum",
            field::PREV_SEGMENT_CHECKSUM,
            8,
            Text(format!("{:016x}", header.prev_segment_checksum)),
            Some("of the chain hash before first_seq".to_owned()),
        ),
        row(
            "created_ms",
            field::CREATED_MS,
            8,
            Signed(header.created_ms),
            Some(times::rfc3339(header.created_ms)),
        ),
        row("lineage", field::LINEAGE, 16, Text(header.lineage.to_string()), legacy_zero.clone()),
        row(
            "first_commit_ms",
            field::FIRST_COMMIT_MS,
            8,
            Signed(header.first_commit_ms),
            legacy_zero.clone().or_else(|| open_zero.clone()).or_else(|| time(header.first_commit_ms)),
        ),
        row(
            "last_commit_ms",
            field::LAST_COMMIT_MS,
            8,
            Signed(header.last_commit_ms),
            legacy_zero.clone().or(open_zero).or_else(|| time(header.last_commit_ms)),
        ),
        row(
            "header_crc32c",
            field::HEADER_CRC32C,
            4,
            Text(format!("{crc:08x}")),
            legacy_zero.or_else(|| Some("verified".to_owned())),
        ),
    ]
}

pub(super) fn extension_fields(file: &mut File, path: &Path) -> Result<Vec<Field>, Failure> {
    let mut extension = [0; EXTENSION_LEN];
    file.seek(SeekFrom::Start(HEADER_LEN as u64))
        .and_then(|_| file.read_exact(&mut extension))
        .map_err(|error| Failure::opening(path, Kind::Journal, &error))?;
    let part = |at: usize, length: usize| hex(extension.get(at..at + length).unwrap_or_default());
    Ok(vec![
        Field {
            name: "nonce",
            offset: HEADER_LEN + extension_field::NONCE,
            length: 16,
            value: FieldValue::Text(part(extension_field::NONCE, 16)),
            meaning: Some("begins every record".to_owned()),
        },
        Field {
            name: "chain_before",
            offset: HEADER_LEN + extension_field::CHAIN_BEFORE,
            length: 32,
            value: FieldValue::Text(part(extension_field::CHAIN_BEFORE, 32)),
            meaning: Some("chain hash before first_seq".to_owned()),
        },
    ])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
