//! Waiting for a position rides along with what happens; it causes nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use graphstream_journal::{Ack, Error, Journal, JournalReader, Level, Reached, SealedSegment, Ticket};
use graphstream_testkit::{CrashFs, Fault};
use memory::{builder, payload, read, reader};

const LEVELS: [Level; 3] = [Level::Written, Level::Synced, Level::Sealed];

/// A journal that does only what it is asked for, with one entry appended.
fn one_queued() -> (CrashFs, Journal, Ticket) {
    let fs = CrashFs::new();
    let (journal, _) = builder(&fs).open().unwrap();
    let ticket = journal.append(payload(1)).unwrap();
    (fs, journal, ticket)
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn waiting_causes_no_file_operation() {
    let (fs, journal, ticket) = one_queued();
    let reached = |level| journal.wait_timeout(1, level, Duration::from_millis(1)).unwrap();
    let before = fs.calls();
    assert_eq!(LEVELS.map(reached), [false, false, false]);
    assert_eq!(fs.calls(), before);
    let _ = ticket.wait(Ack::Written).unwrap();
    let before = fs.calls();
    assert_eq!(LEVELS.map(reached), [true, false, false]);
    assert_eq!(fs.calls(), before);
    journal.sync().unwrap();
    assert_eq!(LEVELS.map(reached), [true, true, false]);
    journal.seal().unwrap();
    assert_eq!(LEVELS.map(reached), [true, true, true]);
}

#[test]
fn whoever_waits_is_woken_by_what_others_do() {
    let (_fs, journal, _ticket) = one_queued();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = LEVELS
            .into_iter()
            .map(|level| {
                let journal = journal.clone();
                scope.spawn(move || journal.wait(1, level).map(|()| journal.positions()))
            })
            .collect();
        journal.seal().unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap().written.sequence, 1);
        }
    });
}

#[test]
fn futures_of_positions_are_woken_and_do_nothing_themselves() {
    let (fs, journal, _ticket) = one_queued();
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let mut context = Context::from_waker(&waker);
    let futures: Vec<Reached> = LEVELS.into_iter().map(|level| journal.reached(1, level)).collect();
    let before = fs.calls();
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    assert!(futures.iter_mut().all(|future| future.as_mut().poll(&mut context).is_pending()));
    assert_eq!(fs.calls(), before);
    journal.seal().unwrap();
    assert!(woken.0.load(Ordering::SeqCst) >= LEVELS.len(), "each is woken");
    for mut future in futures {
        assert!(matches!(future.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
    }
}

#[test]
fn the_end_of_the_journal_ends_the_waiting() {
    let (fs, journal, ticket) = one_queued();
    let _ = ticket.wait(Ack::Written).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| journal.wait(1, Level::Synced));
        fs.fail(fs.calls(), Fault::Error(std::io::ErrorKind::Other));
        journal.sync().unwrap_err();
        let error = waiter.join().unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Unresolved { .. }),
            "it is written, and may be found again: {error:?}"
        );
    });
    let error = journal.wait(2, Level::Written).unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "it was never appended: {error:?}");
    let mut future = pin!(journal.reached(2, Level::Written));
    let waker = Arc::new(Woken::default()).into();
    let ended = future.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(matches!(ended, Poll::Ready(Err(Error::Poisoned { .. }))), "{ended:?}");
}

#[test]
fn a_dropped_ticket_changes_nothing_about_its_entry() {
    let (fs, journal, kept) = one_queued();
    drop(journal.append(payload(2)).unwrap());
    let batch = journal.append_batch(&[payload(3), payload(4)]).unwrap();
    let clone = batch.clone();
    drop(batch);
    let woken = Arc::new(Woken::default()).into();
    // Dropped halfway through: polled, and never again.
    let polled = journal.append(payload(5)).unwrap();
    let mut waiting = Box::pin(journal.reached(5, Level::Synced));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&woken)).is_pending());
    drop((polled, waiting));
    let last = journal.append(payload(6)).unwrap();
    assert_eq!(last.wait(Ack::Synced).unwrap(), 6..=6);
    assert_eq!(kept.wait(Ack::Synced).unwrap(), 1..=1);
    assert_eq!(clone.wait(Ack::Synced).unwrap(), 3..=4);
    assert!(read(&fs).into_iter().map(|entry| entry.payload).eq((1..=6).map(payload)));
}

#[test]
fn sealing_answers_with_the_segments_name() {
    let (fs, journal, _ticket) = one_queued();
    let sealed: SealedSegment = journal.seal().unwrap().unwrap();
    assert_eq!(sealed.name(), "journal-0000000000000001.hadbj");
    assert!(fs.files().contains(&sealed.path));
    assert!(sealed.path.ends_with(sealed.name()));
}

/// One way to read borrows the entry's buffer, the other owns its entries and can go anywhere.
#[test]
fn readers_lend_and_own() {
    let (fs, journal, _ticket) = one_queued();
    journal.seal().unwrap();
    let mut entry = graphstream_journal::Entry::default();
    let mut lending = reader(fs.clone()).unwrap();
    assert!(lending.read_next(&mut entry).unwrap());
    assert_eq!(entry.payload, payload(1));
    let owning: Box<dyn Iterator<Item = graphstream_journal::Result<graphstream_journal::Entry>> + Send> =
        Box::new(reader(fs).unwrap());
    let entries = std::thread::spawn(move || owning.count()).join().unwrap();
    assert_eq!(entries, 1);
    fn outlives_everything<T: Send + 'static>() {}
    outlives_everything::<JournalReader>();
}
