//! Futures are woken once what they wait for has happened, and may be dropped at any time.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::{Context, Waker};

use graphstream_journal::{Ack, Error, Level, Service, SyncPolicy};
use shuttle::future::block_on;
use shuttle::thread;

use super::rig::{every_schedule, open, options, read};
use crate::crash_fs::{CrashFs, Fault};

#[test]
fn every_future_is_woken() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Never));
        let waiting: Vec<_> = [Ack::Written, Ack::Synced]
            .into_iter()
            .map(|ack| {
                let journal = journal.clone();
                thread::spawn(move || block_on(journal.append(b"entry").unwrap().acked(ack)).unwrap())
            })
            .collect();
        block_on(journal.reached(1, Level::Synced)).unwrap();
        let sequences: Vec<u64> =
            waiting.into_iter().map(|waiting| *waiting.join().unwrap().start()).collect();
        assert!(sequences == [1, 2] || sequences == [2, 1]);
        journal.close().unwrap();
    });
}

/// Polled once, then dropped: the entry is written all the same, and the others are told.
#[test]
fn a_dropped_future_changes_nothing() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Always));
        let other = journal.clone();
        let other = thread::spawn(move || {
            let ticket = other.append(b"given up").unwrap();
            let mut future = pin!(ticket.acked(Ack::Synced));
            let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        });
        block_on(journal.append(b"awaited").unwrap().acked(Ack::Synced)).unwrap();
        other.join().unwrap();
        journal.close().unwrap();
        assert_eq!(read(&fs).len(), 2);
    });
}

/// The close, or a sync that fails, ends every wait.
#[test]
fn the_journals_end_wakes_every_future() {
    for fails in [false, true] {
        every_schedule(move || {
            let fs = CrashFs::new();
            let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Always));
            let _ = journal.append(b"first").unwrap().wait(Ack::Synced).unwrap();
            if fails {
                // A write, then a sync.
                fs.fail(fs.calls() + 1, Fault::Error(ErrorKind::Other));
            }
            let handle = journal.clone();
            let waiting = thread::spawn(move || block_on(handle.append(b"entry")?.acked(Ack::Synced)));
            let handle = journal.clone();
            let never = thread::spawn(move || block_on(handle.reached(100, Level::Written)));
            let closed = journal.close();
            assert!(closed.is_ok() || fails, "{closed:?}");
            let (waiting, never) = (waiting.join().unwrap(), never.join().unwrap());
            match waiting {
                Ok(sequences) => assert_eq!(sequences, 2..=2),
                Err(Error::Closed) => {}
                Err(Error::Unresolved { .. } | Error::Poisoned { .. }) => assert!(fails),
                Err(error) => panic!("{error:?}"),
            }
            assert!(never.is_err());
        });
    }
}
