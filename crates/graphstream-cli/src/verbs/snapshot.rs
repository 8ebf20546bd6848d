//! `graphstream snapshot`: copies of a database in the object store.

mod commands;
mod listing;

use std::sync::Arc;
use std::time::Duration;

use graphstream::remote::DatabaseName;
use graphstream::replication::{Snapshot, SnapshotOptions, SnapshotProgress, SnapshotStep, Stop};
use serde::Serialize;

pub(crate) use self::commands::Commands;
use self::listing::ManifestRow;
use crate::engines::{self, ExecArgs};
use crate::failure::{Failure, Kind};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Progress, bytes, count, counted};
use crate::verbs::follow::Target;
use crate::{stop, times};

/// What to do with snapshots.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Copy a database into the store, checked by reading it back
    Create(Create),
    /// Show the snapshots that are there, and what attempts that were given up have left
    List(List),
    /// Show one snapshot with its files
    Show(Show),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream snapshot create --to file:///srv/store --database social --target grafeo:./social.grafeo \\
    --quiesce 'curl -sf -X POST localhost:8080/pause' --resume 'curl -sf -X POST localhost:8080/resume'
  graphstream snapshot create --to file:///srv/store --database social --path ./social.lbug --engine ladybug \\
    --target 'exec:python3 ladybug_target.py \"$GRAPHSTREAM_TARGET_PATH\"'

The database's files are copied while its writers stand still, and --quiesce is what makes them: it must write everything into the
files (a checkpoint) and return. --resume is run whatever happens in between. Then the copy is opened to read its position: that entry must
be committed, with the same chain hash, or there is no snapshot. Without --quiesce nobody else may write meanwhile. The copy takes as
much room below --staging as the database has.")]
struct Create {
    #[command(flatten)]
    place: To,
    /// The database: jsonl:PATH, grafeo:PATH, or exec:COMMAND with --path
    #[arg(long, value_name = "TARGET", env = "GRAPHSTREAM_TARGET", value_parser = Target::parse)]
    target: Target,
    #[command(flatten)]
    exec: ExecArgs,
    /// A command that makes the database's writers stand still with everything in its files
    #[arg(long, value_name = "CMD", requires = "resume")]
    quiesce: Option<String>,
    /// A command that lets them go on
    #[arg(long, value_name = "CMD", requires = "quiesce")]
    resume: Option<String>,
    /// Below which directory the copy is made [default: the system's temporary one]
    #[arg(long, value_name = "DIR")]
    staging: Option<std::path::PathBuf>,
    /// How long entries in the copy that are not committed yet are waited for
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration, default_value = "60s")]
    wait: Duration,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// The snapshot as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct To {
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long = "to", value_name = "URL", env = "GRAPHSTREAM_TO", value_parser = store::parse_url)]
    url: StoreUrl,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
}

#[derive(Debug, clap::Args)]
struct From {
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long = "from", visible_alias = "to", value_name = "URL", value_parser = store::parse_url)]
    url: StoreUrl,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
    #[command(flatten)]
    keys: StoreKeyArgs,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: From,
    /// One JSON object a snapshot
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The sequence that it ends with [default: the newest]
    #[arg(value_name = "SEQUENCE")]
    sequence: Option<u64>,
    #[command(flatten)]
    place: From,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What was made, in `--json`.
#[derive(Serialize)]
struct Created {
    snapshot: String,
    sequence: u64,
    epoch: u32,
    commit_ms: i64,
    existed: bool,
    paused_seconds: f64,
    #[serde(flatten)]
    manifest: ManifestRow,
}

impl Args {
    pub(crate) const fn json(&self) -> bool {
        match &self.verb {
            Verb::Create(args) => args.json,
            Verb::List(args) => args.json,
            Verb::Show(args) => args.json,
        }
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    match &args.verb {
        Verb::Create(args) => create(args, quiet || args.json),
        Verb::List(args) => listing::list(args),
        Verb::Show(args) => listing::show(args),
    }
}

/// A bar for each step.
struct Bars {
    shown: Progress,
}

impl SnapshotProgress for Bars {
    fn begin(&self, step: SnapshotStep) {
        let (what, total) = match step {
            SnapshotStep::Uploading { bytes } => ("uploading", bytes),
            SnapshotStep::ReadingBack { bytes } => ("reading back", bytes),
            _ => ("copying", 0),
        };
        self.shown.say(what);
        self.shown.set_total(total);
        self.shown.set(0);
    }

    fn advance(&self, bytes: u64) {
        self.shown.add(bytes);
    }
}

fn create(args: &Create, quiet: bool) -> Result<(), Failure> {
    let Some((path, engine)) = engines::of(&args.target, &args.exec)? else {
        return Err(Failure::new(Kind::Usage, "this target names no files to copy")
            .hint("--target grafeo:PATH or jsonl:PATH, or exec:COMMAND with --path"));
    };
    let mut options = SnapshotOptions::default().with_commit_wait(args.wait);
    if let Some(staging) = &args.staging {
        options = options.with_staging_dir(staging);
    }
    let (runtime, stop) = (store::runtime()?, Stop::new());
    let asked = stop.clone();
    stop::listen(move || asked.cancel())?;
    let bars = Arc::new(Bars { shown: Progress::new(0, "bytes", quiet) });
    let made = runtime.block_on(stop.run_until_cancelled(async {
        let remote = store::open(&args.place.url, args.place.database.clone(), Access::Write).await?;
        let remote = args.keys.give(remote).await?;
        let progress: Arc<dyn SnapshotProgress> = Arc::clone(&bars) as Arc<_>;
        let mut snapshot = Snapshot::of_path(remote, path, engine).options(options).progress(progress);
        if let (Some(quiesce), Some(resume)) = (args.quiesce.clone(), args.resume.clone()) {
            snapshot = snapshot.quiesce(Commands { quiesce, resume });
        }
        Ok::<_, Failure>(snapshot.create().await?)
    }));
    // Writers that still stand go on before this returns.
    drop(runtime);
    bars.shown.finish();
    let Some(made) = made else {
        return Err(Failure::new(Kind::Io, "stopped before the snapshot was made")
            .hint("the same command again; what was uploaded is not taken for a snapshot"));
    };
    let report = made?;
    let mut out = Out::new();
    if args.json {
        out.json(&Created {
            snapshot: report.name.to_string(),
            sequence: report.name.sequence(),
            epoch: report.name.epoch(),
            commit_ms: report.name.commit_ms(),
            existed: report.existed,
            paused_seconds: report.paused.as_secs_f64(),
            manifest: ManifestRow::of(&report.manifest, false),
        })?;
    } else if report.existed {
        out.line(format_args!(
            "there is a snapshot of sequence {} already: {}",
            count(report.name.sequence()),
            report.name
        ))?;
    } else {
        out.line(format_args!(
            "snapshot of sequence {} stored and read back: {} in {} of {}, writers stood still for {}",
            count(report.name.sequence()),
            bytes(report.manifest.file_bytes()),
            counted(report.manifest.parts.len() as u64, "object", "objects"),
            bytes(report.manifest.stored_bytes()),
            times::span(u64::try_from(report.paused.as_millis()).unwrap_or(u64::MAX))
        ))?;
    }
    out.flush()
}
