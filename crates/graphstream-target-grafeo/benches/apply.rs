//! The bundled sample through the target in batches of 500, beside the same statements given to grafeo directly: the same batches, one
//! transaction each, durable at each commit. Prints the ratio of the two speeds, from runs that take turns.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use grafeo::{Config, DurabilityMode, GrafeoDB, Value};
use graphstream_replay::{ReplayEntry, ReplayTarget};
use graphstream_target_grafeo::{GrafeoTarget, Precision, to_grafeo};
use tempfile::TempDir;

#[path = "../tests/journal/mod.rs"]
mod journal;
#[path = "../tests/sample/mod.rs"]
mod sample;

const BATCH: usize = 500;
const ROUNDS: usize = 9;

type Statement = (String, HashMap<String, Value>);

/// As an application would hold them: parameters are grafeo's already.
fn statements(entries: &[ReplayEntry]) -> Vec<Statement> {
    entries
        .iter()
        .map(|entry| {
            let params = entry.entry.params.iter();
            let params =
                params.map(|(key, value)| (key.clone(), to_grafeo(value, Precision::Milliseconds).unwrap()));
            (entry.entry.query.clone(), params.collect())
        })
        .collect()
}

fn place() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bench.grafeo");
    (dir, path)
}

fn direct(statements: Vec<Statement>, durability: DurabilityMode) -> Duration {
    let (_dir, path) = place();
    let db = GrafeoDB::with_config(Config::persistent(path).with_wal_durability(durability)).unwrap();
    let mut session = db.session();
    let begun = Instant::now();
    let mut statements = statements.into_iter().peekable();
    while statements.peek().is_some() {
        session.begin_transaction().unwrap();
        for (query, params) in statements.by_ref().take(BATCH) {
            session.execute_language(&query, "cypher", Some(params)).unwrap();
        }
        session.commit().unwrap();
    }
    begun.elapsed()
}

fn through_target(entries: &[ReplayEntry]) -> Duration {
    let (_dir, path) = place();
    let mut target = GrafeoTarget::open(path).unwrap();
    let begun = Instant::now();
    for batch in entries.chunks(BATCH) {
        target.apply(batch, journal::end(batch)).unwrap();
    }
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn apply(criterion: &mut Criterion) {
    let entries = journal::chain(None, sample::schema().into_iter().chain(sample::data()));
    let statements = statements(&entries);
    let sync = || DurabilityMode::Sync;

    let mut group = criterion.benchmark_group("sample");
    group.sample_size(10).throughput(Throughput::Elements(entries.len() as u64));
    group.bench_function("target", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| through_target(&entries)).sum());
    });
    group.bench_function("direct", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| direct(statements.clone(), sync())).sum());
    });
    group.bench_function("direct/no_sync", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| direct(statements.clone(), DurabilityMode::NoSync)).sum());
    });
    group.finish();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(through_target(&entries));
        theirs.push(direct(statements.clone(), sync()));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{} entries: target {ours:?}, direct {theirs:?}; the target has {:.2} of the direct speed (medians of {ROUNDS})",
        entries.len(),
        theirs.as_secs_f64() / ours.as_secs_f64(),
    );
}

criterion_group!(benches, apply);
criterion_main!(benches);
