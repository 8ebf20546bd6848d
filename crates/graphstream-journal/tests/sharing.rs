//! Several journals in one process share its service threads, and are not held up by each other.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use graphstream_journal::{Journal, JournalOptions, Level, SyncPolicy};
use hooked_fs::HookedFs;

const PATIENCE: Duration = Duration::from_secs(20);

fn open(fs: &HookedFs) -> Journal {
    let options = JournalOptions::default().with_sync_policy(SyncPolicy::Interval(Duration::from_millis(2)));
    Journal::builder("/journal").options(options).fs(Arc::new(fs.clone())).open().unwrap().0
}

/// A journal whose interval sync is under way and ends when the sender is dropped.
fn stuck() -> (Journal, Sender<()>) {
    let fs = HookedFs::default();
    let journal = open(&fs);
    let (begun, is_stuck): (Sender<()>, Receiver<()>) = channel();
    let (release, released) = channel::<()>();
    fs.in_next_sync_data(move || {
        begun.send(()).unwrap();
        let _ = released.recv();
    });
    let _ = journal.append(b"on a slow device").unwrap();
    is_stuck.recv_timeout(PATIENCE).expect("the timer syncs");
    (journal, release)
}

#[test]
fn slow_devices_do_not_hold_up_the_timers_of_other_journals() {
    let stuck: Vec<_> = (0..4).map(|_| stuck()).collect();
    let journal = open(&HookedFs::default());
    for n in 1..=3 {
        let _ = journal.append(b"on a fast device").unwrap();
        assert!(journal.wait_timeout(n, Level::Synced, PATIENCE).unwrap(), "entry {n} waits for the others");
    }
    for (journal, release) in stuck {
        assert_eq!(journal.positions().synced.sequence, 0);
        drop(release);
        assert!(journal.wait_timeout(1, Level::Synced, PATIENCE).unwrap());
    }
}
