//! `/readyz` and `/status`: how the databases are doing, as JSON. The shapes stand in `docs/cli-json.md`.

use std::sync::Arc;

use serde::Serialize;

use super::database::{Database, LastError, State};
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
}

#[derive(Debug, Serialize)]
struct Position {
    sequence: u64,
    chain_hash: String,
    commit_ms: i64,
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
        committed: known.committed.map(|committed| {
            let committed = *committed.borrow();
            Position {
                sequence: committed.sequence,
                chain_hash: committed.chain_hash.to_string(),
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
    }
}
