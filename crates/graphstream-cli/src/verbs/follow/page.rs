//! `/status` of a follower, as JSON. The shape stands in `docs/cli-json.md`.

use std::sync::OnceLock;

use graphstream::format::Position;
use graphstream::remote::DatabaseName;
use graphstream::replication::FollowerStatus;
use serde::Serialize;
use tokio::sync::watch;

use super::Target;
use crate::store::StoreUrl;
use crate::times;

/// What the page says.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    pid: u32,
    started_ms: i64,
    now_ms: i64,
    database: String,
    store: String,
    target: String,
    /// `waiting` until the database is there and the target open.
    state: &'static str,
    /// Looks at the store in a row that failed.
    failures: u32,
    epoch: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<Point>,
    fetched_sequence: u64,
    lag_entries: u64,
    lag_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Point {
    sequence: u64,
    /// Not known of what an encrypted history's head calls committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_ms: Option<i64>,
}

impl Point {
    fn of(sequence: u64, position: Option<Position>, commit_ms: Option<i64>) -> Self {
        Self {
            sequence,
            chain_hash: position.map(|position| position.chain_hash.to_string()),
            position: position.map(|position| position.to_string()),
            commit_ms,
        }
    }
}

/// The page.
#[derive(Debug)]
pub(super) struct StatusPage {
    database: String,
    store: String,
    target: String,
    started_ms: i64,
    status: OnceLock<watch::Receiver<FollowerStatus>>,
}

impl StatusPage {
    pub(super) fn new(store: &StoreUrl, database: &DatabaseName, target: &Target) -> Self {
        Self {
            database: database.to_string(),
            store: store.to_string(),
            target: target.to_string(),
            started_ms: times::now_ms(),
            status: OnceLock::new(),
        }
    }

    /// The follower has begun.
    pub(super) fn follow(&self, status: watch::Receiver<FollowerStatus>) {
        // There is one follower in a process.
        let _ = self.status.set(status);
    }

    pub(super) fn now(&self) -> Status {
        let status = self.status.get().map(|status| *status.borrow());
        let state = match &status {
            None => "waiting",
            Some(FollowerStatus { replacing: Some(_), .. }) => "replacing",
            Some(status) if status.failures > 0 => "retrying",
            Some(_) => "following",
        };
        let status = status.unwrap_or_default();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started_ms: self.started_ms,
            now_ms: times::now_ms(),
            database: self.database.clone(),
            store: self.store.clone(),
            target: self.target.clone(),
            state,
            failures: status.failures,
            epoch: status.epoch,
            applied: status
                .applied
                .map(|applied| Point::of(applied.sequence, Some(applied), status.applied_commit_ms)),
            committed: (status.epoch > 0).then(|| {
                Point::of(status.committed_sequence, status.committed, Some(status.committed_commit_ms))
            }),
            fetched_sequence: status.fetched_sequence,
            lag_entries: status.lag_entries(),
            lag_bytes: status.lag_bytes,
            lag_seconds: status.lag_time().map(|lag| lag.as_secs_f64()),
        }
    }
}
