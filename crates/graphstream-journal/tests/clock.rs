//! The clock may jump or stand still: order is by sequence, and commit times never decrease.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::sync::Arc;

use graphstream_journal::Ack;
use graphstream_testkit::{CrashFs, SteppingClock};

/// L17: back, forward, and far outside; also while the journal is closed and the clock is set back.
#[test]
fn l17_commit_times_never_decrease_whatever_the_clock_says() {
    let fs = CrashFs::new();
    let mut highest = i64::MIN;
    let mut expected = Vec::new();
    for start in [5_000, 1_000, 90_000, i64::MIN, 90_500, -7] {
        let clock = Arc::new(SteppingClock::starting_at(start));
        let (journal, report) = memory::builder_with_clock(&fs, clock.clone()).open().unwrap();
        assert_eq!(report.last_commit_ms, highest);
        for ms in [start, start.saturating_add(100), start, 0] {
            clock.set(ms);
            let _ = journal.append(b"x").unwrap().wait(Ack::Synced).unwrap();
            highest = highest.max(ms);
            expected.push(highest);
        }
        let open = memory::read(&fs).split_off(expected.len() - 4);
        let times: Vec<i64> = open.iter().map(|entry| entry.commit_ms).collect();
        assert_eq!(times, expected[expected.len() - 4..]);
        assert!(open.iter().all(|entry| entry.commit_exact));
        // One run ends properly, the next one does not.
        if expected.len() % 8 == 0 {
            journal.close().unwrap();
        }
        drop(journal);
    }
    let entries = memory::read(&fs);
    assert!(entries.iter().map(|entry| entry.sequence).eq(1..=expected.len() as u64));
    // Each its own, sealed or not.
    assert!(entries.iter().all(|entry| entry.commit_exact));
    assert!(entries.iter().map(|entry| entry.commit_ms).eq(expected));
}
