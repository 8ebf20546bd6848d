//! A segment that fills up is synced in parts, before anybody asks, so that leaving it is short. Such a sync is one like any other.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use graphstream_journal::{Ack, Error, Journal, JournalOptions, Level, SyncPolicy, Ticket};
use hooked_fs::HookedFs;

fn open(fs: &HookedFs) -> Journal {
    // Nobody else syncs under this policy.
    let options = JournalOptions::default().with_sync_policy(SyncPolicy::Never);
    Journal::builder("/journal").options(options).fs(Arc::new(fs.clone())).open().unwrap().0
}

/// More than a quarter of a segment.
fn fill(journal: &Journal) -> Vec<Ticket> {
    let append = |n: u8| {
        let ticket = journal.append(vec![n; 300 << 10]).unwrap();
        ticket.wait(Ack::Written).unwrap();
        ticket
    };
    (1..=4).map(append).collect()
}

#[test]
fn a_quarter_of_a_segment_is_synced_though_nobody_asks() {
    let journal = open(&HookedFs::default());
    let tickets = fill(&journal);
    journal.wait(4, Level::Synced).unwrap();
    assert_eq!(tickets[3].wait(Ack::Synced).unwrap(), 4..=4);
}

#[test]
fn a_failed_early_sync_ends_the_journal() {
    let fs = HookedFs::default();
    let journal = open(&fs);
    fs.fail_next_sync_data();
    let tickets = fill(&journal);
    let error = journal.wait(4, Level::Synced).unwrap_err();
    assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
    for ticket in &tickets {
        let error = ticket.wait(Ack::Synced).unwrap_err();
        assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
    }
    assert!(matches!(journal.append(b"late"), Err(Error::Poisoned { .. })));
}

#[test]
fn what_is_written_during_an_early_sync_is_not_covered_by_it() {
    let fs = HookedFs::default();
    let journal = open(&fs);
    let (reached, in_sync) = channel();
    let (go_on, told) = channel::<()>();
    fs.in_next_sync_data(move || {
        reached.send(()).unwrap();
        told.recv().unwrap();
    });
    let tickets = fill(&journal);
    in_sync.recv().unwrap();
    let later = journal.append(b"during the sync").unwrap();
    assert_eq!(later.wait(Ack::Written).unwrap(), 5..=5);
    go_on.send(()).unwrap();
    assert_eq!(tickets[3].wait(Ack::Synced).unwrap(), 4..=4);
    assert_eq!(journal.positions().synced.sequence, 4);
    assert_eq!(later.wait(Ack::Synced).unwrap(), 5..=5);
}

/// The pool's job for syncs waits for the disk, and something else is appended: that much is written by then, or the test fails.
fn is_written_beside_a_slow_sync(appended: impl Fn(&Journal), sequence: u64) {
    let fs = HookedFs::default();
    let (journal, _) = Journal::builder("/journal").fs(Arc::new(fs.clone())).open().unwrap();
    let (reached, in_sync) = channel();
    let (go_on, told) = channel::<()>();
    fs.in_next_sync_data(move || {
        reached.send(()).unwrap();
        told.recv().unwrap();
    });
    let _ = journal.append(b"nobody waits for it").unwrap();
    in_sync.recv().unwrap();
    appended(&journal);
    let (tell, written) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            journal.wait(sequence, Level::Written).unwrap();
            tell.send(()).unwrap();
        });
        let written = written.recv_timeout(Duration::from_secs(20));
        go_on.send(()).unwrap();
        written.expect("nobody writes");
    });
}

#[test]
fn a_burst_is_written_beside_a_slow_sync() {
    let burst = |journal: &Journal| (0..12).for_each(|n| drop(journal.append(vec![n; 100 << 10]).unwrap()));
    is_written_beside_a_slow_sync(burst, 11);
}

#[test]
fn an_entry_that_nobody_waits_for_is_written_beside_a_slow_sync() {
    is_written_beside_a_slow_sync(|journal| drop(journal.append(b"nor for this").unwrap()), 2);
}
