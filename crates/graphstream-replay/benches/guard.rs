//! What the determinism guard costs `append`: a line is parsed and encoded, without a guard and with one that has seen its text, rewrites it, or
//! never saw it before. Times are of the processor, so that a busy machine shows them too.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use graphstream_proto::json::parse_line;
use graphstream_replay::guard::Guard;

const LINE: &str = r#"{"query":"CREATE (:Person {id: $id, firstName: $firstName, lastName: $lastName, gender: $gender, birthday: $birthday, creationDate: $creationDate, locationIP: $locationIP, browserUsed: $browserUsed})","params":{"birthday":19821019,"browserUsed":"Firefox","creationDate":20100110215553105,"firstName":"Shweta","gender":"male","id":1182,"lastName":"Nair","locationIP":"61.95.250.228"},"timestamp_ms":1262304000123}"#;

/// What this thread has had of a processor, by the scheduler's own clock; the wall's where there is none.
fn spent(since: Instant) -> Duration {
    let clock = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = clock.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

fn timed<T>(bencher: &mut Bencher<'_>, mut run: impl FnMut() -> T) {
    bencher.iter_custom(|times| {
        let begun = Instant::now();
        let before = spent(begun);
        for _ in 0..times {
            black_box(run());
        }
        spent(begun).saturating_sub(before)
    });
}

fn append(line: &str, guard: Option<&Guard>) -> Vec<u8> {
    let entry = parse_line(line, 0).unwrap();
    match guard {
        None => entry.encode().unwrap(),
        Some(guard) => guard.admit(&entry, || Ok([7; 16])).unwrap().encode().unwrap(),
    }
}

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements(1));
    group.bench_function("unguarded", |b| timed(b, || append(black_box(LINE), None)));
    let guard = Guard::default();
    group.bench_function("known", |b| timed(b, || append(black_box(LINE), Some(&guard))));
    let rewritten = LINE.replace("creationDate: $creationDate", "creationDate: timestamp()");
    group.bench_function("rewritten", |b| timed(b, || append(black_box(&rewritten), Some(&guard))));
    group.bench_function("unknown", |b| timed(b, || append(black_box(LINE), Some(&Guard::default()))));
    group.finish();

    // Too long to be remembered.
    let rows = "(:Person {id: 1, name: 'Ada', seen: date('2024-02-29')}), ".repeat(10_000);
    let long = format!("CREATE {rows}(:Person)");
    let mut group = criterion.benchmark_group("long statement");
    group.throughput(Throughput::Bytes(long.len() as u64));
    group.bench_function("checked", |b| timed(b, || guard.check(black_box(&long)).unwrap()));
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
