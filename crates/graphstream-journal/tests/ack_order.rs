//! What is said about an entry while something else is under way: a sync, a write, a sealing that fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::io::ErrorKind as Io;
use std::sync::Arc;

use graphstream_journal::{
    Ack, Error, Fs, Journal, JournalOptions, JournalReader, ReaderOptions, RecoveryReport, Service,
    SyncPolicy, Ticket,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Fault, SteppingClock};
use hooked_fs::HookedFs;

const DIR: &str = "/journal";

fn open(fs: Arc<dyn Fs>, seed: u32) -> graphstream_journal::Result<(Journal, RecoveryReport)> {
    let options = JournalOptions::default()
        .with_service(Service::Inline)
        .with_segment_bytes_max(1024)
        .with_sync_policy(SyncPolicy::Never);
    Journal::builder(DIR)
        .options(options)
        .fs(fs)
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(seed)))
        .open()
}

fn written(journal: &Journal, payload: &[u8]) -> Ticket {
    let ticket = journal.append(payload).unwrap();
    let _ = ticket.wait(Ack::Written).unwrap();
    ticket
}

/// Power is cut now: whatever reached the disk, at least these entries are found.
fn survives_a_power_cut(fs: &CrashFs, least: &[&[u8]]) {
    let mut crashes = Crashes::of(fs);
    let last = crashes.boundaries() - 1;
    for image in crashes.at(last, 8, 5) {
        let fs = image.boot();
        let context = format!("{:?}", image.persisted);
        let (journal, _) =
            open(Arc::new(fs.clone()), 90).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let reader = JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(fs)).unwrap();
        let found: Vec<_> = reader.map(|entry| entry.unwrap().payload).collect();
        assert!(found.iter().zip(least).all(|(found, least)| found == least), "{context}: other entries");
        assert!(found.len() >= least.len(), "{context}: {} entries", found.len());
        drop(journal);
    }
}

#[test]
fn nothing_counts_as_synced_before_its_fdatasync_has_returned() {
    let fs = HookedFs::default();
    let (journal, _) = open(Arc::new(fs.clone()), 1).unwrap();
    let _ = written(&journal, b"first").wait(Ack::Synced).unwrap();
    let ticket = written(&journal, b"second");
    let inside = journal.clone();
    fs.in_next_sync_data(move || assert_eq!(inside.positions().synced.sequence, 1));
    assert_eq!(ticket.wait(Ack::Synced).unwrap(), 2..=2);
    assert_eq!(journal.positions().synced.sequence, 2);
}

/// L03: the durable offset is where the file ended when the sync was *started*. With a later one, a record that was never on disk
/// would count as damaged, and the journal would refuse to open after a mere power cut.
#[test]
fn l03_what_is_written_during_a_sync_is_not_durable_by_it() {
    let fs = HookedFs::default();
    let (journal, _) = open(Arc::new(fs.clone()), 1).unwrap();
    let ticket = written(&journal, b"first");
    let inside = journal.clone();
    fs.in_next_sync_data(move || drop(written(&inside, b"during")));
    let _ = ticket.wait(Ack::Synced).unwrap();
    assert_eq!(journal.positions().synced.sequence, 1);
    assert_eq!(journal.positions().written.sequence, 2);
    // Carries the durable offset.
    drop(written(&journal, b"behind"));
    survives_a_power_cut(&fs.disk, &[b"first"]);
}

/// L04: a sync fails while the next group is being written. That group's success changes nothing.
#[test]
fn l04_a_group_written_during_a_failing_sync_does_not_revive_the_journal() {
    let fs = HookedFs::default();
    let (journal, _) = open(Arc::new(fs.clone()), 1).unwrap();
    let _ = written(&journal, b"first").wait(Ack::Synced).unwrap();
    let lost = written(&journal, b"lost");
    let meanwhile = journal.append(b"meanwhile").unwrap();
    let disk = fs.disk.clone();
    fs.in_next_write(move || {
        disk.fail(disk.calls(), Fault::Error(Io::Other));
        assert!(matches!(lost.wait(Ack::Synced), Err(Error::Unresolved { .. })));
    });
    let _ = meanwhile.wait(Ack::Written);
    let synced = meanwhile.wait(Ack::Synced);
    assert!(matches!(synced, Err(Error::Unresolved { .. })), "{synced:?}");
    let again = journal.append(b"again");
    assert!(matches!(again, Err(Error::Poisoned { .. })), "{again:?}");
    assert!(journal.sync().is_err());
    assert_eq!(journal.positions().synced.sequence, 1);
}

/// L09: a segment is on disk before the next one exists, also when it can't be sealed in between.
#[test]
fn l09_a_rotated_segment_is_synced_even_if_sealing_fails() {
    let large = [7; 1200];
    let run = |fs: &CrashFs, failing: Option<u64>| {
        let (journal, _) = open(Arc::new(fs.clone()), 1).unwrap();
        drop(written(&journal, b"in the first segment"));
        if let Some(call) = failing {
            fs.fail(call, Fault::Error(Io::Other));
        }
        let before = fs.calls();
        // Does not fit: a new segment. Whoever waits for it waits for all before it, too.
        let synced = journal.append(large).unwrap().wait(Ack::Synced).is_ok();
        (before, synced, journal.positions().sealed.sequence)
    };
    let fs = CrashFs::new();
    let (first, synced, sealed) = run(&fs, None);
    assert!(synced && sealed == 1, "sealed up to {sealed}");
    let mut unsealed = 0;
    for call in first..fs.calls() {
        let fs = CrashFs::new();
        let (_, synced, sealed) = run(&fs, Some(call));
        if synced {
            unsealed += usize::from(sealed == 0);
            survives_a_power_cut(&fs, &[b"in the first segment", &large]);
        }
    }
    assert!(unsealed > 3, "sealing failed only {unsealed} times");
}
