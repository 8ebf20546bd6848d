//! Random lives on a disk that fails now and then, and power cuts at every step of them. A seed says everything about a life.
//!
//! Some seeds always; for `GRAPHSTREAM_CRASH_SECONDS=n` new ones (`cargo xtask crash`). `GRAPHSTREAM_CRASH_SEED=n` repeats that one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod lives;

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use graphstream_journal::{Compression, Entropy, SystemEntropy};
use graphstream_testkit::{CrashFs, Fault};
use lives::{Life, Numbers, Settings, Step};

/// The life of a seed.
fn life(seed: u64) -> Life {
    let mut numbers = Numbers::seeded(seed);
    let settings = Settings {
        segment_bytes_max: [1024, 1024, 1500, 4096][numbers.below(4) as usize],
        compression: [Compression::None, Compression::Zstd { level: 1 }][numbers.below(2) as usize],
        encrypted: numbers.below(3) == 0,
        ..Settings::default()
    };
    let steps: Vec<Step> = (0..4 + numbers.below(9)).map(|_| numbers.step()).collect();
    let fs = CrashFs::new();
    let mut faults = Vec::new();
    // A third of the lives goes without.
    for _ in 0..[0, 0, 1, 1, 2, 3][numbers.below(6) as usize] {
        let fault = match numbers.below(4) {
            0 => Fault::Short,
            1 => Fault::Error(ErrorKind::StorageFull),
            _ => Fault::Error(ErrorKind::Other),
        };
        let call = numbers.below(110);
        fs.fail(call, fault);
        faults.push((call, fault));
    }
    let told = format!("seed {seed}: {settings:?} {steps:?} {faults:?}");
    Life::on(fs, settings, &steps, told)
}

/// All its power cuts; returns how many states were recovered.
fn crash(seed: u64) -> (usize, usize) {
    let life = life(seed);
    (life.crash_everywhere(0, 8, 31), life.errors.len())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Seeds from the first on, on all processors, until the time is over or one fails. Progress on stderr.
fn crash_for(first: u64, time: Duration) {
    let (started, states, lives) = (Instant::now(), AtomicUsize::new(0), AtomicU64::new(0));
    let reported = Mutex::new(started);
    let failed = Mutex::new(None);
    let report = || {
        let (states, seconds) = (states.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
        let lives = lives.load(Ordering::Relaxed);
        eprintln!("{states} crash states of {lives} lives, {:.0} a second", states as f64 / seconds);
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while started.elapsed() < time && failed.lock().unwrap().is_none() {
                    let seed = first.wrapping_add(lives.fetch_add(1, Ordering::Relaxed));
                    match catch_unwind(AssertUnwindSafe(|| crash(seed))) {
                        Ok((found, _)) => drop(states.fetch_add(found, Ordering::Relaxed)),
                        Err(_) => drop(failed.lock().unwrap().get_or_insert(seed)),
                    }
                    let mut reported = reported.lock().unwrap();
                    if reported.elapsed() >= Duration::from_secs(5) {
                        *reported = Instant::now();
                        report();
                    }
                }
            });
        }
    });
    report();
    if let Some(seed) = failed.into_inner().unwrap() {
        panic!("the life of seed {seed} failed, see above; to repeat it: cargo xtask crash --seed {seed}");
    }
}

#[test]
fn random_lives_survive_power_cuts_and_faults() {
    if let Some(seed) = number("GRAPHSTREAM_CRASH_SEED") {
        let (states, errors) = crash(seed);
        eprintln!("seed {seed}: {states} crash states, {errors} errors");
        return;
    }
    if let Some(seconds) = number("GRAPHSTREAM_CRASH_SECONDS") {
        let random: [u8; 16] = SystemEntropy.random().unwrap();
        // Short enough to be typed.
        let first = u64::from(u32::from_le_bytes(random[..4].try_into().unwrap())) << 16;
        crash_for(first, Duration::from_secs(seconds));
        return;
    }
    let seeds: Vec<u64> = (1..=40).collect();
    let errors = AtomicUsize::new(0);
    let states = lives::in_parallel(&seeds, |seed| {
        let (states, found) = crash(*seed);
        errors.fetch_add(found, Ordering::Relaxed);
        states
    });
    let errors = errors.into_inner();
    eprintln!("{states} crash states, {errors} errors");
    assert!(states > 5_000, "only {states} states");
    assert!(errors > 5, "only {errors} errors");
}
