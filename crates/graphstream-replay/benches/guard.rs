//! What the determinism guard costs `append`: a line is parsed and encoded, without a guard and with one that has seen its text, rewrites it, or
//! never saw it before.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use graphstream_proto::json::parse_line;
use graphstream_replay::guard::Guard;

const LINE: &str = r#"{"query":"CREATE (:Person {id: $id, firstName: $firstName, lastName: $lastName, gender: $gender, birthday: $birthday, creationDate: $creationDate, locationIP: $locationIP, browserUsed: $browserUsed})","params":{"birthday":19821019,"browserUsed":"Firefox","creationDate":20100110215553105,"firstName":"Shweta","gender":"male","id":1182,"lastName":"Nair","locationIP":"61.95.250.228"},"timestamp_ms":1262304000123}"#;

fn append(line: &str, guard: Option<&Guard>) -> Vec<u8> {
    let entry = parse_line(line, 0).unwrap();
    match guard {
        None => entry.encode().unwrap(),
        Some(guard) => guard.admit(&entry, || Ok([7; 16])).unwrap().encode().unwrap(),
    }
}

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Bytes(LINE.len() as u64));
    group.bench_function("unguarded", |b| b.iter(|| append(black_box(LINE), None)));
    let guard = Guard::default();
    group.bench_function("known", |b| b.iter(|| append(black_box(LINE), Some(&guard))));
    let rewritten = LINE.replace("creationDate: $creationDate", "creationDate: timestamp()");
    group.bench_function("rewritten", |b| b.iter(|| append(black_box(&rewritten), Some(&guard))));
    group.bench_function("unknown", |b| {
        b.iter_batched(Guard::default, |guard| append(black_box(LINE), Some(&guard)), BatchSize::SmallInput);
    });
    group.finish();

    // Too long to be remembered.
    let rows = "(:Person {id: 1, name: 'Ada', seen: date('2024-02-29')}), ".repeat(10_000);
    let long = format!("CREATE {rows}(:Person)");
    let mut group = criterion.benchmark_group("long statement");
    group.throughput(Throughput::Bytes(long.len() as u64));
    group.bench_function("checked", |b| b.iter(|| guard.check(black_box(&long)).unwrap()));
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
