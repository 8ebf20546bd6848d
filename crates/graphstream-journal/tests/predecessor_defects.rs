//! What the predecessor's journal got wrong, one test each. The numbers are those of our list of its defects.
//!
//! | number | defect | proven in |
//! |---|---|---|
//! | 1-6, 8-13 | loss of what was flushed | here |
//! | 3, 6, 10 | ... in the predecessor's own files | `graphstream-format`, `legacy.rs` (`p03`, `p06`, `p10`) |
//! | 7 | a failed seal is dropped | here; the bytes in `graphstream-format`, `predecessor_defects.rs` (`p07`) |
//! | 11 | shutdown leaves entries behind | here; on the way to the store in `graphstream-replication`, `leading.rs` (`shutdown_...`) |
//! | 35 | errors for ever | here; one segment in `graphstream-format`, `predecessor_defects.rs` (`p35`) |
//! | 36 | reading needs the entry before | here; one segment in `graphstream-format`, `predecessor_defects.rs` (`p36`) |
//! | 37 | reading starts at the first segment | here |
//! | 38 | whole segments in memory | `reading.rs` (`memory_...`); `graphstream-format`, `memory.rs`, `predecessor_defects.rs` (`p38`) |
//! | 39, 40, 41 | unchecked headers, sequences, lengths | `graphstream-format`, `predecessor_defects.rs` (`p39`, `p40`, `p41`) |
//! | 42 | a damaged sealed segment is silently passed over | here; the header in `graphstream-format`, `predecessor_defects.rs` (`p42`) |
//! | 43 | values silently become null | `graphstream-proto`, `payload.rs` (`every_kind_...`) |
//! | 44, 45 | a queue without bounds, panics, one system call per entry | here |
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::io::ErrorKind as Io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graphstream_journal::{
    Ack, Error, ErrorKind, Fs, Journal, JournalDir, JournalOptions, JournalReader, Level, QueuePolicy,
    ReaderOptions, RecoveryReport, Service, SyncPolicy, segment_name,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Fault, Lies, SteppingClock};
use hooked_fs::HookedFs;

const DIR: &str = "/journal";

fn options() -> JournalOptions {
    JournalOptions::default()
        .with_service(Service::Inline)
        .with_sync_policy(SyncPolicy::Never)
        .with_segment_bytes_max(1024)
}

fn open_on(
    fs: Arc<dyn Fs>,
    options: JournalOptions,
) -> graphstream_journal::Result<(Journal, RecoveryReport)> {
    Journal::builder(DIR)
        .options(options)
        .fs(fs)
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(3)))
        .open()
}

fn open(fs: &CrashFs) -> (Journal, RecoveryReport) {
    open_on(Arc::new(fs.clone()), options()).unwrap()
}

fn dir(fs: &CrashFs) -> JournalDir {
    JournalDir::open_on(DIR, Arc::new(fs.clone())).unwrap()
}

fn read(fs: &CrashFs) -> Vec<String> {
    read_from(fs, 0).map(|entry| String::from_utf8(entry.unwrap().payload).unwrap()).collect()
}

fn read_from(fs: &CrashFs, sequence: u64) -> JournalReader {
    let options = ReaderOptions::default().with_from_sequence(sequence);
    JournalReader::open_on(DIR, options, Arc::new(fs.clone())).unwrap()
}

fn append(journal: &Journal, payload: &str, ack: Ack) -> Result<u64, Error> {
    journal.append(payload)?.wait(ack).map(|sequences| *sequences.start())
}

fn synced(journal: &Journal, payloads: &[&str]) {
    for payload in payloads {
        append(journal, payload, Ack::Synced).unwrap();
    }
}

/// The process is killed: what it had written stays.
fn kill(fs: &CrashFs, journal: Journal) -> CrashFs {
    std::mem::forget(journal);
    fs.after_kill()
}

/// 1: the newest sealed segment was taken for the end. The next write took the sequence, hence the name, of the open segment behind
/// it, and cut that to nothing.
#[test]
fn defect_01_what_follows_the_newest_sealed_segment_is_kept() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    synced(&journal, &["1", "2", "3"]);
    journal.seal().unwrap();
    synced(&journal, &["4", "5", "6"]);
    let fs = kill(&fs, journal);
    let (journal, report) = open(&fs);
    assert_eq!(report.position.sequence, 6);
    assert_eq!(append(&journal, "NEW", Ack::Synced).unwrap(), 7);
    assert_eq!(read(&fs), ["1", "2", "3", "4", "5", "6", "NEW"]);
}

