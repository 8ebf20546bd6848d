//! Copying a database into its store on a schedule, beside shipping it: one database of the process at a time.
//!
//! ```text
//!   shipping ──► is one due? ──► ask the store ──► copy, upload, read back ──► newest
//!      ▲            │ no                │ somebody else has made it     │ failed, or nothing new: pauses that grow
//!      └────────────┴───────────────────┴───────────────────────────────┘
//! ```
//! Only a database that is being shipped is copied: whoever does that holds `SHIP`, so two daemons beside one journal never
//! make the same snapshot. What goes wrong here is told, counted and tried again, and stops nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use graphstream::remote::{ErrorKind, Remote};
use graphstream::replication::{LastSnapshot, Snapshot, SnapshotOptions, Stop};
use graphstream::storage::Backoff;
use serde::Serialize;

use super::Shared;
use super::database::{Database, LastError, State, open_store};
use crate::config::SnapshotSettings;
use crate::engines::Placed;
use crate::failure::Failure;
use crate::times;

/// How often it is looked whether one is due. That asks nobody.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Pauses after failures are drawn up to a bound that begins here, doubles,
const RETRY_INTERVAL_FIRST: Duration = Duration::from_secs(1);
/// and ends here.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(300);

/// What is known of a database's copies.
#[derive(Debug, Clone, Default)]
pub(super) struct Copied {
    copying: bool,
    /// The newest one in the store, once it was asked for.
    newest: Option<Newest>,
    /// Attempts in a row that failed.
    failures: u32,
    last_error: Option<LastError>,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    last: LastSnapshot,
    stored_bytes: u64,
}

/// `databases[].snapshot` of `/status`.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotStatus {
    copying: bool,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<NewestStatus>,
}

#[derive(Debug, Serialize)]
struct NewestStatus {
    sequence: u64,
    created_ms: i64,
    age_seconds: f64,
    stored_bytes: u64,
}

impl Copied {
    pub(super) fn status(self, now_ms: i64) -> SnapshotStatus {
        let newest = self.newest.map(|Newest { last, stored_bytes }| {
            let age_ms = u64::try_from(now_ms.saturating_sub(last.created_ms)).unwrap_or(0);
            let age_seconds = Duration::from_millis(age_ms).as_secs_f64();
            NewestStatus { sequence: last.sequence, created_ms: last.created_ms, age_seconds, stored_bytes }
        });
        let Self { copying, failures, last_error, .. } = self;
        SnapshotStatus { copying, failures, last_error, newest }
    }
}

/// What came of looking.
enum Looked {
    /// None is due.
    NotYet,
    Made,
    /// The database stands where the newest one does: what is committed has not reached it.
    NothingNew,
}

impl Database {
    /// Copies on its schedule, until `stop`, then waits for ever. Given up in the middle, the database's writers go on, and what was uploaded
    /// is no snapshot.
    pub(super) async fn copy_now_and_then(&self, shared: &Shared, stop: &Stop) -> Infallible {
        if let Some(settings) = &self.settings().snapshot {
            stop.run_until_cancelled(self.copy_on(settings, shared)).await;
        }
        std::future::pending().await
    }

