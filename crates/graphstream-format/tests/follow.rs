//! Reading an open segment while another process appends to it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::cell::RefCell;
use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use graphstream_format::open::{Outcome, RECORDS_START, Scanner};
use graphstream_format::{Damage, ReadAt, RecordDefect};
use segments::{OpenFile, payload};

/// A file that grows under its reader.
#[derive(Default)]
struct Growing(RefCell<Vec<u8>>);

impl ReadAt for Growing {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.0.borrow().read_at(buffer, offset)
    }
}

fn sequences<S: ReadAt>(scanner: &mut Scanner<S>) -> Vec<u64> {
    let mut sequences = Vec::new();
    while let Some(entry) = scanner.next_entry().unwrap() {
        assert_eq!(entry.payload, payload(entry.sequence));
        sequences.push(entry.sequence);
    }
    sequences
}

/// Whether the file grows byte by byte, or bytes replace reserved zeros: a record appears when its last byte is there, and
/// before that the place is incomplete, never damaged.
#[test]
fn a_record_appears_with_its_last_byte() {
    for reserved in [0, 4096] {
        let mut file = OpenFile::new();
        let growing = Growing::default();
        let show = |bytes: &[u8]| {
            let mut shown = bytes.to_vec();
            shown.resize(bytes.len() + reserved, 0);
            *growing.0.borrow_mut() = shown;
        };
        show(&file.bytes);
        let mut scanner = Scanner::open(&growing).unwrap();
        assert_eq!(scanner.judge().unwrap(), Outcome::Clean { end: RECORDS_START });
        for round in 0..4_u64 {
            let before = file.bytes.clone();
            let first = file.next_seq;
            file.push_standard(round + 1);
            file.sync();
            let padding = file.bytes.iter().rev().take_while(|&&byte| byte == 0).count();
            for len in before.len()..file.bytes.len() - padding {
                show(&file.bytes[..len]);
                assert!(scanner.next_entry().unwrap().is_none(), "at {len}");
                match scanner.judge().unwrap() {
                    Outcome::Clean { end } => {
                        assert_eq!((end, len), (before.len() as u64, before.len()));
                    }
                    Outcome::Torn { offset, .. } => assert_eq!(offset, before.len() as u64),
                    other => panic!("at {len}: {other:?}"),
                }
            }
            show(&file.bytes);
            assert_eq!(scanner.judge().unwrap(), Outcome::Grown);
            assert_eq!(sequences(&mut scanner), (first..=first + round).collect::<Vec<_>>());
            assert_eq!(scanner.point().offset, file.bytes.len() as u64);
        }
    }
}

#[test]
fn a_scan_resumes_at_any_point_with_the_same_result() {
    let mut file = OpenFile::new();
    for count in 1..=6 {
        file.push_standard(count);
        file.sync();
    }
    let mut scanner = Scanner::open(file.bytes.as_slice()).unwrap();
    let header = *scanner.header();
    let mut points = vec![scanner.point()];
    let mut hashes = Vec::new();
    while let Some(entry) = scanner.next_entry().unwrap() {
        hashes.push(entry.chain_hash);
        let point = scanner.point();
        if points.last() != Some(&point) {
            points.push(point);
        }
    }
    assert_eq!(points.len(), 7);
    for point in points {
        // Nothing before the point is read.
        let mut bytes = file.bytes.clone();
        bytes[..point.offset as usize].fill(0xff);
        let mut resumed = Scanner::resume(bytes.as_slice(), header, point);
        let mut sequence = point.sequence;
        while let Some(entry) = resumed.next_entry().unwrap() {
            sequence += 1;
            assert_eq!((entry.sequence, entry.chain_hash), (sequence, hashes[sequence as usize - 1]));
        }
        assert_eq!(sequence, 21);
        assert_eq!(resumed.point(), scanner.point());
    }
}

