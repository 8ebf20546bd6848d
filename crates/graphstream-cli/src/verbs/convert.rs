//! `convert`: one segment in another version, with another compression or another key. Entries and chain hashes stay what they are.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::format::limits::ZSTD_LEVELS;
use graphstream::format::v2::SegmentRange;
use graphstream::format::{
    Compression, Error, Header, Lineage, SegmentEnd, SegmentReader, SegmentVersion, Torn, Unwritable,
    WriteOptions, convert, convert_encrypted,
};
use graphstream::journal::{SystemEntropy, encrypt_with};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::failure::{Failure, Kind, warn};
use crate::keys::KeyArgs;
use crate::out::Out;
use crate::segments::{self, FileReader};
use crate::terminal::{bytes, count};

const BUFFER_BYTES: usize = 256 * 1024;

/// Flags of `convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream convert old.hadbj --output new.hadbj --to-version 2
  graphstream convert new.hadbj --output old.hadbj --to-version 1 --compression none
  graphstream convert plain.hadbj --output new.hadbj --to-version 2 --encrypt --encryption-key-file 2026.key
  graphstream convert old.hadbj --output new.hadbj --to-version 2 --encrypt \\
    --encryption-key-file 2026.key --encryption-key-file 2025.key
  graphstream convert encrypted.hadbj --output plain.hadbj --to-version 2 --decrypt --encryption-key-file 2026.key
  graphstream convert legacy.hadbj --output new.hadbj --to-version 2 --lineage 000102030405060708090a0b0c0d0e0f

