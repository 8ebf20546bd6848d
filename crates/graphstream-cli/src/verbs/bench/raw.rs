//! The work that nobody can avoid, done in the plainest way.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{Measure, Payloads};
use crate::failure::{Failure, Kind};

/// How much is written to one file before it is begun again: what a journal's few newest segments are.
const FILE_BYTES: u64 = 32 << 20;

/// As much, for entries that are synced one by one: as large as a journal's segment.
const SYNCED_BYTES: u64 = 4 << 20;

fn failed(error: &std::io::Error) -> Failure {
    Failure::new(Kind::Io, "the scratch file can't be written").because(error)
}

/// A file with its space written once, so that a sync has no metadata to write; the journal writes zeros ahead too.
fn reserved(dir: &Path, name: &str, bytes: u64) -> std::io::Result<File> {
    let mut file = File::create(dir.join(name))?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes / zeros.len() as u64 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    file.rewind()?;
    Ok(file)
}

/// One write call per payload.
pub(super) fn write(
    name: &'static str,
    dir: &Path,
    payloads: &Payloads,
    time: Duration,
) -> Result<Measure, Failure> {
    let mut file = reserved(dir, "raw", FILE_BYTES).map_err(|error| failed(&error))?;
    let (mut entries, mut bytes, mut at) = (0, 0, 0);
    let started = Instant::now();
    for payload in payloads.cycle() {
        if at + payload.len() as u64 > FILE_BYTES {
            file.rewind().map_err(|error| failed(&error))?;
            at = 0;
        }
        file.write_all(payload).map_err(|error| failed(&error))?;
        entries += 1;
        bytes += payload.len() as u64;
        at += payload.len() as u64;
        if entries % 64 == 0 && started.elapsed() >= time {
            break;
        }
    }
    Ok(Measure::new(name, entries, bytes, started.elapsed()))
}

/// A write and a sync per payload, by so many threads, each in its own file. Several keep machine and disk awake: on some a
/// sync is then many times quicker than when one waits alone.
pub(super) fn sync(
    name: &'static str,
    dir: &Path,
    payloads: &Payloads,
    time: Duration,
    threads: usize,
) -> Result<Measure, Failure> {
    let files = (0..threads)
        .map(|number| reserved(dir, &format!("raw-{number}"), SYNCED_BYTES))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(&error))?;
    let started = Instant::now();
    let work = |(number, mut file): (usize, File)| -> std::io::Result<(u64, u64)> {
        let (mut entries, mut bytes) = (0, 0);
        for payload in payloads.cycle().skip(number * 97) {
            if bytes + payload.len() as u64 > SYNCED_BYTES || started.elapsed() >= time {
                break;
            }
            file.write_all(payload).and_then(|()| file.sync_data())?;
            entries += 1;
            bytes += payload.len() as u64;
        }
        Ok((entries, bytes))
    };
    let (mut entries, mut bytes) = (0, 0);
    std::thread::scope(|scope| -> Result<(), Failure> {
        let workers: Vec<_> =
            files.into_iter().enumerate().map(|file| scope.spawn(move || work(file))).collect();
        for worker in workers {
            let done = worker.join().map_err(|_| Failure::new(Kind::Internal, "a thread panicked"))?;
            let (more_entries, more_bytes) = done.map_err(|error| failed(&error))?;
            entries += more_entries;
            bytes += more_bytes;
        }
        Ok(())
    })?;
    Ok(Measure::new(name, entries, bytes, started.elapsed()))
}

/// SHA-256 over the hash before and the payload.
pub(super) fn chain(name: &'static str, payloads: &Payloads, time: Duration) -> Measure {
    let (mut entries, mut bytes) = (0, 0);
    let mut hash = [0u8; 32];
    let started = Instant::now();
    for payload in payloads.cycle() {
        hash = Sha256::new().chain_update(hash).chain_update(payload).finalize().into();
        entries += 1;
        bytes += payload.len() as u64;
        if entries % 64 == 0 && started.elapsed() >= time {
            break;
        }
    }
    std::hint::black_box(hash);
    Measure::new(name, entries, bytes, started.elapsed())
}

/// All payloads in one zstd frame, over and over.
pub(super) fn compress(name: &'static str, payloads: &Payloads, time: Duration) -> Result<Measure, Failure> {
    let (mut entries, mut bytes) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < time {
        let mut encoder = zstd::Encoder::new(std::io::sink(), 1).map_err(|error| failed(&error))?;
        for payload in &payloads.all {
            encoder.write_all(payload).map_err(|error| failed(&error))?;
        }
        encoder.finish().map_err(|error| failed(&error))?;
        entries += payloads.all.len() as u64;
        bytes += payloads.bytes();
    }
    Ok(Measure::new(name, entries, bytes, started.elapsed()))
}
