//! What graphstream counts and measures, for Prometheus and for programs.
//!
//! ```text
//!   journal, leader, follower, storage        the roles update their handles: atomics, no lock, no label look-up
//!            |
//!   GraphstreamMetrics::snapshot()            plain values, read one by one
//!            |
//!   MetricsSnapshot::to_prometheus()          the OpenMetrics text
//! ```
//!
//! ```
//! use graphstream_metrics::GraphstreamMetrics;
//!
//! let metrics = GraphstreamMetrics::shared();
//! metrics.journal.entries_appended.add(3);
//! metrics.journal.written_sequence.set(3);
//!
//! let snapshot = metrics.snapshot();
//! assert_eq!(snapshot.journal.entries_appended, 3);
//! assert!(snapshot.to_prometheus().contains("graphstream_journal_appended_entries_total 3\n"));
//! ```
//!
//! # The names
#![doc = include_str!("names.md")]

mod histogram;
mod instruments;
mod prometheus;
mod roles;
mod storage;

pub use histogram::{CountHistogram, DurationHistogram, HistogramSnapshot};
pub use instruments::{Counter, Gauge, SecondsGauge};
pub use prometheus::{Description, MetricKind};
pub use roles::{
    FollowerMetrics, FollowerSnapshot, GraphstreamMetrics, JournalMetrics, JournalSnapshot, LeaderMetrics,
    LeaderSnapshot, MetricsSnapshot, Role, SnapshotMetrics, SnapshotSnapshot, VerifyMetrics, VerifySnapshot,
};
pub use storage::{RequestSnapshot, StorageMetrics, StorageOperation, StorageOutcome, StorageSnapshot};
