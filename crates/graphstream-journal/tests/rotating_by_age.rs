//! Rotation by age: no entry stays in the open segment for longer than the option says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream_journal::{
    Ack, Compression, Error, Journal, JournalDir, JournalOptions, Level, Service, SyncPolicy,
};
use graphstream_testkit::{CrashFs, SteppingClock};
use memory::{DIR, payload, read};

const PATIENCE: Duration = Duration::from_secs(20);
const START: i64 = 1_700_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

fn open(dir: &Path, age: Duration) -> Journal {
    let options = JournalOptions::default().with_segment_age_max(age);
    Journal::builder(dir).options(options).open().unwrap().0
}

fn open_inline(fs: &CrashFs, clock: &Arc<SteppingClock>) -> Journal {
    let options = JournalOptions::default()
        .with_service(Service::Inline)
        .with_sync_policy(SyncPolicy::Never)
        .with_compression(Compression::None)
        .with_waiting_segments_max(1)
        .with_segment_age_max(HOUR);
    let clock = Arc::clone(clock);
    Journal::builder(DIR).options(options).fs(Arc::new(fs.clone())).clock(clock).open().unwrap().0
}

fn firsts(fs: &CrashFs) -> Vec<u64> {
    JournalDir::open_on(DIR, Arc::new(fs.clone())).unwrap().segment_sequences().unwrap()
}

#[test]
fn an_idle_journal_seals_its_last_entries_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), Duration::from_millis(20));
    for n in 1..=3 {
        // Nobody waits for the entry, and nothing follows it.
        drop(journal.append(payload(n)).unwrap());
        assert!(journal.wait_timeout(n, Level::Sealed, PATIENCE).unwrap(), "entry {n} stays open");
    }
    assert_eq!(journal.dir().segment_sequences().unwrap(), [1, 2, 3], "each segment has a time of its own");
    assert!(journal.dir().segments().unwrap().iter().all(graphstream_journal::SegmentInfo::is_sealed));
}

#[test]
fn steady_load_does_not_keep_a_segment_open() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), Duration::from_millis(20));
    let started = Instant::now();
    let mut n = 0;
    while journal.positions().sealed.sequence == 0 {
        n += 1;
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Written).unwrap();
        assert!(started.elapsed() < PATIENCE, "nothing sealed in {n} appends");
    }
    assert_eq!(journal.close().unwrap().position.sequence, n);
}

#[test]
fn a_segment_that_was_left_leaves_the_next_one_its_full_time() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), HOUR);
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Written).unwrap();
    journal.seal().unwrap();
    let _ = journal.append(payload(2)).unwrap().wait(Ack::Written).unwrap();
    assert!(!journal.wait_timeout(2, Level::Sealed, Duration::from_millis(20)).unwrap());
}

/// The timer that was set for a segment which has gone since looks at the one that is open now, and comes back for it.
#[test]
fn a_timer_that_comes_too_early_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), Duration::from_millis(200));
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Written).unwrap();
    journal.seal().unwrap();
    let _ = journal.append(payload(2)).unwrap().wait(Ack::Written).unwrap();
    assert!(journal.wait_timeout(2, Level::Sealed, PATIENCE).unwrap());
}

#[test]
fn without_a_pool_age_is_looked_at_when_entries_are_written() {
    let fs = CrashFs::new();
    let clock = Arc::new(SteppingClock::starting_at(START));
    let journal = open_inline(&fs, &clock);
    let append = |n| journal.append(payload(n)).unwrap().wait(Ack::Written).unwrap();
    let _ = append(1);
    let written_ms = START + HOUR.as_millis() as i64;
    clock.set(written_ms - 1_000);
    let _ = append(2);
    assert_eq!(firsts(&fs), [1], "not yet");
    clock.set(written_ms + 1_000);
    let _ = append(3);
    assert_eq!(firsts(&fs), [1, 3], "the oldest entry counts, not the newest");
    assert_eq!(journal.positions().sealed.sequence, 2);
    // L17: the clock goes back: nothing is older than it was.
    clock.set(START);
    let _ = append(4);
    assert_eq!(firsts(&fs), [1, 3]);
    journal.close().unwrap();
    assert!(read(&fs).into_iter().map(|entry| entry.payload).eq((1..=4).map(payload)));
}

/// While sealing fails and no more segments may wait for it, an aged segment is written to, and no append fails for its age.
#[test]
fn an_aged_segment_is_kept_while_too_many_wait_to_be_sealed() {
    let fs = CrashFs::new();
    let clock = Arc::new(SteppingClock::starting_at(START));
    let journal = open_inline(&fs, &clock);
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Synced).unwrap();
    // In the payload.
    let flip = || fs.corrupt(journal.dir().segment_path(1), |bytes| bytes[240] ^= 1);
    assert!(flip());
    journal.seal().unwrap_err();
    for n in 2..=20 {
        clock.set(START + n as i64 * 2 * HOUR.as_millis() as i64);
        assert_eq!(journal.append(payload(n)).unwrap().wait(Ack::Synced).unwrap(), n..=n);
    }
    assert_eq!(firsts(&fs), [1, 2]);
    assert!(flip());
    assert_eq!(journal.seal().unwrap().unwrap().last_sequence, 20);
    assert!(read(&fs).into_iter().map(|entry| entry.payload).eq((1..=20).map(payload)));
}

#[test]
fn no_age_is_refused_and_an_endless_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::default().with_segment_age_max(Duration::ZERO);
    let error = Journal::builder(dir.path()).options(options).open().unwrap_err();
    assert!(matches!(error, Error::InvalidOption { option: "segment_age_max", .. }), "{error:?}");
    let journal = open(dir.path(), Duration::MAX);
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Synced).unwrap();
    assert_eq!(journal.positions().sealed.sequence, 0);
}
