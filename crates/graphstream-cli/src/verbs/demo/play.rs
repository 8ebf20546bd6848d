//! The course of the demo.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream::journal::JournalOptions;
use graphstream::metrics::GraphstreamMetrics;
use graphstream::replication::{Leader, Stop};
use graphstream::target_grafeo::GrafeoTarget;
use serde::Serialize;
use tokio::sync::watch;

use super::Args;
use super::compare::Comparison;
use super::data::Data;
use super::follower::{FollowerProcess, Reported};
use crate::failure::{Failure, Kind};
use crate::out::Out;
use crate::stop;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Palette, Progress, bytes, count};

/// Nothing here takes long; what does is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where everything is.
struct Stage {
    dir: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

/// How the demo went, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Summary {
    data: String,
    entries: u64,
    segments: u64,
    payload_bytes: u64,
    stored_bytes: u64,
    write_seconds: f64,
    entries_per_second: f64,
    /// From the acknowledgement of the last entry to its application by the follower.
    last_lag_seconds: f64,
    /// The most entries that were acknowledged and not yet applied, the time of the kill included.
    lag_entries_max: u64,
    killed_at_sequence: u64,
    resumed_at_sequence: u64,
    total_seconds: f64,
    #[serde(flatten)]
    comparison: Comparison,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
}

/// What the leader's part gave.
struct Led {
    write_seconds: f64,
    acknowledged: Instant,
}

/// What the follower's part gave.
struct Followed {
    killed_at: u64,
    resumed_at: u64,
    applied: Instant,
    lag_entries_max: u64,
}

/// How far the leader is; both parts look at it.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    sequence: u64,
}

pub(super) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let data = args.input.as_deref().map_or(Ok(Data::Sample), Data::file)?;
    let schema = args.schema.as_deref().map_or(Ok(Data::Schema), Data::file)?;
    let total = data.count()? + schema.count()?;
    if total < 10 {
        return Err(Failure::new(
            Kind::Input,
            format!("{} has too few entries to show anything", data.name()),
        ));
    }
    let stage = Stage::set(args)?;
    let talk = Talk { json: args.json, quiet };
    talk.say(format_args!("work in {}", stage.dir.display()));
    let stop = Stop::new();
    let asked = stop.clone();
    stop::listen(move || asked.cancel())?;
    let metrics = GraphstreamMetrics::shared();
    let (led, followed) = store::runtime()?.block_on(async {
        tokio::select! {
            played = play(args, &stage, &talk, (&schema, &data), total, &metrics) => played,
            () = stop.cancelled() => Err(Failure::new(Kind::Internal, "stopped by a signal before the end")),
        }
    })?;
    talk.say("comparing both graphs");
    let comparison = Comparison::of(&stage.leader_graph(), &stage.follower_graph())?;
    let counted = metrics.snapshot();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let entries_per_second = total as f64 / led.write_seconds.max(1e-9);
    let summary = Summary {
        data: data.name(),
        entries: total,
        segments: counted.leader.segments_uploaded,
        payload_bytes: counted.journal.bytes_appended,
        stored_bytes: counted.leader.bytes_uploaded,
        write_seconds: led.write_seconds,
        entries_per_second,
        last_lag_seconds: followed.applied.saturating_duration_since(led.acknowledged).as_secs_f64(),
        lag_entries_max: followed.lag_entries_max,
        killed_at_sequence: followed.killed_at,
        resumed_at_sequence: followed.resumed_at,
        total_seconds: started.elapsed().as_secs_f64(),
        comparison,
        directory: stage.kept(args.keep),
    };
    let mut out = Out::new();
    if args.json {
        out.json(&summary)?;
    } else {
        summary.print(&mut out)?;
    }
    out.flush()?;
    summary.comparison.verdict()
}

