//! A journal in memory, and the loop over schedules.

use std::sync::Arc;

use graphstream_journal::{
    Ack, Compression, Journal, JournalOptions, JournalReader, Level, Positions, ReaderOptions, Service,
    SyncPolicy,
};

use super::slow_fs::SlowFs;
use crate::crash_fs::{CrashFs, Crashes};
use crate::fixed::{CountingEntropy, SteppingClock};

pub(crate) const DIR: &str = "/journal";

/// Runs a test under so many schedules: half of them random at every step, half with few changes of who runs.
pub(crate) fn every_schedule(test: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("GRAPHSTREAM_SCHEDULES").map_or(1_000, |count| count.parse().unwrap());
    let test = Arc::new(test);
    let again = Arc::clone(&test);
    shuttle::check_random(move || test(), schedules / 2);
    shuttle::check_pct(move || again(), schedules / 2, 3);
}

pub(crate) fn options(service: Service, sync_policy: SyncPolicy) -> JournalOptions {
    JournalOptions::default()
        .with_service(service)
        .with_sync_policy(sync_policy)
        .with_segment_bytes_max(1024)
        .with_compression(Compression::None)
}

pub(crate) fn open(fs: CrashFs, options: JournalOptions) -> Journal {
    open_on(SlowFs::new(fs), options)
}

pub(crate) fn open_on(fs: SlowFs, options: JournalOptions) -> Journal {
    Journal::builder(DIR)
        .options(options)
        .fs(Arc::new(fs))
        .clock(Arc::new(SteppingClock::starting_at(1_000)))
        .entropy(Arc::new(CountingEntropy::seeded(1)))
        .open()
        .unwrap()
        .0
}

pub(crate) fn read(fs: &CrashFs) -> Vec<Vec<u8>> {
    JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(fs.clone()))
        .unwrap()
        .map(|entry| entry.unwrap().payload)
        .collect()
}

/// What a disk holds that has lost everything it could, with the power cut after so many effects.
pub(crate) fn after_power_cut(fs: &CrashFs, effects: usize) -> Vec<Vec<u8>> {
    let images = Crashes::of(fs).at(effects, 0, 1);
    let fs = images[0].boot();
    drop(open(fs.clone(), options(Service::Inline, SyncPolicy::Never)));
    read(&fs)
}

pub(crate) fn in_order(positions: &Positions) -> bool {
    positions.written.sequence >= positions.synced.sequence
        && positions.synced.sequence >= positions.sealed.sequence
}

/// An acknowledgement: which entry, what was said, and when, in effects on the file system.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) payload: Vec<u8>,
    pub(crate) sequence: u64,
    pub(crate) ack: Ack,
    pub(crate) effects: usize,
}

/// Appends and waits; the journal's positions must include what it says.
pub(crate) fn append(
    journal: &Journal,
    fs: &CrashFs,
    payload: Vec<u8>,
    ack: Ack,
) -> graphstream_journal::Result<Acknowledged> {
    let sequence = *journal.append(&payload)?.wait(ack)?.start();
    let effects = fs.effects();
    let positions = journal.positions();
    let level = if ack == Ack::Synced { Level::Synced } else { Level::Written };
    let reached = if level == Level::Synced { positions.synced } else { positions.written };
    assert!(reached.sequence >= sequence, "{sequence} was acknowledged as {ack:?}, {positions:?}");
    assert!(in_order(&positions), "{positions:?}");
    Ok(Acknowledged { payload, sequence, ack, effects })
}

/// Every acknowledged entry stands under its sequence, and those acknowledged as synced survived a power cut at that moment.
pub(crate) fn check(fs: &CrashFs, acknowledged: &[Acknowledged]) {
    let entries = read(fs);
    for one in acknowledged {
        assert_eq!(entries[one.sequence as usize - 1], one.payload, "sequence {}", one.sequence);
    }
    // One of them: whichever the schedule made the first.
    if let Some(synced) =
        acknowledged.iter().filter(|one| one.ack == Ack::Synced).min_by_key(|one| one.effects)
    {
        let survived = after_power_cut(fs, synced.effects);
        assert!(survived.contains(&synced.payload), "{} was not synced when it was said", synced.sequence);
    }
}
