//! Appending, acknowledging, rotating, sealing, reading back: what works when nothing fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use graphstream_journal::{
    Ack, Compression, Error, Journal, JournalDir, JournalOptions, JournalReader, Level, QueuePolicy,
    ReaderOptions, Service, SyncPolicy,
};

fn payload(n: u64) -> Vec<u8> {
    format!("CREATE (:Person {{id: {n}, name: 'person number {n}'}})").into_bytes()
}

fn read_all(dir: &std::path::Path) -> Vec<Vec<u8>> {
    JournalReader::open(dir, ReaderOptions::default()).unwrap().map(|entry| entry.unwrap().payload).collect()
}

#[test]
fn appended_entries_are_read_back_sealed_and_open() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert!(report.created && report.is_clean());
    for n in 1..=10 {
        let ticket = journal.append(payload(n)).unwrap();
        assert_eq!(ticket.wait(Ack::Synced).unwrap(), n..=n);
        assert_eq!(ticket.sequences(), Some(n..=n));
    }
    let expected: Vec<_> = (1..=10).map(payload).collect();
    assert_eq!(read_all(dir.path()), expected, "from the open segment");
    let sealed = journal.seal().unwrap().expect("a sealed segment");
    assert_eq!((sealed.first_sequence, sealed.last_sequence, sealed.entries()), (1, 10, 10));
    assert_eq!(std::fs::metadata(&sealed.path).unwrap().len(), sealed.file_bytes);
    assert_eq!(read_all(dir.path()), expected, "from the sealed segment");
    assert_eq!(journal.seal().unwrap(), Some(sealed), "sealing again has nothing to do");
    let report = journal.close().unwrap();
    assert_eq!(report.position.sequence, 10);
    assert!(matches!(journal.append(b"late"), Err(Error::Closed)));
}

#[test]
fn a_closed_journal_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = None;
    for round in 0..5_u64 {
        let (journal, report) = Journal::builder(dir.path()).open().unwrap();
        assert_eq!(report.position.sequence, round * 3);
        assert!(report.is_clean());
        assert_eq!(chain.unwrap_or(report.position.chain_hash), report.position.chain_hash);
        for n in 1..=3 {
            let _ = journal.append(payload(round * 3 + n)).unwrap();
        }
        chain = Some(journal.close().unwrap().position.chain_hash);
    }
    assert_eq!(read_all(dir.path()), (1..=15).map(payload).collect::<Vec<_>>());
    let dir = JournalDir::open(dir.path()).unwrap();
    assert_eq!(dir.position().unwrap().chain_hash, chain.unwrap());
    assert_eq!(dir.chain_at(15).unwrap(), chain.unwrap());
}

#[test]
fn segments_rotate_by_size_and_batches_stay_together() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_segment_bytes_max(1024).with_compression(Compression::None);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let mut n = 0;
    let mut batches = Vec::new();
    for size in [1, 3, 7, 1, 2, 30, 1, 5] {
        let batch: Vec<_> = (0..size)
            .map(|_| {
                n += 1;
                payload(n)
            })
            .collect();
        let range = journal.append_batch(&batch).unwrap().wait(Ack::Written).unwrap();
        assert_eq!(range, n - size + 1..=n);
        batches.push(range);
    }
    journal.close().unwrap();
    let segments = JournalDir::open(dir.path()).unwrap().segments().unwrap();
    assert!(segments.len() > 2, "{} segments", segments.len());
    for batch in batches {
        let holding = segments.iter().filter(|segment| {
            segment.header.first_seq <= *batch.end() && segment.header.last_seq >= *batch.start()
        });
        assert_eq!(holding.count(), 1, "{batch:?} is split");
    }
    assert_eq!(read_all(dir.path()), (1..=n).map(payload).collect::<Vec<_>>());
}

#[test]
fn many_producers_get_distinct_sequences_in_their_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_segment_bytes_max(64 << 10);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let mut sequences: Vec<(u64, Vec<u8>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let journal = journal.clone();
                scope.spawn(move || {
                    let mut got = Vec::new();
                    for n in 0..200_u64 {
                        let payload = payload(thread * 1000 + n);
                        let ticket = journal.append(&payload).unwrap();
                        let ack = if n % 10 == 0 { Ack::Synced } else { Ack::Written };
                        got.push((*ticket.wait(ack).unwrap().start(), payload));
                    }
                    assert!(got.is_sorted_by_key(|(sequence, _)| *sequence));
                    got
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    sequences.sort();
    assert!(sequences.iter().map(|(sequence, _)| *sequence).eq(1..=1600));
    journal.close().unwrap();
    assert_eq!(read_all(dir.path()), sequences.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>());
}

#[test]
fn entries_nobody_waits_for_are_written_and_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    drop(journal.append(payload(1)).unwrap());
    assert!(journal.wait_timeout(1, Level::Synced, Duration::from_secs(5)).unwrap());
    assert_eq!(journal.positions().synced.sequence, 1);
    assert!(!journal.wait_timeout(2, Level::Written, Duration::from_millis(20)).unwrap());
}

/// PEERS 2, P4: the predecessor's timer ran only while nothing was appended.
#[test]
fn p4_interval_sync_happens_under_steady_load() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_sync_policy(SyncPolicy::Interval(Duration::from_millis(20)));
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let started = Instant::now();
    let mut n = 0;
    while journal.positions().synced.sequence == 0 {
        n += 1;
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Written).unwrap();
        assert!(started.elapsed() < Duration::from_secs(20), "nothing synced in {n} appends");
    }
    let ticket = journal.append(payload(n + 1)).unwrap();
    assert_eq!(ticket.wait(Ack::Synced).unwrap(), n + 1..=n + 1, "waiting rides the timer");
}

