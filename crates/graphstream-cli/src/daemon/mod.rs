//! Shipping several databases from one process: one runtime, one budget of uploads, a state for each database.
//!
//! ```text
//!   Settings ──▶ Daemon ──▶ Database, one task each ──▶ Uploader ──▶ store (one per URL, shared)
//!                  │            │  slots of the shared UploadBudget
//!                  │            └─ state: starting, shipping, retrying, fenced, failed, stopped
//!                  └─ /metrics  /healthz  /readyz  /status
//! ```
//! What happens to one database stays with it: another that is fenced, damaged or without its store goes on or ends by
//! itself. The process ends after a signal, when everything sealed is stored or the time for that is over, or when no
//! database is left; then with the gravest of their codes.

mod database;
mod open_files;
mod snapshots;
mod status;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use graphstream::metrics::{GraphstreamMetrics, Role};
use graphstream::replication::{Stop, UploadBudget};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument;

use self::database::Database;
pub(crate) use self::database::{can_be_shipped, continue_from_head, open_store, options};
use crate::config::Settings;
use crate::failure::{Failure, Kind};
use crate::http::{self, Page};
use crate::stop;
use crate::store::{self, Stores};
use crate::terminal::counted;

/// Databases that open their journal and read their head at the same time: thousands that start together would each read
/// their newest segment, and ask the store.
const STARTING_MAX: usize = 16;

/// Threads for files, of all databases: they come when there is work and go after 10 s without.
const BLOCKING_THREADS_MAX: usize = 32;

/// What the databases of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    stores: Stores,
    budget: UploadBudget,
    starting: Semaphore,
    /// One database is verified at a time.
    verifying: Semaphore,
    /// And one is copied.
    copying: Semaphore,
    /// Whether a database that can't be opened is tried again; with a single one, named by flags, whoever typed them is told at once.
    patient: bool,
    drain_timeout: Duration,
}

/// All databases of the process.
#[derive(Debug)]
pub(crate) struct Daemon {
    databases: Vec<Arc<Database>>,
    shared: Arc<Shared>,
    /// Of the process: its requests to stores, and with a single database everything.
    metrics: Arc<GraphstreamMetrics>,
    labelled: bool,
    started_ms: i64,
}

impl Daemon {
    pub(crate) fn new(settings: &Settings) -> Self {
        let metrics = GraphstreamMetrics::shared();
        let labelled = settings.file.is_some();
        let of = |database: &crate::config::DatabaseSettings| {
            let own = if labelled { GraphstreamMetrics::shared() } else { Arc::clone(&metrics) };
            Arc::new(Database::new(database.clone(), own))
        };
        Self {
            databases: settings.databases.iter().map(of).collect(),
            shared: Arc::new(Shared {
                stores: Stores::new(Arc::clone(&metrics)),
                budget: UploadBudget::new(settings.uploads_max.value.into()),
                starting: Semaphore::new(STARTING_MAX),
                verifying: Semaphore::new(1),
                copying: Semaphore::new(1),
                patient: labelled,
                drain_timeout: settings.drain_timeout.value,
            }),
            metrics,
            labelled,
            started_ms: crate::times::now_ms(),
        }
    }

    /// Ships until a signal.
    pub(crate) fn run(self, settings: &Settings) -> Result<(), Failure> {
        open_files::allow(self.databases.len())?;
        let runtime = store::runtime_with(BLOCKING_THREADS_MAX)?;
        let stop = Stop::new();
        let asked = stop.clone();
        stop::listen(move || asked.cancel())?;
        let this = Arc::new(self);
        if let Some(address) = settings.http.value {
            let pages = Arc::clone(&this);
            http::serve(address, move |path| pages.page(path))?;
        }
        runtime.block_on(this.ship(&stop))
    }

    async fn ship(&self, stop: &Stop) -> Result<(), Failure> {
        let mut running = JoinSet::new();
        for database in &self.databases {
            let (database, shared, stop) = (Arc::clone(database), Arc::clone(&self.shared), stop.clone());
            let span = tracing::error_span!("ship", database = %database.name());
            running.spawn(async move { database.run(&shared, &stop).await }.instrument(span));
        }
        let mut gravest: Option<Failure> = None;
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(self.shared.drain_timeout).await;
        };
        tokio::pin!(deadline);
        loop {
            let ended = tokio::select! {
                ended = running.join_next() => ended,
                () = &mut deadline => {
                    let left = running.len() as u64;
                    running.shutdown().await;
                    let message = format!(
                        "not everything sealed was stored within {:?} of the signal, for {}",
                        self.shared.drain_timeout,
                        counted(left, "database", "databases"),
                    );
                    worst(&mut gravest, Failure::new(Kind::Store, message).hint(
                        "nothing is lost: it stays in the journal, and the next start ships it; --drain-timeout gives more time",
                    ));
                    break;
                }
            };
            match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(failure))) => {
                    if self.databases.len() > 1 {
                        tracing::info!(left = running.len(), "a database has ended, the others go on");
                    }
                    worst(&mut gravest, failure);
                }
                Some(Err(_)) => {
                    worst(
                        &mut gravest,
                        Failure::new(Kind::Internal, "a database's task ended without an answer"),
                    );
                }
                None => break,
            }
        }
        gravest.map_or(Ok(()), Err)
    }

    fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/metrics" => Some(Page::metrics(self.metrics())),
            "/healthz" => Some(Page::healthy()),
            "/readyz" => {
                let readiness = status::readiness(&self.databases);
                Some(Page::json(readiness.ready, &readiness))
            }
            "/status" => Some(Page::json(true, &status::status(&self.databases, self.started_ms))),
            _ => None,
        }
    }

    fn metrics(&self) -> String {
        let process = self.metrics.snapshot();
        if !self.labelled {
            return process.to_prometheus();
        }
        let of = |database: &Arc<Database>| (database.name().to_string(), database.metrics().snapshot());
        process.to_prometheus_by_database(
            &[Role::Leader, Role::Snapshot, Role::Verify],
            self.databases.iter().map(of).collect(),
        )
    }
}

/// Keeps the graver of two failures, and of equal ones the first.
pub(crate) fn worst(gravest: &mut Option<Failure>, failure: Failure) {
    let graver = gravest.as_ref().is_none_or(|known| failure.code().gravity() > known.code().gravity());
    if graver {
        *gravest = Some(failure);
    }
}
