//! The fields of a part: where they stand, what they say, and what that means.

use graphstream::format::Header;
use graphstream::format::header::{
    COMPRESSION_COLUMNS, COMPRESSION_NONE, COMPRESSION_ZSTD, FLAG_CHAIN_TRAILER, FLAG_COLUMNS,
    FLAG_COMPRESSED, FLAG_ENCRYPTED, FLAG_SEALED, VERSION_OPEN,
};
use graphstream::format::layout::{self, Encoding, Part, PartKind};
use serde::Serialize;

use super::bytes::FileBytes;
use crate::failure::Failure;
use crate::times;

/// One field, where it stands in the file and what it says.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) value: FieldValue,
    /// What the value means, where that is not the value itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meaning: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum FieldValue {
    Number(u64),
    Signed(i64),
    Text(String),
}

impl FieldValue {
    /// What these bytes say; `None` for those that are content.
    pub(super) fn read(encoding: Encoding, bytes: &[u8]) -> Option<Self> {
        let number = || bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        match encoding {
            Encoding::Number => Some(Self::Number(number())),
            Encoding::Milliseconds => Some(Self::Signed(number().cast_signed())),
            Encoding::Text => Some(Self::Text(String::from_utf8_lossy(bytes).into_owned())),
            Encoding::Bytes => Some(Self::Text(hex(bytes))),
            _ => None,
        }
    }
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

/// The fields of a part, without its content.
pub(super) fn of_part(part: &Part, file: &FileBytes, header: Option<&Header>) -> Result<Vec<Field>, Failure> {
    let mut fields = Vec::new();
    for layout::Field { name, encoding, offset, length, .. } in part.fields() {
        if encoding == Encoding::Content {
            continue;
        }
        let bytes = file.read(offset, length)?;
        if let Some(value) = FieldValue::read(encoding, &bytes) {
            let meaning = meaning(part.kind, name, &value, header);
            fields.push(Field { name, offset, length, value, meaning });
        }
    }
    Ok(fields)
}

/// The unsigned number in the field of this name; 0 if there is none.
pub(super) fn number(fields: &[Field], name: &str) -> u64 {
    let found = fields.iter().find(|field| field.name == name).map(|field| &field.value);
    match found {
        Some(FieldValue::Number(number)) => *number,
        _ => 0,
    }
}

/// The time in the field of this name, in milliseconds.
pub(super) fn milliseconds(fields: &[Field], name: &str) -> i64 {
    let found = fields.iter().find(|field| field.name == name).map(|field| &field.value);
    match found {
        Some(FieldValue::Signed(milliseconds)) => *milliseconds,
        _ => 0,
    }
}

/// `header` is `None` where the segment's header is damaged.
pub(super) fn meaning(
    part: PartKind,
    name: &str,
    value: &FieldValue,
    header: Option<&Header>,
) -> Option<String> {
    let text = |text: &str| Some(text.to_owned());
    match (part, name, value) {
        (PartKind::Header, ..) => meaning_in_header(name, value, header),
        (PartKind::Footer, "flags", FieldValue::Number(bits)) => flags(*bits),
        (PartKind::Extension, "nonce", _) => text("begins every record"),
        (PartKind::Extension, "chain_before", _) => text("chain hash before first_seq"),
        (PartKind::EncryptionExtension, "key_id", _) => text("the data key"),
        (PartKind::Record, "durable_offset", _) => text("so far the file was on disk"),
        (PartKind::IndexRow, "offset", _) => text("of the frame"),
        (_, "chain_before", _) => text("chain hash before its first entry"),
        (PartKind::Entry, "prev_hash", _) => text("chain hash before the entry"),
        (PartKind::ChainHash, ..) => text("of the last entry"),
        (_, _, FieldValue::Signed(ms)) => Some(times::rfc3339(*ms)),
        _ => None,
    }
}

fn meaning_in_header(name: &str, value: &FieldValue, header: Option<&Header>) -> Option<String> {
    let sealed = header.is_none_or(Header::is_sealed);
    let legacy = header.is_some_and(Header::is_legacy);
    let text = |text: &str| Some(text.to_owned());
    let is_late =
        matches!(name, "last_seq" | "entry_count" | "body_len" | "first_commit_ms" | "last_commit_ms");
    match (name, value) {
        ("lineage" | "first_commit_ms" | "last_commit_ms" | "header_crc32c", _) if legacy => {
            text("the predecessor left it zero")
        }
        _ if is_late && !sealed => text("known when sealed"),
        ("flags", FieldValue::Number(bits)) => flags(*bits),
        ("compression", FieldValue::Number(number)) => text(match u8::try_from(*number) {
            Ok(COMPRESSION_NONE) => "none",
            Ok(COMPRESSION_ZSTD) => "zstd",
            Ok(COMPRESSION_COLUMNS) => "columns, zstd",
            _ => "unknown",
        }),
        ("body_checksum", _) => text(match header {
            Some(header) if header.version == VERSION_OPEN => "SHA-256 of the extension",
            Some(_) if !sealed => "known when sealed",
            _ => "SHA-256 of the body as stored",
        }),
        ("prev_segment_checksum", _) => text("of the chain hash before first_seq"),
        ("header_crc32c", _) => text(if header.is_some() { "verified" } else { "not verified" }),
        (_, FieldValue::Signed(ms)) => Some(times::rfc3339(*ms)),
        _ => None,
    }
}

fn flags(bits: u64) -> Option<String> {
    let names = [
        (FLAG_COMPRESSED, "compressed"),
        (FLAG_SEALED, "sealed"),
        (FLAG_CHAIN_TRAILER, "chain trailer"),
        (FLAG_ENCRYPTED, "encrypted"),
        (FLAG_COLUMNS, "columns"),
    ];
    let set: Vec<_> =
        names.iter().filter(|(bit, _)| bits & u64::from(*bit) != 0).map(|(_, name)| *name).collect();
    (!set.is_empty()).then(|| set.join(", "))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
