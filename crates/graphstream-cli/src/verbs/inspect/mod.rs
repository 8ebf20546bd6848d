//! `inspect`: one segment, field by field.

mod body;
mod bytes;
mod fields;
mod frames;
mod hex;
mod print;

use std::path::PathBuf;

use graphstream::format::header::HEADER_LEN;
use graphstream::format::{Header, SegmentKind};
use serde::Serialize;

use self::body::{Body, EntryRow, read_body};
use self::bytes::FileBytes;
use self::fields::Field;
use self::frames::{FrameRow, Walk};
use self::print::print;
use crate::exit::Code;
use crate::failure::Failure;
use crate::keys::KeyArgs;
use crate::out::Out;
use crate::segments::{self, FileReader};

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream inspect journal/journal-0000000000000001.hadbj
  graphstream inspect --entries segment.hadbj
  graphstream inspect --frames segment.hadbj
  graphstream inspect --json segment.hadbj | jq .header
  graphstream inspect --hex segment.hadbj | less

Reads sealed segments, open ones and those of the predecessor. The header is shown even when the body is damaged; --hex shows
any file as far as its parts are recognised. Damage ends with exit code 5. An encrypted segment's entries take its key; without it,
what takes none is shown and verified, and the exit code is 2.")]
pub(crate) struct Args {
    /// The segment
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also every entry: sequence, commit time, length of its payload, chain hash
    #[arg(long)]
    entries: bool,
    /// Also every frame (version 2) or record (open): offset, length, first sequence, entries, bytes
    #[arg(long)]
    frames: bool,
    /// Every part and field with its offset, its bytes in hex, and what they say, in place of the rest
    #[arg(long, conflicts_with_all = ["entries", "frames", "json"])]
    hex: bool,
    #[command(flatten)]
    keys: KeyArgs,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    footer: Vec<Field>,
    body: Body,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frames: Vec<FrameRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryRow>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let file = FileBytes::open(&args.file)?;
    if args.hex {
        return dump(args, &file);
    }
    let header = header(args, &file)?;
    let (mut body, entries, failure) = read_body(args, &header, file.length)?;
    let walk = Walk::new(&file, &header, body.last_sequence, args.frames)?;
    if let Some(records) = &walk.records {
        // Space is reserved ahead: the file's length says nothing.
        body.stored_bytes = records.end_offset.saturating_sub(HEADER_LEN as u64);
    }
    body.records = walk.records;
    body.frames = walk.frames;
    let report = Report {
        file: args.file.display().to_string(),
        file_bytes: file.length,
        kind: kind_word(&header),
        legacy: header.is_legacy(),
        header: walk.header,
        extension: walk.extension,
        footer: walk.footer,
        body,
        frames: walk.rows,
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

/// The header, whatever is behind it.
fn header(args: &Args, file: &FileBytes<'_>) -> Result<Header, Failure> {
    if file.length < HEADER_LEN as u64 {
        return segments::header(&args.file);
    }
    let bytes = file.read(0, HEADER_LEN as u64)?;
    let mut header = [0; HEADER_LEN];
    header.copy_from_slice(&bytes);
    Header::decode(&header).map_err(|error| Failure::in_segment(&args.file, &error))
}

/// `--hex`: the file as it is; then it is verified, so that damage has the exit code that it always has.
fn dump(args: &Args, file: &FileBytes<'_>) -> Result<(), Failure> {
    let header = header(args, file);
    let mut out = Out::new();
    hex::dump(&mut out, file, header.as_ref().ok())?;
    out.flush()?;
    open(args, &header?)?.verify().map_err(|error| Failure::in_segment(&args.file, &error))?;
    Ok(())
}

/// With the keys, if it takes one; damage that shows without a key comes before its absence.
fn open(args: &Args, header: &Header) -> Result<FileReader, Failure> {
    let keys = args.keys.ring()?.filter(|_| header.is_encrypted());
    segments::open(&args.file, segments::options(keys.as_ref())).map_err(|failure| {
        let missing = header.is_encrypted() && failure.code() != Code::Integrity;
        missing.then(|| segments::check_stored(&args.file, &args.file).err()).flatten().unwrap_or(failure)
    })
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
