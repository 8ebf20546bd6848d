//! What a restore will do, before it does anything. Choosing is pure: from what is there, to what is fetched.
//!
//! ```text
//!   snapshots      S40          S90                    a database: the newest snapshot at or below the goal from which
//!   segments   [1 ───────── 95]     [101 ─── 140]      segments lead to it; without one, everything from entry 1
//!   goal 93    S90 + 91..93                            a journal: the segments alone, all of them; where the first
//!   goal 97    a hole: 95 below, nothing above         ones are gone, a snapshot must lead into the others
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use graphstream_remote::{PlannedSegment, Run, SnapshotManifest, SnapshotName, StoredHead};

/// What a download is taken to bring, for estimates: bytes a second.
const ASSUMED_BYTES_PER_SECOND: u64 = 100_000_000;
/// What a target is taken to apply, for estimates: entries a second.
const ASSUMED_ENTRIES_PER_SECOND: u64 = 20_000;

/// A snapshot that is not used, though it would be nearer than the one that is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedSnapshot {
    /// Its name.
    pub name: SnapshotName,
    /// Why not.
    pub reason: String,
}

/// What a restore will do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestorePlan {
    /// The head under which it was planned.
    pub head: Arc<StoredHead>,
    /// The last entry that will be there.
    pub sequence: u64,
    /// Whether a time was asked for and fell into a segment of version 1, which has one time for all its entries: the restore then ends
    /// before that segment, or after it.
    pub time_is_inexact: bool,
    /// The snapshot to begin with, for databases.
    pub snapshot: Option<Arc<SnapshotManifest>>,
    /// Snapshots that would have been nearer.
    pub passed: Vec<PassedSnapshot>,
    /// The entries behind this one come from segments: the snapshot's sequence, or 0; for a journal, what it begins behind.
    pub after: u64,
    /// The segments, in order.
    pub segments: Vec<PlannedSegment>,
    /// Whether entries are replayed into a database.
    pub(crate) replays: bool,
}

impl RestorePlan {
    /// Bytes of the snapshot's data objects.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.stored_bytes())
    }

    /// Bytes of the segments.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.segments.iter().fold(0, |sum: u64, segment| sum.saturating_add(segment.size))
    }

    /// Entries that come from segments.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.sequence.saturating_sub(self.after)
    }

    /// How long it may take, at 100 MB a second from the store and 20,000 entries a second into a database. A guess, to tell minutes from
    /// hours.
    #[must_use]
    pub fn estimate(&self) -> Duration {
        let bytes = self.snapshot_bytes().saturating_add(self.segment_bytes());
        let entries = if self.replays { self.entries() } else { 0 };
        let ms = |amount: u64, per_second: u64| amount.saturating_mul(1000) / per_second;
        let download = ms(bytes, ASSUMED_BYTES_PER_SECOND);
        Duration::from_millis(download.saturating_add(ms(entries, ASSUMED_ENTRIES_PER_SECOND)))
    }
}

/// Entries that are nowhere, on the way to the goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hole {
    /// What was to be restored.
    pub goal: u64,
    /// The first missing entry.
    pub first: u64,
    /// The last missing one.
    pub last: u64,
    /// The last point before the goal that can be restored, if there is any.
    pub below: Option<u64>,
    /// The first one behind it.
    pub above: Option<u64>,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goal, first, last, below, above } = self;
        write!(f, "entries {first} to {last} are missing on the way to sequence {goal}: ")?;
        match (below, above) {
            (Some(below), Some(above)) => write!(f, "the nearest restorable points are {below} and {above}"),
            (Some(below), None) => {
                write!(f, "the nearest restorable point is {below}, and there is none behind it")
            }
            (None, Some(above)) => {
                write!(f, "the nearest restorable point is {above}, and there is none before it")
            }
            (None, None) => f.write_str("nothing can be restored"),
        }
    }
}

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The entries behind this one come from segments.
    pub(super) after: u64,
    /// Whether that is a snapshot's sequence.
    pub(super) from_snapshot: bool,
    pub(super) segments: Vec<PlannedSegment>,
}

