//! The archive state: what is archived (uploaded and published), what waits, what failed, and what a lost machine would cost.
//!
//! ```text
//!   archived        waiting, in order                      open segment
//!   ...──────┤├── plan: at most a batch ──┤├── ... ──┤├───────────
//!            ▲ mark_archived moves it                     written ▲
//!            └──────────────── the gap: RPO ──────────────────────┘
//! ```
//! [`ArchiveState`] decides and counts, and does no I/O: the [`Uploader`](crate::Uploader) is driven by it, and an embedder with I/O of
//! its own can be.
//!
//! ```
//! use graphstream_replication::{ArchiveOptions, ArchiveSegment, ArchiveState, LiveJournal};
//!
//! let mut state = ArchiveState::new(ArchiveOptions::default(), 0);
//! state.sealed(ArchiveSegment::new(1..=40, 4096).with_first_commit_ms(1_000))?;
//! state.sealed(ArchiveSegment::new(41..=90, 4096).with_first_commit_ms(2_000))?;
//! let plan = state.plan();
//! assert_eq!(plan.segments.len(), 2);
//! // The first is copied; the second is not.
//! state.mark_archived(40, 3_000);
//! state.mark_failed(41, "the store is away", 3_001);
//! let status = state.status(LiveJournal::at(95, 4_000));
//! assert_eq!((status.archived, status.pending.segments, status.gap_entries), (40, 1, 55));
//! assert_eq!(status.gap_seconds, 2.0);
//! # Ok::<(), graphstream_replication::NotNext>(())
//! ```

mod look;
mod state;
mod view;

pub(crate) use look::{Gap, Look, Names};
pub use state::{
    ArchiveFailure, ArchiveOptions, ArchivePlan, ArchiveSegment, ArchiveState, ArchiveStatus, LiveJournal,
    NotNext, Pending,
};
pub use view::ArchiveView;
