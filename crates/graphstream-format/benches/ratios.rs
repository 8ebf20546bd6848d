//! The goals of version 2 as ratios, measured in turns: what is compared runs one after the other, so that a slow second of the machine
//! falls on both. Processor time of this thread, where the system tells it, so that others' work counts little; what
//! two workers do together is measured by the clock.
//!
//! ```text
//! cargo bench -p graphstream-format --bench ratios [-- --turns N]
//! ```
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[allow(unreachable_pub, reason = "a module of two benches")]
mod payloads;

use std::hint::black_box;
use std::time::Instant;

use graphstream_format::v2::Workers;
use payloads::{Alone, Bare, COLUMNS, ENTRIES, ZSTD, graph, keys, seal, seal_encrypted, text, verify};

const TURNS: usize = 15;

/// Nanoseconds on a processor so far, as Linux counts them for this thread; by the clock elsewhere.
fn processor_nanos(started: Instant) -> u64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split_whitespace().next()?.parse().ok());
    spent.unwrap_or_else(|| u64::try_from(started.elapsed().as_nanos()).unwrap())
}

fn by_clock(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap()
}

/// Work to be measured, and how.
struct Work<'w> {
    name: &'static str,
    now: fn(Instant) -> u64,
    run: Box<dyn FnMut() + 'w>,
}

fn work<'w, T>(name: &'static str, mut run: impl FnMut() -> T + 'w) -> Work<'w> {
    Work { name, now: processor_nanos, run: Box::new(move || drop(black_box(run()))) }
}

/// Nanoseconds an entry, of each turn.
fn measure(work: &mut [Work<'_>], turns: usize) -> Vec<Vec<f64>> {
    let started = Instant::now();
    let mut nanos = vec![Vec::new(); work.len()];
    // The first turn warms up.
    for turn in 0..=turns {
        for (work, nanos) in work.iter_mut().zip(&mut nanos) {
            let before = (work.now)(started);
            (work.run)();
            if turn > 0 {
                nanos.push(((work.now)(started) - before) as f64 / ENTRIES as f64);
            }
        }
    }
    nanos
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let turns = arguments.iter().position(|argument| argument == "--turns");
    let turns = turns.map_or(TURNS, |at| arguments[at + 1].parse().unwrap());
    println!("{turns} turns, ns an entry: median (least); ratios: median of the turns' (least / least)");
    for (name, payloads) in [("text", text()), ("graph", graph())] {
        let keys = keys();
        let workers = Workers::new(2.try_into().unwrap()).unwrap();
        let (mut alone, mut bare) = (Alone::new(&payloads), Bare::new(&payloads));
        let packed = [ZSTD, COLUMNS].map(|compression| seal(&payloads, compression, None));
        let encrypted = [ZSTD, COLUMNS].map(|compression| seal_encrypted(&payloads, compression, &keys));
        let mut parallel = work("read columns, two workers", || verify(&packed[1], Some(&workers), None));
        let mut single = work("read columns, by the clock", || verify(&packed[1], None, None));
        (parallel.now, single.now) = (by_clock, by_clock);
        let mut all = vec![
            work("zstd alone", || alone.run()),
            work("seal rows", || seal(&payloads, ZSTD, None)),
            work("seal columns", || seal(&payloads, COLUMNS, None)),
            work("seal rows, encrypted", || seal_encrypted(&payloads, ZSTD, &keys)),
            work("seal columns, encrypted", || seal_encrypted(&payloads, COLUMNS, &keys)),
            work("bare loop", || bare.run()),
            work("read rows", || verify(&packed[0], None, None)),
            work("read columns", || verify(&packed[1], None, None)),
            work("read rows, encrypted", || verify(&encrypted[0], None, Some(&keys))),
            work("read columns, encrypted", || verify(&encrypted[1], None, Some(&keys))),
            parallel,
            single,
        ];
        let nanos = measure(&mut all, turns);
        for (work, nanos) in all.iter().zip(&nanos) {
            let least = nanos.iter().copied().fold(f64::INFINITY, f64::min);
            println!("{name:<6} {:<28} {:>7.1} ({least:.1})", work.name, median(nanos.iter().copied()));
        }
        // Of which the goal is that it takes no more than so much longer than the other.
        for (at, other, goal) in [
            (1, 0, 0.8),
            (2, 0, 0.8),
            (3, 1, 0.9),
            (4, 2, 0.9),
            (6, 5, 0.85),
            (7, 5, 0.85),
            (8, 6, 0.9),
            (9, 7, 0.9),
            (10, 11, 1.7),
        ] {
            let ratio = median(nanos[other].iter().zip(&nanos[at]).map(|(other, ours)| other / ours));
            let least = |at: usize| nanos[at].iter().copied().fold(f64::INFINITY, f64::min);
            let (ours, of) = (all[at].name, all[other].name);
            println!(
                "{name:<6} {:<54} {ratio:>5.2} ({:.2})   goal {goal}",
                format!("{ours} / {of}"),
                least(other) / least(at)
            );
        }
    }
}