/// For a database: the newest of `snapshots` (sequences, in any order) at or below the goal from which segments lead to it, or all
/// segments.
pub(super) fn for_database(
    goal: u64,
    committed: u64,
    runs: &[Run],
    snapshots: &[u64],
) -> Result<Choice, Hole> {
    let mut bases: Vec<u64> = snapshots.iter().copied().filter(|base| *base <= goal).collect();
    bases.sort_unstable_by(|a, b| b.cmp(a));
    bases.dedup();
    for &base in bases.iter().chain(&[0]) {
        let from_snapshot = base > 0;
        if base == goal {
            return Ok(Choice { after: base, from_snapshot, segments: Vec::new() });
        }
        if let Some(segments) = runs.iter().find_map(|run| run.between(base, goal)) {
            return Ok(Choice { after: base, from_snapshot, segments });
        }
    }
    // How far each base reaches, none of them to the goal.
    let reach = |base: u64| {
        let next = base.saturating_add(1);
        let run = runs.iter().find(|run| run.first <= next && run.last >= next);
        run.map_or(base, |run| run.last)
    };
    let below = bases.iter().chain(&[0]).map(|base| reach(*base)).max().filter(|below| *below > 0);
    let above = snapshots.iter().copied().filter(|base| *base > goal).min();
    Err(hole(goal, committed, runs, below, above))
}

/// For a journal: the segments that lead to the goal without a hole, from as far back as there are any. Without the first ones it is a history only
/// beside a snapshot that it continues: else they are missing, and were not removed.
pub(super) fn for_journal(
    goal: u64,
    committed: u64,
    runs: &[Run],
    snapshots: &[u64],
) -> Result<Choice, Hole> {
    // From where on the entries of a run make a history: from its first one, or from a snapshot in it.
    let begins = |run: &Run| {
        let bases =
            snapshots.iter().copied().filter(|base| *base < run.last && run.first <= base.saturating_add(1));
        if run.first == 1 { Some(1) } else { bases.min().map(|base| base.max(run.first)) }
    };
    let histories: Vec<(u64, &Run)> = runs.iter().filter_map(|run| Some((begins(run)?, run))).collect();
    for &(begins, run) in &histories {
        let after = run.first.saturating_sub(1);
        if begins <= goal
            && let Some(segments) = run.between(after, goal).filter(|segments| !segments.is_empty())
        {
            return Ok(Choice { after, from_snapshot: false, segments });
        }
    }
    let below = histories.iter().map(|(_, run)| run.last).filter(|last| *last < goal).max();
    let above = histories.iter().map(|(begins, _)| *begins).filter(|begins| *begins > goal).min();
    Err(hole(goal, committed, runs, below, above))
}

fn hole(goal: u64, committed: u64, runs: &[Run], below: Option<u64>, above: Option<u64>) -> Hole {
    let first = below.map_or(1, |below| below.saturating_add(1));
    let next = runs.iter().map(|run| run.first).filter(|begin| *begin > first).min();
    let last = next.map_or(committed, |next| next.saturating_sub(1)).max(first);
    Hole { goal, first, last, below, above }
}

#[cfg(test)]
mod tests {
    use graphstream_remote::SegmentName;
    use proptest::prelude::*;

    use super::*;

    fn run(ranges: &[(u64, u64)]) -> Run {
        let segment = |(first, last): &(u64, u64)| {
            PlannedSegment::new(SegmentName::new(0, *first, *last, 1, 0).unwrap(), 10, None)
        };
        Run::new(ranges.iter().map(segment).collect()).unwrap()
    }

    fn chosen(choice: &Choice) -> (u64, Vec<u64>) {
        (choice.after, choice.segments.iter().map(|segment| segment.name.first()).collect())
    }

