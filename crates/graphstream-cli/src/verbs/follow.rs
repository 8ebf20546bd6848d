//! `follow`: the follower's daemon. Fetches, verifies and replays a database into a target.

mod beginning;
mod page;
mod target;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graphstream::format::Position;
use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::DatabaseName;
use graphstream::replay::Guarantee;
use graphstream::replication::{Error as Wrong, Follower, FollowerOptions, FollowerStatus, Stop};
use serde::{Deserialize, Serialize};

use self::page::StatusPage;
pub(crate) use self::target::Target;
use super::skip::SkipArgs;
use crate::engines::{self, ExecArgs};
use crate::failure::{Failure, Kind, warn};
use crate::http::{self, Page};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Progress, count};
use crate::{sizes, stop, times};

/// Flags of `follow`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream follow --from file:///srv/store --database social --target grafeo:./replica.grafeo
  graphstream follow --from file:///srv/store --database social --target jsonl:- --once | jq .query
  graphstream follow --from file:///srv/store --database social --target 'exec:python3 ladybug_target.py replica.lbug'

Targets:
  grafeo:PATH    an embedded graph database: data and position in one transaction (exactly once)
  exec:COMMAND   a child process that applies batches and keeps its position; see docs/exec-target.md
  jsonl:PATH     a file of JSON lines, with its position in the last line (exactly once)
  jsonl:-        standard output (at least once: it starts from the beginning each time)

Nothing is applied before the whole path to the published position is verified. SIGTERM and ctrl-C finish the batch in
hand and exit with 0; after kill -9 the next start goes on where the target is. A target whose next entries are not in the
store any more is replaced from a snapshot (exec: with --path and --engine only).")]
pub(crate) struct Args {
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", env = "GRAPHSTREAM_FROM", value_parser = store::parse_url)]
    from: StoreUrl,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
    /// Where entries are replayed: jsonl:PATH, jsonl:-, exec:COMMAND, grafeo:PATH
    #[arg(long, value_name = "TARGET", env = "GRAPHSTREAM_TARGET", value_parser = Target::parse)]
    target: Target,
    #[command(flatten)]
    exec: ExecArgs,
    /// Apply what is published now and end
    #[arg(long)]
    pub(crate) once: bool,
    /// End when this entry is applied
    #[arg(long, value_name = "N")]
    until_sequence: Option<u64>,
    #[command(flatten)]
    skip: SkipArgs,
    /// Entries per batch, that is, per transaction of the target
    #[arg(long, value_name = "N", default_value = "500")]
    batch: NonZeroUsize,
    /// End when this position is applied: a "position" that append --acks --json printed
    #[arg(long, value_name = "POSITION", value_parser = parse_position, conflicts_with = "until_sequence")]
    until_position: Option<Position>,
    /// The follower's own directory, which followers may share: fetched segments until they are applied, and what was seen published, so that
    /// an older head is refused after a restart, too [default: PATH.follow beside a jsonl: or grafeo: target; for others the
    /// system's temporary directory, where nothing outlives the follower]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// How many bytes of fetched segments may wait there; what has no room is fetched twice
    #[arg(long, value_name = "BYTES", value_parser = sizes::parse, default_value = "256MiB")]
    cache_bytes_max: u64,
    /// How often the head is asked for while it changes
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration, default_value = "1s")]
    poll_interval: Duration,
    /// How often it is asked for when it has not changed for long [default: five times --poll-interval]
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration)]
    poll_interval_max: Option<Duration>,
    /// Serve /status, /metrics and /healthz over HTTP: a port (on 127.0.0.1), or ADDR:PORT
    #[arg(long, visible_alias = "metrics", value_name = "ADDR", env = "GRAPHSTREAM_HTTP", hide_env_values = true, value_parser = http::parse)]
    http: Option<SocketAddr>,
    /// End, as after a signal, when standard input ends: a parent that was killed can't send one
    #[arg(long, hide = true)]
    while_stdin: bool,
    /// Print where the follower stands as JSON lines: when it moves, at most ten times a second, and at the end; errors as
    /// JSON on stderr
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_position(text: &str) -> Result<Position, String> {
    text.parse().map_err(|error: graphstream::format::Error| error.to_string())
}

