//! How long sealing a full segment of 4 MiB takes, beside what it is made of: the SHA-256 chain, zstd, and writing and syncing as many
//! bytes. All rates are per byte of payload, so that ratios can be read off.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[allow(unreachable_pub, reason = "shared between benches")]
mod entries;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use entries::{payloads, scratch};
use graphstream_format::encryption::KeyRing;
use graphstream_format::header::HEADER_LEN;
use graphstream_journal::{
    Ack, ChainHash, Compression, Journal, JournalOptions, SegmentVersion, SystemEntropy, generate_key,
};

const TRAILER: usize = 32;

fn journal(
    dir: &std::path::Path,
    version: SegmentVersion,
    compression: Compression,
    keys: Option<Arc<KeyRing>>,
) -> Journal {
    // Twice the size: it is left because it is asked for, not because it is full.
    let options = JournalOptions::default()
        .with_segment_bytes_max(8 << 20)
        .with_segment_version(version)
        .with_compression(compression);
    let builder = Journal::builder(dir).options(options);
    let builder = match keys {
        Some(keys) => builder.keys(keys),
        None => builder,
    };
    builder.open().unwrap().0
}

fn fill(journal: &Journal, payloads: &[Vec<u8>]) {
    for batch in payloads.chunks(500) {
        let _ = journal.append_batch(batch).unwrap().wait(Ack::Written).unwrap();
    }
    journal.sync().unwrap();
}

fn sealing(criterion: &mut Criterion) {
    let mut payloads = payloads(30_000);
    let mut total = 0;
    payloads.retain(|payload| {
        total += payload.len();
        total <= 4 << 20
    });
    let bytes: u64 = payloads.iter().map(|payload| payload.len() as u64).sum();

    let mut group = criterion.benchmark_group("seal");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("limit/chain", |bench| {
        bench
            .iter(|| payloads.iter().fold(ChainHash::ZERO, |chain, payload| chain.after(black_box(payload))));
    });
    let keys = Arc::new(KeyRing::new(generate_key(&SystemEntropy).unwrap()));
    for (name, version, compression, keys) in [
        ("plain", SegmentVersion::V1, Compression::None, None),
        ("zstd1", SegmentVersion::V1, Compression::VERSION_1, None),
        ("v2-zstd1", SegmentVersion::V2, Compression::Zstd { level: 1 }, None),
        ("v2-zstd3", SegmentVersion::V2, Compression::Zstd { level: 3 }, None),
        ("v2-columns3", SegmentVersion::V2, Compression::default(), None),
        ("v2-columns3-encrypted", SegmentVersion::V2, Compression::default(), Some(keys)),
    ] {
        let dir = scratch();
        let journal = journal(dir.path(), version, compression, keys);
        fill(&journal, &payloads);
        let sealed = std::fs::read(&journal.seal().unwrap().unwrap().path).unwrap();
        println!("seal/{name}: {:.2} bytes an entry at rest", sealed.len() as f64 / payloads.len() as f64);
        if let Compression::Zstd { level } = compression {
            // The body of version 1 in one piece, the payloads of version 2 in pieces as long as its frames.
            let body = match version {
                SegmentVersion::V1 => zstd::decode_all(&sealed[HEADER_LEN..sealed.len() - TRAILER]).unwrap(),
                _ => payloads.concat(),
            };
            let piece = if version == SegmentVersion::V1 { body.len() } else { 256 << 10 };
            group.bench_function(format!("limit/{name}"), |bench| {
                let mut compressor = zstd::bulk::Compressor::new(level).unwrap();
                bench.iter(|| {
                    let pieces =
                        body.chunks(piece).map(|piece| compressor.compress(black_box(piece)).unwrap().len());
                    pieces.sum::<usize>()
                });
            });
        }
        group.bench_function(format!("limit/write-and-sync-{name}"), |bench| {
            let path = dir.path().join("raw");
            bench.iter(|| {
                let mut file = std::fs::File::create(&path).unwrap();
                std::io::Write::write_all(&mut file, &sealed).unwrap();
                file.sync_all().unwrap();
            });
        });
        group.bench_function(format!("journal/{name}"), |bench| {
            bench.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    fill(&journal, &payloads);
                    let started = Instant::now();
                    journal.seal().unwrap();
                    spent += started.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, sealing);
criterion_main!(benches);
