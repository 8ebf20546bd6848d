//! Version 2 beside what it is made of. "alone" is zstd over the same frames; "bare" is decompressing the same frames, their CRC and the
//! chain over the same payloads, and nothing else. All rates are per byte of payload, so that ratios can be read off.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use graphstream_format::encryption::{DataKey, KeyRing, SEGMENT_RANDOM_LEN};
use graphstream_format::open::EntryRef;
use graphstream_format::v2::{RandomReader, SegmentRange, Workers, Writer, frame_field, index_field};
use graphstream_format::{ChainHash, Compression, Entry, Lineage, ReadOptions, SegmentReader, SegmentStart};

const ENTRIES: u64 = 200_000;
const ZSTD: Compression = Compression::Zstd { level: 3 };

fn payloads() -> Vec<(Vec<u8>, ChainHash)> {
    let mut chain = ChainHash::ZERO;
    (0..ENTRIES)
        .map(|index| {
            let scattered = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let payload = format!(
                "CREATE (:Person {{id: $id, firstName: $firstName, birthday: $birthday, locationIP: $ip}}) \
                 id={index} firstName=Name{} birthday={} ip={}.{}.{}.{}",
                scattered % 997,
                scattered % 20_000,
                scattered as u8,
                (scattered >> 8) as u8,
                (scattered >> 16) as u8,
                (scattered >> 24) as u8,
            )
            .into_bytes();
            chain = chain.after(&payload);
            (payload, chain)
        })
        .collect()
}

const START: SegmentStart = SegmentStart {
    lineage: Lineage::from_bytes([1; 16]),
    first_seq: 1,
    chain_before: ChainHash::ZERO,
    created_ms: 0,
};

fn seal(payloads: &[(Vec<u8>, ChainHash)], compression: Compression, workers: Option<&Workers>) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), START, compression).unwrap();
    if let Some(workers) = workers {
        writer = writer.with_workers(workers.clone());
    }
    fill(writer, payloads)
}

fn seal_encrypted(payloads: &[(Vec<u8>, ChainHash)], keys: &KeyRing) -> Vec<u8> {
    let range = SegmentRange { last_seq: ENTRIES, first_commit_ms: 0, last_commit_ms: 0 };
    let (sink, random) = (Cursor::new(Vec::new()), [9; SEGMENT_RANDOM_LEN]);
    fill(Writer::encrypted(sink, START, ZSTD, range, keys.current(), &random).unwrap(), payloads)
}

fn fill(mut writer: Writer<Cursor<Vec<u8>>>, payloads: &[(Vec<u8>, ChainHash)]) -> Vec<u8> {
    for (sequence, (payload, chain_hash)) in (1..).zip(payloads) {
        writer.push_verified(EntryRef { sequence, commit_ms: 0, chain_hash: *chain_hash, payload }).unwrap();
    }
    writer.finish().unwrap().inner.into_inner()
}

fn verify(file: &[u8], workers: Option<&Workers>, keys: Option<&Arc<KeyRing>>) {
    let mut options = ReadOptions::default();
    options.keys = keys.cloned();
    let mut reader = SegmentReader::new(file, file.len() as u64, options).unwrap();
    if let Some(workers) = workers {
        reader = reader.with_workers(workers.clone());
    }
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).unwrap() {
        black_box(&entry.payload);
    }
    assert_eq!(reader.end().unwrap().entries, ENTRIES);
}

/// The entries of each frame as they are stored.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let footer = &file[file.len() - 64..];
    let at = |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let index = &file[at(footer, 0)..file.len() - 96];
    let mut frames = Vec::new();
    for row in index.chunks(56) {
        let frame = &file[at(row, index_field::OFFSET)..];
        let stored_len = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
        frames.push(&frame[frame_field::ENTRIES..][..stored_len]);
    }
    frames
}

fn version_2(criterion: &mut Criterion) {
    let payloads = payloads();
    let bytes: u64 = payloads.iter().map(|(payload, _)| payload.len() as u64).sum();
    let (plain, packed) = (seal(&payloads, Compression::None, None), seal(&payloads, ZSTD, None));
    let (raw, stored) = (frames(&plain), frames(&packed));
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    let keys = Arc::new(KeyRing::new(DataKey::taking(&mut [7; 32])));
    let encrypted = seal_encrypted(&payloads, &keys);

    let mut group = criterion.benchmark_group("v2");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group.bench_function("seal/alone", |bench| {
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        let mut out = Vec::with_capacity(1 << 20);
        bench.iter(|| {
            raw.iter().map(|raw| compressor.compress_to_buffer(raw, &mut out).unwrap()).sum::<usize>()
        });
    });
    group.bench_function("seal/one-thread", |bench| bench.iter(|| seal(black_box(&payloads), ZSTD, None)));
    group
        .bench_function("seal/encrypted", |bench| bench.iter(|| seal_encrypted(black_box(&payloads), &keys)));
    group.bench_function("seal/two-workers", |bench| {
        bench.iter(|| seal(black_box(&payloads), ZSTD, Some(&workers)));
    });
    group.bench_function("read/bare", |bench| {
        let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
        let mut out = Vec::with_capacity(1 << 20);
        bench.iter(|| {
            let mut crc = 0;
            for stored in &stored {
                crc ^= crc32c::crc32c(stored);
                decompressor.decompress_to_buffer(stored, &mut out).unwrap();
            }
            let chain = payloads.iter().fold(ChainHash::ZERO, |chain, (payload, _)| chain.after(payload));
            (crc, chain)
        });
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