/// 2: the timer that syncs ran only while nothing was appended.
#[test]
fn defect_02_the_interval_is_kept_under_steady_load() {
    let fs = CrashFs::new();
    let policy = SyncPolicy::Interval(Duration::from_millis(30));
    let options = JournalOptions::default().with_sync_policy(policy);
    let (journal, _) = open_on(Arc::new(fs), options).unwrap();
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::SeqCst) {
                append(&journal, "steady", Ack::Written).unwrap();
                // Far more often than the timer, and too seldom to fill a segment.
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut last = 0;
        let in_time = (0..3).all(|_| {
            let reached = journal.wait_timeout(last + 1, Level::Synced, Duration::from_secs(10)).unwrap();
            last = journal.positions().written.sequence;
            reached
        });
        enough.store(true, Ordering::SeqCst);
        assert!(in_time, "nothing was synced beyond {last}");
        assert_eq!(journal.positions().sealed.sequence, 0, "a rotation syncs without the timer");
    });
}

/// 3: sealing wrote over the open file. A crash in between left neither an open nor a sealed segment.
#[test]
fn defect_03_a_crash_while_sealing_leaves_a_whole_segment() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    synced(&journal, &["1", "2", "3"]);
    let before = fs.effects();
    journal.seal().unwrap();
    let mut crashes = Crashes::of(&fs);
    assert!(crashes.boundaries() > before + 3);
    for at in before..crashes.boundaries() {
        for image in crashes.at(at, 4, 1) {
            let fs = image.boot();
            assert_eq!(read(&fs), ["1", "2", "3"], "read as it was left, {at} {:?}", image.persisted);
            open(&fs);
            assert_eq!(read(&fs), ["1", "2", "3"], "recovered, {at} {:?}", image.persisted);
        }
    }
}

/// 4: an entry that could not be written was dropped, its caller told nothing, and the journal went on as if alive.
#[test]
fn defect_04_an_entry_that_is_not_written_is_an_error() {
    let mut refused = 0;
    for kind in [Io::Other, Io::StorageFull] {
        for call in 0.. {
            let fs = CrashFs::new();
            let (journal, _) = open(&fs);
            let first = fs.calls();
            fs.fail(first + call, Fault::Error(kind));
            let told = append(&journal, "1", Ack::Written);
            if fs.calls() <= first + call {
                assert!(call > 3, "{call} operations");
                break;
            }
            let fine = told.is_ok();
            refused += u32::from(!fine);
            let unresolved = matches!(told, Err(Error::Unresolved { .. }));
            // It goes on, or says that it does not.
            let after = append(&journal, "2", Ack::Written);
            let full = matches!(told, Err(Error::Full { .. } | Error::Shared(_)));
            assert_eq!(after.is_ok(), fine || full, "{kind:?} at {call}: {told:?}, then {after:?}");
            assert!(after.is_ok() || matches!(after, Err(Error::Poisoned { .. })), "{after:?}");
            let fs = kill(&fs, journal);
            open(&fs);
            let found = read(&fs);
            assert!(unresolved || found.contains(&"1".to_owned()) == fine, "{kind:?} at {call}: {found:?}");
            assert_eq!(found.contains(&"2".to_owned()), after.is_ok(), "{kind:?} at {call}: {found:?}");
        }
    }
    assert!(refused > 6, "{refused} refusals");
}

/// 5: a flush was acknowledged though its sync had failed, or though the entries before it had been dropped.
#[test]
fn defect_05_a_flush_that_failed_is_not_acknowledged() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    append(&journal, "1", Ack::Written).unwrap();
    fs.fail(fs.calls(), Fault::Error(Io::Other));
    assert!(matches!(journal.sync(), Err(Error::Unresolved { .. })), "the sync failed");
    assert!(journal.sync().is_err(), "and nothing makes up for it");

    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    synced(&journal, &["1"]);
    let dropped = journal.append("2").unwrap();
    fs.fail(fs.calls(), Fault::Error(Io::StorageFull));
    let flushed = journal.sync();
    assert!(matches!(flushed, Err(Error::Full { .. })), "the entry before it was not written: {flushed:?}");
    assert!(matches!(dropped.wait(Ack::Written), Err(Error::Full { .. })));
}

