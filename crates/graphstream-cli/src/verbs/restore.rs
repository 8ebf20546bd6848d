//! `restore`: a database, or a journal, as it was at any point.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use graphstream::remote::{DatabaseName, LabelName, Remote};
use graphstream::replication::{
    Error, Goal, Restore, RestoreOptions, RestorePlan, RestoreProgress, RestoreReport, RestoreStep,
    RestoredLineage, Stop,
};
use serde::Serialize;

use super::label;
use crate::engines::{self, ExecArgs};
use crate::failure::{Failure, Kind, warn};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Palette, Progress, bytes, count, counted};
use crate::verbs::follow::Target;
use crate::{stop, times};

/// Flags of `restore`.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("destination").required(true).multiple(false).args(["target", "journal"])),
    group(clap::ArgGroup::new("goal").multiple(false).args(["sequence", "timestamp", "label"])),
    after_help = "Examples:
  graphstream restore --from s3://bucket/graphs --database social --target grafeo:./social.grafeo --dry-run
  graphstream restore --from s3://bucket/graphs --database social --target grafeo:./social.grafeo --timestamp 2026-03-31T12:00:00Z
  graphstream restore --from s3://bucket/graphs --database social --journal ./journal --label before-migration

Everything is fetched and verified first, beside what is restored (PATH.restore); what is restored appears under its name when it is
whole. After an error, a signal or kill -9 the same command goes on with what was fetched. A time is inclusive: everything committed at it
or before. Nothing that stands there is overwritten.

In init containers: --if-not-exists ends well where the database is already, --if-archive-exists where there is nothing to restore
from."
)]
pub(crate) struct Args {
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", env = "GRAPHSTREAM_FROM", value_parser = store::parse_url)]
    from: StoreUrl,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
    /// The database to restore: jsonl:PATH, grafeo:PATH, exec:COMMAND (from snapshots with --path); jsonl:- is standard output
    #[arg(long, value_name = "TARGET", env = "GRAPHSTREAM_TARGET", value_parser = Target::parse)]
    target: Option<Target>,
    #[command(flatten)]
    exec: ExecArgs,
    /// The directory of a journal to restore
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Up to and with this entry
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
    /// Up to and with what was committed at this time: RFC 3339, or a span back from now as in 15m
    #[arg(long, value_name = "TIME", value_parser = times::parse_moment)]
    timestamp: Option<i64>,
    /// Up to where this label points
    #[arg(long, value_name = "NAME", value_parser = label::parse_name)]
    label: Option<LabelName>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Move aside what stands where something is restored, to NAME.before-restore-...
    #[arg(long)]
    replace: bool,
    /// Exit with 0 when there is something already where something is restored
    #[arg(long, conflicts_with = "replace")]
    if_not_exists: bool,
    /// Exit with 0 when the store has no such database, or nothing is committed in it
    #[arg(long)]
    if_archive_exists: bool,
    /// Restore the journal of a lost disk, to go on under the same name: by default it starts a lineage of its own
    #[arg(long, conflicts_with = "target")]
    keep_lineage: bool,
    /// Where it works until everything is whole, on the same file system [default: beside what is restored]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Objects fetched and verified at the same time
    #[arg(long, value_name = "N", default_value = "4")]
    fetches_max: NonZeroUsize,
    /// Entries per batch, that is, per transaction of the target
    #[arg(long, value_name = "N", default_value = "500")]
    batch: NonZeroUsize,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// The plan, or what was restored, as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Report {
    /// `planned`, `restored`, `exists`, `no_archive`.
    outcome: &'static str,
    #[serde(flatten)]
    plan: Option<PlanReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<String>,
}

#[derive(Serialize)]
struct PlanReport {
    sequence: u64,
    committed_sequence: u64,
    after_sequence: u64,
    entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    snapshot_bytes: u64,
    segments: usize,
    segment_bytes: u64,
    estimated_seconds: f64,
    time_is_inexact: bool,
    passed: Vec<Passed>,
}

#[derive(Serialize)]
struct Passed {
    snapshot: String,
    reason: String,
}

impl Report {
    const fn bare(outcome: &'static str) -> Self {
        Self { outcome, plan: None, lineage: None, chain_hash: None, resumed: None, set_aside: None }
    }

    fn planned(plan: &RestorePlan) -> Self {
        Self { plan: Some(PlanReport::from(plan)), ..Self::bare("planned") }
    }