/// A line of `--json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The last line.
    pub(crate) done: bool,
    pub(crate) applied_sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    pub(crate) committed_sequence: u64,
    lag_entries: u64,
    lag_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
}

impl From<FollowerStatus> for Report {
    fn from(status: FollowerStatus) -> Self {
        Self {
            done: false,
            applied_sequence: status.applied_sequence(),
            lineage: status.applied.map(|position| position.lineage.to_string()),
            chain_hash: status.applied.map(|position| position.chain_hash.to_string()),
            committed_sequence: status.committed_sequence,
            lag_entries: status.lag_entries(),
            lag_bytes: status.lag_bytes,
            lag_seconds: status.lag_time().map(|lag| lag.as_secs_f64()),
        }
    }
}

pub(crate) fn run(args: Args, quiet: bool) -> Result<(), Failure> {
    if args.json && args.target == Target::Stdout {
        return Err(Failure::new(
            Kind::Usage,
            "--json would mix with the lines of jsonl:- on standard output",
        )
        .hint("--target jsonl:PATH, or without --json"));
    }
    let placed = engines::of(&args.target, &args.exec)?;
    let record = args.skip.record(placed.as_ref().map(|(path, _)| path.as_path()))?;
    let metrics = GraphstreamMetrics::shared();
    let runtime = store::runtime()?;
    let opening = store::open_counted(&args.from, args.database.clone(), Access::Read, &metrics);
    let remote = runtime.block_on(async { args.keys.give(opening.await?).await })?;
    let stop = Stop::new();
    let asked = stop.clone();
    stop::listen(move || asked.cancel())?;
    if args.while_stdin {
        let asked = stop.clone();
        std::thread::spawn(move || {
            // An input that can't be read has ended too.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            asked.cancel();
        });
    }
    let page = Arc::new(StatusPage::new(&args.from, &args.database, &args.target));
    if let Some(address) = args.http {
        let (metrics, page) = (metrics.clone(), Arc::clone(&page));
        http::serve(address, move |path| match path {
            "/status" => Some(Page::json(true, &page.now())),
            "/metrics" => Some(Page::metrics(metrics.snapshot().to_prometheus())),
            "/healthz" => Some(Page::healthy()),
            _ => None,
        })?;
    }
    let mut options = FollowerOptions::default()
        .with_batch_entries_max(args.batch.get())
        .with_cache_bytes_max(args.cache_bytes_max)
        .with_poll_interval(args.poll_interval);
    if let Some(slowest) = args.poll_interval_max {
        options = options.with_poll_interval_max(slowest);
    }
    let is_new = placed.as_ref().is_some_and(|(path, _)| path.symlink_metadata().is_err());
    let placed =
        placed.map(|(path, engine)| (path, args.skip.wrap_engine(engine, record.as_deref(), &metrics)));
    if args.once || is_new {
        runtime.block_on(beginning::database_stands(&args, &remote, is_new, &stop))?;
    }
    if let Some(placed) = placed.clone().filter(|_| is_new && !stop.is_cancelled()) {
        runtime.block_on(beginning::bootstrap(&args, &remote, placed, &metrics, &stop))?;
    }
    if stop.is_cancelled() && (args.once || is_new) {
        return report(&args, FollowerStatus::default());
    }
    let target = match &placed {
        Some((path, engine)) => engine.open(path)?,
        None => args.skip.wrap(args.target.open()?, record, &metrics),
    };
    if let Some(cache) = args.cache.clone().or_else(|| cache_beside(placed.as_ref()?.0.as_os_str())) {
        options = options.with_cache_dir(cache);
    }
    if target.guarantee() == Guarantee::AtLeastOnce && args.target != Target::Stdout {
        warn("this target can't keep its position: after a restart entries come again");
    }
    let until = args.until_sequence.or(args.until_position.map(|position| position.sequence));
    let is_placed = placed.is_some();
    let status = runtime.block_on(async {
        let mut follower = Follower::open(remote, target, options, metrics.clone()).await?;
        if let Some((path, engine)) = placed {
            follower = follower.replaceable_at(path, engine);
        }
        let (from, target) = (&args.from, &args.target);
        tracing::info!(%from, database = %args.database, %target, applied = follower.status().applied_sequence(), "following");
        let progress = Progress::new(0, "entries", quiet || args.json || args.target == Target::Stdout);
        page.follow(follower.watch());
        let shown = tokio::spawn(show(follower.watch(), progress, args.json));
        // Told before anything else: what was acknowledged and will never be here.
        let waiter = follower.waiter();
        let awaited = async {
            match args.until_position {
                Some(position) => waiter.wait(position).await,
                None => std::future::pending().await,
            }
        };
        let followed = async {
            if args.once {
                follower.catch_up(until, &stop).await
            } else {
                follower.run(until, &stop).await
            }
        };
        let followed = tokio::select! {
            biased;
            followed = followed => followed,
            // Reached, the follower ends by itself, with everything in order.
            Err(error @ (Wrong::PositionForked { .. } | Wrong::ForeignPosition { .. })) = awaited => Err(error),
        };
        if let (Ok(status), Some(position)) = (&followed, args.until_position)
            && status.applied_sequence() >= position.sequence
        {
            waiter.wait(position).await?;
        }
        shown.abort();
        let _ = shown.await;
        followed.map_err(|error| advised(error, &args.target, is_placed))
    })?;
    args.skip.tell(&metrics);
    if let Some(wanted) = until.filter(|wanted| args.once && *wanted > status.applied_sequence()) {
        warn(format_args!(
            "entry {wanted} is not published yet: the follower is at {}",
            status.applied_sequence()
        ));
    }
    report(&args, status)
}

