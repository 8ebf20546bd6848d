//! A journal on the file system that crashes and fails on demand.

use std::sync::Arc;

use graphstream_journal::{
    Clock, Compression, Entry, Fs, Journal, JournalBuilder, JournalOptions, JournalReader, ReaderOptions,
    Result, Service, SyncPolicy,
};
use graphstream_testkit::{CountingEntropy, CrashFs, SteppingClock};

pub const DIR: &str = "/journal";

pub fn builder(fs: &CrashFs) -> JournalBuilder {
    let options = JournalOptions::default()
        .with_service(Service::Inline)
        .with_sync_policy(SyncPolicy::Never)
        .with_segment_bytes_max(4096)
        .with_compression(Compression::None);
    Journal::builder(DIR)
        .options(options)
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(fs.calls() as u32)))
}

pub fn builder_with_clock(fs: &CrashFs, clock: Arc<dyn Clock>) -> JournalBuilder {
    builder(fs).clock(clock)
}

pub fn reader(fs: impl Fs) -> Result<JournalReader> {
    JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(fs))
}

pub fn read(fs: &CrashFs) -> Vec<Entry> {
    reader(fs.clone()).unwrap().map(|entry| entry.unwrap()).collect()
}

pub fn payload(n: u64) -> Vec<u8> {
    format!("entry number {n}").into_bytes()
}

/// Entries 1..=last in sealed segments of three, closed.
pub fn sealed(last: u64) -> CrashFs {
    let fs = CrashFs::new();
    let (journal, _) = builder(&fs).open().unwrap();
    for n in 1..=last {
        let _ = journal.append(payload(n)).unwrap();
        if n % 3 == 0 {
            journal.seal().unwrap();
        }
    }
    journal.close().unwrap();
    fs
}