    fn restored(report: &RestoreReport) -> Self {
        Self {
            outcome: "restored",
            plan: Some(PlanReport::from(&report.plan)),
            lineage: Some(report.position.lineage.to_string()),
            chain_hash: Some(report.position.chain_hash.to_string()),
            resumed: Some(report.resumed),
            set_aside: report.set_aside.as_ref().map(|path| path.display().to_string()),
        }
    }
}

impl From<&RestorePlan> for PlanReport {
    fn from(plan: &RestorePlan) -> Self {
        let snapshot = plan.snapshot.as_ref().and_then(|snapshot| snapshot.name().ok());
        Self {
            sequence: plan.sequence,
            committed_sequence: plan.head.head.committed().sequence,
            after_sequence: plan.after,
            entries: plan.entries(),
            snapshot: snapshot.map(|name| name.to_string()),
            snapshot_bytes: plan.snapshot_bytes(),
            segments: plan.segments.len(),
            segment_bytes: plan.segment_bytes(),
            estimated_seconds: plan.estimate().as_secs_f64(),
            time_is_inexact: plan.time_is_inexact,
            passed: plan
                .passed
                .iter()
                .map(|it| Passed { snapshot: it.name.to_string(), reason: it.reason.clone() })
                .collect(),
        }
    }
}

/// A bar for each step.
struct Bars {
    fetching: Progress,
    applying: Progress,
    step: std::sync::Mutex<Option<RestoreStep>>,
}

impl RestoreProgress for Bars {
    fn begin(&self, step: RestoreStep) {
        let (bar, what, total) = match step {
            RestoreStep::Fetching { bytes } => (&self.fetching, "fetching and verifying", bytes),
            RestoreStep::Unpacking { bytes } => (&self.fetching, "unpacking the snapshot", bytes),
            RestoreStep::Applying { entries } => {
                self.fetching.finish();
                (&self.applying, "applying", entries)
            }
            _ => (&self.applying, "placing", 0),
        };
        bar.say(what);
        bar.set_total(total);
        bar.set(0);
        *self.step.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(step);
    }

    fn advance(&self, amount: u64) {
        match *self.step.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(RestoreStep::Applying { .. }) => self.applying.add(amount),
            _ => self.fetching.add(amount),
        }
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    let lines = args.target == Some(Target::Stdout);
    if lines && args.json && !args.dry_run {
        return Err(Failure::new(
            Kind::Usage,
            "--json would mix with the lines of jsonl:- on standard output",
        )
        .hint("--target jsonl:PATH, or without --json"));
    }
    let (runtime, stop) = (store::runtime()?, Stop::new());
    let asked = stop.clone();
    stop::listen(move || asked.cancel())?;
    let quiet = quiet || args.json || lines;
    let bars = Arc::new(Bars {
        fetching: Progress::new(0, "bytes", quiet),
        applying: Progress::new(0, "entries", quiet),
        step: std::sync::Mutex::new(None),
    });
    let progress: Arc<dyn RestoreProgress> = Arc::clone(&bars) as Arc<_>;
    let ended = runtime.block_on(stop.run_until_cancelled(restore(args, progress)));
    // A batch in hand is applied, and the target closed.
    drop(runtime);
    bars.fetching.finish();
    bars.applying.finish();
    let Some(ended) = ended else {
        return Err(Failure::new(Kind::Target, "stopped before everything was restored")
            .hint("the same command goes on with what it has"));
    };
    match ended? {
        Ended::Planned(plan) => show_plan(args, &plan),
        Ended::Restored(report) => show_report(args, &report, lines),
        Ended::Nothing(outcome, why) => {
            let mut out = Out::new();
            if args.json {
                out.json(&Report::bare(outcome))?;
            } else if !lines {
                out.line(format_args!("nothing restored: {why}"))?;
            }
            out.flush()
        }
    }
}