#[test]
fn never_syncs_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_sync_policy(SyncPolicy::Never);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let ticket = journal.append(payload(1)).unwrap();
    let _ = ticket.wait(Ack::Written).unwrap();
    assert_eq!(journal.positions().synced.sequence, 0);
    let _ = ticket.wait(Ack::Synced).unwrap();
    assert_eq!(journal.positions().synced.sequence, 1);
    let _ = journal.append(payload(2)).unwrap();
    assert_eq!(journal.sync().unwrap().sequence, 2);
}

#[test]
fn a_full_queue_fails_or_blocks_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default()
        .with_service(Service::Inline)
        .with_queue_bytes_max(1000)
        .with_queue_policy(QueuePolicy::Fail);
    let (journal, _) = Journal::builder(dir.path()).options(options.clone()).open().unwrap();
    let _ = journal.append(vec![1; 5000]).expect("one entry always fits");
    let error = journal.append(b"x").unwrap_err();
    assert!(matches!(error, Error::QueueFull { max: 1000, .. }), "{error}");
    journal.sync().unwrap();
    let _ = journal.append(b"x").unwrap();
    journal.close().unwrap();
    let (journal, _) =
        Journal::builder(dir.path()).options(options.with_queue_policy(QueuePolicy::Block)).open().unwrap();
    for n in 0..100 {
        let _ = journal.append(payload(n)).unwrap();
    }
    assert!(journal.positions().written.sequence > 50, "the appender wrote what it found queued");
    assert_eq!(journal.close().unwrap().position.sequence, 102);
}

#[test]
fn tickets_are_futures_and_polling_does_no_file_operation() {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake};

    struct Unpark(std::thread::Thread, AtomicBool);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.1.store(true, Ordering::SeqCst);
            self.0.unpark();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    for n in 1..=20 {
        let ticket = journal.append(payload(n)).unwrap();
        let mut future = pin!(ticket.acked(if n % 2 == 0 { Ack::Synced } else { Ack::Written }));
        let wake = Arc::new(Unpark(std::thread::current(), AtomicBool::new(false)));
        let waker = wake.clone().into();
        let mut context = Context::from_waker(&waker);
        let range = loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(range) => break range.unwrap(),
                Poll::Pending => {
                    while !wake.1.swap(false, Ordering::SeqCst) {
                        std::thread::park_timeout(Duration::from_secs(5));
                    }
                }
            }
        };
        assert_eq!(range, n..=n);
    }
}

#[test]
fn commit_times_never_decrease() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    for ms in [5_000, 7_000, 6_000, 9_000] {
        let _ = journal.append_at(b"x", ms).unwrap();
    }
    journal.sync().unwrap();
    journal.raise_commit_floor(20_000);
    let _ = journal.append_batch_at(&[(b"y", 1), (b"y", 30_000)]).unwrap();
    journal.sync().unwrap();
    let read = || {
        let reader = JournalReader::open(dir.path(), ReaderOptions::default()).unwrap();
        reader.map(|entry| entry.unwrap().commit_ms).collect::<Vec<_>>()
    };
    assert_eq!(read(), [5_000, 7_000, 7_000, 9_000, 20_000, 30_000]);
    journal.close().unwrap();
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.last_commit_ms, 30_000);
    let _ = journal.append_at(b"z", 3).unwrap();
    journal.close().unwrap();
    assert_eq!(read().last(), Some(&30_000));
}

#[test]
fn limits_are_told_before_anything_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    let error = journal.append(vec![0; (16 << 20) + 1]).unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { .. }), "{error}");
    let error = journal.append_batch(&[vec![0; 12 << 20], vec![0; 12 << 20], vec![0; 12 << 20]]).unwrap_err();
    assert!(matches!(error, Error::BatchTooLarge { .. }), "{error}");
    assert!(matches!(journal.append_batch::<&[u8]>(&[]), Err(Error::EmptyBatch)));
    // The largest that are allowed get a segment of their own.
    let _ = journal.append(b"small").unwrap().wait(Ack::Written).unwrap();
    let _ = journal.append(vec![7; 16 << 20]).unwrap().wait(Ack::Written).unwrap();
    let half = vec![7; (16 << 20) - 14];
    let _ = journal.append_batch(&[&half, &half]).unwrap().wait(Ack::Written).unwrap();
    journal.close().unwrap();
    assert_eq!(
        read_all(dir.path()).iter().map(Vec::len).collect::<Vec<_>>(),
        [5, 16 << 20, half.len(), half.len()]
    );
}

#[test]
fn a_dropped_journal_writes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_service(Service::Inline);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    let ticket = journal.append(payload(1)).unwrap();
    drop(journal);
    assert_eq!(ticket.wait(Ack::Synced).unwrap(), 1..=1, "the ticket outlives the journal");
    let (_, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.sealed.len(), 1, "the open segment was sealed by the next open");
    assert_eq!(report.position.sequence, 1);
}