/// 6: after a write that was cut short, the next went behind the torn bytes. Nothing from there on could be read or sealed.
#[test]
fn defect_06_nothing_is_written_behind_torn_bytes() {
    for kind in [Io::StorageFull, Io::Other] {
        let fs = CrashFs::new();
        let (journal, _) = open(&fs);
        synced(&journal, &["1"]);
        fs.fail(fs.calls(), Fault::Short);
        fs.fail(fs.calls() + 1, Fault::Error(kind));
        let torn = "torn ".repeat(30);
        append(&journal, &torn, Ack::Written).unwrap_err();
        let (journal, fs) = match append(&journal, "2", Ack::Synced) {
            Ok(sequence) => {
                assert_eq!(
                    (kind, sequence),
                    (Io::StorageFull, 2),
                    "a full disk gives the sequence out again"
                );
                (journal, fs)
            }
            Err(error) => {
                assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
                let fs = kill(&fs, journal);
                let (journal, report) = open(&fs);
                assert!(report.torn_tail.is_some(), "{report:?}");
                assert_eq!(append(&journal, "2", Ack::Synced).unwrap(), 2);
                (journal, fs)
            }
        };
        assert_eq!(read(&fs), ["1", "2"], "{kind:?}");
        journal.seal().unwrap();
        assert_eq!(read(&fs), ["1", "2"], "{kind:?}");
    }
}

/// 7: a segment whose sealing failed at a rotation was never sealed, hence never shipped.
#[test]
fn defect_07_sealing_that_failed_is_done_again() {
    let large = "large ".repeat(200);
    let mut failed = 0;
    for call in 0.. {
        let fs = CrashFs::new();
        let (journal, _) = open(&fs);
        synced(&journal, &["1"]);
        let first = fs.calls();
        fs.fail(first + call, Fault::Error(Io::Other));
        // Needs a segment of its own.
        let rotated = append(&journal, &large, Ack::Written).is_ok();
        if fs.calls() <= first + call {
            break;
        }
        if !rotated {
            continue;
        }
        failed += u32::from(journal.positions().sealed.sequence == 0);
        journal.seal().unwrap();
        let sealed = dir(&fs).sealed_after(0).unwrap();
        assert_eq!(
            sealed.iter().map(|segment| segment.header.last_seq).collect::<Vec<_>>(),
            [1, 2],
            "call {call}"
        );
    }
    assert!(failed > 3, "{failed} failures");
}

/// 8: when the next segment could not be created, the next entry went behind the trailer of the sealed one.
#[test]
fn defect_08_nothing_is_written_into_a_sealed_segment() {
    let mut failed = 0;
    for call in 0.. {
        let fs = CrashFs::new();
        let (journal, _) = open(&fs);
        synced(&journal, &["1"]);
        let path = journal.seal().unwrap().unwrap().path;
        let sealed = fs.content(&path);
        let first = fs.calls();
        fs.fail(first + call, Fault::Error(Io::Other));
        failed += u32::from(append(&journal, "2", Ack::Written).is_err());
        if fs.calls() <= first + call {
            break;
        }
        let third = append(&journal, "3", Ack::Written).is_ok();
        assert!(fs.content(&path) == sealed, "the sealed segment was changed, call {call}");
        let fs = kill(&fs, journal);
        let (journal, _) = open(&fs);
        synced(&journal, &["4"]);
        assert!(fs.content(&path) == sealed, "the sealed segment was changed, call {call}");
        let found = read(&fs);
        assert_eq!(found.contains(&"3".to_owned()), third, "call {call}: {found:?}");
        assert_eq!(
            (found.first().map(String::as_str), found.last().map(String::as_str)),
            (Some("1"), Some("4"))
        );
    }
    assert!(failed > 4, "{failed} failures");
}

/// 9: a segment that a crash had left open was never sealed by anyone: a hole in the bucket for ever.
#[test]
fn defect_09_what_a_crash_left_open_is_sealed_by_the_next_start() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    synced(&journal, &["1", "2"]);
    let fs = kill(&fs, journal);
    assert!(!dir(&fs).segments().unwrap()[0].is_sealed());
    let (_journal, report) = open(&fs);
    assert_eq!(report.sealed.len(), 1);
    let shipped = dir(&fs).sealed_after(0).unwrap();
    assert_eq!(shipped.iter().map(|segment| segment.header.last_seq).collect::<Vec<_>>(), [2]);
}

