//! The metrics of each role, declared once: name, kind, and a help text that is also the documentation.

use std::sync::Arc;

use crate::histogram::{CountHistogram, DurationHistogram, HistogramSnapshot};
use crate::instruments::{Counter, Gauge, SecondsGauge};
use crate::prometheus::{Description, Encoder, Instrument, Part};
use crate::storage::{StorageMetrics, StorageSnapshot};

/// Declares a role's handles, their plain values, their descriptions and their encoding from one list, so that none of the
/// four can be forgotten. The first doc line of a metric is its help text.
macro_rules! role {
    (
        $(#[doc = $metrics_doc:literal])+ $metrics:ident,
        $(#[doc = $snapshot_doc:literal])+ $snapshot:ident,
        $( #[doc = $help:literal] $field:ident: $kind:ident as $value:ident => $name:literal, )+
    ) => {
        $(#[doc = $metrics_doc])+
        #[derive(Debug, Default)]
        #[non_exhaustive]
        pub struct $metrics {
            $( #[doc = $help] #[doc = concat!("\n\nExported as `", $name, "`.")] pub $field: $kind, )+
        }

        $(#[doc = $snapshot_doc])+
        #[derive(Debug, Clone, PartialEq, Default)]
        #[non_exhaustive]
        pub struct $snapshot {
            $( #[doc = $help] pub $field: $value, )+
        }

        impl $metrics {
            pub(crate) fn snapshot(&self) -> $snapshot {
                $snapshot { $( $field: self.$field.get(), )+ }
            }
        }

        impl $snapshot {
            pub(crate) fn encode(parts: &[Part<'_, Self>], encoder: &mut Encoder<'_>) -> std::fmt::Result {
                $( encoder.single::<$kind, Self>($name, $help, parts, |values| &values.$field)?; )+
                Ok(())
            }

            pub(crate) fn describe(descriptions: &mut Vec<Description>) {
                $( descriptions.push(Description::new($name, <$kind as Instrument>::KIND, $help)); )+
            }
        }
    };
}

role! {
    /// What the journal's writer counts.
    JournalMetrics,
    /// The journal's values at one moment.
    JournalSnapshot,
    /// Entries written to the open segment.
    entries_appended: Counter as u64 => "graphstream_journal_appended_entries",
    /// Payload bytes written to the open segment.
    bytes_appended: Counter as u64 => "graphstream_journal_appended_bytes",
    /// Calls of fdatasync on the open segment.
    syncs: Counter as u64 => "graphstream_journal_syncs",
    /// How long fdatasync on the open segment took.
    sync_seconds: DurationHistogram as HistogramSnapshot => "graphstream_journal_sync_seconds",
    /// Entries per group written at once.
    group_entries: CountHistogram as HistogramSnapshot => "graphstream_journal_group_entries",
    /// Segments sealed.
    segments_sealed: Counter as u64 => "graphstream_journal_sealed_segments",
    /// How long sealing a segment took.
    seal_seconds: DurationHistogram as HistogramSnapshot => "graphstream_journal_seal_seconds",
    /// Segments waiting to be sealed; at the limit, appends wait.
    segments_waiting: Gauge as u64 => "graphstream_journal_waiting_segments",
    /// Appends failed because the disk was full.
    full: Counter as u64 => "graphstream_journal_full",
    /// Bytes of segments that cursors hold back; counted where that is bounded.
    held_bytes: Gauge as u64 => "graphstream_journal_held_bytes",
    /// How often cursors held back as many bytes as they may, so that appends waited or failed.
    budget_exhaustions: Counter as u64 => "graphstream_journal_budget_exhaustions",
    /// 1 after a failed write or sync: the journal must be opened again.
    poisoned: Gauge as u64 => "graphstream_journal_poisoned",
    /// The last entry that is in the operating system.
    written_sequence: Gauge as u64 => "graphstream_journal_written_sequence",
    /// The last entry that fdatasync returned for.
    synced_sequence: Gauge as u64 => "graphstream_journal_synced_sequence",
    /// The last entry in a sealed segment.
    sealed_sequence: Gauge as u64 => "graphstream_journal_sealed_sequence",
}

role! {
    /// What the leader's uploader counts.
    LeaderMetrics,
    /// The leader's values at one moment.
    LeaderSnapshot,
    /// Statements that the determinism guard refused.
    statements_refused: Counter as u64 => "graphstream_leader_refused_statements",
    /// Statements whose clocks or UUID the determinism guard replaced by the entry's.
    statements_rewritten: Counter as u64 => "graphstream_leader_rewritten_statements",
    /// Segments put into the object store.
    segments_uploaded: Counter as u64 => "graphstream_leader_uploaded_segments",
    /// Bytes of segments put into the object store.
    bytes_uploaded: Counter as u64 => "graphstream_leader_uploaded_bytes",
    /// Uploads of a segment that failed and are tried again.
    upload_failures: Counter as u64 => "graphstream_leader_upload_failures",
    /// How long uploading a segment took.
    upload_seconds: DurationHistogram as HistogramSnapshot => "graphstream_leader_upload_seconds",
    /// Heads published.
    publications: Counter as u64 => "graphstream_leader_publications",
    /// Publications of a head that failed and are tried again.
    publication_failures: Counter as u64 => "graphstream_leader_publication_failures",
    /// How long publishing a head took.
    publication_seconds: DurationHistogram as HistogramSnapshot => "graphstream_leader_publication_seconds",
    /// Segments that a head published by this leader has covered first.
    segments_published: Counter as u64 => "graphstream_leader_published_segments",
    /// Bytes of segments that a head published by this leader has covered first.
    bytes_published: Counter as u64 => "graphstream_leader_published_bytes",
    /// Looks at the journal that did not publish everything sealed.
    archive_failures: Counter as u64 => "graphstream_leader_archive_failures",
    /// When such a look last ended, in ms since 1970-01-01 UTC; 0 before one has.
    last_archive_failure_ms: Gauge as u64 => "graphstream_leader_last_archive_failure_ms",
    /// Sealed segments not covered by the published head, at the last look.
    queue_segments: Gauge as u64 => "graphstream_leader_queue_segments",
    /// Bytes of sealed segments not covered by the published head, at the last look.
    queue_bytes: Gauge as u64 => "graphstream_leader_queue_bytes",
    /// The last entry covered by the published head.
    committed_sequence: Gauge as u64 => "graphstream_leader_committed_sequence",
    /// Entries written but not covered by the published head: what a lost disk would lose.
    rpo_entries: Gauge as u64 => "graphstream_leader_rpo_entries",
    /// Age of the oldest sealed entry not covered by the published head, at the last look; 0 without one.
    rpo_seconds: SecondsGauge as f64 => "graphstream_leader_rpo_seconds",
    /// Whether what is journaled gets away: 0 yes (healthy), 1 the store fails (degraded), 2 the disk budget is exhausted (full).
    outage_state: Gauge as u64 => "graphstream_leader_outage_state",
    /// How often the leader ceased to be healthy.
    outages: Counter as u64 => "graphstream_leader_outages",
    /// How long it was not healthy, in all.
    outage_seconds: SecondsGauge as f64 => "graphstream_leader_outage_seconds",
    /// 1 when another leader has taken over.
    fenced: Gauge as u64 => "graphstream_leader_fenced",
    /// The epoch this leader has claimed; 0 before it has.
    epoch: Gauge as u64 => "graphstream_leader_epoch",
    /// When the head was last published, in ms since 1970-01-01 UTC; 0 before it was.
    last_publication_ms: Gauge as u64 => "graphstream_leader_last_publication_ms",
}

role! {
    /// What a follower counts.
    FollowerMetrics,
    /// The follower's values at one moment.
    FollowerSnapshot,
    /// Requests for the head.
    head_polls: Counter as u64 => "graphstream_follower_head_polls",
    /// Requests for the head that found it unchanged.
    head_not_modified: Counter as u64 => "graphstream_follower_head_not_modified",
    /// Segments fetched from the object store.
    segments_fetched: Counter as u64 => "graphstream_follower_fetched_segments",
    /// Bytes of segments fetched from the object store.
    bytes_fetched: Counter as u64 => "graphstream_follower_fetched_bytes",
    /// Segments found in the cache, where an earlier follower had left them.
    segments_reused: Counter as u64 => "graphstream_follower_reused_segments",
    /// Entries applied to the target.
    entries_applied: Counter as u64 => "graphstream_follower_applied_entries",
    /// Entries that the target refused and that were skipped, as an operator had said.
    entries_skipped: Counter as u64 => "graphstream_follower_skipped_entries",
    /// Batches applied to the target.
    batches_applied: Counter as u64 => "graphstream_follower_applied_batches",
    /// How long applying a batch took.
    apply_seconds: DurationHistogram as HistogramSnapshot => "graphstream_follower_apply_seconds",
    /// The last entry applied to the target.
    applied_sequence: Gauge as u64 => "graphstream_follower_applied_sequence",
    /// The last entry covered by the head as last read.
    committed_sequence: Gauge as u64 => "graphstream_follower_committed_sequence",
    /// Entries committed but not applied.
    lag_entries: Gauge as u64 => "graphstream_follower_lag_entries",
    /// Bytes of segments committed but not applied.
    lag_bytes: Gauge as u64 => "graphstream_follower_lag_bytes",
    /// Time from the commit of the last applied entry to that of the last committed one.
    lag_seconds: SecondsGauge as f64 => "graphstream_follower_lag_seconds",
    /// Fetches of a head or a segment that failed and are tried again.
    fetch_failures: Counter as u64 => "graphstream_follower_fetch_failures",
    /// Batches the target failed to apply.
    target_failures: Counter as u64 => "graphstream_follower_target_failures",
    /// Targets that a snapshot took the place of, because the next entries were not in the store any more.
    replacements: Counter as u64 => "graphstream_follower_replacements",
    /// How long replacing a target took, from fetching the snapshot to its last entry.
    replacement_seconds: DurationHistogram as HistogramSnapshot => "graphstream_follower_replacement_seconds",
}

role! {
    /// What the maker of snapshots counts.
    SnapshotMetrics,
    /// The values of the maker of snapshots at one moment.
    SnapshotSnapshot,
    /// Snapshots made, or found to be there already.
    created: Counter as u64 => "graphstream_snapshot_created",
    /// Snapshots that could not be made.
    failures: Counter as u64 => "graphstream_snapshot_failures",
    /// How long making a snapshot took, reading back included.
    seconds: DurationHistogram as HistogramSnapshot => "graphstream_snapshot_seconds",
    /// Bytes of data objects of the snapshots made.
    stored_bytes: Counter as u64 => "graphstream_snapshot_stored_bytes",
    /// The last entry in the newest snapshot made.
    last_sequence: Gauge as u64 => "graphstream_snapshot_last_sequence",
    /// When the newest snapshot was made, in ms since 1970-01-01 UTC; 0 before one was.
    last_ms: Gauge as u64 => "graphstream_snapshot_last_ms",
}

role! {
    /// What verifying a published database counts.
    VerifyMetrics,
    /// The values of verifying at one moment.
    VerifySnapshot,
    /// Verifications that came to an end.
    runs: Counter as u64 => "graphstream_verify_runs",
    /// Verifications that found damage, or could not be finished.
    failures: Counter as u64 => "graphstream_verify_failures",
    /// What the last finished verification found to be damaged.
    damaged: Gauge as u64 => "graphstream_verify_damaged",
    /// Objects in the store that were no part of the history at the last finished verification.
    leftovers: Gauge as u64 => "graphstream_verify_leftovers",
    /// How deep the last verification looked: 1 at names (list), 2 at every byte (chain), 3 at every entry (replay).
    depth: Gauge as u64 => "graphstream_verify_depth",
    /// When the last verification ended, in ms since 1970-01-01 UTC; 0 before one has.
    last_ms: Gauge as u64 => "graphstream_verify_last_ms",
    /// When a verification last found nothing damaged, in ms since 1970-01-01 UTC; 0 before one has.
    last_success_ms: Gauge as u64 => "graphstream_verify_last_success_ms",
    /// How long verifying took.
    seconds: DurationHistogram as HistogramSnapshot => "graphstream_verify_seconds",
    /// How long the last replay of everything took: the time to restore.
    restore_seconds: SecondsGauge as f64 => "graphstream_verify_restore_seconds",
    /// Bytes of segments that were fetched for it.
    restore_bytes: Gauge as u64 => "graphstream_verify_restore_bytes",
}

/// Whose values they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The journal's writer.
    Journal,
    /// The leader's uploader.
    Leader,
    /// The follower.
    Follower,
    /// The maker of snapshots.
    Snapshot,
    /// Verifying what is published.
    Verify,
    /// The requests to the object store.
    Storage,
}

/// All metrics of one process. A role that does not run leaves its own at 0.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct GraphstreamMetrics {
    /// The journal's writer.
    pub journal: JournalMetrics,
    /// The leader's uploader.
    pub leader: LeaderMetrics,
    /// The follower.
    pub follower: FollowerMetrics,
    /// The maker of snapshots.
    pub snapshot: SnapshotMetrics,
    /// Verifying what is published.
    pub verify: VerifyMetrics,
    /// The requests to the object store, of all roles.
    pub storage: StorageMetrics,
}

impl GraphstreamMetrics {
    /// New metrics, ready to be shared between the roles.
    pub fn shared() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// All values now. They are read one after another: values of different metrics may be some operations apart.
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            journal: self.journal.snapshot(),
            leader: self.leader.snapshot(),
            follower: self.follower.snapshot(),
            snapshot: self.snapshot.snapshot(),
            verify: self.verify.snapshot(),
            storage: self.storage.snapshot(),
        }
    }

    /// What every metric is called, is, and means; in the order of the text.
    pub fn descriptions() -> Vec<Description> {
        let mut descriptions = Vec::new();
        JournalSnapshot::describe(&mut descriptions);
        LeaderSnapshot::describe(&mut descriptions);
        FollowerSnapshot::describe(&mut descriptions);
        SnapshotSnapshot::describe(&mut descriptions);
        VerifySnapshot::describe(&mut descriptions);
        StorageSnapshot::describe(&mut descriptions);
        descriptions
    }
}

/// All values at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// The journal's writer.
    pub journal: JournalSnapshot,
    /// The leader's uploader.
    pub leader: LeaderSnapshot,
    /// The follower.
    pub follower: FollowerSnapshot,
    /// The maker of snapshots.
    pub snapshot: SnapshotSnapshot,
    /// Verifying what is published.
    pub verify: VerifySnapshot,
    /// The requests to the object store.
    pub storage: StorageSnapshot,
}

impl Instrument for Counter {
    type Value = u64;
    const KIND: crate::MetricKind = crate::MetricKind::Counter;
}

impl Instrument for Gauge {
    type Value = u64;
    const KIND: crate::MetricKind = crate::MetricKind::Gauge;
}

impl Instrument for SecondsGauge {
    type Value = f64;
    const KIND: crate::MetricKind = crate::MetricKind::Gauge;
}

impl Instrument for DurationHistogram {
    type Value = HistogramSnapshot;
    const KIND: crate::MetricKind = crate::MetricKind::Histogram;
}

impl Instrument for CountHistogram {
    type Value = HistogramSnapshot;
    const KIND: crate::MetricKind = crate::MetricKind::Histogram;
}
