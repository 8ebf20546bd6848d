//! Version 2 beside what it is made of. "alone" is zstd over the rows of the same frames; "bare" is decompressing these, their CRC and the
//! chain over the same payloads, and nothing else. All rates are per byte of payload, so that ratios can be read off.
//!
//! "text" payloads are no messages, so that columns can do little for them; "graph" is the command line's sample as the payload it becomes.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[allow(unreachable_pub, reason = "a module of two benches")]
mod payloads;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use graphstream_format::Compression;
use graphstream_format::v2::{RandomReader, Workers};

use payloads::{
    Alone, Bare, COLUMNS, ENTRIES, Payloads, ZSTD, graph, keys, seal, seal_encrypted, text, verify,
};

fn version_2(criterion: &mut Criterion) {
    for (name, payloads) in [("text", text()), ("graph", graph())] {
        alone(criterion, name, &payloads);
        for (word, compression) in [("zstd", ZSTD), ("columns", COLUMNS)] {
            measure(criterion, &format!("{name}-{word}"), &payloads, compression);
        }
    }
}

fn group<'c>(criterion: &'c mut Criterion, name: &str, payloads: &Payloads) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    let bytes: u64 = payloads.iter().map(|(payload, _)| payload.len() as u64).sum();
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group
}

fn alone(criterion: &mut Criterion, name: &str, payloads: &Payloads) {
    let mut group = group(criterion, name, payloads);
    let mut alone = Alone::new(payloads);
    group.bench_function("seal/alone", |bench| bench.iter(|| alone.run()));
    let mut bare = Bare::new(payloads);
    group.bench_function("read/bare", |bench| bench.iter(|| bare.run()));
    group.finish();
}

fn measure(criterion: &mut Criterion, name: &str, payloads: &Payloads, compression: Compression) {
    let packed = seal(payloads, compression, None);
    println!("{name}: {:.2} bytes an entry", packed.len() as f64 / ENTRIES as f64);
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    let keys = keys();
    let encrypted = seal_encrypted(payloads, compression, &keys);

    let mut group = group(criterion, name, payloads);
    group.bench_function("seal/one-thread", |bench| {
        bench.iter(|| seal(black_box(payloads), compression, None))
    });
    group.bench_function("seal/encrypted", |bench| {
        bench.iter(|| seal_encrypted(black_box(payloads), compression, &keys))
    });
    group.bench_function("seal/two-workers", |bench| {
        bench.iter(|| seal(black_box(payloads), compression, Some(&workers)));
    });
    group.bench_function("read/one-thread", |bench| bench.iter(|| verify(black_box(&packed), None, None)));
    group.bench_function("read/encrypted", |bench| {
        bench.iter(|| verify(black_box(&encrypted), None, Some(&keys)))
    });
    group.bench_function("read/two-workers", |bench| {
        bench.iter(|| verify(black_box(&packed), Some(&workers), None))
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("single/cold", |bench| {
        bench.iter(|| {
            let mut segment = RandomReader::open(packed.as_slice(), packed.len() as u64).unwrap();
            segment.entry(ENTRIES / 3).unwrap().unwrap().commit_ms
        });
    });
    group.bench_function("single/cold-encrypted", |bench| {
        bench.iter(|| {
            let mut segment =
                RandomReader::open_encrypted(encrypted.as_slice(), encrypted.len() as u64, &keys).unwrap();
            segment.entry(ENTRIES / 3).unwrap().unwrap().commit_ms
        });
    });
    group.finish();
}

criterion_group!(benches, version_2);
criterion_main!(benches);