enum Ended {
    Planned(Box<RestorePlan>),
    Restored(Box<RestoreReport>),
    Nothing(&'static str, String),
}

async fn restore(args: &Args, progress: Arc<dyn RestoreProgress>) -> Result<Ended, Failure> {
    let remote = match store::open(&args.from, args.database.clone(), Access::Read).await {
        Ok(remote) => remote,
        // A directory, or a bucket, that is not there yet holds no archive.
        Err(failure) if args.if_archive_exists && failure.kind() == Kind::NoDatabase => {
            return Ok(Ended::Nothing("no_archive", failure.sentence()));
        }
        Err(failure) => return Err(failure),
    };
    let mut restore = builder(args, args.keys.give(remote).await?)?.progress(progress);
    if restore.stands() && args.if_not_exists {
        return Ok(Ended::Nothing("exists", "there is something already".to_owned()));
    }
    let ended = if args.dry_run {
        restore.plan().await.map(|plan| Ended::Planned(Box::new(plan)))
    } else {
        restore.run().await.map(|report| Ended::Restored(Box::new(report)))
    };
    match ended {
        Err(error @ (Error::NoDatabase { .. } | Error::NothingCommitted { .. }))
            if args.if_archive_exists =>
        {
            Ok(Ended::Nothing("no_archive", error.to_string()))
        }
        ended => Ok(ended?),
    }
}

fn builder(args: &Args, remote: Remote) -> Result<Restore, Failure> {
    let goal = match (args.sequence, args.timestamp, &args.label) {
        (Some(sequence), ..) => Goal::Sequence(sequence),
        (None, Some(ms), _) => Goal::Time(ms),
        (None, None, Some(label)) => Goal::Label(label.clone()),
        (None, None, None) => Goal::Latest,
    };
    let mut options = RestoreOptions::default()
        .with_fetches_max(args.fetches_max.get())
        .with_batch_entries_max(args.batch.get())
        .with_replace(args.replace);
    if let Some(work) = &args.work {
        options = options.with_work_dir(work);
    }
    let restore = match (&args.target, &args.journal) {
        (_, Some(dir)) => {
            let lineage = if args.keep_lineage { RestoredLineage::Kept } else { RestoredLineage::New };
            Restore::into_journal(remote, dir, lineage)
        }
        (Some(target), None) => match engines::of(target, &args.exec)? {
            Some((path, engine)) => Restore::into_database(remote, path, engine),
            // It is started when there is something to replay.
            None if args.dry_run => Restore::into_target(
                remote,
                Box::new(graphstream::replay::JsonlTarget::stream("nothing", std::io::sink())),
            ),
            None => Restore::into_target(remote, target.open()?),
        },
        (None, None) => return Err(Failure::new(Kind::Usage, "--target or --journal says what is restored")),
    };
    Ok(restore.goal(goal).options(options))
}

fn inexact(plan: &RestorePlan) {
    if plan.time_is_inexact {
        warn(
            "the time falls into a segment of version 1, which has one time for all its entries: all of them are restored",
        );
    }
}

fn show_plan(args: &Args, plan: &RestorePlan) -> Result<(), Failure> {
    inexact(plan);
    let mut out = Out::new();
    if args.json {
        out.json(&Report::planned(plan))?;
        return out.flush();
    }
    let palette = Palette::stdout();
    out.line(palette.head(format_args!(
        "restore to sequence {} of {} committed (nothing is done)",
        count(plan.sequence),
        count(plan.head.head.committed().sequence)
    )))?;
    for passed in &plan.passed {
        out.line(format_args!("  {}     {}: {}", palette.warning("passed"), passed.name, passed.reason))?;
    }
    match &plan.snapshot {
        Some(snapshot) => out.line(format_args!(
            "  snapshot   sequence {}, {} in {}",
            count(snapshot.sequence),
            bytes(plan.snapshot_bytes()),
            counted(snapshot.parts.len() as u64, "object", "objects")
        ))?,
        None if plan.after > 0 => {
            out.line(format_args!("  begins     behind sequence {}", count(plan.after)))?
        }
        None => out.line("  snapshot   none: from the first entry")?,
    }
    out.line(format_args!(
        "  segments   {}, {}, for {}",
        counted(plan.segments.len() as u64, "segment", "segments"),
        bytes(plan.segment_bytes()),
        counted(plan.entries(), "entry", "entries")
    ))?;
    let ms = u64::try_from(plan.estimate().as_millis()).unwrap_or(u64::MAX);
    out.line(format_args!(
        "  estimate   {} at 100 MB/s from the store and 20,000 entries/s into a database",
        times::span(ms)
    ))?;
    out.flush()
}

fn show_report(args: &Args, report: &RestoreReport, lines: bool) -> Result<(), Failure> {
    inexact(&report.plan);
    let mut out = Out::new();
    if args.json {
        out.json(&Report::restored(report))?;
    } else if !lines {
        let from = match &report.plan.snapshot {
            Some(snapshot) => format!("a snapshot of sequence {} and ", count(snapshot.sequence)),
            None => String::new(),
        };
        out.line(format_args!(
            "restored to sequence {} from {from}{}",
            count(report.position.sequence),
            counted(report.plan.segments.len() as u64, "segment", "segments")
        ))?;
        if let Some(path) = &report.set_aside {
            out.line(format_args!("what was there before is {} now", path.display()))?;
        }
    }
    out.flush()
}