    #[test]
    fn the_newest_snapshot_below_the_goal_saves_segments() {
        let runs = [run(&[(1, 40), (41, 80), (81, 95)]), run(&[(101, 140)])];
        let database = |goal, snapshots: &[u64]| for_database(goal, 140, &runs, snapshots);
        assert_eq!(chosen(&database(93, &[40, 90]).unwrap()), (90, vec![81]));
        assert_eq!(chosen(&database(90, &[40, 90]).unwrap()), (90, vec![]));
        assert_eq!(chosen(&database(89, &[40, 90]).unwrap()), (40, vec![41, 81]));
        assert_eq!(chosen(&database(39, &[40, 90]).unwrap()), (0, vec![1]));
        assert_eq!(chosen(&database(120, &[40, 100]).unwrap()), (100, vec![101]));
        let journal = |goal, snapshots: &[u64]| for_journal(goal, 140, &runs, snapshots);
        assert_eq!(chosen(&journal(93, &[]).unwrap()), (0, vec![1, 41, 81]));
        assert_eq!(chosen(&journal(102, &[100]).unwrap()), (100, vec![101]));
        assert_eq!(chosen(&journal(130, &[40, 130]).unwrap()), (100, vec![101]));
    }

    #[test]
    fn a_hole_names_the_nearest_points_on_both_sides() {
        let runs = [run(&[(1, 95)]), run(&[(101, 140)])];
        let hole = |goal, first, last, below, above| Err(Hole { goal, first, last, below, above });
        assert_eq!(for_database(97, 140, &runs, &[]), hole(97, 96, 100, Some(95), None));
        assert_eq!(for_database(120, 140, &runs, &[]), hole(120, 96, 100, Some(95), None));
        assert_eq!(for_database(97, 140, &runs, &[40, 130]), hole(97, 96, 100, Some(95), Some(130)));
        assert_eq!(for_journal(97, 140, &runs, &[]), hole(97, 96, 100, Some(95), None));
        assert_eq!(for_journal(97, 140, &runs, &[100]), hole(97, 96, 100, Some(95), Some(101)));
        assert_eq!(for_journal(120, 140, &runs, &[130]), hole(120, 96, 100, Some(95), Some(130)));
        let late = [run(&[(50, 60)])];
        assert_eq!(for_database(55, 60, &late, &[]), hole(55, 1, 49, None, None));
        assert_eq!(for_database(20, 60, &late, &[49]), hole(20, 1, 49, None, Some(49)));
        assert_eq!(for_database(3, 9, &[], &[]), hole(3, 1, 9, None, None));
        // Nothing tells that the first ones may be gone.
        assert_eq!(for_journal(55, 60, &late, &[48]), hole(55, 1, 49, None, None));
    }

    proptest! {
        #[test]
        fn what_is_chosen_leads_to_the_goal_and_what_is_named_is_restorable(
            held in proptest::collection::vec(any::<bool>(), 1..40),
            snapshots in proptest::collection::btree_set(1_u64..40, 0..5),
            goal in 1_u64..40,
        ) {
            let committed = held.len() as u64;
            let goal = goal.min(committed);
            let snapshots: Vec<u64> = snapshots.into_iter().filter(|it| *it <= committed).collect();
            let mut runs = Vec::new();
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for (index, is_held) in held.iter().enumerate() {
                let sequence = index as u64 + 1;
                if *is_held {
                    ranges.push((sequence, sequence));
                } else if !ranges.is_empty() {
                    runs.push(run(&std::mem::take(&mut ranges)));
                }
            }
            if !ranges.is_empty() {
                runs.push(run(&ranges));
            }
            match for_database(goal, committed, &runs, &snapshots) {
                Ok(choice) => {
                    prop_assert!(choice.after == 0 || snapshots.contains(&choice.after));
                    prop_assert_eq!(choice.segments.len() as u64, goal - choice.after);
                    let nearer = snapshots.iter().filter(|it| **it > choice.after && **it <= goal);
                    for snapshot in nearer {
                        let leads = (snapshot + 1..=goal).all(|it| held[it as usize - 1]);
                        prop_assert!(!leads, "snapshot {} is nearer", snapshot);
                    }
                }
                Err(hole) => {
                    prop_assert!(hole.below.is_none_or(|below| below < goal));
                    for point in hole.below.iter().chain(&hole.above) {
                        prop_assert!(for_database(*point, committed, &runs, &snapshots).is_ok());
                    }
                    let between = hole.below.map_or(1, |it| it + 1)..hole.above.unwrap_or(goal + 1);
                    for point in between {
                        prop_assert!(for_database(point, committed, &runs, &snapshots).is_err());
                    }
                }
            }
        }
    }
}
