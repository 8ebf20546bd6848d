//! The same payloads through the journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graphstream::format::Entry;
use graphstream::journal::{Ack, Journal, JournalOptions, JournalReader, ReaderOptions, SyncPolicy};

use graphstream::metrics::GraphstreamMetrics;

use super::{Measure, Payloads};
use crate::failure::{Failure, Kind};

/// Who appends what, and what it waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    producers: usize,
    batch: usize,
    ack: Ack,
}

impl Load {
    pub(super) fn written(producers: usize) -> Self {
        Self { producers, batch: 1, ack: Ack::Written }
    }

    pub(super) fn synced(producers: usize) -> Self {
        Self { producers, batch: 1, ack: Ack::Synced }
    }

    pub(super) fn in_batches(self, batch: usize) -> Self {
        Self { batch, ..self }
    }
}

/// A journal of its own for each measurement.
struct Opened {
    journal: Journal,
    metrics: Arc<GraphstreamMetrics>,
    place: tempfile::TempDir,
}

fn open(dir: &Path, policy: SyncPolicy) -> Result<Opened, Failure> {
    let place = tempfile::Builder::new()
        .prefix("journal-")
        .tempdir_in(dir)
        .map_err(|error| Failure::new(Kind::Io, "the scratch directory can't be written").because(&error))?;
    let options = JournalOptions::default().with_sync_policy(policy);
    let metrics = GraphstreamMetrics::shared();
    let (journal, _) = Journal::builder(place.path()).options(options).metrics(metrics.clone()).open()?;
    Ok(Opened { journal, metrics, place })
}

/// Producers that wait for each of their entries, or batches.
pub(super) fn produce(
    name: &'static str,
    dir: &Path,
    payloads: &Payloads,
    time: Duration,
    load: Load,
) -> Result<Measure, Failure> {
    // Who waits for *written* doesn't pay for syncs; the timer does them.
    let policy = if load.ack == Ack::Written { SyncPolicy::INTERVAL } else { SyncPolicy::Always };
    let Opened { journal, metrics, place: _place } = open(dir, policy)?;
    let (entries, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let took = std::thread::scope(|scope| -> Result<Duration, Failure> {
        let producers: Vec<_> = (0..load.producers)
            .map(|number| {
                let (journal, entries, bytes) = (&journal, &entries, &bytes);
                // Each starts elsewhere, so that they don't move in step.
                let mut next = payloads.cycle().skip(number * 97);
                scope.spawn(move || -> Result<(), graphstream::journal::Error> {
                    while started.elapsed() < time {
                        let batch: Vec<&[u8]> = next.by_ref().take(load.batch).collect();
                        let size: usize = batch.iter().map(|payload| payload.len()).sum();
                        let ticket = match batch.as_slice() {
                            [one] => journal.append(one)?,
                            many => journal.append_batch(many)?,
                        };
                        ticket.wait(load.ack)?;
                        entries.fetch_add(batch.len() as u64, Ordering::Relaxed);
                        bytes.fetch_add(size as u64, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        for producer in producers {
            producer.join().map_err(|_| Failure::new(Kind::Internal, "a producer panicked"))??;
        }
        Ok(started.elapsed())
    })?;
    let syncs = metrics.journal.syncs.get();
    journal.close()?;
    let measure = Measure::new(name, entries.into_inner(), bytes.into_inner(), took);
    Ok(if load.ack == Ack::Synced { measure.with_syncs(syncs) } else { measure })
}

/// One producer that waits for nothing until the end.
pub(super) fn stream(
    name: &'static str,
    dir: &Path,
    payloads: &Payloads,
    time: Duration,
) -> Result<Measure, Failure> {
    let Opened { journal, place: _place, .. } = open(dir, SyncPolicy::INTERVAL)?;
    let (mut entries, mut bytes) = (0, 0);
    let started = Instant::now();
    for payload in payloads.cycle() {
        let _ticket = journal.append(payload)?;
        entries += 1;
        bytes += payload.len() as u64;
        if entries % 64 == 0 && started.elapsed() >= time {
            break;
        }
    }
    journal.sync()?;
    let took = started.elapsed();
    journal.close()?;
    Ok(Measure::new(name, entries, bytes, took))
}

/// A journal of at least this much, sealed.
fn filled(dir: &Path, payloads: &Payloads, bytes: u64) -> Result<(tempfile::TempDir, u64, u64), Failure> {
    let Opened { journal, place, .. } = open(dir, SyncPolicy::Never)?;
    let (mut entries, mut filled) = (0, 0);
    for payload in payloads.cycle() {
        let _ticket = journal.append(payload)?;
        entries += 1;
        filled += payload.len() as u64;
        if filled >= bytes {
            break;
        }
    }
    journal.close()?;
    Ok((place, entries, filled))
}

/// Every entry of sealed segments: decompressed, its checksum and the chain verified.
pub(super) fn read(
    name: &'static str,
    dir: &Path,
    payloads: &Payloads,
    time: Duration,
) -> Result<Measure, Failure> {
    let (place, per_pass, bytes_per_pass) = filled(dir, payloads, 16 << 20)?;
    let path: PathBuf = place.path().to_path_buf();
    let (mut entries, mut bytes) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < time {
        let mut reader = JournalReader::open(&path, ReaderOptions::default())?;
        let (mut entry, mut seen) = (Entry::default(), 0);
        while reader.read_next(&mut entry)? {
            seen += 1;
        }
        if seen != per_pass {
            return Err(Failure::new(Kind::Internal, format!("read {seen} entries of {per_pass}")));
        }
        entries += seen;
        bytes += bytes_per_pass;
    }
    Ok(Measure::new(name, entries, bytes, started.elapsed()))
}

/// From an open segment on disk to a sealed one: read again, verified, compressed, hashed, synced, renamed.
pub(super) fn seal(
    name: &'static str,
    dir: &Path,
    payloads: &Payloads,
    time: Duration,
) -> Result<Measure, Failure> {
    let Opened { journal, place: _place, .. } = open(dir, SyncPolicy::Never)?;
    let (mut entries, mut bytes, mut took) = (0, 0, Duration::ZERO);
    let mut next = payloads.cycle();
    while took < time {
        let mut filled = 0;
        // Just below the size at which it would rotate by itself.
        for payload in next.by_ref() {
            let _ticket = journal.append(payload)?;
            entries += 1;
            filled += payload.len() as u64;
            if filled >= 3 << 20 {
                break;
            }
        }
        journal.sync()?;
        let started = Instant::now();
        journal.seal()?;
        took += started.elapsed();
        bytes += filled;
    }
    journal.close()?;
    Ok(Measure::new(name, entries, bytes, took))
}