impl Stage {
    fn set(args: &Args) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::new(Kind::Io, "the demo's directory can't be made").because(error)
        };
        let (dir, temporary) = match &args.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| failed(&error).file(dir))?;
                let mut entries = std::fs::read_dir(dir).map_err(|error| failed(&error).file(dir))?;
                if entries.next().is_some() {
                    return Err(Failure::new(Kind::Usage, format!("{} is not empty", dir.display()))
                        .file(dir)
                        .hint("another --dir, or without it in a temporary directory"));
                }
                (dir.canonicalize().map_err(|error| failed(&error).file(dir))?, None)
            }
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("graphstream-demo-")
                    .tempdir()
                    .map_err(|error| failed(&error))?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        for part in ["leader", "follower", "store"] {
            std::fs::create_dir(dir.join(part)).map_err(|error| failed(&error))?;
        }
        Ok(Self { dir, temporary })
    }

    fn journal(&self) -> PathBuf {
        self.dir.join("leader").join("journal")
    }

    fn leader_graph(&self) -> PathBuf {
        self.dir.join("leader").join("graph.grafeo")
    }

    fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    fn follower_graph(&self) -> PathBuf {
        self.dir.join("follower").join("graph.grafeo")
    }

    /// A follower that is killed leaves its cache behind: here it goes with the rest.
    fn follower_cache(&self) -> PathBuf {
        self.dir.join("follower").join("cache")
    }

    fn follower_log(&self) -> PathBuf {
        self.dir.join("follower").join("stderr.txt")
    }

    /// Keeps the directory if it is to be kept; where it is.
    fn kept(mut self, keep: bool) -> Option<String> {
        match self.temporary.take() {
            Some(temporary) if keep => Some(temporary.keep().display().to_string()),
            Some(_) => None,
            None => Some(self.dir.display().to_string()),
        }
    }
}

/// Lines about what happens.
#[derive(Clone, Copy)]
struct Talk {
    json: bool,
    quiet: bool,
}

impl Talk {
    fn say(self, text: impl std::fmt::Display) {
        use std::io::Write;

        if !self.json && !self.quiet {
            let arrow = Palette::stderr().quiet("·");
            let _ = writeln!(std::io::stderr().lock(), "{arrow} {text}");
        }
    }
}

async fn play(
    args: &Args,
    stage: &Stage,
    talk: &Talk,
    (schema, data): (&Data, &Data),
    total: u64,
    metrics: &Arc<GraphstreamMetrics>,
) -> Result<(Led, Followed), Failure> {
    std::fs::create_dir(stage.journal())
        .map_err(|error| Failure::new(Kind::Io, "the journal's directory can't be made").because(&error))?;
    let database = store::parse_database("demo").map_err(|text| Failure::new(Kind::Internal, text))?;
    let remote =
        store::open_counted(&StoreUrl::file(&stage.store()), database, Access::Write, metrics).await?;
    let (leader, _) = Leader::builder(stage.journal(), remote)
        .journal_options(
            JournalOptions::default()
                .with_segment_bytes_max(256 * 1024)
                .with_segment_age_max(Duration::from_millis(200)),
        )
        .metrics(Arc::clone(metrics))
        .database(Box::new(GrafeoTarget::open(stage.leader_graph())?))
        .start()
        .await?;
    talk.say(format_args!(
        "leader: writing {} entries of {} through grafeo, {} to a transaction, each acknowledged when synced",
        count(total),
        data.name(),
        args.batch
    ));
    let (written, progress) =
        (watch::channel(Written::default()), Progress::new(total, "entries", talk.quiet || talk.json));
    let (sender, receiver) = written;
    let (killed, was_killed) = watch::channel(false);
    let leading = lead(args, &leader, (schema, data), total, &sender, was_killed, &progress);
    let following = follow(stage, talk, total, receiver, killed);
    let played = tokio::try_join!(leading, following);
    progress.finish();
    let closed = leader.shutdown(PATIENCE).await;
    let played = played?;
    closed?;
    Ok(played)
}

/// Writes everything. Past the middle it waits for the follower's accident, so that there is something left for it to miss.
async fn lead(
    args: &Args,
    leader: &Leader,
    (schema, data): (&Data, &Data),
    total: u64,
    written: &watch::Sender<Written>,
    mut was_killed: watch::Receiver<bool>,
    progress: &Progress,
) -> Result<Led, Failure> {
    let mut busy = Duration::ZERO;
    let mut done = 0;
    for part in [schema, data] {
        let mut entries = part.entries()?;
        loop {
            let batch = entries.batch(args.batch.get())?;
            if batch.is_empty() {
                break;
            }
            let size = batch.len() as u64;
            let started = Instant::now();
            leader.execute_batch(batch).await?;
            busy += started.elapsed();
            done += size;
            written.send_replace(Written { sequence: done });
            progress.set(done);
            progress.say(format!(
                "leader {}, stored {}",
                count(done),
                count(leader.watch().borrow().sequence)
            ));
            if done * 10 >= total * 6 && !*was_killed.borrow() {
                leader.sync().await?;
                patiently("the follower to be killed", was_killed.wait_for(|killed| *killed))
                    .await?
                    .map_err(|_| Failure::new(Kind::Internal, "the follower's part ended early"))?;
            }
        }
    }
    let acknowledged = Instant::now();
    leader.sync().await?;
    Ok(Led { write_seconds: busy.as_secs_f64(), acknowledged })
}