    async fn copy_on(&self, settings: &SnapshotSettings, shared: &Shared) {
        let mut backoff = Backoff::new(RETRY_INTERVAL_FIRST, RETRY_INTERVAL_MAX);
        // The store is asked for what was made before this process was started: a restart is no reason for another one.
        let mut last = None;
        loop {
            let looked = self.look(settings, shared, &mut last).await;
            self.know(|copied| copied.copying = false);
            let pause = match looked {
                Ok(Looked::NotYet) => LOOK_INTERVAL,
                Ok(Looked::Made) => {
                    backoff.reset();
                    self.know(|copied| copied.failures = 0);
                    LOOK_INTERVAL
                }
                Ok(Looked::NothingNew) => backoff.next_pause().max(LOOK_INTERVAL),
                Err(failure) => {
                    let pause = backoff.next_pause().max(LOOK_INTERVAL);
                    let (kind, message) = (failure.kind(), failure.sentence());
                    tracing::warn!(
                        error = message,
                        ?pause,
                        "no snapshot could be made: trying again, shipping goes on"
                    );
                    self.know(|copied| {
                        copied.failures = copied.failures.saturating_add(1);
                        copied.last_error = Some(LastError { kind, message, at_ms: times::now_ms() });
                    });
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes one if it is due. `last` is the newest one, once it is known.
    async fn look(
        &self,
        settings: &SnapshotSettings,
        shared: &Shared,
        last: &mut Option<Option<LastSnapshot>>,
    ) -> Result<Looked, Failure> {
        let known = self.known();
        let Some(shipper) = known.shipper.filter(|_| known.state == State::Shipping) else {
            return Ok(Looked::NotYet);
        };
        let committed = shipper.committed.borrow().sequence;
        let is_due = |last| settings.schedule().is_due(times::now_ms(), last, committed);
        if last.is_some_and(|last| !is_due(last)) {
            return Ok(Looked::NotYet);
        }
        let Ok(_turn) = shared.copying.acquire().await else { return Ok(Looked::NotYet) };
        let counted = |failure| {
            self.metrics().snapshot.failures.inc();
            failure
        };
        let Some(placed) = settings.placed().map_err(counted)? else { return Ok(Looked::NotYet) };
        let remote = open_store(self.settings(), &shared.stores).await.map_err(counted)?;
        let found = self.newest(&remote, &placed).await.map_err(counted)?;
        let found = match (found, last.flatten()) {
            // Of a database that stands still it was found out later that there is nothing new: the interval begins then.
            (Some(found), Some(known)) if found.sequence == known.sequence => Some(known),
            (found, _) => found,
        };
        if !is_due(*last.insert(found)) {
            return Ok(Looked::NotYet);
        }
        self.know(|copied| copied.copying = true);
        let (newest, looked) = self.copy(settings, remote, placed).await?;
        *last = Some(Some(newest));
        Ok(looked)
    }

    async fn copy(
        &self,
        settings: &SnapshotSettings,
        remote: Remote,
        (path, engine): Placed,
    ) -> Result<(LastSnapshot, Looked), Failure> {
        let mut options = SnapshotOptions::default();
        if let Some(staging) = settings.staging() {
            options = options.with_staging_dir(staging);
        }
        let metrics = Arc::clone(self.metrics());
        let mut snapshot = Snapshot::of_path(remote, path, engine).options(options).metrics(metrics);
        if let Some(commands) = settings.commands() {
            snapshot = snapshot.quiesce(commands);
        }
        let report = snapshot.create().await?;
        let last = LastSnapshot::new(report.name.sequence(), report.manifest.created_ms);
        let (sequence, bytes) = (last.sequence, report.manifest.stored_bytes());
        self.is_newest(last, bytes);
        if report.existed {
            tracing::debug!(sequence, "the database holds what the newest snapshot does");
            return Ok((LastSnapshot::new(sequence, times::now_ms()), Looked::NothingNew));
        }
        tracing::info!(sequence, bytes, paused = ?report.paused, "snapshot made, and read back");
        Ok((last, Looked::Made))
    }

    /// The newest snapshot of that kind of database in the store.
    async fn newest(&self, remote: &Remote, placed: &Placed) -> Result<Option<LastSnapshot>, Failure> {
        let wanted = placed.1.describe().name;
        for listing in remote.list_snapshots().await?.iter().rev().filter(|listing| listing.is_complete) {
            match remote.read_snapshot_manifest(&listing.name).await {
                Ok(Some(manifest)) if manifest.engine.name == wanted => {
                    let last = LastSnapshot::new(manifest.sequence, manifest.created_ms);
                    self.is_newest(last, manifest.stored_bytes());
                    return Ok(Some(last));
                }
                Ok(_) => {}
                Err(error) if error.kind().is_integrity() || error.kind() == ErrorKind::Key => {
                    tracing::warn!(snapshot = %listing.name, %error, "a snapshot can't be read");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn is_newest(&self, last: LastSnapshot, stored_bytes: u64) {
        let metrics = &self.metrics().snapshot;
        metrics.last_sequence.set(last.sequence);
        metrics.last_ms.set(u64::try_from(last.created_ms).unwrap_or(0));
        self.know(|copied| copied.newest = Some(Newest { last, stored_bytes }));
    }

    fn know(&self, change: impl FnOnce(&mut Copied)) {
        self.change(|known| change(known.snapshot.get_or_insert_default()));
    }
}
