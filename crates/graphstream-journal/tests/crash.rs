//! Power cuts at every step: whatever the disk kept of what was not synced, recovery finds a prefix of what was appended, with
//! at least all that was acknowledged as synced, and no batch in parts. Also when the power is cut during recovery.
//!
//! `GRAPHSTREAM_CRASH_RUNS=n` adds n random runs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;

use graphstream_journal::{
    Compression, Journal, JournalOptions, JournalReader, ReaderOptions, RecoveryReport, Service, SyncPolicy,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Image, Lies, SteppingClock};

const DIR: &str = "/journal";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    /// Larger than a segment.
    Large,
    Batch,
    Sync,
    Seal,
    /// Close and open again.
    Reopen,
    /// The process is killed and started again.
    Kill,
}

const ALPHABET: [Step; 6] = [Step::Append, Step::Batch, Step::Sync, Step::Seal, Step::Reopen, Step::Kill];

/// A run, and what may be expected of its crashes.
struct Run {
    fs: CrashFs,
    /// All payloads that were given a sequence, in order.
    submitted: Vec<Vec<u8>>,
    /// Sequences after which the journal may end: not inside a batch.
    ends: Vec<bool>,
    /// From so many effects on, so many entries are acknowledged.
    acked: Vec<(usize, usize)>,
    seed: u32,
}

fn open(fs: &CrashFs, seed: u32) -> graphstream_journal::Result<(Journal, RecoveryReport)> {
    let options = JournalOptions::default()
        .with_service(Service::Inline)
        .with_segment_bytes_max(1024)
        .with_sync_policy(SyncPolicy::Never)
        .with_compression(Compression::Zstd { level: 1 });
    Journal::builder(DIR)
        .options(options)
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(seed)))
        .open()
}

fn read_all(fs: &CrashFs) -> Vec<Vec<u8>> {
    let reader = JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(fs.clone())).unwrap();
    reader.map(|entry| entry.unwrap().payload).collect()
}

impl Run {
    fn of(steps: &[Step]) -> Self {
        Self::on(CrashFs::new(), steps)
    }

    fn on(fs: CrashFs, steps: &[Step]) -> Self {
        let mut run = Self { fs, submitted: Vec::new(), ends: vec![true], acked: vec![(0, 0)], seed: 1 };
        let mut journal = run.reopen();
        for step in steps {
            match step {
                Step::Append => run.submit(&journal, &[120]),
                Step::Large => run.submit(&journal, &[3000]),
                Step::Batch => run.submit(&journal, &[200, 0, 150]),
                Step::Sync => {
                    journal.sync().unwrap();
                    run.ack(run.submitted.len());
                }
                Step::Seal => {
                    journal.seal().unwrap();
                    run.ack(run.submitted.len());
                }
                Step::Reopen => {
                    journal.close().unwrap();
                    run.ack(run.submitted.len());
                    drop(journal);
                    journal = run.reopen();
                }
                Step::Kill => {
                    let written = journal.positions().written.sequence as usize;
                    run.submitted.truncate(written);
                    run.ends.truncate(written + 1);
                    std::mem::forget(journal);
                    run.fs.break_locks();
                    journal = run.reopen();
                    run.ack(written);
                }
            }
        }
        // What is queued is written, so that there is something unsynced to lose.
        let _ = journal.wait(0, graphstream_journal::Level::Written);
        drop(journal);
        run
    }

    fn reopen(&mut self) -> Journal {
        self.seed += 1;
        open(&self.fs, self.seed).unwrap().0
    }

    fn submit(&mut self, journal: &Journal, sizes: &[usize]) {
        let batch: Vec<Vec<u8>> = sizes
            .iter()
            .map(|size| {
                let number = self.submitted.len();
                self.submitted.push((0..*size).map(|byte| (byte * 7 + number) as u8).collect());
                self.ends.push(false);
                self.submitted[number].clone()
            })
            .collect();
        *self.ends.last_mut().unwrap() = true;
        let ticket = journal.append_batch(&batch).unwrap();
        // Written, but not synced.
        let _ = ticket.wait(graphstream_journal::Ack::Written).unwrap();
    }

    fn ack(&mut self, entries: usize) {
        self.acked.push((self.fs.effects(), entries));
    }

    fn acked_at(&self, at: usize) -> usize {
        self.acked.iter().filter(|(effects, _)| *effects <= at).map(|(_, entries)| *entries).max().unwrap()
    }

    /// Recovers an image and checks what is there. Returns how many entries were found, or what is wrong.
    fn verdict(&self, least: usize, fs: &CrashFs) -> Result<usize, String> {
        let (journal, report) = open(fs, 77).map_err(|error| format!("{error:?}"))?;
        let found = report.position.sequence as usize;
        if found < least {
            return Err(format!("{found} entries, {least} were acknowledged"));
        }
        if found > self.submitted.len() {
            return Err(format!("{found} entries, phantoms among them"));
        }
        if !self.ends[found] {
            return Err(format!("a batch in parts after {found}"));
        }
        if read_all(fs) != self.submitted[..found] {
            return Err("other entries than appended".to_owned());
        }
        drop(journal);
        Ok(found)
    }

    fn check(&self, image: &Image, least: usize, fs: &CrashFs, steps: &[Step]) -> usize {
        self.verdict(least, fs).unwrap_or_else(|wrong| {
            panic!("{steps:?}, power cut after {} effects, {:?}: {wrong}", image.at, image.persisted)
        })
    }