The input is verified while it is read, the output by reading it back; then it gets its name. An output that exists is never
overwritten. A torn tail is left out, with a warning. Version 1 keeps one commit time for all entries.")]
pub(crate) struct Args {
    /// The segment: sealed, open, or the predecessor's
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the new segment goes; must not exist
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The version to write: 1 (which the predecessor reads too) or 2 (smaller, with an index)
    #[arg(long, value_name = "VERSION", value_parser = version)]
    to_version: SegmentVersion,
    /// none, zstd, or columns (version 2: smaller, then zstd); zstd:LEVEL or columns:LEVEL with a level from 1 to 19
    /// [default: zstd:1 for version 1, columns:3 for version 2]
    #[arg(long, value_name = "COMPRESSION", value_parser = compression)]
    compression: Option<Compression>,
    /// The lineage to write, for a file of the predecessor, which carries none: 32 hex digits
    #[arg(long, value_name = "HEX")]
    lineage: Option<Lineage>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Write it encrypted, with the current key (the first one given), whatever it was before; version 2 only
    #[arg(long, conflicts_with = "decrypt")]
    encrypt: bool,
    /// Write an encrypted segment plain, readable by everybody who can read the output
    #[arg(long)]
    decrypt: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn version(text: &str) -> Result<SegmentVersion, String> {
    match text {
        "1" => Ok(SegmentVersion::V1),
        "2" => Ok(SegmentVersion::V2),
        _ => Err("expected 1 or 2".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    let (word, level) = match text.split_once(':') {
        None => (text, Some(3)),
        Some((word, level)) => (word, level.parse().ok().filter(|level| ZSTD_LEVELS.contains(level))),
    };
    match (word, level) {
        ("none", Some(_)) if word == text => Ok(Compression::None),
        ("zstd", Some(level)) => Ok(Compression::Zstd { level }),
        ("columns", Some(level)) => Ok(Compression::Columns { level }),
        _ => {
            Err("expected none, zstd, columns, zstd:LEVEL or columns:LEVEL with a level from 1 to 19"
                .to_owned())
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    output: String,
    kind: &'static str,
    output_kind: &'static str,
    entries: u64,
    first_sequence: u64,
    last_sequence: u64,
    file_bytes: u64,
    output_bytes: u64,
    lineage: String,
    chain_hash: String,
    /// The key of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn_offset: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let header = segments::header(&args.file)?;
    refuse_existing(args)?;
    let keys = Keys::new(args, &header)?;
    let mut reader = segments::open(&args.file, segments::options(keys.read.as_ref()))?;
    let lineage = lineage(args, &header)?;
    let meta =
        fs::metadata(&args.file).map_err(|error| Failure::opening(&args.file, Kind::Journal, &error))?;
    let directory = match args.output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Beside the output, so that a rename makes it appear whole; as readable as the input.
    let temporary = tempfile::Builder::new()
        .prefix(".convert-")
        .suffix(".tmp")
        .permissions(meta.permissions())
        .tempfile_in(directory)
        .map_err(|error| writing(args, &error))?;

    let compression = args.compression.unwrap_or(match args.to_version {
        SegmentVersion::V1 => Compression::VERSION_1,
        _ => Compression::default(),
    });
    let options = WriteOptions::default().with_version(args.to_version).with_compression(compression);
    write(args, &keys, &mut reader, temporary.as_file(), &options, lineage)?;
    let Some(end) = reader.end().copied() else {
        return Err(Failure::new(Kind::Internal, "the segment was not read to its end"));
    };
    let output_bytes = read_back(args, &keys, &temporary, lineage, &end)?;

    temporary.persist_noclobber(&args.output).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(&args.output),
        _ => writing(args, &error.error),
    })?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| writing(args, &error))?;

    if let Some(Torn { offset, why }) = end.torn {
        warn(format_args!(
            "{} ends in a torn tail at offset {offset} ({why}): what stands behind that is not in the output",
            args.file.display()
        ));
    }
    report(
        args,
        &Report {
            file: args.file.display().to_string(),
            output: args.output.display().to_string(),
            kind: super::inspect::kind_word(&header),
            output_kind: if args.to_version == SegmentVersion::V1 { "sealed_v1" } else { "sealed_v2" },
            entries: end.entries,
            first_sequence: header.first_seq,
            last_sequence: end.last_seq,
            file_bytes: meta.len(),
            output_bytes,
            lineage: lineage.to_string(),
            chain_hash: end.chain_hash.to_string(),
            encryption_key: keys.write.as_ref().map(|keys| keys.current().id().to_string()),
            torn_offset: end.torn.map(|torn| torn.offset),
        },
    )
}

/// Which keys open the input, and which encrypt the output.
struct Keys {
    read: Option<Arc<KeyRing>>,
    write: Option<Arc<KeyRing>>,
}

impl Keys {
    fn new(args: &Args, header: &Header) -> Result<Self, Failure> {
        let refused = |message: String, hint: &'static str| {
            Err(Failure::new(Kind::Usage, message).file(&args.file).hint(hint))
        };
        let file = args.file.display();
        match (header.is_encrypted(), args.encrypt, args.decrypt) {
            // In silence, a segment would lose what protects it.
            (true, false, false) => refused(
                format!("{file} is encrypted, and what the output is to be was not said"),
                "--encrypt keeps it encrypted, with the current key; --decrypt writes it plain",
            ),
            (false, _, true) => {
                refused(format!("{file} is not encrypted"), "the same command without --decrypt")
            }
            (_, true, _) if args.to_version != SegmentVersion::V2 => {
                refused("version 1 cannot be encrypted".to_owned(), "--to-version 2")
            }
            (false, false, false) => Ok(Self { read: None, write: None }),
            (encrypted, encrypt, _) => {
                let keys = args.keys.required(if encrypt { "--encrypt" } else { "--decrypt" })?;
                Ok(Self { read: encrypted.then(|| Arc::clone(&keys)), write: encrypt.then_some(keys) })
            }
        }
    }
}

fn write(
    args: &Args,
    keys: &Keys,
    reader: &mut FileReader,
    file: &File,
    options: &WriteOptions,
    lineage: Lineage,
) -> Result<(), Failure> {
    let inner = BufWriter::with_capacity(BUFFER_BYTES, file);
    let finished = match &keys.write {
        None => convert(reader, inner, options, Some(lineage)),
        Some(write) => {
            // What it holds must be known before the first entry is written, and only reading tells that of an open segment.
            let mut first = segments::open(&args.file, segments::options(keys.read.as_ref()))?;
            let range = SegmentRange::of(&mut first).map_err(|error| failed(args, error))?;
            let with = encrypt_with(write.current(), &SystemEntropy)?;
            convert_encrypted(reader, inner, options, Some(lineage), range, with)
        }
    }
    .map_err(|error| failed(args, error))?;
    finished.inner.into_inner().map_err(|error| writing(args, error.error()))?;
    file.sync_all().map_err(|error| writing(args, &error))
}

/// The output must not exist, not even as a link to nowhere. The input itself is named as such.
fn refuse_existing(args: &Args) -> Result<(), Failure> {
    if fs::symlink_metadata(&args.output).is_err() {
        return Ok(());
    }
    let same = matches!(
        (fs::canonicalize(&args.file), fs::canonicalize(&args.output)),
        (Ok(file), Ok(output)) if file == output
    );
    if same {
        let message = format!("{} is input and output", args.file.display());
        return Err(Failure::new(Kind::Usage, message).file(&args.file).hint("another name for --output"));
    }
    Err(exists(&args.output))
}

fn exists(output: &Path) -> Failure {
    Failure::new(Kind::Usage, format!("{} exists already, and is not overwritten", output.display()))
        .file(output)
        .hint("another name for --output")
}

fn lineage(args: &Args, header: &Header) -> Result<Lineage, Failure> {
    match args.lineage {
        None if header.is_legacy() => {
            let message =
                format!("{} is a file of the predecessor and carries no lineage", args.file.display());
            Err(Failure::new(Kind::Usage, message)
                .file(&args.file)
                .hint("--lineage HEX with the lineage of the journal that it goes to"))
        }
        Some(lineage) if header.is_legacy() && lineage.is_legacy() => {
            Err(Failure::new(Kind::Usage, "a lineage of zeros marks the predecessor's files")
                .hint("the lineage of the journal that the output goes to"))
        }
        Some(lineage) if !header.is_legacy() && lineage != header.lineage => {
            let message = format!("{} has lineage {}, which stays", args.file.display(), header.lineage);
            Err(Failure::new(Kind::Usage, message)
                .file(&args.file)
                .hint("the same command without --lineage, which is for files of the predecessor"))
        }
        Some(lineage) if header.is_legacy() => Ok(lineage),
        _ => Ok(header.lineage),
    }
}

/// Reads what was written as anyone will, and compares it with the input. Returns its length in bytes.
fn read_back(
    args: &Args,
    keys: &Keys,
    temporary: &NamedTempFile,
    lineage: Lineage,
    end: &SegmentEnd,
) -> Result<u64, Failure> {
    let file = temporary.reopen().map_err(|error| writing(args, &error))?;
    let length = file.metadata().map_err(|error| writing(args, &error))?.len();
    let options = segments::options(keys.write.as_ref()).with_expected_lineage(lineage);
    let found = SegmentReader::new(BufReader::with_capacity(BUFFER_BYTES, file), length, options)
        .and_then(|mut reader| reader.verify())
        .map_err(|error| {
            Failure::in_segment(&args.output, &error).while_doing("reading back what was written failed")
        })?;
    if (found.entries, found.last_seq, found.chain_hash) != (end.entries, end.last_seq, end.chain_hash) {
        return Err(Failure::new(Kind::Internal, "what was read back is not what was written"));
    }
    Ok(length)
}

fn writing(args: &Args, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Io, format!("{} can't be written", args.output.display()))
        .because(error)
        .file(&args.output)
}