/// Starts the follower, kills it in the middle, starts it again and waits until it has everything.
async fn follow(
    stage: &Stage,
    talk: &Talk,
    total: u64,
    written: watch::Receiver<Written>,
    killed: watch::Sender<bool>,
) -> Result<Followed, Failure> {
    let (store, graph, cache) = (stage.store(), stage.follower_graph(), stage.follower_cache());
    let start = |until| FollowerProcess::start(&store, &graph, &cache, &stage.follower_log(), until);
    let mut lag = Lag { written, most: 0 };
    let mut first = start(None)?;
    talk.say(format_args!("follower: process {} tails the store", first.id()));
    let quarter = total / 4;
    patiently("the follower to come along", lag.watch(&mut first, |report| report.applied >= quarter))
        .await??;
    let id = first.id();
    let last = first.kill()?;
    talk.say(format_args!("follower: process {id} killed (SIGKILL) at sequence {}", count(last.applied)));
    killed.send_replace(true);
    let mut second = start(Some(total))?;
    let resumed = patiently("the follower to start again", second.reports(|_| true)).await??;
    talk.say(format_args!(
        "follower: process {} resumed at sequence {}",
        second.id(),
        count(resumed.applied)
    ));
    if resumed.applied < last.applied {
        return Err(Failure::new(
            Kind::Mismatch,
            format!("the follower forgot entries: it was at {}, and is at {}", last.applied, resumed.applied),
        ));
    }
    patiently("the follower to catch up", lag.watch(&mut second, |report| report.applied >= total)).await??;
    let applied = Instant::now();
    patiently("the follower to end", second.finish()).await??;
    Ok(Followed { killed_at: last.applied, resumed_at: resumed.applied, applied, lag_entries_max: lag.most })
}

/// Notes the greatest distance between leader and follower.
struct Lag {
    written: watch::Receiver<Written>,
    most: u64,
}

impl Lag {
    async fn watch(
        &mut self,
        follower: &mut FollowerProcess,
        enough: impl Fn(Reported) -> bool,
    ) -> Result<Reported, Failure> {
        let mut seen = follower.watch();
        loop {
            let report = *seen.borrow_and_update();
            if let Some(report) = report {
                self.most = self.most.max(self.written.borrow().sequence.saturating_sub(report.applied));
                if enough(report) {
                    return Ok(report);
                }
            }
            if seen.changed().await.is_err() {
                return follower.reports(&enough).await;
            }
        }
    }
}

async fn patiently<T>(what: &str, waiting: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| {
        Failure::new(Kind::Internal, format!("waited {} s in vain for {what}", PATIENCE.as_secs()))
    })
}

impl Summary {
    fn print(&self, out: &mut Out) -> Result<(), Failure> {
        out.line("")?;
        self.comparison.print(out)?;
        out.line("")?;
        let percent = |part: u64, whole: u64| (part * 100).checked_div(whole).unwrap_or(0);
        let rows = [
            ("entries", format!("{} of {}", count(self.entries), self.data)),
            ("segments", format!("{} in the object store", count(self.segments))),
            (
                "bytes",
                format!(
                    "{} raw, {} stored ({} %)",
                    bytes(self.payload_bytes),
                    bytes(self.stored_bytes),
                    percent(self.stored_bytes, self.payload_bytes)
                ),
            ),
            (
                "written",
                format!("{:.0} entries/s (executed, journaled, synced, committed)", self.entries_per_second),
            ),
            (
                "lag",
                format!(
                    "last entry applied {:.2} s after its acknowledgement; at most {} entries behind",
                    self.last_lag_seconds,
                    count(self.lag_entries_max)
                ),
            ),
            (
                "follower",
                format!(
                    "killed at sequence {}, resumed at {}, nothing twice, nothing missing",
                    count(self.killed_at_sequence),
                    count(self.resumed_at_sequence)
                ),
            ),
            ("time", format!("{:.1} s", self.total_seconds)),
        ];
        let palette = Palette::stdout();
        for (name, value) in rows {
            if name == "follower" && !self.comparison.equal {
                continue;
            }
            out.line(format_args!("{} {value}", palette.head(format_args!("{name:<10}"))))?;
        }
        if let Some(directory) = &self.directory {
            out.line(format_args!("{} {directory}", palette.head(format_args!("{:<10}", "kept in"))))?;
        }
        Ok(())
    }
}
