//! `inspect`: one segment, field by field.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use graphstream::format::header::{HEADER_LEN, field};
use graphstream::format::open::{ALIGNMENT, EXTENSION_LEN, RECORD_HEADER_LEN, extension_field, record_field};
use graphstream::format::{Entry, Header, ReadOptions, SegmentEnd, SegmentKind};
use graphstream::proto::{Schema, schema_of};
use serde::Serialize;

use crate::failure::Failure;
use crate::out::Out;
use crate::terminal::{Palette, bytes, count};
use crate::{segments, times};

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream inspect journal/journal-0000000000000001.hadbj
  graphstream inspect --entries segment.hadbj
  graphstream inspect --json segment.hadbj | jq .header

Reads sealed segments, open ones and those of the predecessor. The header is shown even when the body is damaged.")]
pub(crate) struct Args {
    /// The segment
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also every entry: sequence, commit time, length of its payload, chain hash
    #[arg(long)]
    entries: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// One field of header or extension, where it stands and what it says.
#[derive(Debug, Serialize)]
struct Field {
    name: &'static str,
    offset: usize,
    length: usize,
    value: FieldValue,
    /// What the value means, where that is not the value itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum FieldValue {
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

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    file_bytes: u64,
    kind: &'static str,
    legacy: bool,
    header: Vec<Field>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Field>,
    body: Body,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryRow>,
}

/// What reading the body gave; with damage, what was whole before it.
#[derive(Debug, Default, Serialize)]
struct Body {
    status: &'static str,
    entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_commit_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_commit_ms: Option<i64>,
    commit_times_exact: bool,
    payload_bytes: u64,
    payload_bytes_largest: u64,
    stored_bytes: u64,
    /// Payloads in our schema, in the predecessor's, and in neither.
    payloads_v1: u64,
    payloads_graphd: u64,
    payloads_other: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Records>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    body_checksum_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The records of an open segment.
#[derive(Debug, Default, Serialize)]
struct Records {
    count: u64,
    entries_largest: u64,
    bytes_largest: u64,
    end_offset: u64,
    durable_offset: u64,
}

#[derive(Debug, Serialize)]
struct EntryRow {
    sequence: u64,
    commit_ms: i64,
    payload_bytes: usize,
    chain_hash: String,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let header = segments::header(&args.file)?;
    let (mut file, file_bytes) = segments::open_file(&args.file)?;
    let extension = match header.kind() {
        SegmentKind::Open => extension_fields(&mut file, &args.file)?,
        _ => Vec::new(),
    };
    let (mut body, entries, failure) = read_body(args, &header, file_bytes)?;
    if header.kind() == SegmentKind::Open {
        let records = walk_records(&mut file, body.last_sequence, file_bytes);
        // Space is reserved ahead: the file's length says nothing.
        body.stored_bytes = records.end_offset.saturating_sub(HEADER_LEN as u64);
        body.records = Some(records);
    }
    let report = Report {
        file: args.file.display().to_string(),
        file_bytes,
        kind: kind_word(&header),
        legacy: header.is_legacy(),
        header: header_fields(&header),
        extension,
        body,
        entries,
    };
    let mut out = Out::new();
    if args.json {
        out.json(&report)?;
    } else {
        print(&mut out, &report)?;
    }
    out.flush()?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// The kind of a segment in one word, as all verbs say it.
pub(crate) fn kind_word(header: &Header) -> &'static str {
    match header.kind() {
        SegmentKind::SealedV1 => "sealed_v1",
        SegmentKind::LegacyOpen => "legacy_open",
        SegmentKind::Open => "open",
        _ => "other",
    }
}

fn header_fields(header: &Header) -> Vec<Field> {
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
        SegmentKind::SealedV1 => "SHA-256 of the body as stored",
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

fn extension_fields(file: &mut File, path: &Path) -> Result<Vec<Field>, Failure> {
    let mut extension = [0; EXTENSION_LEN];
    file.seek(SeekFrom::Start(HEADER_LEN as u64))
        .and_then(|_| file.read_exact(&mut extension))
        .map_err(|error| Failure::opening(path, crate::failure::Kind::Journal, &error))?;
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

fn read_body(
    args: &Args,
    header: &Header,
    file_bytes: u64,
) -> Result<(Body, Vec<EntryRow>, Option<Failure>), Failure> {
    let mut reader = segments::open(&args.file, ReadOptions::default())?;
    let mut body = Body { stored_bytes: file_bytes.saturating_sub(HEADER_LEN as u64), ..Body::default() };
    body.commit_times_exact = header.kind() == SegmentKind::Open;
    let (mut rows, mut entry) = (Vec::new(), Entry::default());
    let failure = loop {
        match reader.read_next(&mut entry) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(Failure::in_segment(&args.file, &error)),
        }
        let length = entry.payload.len() as u64;
        body.entries += 1;
        body.first_sequence.get_or_insert(entry.sequence);
        body.last_sequence = Some(entry.sequence);
        body.first_commit_ms.get_or_insert(entry.commit_ms);
        body.last_commit_ms = Some(entry.commit_ms);
        body.payload_bytes += length;
        body.payload_bytes_largest = body.payload_bytes_largest.max(length);
        body.chain_hash = Some(entry.chain_hash.to_string());
        match schema_of(&entry.payload) {
            Ok(Schema::V1) => body.payloads_v1 += 1,
            Ok(_) => body.payloads_graphd += 1,
            Err(_) => body.payloads_other += 1,
        }
        if args.entries {
            rows.push(EntryRow {
                sequence: entry.sequence,
                commit_ms: entry.commit_ms,
                payload_bytes: entry.payload.len(),
                chain_hash: entry.chain_hash.to_string(),
            });
        }
    };
    match (&failure, reader.end()) {
        (None, Some(SegmentEnd { body_checksum_verified, torn, chain_hash, .. })) => {
            body.status = if torn.is_some() { "torn" } else { "whole" };
            body.body_checksum_verified = *body_checksum_verified;
            body.chain_hash = Some(chain_hash.to_string());
            body.torn_offset = torn.map(|torn| torn.offset);
            body.problem = torn.map(|torn| torn.why.to_string());
        }
        _ => {
            body.status = "damaged";
            body.problem = failure.as_ref().map(Failure::sentence);
        }
    }
    Ok((body, rows, failure))
}

/// Counts the records up to the last whole entry. Their checksums were verified by the reader; here only lengths are followed.
fn walk_records(file: &mut File, last_sequence: Option<u64>, file_bytes: u64) -> Records {
    let mut records = Records { end_offset: (HEADER_LEN + EXTENSION_LEN) as u64, ..Records::default() };
    let Some(last_sequence) = last_sequence else { return records };
    loop {
        let mut fixed = [0; RECORD_HEADER_LEN];
        let read = file.seek(SeekFrom::Start(records.end_offset)).and_then(|_| file.read_exact(&mut fixed));
        if read.is_err() {
            return records;
        }
        let number = |at: usize, length: usize| {
            fixed
                .get(at..at + length)
                .unwrap_or_default()
                .iter()
                .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte))
        };
        let (length, entries) = (number(record_field::LENGTH, 4), number(record_field::COUNT, 4));
        let last = number(record_field::FIRST_SEQ, 8).saturating_add(entries).saturating_sub(1);
        let whole = (RECORD_HEADER_LEN as u64 + length).next_multiple_of(ALIGNMENT as u64);
        if entries == 0 || last > last_sequence || records.end_offset.saturating_add(whole) > file_bytes {
            return records;
        }
        records.count += 1;
        records.entries_largest = records.entries_largest.max(entries);
        records.bytes_largest = records.bytes_largest.max(whole);
        records.durable_offset = number(record_field::DURABLE_OFFSET, 8);
        records.end_offset += whole;
        if last == last_sequence {
            return records;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn print(out: &mut Out, report: &Report) -> Result<(), Failure> {
    let palette = Palette::stdout();
    out.line(format_args!("{} ({}, {})", palette.head(&report.file), report.kind, bytes(report.file_bytes)))?;
    for (title, fields) in [("header", &report.header), ("extension", &report.extension)] {
        if fields.is_empty() {
            continue;
        }
        out.line(format_args!("\n{}", palette.head(format_args!("{:<9} offset  length  value", title))))?;
        for field in fields {
            let meaning = field.meaning.as_ref().map_or(String::new(), |meaning| format!("  ({meaning})"));
            out.line(format_args!(
                "  {:<22}{:>4}{:>6}   {}{}",
                field.name,
                field.offset,
                field.length,
                field.value,
                palette.quiet(meaning)
            ))?;
        }
    }
    let body = &report.body;
    out.line(format_args!("\n{}", palette.head("body")))?;
    let status = match body.status {
        "whole" => palette.good("whole").to_string(),
        "torn" => palette.warning("torn tail").to_string(),
        other => palette.error(other).to_string(),
    };
    out.line(format_args!("  status       {status}"))?;
    if let Some(problem) = &body.problem {
        out.line(format_args!("  problem      {problem}"))?;
    }
    if let Some(offset) = body.torn_offset {
        out.line(format_args!("  torn at      file offset {offset}"))?;
    }
    let range = match (body.first_sequence, body.last_sequence) {
        (Some(first), Some(last)) => format!(", sequences {first}..={last}"),
        _ => String::new(),
    };
    out.line(format_args!("  entries      {}{range}", count(body.entries)))?;
    if let (Some(first), Some(last)) = (body.first_commit_ms, body.last_commit_ms) {
        let exact = if body.commit_times_exact { "" } else { " (one for the segment)" };
        out.line(format_args!(
            "  commit time  {} to {}{exact}",
            times::rfc3339(first),
            times::rfc3339(last)
        ))?;
    }
    let ratio = ratio(body.payload_bytes, body.stored_bytes);
    out.line(format_args!(
        "  payloads     {}, the largest {}; stored in {}{ratio}",
        bytes(body.payload_bytes),
        bytes(body.payload_bytes_largest),
        bytes(body.stored_bytes)
    ))?;
    if body.payloads_graphd + body.payloads_other > 0 {
        out.line(format_args!(
            "  schemas      graphstream.v1 {}, graphd {}, unknown {}",
            body.payloads_v1, body.payloads_graphd, body.payloads_other
        ))?;
    }
    if let Some(records) = &body.records {
        out.line(format_args!(
            "  records      {}, the largest {} with at most {} entries; they end at offset {}, durable to {}",
            count(records.count),
            bytes(records.bytes_largest),
            records.entries_largest,
            records.end_offset,
            records.durable_offset
        ))?;
    }
    if let Some(chain_hash) = &body.chain_hash {
        out.line(format_args!("  chain hash   {chain_hash}"))?;
    }
    for (number, entry) in report.entries.iter().enumerate() {
        if number == 0 {
            out.line(format_args!("\n{}", palette.head("entries")))?;
        }
        out.line(format_args!(
            "  {:>10}  {}  {:>8} bytes  {}",
            entry.sequence,
            times::rfc3339(entry.commit_ms),
            entry.payload_bytes,
            entry.chain_hash
        ))?;
    }
    Ok(())
}

fn ratio(raw: u64, stored: u64) -> String {
    if raw == 0 || stored == 0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let percent = stored as f64 * 100.0 / raw as f64;
    format!(" ({percent:.0} %)")
}