/// 10: recovery stopped at a torn tail and left it there; every reader failed at it from then on.
#[test]
fn defect_10_a_torn_tail_stops_neither_readers_nor_the_next_start() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    synced(&journal, &["1", "2"]);
    let fs = kill(&fs, journal);
    let path = dir(&fs).segment_path(1);
    let end = fs.content(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    assert!(fs.corrupt(&path, |bytes| bytes[end - 20..].fill(0)));
    assert_eq!(read(&fs), ["1"]);
    let (journal, report) = open(&fs);
    assert_eq!(report.torn_tail.unwrap().last_sequence, 1);
    synced(&journal, &["NEW"]);
    assert_eq!(read(&fs), ["1", "NEW"]);
    assert!(dir(&fs).segments().unwrap()[0].is_sealed(), "the torn bytes are gone");
}

/// 11: shutdown left the entries of the active segment unsealed.
#[test]
fn defect_11_closing_seals_everything() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    synced(&journal, &["1"]);
    let _ = journal.append("nobody waits for this one").unwrap();
    let report = journal.close().unwrap();
    assert_eq!((report.position.sequence, report.newest_sealed.unwrap().last_sequence), (2, 2));
    assert!(dir(&fs).segments().unwrap().iter().all(|segment| segment.is_sealed()));
    let (_, report) = open(&fs);
    assert!(report.is_clean() && report.position.sequence == 2, "{report:?}");
}

/// 12: cleaning up removed the last segment too; the next start began at sequence 1 again, over what was already in the store.
#[test]
fn defect_12_cleaning_up_never_removes_where_the_journal_goes_on() {
    let fs = CrashFs::new();
    for round in 1..=3 {
        let (journal, report) = open(&fs);
        assert_eq!(report.position.sequence, (round - 1) * 2);
        synced(&journal, &["a"]);
        journal.seal().unwrap();
        synced(&journal, &["b"]);
        journal.close().unwrap();
        dir(&fs).set_cursor("uploader", round * 2, 0).unwrap();
        dir(&fs).remove_released().unwrap();
        assert_eq!(dir(&fs).segment_sequences().unwrap(), [round * 2]);
        assert_eq!(dir(&fs).remove_released().unwrap(), 0);
    }
}

/// 13: neither a segment's name nor that of a renamed file was synced: after a power cut, what was flushed had no name.
#[test]
fn defect_13_names_are_synced_before_an_ack() {
    let lost = |lies: Lies| {
        let fs = CrashFs::new();
        fs.lie(lies);
        let (journal, report) = open(&fs);
        synced(&journal, &["1"]);
        let mut crashes = Crashes::of(&fs);
        let last = crashes.boundaries() - 1;
        let images = crashes.at(last, 4, 1);
        let lost = images.iter().filter(|image| {
            let fs = image.boot();
            let Ok((_, found)) = open_on(Arc::new(fs.clone()), options()) else { return true };
            read(&fs) != ["1"] || found.position.lineage != report.position.lineage
        });
        lost.count()
    };
    assert_eq!(lost(Lies::default()), 0);
    assert!(lost(Lies { files: false, dirs: true }) > 0, "this test can fail");
}

/// 35: a segment that can't be read gave errors for ever: `filter_map(Result::ok)` never ended.
#[test]
fn defect_35_reading_ends_after_one_error() {
    let fs = three_sealed();
    assert!(fs.corrupt(dir(&fs).segment_path(2), |bytes| bytes[140] ^= 1));
    let mut reader = read_from(&fs, 0);
    let results: Vec<_> = reader.by_ref().take(1000).map(|entry| entry.is_ok()).collect();
    assert_eq!(results, [true, false]);
    assert!(reader.next().is_none());
}

/// 36: reading from n worked only while n-1 was there: after cleaning up, replay failed with a chain mismatch.
#[test]
fn defect_36_reading_from_the_oldest_segment_needs_nothing_before_it() {
    let fs = three_sealed();
    let whole: Vec<_> = read_from(&fs, 2).map(|entry| entry.unwrap().chain_hash).collect();
    dir(&fs).set_cursor("uploader", 1, 0).unwrap();
    assert_eq!(dir(&fs).remove_released().unwrap(), 1);
    for from in [0, 2] {
        let rest: Vec<_> = read_from(&fs, from).map(|entry| entry.unwrap().chain_hash).collect();
        assert_eq!(rest, whole, "from {from}");
    }
}

