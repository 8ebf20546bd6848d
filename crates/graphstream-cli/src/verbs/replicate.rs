//! `replicate`: the leader's daemon. Ships the sealed segments of journals, also beside the processes that append.

use std::path::PathBuf;
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::journal::{Journal, JournalDir};
use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::DatabaseName;
use graphstream::replication::{Stop, Uploader};
use serde::Serialize;
use tracing::Level;

use crate::cli::Global;
use crate::config::{CONFIG_VARIABLE, DatabaseSettings, OnlyDatabase, Overrides, Settings};
use crate::daemon::{self, Daemon};
use crate::failure::{Failure, Kind, warn};
use crate::out::Out;
use crate::store::{self, StoreUrl, Stores};
use crate::{logs, stop};

/// Flags of `replicate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream replicate --journal ./journal --database social --to file:///srv/store
  graphstream replicate --journal ./journal --database social --to file:///srv/store --once --json
  graphstream replicate --journal ./journal --database social --to file:///srv/store --http 9464
  graphstream replicate --config /etc/graphstream.toml

Works beside the process that appends: it ships sealed segments, and removes those that are published, old enough
(--cache-age-max, --cache-bytes-max) and held back by no cursor; it changes none. One shipper per
journal. While the store fails it tries again for ever and drops nothing; SIGTERM and ctrl-C ship what is sealed and exit
with 0. Starting it takes the database over from any other leader (which is then fenced, and exits with 7). With a file of
several databases, each of them is on its own: one that is fenced or fails does not stop the others.")]
pub(crate) struct Args {
    /// Ship the databases that a file names; graphstream config check FILE looks whether it can work
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE, conflicts_with_all = ["journal", "database", "to"])]
    config: Option<PathBuf>,
    /// The journal's directory
    #[arg(long, value_name = "DIR", env = "GRAPHSTREAM_JOURNAL", required_unless_present = "config")]
    journal: Option<PathBuf>,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database, required_unless_present = "config")]
    database: Option<DatabaseName>,
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", env = "GRAPHSTREAM_TO", value_parser = store::parse_url, required_unless_present = "config")]
    to: Option<StoreUrl>,
    /// Ship what there is and end; seals the open segment if nobody appends
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    overrides: Overrides,
    /// With --once: print what was shipped as JSON, a line for each database; errors as JSON on stderr
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Report {
    database: String,
    segments: usize,
    bytes: u64,
    committed_sequence: u64,
    committed_commit_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_chain_hash: Option<String>,
    epoch: Option<u32>,
    /// What happened to the open segment: `sealed`, `none`, or `in_use` by a process that appends.
    open_segment: &'static str,
}

pub(crate) fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { config, journal, database, to, once, overrides, json } = args;
    let settings = match (config, journal, database, to) {
        (Some(file), ..) => Settings::of_file(&file, &overrides, global)?,
        (None, Some(journal), Some(name), Some(to)) => {
            Settings::of_flags(OnlyDatabase { name, journal, to }, &overrides, global)?
        }
        _ => return Err(Failure::new(Kind::Usage, "a journal, a database and a store, or a configuration")),
    };
    let level = if once { Level::WARN } else { Level::INFO };
    logs::start(settings.log_level.value.clone(), level, settings.log_format.value);
    if once { ship_once(&settings, json) } else { Daemon::new(&settings).run(&settings) }
}

/// Ships what there is, one database after the other; what fails does not hold up the rest.
fn ship_once(settings: &Settings, json: bool) -> Result<(), Failure> {
    let runtime = store::runtime()?;
    let stop = Stop::new();
    let asked = stop.clone();
    stop::listen(move || asked.cancel())?;
    let stores = Stores::new(GraphstreamMetrics::shared());
    let mut gravest = None;
    for database in &settings.databases {
        let shipped = runtime.block_on(ship_database(database, &stores, &stop, json));
        match shipped {
            Ok(()) => {}
            Err(failure) if settings.databases.len() == 1 => return Err(failure),
            Err(failure) => {
                failure.report(json);
                daemon::worst(&mut gravest, failure);
            }
        }
        if stop.is_cancelled() {
            break;
        }
    }
    match gravest {
        None => Ok(()),
        Some(failure) => {
            let message = "not every database was shipped; the gravest of the errors above";
            Err(failure.while_doing(message))
        }
    }
}

async fn ship_database(
    settings: &DatabaseSettings,
    stores: &Stores,
    stop: &Stop,
    json: bool,
) -> Result<(), Failure> {
    let path = &settings.journal.value;
    let shipping = async {
        let continued = daemon::continue_from_head(settings, stores).await?;
        // Before anything is sealed in passing.
        let dir = daemon::can_be_shipped(settings)?;
        let remote = match continued {
            Some(remote) => remote,
            None => daemon::open_store(settings, stores).await?,
        };
        let open_segment = seal_leftover(&dir, settings, remote.keys())?;
        let options = daemon::options(settings);
        let mut uploader = Uploader::open(path, remote, options, GraphstreamMetrics::shared()).await?;
        let shipped = uploader.ship().await?;
        Ok::<_, Failure>((shipped, open_segment, uploader.epoch()))
    };
    let Some(shipped) = stop.run_until_cancelled(shipping).await else {
        let stopped = Failure::new(Kind::Store, "stopped by a signal before everything was shipped");
        return Err(stopped.hint("the next run goes on"));
    };
    let (shipped, open_segment, epoch) = shipped?;
    report(
        settings,
        json,
        &Report {
            database: settings.name.value.to_string(),
            segments: shipped.segments,
            bytes: shipped.bytes,
            committed_sequence: shipped.committed.sequence,
            committed_commit_ms: shipped.committed.commit_ms,
            committed_chain_hash: shipped.committed.chain.hash().map(|hash| hash.to_string()),
            epoch,
            open_segment,
        },
    )
}

/// Nobody else will seal what a writer that has gone left open.
fn seal_leftover(
    dir: &JournalDir,
    settings: &DatabaseSettings,
    keys: Option<&Arc<KeyRing>>,
) -> Result<&'static str, Failure> {
    let newest = dir.segment_sequences()?.last().copied();
    let open = match newest {
        Some(newest) => dir.segment(newest)?.is_some_and(|segment| !segment.is_sealed()),
        None => false,
    };
    // A predecessor's journal is taken over by a writer, not in passing.
    if !open || dir.identity()?.is_none() {
        return Ok("none");
    }
    let mut builder = Journal::builder(&settings.journal.value);
    if let Some(keys) = keys {
        builder = builder.keys(Arc::clone(keys));
    }
    match builder.open() {
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

fn report(settings: &DatabaseSettings, json: bool, report: &Report) -> Result<(), Failure> {
    let mut out = Out::new();
    if json {
        out.json(report)?;
    } else {
        out.line(format_args!(
            "shipped {} ({}) to {} as {}; stored through sequence {}",
            crate::terminal::counted(report.segments as u64, "segment", "segments"),
            crate::terminal::bytes(report.bytes),
            settings.to.value,
            report.database,
            report.committed_sequence
        ))?;
    }
    out.flush()
}
