//! What a lost head said, as far as epoch objects and names tell. Pure.
//!
//! ```text
//!   objects     e1 from 0          e3 from 7                                     (never deleted)
//!   level 0     e1 [1..4][5..7]    e1 [8..9] an orphan: beyond e3's start
//!               e2 anything        an epoch without an object of its own is damage; one that committed nothing has one
//!                                  e3 [8..10][11..12]    [14..15] behind a hole: not committed, or not proven to be
//!   level 1     [1...........10]   was history when it was merged, and so are all before it
//!                                          └─ committed: 12
//! ```
//! Whatever was committed is in the longest run of the last epoch, because publication is in order. The run may hold more than the head
//! did: segments that were uploaded and not yet published. They are history from then on, as if their leader had published them last.

use crate::error::{Error, Result};
use crate::plan::cover;
use crate::{EpochObject, EpochRow, Identity, PlannedSegment, RepairProblem, sabotage};

/// What is committed, as far as names tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposed {
    pub(super) identity: Identity,
    /// Of the epochs that may have history, ascending.
    pub(super) rows: Vec<EpochRow>,
    /// The last epoch's, where the run begins.
    pub(super) start: EpochRow,
    /// What holds everything behind the last epoch's start, in order.
    pub(super) run: Vec<PlannedSegment>,
    pub(super) committed: u64,
    pub(super) commit_ms: i64,
    /// Where encryption began; `None` if it did not.
    pub(super) plain_up_to: Option<u64>,
    /// The largest number that an epoch object has; no key has a larger one.
    pub(super) newest_epoch: u32,
}

/// Proposes from all epoch objects and all segments. `highest` is the largest epoch in any key.
pub(super) fn propose(
    objects: &[EpochObject],
    segments: &[PlannedSegment],
    highest: u32,
) -> Result<Proposed> {
    let refuse = |problem| Err(Error::Unrepairable { problem });
    let Some(last) = objects.last() else { return refuse(RepairProblem::NoEpoch) };
    let identity = Identity::new(last.database_id, last.lineage);
    if objects.iter().any(|object| Identity::new(object.database_id, object.lineage) != identity) {
        return refuse(RepairProblem::SeveralHistories);
    }
    // No segment is put under an epoch before its object stands.
    if highest > last.row.epoch {
        return refuse(RepairProblem::EpochWithoutObject { epoch: highest });
    }
    let all: Vec<EpochRow> = objects.iter().map(|object| object.row).collect();
    if !all.is_sorted_by(|a, b| a.epoch < b.epoch && a.start_sequence <= b.start_sequence) {
        return refuse(RepairProblem::EpochsContradict);
    }
    // An epoch that committed nothing is none: the next one starts where it did.
    let mut rows = all.clone();
    rows.dedup_by(|later, earlier| {
        let nothing = later.start_sequence == earlier.start_sequence;
        if nothing {
            *earlier = *later;
        }
        nothing
    });
    let history: Vec<PlannedSegment> =
        segments.iter().filter(|segment| may_be_history(&rows, segment)).copied().collect();
    let start = last.row.start_sequence;
    let run = cover(start, history.clone());
    // What was merged had been committed.
    let merged = history.iter().filter(|segment| segment.name.level() > 0).map(|segment| segment.name.last());
    if let Some(last) = merged.max().filter(|last| *last > run.reaches) {
        return refuse(RepairProblem::Gap { first: run.reaches.saturating_add(1), last });
    }
    let committed = run.reaches;
    let times = history.iter().filter(|segment| segment.name.last() <= committed);
    let commit_ms = times.map(|segment| segment.name.commit_ms()).max().unwrap_or(0);
    let keyed = all.iter().find(|row| row.start_chain.key_id().is_some());
    Ok(Proposed {
        identity,
        rows,
        start: last.row,
        run: run.segments,
        committed,
        commit_ms,
        plain_up_to: keyed.map(|row| row.start_sequence),
        newest_epoch: last.row.epoch,
    })
}

/// The history rule, but for how far the last epoch has committed.
fn may_be_history(rows: &[EpochRow], segment: &PlannedSegment) -> bool {
    let name = segment.name;
    if name.level() > 0 {
        return true;
    }
    let Ok(at) = rows.binary_search_by_key(&name.epoch(), |row| row.epoch) else { return false };
    let starts_within = rows.get(at).is_some_and(|row| row.start_sequence < name.first());
    let ends_within = rows.get(at + 1).is_none_or(|next| name.last() <= next.start_sequence);
    starts_within && (ends_within || sabotage::is("repair_adopts_orphans"))
}
