//! One of the process's databases: shipped for as long as that can work, and always with a state that can be asked for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graphstream::journal::JournalDir;
use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::{Committed, DatabaseName, Remote};
use graphstream::replication::{
    ArchiveOptions, ArchiveView, CacheOptions, OutageStatus, Stop, Uploader, UploaderOptions,
};
use graphstream::storage::Backoff;
use tokio::sync::watch;

use super::Shared;
use super::snapshots::Copied;
use super::verification::Verification;
use crate::config::DatabaseSettings;
use crate::exit::Code;
use crate::failure::{Failure, Kind};
use crate::keys;
use crate::store::Stores;
use crate::times;

/// The longest pause before a database that can't be opened is tried again.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// What may be done where no journal is.
const JOURNAL_IS_GONE: &str = "check --journal, and whether its volume is mounted; graphstream append starts a new one; if the disk of a \
    published database is lost, --continue-from-head begins one behind its head";

/// How a database is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Its journal and its head are about to be read for the first time.
    Starting,
    /// Its head was read; new segments are shipped.
    Shipping,
    /// It could not be opened, or ended for a reason that may pass: it is tried again.
    Retrying,
    /// Another leader has taken over.
    Fenced,
    /// It ended for a reason that somebody must look at.
    Failed,
    /// Everything sealed was stored after the signal.
    Stopped,
}

/// The last failure.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct LastError {
    pub(super) kind: Kind,
    pub(super) message: String,
    pub(super) at_ms: i64,
}

/// What is known about a database now.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) since_ms: i64,
    pub(super) last_error: Option<LastError>,
    pub(super) shipper: Option<Shipper>,
    pub(super) verification: Option<Verification>,
    /// Its copies on a schedule, if there is one.
    pub(super) snapshot: Option<Copied>,
}

/// What the uploader shows of itself, from its first look at the store on, also after it has ended.
#[derive(Debug, Clone)]
pub(super) struct Shipper {
    pub(super) committed: watch::Receiver<Committed>,
    pub(super) archive: ArchiveView,
    pub(super) outage: watch::Receiver<OutageStatus>,
}

/// A database, and how it is doing.
#[derive(Debug)]
pub(crate) struct Database {
    settings: DatabaseSettings,
    metrics: Arc<GraphstreamMetrics>,
    known: Mutex<Known>,
}

impl Database {
    pub(super) fn new(settings: DatabaseSettings, metrics: Arc<GraphstreamMetrics>) -> Self {
        let known = Known {
            state: State::Starting,
            since_ms: times::now_ms(),
            last_error: None,
            shipper: None,
            verification: None,
            snapshot: settings.snapshot.is_some().then(Copied::default),
        };
        Self { settings, metrics, known: Mutex::new(known) }
    }

    pub(super) fn name(&self) -> &DatabaseName {
        &self.settings.name.value
    }

    pub(super) const fn settings(&self) -> &DatabaseSettings {
        &self.settings
    }

    pub(super) const fn metrics(&self) -> &Arc<GraphstreamMetrics> {
        &self.metrics
    }

    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn is(&self, state: State) {
        self.change(|known| {
            known.state = state;
            known.since_ms = times::now_ms();
        });
    }

    pub(super) fn verified(&self, verification: Verification) {
        self.change(|known| known.verification = Some(verification));
    }

    /// Ships until `stop`, and verifies and copies now and then meanwhile if that is said.
    pub(super) async fn run(&self, shared: &Shared, stop: &Stop) -> Result<(), Failure> {
        tokio::select! {
            ended = self.ship_on(shared, stop) => ended,
            never = self.verify_now_and_then(shared) => match never {},
            never = self.copy_now_and_then(shared, stop) => match never {},
        }
    }

