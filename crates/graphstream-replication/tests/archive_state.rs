//! The archive state: whatever is sealed, archived or fails, in whatever order, it goes on in order and archives nothing twice.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use graphstream_replication::{ArchiveOptions, ArchiveSegment, ArchiveState, LiveJournal, NotNext};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Sealed {
        entries: u64,
        bytes: u64,
    },
    /// As many segments of the plan arrive.
    Archived(usize),
    /// Somebody else archived so many entries more.
    Elsewhere(u64),
    Failed,
    /// A segment that is known, or that leaves a hole.
    Wrong {
        ahead: bool,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (1..20_u64, 1..5000_u64).prop_map(|(entries, bytes)| Event::Sealed { entries, bytes }),
        3 => (0..6_usize).prop_map(Event::Archived),
        1 => (0..30_u64).prop_map(Event::Elsewhere),
        1 => Just(Event::Failed),
        1 => any::<bool>().prop_map(|ahead| Event::Wrong { ahead }),
    ];
    prop::collection::vec(event, 0..60)
}

proptest! {
    #[test]
    fn it_archives_in_order_and_nothing_twice(events in events(), batch in 1..6_usize, start in 0..1000_u64) {
        let options = ArchiveOptions::default().with_batch_segments_max(batch);
        let mut state = ArchiveState::new(options, start);
        // All that was ever sealed, and how many of it our plans have archived.
        let mut sealed: Vec<ArchiveSegment> = Vec::new();
        let (mut archived, mut ours, mut failures) = (start, Vec::new(), 0);
        let end = |sealed: &[ArchiveSegment]| sealed.last().map_or(start, |segment| segment.last);
        for (now_ms, event) in (1..).zip(events) {
            match event {
                Event::Sealed { entries, bytes } => {
                    let first = end(&sealed).max(archived) + 1;
                    let segment = ArchiveSegment::new(first..=first + entries - 1, bytes).with_first_commit_ms(now_ms);
                    state.sealed(segment).unwrap();
                    sealed.push(segment);
                }
                Event::Archived(count) => {
                    let plan = state.plan();
                    let covered: Vec<_> = plan.segments.iter().take(count).copied().collect();
                    let through = covered.last().map_or(archived, |segment| segment.last);
                    prop_assert_eq!(state.mark_archived(through, now_ms), covered.clone());
                    prop_assert!(state.mark_archived(through, now_ms).is_empty(), "once");
                    archived = through;
                    ours.extend(covered);
                }
                Event::Elsewhere(entries) => {
                    archived += entries;
                    state.archived_elsewhere(archived);
                }
                Event::Failed => {
                    let before = state.plan();
                    state.mark_failed(archived + 1, "away", now_ms);
                    failures += 1;
                    prop_assert_eq!(state.plan(), before, "a failure advances nothing");
                }
                Event::Wrong { ahead } => {
                    let expected = state.expected();
                    let first = if ahead { expected + 1 } else { expected.saturating_sub(1).max(1) };
                    let wrong = ArchiveSegment::new(first..=first + 3, 1);
                    let waiting = state.pending().segments > 0;
                    if ahead || (waiting && first < expected) {
                        prop_assert_eq!(state.sealed(wrong), Err(NotNext { first, last: first + 3, expected }));
                    }
                }
            }
            let waiting: Vec<_> = sealed.iter().filter(|segment| segment.last > archived).copied().collect();
            let plan = state.plan();
            prop_assert_eq!(plan.after, archived);
            prop_assert_eq!(&plan.segments[..], &waiting[..waiting.len().min(batch)]);
            for pair in plan.segments.windows(2) {
                prop_assert_eq!(pair[0].last + 1, pair[1].first, "no hole, no overlap");
            }
            let written = end(&sealed).max(archived) + 7;
            let status = state.status(LiveJournal::at(written, now_ms + 1000).with_open(100, now_ms));
            prop_assert_eq!(status.archived, archived);
            prop_assert_eq!(status.gap_entries, written - archived);
            prop_assert_eq!(status.gap_bytes, waiting.iter().map(|segment| segment.bytes).sum::<u64>() + 100);
            let oldest = waiting.first().map_or(now_ms, |segment| segment.first_commit_ms);
            prop_assert_eq!(status.gap_seconds, (now_ms + 1000 - oldest) as f64 / 1000.0);
            prop_assert_eq!(status.pending.segments, waiting.len());
            prop_assert_eq!(status.pending.entries, end(&sealed).saturating_sub(archived));
            prop_assert_eq!(status.archived_segments, ours.len() as u64);
            prop_assert_eq!(status.archived_bytes, ours.iter().map(|segment| segment.bytes).sum::<u64>());
            prop_assert_eq!(status.failures, failures);
            prop_assert_eq!(status.last_failure.is_some(), failures > 0);
        }
        ours.windows(2).for_each(|pair| assert!(pair[0].last < pair[1].first, "{pair:?}"));
    }
}

#[test]
fn nothing_waits_and_nothing_is_lost_when_all_is_archived() {
    let mut state = ArchiveState::new(ArchiveOptions::default(), 0);
    state.sealed(ArchiveSegment::new(1..=9, 100).with_first_commit_ms(5)).unwrap();
    state.mark_archived(9, 10);
    let status = state.status(LiveJournal::at(9, 99_000).with_open(4096, 1));
    assert_eq!((status.gap_entries, status.gap_bytes, status.archived_ms), (0, 0, Some(10)));
    assert_eq!(status.gap_seconds, 0.0);
}
