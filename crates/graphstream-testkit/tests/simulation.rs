//! A deterministic simulation: the real leaders, uploaders and followers on one thread, in virtual time, over disks that crash and a
//! store that fails. One seed says everything: two runs of it write the same trace, byte for byte.
//!
//! ```text
//!  machine-0  machine-1 …           follower-0 …
//!  Leader, Uploader, journal        Follower, table
//!  on a CrashFs                        │
//!       │  each its own line: slow, failing, held up for hours, late requests
//!       └──────────────┬───────────────┘
//!                    store ──► truth: the promises are checked after every change
//! ```
//! Checked are promises 1, 2, 5, 6 and 9 and the invariants of the head's protocol (`truth`, `head_follows`), at every start that the journal
//! holds what was acknowledged (`disk`), that errors are what they say (`judge`), that everything gets on while nothing fails (`progress`), and that a
//! leader alone stores everything once the faults end, and followers have it (`world`). What happened is counted (`counts`).
//!
//! `GRAPHSTREAM_SIMULATION_SEED` runs one seed, `GRAPHSTREAM_SIMULATION_SECONDS` new ones for that long, with
//! `GRAPHSTREAM_SIMULATION_HOURS` each; `cargo xtask sim` sets them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub, reason = "modules of one test")]
mod simulation {
    pub mod chance;
    pub mod counts;
    pub mod disk;
    pub mod follower;
    pub mod head_follows;
    pub mod heads;
    pub mod holes;
    pub mod judge;
    pub mod keys;
    pub mod leading;
    pub mod line;
    pub mod machine;
    pub mod progress;
    pub mod store;
    pub mod table;
    pub mod trace;
    pub mod truth;
    pub mod world;

    /// The database's name.
    pub const DATABASE: &str = "people";
}

use std::time::{Duration, Instant};

use simulation::counts::Counts;
use simulation::world::{Outcome, Plan, run};

/// Virtual hours of a world.
const HOURS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One world in five is encrypted, with two keys that change places.
const fn is_encrypted(seed: u64) -> bool {
    seed % 5 == 4
}

/// Runs worlds with these seeds, and adds up what they exercised.
fn simulate(seeds: impl Iterator<Item = u64>, hours: u64, budget: Duration) -> Counts {
    let started = Instant::now();
    let (mut worlds, mut steps, mut requests, mut faults) = (0, 0, 0, 0);
    let mut total = Counts::default();
    for seed in seeds {
        let outcome =
            run(Plan { seed, hours, keep: false, encrypted: is_encrypted(seed) }).unwrap_or_else(|broken| {
                panic!(
                    "{broken}\nseed {seed} fails; cargo xtask sim --seed {seed} --hours {hours} repeats it"
                )
            });
        worlds += 1;
        steps += outcome.steps;
        requests += outcome.requests;
        faults += outcome.faults;
        total.add(&outcome.counts);
        if started.elapsed() >= budget {
            break;
        }
    }
    let (seconds, hours) = (started.elapsed().as_secs_f64(), worlds * hours);
    eprintln!(
        "{hours} hours in {seconds:.1} s ({:.0} hours/s): {worlds} worlds, {steps} steps, {requests} requests, {faults} faults",
        hours as f64 / seconds
    );
    eprintln!("{total:#?}");
    total
}

#[test]
fn r03_r04_200_hours_of_leaders_zombies_and_crashes() {
    let hours = number("GRAPHSTREAM_SIMULATION_HOURS").unwrap_or(HOURS);
    if let Some(seed) = number("GRAPHSTREAM_SIMULATION_SEED") {
        simulate(std::iter::once(seed), hours, Duration::MAX);
        return;
    }
    if let Some(seconds) = number("GRAPHSTREAM_SIMULATION_SECONDS") {
        let first = u64::from(std::process::id()) << 32 | u64::from(started_ms());
        eprintln!("seeds from {first}");
        simulate(first.., hours, Duration::from_secs(seconds));
        return;
    }
    let counts = simulate(0..200 / HOURS, HOURS, Duration::MAX);
    assert!(counts.rare().is_empty(), "too rare: {:?}", counts.rare());
}

fn started_ms() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos()
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    for (hours, encrypted) in [(5, false), (2, true)] {
        let once = || -> Outcome { run(Plan { seed: 1, hours, keep: true, encrypted }).unwrap() };
        let (first, second) = (once(), once());
        let differs = first.trace.lines().zip(second.trace.lines()).find(|(first, second)| first != second);
        assert_eq!(differs, None);
        assert_eq!(first.trace, second.trace);
        assert!(first.steps > 200 * hours, "{first:?}");
    }
}