/// 37: every incremental read began at the first segment and decoded them all.
#[test]
fn defect_37_reading_the_end_costs_no_history() {
    let cost = |segments: u64| {
        let fs = CrashFs::new();
        let (journal, _) = open(&fs);
        for _ in 0..segments {
            synced(&journal, &["entry"]);
            journal.seal().unwrap();
        }
        let before = fs.calls();
        assert_eq!(read_from(&fs, segments).count(), 1);
        fs.calls() - before
    };
    assert_eq!(cost(3), cost(60));
}

/// 42: a sealed segment with a damaged header passed for one that was not sealed yet: never shipped, never reported.
#[test]
fn defect_42_a_damaged_sealed_segment_is_reported() {
    let intact = three_sealed();
    for byte in [4, 6, 40, 126] {
        let fs = intact.after_kill();
        assert!(fs.corrupt(dir(&fs).segment_path(2), |bytes| bytes[byte] ^= 4));
        for error in [
            dir(&fs).sealed_after(0).map(|_| ()).unwrap_err(),
            dir(&fs).segments().map(|_| ()).unwrap_err(),
            read_from(&fs, 0).find_map(Result::err).unwrap(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Integrity, "byte {byte}: {error:?}");
            assert!(error.to_string().contains(&segment_name(2)), "{error}");
        }
    }
}

fn three_sealed() -> CrashFs {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs);
    for payload in ["1", "2", "3"] {
        synced(&journal, &[payload]);
        journal.seal().unwrap();
    }
    journal.close().unwrap();
    fs
}

/// 44: the queue had no bound.
#[test]
fn defect_44_the_queue_is_bounded() {
    let fs = CrashFs::new();
    let options = options().with_queue_bytes_max(10_000).with_queue_policy(QueuePolicy::Fail);
    let (journal, _) = open_on(Arc::new(fs), options).unwrap();
    let payload = "x".repeat(1000);
    let queued = (0..1000).take_while(|_| journal.append(&payload).is_ok()).count();
    assert!((1..=10).contains(&queued), "{queued} entries of 1000 bytes in a queue of 10000");
}

/// 44: a writer that panicked counted as alive, and whoever waited for it waited for ever.
#[test]
fn defect_44_a_panic_ends_the_journal_and_everybody_is_told() {
    let fs = HookedFs::default();
    let (journal, _) = open_on(Arc::new(fs.clone()), options()).unwrap();
    synced(&journal, &["1"]);
    let other = journal.append("2").unwrap();
    let ticket = journal.append("3").unwrap();
    fs.in_next_write(|| panic!("a bug in the middle of a write"));
    assert!(catch_unwind(AssertUnwindSafe(|| ticket.wait(Ack::Synced))).is_err());
    let told = other.wait_timeout(Ack::Synced, Duration::from_secs(20)).unwrap_err();
    assert!(matches!(told, Error::Unresolved { .. }), "{told:?}");
    assert!(matches!(journal.append("4"), Err(Error::Poisoned { .. })));
    assert!(journal.close().is_err());
}

/// 44: a directory that can't be made was a panic.
#[test]
fn defect_44_a_directory_that_cannot_be_made_is_an_error() {
    let place = tempfile::NamedTempFile::new().unwrap();
    let error = Journal::builder(place.path().join("journal")).open().map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

/// 44: one lock was held across writing and sealing, so that appending waited for both.
#[test]
fn defect_44_appending_waits_for_no_write_and_no_sync() {
    let fs = HookedFs::default();
    let (journal, _) = open_on(Arc::new(fs.clone()), options()).unwrap();
    synced(&journal, &["1"]);
    let inside = journal.clone();
    fs.in_next_write(move || drop(inside.append("3").unwrap()));
    let inside = journal.clone();
    fs.in_next_sync_data(move || drop(inside.append("4").unwrap()));
    synced(&journal, &["2"]);
    journal.sync().unwrap();
    assert_eq!(read(&fs.disk), ["1", "2", "3", "4"]);
}

/// 45: every entry was a system call of its own.
#[test]
fn defect_45_what_is_queued_is_one_write() {
    let fs = CrashFs::new();
    let roomy = options().with_segment_bytes_max(1 << 20);
    let (journal, _) = open_on(Arc::new(fs.clone()), roomy).unwrap();
    synced(&journal, &["the segment is there"]);
    let before = fs.calls();
    for _ in 0..1000 {
        let _ = journal.append("one of a thousand").unwrap();
    }
    journal.sync().unwrap();
    assert_eq!(fs.calls() - before, 3, "a write, one of zeros ahead of the next, and a sync");
    assert_eq!(journal.positions().synced.sequence, 1001);
}
