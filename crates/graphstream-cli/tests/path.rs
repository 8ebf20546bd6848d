//! The whole path on real data: append ─▶ replicate ─▶ follow, into graph databases whose counts must be what the input says.
//!
//! The LadybugDB part needs a Python with `ladybug` in `GRAPHSTREAM_TEST_PYTHON` (`cargo xtask test` makes one). The larger
//! data set is used when `GRAPHSTREAM_TEST_DATA` names its file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use cli::{Place, Signal};
use serde_json::Value;

const SAMPLE: &[u8] = include_bytes!("../sample/ldbc-snb-sample.jsonl.zst");
const SCHEMA_GRAFEO: &str = include_str!("../sample/schema-grafeo.jsonl");
const SCHEMA_LADYBUG: &str = include_str!("../sample/schema-ladybug.jsonl");
const LADYBUG_TARGET: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream/examples/ladybug_target.py");

fn sample() -> String {
    String::from_utf8(zstd::decode_all(SAMPLE).unwrap()).unwrap()
}

/// The larger data set, if the environment names it.
fn large() -> Option<String> {
    let Some(path) = env::var_os("GRAPHSTREAM_TEST_DATA") else {
        eprintln!("SKIPPED: the larger data set; GRAPHSTREAM_TEST_DATA names no file");
        return None;
    };
    Some(fs::read_to_string(path).unwrap())
}

/// How many nodes and relationships of each kind the statements leave, by the statements alone.
fn expected(data: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::<String, u64>::new();
    for line in data.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let query = line["query"].as_str().unwrap();
        if let Some(created) = query.split_once("CREATE ").map(|(_, created)| created) {
            // `(:Label {...})`, or `(a)-[:type]->(b)`.
            let (_, kind) = created.split_once(':').unwrap();
            let end = kind.find([' ', ']', ')']).unwrap();
            *counts.entry(kind[..end].to_owned()).or_default() += 1;
        } else if query.ends_with("DELETE k") {
            *counts.get_mut("knows").unwrap() -= 1;
        } else {
            assert!(query.contains(" SET "), "a kind of statement that this test does not count: {query}");
        }
    }
    counts
}

/// Appends the data beside a shipper and publishes all of it.
fn published(schema: &str, data: &str) -> Place {
    let place = Place::new();
    place.append(schema);
    let daemon = place.replicate().args(["--upload-interval", "20ms"]).spawn();
    daemon.wait_for_stderr("its start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
    let flags = ["--ack", "stored", "--segment-bytes-max", "256KiB"];
    place.on_journal("append").args(flags).stdin(data).ok();
    let total = (schema.lines().count() + data.lines().count()) as u64;
    assert_eq!(place.committed(), total, "acknowledged as stored");
    daemon.kill(Signal::Term).expect_code(0);
    assert!(place.objects().len() > 2, "several segments");
    place.on_store("verify").ok();
    place
}

/// What was appended is what the store gives back.
fn assert_same_statements(place: &Place, schema: &str, data: &str) {
    let published = place.on_store("cat").arg("--json").ok().json_lines();
    let appended = schema.lines().chain(data.lines());
    assert_eq!(published.len(), appended.clone().count());
    for (published, appended) in published.iter().zip(appended) {
        let appended: Value = serde_json::from_str(appended).unwrap();
        for field in ["query", "params", "timestamp_ms"] {
            assert_eq!(published[field], appended[field]);
        }
    }
}

#[cfg(feature = "grafeo")]
fn into_grafeo(data: &str) {
    use graphstream::target_grafeo::GrafeoTarget;

    let place = published(SCHEMA_GRAFEO, data);
    assert_same_statements(&place, SCHEMA_GRAFEO, data);
    let path = place.path("copy.grafeo");
    place.follow(format!("grafeo:{}", path.display())).arg("--once").ok();
    let graph = GrafeoTarget::open(&path).unwrap().digest().unwrap();
    let mut counts = graph.nodes;
    counts.extend(graph.relationships);
    assert_eq!(counts, expected(data));
}

#[cfg(feature = "grafeo")]
#[test]
fn the_sample_arrives_in_grafeo() {
    into_grafeo(&sample());
}

#[cfg(feature = "grafeo")]
#[test]
fn the_larger_data_set_arrives_in_grafeo() {
    if let Some(data) = large() {
        into_grafeo(&data);
    }
}

/// A Python with `ladybug`, or a loud word that the test is skipped.
fn python() -> Option<String> {
    let python = env::var("GRAPHSTREAM_TEST_PYTHON").ok();
    if python.is_none() {
        eprintln!("SKIPPED: LadybugDB as a follower; GRAPHSTREAM_TEST_PYTHON names no Python with ladybug");
    }
    python
}

/// What the target itself says of a database: its position and rows per table.
fn ladybug(python: &str, database: &Path) -> Value {
    let said = Command::new(python).arg(LADYBUG_TARGET).arg(database).arg("--counts").output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

fn into_ladybug(python: &str, data: &str) {
    let place = published(SCHEMA_LADYBUG, data);
    let database = place.path("copy.lbug");
    let target = format!("exec:'{python}' '{LADYBUG_TARGET}' '{}'", database.display());
    // In two runs, with a kill in between: the position is in the database.
    let total = place.committed();
    let first = place.follow(&target).args(["--json", "--batch", "100"]).spawn();
    first.wait_for_stdout("the follower to come along", |lines| {
        let applied = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["applied_sequence"].as_u64();
        lines.iter().filter_map(applied).any(|applied| applied > 0).then_some(())
    });
    first.kill(Signal::Kill);
    let last = cli::until("the killed follower's child to let go", || {
        let run = place.follow(&target).args(["--once", "--json"]).run();
        (run.code() == Some(0)).then(|| run.json_lines().pop().unwrap())
    });
    assert_eq!(last["applied_sequence"], total);

    let found = ladybug(python, &database);
    for field in ["lineage", "chain_hash"] {
        assert_eq!(found["position"][field], last[field]);
    }
    assert_eq!(found["position"]["sequence"], total);
    let mut counts: BTreeMap<String, u64> = serde_json::from_value(found["tables"].clone()).unwrap();
    // Tables that the schema declares and the data does not fill.
    counts.retain(|_, count| *count > 0);
    assert_eq!(counts, expected(data));
}

#[test]
fn the_sample_arrives_in_ladybugdb() {
    if let Some(python) = python() {
        into_ladybug(&python, &sample());
    }
}

#[test]
fn the_larger_data_set_arrives_in_ladybugdb() {
    if let Some((python, data)) = python().zip(large()) {
        into_ladybug(&python, &data);
    }
}

#[test]
fn the_count_by_statements_is_what_the_sample_says_of_itself() {
    let counts = expected(&sample());
    let of = |kind: &str| counts[kind];
    assert_eq!((of("Place"), of("Person"), of("Forum")), (307, 265, 577));
    assert_eq!(of("knows"), 2636 - 55);
}