fn failed(args: &Args, error: Error) -> Failure {
    match error {
        Error::Io { operation: "writing", source, .. } => writing(args, &source),
        Error::Unwritable(Unwritable::Empty) => {
            let message =
                format!("{} holds no whole entry: there is nothing to convert", args.file.display());
            Failure::new(Kind::Usage, message)
                .file(&args.file)
                .hint(format!("graphstream inspect {}", args.file.display()))
        }
        error => Failure::in_segment(&args.file, &error),
    }
}

fn report(args: &Args, report: &Report) -> Result<(), Failure> {
    let mut out = Out::new();
    if args.json {
        out.json(report)?;
    } else {
        out.line(format_args!(
            "{} ({}) -> {} ({})",
            report.file, report.kind, report.output, report.output_kind
        ))?;
        out.line(format_args!(
            "  entries     {}, sequences {}..={}",
            count(report.entries),
            report.first_sequence,
            report.last_sequence
        ))?;
        out.line(format_args!(
            "  size        {} before, {} after",
            bytes(report.file_bytes),
            bytes(report.output_bytes)
        ))?;
        out.line(format_args!("  chain hash  {}, unchanged", report.chain_hash))?;
        if let Some(key) = &report.encryption_key {
            out.line(format_args!("  encrypted   with key {key}"))?;
        }
    }
    out.flush()
}
