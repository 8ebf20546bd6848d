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

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use graphstream_format::encryption::{DataKey, KeyRing, SEGMENT_RANDOM_LEN};
use graphstream_format::open::EntryRef;
use graphstream_format::v2::{RandomReader, SegmentRange, Workers, Writer, frame_field, index_field};
use graphstream_format::{ChainHash, Compression, Entry, Lineage, ReadOptions, SegmentReader, SegmentStart};

const ENTRIES: u64 = 200_000;
const ZSTD: Compression = Compression::Zstd { level: 3 };
const COLUMNS: Compression = Compression::Columns { level: 3 };

type Payloads = Vec<(Vec<u8>, ChainHash)>;

fn chained(payloads: impl Iterator<Item = Vec<u8>>) -> Payloads {
    let mut chain = ChainHash::ZERO;
    let chained = payloads.map(|payload| {
        chain = chain.after(&payload);
        (payload, chain)
    });
    chained.collect()
}

fn text() -> Payloads {
    chained((0..ENTRIES).map(|index| {
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
    }))
}

/// The sample again and again, which no frame is long enough to notice.
fn graph() -> Payloads {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");
    let lines = zstd::decode_all(std::fs::File::open(sample).unwrap()).unwrap();
    let payloads: Vec<Vec<u8>> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| message(&serde_json::from_slice(line).unwrap()))
        .collect();
    chained(payloads.iter().cloned().cycle().take(ENTRIES as usize))
}

/// One line as journal.proto has it.
fn message(line: &serde_json::Value) -> Vec<u8> {
    let mut out = Vec::new();
    delimited(1, line["query"].as_str().unwrap().as_bytes(), &mut out);
    for (key, value) in line["params"].as_object().unwrap() {
        let (mut param, mut inner) = (Vec::new(), Vec::new());
        match value.as_i64() {
            Some(number) => {
                inner.push(3 << 3);
                varint(number.cast_unsigned(), &mut inner);
            }
            None => delimited(5, value.as_str().unwrap().as_bytes(), &mut inner),
        }
        delimited(1, key.as_bytes(), &mut param);
        delimited(2, &inner, &mut param);
        delimited(2, &param, &mut out);
    }
    out.push(3 << 3);
    varint(line["timestamp_ms"].as_u64().unwrap(), &mut out);
    out
}

fn delimited(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
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

fn seal_encrypted(payloads: &[(Vec<u8>, ChainHash)], compression: Compression, keys: &KeyRing) -> Vec<u8> {
    let range = SegmentRange { last_seq: ENTRIES, first_commit_ms: 0, last_commit_ms: 0 };
    let (sink, random) = (Cursor::new(Vec::new()), [9; SEGMENT_RANDOM_LEN]);
    fill(Writer::encrypted(sink, START, compression, range, keys.current(), &random).unwrap(), payloads)
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
    let (plain, packed) = (seal(payloads, Compression::None, None), seal(payloads, ZSTD, None));
    let (raw, stored) = (frames(&plain), frames(&packed));
    let mut group = group(criterion, name, payloads);
    group.bench_function("seal/alone", |bench| {
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        let mut out = Vec::with_capacity(1 << 20);
        bench.iter(|| {
            raw.iter().map(|raw| compressor.compress_to_buffer(raw, &mut out).unwrap()).sum::<usize>()
        });
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
    group.finish();
}

fn measure(criterion: &mut Criterion, name: &str, payloads: &Payloads, compression: Compression) {
    let packed = seal(payloads, compression, None);
    println!("{name}: {:.2} bytes an entry", packed.len() as f64 / ENTRIES as f64);
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    let keys = Arc::new(KeyRing::new(DataKey::taking(&mut [7; 32])));
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
