//! A journal directory restored from segments in a `file://` store, beside a bare download of the same objects. In turns; prints ratios.
//!
//! The bare download gets the same objects from the same backend, as many at a time, each by a task of its own on the same runtime: it writes
//! every chunk to a file as it comes and syncs the file on a blocking thread; at the end the directory is synced. It looks at nothing and hashes
//! nothing. The restore, beside that, compares each object's SHA-256 with the head's, reads each segment whole (checksums, chain), joins them, and changes
//! the lineage in their headers.
//!
//! `GRAPHSTREAM_BENCH_MIB` (1024) says how much is restored, `GRAPHSTREAM_BENCH_ROUNDS` (5) how often, `GRAPHSTREAM_BENCH_ENTRY_BYTES` (65536) how large its entries are, random bytes
//! that nothing compresses; 0: those of the bundled sample, which take 13 bytes each, so that verifying is nearly all there is. The disk is that of the
//! current directory.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use graphstream::proto::json::parse_line;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replication::{RestoreOptions, RestoredLineage};
use graphstream::storage::{GetOptions, GetOutcome, Key, StorageBackend};
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::{Journal, Restore, Uploader};

const SAMPLE: &[u8] = include_bytes!("../../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");
const ROUNDS: usize = 5;
const SEGMENTS: &str = "bench/seg/0";

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn backend(dir: &Path) -> FsBackend {
    FsBackend::open(dir.join("store"), FsOptions::default()).unwrap()
}

fn remote(dir: &Path) -> Remote {
    Remote::new(Arc::new(backend(dir)), "", DatabaseName::new("bench").unwrap()).unwrap()
}

/// Bytes of the segments in the store.
fn stored(dir: &Path) -> u64 {
    let Ok(files) = fs::read_dir(dir.join("store").join(SEGMENTS)) else { return 0 };
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Publishes segments until there are so many bytes of them; returns the number of entries.
async fn publish(dir: &Path, bytes: u64, entry_bytes: usize) -> u64 {
    let sample = String::from_utf8(zstd::decode_all(SAMPLE).unwrap()).unwrap();
    let mut payloads: Vec<Vec<u8>> = match entry_bytes {
        0 => sample.lines().map(|line| parse_line(line, 0).unwrap().encode().unwrap()).collect(),
        _ => vec![vec![0; entry_bytes]; 64],
    };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut last = 0;
    while stored(dir) < bytes {
        let (journal, _) = Journal::builder(dir.join("journal")).open().unwrap();
        let begun = last;
        while last == begun || last - begun < 300_000 {
            for payload in &mut payloads {
                if entry_bytes > 0 {
                    for word in payload.chunks_mut(8) {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        word.copy_from_slice(&random.to_le_bytes()[..word.len()]);
                    }
                }
                let _not_waited_for = journal.append(&*payload).unwrap();
                last += 1;
            }
            if entry_bytes > 0 && (last - begun) * entry_bytes as u64 >= 64 << 20 {
                break;
            }
        }
        journal.close().unwrap();
        let shipped =
            Uploader::open(dir.join("journal"), remote(dir), Default::default(), Arc::default()).await;
        shipped.unwrap().ship().await.unwrap();
    }
    last
}

async fn restored(dir: &Path, entries: u64) -> Duration {
    let to = dir.join("restored");
    let begun = Instant::now();
    let report = Restore::into_journal(remote(dir), &to, RestoredLineage::New).run().await.unwrap();
    let time = begun.elapsed();
    assert_eq!(report.position.sequence, entries);
    fs::remove_dir_all(&to).unwrap();
    time
}

async fn downloaded(dir: &Path, keys: &[Key]) -> Duration {
    let to = dir.join("downloaded");
    let begun = Instant::now();
    fs::create_dir_all(&to).unwrap();
    let store = Arc::new(backend(dir));
    let downloads = keys.iter().cloned().enumerate().map(|(index, key)| {
        let (store, path) = (Arc::clone(&store), to.join(index.to_string()));
        tokio::spawn(async move {
            let GetOutcome::Found(object) = store.get(&key, GetOptions::default()).await.unwrap() else {
                panic!("not there")
            };
            let (mut body, mut file) = (object.body, File::create(path).unwrap());
            while let Some(chunk) = body.next_chunk().await.unwrap() {
                file.write_all(&chunk).unwrap();
            }
            tokio::task::spawn_blocking(move || file.sync_all().unwrap()).await.unwrap();
        })
    });
    let mut downloads = stream::iter(downloads).buffer_unordered(RestoreOptions::default().fetches_max);
    while let Some(download) = downloads.next().await {
        download.unwrap();
    }
    File::open(&to).unwrap().sync_all().unwrap();
    let time = begun.elapsed();
    fs::remove_dir_all(&to).unwrap();
    time
}

fn seconds(times: &[Duration]) -> (f64, f64, f64) {
    let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    spread(&mut times)
}

/// Median, least and most.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bytes = (setting("GRAPHSTREAM_BENCH_MIB", 1024) as u64) << 20;
    let dir = tempfile::tempdir_in(".").unwrap();
    let entries =
        runtime.block_on(publish(dir.path(), bytes, setting("GRAPHSTREAM_BENCH_ENTRY_BYTES", 64 << 10)));
    let files = fs::read_dir(dir.path().join("store").join(SEGMENTS)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut keys: Vec<Key> = names.map(|name| Key::new(format!("{SEGMENTS}/{name}")).unwrap()).collect();
    keys.sort();
    let bytes = stored(dir.path());
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting("GRAPHSTREAM_BENCH_ROUNDS", ROUNDS) {
        bare.push(runtime.block_on(downloaded(dir.path(), &keys)));
        ours.push(runtime.block_on(restored(dir.path(), entries)));
        ratios.push(bare[bare.len() - 1].as_secs_f64() / ours[ours.len() - 1].as_secs_f64());
    }
    let ((ours, ours_least, ours_most), (bare, bare_least, bare_most)) = (seconds(&ours), seconds(&bare));
    let (ratio, least, most) = spread(&mut ratios);
    println!(
        "{entries} entries, {} segments, {} MiB: bare download {bare:.2} s ({bare_least:.2} to {bare_most:.2}), restore {ours:.2} s \
         ({ours_least:.2} to {ours_most:.2}): {ratio:.2} of that speed ({least:.2} to {most:.2}; median of {} turns)",
        keys.len(),
        bytes >> 20,
        ratios.len(),
    );
}
