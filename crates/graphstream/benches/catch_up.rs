//! A follower that catches up from nothing into a file of JSON lines, beside what it can't do without: verifying the same segments once, with
//! two threads, and writing and syncing the same bytes. In turns; prints the median of the turns' ratios, and the follower's peak memory,
//! which runs in a process of its own.
//!
//! `GRAPHSTREAM_BENCH_COPIES` (60) says how often the bundled sample is repeated: 300,000 entries. The disk is that of the current directory.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream::format::v2::Workers;
use graphstream::format::{ReadOptions, SegmentReader};
use graphstream::proto::json::parse_line;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replay::JsonlTarget;
use graphstream::replication::FollowerOptions;
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::{Follower, Journal, Stop, Uploader};

const SAMPLE: &[u8] = include_bytes!("../../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");
const CHILD: &str = "GRAPHSTREAM_BENCH_FOLLOW";
const ROUNDS: usize = 9;

fn remote(dir: &Path) -> Remote {
    let store = FsBackend::open(dir.join("store"), FsOptions::default()).unwrap();
    Remote::new(Arc::new(store), "", DatabaseName::new("bench").unwrap()).unwrap()
}

/// Publishes the sample, so many times; returns the number of entries.
async fn publish(dir: &Path, copies: usize) -> u64 {
    let sample = String::from_utf8(zstd::decode_all(SAMPLE).unwrap()).unwrap();
    let payloads: Vec<Vec<u8>> =
        sample.lines().map(|line| parse_line(line, 0).unwrap().encode().unwrap()).collect();
    let (journal, _) = Journal::builder(dir.join("journal")).open().unwrap();
    for _ in 0..copies {
        for payload in &payloads {
            let _not_waited_for = journal.append(payload).unwrap();
        }
    }
    let last = journal.close().unwrap().position.sequence;
    let mut uploader =
        Uploader::open(dir.join("journal"), remote(dir), Default::default(), Arc::default()).await.unwrap();
    uploader.ship().await.unwrap();
    last
}

/// The follower's process: prints what it took, and the most memory it had.
async fn follow(dir: &Path) {
    let path = dir.join("followed.jsonl");
    let target = JsonlTarget::open(&path).unwrap();
    let begun = Instant::now();
    let options = FollowerOptions::default().with_cache_dir(dir.join("cache"));
    let mut follower = Follower::open(remote(dir), Box::new(target), options, Arc::default()).await.unwrap();
    let status = follower.catch_up(None, &Stop::new()).await.unwrap();
    let time = begun.elapsed();
    let memory = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    println!("{} {} {}", status.applied_sequence(), time.as_nanos(), peak.trim().trim_end_matches(" kB"));
}

fn followed(dir: &Path, entries: u64) -> (Duration, u64) {
    let path = dir.join("followed.jsonl");
    if path.exists() {
        fs::remove_file(&path).unwrap();
    }
    let child = Command::new(std::env::current_exe().unwrap()).env(CHILD, dir).output().unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    let numbers: Vec<u64> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers[0], entries, "{}", String::from_utf8_lossy(&child.stderr));
    (Duration::from_nanos(numbers[1]), numbers[2])
}

fn verified(segments: &[PathBuf], workers: &Workers) -> Duration {
    let begun = Instant::now();
    for path in segments {
        let file = File::open(path).unwrap();
        let bytes = file.metadata().unwrap().len();
        let reader = BufReader::with_capacity(256 << 10, file);
        let mut reader = SegmentReader::new(reader, bytes, ReadOptions::default()).unwrap();
        reader = reader.with_workers(workers.clone());
        reader.verify().unwrap();
    }
    begun.elapsed()
}

fn written(dir: &Path, bytes: &[u8]) -> Duration {
    let path = dir.join("written.jsonl");
    let begun = Instant::now();
    let mut file = File::create(&path).unwrap();
    for piece in bytes.chunks(1 << 20) {
        file.write_all(piece).unwrap();
    }
    file.sync_data().unwrap();
    let time = begun.elapsed();
    fs::remove_file(path).unwrap();
    time
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(dir) = std::env::var_os(CHILD) {
        return runtime.block_on(follow(Path::new(&dir)));
    }
    let copies = std::env::var("GRAPHSTREAM_BENCH_COPIES").map_or(60, |copies| copies.parse().unwrap());
    let dir = tempfile::tempdir_in(".").unwrap();
    let entries = runtime.block_on(publish(dir.path(), copies));
    let mut segments: Vec<PathBuf> = fs::read_dir(dir.path().join("store/bench/seg/0"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    segments.sort();
    let workers = Workers::new(2.try_into().unwrap()).unwrap();
    followed(dir.path(), entries);
    let bytes = fs::read(dir.path().join("followed.jsonl")).unwrap();
    let (mut follow, mut verify, mut write, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (time, memory) = followed(dir.path(), entries);
        peak = peak.max(memory);
        let (verifying, writing) = (verified(&segments, &workers), written(dir.path(), &bytes));
        ratios.push((verifying + writing).as_secs_f64() / time.as_secs_f64());
        follow.push(time);
        verify.push(verifying);
        write.push(writing);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let (follow, verify, write) = (median(follow), median(verify), median(write));
    println!(
        "{entries} entries, {} segments, {} MB of lines: verify {verify:?} + write {write:?}, catch up {follow:?}: {:.2} of that speed \
         ({:.2} to {:.2}); peak memory {:.1} MiB (medians and range of {ROUNDS} turns)",
        segments.len(),
        bytes.len() / 1_000_000,
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1],
        peak as f64 / 1024.0,
    );
}
