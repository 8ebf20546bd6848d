//! `replicate`: the leader's daemon. Ships the sealed segments of a journal, also beside the process that appends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use graphstream::journal::{Journal, JournalDir};
use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::DatabaseName;
use graphstream::replication::{Stop, Uploader, UploaderOptions};
use serde::Serialize;

use crate::failure::{Failure, warn};
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::{scrape, stop, times};

/// Flags of `replicate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream replicate --journal ./journal --database social --to file:///srv/store
  graphstream replicate --journal ./journal --database social --to file:///srv/store --once --json
  graphstream replicate --journal ./journal --database social --to file:///srv/store --metrics 9464

Works beside the process that appends: it ships sealed segments and changes no file of the writer's. One shipper per
journal. While the store fails it tries again for ever and drops nothing; SIGTERM and ctrl-C ship what is sealed and exit
with 0. Starting it takes the database over from any other leader (which is then fenced, and exits with 7).")]
pub(crate) struct Args {
    /// The journal's directory
    #[arg(long, value_name = "DIR", env = "GRAPHSTREAM_JOURNAL")]
    journal: PathBuf,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", env = "GRAPHSTREAM_TO", value_parser = store::parse_url)]
    to: StoreUrl,
    /// Ship what there is and end; seals the open segment if nobody appends
    #[arg(long)]
    pub(crate) once: bool,
    /// How often new segments are looked for
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration, default_value = "10s")]
    upload_interval: Duration,
    /// Segments uploaded at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    uploads_max: u16,
    /// Lead also in a store that ignores conditions on writes: there nothing keeps a second leader from overwriting this one
    #[arg(long)]
    allow_unconditional_store: bool,
    /// Serve Prometheus metrics: a port (on 127.0.0.1), or ADDR:PORT
    #[arg(long, value_name = "ADDR", value_parser = scrape::parse)]
    metrics: Option<SocketAddr>,
    /// With --once: print what was shipped as JSON; errors as JSON on stderr
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Report {
    segments: usize,
    bytes: u64,
    committed_sequence: u64,
    committed_commit_ms: i64,
    committed_chain_hash: String,
    epoch: Option<u32>,
    /// What happened to the open segment: `sealed`, `none`, or `in_use` by a process that appends.
    open_segment: &'static str,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let dir = JournalDir::open(&args.journal)?;
    if let Some(id) = dir.identity()?.and_then(|identity| identity.encryption_key) {
        // Before anything is sealed in passing.
        return Err(graphstream::replication::Error::EncryptedJournal { path: args.journal, id }.into());
    }
    let metrics = GraphstreamMetrics::shared();
    let runtime = store::runtime()?;
    let opening = store::open_counted(&args.to, args.database.clone(), Access::Write, &metrics);
    let remote = runtime.block_on(opening)?;
    let stop = Stop::new();
    let asked = stop.clone();
    stop::listen(move || asked.cancel())?;
    if let Some(address) = args.metrics {
        scrape::serve(address, metrics.clone())?;
    }
    let options = UploaderOptions::default()
        .with_upload_interval(args.upload_interval)
        .with_uploads_max(args.uploads_max.into())
        .with_allow_unconditional_store(args.allow_unconditional_store);
    runtime.block_on(async {
        if !args.once {
            let mut uploader = Uploader::open(&args.journal, remote, options, metrics).await?;
            let (journal, to) = (args.journal.display(), &args.to);
            tracing::info!(%journal, %to, database = %args.database, interval = ?args.upload_interval, "shipping");
            uploader.run(&stop).await?;
            tracing::info!(committed = uploader.watch().borrow().sequence, "stopped, everything sealed is stored");
            return Ok(());
        }
        let open_segment = seal_leftover(&dir, &args.journal)?;
        let mut uploader = Uploader::open(&args.journal, remote, options, metrics).await?;
        let shipped = tokio::select! {
            shipped = uploader.ship() => shipped?,
            () = stop.cancelled() => {
                warn("stopped by a signal before everything was shipped; the next run goes on");
                return Ok(());
            }
        };
        report(&args, &Report {
            segments: shipped.segments,
            bytes: shipped.bytes,
            committed_sequence: shipped.committed.sequence,
            committed_commit_ms: shipped.committed.commit_ms,
            committed_chain_hash: shipped.committed.chain_hash.to_string(),
            epoch: uploader.epoch(),
            open_segment,
        })
    })
}

/// Nobody else will seal what a writer that has gone left open.
fn seal_leftover(dir: &JournalDir, path: &Path) -> Result<&'static str, Failure> {
    let newest = dir.segment_sequences()?.last().copied();
    let open = match newest {
        Some(newest) => dir.segment(newest)?.is_some_and(|segment| !segment.is_sealed()),
        None => false,
    };
    // A predecessor's journal is taken over by a writer, not in passing.
    if !open || dir.identity()?.is_none() {
        return Ok("none");
    }
    match Journal::builder(path).open() {
        Ok((journal, _)) => {
            journal.close()?;
            Ok("sealed")
        }
        Err(graphstream::journal::Error::Locked { .. }) => {
            warn(
                "a process appends to this journal: its open segment is left alone, only sealed ones are shipped",
            );
            Ok("in_use")
        }
        Err(error) => Err(error.into()),
    }
}

fn report(args: &Args, report: &Report) -> Result<(), Failure> {
    let mut out = Out::new();
    if args.json {
        out.json(report)?;
    } else {
        out.line(format_args!(
            "shipped {} ({}) to {} as {}; stored through sequence {}",
            crate::terminal::counted(report.segments as u64, "segment", "segments"),
            crate::terminal::bytes(report.bytes),
            args.to,
            args.database,
            report.committed_sequence
        ))?;
    }
    out.flush()
}
