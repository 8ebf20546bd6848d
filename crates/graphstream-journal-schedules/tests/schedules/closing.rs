//! The journal ends while others use it.

use graphstream_journal::{Ack, Error, Level, Service, SyncPolicy};
use shuttle::thread;

use super::rig::{append, check, every_schedule, open, open_on, options, read};
use super::slow_fs::SlowFs;
use crate::crash_fs::CrashFs;

/// What was accepted is written, synced and sealed, and said so; the rest finds the journal closed.
fn close_among_producers(service: Service, sync_policy: SyncPolicy) {
    let fs = CrashFs::new();
    let journal = open(fs.clone(), options(service, sync_policy));
    let producers: Vec<_> = (0..3_u8)
        .map(|producer| {
            let (journal, fs) = (journal.clone(), fs.clone());
            let ack = if producer == 0 { Ack::Written } else { Ack::Synced };
            thread::spawn(move || match append(&journal, &fs, vec![producer; 20], ack) {
                Ok(acknowledged) => Some(acknowledged),
                Err(Error::Closed) => None,
                Err(error) => panic!("{error:?}"),
            })
        })
        .collect();
    let report = journal.close().unwrap();
    assert!(matches!(journal.append(b"late"), Err(Error::Closed)));
    // Somebody else may have the directory now. What opening does by itself is seen when it does so alone.
    let reopened = || {
        let before = fs.effects();
        drop(open(fs.clone(), options(Service::Inline, SyncPolicy::Never)));
        before
    };
    let closed = reopened();
    let acknowledged: Vec<_> =
        producers.into_iter().filter_map(|producer| producer.join().unwrap()).collect();
    let quiet = reopened();
    assert_eq!(quiet - closed, fs.effects() - quiet, "the closed journal touched the directory");
    assert_eq!(report.position.sequence, read(&fs).len() as u64);
    assert_eq!(acknowledged.len(), read(&fs).len(), "accepted entries and answers");
    check(&fs, &acknowledged);
}

#[test]
fn closing_among_producers_answers_everybody() {
    every_schedule(|| close_among_producers(Service::Inline, SyncPolicy::Never));
}

#[test]
fn closing_among_producers_answers_everybody_beside_the_pool() {
    every_schedule(|| close_among_producers(Service::Pool, SyncPolicy::Always));
}

#[test]
fn closing_among_producers_answers_everybody_beside_the_timer() {
    every_schedule(|| close_among_producers(Service::Pool, SyncPolicy::INTERVAL));
}

/// A fenced journal has nothing left to write, and is given free at once: but not while a thread is still at its files.
fn a_fenced_journal_is_given_free(appended: &[(usize, Ack)]) {
    let fs = SlowFs::with_slow_syncs(CrashFs::new());
    let journal = open_on(fs.clone(), options(Service::Pool, SyncPolicy::Never));
    let producers: Vec<_> = appended
        .iter()
        .map(|&(bytes, ack)| {
            let journal = journal.clone();
            thread::spawn(move || journal.append(vec![1; bytes])?.wait(ack).map(drop))
        })
        .collect();
    // Somewhere within.
    let _ = journal.wait(1, Level::Written);
    journal.fence(0).unwrap();
    let closed = journal.close();
    assert_eq!(fs.under_way(), 0, "somebody may have opened the directory by now");
    assert!(matches!(closed, Err(Error::Fenced { .. })), "{closed:?}");
    for producer in producers {
        let answer = producer.join().unwrap();
        assert!(
            matches!(answer, Ok(()) | Err(Error::Fenced { .. } | Error::Unresolved { .. } | Error::Closed)),
            "{answer:?}"
        );
    }
}

#[test]
fn a_fenced_journal_is_given_free_when_its_sync_has_ended() {
    every_schedule(|| a_fenced_journal_is_given_free(&[(20, Ack::Synced)]));
}

#[test]
fn a_fenced_journal_is_given_free_when_its_sealing_has_ended() {
    // The second goes into the next segment.
    every_schedule(|| a_fenced_journal_is_given_free(&[(600, Ack::Written), (600, Ack::Written)]));
}

/// Two close at once: one of them gets the report.
#[test]
fn closing_twice_at_once_ends() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Never));
        let _ = journal.append(b"one").unwrap();
        let other = journal.clone();
        let other = thread::spawn(move || other.close());
        let results = [journal.close(), other.join().unwrap()];
        assert!(results.iter().any(Result::is_ok), "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::Closed))), "{results:?}");
        assert_eq!(read(&fs), [b"one"]);
    });
}

/// A wait that causes nothing rides along with the close, or ends with it.
#[test]
fn who_only_watches_is_told_of_the_end() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs, options(Service::Inline, SyncPolicy::Never));
        let watchers: Vec<_> = [(Level::Synced, 1), (Level::Sealed, 1), (Level::Written, 2)]
            .into_iter()
            .map(|(level, sequence)| {
                let journal = journal.clone();
                thread::spawn(move || journal.wait(sequence, level))
            })
            .collect();
        let _ = journal.append(b"one").unwrap();
        journal.close().unwrap();
        let results: Vec<_> = watchers.into_iter().map(|watcher| watcher.join().unwrap()).collect();
        assert!(matches!(results[..], [Ok(_), Ok(_), Err(Error::Closed)]), "{results:?}");
    });
}

/// The last handle goes while nobody waits: what was queued is written and synced all the same.
#[test]
fn dropping_the_last_handle_loses_nothing() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Pool, SyncPolicy::Never));
        let producers: Vec<_> = (0..2_u8)
            .map(|producer| {
                let journal = journal.clone();
                thread::spawn(move || drop(journal.append([producer; 20]).unwrap()))
            })
            .collect();
        drop(journal);
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(read(&fs).len(), 2);
    });
}
