//! Leader, uploader and follower: a journal's way into an object store, and from there into other databases.
//!
//! - [`Uploader`] ships the sealed segments of a journal directory and publishes them; it works beside the process that
//!   appends.
//! - [`Leader`] is a journal, its uploader and, optionally, the leader's own database, in one process.
//! - [`Follower`] fetches what is published, verifies it, and replays it into a [`ReplayTarget`](graphstream_replay::ReplayTarget).
//! - [`Snapshot`] copies a database into the store, [`Restore`] brings one, or a journal, back as it was at any point.
//!
//! All of them run on tokio; file work and targets run on blocking threads.

mod archive;
mod budget;
mod chance;
mod drill;
mod error;
mod follower;
mod history;
mod leader;
mod options;
mod outage;
pub mod predecessor;
mod restore;
mod sabotage;
#[cfg(feature = "simulation")]
pub mod simulation;
mod skipping;
mod snapshot;
mod temporary;
mod threads;
mod uploader;
mod verification;

pub use archive::{
    ArchiveFailure, ArchiveOptions, ArchivePlan, ArchiveSegment, ArchiveState, ArchiveStatus, ArchiveView,
    LiveJournal, NotNext, Pending,
};
pub use budget::UploadBudget;
pub use drill::{Drill, drill};
pub use error::{Error, ErrorKind, Result, SnapshotDamage};
pub use follower::{Follower, FollowerStatus, Waiter};
pub use history::{Goal, Point, find_point};
pub use leader::{
    AppendTicket, Appended, Leader, LeaderBuilder, Level, ShutdownReport, Started, Synced, WriteThrough,
    Writing, Written, continue_from_head,
};
pub use options::{FollowerOptions, RestoreOptions, SnapshotOptions, UploaderOptions};
pub use outage::{Outage, OutageEvent, OutageState, OutageTransition};
pub use restore::{
    Hole, PassedSnapshot, Restore, RestorePlan, RestoreProgress, RestoreReport, RestoreStep, RestoredLineage,
};
pub use skipping::SkippingTarget;
pub use snapshot::{
    Engine, JsonlEngine, LastSnapshot, OpenedBy, Quiesce, QuiesceError, Snapshot, SnapshotProgress,
    SnapshotReport, SnapshotSchedule, SnapshotStep,
};
pub use uploader::{
    CacheOptions, CacheStats, CleanupStats, ManifestSegment, OutageStatus, SegmentCache, Shipped,
    UPLOADER_CURSOR, UploadAck, UploadManifest, UploadMessage, Uploader, UploaderHandle,
};
pub use verification::{Verified, VerifyDepth, verify_published};

/// Asks a running follower or uploader to drain and end.
pub use tokio_util::sync::CancellationToken as Stop;
