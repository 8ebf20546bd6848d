//! How fast segments are written and read, beside what they are made of: the SHA-256 chain alone, CRC-32C alone, zstd alone,
//! SHA-256 over the body alone. All rates are per byte of payload, so that ratios can be read off.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hint::black_box;
use std::io::{Cursor, Write};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use graphstream_format::open::{Nonce, OpenHeader, Placement, RecordEncoder, Scanner};
use graphstream_format::{
    ChainHash, Compression, Entry, Lineage, ReadOptions, SegmentReader, SegmentStart, v1,
};
use sha2::{Digest, Sha256};

const ENTRIES: u64 = 20_000;
const GROUP: u64 = 64;

fn payloads() -> Vec<Vec<u8>> {
    (0..ENTRIES)
        .map(|index| {
            let scattered = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!(
                "CREATE (:Person {{id: $id, firstName: $firstName, birthday: $birthday, locationIP: $ip}}) \
                 id={index} firstName=Name{} birthday={} ip={}.{}.{}.{}",
                scattered % 997,
                scattered % 20_000,
                scattered as u8,
                (scattered >> 8) as u8,
                (scattered >> 16) as u8,
                (scattered >> 24) as u8,
            )
            .into_bytes()
        })
        .collect()
}

fn start() -> SegmentStart {
    SegmentStart {
        lineage: Lineage::from_bytes([1; 16]),
        first_seq: 1,
        chain_before: ChainHash::ZERO,
        created_ms: 0,
    }
}

fn sealed(payloads: &[Vec<u8>], compression: Compression) -> Vec<u8> {
    let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start(), compression).unwrap();
    for payload in payloads {
        writer.push(payload, 0).unwrap();
    }
    writer.finish().unwrap().inner.into_inner()
}

fn open(payloads: &[Vec<u8>]) -> Vec<u8> {
    let header = OpenHeader { start: start(), nonce: Nonce::from_bytes([2; 16]) };
    let mut file = header.encode().unwrap().to_vec();
    let mut encoder = RecordEncoder::new(header.nonce);
    let mut sequence = 1;
    for group in payloads.chunks(GROUP as usize) {
        encoder.begin(sequence);
        for payload in group {
            encoder.push(payload, 0).unwrap();
        }
        sequence += group.len() as u64;
        let offset = file.len() as u64;
        file.extend_from_slice(encoder.finish(Placement { offset, durable_offset: offset }).unwrap());
    }
    file
}

fn verify(file: &[u8]) -> u64 {
    let mut reader = SegmentReader::new(file, file.len() as u64, ReadOptions::default()).unwrap();
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).unwrap() {
        black_box(&entry.payload);
    }
    reader.end().unwrap().entries
}

fn segments(criterion: &mut Criterion) {
    let payloads = payloads();
    let bytes: u64 = payloads.iter().map(|payload| payload.len() as u64).sum();
    let body: Vec<u8> = sealed(&payloads, Compression::None)[128..].to_vec();
    let (plain, small, opened) =
        (sealed(&payloads, Compression::None), sealed(&payloads, Compression::VERSION_1), open(&payloads));

    let mut group = criterion.benchmark_group("segment");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group.bench_function("alone/chain", |bench| {
        bench.iter(|| payloads.iter().fold(ChainHash::ZERO, |chain, payload| chain.after(payload)));
    });
    group.bench_function("alone/sha256-body", |bench| bench.iter(|| Sha256::digest(black_box(&body))));
    group.bench_function("alone/crc32c-body", |bench| bench.iter(|| crc32c::crc32c(black_box(&body))));
    group.bench_function("alone/zstd1-encode", |bench| {
        bench.iter(|| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.write_all(&body).unwrap();
            encoder.finish().unwrap()
        });
    });
    let compressed = zstd::encode_all(body.as_slice(), 1).unwrap();
    group.bench_function("alone/zstd1-decode", |bench| {
        bench.iter(|| zstd::decode_all(black_box(compressed.as_slice())).unwrap());
    });
    group.bench_function("open/encode", |bench| bench.iter(|| open(black_box(&payloads))));
    group.bench_function("open/scan", |bench| {
        bench.iter(|| {
            let mut scanner = Scanner::open(opened.as_slice()).unwrap();
            let mut entries = 0;
            while let Some(entry) = scanner.next_entry().unwrap() {
                black_box(entry.payload);
                entries += 1;
            }
            assert_eq!(entries, ENTRIES);
        });
    });
    for (name, file, compression) in
        [("v1-plain", &plain, Compression::None), ("v1-zstd1", &small, Compression::VERSION_1)]
    {
        group.bench_function(format!("{name}/encode"), |bench| {
            bench.iter(|| sealed(black_box(&payloads), compression))
        });
        group.bench_function(format!("{name}/verify"), |bench| {
            bench.iter(|| assert_eq!(verify(black_box(file)), ENTRIES));
        });
    }
    group.bench_function("seal/scan-and-encode-zstd1", |bench| {
        bench.iter(|| {
            let mut scanner = Scanner::open(opened.as_slice()).unwrap();
            let mut writer =
                v1::Writer::new(Cursor::new(Vec::new()), start(), Compression::VERSION_1).unwrap();
            while let Some(entry) = scanner.next_entry().unwrap() {
                writer.push_verified(entry).unwrap();
            }
            writer.finish().unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, segments);
criterion_main!(benches);
