//! What encryption adds to a segment, per frame of 256 KiB before compression (about 21 KiB after it), and what a new segment's key costs.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use graphstream_format::Lineage;
use graphstream_format::encryption::{
    CHUNK_PREFIX_LEN, ChunkOpener, ChunkSealer, DataKey, EXTENSION_LEN, SEGMENT_RANDOM_LEN,
};
use graphstream_format::header::{FLAG_SEALED, Header, VERSION_2};

fn header() -> Header {
    Header {
        version: VERSION_2,
        flags: FLAG_SEALED,
        compression: 0,
        ext_len: EXTENSION_LEN as u32,
        first_seq: 1,
        last_seq: 1000,
        entry_count: 1000,
        body_len: 0,
        body_checksum: [0; 32],
        prev_segment_checksum: 0,
        created_ms: 0,
        lineage: Lineage::from_bytes([3; 16]),
        first_commit_ms: 0,
        last_commit_ms: 0,
    }
}

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
