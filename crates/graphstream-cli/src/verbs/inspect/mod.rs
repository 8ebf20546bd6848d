//! `inspect`: one segment, field by field.

mod body;
mod fields;
mod print;

use std::path::PathBuf;

use graphstream::format::header::HEADER_LEN;
use graphstream::format::{Header, SegmentKind};
use serde::Serialize;

use self::body::{Body, EntryRow, read_body, walk_records};
use self::fields::{Field, extension_fields, header_fields};
use self::print::print;
use crate::failure::Failure;
use crate::out::Out;
use crate::segments;

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
        SegmentKind::SealedV2 => "sealed_v2",
        SegmentKind::LegacyOpen => "legacy_open",
        SegmentKind::Open => "open",
        _ => "other",
    }
}
