//! What encryption adds to a segment, per frame of 256 KiB before compression (about 21 KiB after it), and what a new segment's key costs.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/chunk_header/mod.rs"]
mod chunk_header;

use std::hint::black_box;

use chunk_header::header;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use graphstream_format::Lineage;
use graphstream_format::encryption::{
    CHUNK_PREFIX_LEN, ChunkOpener, ChunkSealer, DataKey, EXTENSION_LEN, SEGMENT_RANDOM_LEN,
};
use graphstream_format::header::{FLAG_SEALED, Header, VERSION_2};

fn chunks(criterion: &mut Criterion) {
    let key = DataKey::taking(&mut [7; 32]);
    let random = [9; SEGMENT_RANDOM_LEN];
    let mut group = criterion.benchmark_group("encryption");
    for bytes in [21 << 10, 256 << 10] {
        group.throughput(Throughput::Bytes(bytes as u64));
        let plain = vec![0x5a; CHUNK_PREFIX_LEN + bytes];
        let mut sealer = ChunkSealer::new(&key, &header(), &random);
        group.bench_function(format!("seal_{bytes}"), |bench| {
            let prepared = || (sealer.next_chunk().unwrap(), plain.clone());
            bench.iter_batched(
                prepared,
                |(slot, mut chunk)| {
                    slot.seal(&mut chunk).unwrap();
                    chunk
                },
                BatchSize::SmallInput,
            );
        });
        let mut sealer = ChunkSealer::new(&key, &header(), &random);
        let opener = ChunkOpener::new(&key, &header(), sealer.extension()).unwrap();
        let mut chunk = plain.clone();
        sealer.next_chunk().unwrap().seal(&mut chunk).unwrap();
        let stored = chunk.split_off(CHUNK_PREFIX_LEN);
        group.bench_function(format!("open_{bytes}"), |bench| {
            bench.iter_batched_ref(
                || stored.clone(),
                |chunk| {
                    black_box(opener.open(0, false, chunk, 0).unwrap());
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("segment_key", |bench| {
        bench.iter(|| ChunkSealer::new(black_box(&key), &header(), &random));
    });
    group.finish();
}

criterion_group!(benches, chunks);
criterion_main!(benches);