    /// Ships until `stop`, and over failures that may pass.
    async fn ship_on(&self, shared: &Shared, stop: &Stop) -> Result<(), Failure> {
        let mut backoff = Backoff::new(Duration::from_millis(500), RETRY_INTERVAL_MAX);
        loop {
            let Err(failure) = self.ship(shared, stop, &mut backoff).await else {
                self.is(State::Stopped);
                return Ok(());
            };
            let error =
                LastError { kind: failure.kind(), message: failure.sentence(), at_ms: times::now_ms() };
            self.change(|known| known.last_error = Some(error));
            let may_pass = matches!(failure.code(), Code::Journal | Code::Store);
            if !may_pass || !shared.patient || stop.is_cancelled() {
                self.is(if failure.kind() == Kind::Fenced { State::Fenced } else { State::Failed });
                if shared.patient {
                    tracing::error!(error = failure.sentence(), "ended");
                }
                return Err(failure);
            }
            self.is(State::Retrying);
            let pause = backoff.next_pause();
            tracing::warn!(
                error = failure.sentence(),
                ?pause,
                "can't be shipped, nothing is lost: trying again"
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn ship(&self, shared: &Shared, stop: &Stop, backoff: &mut Backoff) -> Result<(), Failure> {
        // Nothing is under way in a store that is being opened: a signal need not wait for its answer.
        let Some(opened) = stop.run_until_cancelled(self.open(shared)).await else {
            let stopped =
                Failure::new(Kind::Store, "stopped before the store had answered: nothing was shipped");
            return Err(stopped.hint("the next start ships what is sealed"));
        };
        let mut uploader = opened?;
        let DatabaseSettings { journal, to, upload_interval, .. } = &self.settings;
        let shipper =
            Shipper { committed: uploader.watch(), archive: uploader.archive(), outage: uploader.outage() };
        self.change(|known| known.shipper = Some(shipper));
        self.is(State::Shipping);
        backoff.reset();
        let (journal, to, interval) = (journal.value.display(), &to.value, upload_interval.value);
        tracing::info!(%journal, %to, ?interval, "shipping");
        uploader.run(stop).await?;
        tracing::info!(
            committed = uploader.watch().borrow().sequence,
            "stopped, everything sealed is stored"
        );
        Ok(())
    }

    async fn open(&self, shared: &Shared) -> Result<Uploader, Failure> {
        let DatabaseSettings { journal, .. } = &self.settings;
        let starting = shared.starting.acquire().await;
        let _starting = starting
            .map_err(|error| Failure::new(Kind::Internal, "nothing starts any more").because(&error))?;
        let continued = continue_from_head(&self.settings, &shared.stores).await?;
        // Before the store is touched: what can't be shipped is nothing for it.
        let settings = self.settings.clone();
        let checked = tokio::task::spawn_blocking(move || can_be_shipped(&settings)).await;
        checked.map_err(|error| {
            Failure::new(Kind::Internal, "reading the journal ended without an answer").because(&error)
        })??;
        let remote = match continued {
            Some(remote) => remote,
            None => open_store(&self.settings, &shared.stores).await?,
        };
        let metrics = Arc::clone(&self.metrics);
        let uploader = Uploader::open(&journal.value, remote, options(&self.settings), metrics).await?;
        Ok(uploader.with_upload_budget(shared.budget.clone()))
    }
}

/// Begins a journal behind the head, where there is none and that was said. Then the store is open.
pub(crate) async fn continue_from_head(
    settings: &DatabaseSettings,
    stores: &Stores,
) -> Result<Option<Remote>, Failure> {
    if !settings.continue_from_head.value {
        return Ok(None);
    }
    let remote = open_store(settings, stores).await?;
    let journal = &settings.journal.value;
    if let Some(committed) = graphstream::replication::continue_from_head(journal, &remote).await? {
        let (journal, after) = (journal.display(), committed.sequence);
        tracing::warn!(%journal, after, "there was no journal: one begins behind what is committed");
    }
    Ok(Some(remote))
}

/// The database in its store, with its keys. Key files are read each time: they are not kept in memory for nothing.
pub(crate) async fn open_store(settings: &DatabaseSettings, stores: &Stores) -> Result<Remote, Failure> {
    settings.keys().give(stores.open(&settings.to.value, settings.name.value.clone()).await?).await
}

/// Refuses what no store could help.
pub(crate) fn can_be_shipped(settings: &DatabaseSettings) -> Result<JournalDir, Failure> {
    let journal: &Path = &settings.journal.value;
    let keys = keys::ring(&settings.encryption_key_files.value)?;
    let dir = JournalDir::open(journal).map_err(|error| {
        let is_gone = matches!(error, graphstream::journal::Error::NotAJournal { .. });
        let failure = Failure::from(error);
        if is_gone { failure.hint(JOURNAL_IS_GONE) } else { failure }
    })?;
    let dir = match keys {
        Some(keys) => dir.with_keys(keys),
        None => dir,
    };
    // A predecessor's journal has no `journal.json` yet, and keys may be in the store: the shipper says what it takes.
    if dir.identity()?.is_some() && settings.encryption_master_key_files.value.is_empty() {
        dir.check_keys()?;
    }
    Ok(dir)
}

/// What the library takes of a database's settings.
pub(crate) fn options(settings: &DatabaseSettings) -> UploaderOptions {
    let archive = ArchiveOptions::default()
        .with_verify_before_archive(settings.verify_before_archive.value)
        .with_delete_after_archive(settings.delete_after_archive.value);
    let cache = CacheOptions::default()
        .with_age_max(settings.cache_age_max.value)
        .with_bytes_max(settings.cache_bytes_max.value);
    UploaderOptions::default()
        .with_upload_interval(settings.upload_interval.value)
        .with_uploads_max(settings.uploads_max.value.into())
        .with_held_bytes_max(settings.held_bytes_max.value)
        .with_allow_unconditional_store(settings.allow_unconditional_store.value)
        .with_archive(archive)
        .with_cache(cache)
}