    /// All crashes of this run; returns how many states were recovered.
    fn crash_everywhere(&self, steps: &[Step], random: u32, second_level: usize) -> usize {
        let mut crashes = Crashes::of(&self.fs);
        let mut states = 0;
        for at in 0..crashes.boundaries() {
            let least = self.acked_at(at);
            for image in crashes.at(at, random, at as u64 + 17) {
                let fs = image.boot();
                let found = self.check(&image, least, &fs, steps);
                states += 1;
                if second_level > 0 && states % second_level == 0 {
                    states += self.crash_in_recovery(&fs, least, found, steps);
                }
            }
        }
        states
    }

    /// The power is cut again while the first recovery runs, and after it.
    fn crash_in_recovery(&self, recovered: &CrashFs, least: usize, found: usize, steps: &[Step]) -> usize {
        let mut crashes = Crashes::of(recovered);
        let last = crashes.boundaries() - 1;
        let mut states = 0;
        for at in 0..=last {
            let least = if at == last { found } else { least };
            for image in crashes.at(at, 0, 1) {
                self.check(&image, least, &image.boot(), steps);
                states += 1;
            }
        }
        states
    }
}

fn sequences(length: usize) -> Vec<Vec<Step>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = sequences(length - 1);
    shorter
        .iter()
        .flat_map(|steps| ALPHABET.iter().map(|step| [steps.as_slice(), &[*step]].concat()))
        .collect()
}

/// L01, L02, L03, L05, L07, L08: every sequence of up to three steps, every boundary, every kind of loss.
#[test]
fn l01_l03_l07_l08_every_short_run_survives_every_power_cut() {
    let mut states = 0;
    for length in 0..=3 {
        for steps in sequences(length) {
            if !steps.iter().any(|step| matches!(step, Step::Append | Step::Batch)) {
                continue;
            }
            states += Run::of(&steps).crash_everywhere(&steps, 0, 0);
        }
    }
    assert!(states > 3_000, "only {states} states");
    eprintln!("{states} crash states");
}

/// L09, L10, and crashes inside recovery (two levels): runs that rotate and seal.
#[test]
fn l09_l10_rotation_sealing_and_recovery_survive_every_power_cut() {
    use Step::{Append as A, Batch as B, Kill as K, Large as L, Reopen as R, Seal as S, Sync as Y};
    let runs: [&[Step]; 7] = [
        &[A, B, B, B, A],
        &[B, Y, B, B, K, A, Y, B],
        &[L, A, L],
        &[A, K, B, K, A],
        &[A, S, B, R, A, Y, A],
        &[B, B, K, K, B, S],
        &[A, Y, L, B, B, K, B],
    ];
    let mut states = 0;
    for steps in runs {
        states += Run::of(steps).crash_everywhere(steps, 4, 7);
    }
    assert!(states > 2_000, "only {states} states");
    eprintln!("{states} crash states");
}

/// The tests above can fail: when syncs of files or of directories do nothing, a power cut shows it.
#[test]
fn l07_missing_syncs_are_noticed() {
    for lies in [Lies { files: true, dirs: false }, Lies { files: false, dirs: true }] {
        let fs = CrashFs::new();
        fs.lie(lies);
        let run = Run::on(fs, &[Step::Append, Step::Sync, Step::Batch, Step::Seal, Step::Append]);
        let mut crashes = Crashes::of(&run.fs);
        let wrong = (0..crashes.boundaries())
            .flat_map(|at| crashes.at(at, 0, 1))
            .filter(|image| run.verdict(run.acked_at(image.at), &image.boot()).is_err());
        assert!(wrong.count() > 10, "{lies:?} went unnoticed");
    }
}

/// Random runs, as many as asked for.
#[test]
fn random_runs_survive_random_power_cuts() {
    let runs: u64 = std::env::var("GRAPHSTREAM_CRASH_RUNS").map_or(3, |runs| runs.parse().unwrap());
    let mut states = 0;
    for seed in 1..=runs {
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let steps: Vec<Step> = (0..10)
            .map(|_| {
                bits ^= bits << 13;
                bits ^= bits >> 7;
                bits ^= bits << 17;
                match bits % 16 {
                    0..=5 => Step::Append,
                    6..=9 => Step::Batch,
                    10..=11 => Step::Sync,
                    12 => Step::Seal,
                    13 => Step::Reopen,
                    14 => Step::Large,
                    _ => Step::Kill,
                }
            })
            .collect();
        states += Run::of(&steps).crash_everywhere(&steps, 8, 29);
    }
    eprintln!("{states} crash states");
}

/// A journal goes on after a crash: what is appended then is there after the next.
#[test]
fn l01_appending_goes_on_after_a_torn_tail() {
    let steps = [Step::Append, Step::Sync, Step::Batch, Step::Append];
    let run = Run::of(&steps);
    let mut crashes = Crashes::of(&run.fs);
    let mut torn = 0;
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 0, 1) {
            let fs = image.boot();
            let (journal, report) = open(&fs, 50).unwrap();
            torn += usize::from(report.torn_tail.is_some());
            let found = report.position.sequence;
            assert_eq!(
                journal.append(b"more").unwrap().wait(graphstream_journal::Ack::Synced).unwrap(),
                found + 1..=found + 1
            );
            std::mem::forget(journal);
            fs.break_locks();
            // The whole disk is lost but for what was synced.
            let mut crashes = Crashes::of(&fs);
            let after = crashes.boundaries() - 1;
            for image in crashes.at(after, 0, 1) {
                let fs = image.boot();
                let (_, report) = open(&fs, 51).unwrap();
                assert_eq!(report.position.sequence, found + 1);
                assert_eq!(read_all(&fs).last().unwrap(), b"more");
            }
        }
    }
    assert!(torn > 10, "only {torn} torn tails");
    assert!(run.fs.files().iter().all(|path| path.starts_with(Path::new(DIR))));
}
