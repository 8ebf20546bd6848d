//! Encoding and decoding an entry of the size of the bundled data set's, as protobuf and as JSON.
#![allow(missing_docs, clippy::unwrap_used)]

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use graphstream_proto::{JournalEntry, ParamValue, graphd, json, v1};
use prost::Message as _;

fn person() -> JournalEntry {
    JournalEntry::new(
        "CREATE (:Person {id: $id, firstName: $firstName, lastName: $lastName, gender: $gender, birthday: $birthday, \
         creationDate: $creationDate, locationIP: $locationIP, browserUsed: $browserUsed})",
        1_262_304_000_123,
    )
    .with_param("birthday", 19_821_019_i64)
    .with_param("browserUsed", "Firefox")
    .with_param("creationDate", 20_100_110_215_553_105_i64)
    .with_param("firstName", "Shweta")
    .with_param("gender", "male")
    .with_param("id", 1182_i64)
    .with_param("lastName", "Nair")
    .with_param("locationIP", "61.95.250.228")
}

/// A list of a thousand maps, as an UNWIND takes it.
fn batch() -> JournalEntry {
    let rows = (0..1000)
        .map(|id| {
            ParamValue::Map(vec![
                ("id".to_owned(), ParamValue::Int64(id)),
                ("score".to_owned(), ParamValue::Double(id as f64 / 7.0)),
                ("name".to_owned(), ParamValue::String(format!("person number {id}"))),
            ])
        })
        .collect::<Vec<_>>();
    JournalEntry::new("UNWIND $rows AS row CREATE (:Person {id: row.id})", 1).with_param("rows", rows)
}

fn codec(criterion: &mut Criterion) {
    for (name, entry) in [("person", person()), ("batch", batch())] {
        let payload = entry.encode().unwrap();
        let message = v1::JournalEntry::from(&entry);
        let line = json::EntryLine {
            sequence: 1,
            commit_ms: 1,
            chain_hash: "00".repeat(32).into(),
            lineage: None,
            entry: Cow::Borrowed(&entry),
        };
        let mut text = String::new();
        json::write_line(&line, &mut text);

        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function("encode", |b| b.iter(|| black_box(&entry).encode().unwrap()));
        group.bench_function("decode", |b| b.iter(|| JournalEntry::decode(black_box(&payload), 1).unwrap()));
        group.bench_function("decode/reused", |b| {
            let mut reused = JournalEntry::default();
            b.iter(|| reused.decode_from(black_box(&payload), 1).unwrap());
        });
        // What it would cost through the generated messages.
        group.bench_function("encode/generated", |b| {
            b.iter(|| v1::JournalEntry::from(black_box(&entry)).encode_to_vec());
        });
        group.bench_function("decode/generated", |b| {
            b.iter(|| {
                JournalEntry::try_from(v1::JournalEntry::decode(black_box(payload.as_slice())).unwrap())
                    .unwrap()
            });
        });
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("json/write", |b| {
            let mut out = String::new();
            b.iter(|| {
                out.clear();
                json::write_line(black_box(&line), &mut out);
                out.len()
            });
        });
        group.bench_function("json/parse", |b| b.iter(|| json::parse_line(black_box(&text), 0).unwrap()));
        group.finish();
        assert_eq!(message.encode_to_vec(), payload);
    }
    let legacy = graphd::JournalEntry {
        sequence: 1,
        query: person().query,
        params: person()
            .params
            .iter()
            .map(|(key, value)| graphd::MapEntry { key: key.clone(), value: value.try_into().ok() })
            .collect(),
        timestamp_ms: 1,
    }
    .encode_to_vec();
    criterion.bench_function("person/decode/predecessor", |b| {
        b.iter(|| JournalEntry::decode(black_box(&legacy), 1).unwrap());
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
