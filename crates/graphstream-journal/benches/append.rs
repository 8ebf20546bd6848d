//! What appending costs, each way beside its raw limit: the same bytes, in as many writes and syncs as the journal can do with at best,
//! into a file of zeros. Times are per iteration; rates are entries per second, so that ratios can be read off.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub, reason = "shared between benches")]
mod entries;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use entries::{payloads, scratch};
use graphstream_format::open::{Nonce, Placement, RecordEncoder};
use graphstream_journal::{Ack, Fs, FsFile, Journal, JournalOptions, StdFs, SyncPolicy};
use tempfile::TempDir;

const SEGMENT: u64 = 4 << 20;
const BATCH: usize = 100;
const PRODUCERS: usize = 8;
/// Entries of one iteration that waits only at its end.
const STREAM: usize = 20_000;
/// The journal writes no larger records than this (but for batches).
const RECORD: usize = 1 << 20;

/// A file with its space written before, which is the best a sync can find; used again when it is full.
struct Raw {
    _dir: TempDir,
    file: std::sync::Arc<dyn FsFile>,
    offset: u64,
}

impl Raw {
    fn new() -> Self {
        let dir = scratch();
        let file = StdFs.open(&dir.path().join("raw"), graphstream_journal::Access::Create).unwrap();
        assert_eq!(file.write_at(&vec![0; SEGMENT as usize], 0).unwrap() as u64, SEGMENT);
        file.sync_all().unwrap();
        Self { _dir: dir, file, offset: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.offset + bytes.len() as u64 > SEGMENT {
            self.offset = 0;
        }
        assert_eq!(self.file.write_at(bytes, self.offset).unwrap(), bytes.len());
        self.offset += bytes.len() as u64;
    }

    fn sync(&self) {
        self.file.sync_data().unwrap();
    }
}

/// The bytes that the journal writes for these entries together.
fn record(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = RecordEncoder::new(Nonce::from_bytes([7; 16]));
    encoder.begin(1);
    for payload in payloads {
        encoder.push(payload, 1_700_000_000_000).unwrap();
    }
    encoder.finish(Placement { offset: 176, durable_offset: 176 }).unwrap().to_vec()
}

fn journal(policy: SyncPolicy) -> (TempDir, Journal) {
    let dir = scratch();
    let options = JournalOptions::default().with_segment_bytes_max(SEGMENT).with_sync_policy(policy);
    let (journal, _) = Journal::builder(dir.path()).options(options).open().unwrap();
    (dir, journal)
}

/// Each producer appends its share and waits for every entry.
fn produce(journal: &Journal, payload: &[u8], entries: u64) -> Duration {
    let share = entries.div_ceil(PRODUCERS as u64);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                for _ in 0..share {
                    let _ = journal.append(payload).unwrap().wait(Ack::Synced).unwrap();
                }
            });
        }
    });
    started.elapsed()
}

fn synced(criterion: &mut Criterion) {
    let payloads = payloads(BATCH as u64);
    let mut group = criterion.benchmark_group("append-synced");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));

    group.throughput(Throughput::Elements(1));
    let (mut raw, one) = (Raw::new(), record(&payloads[..1]));
    group.bench_function("raw/one", |bench| {
        bench.iter(|| {
            raw.write(&one);
            raw.sync();
        });
    });
    let (_dir, one_producer) = journal(SyncPolicy::Always);
    group.bench_function("journal/one-producer", |bench| {
        bench.iter(|| one_producer.append(&payloads[0]).unwrap().wait(Ack::Synced).unwrap());
    });

    // The most that can share a sync: every producer has one entry in it.
    group.throughput(Throughput::Elements(PRODUCERS as u64));
    let (mut raw, together) = (Raw::new(), record(&payloads[..PRODUCERS]));
    group.bench_function("raw/eight-together", |bench| {
        bench.iter(|| {
            raw.write(&together);
            raw.sync();
        });
    });
    let (_dir, producers) = journal(SyncPolicy::Always);
    group.bench_function("journal/eight-producers", |bench| {
        bench.iter_custom(|iterations| produce(&producers, &payloads[0], iterations * PRODUCERS as u64));
    });

    group.throughput(Throughput::Elements(BATCH as u64));
    let (mut raw, batch) = (Raw::new(), record(&payloads));
    group.bench_function("raw/batch", |bench| {
        bench.iter(|| {
            raw.write(&batch);
            raw.sync();
        });
    });
    let (_dir, batches) = journal(SyncPolicy::Always);
    group.bench_function("journal/batch", |bench| {
        bench.iter(|| batches.append_batch(&payloads).unwrap().wait(Ack::Synced).unwrap());
    });
    group.finish();
}

fn never_synced(criterion: &mut Criterion) {
    let payloads = payloads(STREAM as u64);
    let mut group = criterion.benchmark_group("append-never-synced");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));

    // Rotation syncs and sealing compresses beside it: the raw limit does neither.
    group.throughput(Throughput::Elements(1));
    let (mut raw, one) = (Raw::new(), record(&payloads[..1]));
    group.bench_function("raw/written", |bench| bench.iter(|| raw.write(&one)));
    let (_dir, written) = journal(SyncPolicy::Never);
    group.bench_function("journal/written", |bench| {
        bench.iter(|| written.append(&payloads[0]).unwrap().wait(Ack::Written).unwrap());
    });

    // Nobody waits but at the end: the chain, the framing and large writes.
    group.throughput(Throughput::Elements(STREAM as u64));
    let bytes = record(&payloads);
    let mut raw = Raw::new();
    group.bench_function("raw/stream", |bench| {
        bench.iter(|| {
            bytes.chunks(RECORD).for_each(|chunk| raw.write(chunk));
            raw.sync();
        });
    });
    let (_dir, stream) = journal(SyncPolicy::Never);
    group.bench_function("journal/stream", |bench| {
        bench.iter(|| {
            for payload in &payloads {
                let _ = stream.append(payload).unwrap();
            }
            stream.sync().unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, synced, never_synced);
criterion_main!(benches);
