//! The largest sequence is the last one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use graphstream_journal::{Ack, ChainHash, Error, StartingPoint};
use graphstream_testkit::CrashFs;
use memory::{builder, read};

/// L18: appending stops with an error at the end of the sequences; nothing wraps, and what fits is kept.
#[test]
fn l18_sequences_end_and_do_not_wrap() {
    let fs = CrashFs::new();
    let start = StartingPoint { sequence: u64::MAX - 3, chain_hash: ChainHash::ZERO, commit_ms: 0 };
    let (journal, _) = builder(&fs).starting_point(start).open().unwrap();
    let two = journal.append_batch(&[b"a", b"b"]).unwrap();
    assert_eq!(two.wait(Ack::Synced).unwrap(), u64::MAX - 2..=u64::MAX - 1);
    // A batch that fits only in part is refused as a whole.
    let error = journal.append_batch(&[b"c", b"d"]).unwrap().wait(Ack::Synced).unwrap_err();
    assert!(matches!(error, Error::SequencesExhausted { last } if last == u64::MAX - 1), "{error:?}");
    let last = journal.append(b"e").unwrap();
    assert_eq!(last.wait(Ack::Synced).unwrap(), u64::MAX..=u64::MAX);
    for _ in 0..2 {
        let error = journal.append(b"f").unwrap().wait(Ack::Written).unwrap_err();
        assert!(matches!(error, Error::SequencesExhausted { last: u64::MAX }), "{error:?}");
    }
    let report = journal.close().unwrap();
    assert_eq!(report.position.sequence, u64::MAX);

    let sequences: Vec<u64> = read(&fs).into_iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [u64::MAX - 2, u64::MAX - 1, u64::MAX]);
    let (journal, report) = builder(&fs).open().unwrap();
    assert_eq!(report.position.sequence, u64::MAX);
    let error = journal.append(b"g").unwrap().wait(Ack::Synced).unwrap_err();
    assert!(matches!(error, Error::SequencesExhausted { last: u64::MAX }), "{error:?}");
}
