//! Readers: from any sequence, beside a live writer, and what they say about damage.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graphstream_journal::{
    Ack, Entry, Error, Journal, JournalDir, JournalOptions, JournalReader, ReaderOptions, segment_name,
};

fn payload(n: u64) -> Vec<u8> {
    format!("CREATE (:City {{id: {n}}})").into_bytes()
}

/// Entries 1..=30 in sealed segments of 5 each, and 31..=33 in an open one.
fn journal(dir: &Path) -> Journal {
    let (journal, _) = Journal::builder(dir).open().unwrap();
    for n in 1..=33 {
        let _ = journal.append(payload(n)).unwrap();
        if n % 5 == 0 {
            journal.seal().unwrap();
        }
    }
    journal.sync().unwrap();
    journal
}

fn from(dir: &Path, sequence: u64) -> JournalReader {
    JournalReader::open(dir, ReaderOptions::default().with_from_sequence(sequence)).unwrap()
}

#[test]
fn reading_starts_at_any_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let _journal = journal(dir.path());
    let all: Vec<Entry> = from(dir.path(), 0).map(|entry| entry.unwrap()).collect();
    assert_eq!(all.len(), 33);
    for sequence in 1..=33 {
        let entries: Vec<Entry> = from(dir.path(), sequence).map(|entry| entry.unwrap()).collect();
        assert_eq!(entries, all[sequence as usize - 1..], "from {sequence}");
        let chain = JournalDir::open(dir.path()).unwrap().chain_at(sequence).unwrap();
        assert_eq!(chain, all[sequence as usize - 1].chain_hash);
    }
    let mut at_the_end = from(dir.path(), 34);
    assert!(at_the_end.next().is_none());
    assert_eq!(at_the_end.position().unwrap().sequence, 33);
    let error = from(dir.path(), 35).next().unwrap().unwrap_err();
    assert!(matches!(error, Error::BeyondEnd { sequence: 35, last: 33, .. }), "{error:?}");
    let dir = JournalDir::open(dir.path()).unwrap();
    assert!(matches!(dir.chain_at(34), Err(Error::BeyondEnd { .. })));
    assert_eq!(dir.chain_at(0).unwrap(), graphstream_journal::ChainHash::ZERO);
}

#[test]
fn hashing_ahead_shows_in_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    journal.append_batch(&[payload(34), vec![b'x'; 1000], payload(36)]).unwrap().wait(Ack::Synced).unwrap();
    let all: Vec<Entry> = from(dir.path(), 0).map(|entry| entry.unwrap()).collect();
    assert_eq!(all.len(), 36);
    for steps in 0..20 {
        let mut reader = from(dir.path(), 0);
        let (mut entry, mut read) = (Entry::default(), Vec::new());
        while reader.read_next(&mut entry).unwrap() {
            read.push(entry.clone());
            let done = (0..steps).take_while(|_| reader.hash_ahead()).count();
            if entry.sequence == 34 {
                // Of the batch's next entry, 1,000 bytes.
                assert_eq!(done, steps.min(17));
            }
        }
        assert_eq!(read, all, "{steps} steps");
        assert!(!reader.hash_ahead());
        assert_eq!(reader.position().unwrap().chain_hash, all[35].chain_hash);
    }
}

/// P37: an incremental read does not decode what comes before its segment.
#[test]
fn p37_segments_before_the_start_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path()).close().unwrap();
    for first in [1, 6, 11] {
        std::fs::write(dir.path().join(segment_name(first)), b"rubbish").unwrap();
    }
    assert_eq!(from(dir.path(), 18).inspect(|entry| assert!(entry.is_ok(), "{entry:?}")).count(), 16);
}

/// P35: an unreadable segment yields one error, then the reader ends; so does a hole.
#[test]
fn p35_one_error_then_the_end() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path()).close().unwrap();
    let path = dir.path().join(segment_name(11));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    for follow in [false, true] {
        let options = ReaderOptions::default().with_follow(follow);
        let mut reader = JournalReader::open(dir.path(), options).unwrap();
        let mut errors = 0;
        let good =
            reader.by_ref().take(100_000).filter_map(|entry| entry.map_err(|_| errors += 1).ok()).count();
        assert!((10..15).contains(&good) && errors == 1, "{good} entries, {errors} errors");
        assert!(reader.next().is_none() && reader.next().is_none());
    }
    let error = from(dir.path(), 11).find_map(Result::err).unwrap();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("journal-0000000000000011.hadbj") && text.contains("offset"), "{text}");
    std::fs::remove_file(&path).unwrap();
    let mut reader = from(dir.path(), 0);
    assert_eq!(reader.by_ref().take_while(Result::is_ok).count(), 10);
    assert!(reader.next().is_none());
}

