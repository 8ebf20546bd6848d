//! Two segments are sealed at once, and become visible in order: that no segment is renamed before the one in front of it is on disk
//! is looked at by [`SlowFs`](super::slow_fs::SlowFs), in all tests.

use std::io::ErrorKind;

use graphstream_journal::{Ack, Error, Journal, Service, SyncPolicy};
use shuttle::thread;

use super::rig::{every_schedule, open, options, read};
use crate::crash_fs::{CrashFs, Fault};

/// Each fills a segment.
fn large(n: u8) -> Vec<u8> {
    vec![n; 900]
}

fn append(journal: &Journal, n: u8) {
    let _ = journal.append(large(n)).unwrap().wait(Ack::Written).unwrap();
}

fn all_sealed(fs: &CrashFs, count: u8) {
    assert_eq!(read(fs), (0..count).map(large).collect::<Vec<_>>());
    let names: Vec<_> = fs.files().into_iter().map(|path| path.to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
}

#[test]
fn segments_sealed_at_once_become_visible_in_order() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Never));
        (0..4).for_each(|n| append(&journal, n));
        assert_eq!(journal.close().unwrap().newest_sealed.unwrap().last_sequence, 4);
        all_sealed(&fs, 4);
    });
}

/// Another caller asks for everything to be sealed meanwhile.
#[test]
fn who_asks_for_sealing_takes_part_in_it() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal =
            open(fs.clone(), options(Service::Pool, SyncPolicy::Never).with_waiting_segments_max(2));
        (0..2).for_each(|n| append(&journal, n));
        let other = journal.clone();
        let other = thread::spawn(move || other.seal().unwrap());
        (2..4).for_each(|n| append(&journal, n));
        assert!(other.join().unwrap().unwrap().last_sequence >= 2);
        assert_eq!(journal.close().unwrap().newest_sealed.unwrap().last_sequence, 4);
        all_sealed(&fs, 4);
    });
}

/// One call of the two sealers fails: it is tried again, or whoever asks for sealing is told, and the next attempt succeeds.
#[test]
fn one_failure_among_two_sealers_is_tried_again() {
    for call in [0, 3, 6, 9, 12] {
        every_schedule(move || {
            let fs = CrashFs::new();
            let journal =
                open(fs.clone(), options(Service::Pool, SyncPolicy::Never).with_waiting_segments_max(8));
            (0..3).for_each(|n| append(&journal, n));
            journal.sync().unwrap();
            // From here on it is sealing alone that calls the file system.
            fs.fail(fs.calls() + call, Fault::Error(ErrorKind::Other));
            match journal.seal() {
                Ok(_) => {}
                Err(Error::Shared(source)) => {
                    assert!(matches!(*source, Error::Io { .. } | Error::Segment { .. }))
                }
                Err(error) => panic!("{error:?}"),
            }
            fs.heal();
            assert_eq!(journal.close().unwrap().newest_sealed.unwrap().last_sequence, 3);
            all_sealed(&fs, 3);
        });
    }
}

/// The last handle goes while segments wait: nothing touches the directory afterwards, and the next open seals what is left.
#[test]
fn a_journal_dropped_while_two_are_sealed_is_left_alone() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Never));
        (0..4).for_each(|n| append(&journal, n));
        drop(journal);
        let left = fs.calls();
        let again = open(fs.clone(), options(Service::Inline, SyncPolicy::Never));
        assert_eq!(again.close().unwrap().newest_sealed.unwrap().last_sequence, 4);
        assert!(fs.calls() > left);
        all_sealed(&fs, 4);
    });
}
