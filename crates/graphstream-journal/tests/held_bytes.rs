//! What cursors may hold back is bounded: then appends wait or fail, and go on once a cursor has moved.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use graphstream_journal::{
    Ack, Compression, Error, ErrorKind, Journal, JournalDir, JournalOptions, JournalReader, ReaderOptions,
    Result, Service, WhenFull,
};

const SEGMENT: u64 = 1024;
const BUDGET: u64 = 3000;
const PATIENCE: Duration = Duration::from_secs(20);

fn options(when_full: WhenFull) -> JournalOptions {
    JournalOptions::default()
        .with_service(Service::Inline)
        .with_segment_bytes_max(SEGMENT)
        .with_compression(Compression::None)
        .with_held_bytes_max(BUDGET)
        .with_when_full(when_full)
}

fn open(dir: &Path, when_full: WhenFull) -> Journal {
    Journal::builder(dir).options(options(when_full)).open().unwrap().0
}

fn payload(n: u64) -> Vec<u8> {
    vec![n as u8; 300]
}

/// Appends until that is refused; returns the last sequence.
fn fill(journal: &Journal) -> u64 {
    for n in journal.positions().written.sequence + 1..1000 {
        if journal.check_room().is_err() {
            return n - 1;
        }
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Synced).unwrap();
    }
    panic!("never full");
}

fn all(dir: &Path) -> Vec<Vec<u8>> {
    JournalReader::open(dir, ReaderOptions::default()).unwrap().map(|entry| entry.unwrap().payload).collect()
}

/// An append on a thread of its own, and what it says.
fn append_beside(journal: &Journal, n: u64) -> Receiver<Result<u64>> {
    let (said, says) = channel();
    let journal = journal.clone();
    thread::spawn(move || {
        let outcome = journal.append(payload(n)).and_then(|ticket| ticket.wait(Ack::Synced));
        drop(journal);
        said.send(outcome.map(|sequences| *sequences.start()))
    });
    says
}

#[test]
fn l06_at_the_budget_an_append_fails_and_says_who_holds_what_back() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(root.path(), WhenFull::Fail);
    journal.release("uploader", 0).unwrap();
    let last = fill(&journal);
    let held = journal.held().unwrap();
    assert_eq!(held, journal.dir().held().unwrap());
    assert!((BUDGET..BUDGET + SEGMENT).contains(&held.bytes), "{held:?}");
    for _ in 0..3 {
        let error = journal.append_batch(&[payload(1), payload(2)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            format!(
                "{} bytes of segments are held back by cursor uploader (at sequence 0), the budget is {BUDGET}",
                held.bytes
            )
        );
    }
    assert_eq!(all(root.path()).len() as u64, last, "nothing of it was written, and reading is not held up");
    // Whoever ships has to get on.
    assert_eq!(journal.sync().unwrap().sequence, last);
    assert_eq!(journal.seal().unwrap().unwrap().last_sequence, last);

    // At once, by a release in this process; one segment is enough.
    assert_eq!(journal.release("uploader", 6).unwrap(), 3, "1..=6");
    let sequences = journal.append_batch(&[payload(last + 1), payload(last + 2)]).unwrap().wait(Ack::Synced);
    assert_eq!(sequences.unwrap(), last + 1..=last + 2);
    journal.close().unwrap();
    assert!(all(root.path()).into_iter().eq((7..=last + 2).map(payload)));
}

#[test]
fn l06_at_the_budget_an_append_waits_until_a_cursor_has_moved() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(root.path(), WhenFull::Block);
    journal.release("uploader", 0).unwrap();
    let last = fill(&journal);
    let says = append_beside(&journal, last + 1);
    assert!(matches!(journal.check_room(), Err(Error::BudgetFull { .. })), "whatever the policy");
    journal.release("history", last).unwrap();
    assert_eq!(says.try_recv().unwrap_err(), TryRecvError::Empty, "the slowest cursor counts");
    assert_eq!(journal.release("uploader", last - 1).unwrap(), 3, "the newest sealed one stays");
    assert_eq!(says.recv_timeout(PATIENCE).unwrap().unwrap(), last + 1);
}

