//! Segments that every cursor has passed may go.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::sync::Arc;

use graphstream_journal::JournalDir;
use graphstream_testkit::Crashes;
use memory::{DIR, builder, payload, read, sealed};

/// L11: the power is cut at any step of cleaning up; what is left begins later and has no hole, and nothing that a cursor holds back is gone.
#[test]
fn l11_cleaning_up_survives_power_cuts() {
    let fs = sealed(18).after_kill();
    let dir = JournalDir::open_on(DIR, Arc::new(fs.clone())).unwrap();
    dir.set_cursor("uploader", 11, 1_000).unwrap();
    assert_eq!(dir.remove_released().unwrap(), 3, "1..=9");
    let mut crashes = Crashes::of(&fs);
    let mut firsts = Vec::new();
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 2, at as u64) {
            let fs = image.boot();
            let entries = read(&fs);
            let first = entries[0].sequence;
            assert!(first <= 10, "{image:?}");
            assert!(entries.into_iter().map(|entry| entry.payload).eq((first..=18).map(payload)));
            firsts.push(first);
            let (journal, report) = builder(&fs).open().unwrap();
            assert_eq!(report.position.sequence, 18);
            drop(journal);
            let dir = JournalDir::open_on(DIR, Arc::new(fs.clone())).unwrap();
            dir.remove_released().unwrap();
            assert!([1, 10].contains(&read(&fs)[0].sequence), "with its cursor or without, it can go on");
        }
    }
    firsts.dedup();
    assert_eq!(firsts.last(), Some(&10));
    assert!(firsts.len() > 3, "{firsts:?}");
}
