//! A large group is drafted by one thread and written by another, across several segments.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use graphstream_journal::{
    Ack, Error, Journal, JournalOptions, JournalReader, ReaderOptions, SyncPolicy, Ticket,
};
use graphstream_testkit::{CountingEntropy, SteppingClock};
use hooked_fs::{HookedFs, Op};

const DIR: &str = "/journal";
/// Some 700 KB: ten segments and more.
const ENTRIES: usize = 700;

fn open(fs: &HookedFs) -> Journal {
    let options =
        JournalOptions::default().with_segment_bytes_max(64 << 10).with_sync_policy(SyncPolicy::Never);
    Journal::builder(DIR)
        .options(options)
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(1)))
        .open()
        .unwrap()
        .0
}

fn payload(n: usize) -> Vec<u8> {
    (0..1_000).map(|byte| (byte * 7 + n) as u8).collect()
}

fn read(fs: &HookedFs) -> Vec<Vec<u8>> {
    JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(fs.disk.clone()))
        .unwrap()
        .map(|entry| entry.unwrap().payload)
        .collect()
}

/// Entry 0 is written by itself; the others are queued meanwhile, so that they are one group.
fn append_together(fs: &HookedFs, journal: &Journal) -> Vec<Ticket> {
    let (go_on, told) = channel();
    let (begun, begins) = channel();
    fs.in_next_write(move || {
        begun.send(()).unwrap();
        told.recv().unwrap();
    });
    let mut tickets = vec![journal.append(payload(0)).unwrap()];
    begins.recv().unwrap();
    tickets.extend((1..ENTRIES).map(|n| journal.append(payload(n)).unwrap()));
    go_on.send(()).unwrap();
    tickets
}

#[test]
fn a_large_group_is_written_in_order_across_segments() {
    let fs = HookedFs::default();
    let journal = open(&fs);
    for (n, ticket) in (1..).zip(append_together(&fs, &journal)) {
        assert_eq!(ticket.wait(Ack::Synced).unwrap(), n..=n);
    }
    journal.close().unwrap();
    assert!(fs.disk.files().len() > 10, "{:?}", fs.disk.files());
    assert_eq!(read(&fs), (0..ENTRIES).map(payload).collect::<Vec<_>>());
}

/// L06: what was drafted behind a segment that could not be created has no sequence; they are given out again.
#[test]
fn l06_drafts_behind_a_full_disk_were_never_there() {
    for full_at in [2, 5] {
        let fs = HookedFs::default();
        let journal = open(&fs);
        // Sealing creates temporary files of the same names later.
        let created = Mutex::new(HashSet::new());
        fs.watch(move |op, path| {
            let mut created = created.lock().unwrap();
            let first = op == Op::Create && created.insert(path.to_path_buf());
            if first && created.len() == full_at { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        let mut expected = Vec::new();
        let mut full = 0;
        for (n, ticket) in append_together(&fs, &journal).into_iter().enumerate() {
            match ticket.wait(Ack::Written) {
                Ok(range) => {
                    expected.push(payload(n));
                    assert_eq!(*range.end(), expected.len() as u64);
                    assert_eq!(full, 0, "{n} was written behind one that was not");
                }
                Err(Error::Full { .. }) => full += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(full > 0 && expected.len() > 1, "{full} of {ENTRIES} failed");
        assert_eq!(journal.positions().written.sequence, expected.len() as u64);
        let range = journal.append(payload(7)).unwrap().wait(Ack::Synced).unwrap();
        expected.push(payload(7));
        assert_eq!(*range.end(), expected.len() as u64, "sequences are given out again");
        journal.close().unwrap();
        assert_eq!(read(&fs), expected);
    }
}