#[test]
fn released_segments_are_a_named_gap() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path()).close().unwrap();
    let journal_dir = JournalDir::open(dir.path()).unwrap();
    assert_eq!(journal_dir.remove_released().unwrap(), 0, "without a cursor nothing goes");
    journal_dir.set_cursor("uploader", 19, 1_000).unwrap();
    journal_dir.set_cursor("history", 12, 2_000).unwrap();
    assert_eq!(journal_dir.remove_released().unwrap(), 2, "1..=5 and 6..=10");
    assert_eq!(journal_dir.segment_sequences().unwrap()[0], 11);
    let error = from(dir.path(), 7).next().unwrap().unwrap_err();
    assert!(matches!(error, Error::Gap { first: 7, last: 10, .. }), "{error:?}");
    assert_eq!(from(dir.path(), 0).next().unwrap().unwrap().sequence, 11);
    let cursors = journal_dir.cursors().unwrap();
    assert_eq!(
        cursors.iter().map(|cursor| cursor.name.as_str()).collect::<Vec<_>>(),
        ["history", "uploader"]
    );
    assert_eq!((cursors[1].sequence, cursors[1].age_ms(1_500), cursors[1].age_ms(0)), (19, 500, 0));
    journal_dir.remove_cursor("history").unwrap();
    journal_dir.set_cursor("uploader", 33, 3_000).unwrap();
    journal_dir.remove_released().unwrap();
    // P12: the newest segment stays, whatever was passed: it says where the journal goes on.
    assert_eq!(journal_dir.segment_sequences().unwrap(), [31]);
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.position.sequence, 33);
    assert_eq!(journal.append(b"x").unwrap().wait(Ack::Synced).unwrap(), 34..=34);
    assert!(matches!(journal_dir.set_cursor("../x", 1, 1), Err(Error::InvalidCursorName)));
}

/// A follower sees every entry once and in order while segments are rotated and sealed under its hands.
#[test]
fn a_follower_sees_a_live_writer() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_segment_bytes_max(2048);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let total = 3_000;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let follow = |from: u64| {
            let options = ReaderOptions::default().with_follow(true).with_from_sequence(from);
            let mut reader = JournalReader::open(dir.path(), options).unwrap();
            let mut entry = Entry::default();
            for next in from..=total {
                while !reader.wait_next(&mut entry, Duration::from_secs(20)).unwrap() {
                    assert!(!done.load(Ordering::SeqCst), "stuck before {next}");
                }
                assert_eq!((entry.sequence, &entry.payload), (next, &payload(next)));
            }
        };
        for n in 1..=total {
            let ticket = journal.append(payload(n)).unwrap();
            if n % 3 == 0 {
                let _ = ticket.wait(Ack::Written).unwrap();
            }
            if [1, 500, 1000].contains(&n) {
                // Nobody can start at what is not there yet.
                journal.sync().unwrap();
                scope.spawn(move || follow(n));
            }
        }
        journal.sync().unwrap();
        done.store(true, Ordering::SeqCst);
    });
    let report = journal.close().unwrap();
    assert_eq!(report.position.sequence, total);
    assert!(JournalDir::open(dir.path()).unwrap().segments().unwrap().len() > 20);
}

/// A follower at the end waits through seal, close and reopen, and through a bad tail that a live writer may complete.
#[test]
fn a_follower_waits_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    let mut reader = JournalReader::open(dir.path(), ReaderOptions::default().with_follow(true)).unwrap();
    let mut entry = Entry::default();
    assert!(!reader.read_next(&mut entry).unwrap());
    let mut n = 0;
    let mut step = |journal: &Journal, reader: &mut JournalReader| {
        n += 1;
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Written).unwrap();
        assert!(reader.wait_next(&mut entry, Duration::from_secs(20)).unwrap(), "entry {n}");
        assert_eq!((entry.sequence, &entry.payload), (n, &payload(n)));
        for _ in 0..200 {
            assert!(!reader.read_next(&mut entry).unwrap());
        }
    };
    step(&journal, &mut reader);
    step(&journal, &mut reader);
    journal.seal().unwrap();
    step(&journal, &mut reader);
    journal.close().unwrap();
    drop(journal);
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    step(&journal, &mut reader);
    drop(journal);
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.sealed.len(), 1);
    step(&journal, &mut reader);

    // Half a record behind the end: to a follower of a live writer it is incomplete, not damaged.
    let path = dir.path().join(segment_name(5));
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(8);
    bytes[end..end + 20].copy_from_slice(&[0xaa; 20]);
    std::fs::write(&path, &bytes).unwrap();
    for _ in 0..200 {
        assert!(!reader.read_next(&mut entry).unwrap());
    }
    assert!(reader.torn_tail().is_none());
    // Once nobody writes any more it is a torn tail.
    drop(journal);
    assert!(!reader.wait_next(&mut entry, Duration::from_secs(5)).unwrap());
    assert_eq!(reader.torn_tail().unwrap().last_sequence, 5);
}

/// A segment that was created and has no entry yet is the end for now, also when it is removed and made anew under the same name.
#[test]
fn a_follower_waits_at_an_open_segment_without_entries() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Synced).unwrap();
    drop(journal);
    let path = dir.path().join(segment_name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[176..].fill(0);
    std::fs::write(&path, &bytes).unwrap();

    let mut entry = Entry::default();
    let mut reader = JournalReader::open(dir.path(), ReaderOptions::default().with_follow(true)).unwrap();
    for _ in 0..200 {
        assert!(!reader.read_next(&mut entry).unwrap());
    }
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.removed_empty, [path]);
    assert!(!reader.read_next(&mut entry).unwrap());
    let _ = journal.append(payload(7)).unwrap().wait(Ack::Written).unwrap();
    assert!(reader.wait_next(&mut entry, Duration::from_secs(20)).unwrap());
    assert_eq!((entry.sequence, entry.payload), (1, payload(7)));
}