/// Where a follower keeps what is its own, unless it is told: beside the target's database.
fn cache_beside(target: &std::ffi::OsStr) -> Option<PathBuf> {
    let mut dir = target.to_owned();
    dir.push(".follow");
    let dir = PathBuf::from(dir);
    // Beside /dev/stdout, for example, there is no room: then it is as with other targets.
    std::fs::create_dir_all(&dir).ok().map(|()| dir)
}

/// What ended the follower, and what to do about entries that are not there any more.
fn advised(error: Wrong, target: &Target, is_placed: bool) -> Failure {
    let failure = Failure::from(error);
    if failure.kind() != Kind::Gap {
        return failure;
    }
    failure.hint(match target {
        Target::Exec(_) if !is_placed => {
            "with --path PATH --engine NAME, follow lets a snapshot take the place of the database that the command opens; \
             graphstream restore --target exec:COMMAND --path PATH does it once; graphstream verify --from URL --database NAME shows what is missing"
        }
        Target::Stdout => "graphstream verify --from URL --database NAME shows what is missing; entries before that are not to be had",
        _ => {
            "no snapshot of this kind of database covers what is missing: graphstream snapshot list and graphstream verify, \
             --from URL --database NAME, show what there is; another follower's database may be copied"
        }
    })
}

/// The last line.
fn report(args: &Args, status: FollowerStatus) -> Result<(), Failure> {
    let mut out = Out::new();
    if args.json {
        out.json(&Report { done: true, ..Report::from(status) })?;
    } else if args.target != Target::Stdout {
        out.line(format_args!(
            "applied through sequence {} of {}",
            count(status.applied_sequence()),
            count(status.committed_sequence)
        ))?;
    }
    out.flush()
}

/// Keeps the progress line, or the lines of `--json`, up to date until it is aborted.
async fn show(mut status: tokio::sync::watch::Receiver<FollowerStatus>, progress: Progress, json: bool) {
    let mut shown = None;
    loop {
        let now = *status.borrow_and_update();
        progress.set_total(now.committed_sequence);
        progress.set(now.applied_sequence());
        progress.say(if now.lag_entries() == 0 { "up to date" } else { "applying" });
        let moved = (now.applied_sequence(), now.committed_sequence);
        if json && shown != Some(moved) {
            shown = Some(moved);
            let mut out = Out::new();
            // A reader that has gone misses nothing: the follower's work is in the target.
            let _ = out.json(&Report::from(now)).and_then(|()| out.flush());
        }
        if status.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
