//! How fast a sealed journal is read and verified, and how fast one sequence is found in it, beside what that is made of: reading the
//! files, zstd, and the SHA-256 chain. All rates are per byte of payload, so that ratios can be read off.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub, reason = "shared between benches")]
mod entries;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use entries::{payloads, scratch};
use graphstream_format::header::HEADER_LEN;
use graphstream_journal::{
    Ack, ChainHash, Entry, Journal, JournalDir, JournalOptions, JournalReader, ReaderOptions,
};

const ENTRIES: u64 = 60_000;
const TRAILER: usize = 32;

fn chain(payloads: &[Vec<u8>]) -> ChainHash {
    payloads.iter().fold(ChainHash::ZERO, |chain, payload| chain.after(payload))
}

fn reading(criterion: &mut Criterion) {
    let payloads = payloads(ENTRIES);
    let bytes: u64 = payloads.iter().map(|payload| payload.len() as u64).sum();
    let dir = scratch();
    let (journal, _) = Journal::builder(dir.path()).options(JournalOptions::default()).open().unwrap();
    for batch in payloads.chunks(500) {
        let _ = journal.append_batch(batch).unwrap().wait(Ack::Written).unwrap();
    }
    journal.close().unwrap();
    let segments = JournalDir::open(dir.path()).unwrap().segments().unwrap();
    assert!(segments.len() > 2 && segments.iter().all(|segment| segment.is_sealed()));
    let files: Vec<Vec<u8>> = segments.iter().map(|segment| std::fs::read(&segment.path).unwrap()).collect();
    let body = |file: &'_ [u8]| zstd::decode_all(&file[HEADER_LEN..file.len() - TRAILER]).unwrap();

    let mut group = criterion.benchmark_group("read");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("limit/chain", |bench| bench.iter(|| chain(black_box(&payloads))));
    group.bench_function("limit/zstd", |bench| {
        bench.iter(|| files.iter().map(|file| body(file).len()).sum::<usize>());
    });
    group.bench_function("limit/files", |bench| {
        bench.iter(|| {
            segments.iter().map(|segment| std::fs::read(&segment.path).unwrap().len()).sum::<usize>()
        });
    });
    group.bench_function("journal/all", |bench| {
        let mut entry = Entry::default();
        bench.iter(|| {
            let mut reader = JournalReader::open(dir.path(), ReaderOptions::default()).unwrap();
            let mut entries = 0;
            while reader.read_next(&mut entry).unwrap() {
                black_box(&entry.payload);
                entries += 1;
            }
            assert_eq!(entries, ENTRIES);
        });
    });
    group.finish();

    // A version 1 segment is decoded from its start: on average half of one.
    let mut group = criterion.benchmark_group("seek");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let half = (segments[0].header.last_seq / 2) as usize;
    group.bench_function("limit/chain-and-zstd-of-half-a-segment", |bench| {
        let file = &files[0];
        let mut decoded = vec![0; body(file).len() / 2];
        bench.iter(|| {
            let mut decoder = zstd::Decoder::new(&file[HEADER_LEN..file.len() - TRAILER]).unwrap();
            std::io::Read::read_exact(&mut decoder, &mut decoded).unwrap();
            chain(black_box(&payloads[..half]))
        });
    });
    let mut sequence = 1;
    group.bench_function("journal/one-sequence", |bench| {
        let mut entry = Entry::default();
        bench.iter(|| {
            sequence = (sequence + 7_919) % ENTRIES + 1;
            let options = ReaderOptions::default().with_from_sequence(sequence);
            let mut reader = JournalReader::open(dir.path(), options).unwrap();
            assert!(reader.read_next(&mut entry).unwrap());
            assert_eq!(entry.sequence, sequence);
        });
    });
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