#[test]
fn a_live_reader_reports_damage_only_below_a_later_durable_offset() {
    let mut file = OpenFile::new();
    file.push_standard(1);
    file.sync();
    file.push_standard(1);
    let growing = Growing::default();
    let damaged_at = file.records[1] as usize + 57;
    let show = |bytes: &[u8]| {
        let mut shown = bytes.to_vec();
        shown[damaged_at] ^= 1;
        *growing.0.borrow_mut() = shown;
    };
    show(&file.bytes);
    let mut scanner = Scanner::open(&growing).unwrap();
    assert_eq!(sequences(&mut scanner), [1]);
    assert!(matches!(scanner.judge().unwrap(), Outcome::Torn { why: RecordDefect::BodyChecksum, .. }));
    // Another record, written before anything else was synced.
    file.push_standard(1);
    show(&file.bytes);
    assert!(scanner.next_entry().unwrap().is_none());
    assert!(matches!(scanner.judge().unwrap(), Outcome::Torn { .. }));
    // And one that says that all before it was on disk.
    file.sync();
    file.push_standard(1);
    show(&file.bytes);
    let outcome = scanner.judge().unwrap();
    let Outcome::Corrupt { offset, sequence, what: Damage::BelowDurable { durable_offset, .. } } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!((offset, sequence, durable_offset), (file.records[1], 2, file.records[3]));
}

/// Shows an older state for the first reads, a newer one afterwards: the writer went on while the reader was looking.
struct Racing {
    old: Vec<u8>,
    new: Vec<u8>,
    reads: AtomicU64,
    switch_after: u64,
}

impl ReadAt for Racing {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let old = self.reads.fetch_add(1, Ordering::Relaxed) < self.switch_after;
        if old { self.old.read_at(buffer, offset) } else { self.new.read_at(buffer, offset) }
    }
}

/// The place is looked at, found incomplete, then completed and synced, and a record is written behind it that says so: that is
/// no damage, whenever it happens between two reads.
#[test]
fn a_writer_that_overtakes_the_reader_is_not_damage() {
    let mut file = OpenFile::new();
    file.push_standard(1);
    file.sync();
    let mut old = file.bytes.clone();
    let resume_at = {
        let mut scanner = Scanner::open(file.bytes.as_slice()).unwrap();
        assert_eq!(sequences(&mut scanner), [1]);
        scanner.point()
    };
    // Long enough that the search takes several reads.
    file.push(&[vec![0x77; 300_000]]);
    old.extend_from_slice(&file.bytes[old.len()..old.len() + 100]);
    old.resize(file.bytes.len() + 4096, 0);
    file.sync();
    file.push_standard(1);
    let mut new = file.bytes.clone();
    new.resize(old.len().max(new.len()), 0);
    for switch_after in 0..30 {
        let racing = Racing { old: old.clone(), new: new.clone(), reads: AtomicU64::new(0), switch_after };
        let mut scanner = Scanner::resume(&racing, file.header, resume_at);
        let outcome = scanner.judge().unwrap();
        assert!(
            matches!(outcome, Outcome::Grown | Outcome::Torn { .. }),
            "switched after {switch_after} reads: {outcome:?}"
        );
    }
}

/// A thread appends, this one follows: every entry once, in order, with the right chain.
#[test]
fn a_follower_thread_sees_every_entry_once() {
    #[derive(Clone)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl ReadAt for Shared {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
            // In small pieces, so that one record is read in several states of the file.
            let len = buffer.len().min(97);
            self.0.lock().unwrap().read_at(&mut buffer[..len], offset)
        }
    }

    let mut file = OpenFile::new();
    let mut reserved = file.bytes.clone();
    reserved.resize(1 << 20, 0);
    let shared = Shared(Arc::new(Mutex::new(reserved)));
    let total = 600;
    let writer = {
        let shared = shared.clone();
        std::thread::spawn(move || {
            while file.next_seq <= total {
                let at = file.bytes.len();
                file.push_standard(1 + file.next_seq % 7);
                for (index, piece) in file.bytes[at..].chunks(41).enumerate() {
                    let from = at + index * 41;
                    shared.0.lock().unwrap()[from..from + piece.len()].copy_from_slice(piece);
                }
                if file.next_seq.is_multiple_of(3) {
                    file.sync();
                }
            }
            file.next_seq - 1
        })
    };
    let mut scanner = Scanner::open(shared).unwrap();
    let mut seen = Vec::new();
    loop {
        let done = writer.is_finished();
        seen.extend(sequences(&mut scanner));
        match scanner.judge().unwrap() {
            Outcome::Corrupt { .. } => panic!("a healthy writer"),
            Outcome::Grown => continue,
            _ if done => break,
            _ => std::thread::yield_now(),
        }
    }
    let last = writer.join().unwrap();
    assert_eq!(seen, (1..=last).collect::<Vec<_>>());
}
