//! Segments that every cursor has passed may go.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::sync::Arc;

use graphstream_journal::{Ack, Error, JournalDir};
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

/// With entries in the open segment all sealed ones may have been passed: the newest of them stays, or nothing would say where the
/// journal continues.
#[test]
fn l11_an_open_segment_behind_released_ones_is_recovered() {
    let fs = sealed(6).after_kill();
    let (journal, _) = builder(&fs).open().unwrap();
    journal.dir().set_cursor("uploader", 6, 1_000).unwrap();
    let _ = journal.append(payload(7)).unwrap().wait(Ack::Written).unwrap();
    assert_eq!(journal.dir().remove_released().unwrap(), 1, "1..=3");
    let mut crashes = Crashes::of(&fs);
    for image in crashes.at(crashes.boundaries() - 1, 2, 1) {
        let fs = image.boot();
        let (journal, report) = builder(&fs).open().unwrap();
        assert!([6, 7].contains(&report.position.sequence), "{image:?}");
        let next = report.position.sequence + 1;
        assert_eq!(journal.append(payload(next)).unwrap().wait(Ack::Synced).unwrap(), next..=next);
    }
}

/// Five sealed segments of three entries, and an open one with entries 16 and 17, of which the last is not synced.
fn with_open_segment() -> (graphstream_testkit::CrashFs, graphstream_journal::Journal) {
    let fs = sealed(15).after_kill();
    let (journal, _) = builder(&fs).open().unwrap();
    let _ = journal.append(payload(16)).unwrap().wait(Ack::Synced).unwrap();
    let _ = journal.append(payload(17)).unwrap().wait(Ack::Written).unwrap();
    (fs, journal)
}

#[test]
fn releasing_moves_the_cursor_and_frees_what_every_cursor_has_passed() {
    let (_fs, journal) = with_open_segment();
    let sequence = |name: &str| journal.dir().cursor(name).unwrap().map(|cursor| cursor.sequence);
    assert_eq!(journal.release("history", 4).unwrap(), 1, "1..=3");
    assert_eq!(journal.release("uploader", 12).unwrap(), 0, "the other one needs 5");
    assert_eq!(journal.release("history", 9).unwrap(), 2, "4..=9");
    assert_eq!((sequence("history"), sequence("uploader")), (Some(9), Some(12)));
    assert_eq!(journal.release("uploader", 2).unwrap(), 0);
    assert_eq!(sequence("uploader"), Some(12), "a cursor never goes back");
    let error = journal.release("../x", 1).unwrap_err();
    assert!(matches!(error, Error::InvalidCursorName), "{error:?}");
}

#[test]
fn a_cursor_never_stands_beyond_what_is_synced() {
    let (_fs, journal) = with_open_segment();
    for beyond in [17, 18, u64::MAX] {
        let error = journal.release("uploader", beyond).unwrap_err();
        assert!(matches!(error, Error::CursorBeyondSynced { synced: 16, .. }), "{error:?}");
        assert_eq!(journal.dir().cursor("uploader").unwrap(), None, "nothing was changed");
    }
    journal.sync().unwrap();
    journal.release("uploader", 17).unwrap();
}
