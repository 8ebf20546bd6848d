//! Everything that is history, as runs without a hole: what a restore chooses from. Pure.

use crate::PlannedSegment;

/// Segments that hold, in order and without a hole, the entries `first..=last`. Each begins at or before the end of the one
/// before plus one; segments of different levels may overlap: readers skip what they have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The first sequence that the segments hold.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The segments, at least one.
    pub segments: Vec<PlannedSegment>,
}

impl Run {
    /// A run of segments that are in order and without a hole; `None` when there are none, or they are not.
    #[must_use]
    pub fn new(segments: Vec<PlannedSegment>) -> Option<Self> {
        let (first, last) = (segments.first()?.name.first(), segments.last()?.name.last());
        let joined = segments.is_sorted_by(|a, b| {
            a.name.last().saturating_add(1) >= b.name.first() && a.name.last() < b.name.last()
        });
        joined.then_some(Self { first, last, segments })
    }

    /// The segments that hold `after + 1 ..= upto`, or `None` when the run does not hold all of that.
    #[must_use]
    pub fn between(&self, after: u64, upto: u64) -> Option<Vec<PlannedSegment>> {
        let holds = self.first <= after.saturating_add(1) && self.last >= upto;
        let mut reaches = after;
        let mut wanted = Vec::new();
        for segment in &self.segments {
            if reaches >= upto {
                break;
            }
            if segment.name.last() > reaches {
                wanted.push(*segment);
                reaches = segment.name.last();
            }
        }
        holds.then_some(wanted)
    }
}

/// Puts history together, of any level and in any order: runs in ascending order with holes between them. Merged segments win
/// over the smaller ones that they contain.
pub(crate) fn runs(mut history: Vec<PlannedSegment>) -> Vec<Run> {
    // By last, then first: whatever could fill a hole before a segment has come before it, or reaches beyond it.
    history.sort_by_key(|segment| (segment.name.last(), segment.name.first(), segment.name.level()));
    let mut runs: Vec<Run> = Vec::new();
    for segment in history {
        let (first, last) = (segment.name.first(), segment.name.last());
        while runs.last().is_some_and(|run| first <= run.first && last > run.last) {
            runs.pop();
        }
        match runs.last_mut() {
            Some(run) if last <= run.last => {}
            Some(run) if first <= run.last.saturating_add(1) => {
                while run.segments.last().is_some_and(|top| first <= top.name.first()) {
                    run.segments.pop();
                }
                run.segments.push(segment);
                run.last = last;
            }
            _ => runs.push(Run { first, last, segments: vec![segment] }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SegmentName;

    fn segment(level: u8, first: u64, last: u64) -> PlannedSegment {
        PlannedSegment::new(SegmentName::new(level, first, last, 1, 0).unwrap(), 1, None)
    }

    fn ranges(history: Vec<PlannedSegment>) -> Vec<(u64, u64, usize)> {
        runs(history).iter().map(|run| (run.first, run.last, run.segments.len())).collect()
    }

    #[test]
    fn holes_part_runs_and_merged_segments_fill_them() {
        let small = || vec![segment(0, 1, 3), segment(0, 4, 6), segment(0, 9, 9)];
        assert_eq!(ranges(small()), [(1, 6, 2), (9, 9, 1)]);
        let merged = |level, first, last| [small(), vec![segment(level, first, last)]].concat();
        assert_eq!(ranges(merged(1, 1, 6)), [(1, 6, 1), (9, 9, 1)]);
        assert_eq!(ranges(merged(1, 5, 9)), [(1, 9, 3)], "the first of two that overlap stays");
        assert_eq!(ranges(merged(1, 1, 12)), [(1, 12, 1)]);
        assert_eq!(ranges(merged(1, 7, 12)), [(1, 12, 3)]);
        assert_eq!(ranges(vec![]), []);
    }

    #[test]
    fn a_part_of_a_run_is_what_holds_it() {
        let runs = runs(vec![segment(0, 3, 5), segment(0, 6, 6), segment(0, 7, 9)]);
        let between = |after, upto| {
            runs[0]
                .between(after, upto)
                .map(|found| found.iter().map(|it| it.name.first()).collect::<Vec<_>>())
        };
        assert_eq!(between(2, 9), Some(vec![3, 6, 7]));
        assert_eq!(between(3, 6), Some(vec![3, 6]));
        assert_eq!(between(5, 7), Some(vec![6, 7]));
        assert_eq!(between(5, 5), Some(vec![]));
        assert_eq!((between(1, 4), between(4, 10)), (None, None));
    }

    proptest! {
        #[test]
        fn runs_hold_exactly_what_the_segments_hold(
            parts in proptest::collection::vec((0_u8..4, 1_u64..40, 0_u64..12), 0..24),
        ) {
            let history: Vec<_> =
                parts.iter().map(|(level, first, more)| segment(*level, *first, first + more)).collect();
            let held = |sequence: u64| {
                history.iter().any(|it| (it.name.first()..=it.name.last()).contains(&sequence))
            };
            let runs = runs(history.clone());
            for sequence in 1..60 {
                let within = runs.iter().filter(|run| (run.first..=run.last).contains(&sequence)).count();
                prop_assert_eq!(within, usize::from(held(sequence)), "{}", sequence);
            }
            for run in &runs {
                let mut reaches = run.first - 1;
                for it in &run.segments {
                    prop_assert!(it.name.first() <= reaches + 1 && it.name.last() > reaches);
                    reaches = it.name.last();
                }
                prop_assert_eq!(reaches, run.last);
            }
            prop_assert!(runs.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }
    }
}
