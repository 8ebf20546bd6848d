//! `import`: a database of the predecessor, verified and written again in this layout.

use graphstream::remote::DatabaseName;
use graphstream::replication::predecessor::{
    CheckedObject, Import, ImportOptions, ImportTimes, ObjectState, Predecessor,
};
use serde::Serialize;

use crate::failure::{Failure, warn};
use crate::out::Out;
use crate::sizes;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Progress, bytes, count, counted};

/// Flags of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream import --from s3://old-bucket/prefix --database social --to s3://bucket/graphs --dry-run
  graphstream import --from s3://old-bucket/prefix --database social --to s3://bucket/graphs
  graphstream import --from file:///srv/old --legacy prod-Social --database social --to file:///srv/store

The predecessor's segments are in DIRECTORY/0000/ below the URL. Everything is verified before anything is written: each
byte, the chain over all segments, what several segments hold alike, the sequences in the payloads. The new database has
the same entries and chain hashes, a lineage of its own, and epoch 1 (one more for each time the import was begun again).
Killed at any point, the same command goes on where it was. Nothing is written over another database, and nothing is
changed in the predecessor's.")]
pub(crate) struct Args {
    /// The object store with the predecessor's database
    #[arg(long, value_name = "URL", value_parser = store::parse_url)]
    from: StoreUrl,
    /// The directory below that URL that holds 0000/ [default: the database's name]
    #[arg(long, value_name = "DIRECTORY")]
    legacy: Option<String>,
    /// The name of the new database
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
    /// The object store for the new database
    #[arg(long, value_name = "URL", value_parser = store::parse_url)]
    to: StoreUrl,
    /// Where commit times come from: the time that the segment was created, or the time that the entry says
    #[arg(long, value_name = "SOURCE", default_value = "segment")]
    commit_time: CommitTime,
    /// A segment ends once its payloads have so many bytes
    #[arg(long, value_name = "BYTES", default_value = "4MiB", value_parser = sizes::parse)]
    segment_bytes_max: u64,
    /// Write also to a store that does not keep conditions on writes
    #[arg(long)]
    allow_unconditional_store: bool,
    /// Verify, and say what would be written
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where commit times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CommitTime {
    /// When the predecessor created the segment.
    Segment,
    /// What the application said of the entry.
    Entry,
}

/// What was imported, or would be.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    dry_run: bool,
    source_segments: u64,
    source_duplicates: u64,
    source_bytes: u64,
    entries: u64,
    last_sequence: u64,
    chain_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn_offset: Option<u64>,
    continued_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    let report = store::runtime()?.block_on(import(args, quiet))?;
    let mut out = Out::new();
    if args.json {
        out.json(&report)?;
    } else {
        let what = format!(
            "{}, sequences 1 to {}, from {} ({})",
            counted(report.entries, "entry", "entries"),
            count(report.last_sequence),
            counted(report.source_segments, "segment", "segments"),
            bytes(report.source_bytes),
        );
        match (report.segments, report.bytes) {
            (Some(segments), Some(written)) => out.line(format_args!(
                "imported {what} as {}: {} ({}) written{}",
                report.database,
                counted(segments, "segment", "segments"),
                bytes(written),
                match report.continued_after {
                    0 => String::new(),
                    after => format!(", after {} that were there", counted(after, "entry", "entries")),
                }
            ))?,
            _ => out.line(format_args!("would import {what} as {}", report.database))?,
        }
    }
    out.flush()
}

async fn import(args: &Args, quiet: bool) -> Result<Report, Failure> {
    let source = store::open_to_read(&args.from).await?;
    let name = args.legacy.clone().unwrap_or_else(|| args.database.to_string());
    let source = Predecessor::new(source, "", &name);
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let remote = store::open(&args.to, args.database.clone(), access).await?;
    let progress = Progress::endless(quiet || args.json);
    progress.say("verified entries");
    let mut torn_offset = None;
    let import = Import::prepare(source, remote, |object| {
        progress.add(object.entries);
        tell(object);
        if let ObjectState::Torn(offset) = object.state {
            torn_offset = Some(offset);
        }
    })
    .await;
    progress.finish();
    let import = import?;
    let totals = import.totals();
    let mut report = Report {
        database: args.database.to_string(),
        dry_run: args.dry_run,
        source_segments: totals.segments,
        source_duplicates: totals.duplicates,
        source_bytes: totals.bytes,
        entries: totals.entries,
        last_sequence: totals.last,
        chain_hash: totals.chain_hash.to_string(),
        torn_offset,
        continued_after: import.continues_after(),
        segments: None,
        bytes: None,
        database_id: None,
        lineage: None,
    };
    if args.dry_run {
        return Ok(report);
    }
    let options = ImportOptions::default()
        .with_times(match args.commit_time {
            CommitTime::Segment => ImportTimes::Segment,
            CommitTime::Entry => ImportTimes::Entry,
        })
        .with_segment_bytes_max(args.segment_bytes_max)
        .with_allow_unconditional_store(args.allow_unconditional_store);
    let progress = Progress::new(totals.last, "entries", quiet || args.json);
    progress.say("importing");
    progress.set(import.continues_after());
    let imported = import.run(options, |committed| progress.set(committed)).await;
    progress.finish();
    let imported = imported?;
    report.continued_after = imported.continued_after;
    report.segments = Some(imported.segments);
    report.bytes = Some(imported.bytes);
    report.database_id = Some(imported.identity.database_id.to_string());
    report.lineage = Some(imported.identity.lineage.to_string());
    Ok(report)
}

/// What the operator should know, although it hinders nothing.
fn tell(object: &CheckedObject) {
    let Some(key) = &object.key else { return };
    match &object.state {
        ObjectState::Torn(offset) => warn(format_args!(
            "{key} ends in a torn tail at offset {offset}, after sequence {}: what lies behind is not imported",
            object.last
        )),
        ObjectState::Duplicate => warn(format_args!(
            "{key} holds nothing that others don't hold, and the same: sequences {} to {}",
            object.first, object.last
        )),
        ObjectState::Whole if object.misnamed => {
            warn(format_args!("{key} begins with sequence {}, whatever its name says", object.first));
        }
        _ => {}
    }
}