/// As beside `graphstream replicate`: nobody tells this process.
#[test]
fn a_cursor_that_another_process_moves_is_noticed() {
    for when_full in [WhenFull::Block, WhenFull::Fail] {
        let root = tempfile::tempdir().unwrap();
        let journal = open(root.path(), when_full);
        journal.release("uploader", 0).unwrap();
        let last = fill(&journal);
        let beside = JournalDir::open(root.path()).unwrap();
        beside.set_cursor("uploader", last, 0).unwrap();
        let sequences = loop {
            match journal.append(payload(last + 1)) {
                Ok(ticket) => break ticket.wait(Ack::Synced).unwrap(),
                Err(error) => assert!(
                    when_full == WhenFull::Fail && matches!(error, Error::BudgetFull { .. }),
                    "{error:?}"
                ),
            }
            thread::yield_now();
        };
        assert_eq!(sequences, last + 1..=last + 1);
        assert_eq!(journal.held().unwrap().bytes, 0);
    }
}

#[test]
fn the_end_of_the_journal_ends_the_wait() {
    type End = (fn(&Journal), fn(&Error) -> bool);
    let ends: [End; 3] = [
        (|journal| drop(journal.close().unwrap()), |error| matches!(error, Error::Closed)),
        (|journal| journal.fence(1).unwrap(), |error| matches!(error, Error::Fenced { after: 1, .. })),
        // By a shipper in another process, which only leaves a note.
        (
            |journal| journal.dir().set_fenced(2, 0).unwrap(),
            |error| matches!(error, Error::Fenced { after: 2, .. }),
        ),
    ];
    for (end, is_expected) in ends {
        let root = tempfile::tempdir().unwrap();
        let journal = open(root.path(), WhenFull::Block);
        journal.release("uploader", 0).unwrap();
        let last = fill(&journal);
        let says = append_beside(&journal, last + 1);
        end(&journal);
        let error = says.recv_timeout(PATIENCE).unwrap().unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        assert_eq!(all(root.path()).len() as u64, last);
    }
}

#[test]
fn what_is_held_back_is_known_when_the_journal_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(root.path(), WhenFull::Fail);
    journal.release("uploader", 0).unwrap();
    let last = fill(&journal);
    let held = journal.held().unwrap();
    drop(journal);
    let journal = open(root.path(), WhenFull::Fail);
    assert!(journal.held().unwrap().bytes >= held.bytes, "what was open is sealed now");
    assert!(matches!(journal.append(payload(last + 1)), Err(Error::BudgetFull { .. })));
    journal.release("uploader", last).unwrap();
    let _ = journal.append(payload(last + 1)).unwrap();
    journal.close().unwrap();
}

#[test]
fn without_a_cursor_there_is_no_bound_until_one_comes() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(root.path(), WhenFull::Fail);
    for n in 1..=60 {
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Written).unwrap();
    }
    assert_eq!(journal.held().unwrap(), graphstream_journal::Held::default());
    // A shipper starts beside the writer, and is noticed at the next rotation.
    JournalDir::open(root.path()).unwrap().set_cursor("uploader", 0, 0).unwrap();
    let last = fill(&journal);
    assert!(last < 64, "{last}");
    assert_eq!(journal.held().unwrap(), journal.dir().held().unwrap());
}

/// It is one append: all of it, or nothing.
#[test]
fn a_batch_beyond_the_budget_is_taken_whole() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(root.path(), WhenFull::Fail);
    journal.release("uploader", 0).unwrap();
    let batch: Vec<_> = (1..=40).map(payload).collect();
    let _ = journal.append_batch(&batch).unwrap().wait(Ack::Synced).unwrap();
    journal.seal().unwrap();
    assert!(matches!(journal.append_batch(&batch), Err(Error::BudgetFull { .. })));
    journal.close().unwrap();
    assert!(all(root.path()).into_iter().eq((1..=40).map(payload)));
}

#[test]
fn a_budget_below_one_segment_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let options = options(WhenFull::Fail).with_held_bytes_max(SEGMENT - 1);
    let error = Journal::builder(root.path()).options(options).open().unwrap_err();
    assert_eq!(error.to_string(), "held_bytes_max is 1023, expected at least segment_bytes_max");
}
