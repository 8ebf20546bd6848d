//! `/readyz` and `/status`: how the databases are doing, as JSON. The shapes stand in `docs/cli-json.md`.

use std::sync::Arc;

use graphstream::replication::{self, ArchiveStatus, OutageStatus};
use serde::Serialize;

use super::database::{Database, LastError, State};
use super::snapshots::SnapshotStatus;
use super::verification::Verification;
use crate::times;

/// `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    /// Why not.
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    database: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Ready: every database has read its head, and none is fenced or failed.
pub(super) fn readiness(databases: &[Arc<Database>]) -> Readiness {
    let reason = |database: &Arc<Database>| {
        let known = database.known();
        (known.state != State::Shipping).then(|| Reason {
            database: database.name().to_string(),
            state: known.state,
            message: known.last_error.map(|error| error.message),
        })
    };
    let reasons: Vec<_> = databases.iter().filter_map(reason).collect();
    Readiness { ready: reasons.is_empty(), reasons }
}

/// `/status`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    pid: u32,
    started_ms: i64,
    now_ms: i64,
    ready: bool,
    databases: Vec<DatabaseStatus>,
}

#[derive(Debug, Serialize)]
struct DatabaseStatus {
    database: String,
    journal: String,
    store: String,
    state: State,
    since_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<Position>,
    last_publication_ms: u64,
    uploaded_segments: u64,
    uploaded_bytes: u64,
    failed_uploads: u64,
    failed_publications: u64,
    queue_segments: u64,
    queue_bytes: u64,
    rpo_entries: u64,
    rpo_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<Archive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<Outage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotStatus>,
}

#[derive(Debug, Serialize)]
struct Position {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    commit_ms: i64,
}

/// What an archiver reports, of this start of the uploader.
#[derive(Debug, Serialize)]
struct Archive {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_ms: Option<i64>,
    segments: u64,
    bytes: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<ArchiveFailure>,
    pending_segments: usize,
    pending_entries: u64,
    pending_bytes: u64,
    gap_entries: u64,
    gap_bytes: u64,
    gap_seconds: f64,
}

#[derive(Debug, Serialize)]
struct ArchiveFailure {
    sequence: u64,
    reason: String,
    at_ms: i64,
}

#[derive(Debug, Serialize)]
struct Outage {
    state: &'static str,
    since_ms: i64,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_bytes_max: Option<u64>,
}

impl From<ArchiveStatus> for Archive {
    fn from(status: ArchiveStatus) -> Self {
        let failure = |failure: replication::ArchiveFailure| ArchiveFailure {
            sequence: failure.sequence,
            reason: failure.reason,
            at_ms: failure.at_ms,
        };
        Self {
            sequence: status.archived,
            archived_ms: status.archived_ms,
            segments: status.archived_segments,
            bytes: status.archived_bytes,
            failures: status.failures,
            last_failure: status.last_failure.map(failure),
            pending_segments: status.pending.segments,
            pending_entries: status.pending.entries,
            pending_bytes: status.pending.bytes,
            gap_entries: status.gap_entries,
            gap_bytes: status.gap_bytes,
            gap_seconds: status.gap_seconds,
        }
    }
}

impl From<&OutageStatus> for Outage {
    fn from(status: &OutageStatus) -> Self {
        Self {
            state: status.state.name(),
            since_ms: status.since_ms,
            failures: status.failures,
            held_bytes: status.held_bytes,
            held_bytes_max: status.held_bytes_max,
        }
    }
}

pub(super) fn status(databases: &[Arc<Database>], started_ms: i64) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        started_ms,
        now_ms: times::now_ms(),
        ready: readiness(databases).ready,
        databases: databases.iter().map(|database| of(database)).collect(),
    }
}

fn of(database: &Database) -> DatabaseStatus {
    let (known, leader) = (database.known(), database.metrics().snapshot().leader);
    let settings = database.settings();
    DatabaseStatus {
        database: database.name().to_string(),
        journal: settings.journal.value.display().to_string(),
        store: settings.to.value.to_string(),
        state: known.state,
        since_ms: known.since_ms,
        last_error: known.last_error,
        epoch: leader.epoch,
        committed: known.shipper.as_ref().map(|shipper| {
            let committed = *shipper.committed.borrow();
            Position {
                sequence: committed.sequence,
                chain_hash: committed.chain.hash().map(|hash| hash.to_string()),
                commit_ms: committed.commit_ms,
            }
        }),
        last_publication_ms: leader.last_publication_ms,
        uploaded_segments: leader.segments_uploaded,
        uploaded_bytes: leader.bytes_uploaded,
        failed_uploads: leader.upload_failures,
        failed_publications: leader.publication_failures,
        queue_segments: leader.queue_segments,
        queue_bytes: leader.queue_bytes,
        rpo_entries: leader.rpo_entries,
        rpo_seconds: leader.rpo_seconds,
        // Of a journal that can't be read nothing is known here; the shipper's own failure tells why.
        archive: known
            .shipper
            .as_ref()
            .and_then(|shipper| Some(shipper.archive.status_beside().ok()?.into())),
        outage: known.shipper.as_ref().map(|shipper| Outage::from(&*shipper.outage.borrow())),
        verification: known.verification,
        snapshot: known.snapshot.map(|snapshot| snapshot.status(times::now_ms())),
    }
}
