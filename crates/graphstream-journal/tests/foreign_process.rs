//! A fork of the writer's process has the journal's memory and not its right to write (RELIABILITY L16).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fork::{Fork, fork, waitpid};
use graphstream_journal::{
    Ack, Error, Journal, JournalDir, JournalOptions, JournalReader, Level, ReaderOptions, Service,
};

fn payload(n: u64) -> Vec<u8> {
    format!("entry number {n}").into_bytes()
}

/// Runs this in a fork, which ends with it. Nothing else may run in this process that could hold a lock of the journal.
fn in_fork(run: impl FnOnce()) {
    match fork().unwrap() {
        Fork::Parent(child) => assert_eq!(waitpid(child).unwrap(), 0, "the fork failed"),
        Fork::Child => {
            let result = catch_unwind(AssertUnwindSafe(run));
            if let Err(panic) = &result {
                let text = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
                // The test runner captures what `eprintln` prints, and ends with the fork.
                let _ = writeln!(std::io::stderr(), "in the fork: {text}");
            }
            std::process::exit(i32::from(result.is_err()));
        }
    }
}

#[track_caller]
fn assert_foreign<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.expect_err("a fork is told that it worked");
    let (Error::Poisoned { source } | Error::Unresolved { source }) = &error else { panic!("{error:?}") };
    assert!(matches!(**source, Error::ForeignProcess { .. }), "{error:?}");
}

/// Everything that a fork could try with the journal it has inherited. What it must leave alone is what the parent looks at.
fn try_everything(journal: Journal, dir: &Path) {
    let inherited = journal.append(payload(100));
    if let Ok(ticket) = &inherited {
        let mut future = pin!(ticket.acked(Ack::Synced));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => assert_foreign(result),
            Poll::Pending => panic!("nobody would ever wake it"),
        }
        assert_foreign(ticket.wait(Ack::Written));
    }
    assert_foreign(journal.append(payload(101)));
    assert_foreign(journal.sync());
    assert_foreign(journal.seal());
    assert_foreign(journal.release("uploader", 0));
    assert_foreign(journal.wait(100, Level::Synced));
    let error = Journal::builder(dir).open().unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    assert_foreign(journal.clone().close());
    drop(journal);
    assert!(JournalDir::open(dir).unwrap().writer().unwrap().held, "the lock stays the parent's");
}

/// What the parent finds afterwards: nothing has happened.
fn go_on(journal: &Journal, dir: &Path, last: u64) {
    assert!(journal.dir().writer().unwrap().held, "the lock is gone");
    let next = journal.append(payload(last + 1)).unwrap();
    assert_eq!(next.wait(Ack::Synced).unwrap(), last + 1..=last + 1);
    assert_eq!(journal.close().unwrap().position.sequence, last + 1);
    let entries = JournalReader::open(dir, ReaderOptions::default()).unwrap();
    assert!(entries.map(|entry| entry.unwrap().payload).eq((1..=last + 1).map(payload)));
}

#[test]
fn l16_a_fork_cannot_touch_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_service(Service::Inline);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Synced).unwrap();
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    in_fork(|| try_everything(journal.clone(), dir.path()));
    assert!(files() == before, "the fork has changed something");

    // The fork inherits an entry that nobody has written yet, and drops the last handle it has.
    let queued = journal.append(payload(2)).unwrap();
    let before = files();
    in_fork(|| {
        assert_foreign(queued.wait(Ack::Written));
        drop(journal.clone());
    });
    assert!(files() == before, "the fork has written the parent's entry");
    go_on(&journal, dir.path(), 2);
}

/// How often the service's threads have been switched off the processor so far: constant while all of them wait.
#[cfg(target_os = "linux")]
fn switches_of_service_threads() -> Vec<String> {
    let mut switches = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
        if status.lines().next().is_some_and(|name| name.contains("graphstream")) {
            switches.extend(status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned));
        }
    }
    switches
}

#[cfg(target_os = "linux")]
#[test]
fn l16_a_fork_has_no_service_threads_and_does_not_wait_for_them() {
    let dir = tempfile::tempdir().unwrap();
    // The timer of the age keeps a thread waiting in the parent.
    let options = JournalOptions::default().with_segment_age_max(Duration::from_secs(3600));
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    drop(journal.append(payload(1)).unwrap());
    journal.wait(1, Level::Synced).unwrap();
    let mut before = switches_of_service_threads();
    loop {
        // Longer than the timers of entries nobody waits for.
        std::thread::sleep(Duration::from_millis(50));
        let now = switches_of_service_threads();
        if now == before && !now.is_empty() {
            break;
        }
        before = now;
    }
    in_fork(|| try_everything(journal.clone(), dir.path()));
    go_on(&journal, dir.path(), 1);
}
