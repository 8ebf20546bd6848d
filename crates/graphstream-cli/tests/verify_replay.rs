//! `verify --depth replay`: everything that is published, in a database that was empty, with a digest that any other can be compared with.
#![cfg(feature = "grafeo")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place, entries};
use serde_json::{Value, json};

fn replayed(place: &Place) -> Graphstream {
    place.on_store("verify").env("TMPDIR", place.path("")).args(["--depth", "replay"])
}

fn summary(lines: &[Value]) -> &Value {
    &lines.last().unwrap()["summary"]
}

fn digest(target: &str) -> Value {
    Graphstream::new("status").args(["--target", target, "--digest", "--json"]).ok().json()["target"].clone()
}

fn leftovers(place: &Place) -> usize {
    let files = fs::read_dir(place.path("")).unwrap();
    files
        .filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with("graphstream-"))
        .count()
}

#[test]
fn what_is_published_replays_to_the_same_graph_as_a_followers() {
    let place = Place::new();
    place.fill(3, 20);
    place.append("{\"query\": \"MATCH (a:Person {id: 1}), (b:Person {id: 2}) CREATE (a)-[:KNOWS {since: 2024}]->(b)\"}\n");
    place.ship();
    let lines = replayed(&place).arg("--json").ok().json_lines();
    let replay = summary(&lines)["replay"].clone();
    assert_eq!((&replay["sequence"], &replay["entries"]), (&json!(61), &json!(61)));
    assert_eq!((&replay["nodes"], &replay["relationships"]), (&json!(60), &json!(1)));
    assert!(replay["seconds"].as_f64().unwrap() > 0.0 && replay["bytes"].as_u64().unwrap() > 0, "{replay}");
    assert_eq!(leftovers(&place), 0, "the scratch database goes again");
    let follower = format!("grafeo:{}", place.path("replica.grafeo").display());
    place.follow(&follower).arg("--once").ok();
    let target = digest(&follower);
    for key in ["digest", "nodes", "relationships"] {
        assert_eq!(target[key], replay[key], "{key} of {target}");
    }
    assert_eq!(target["applied_sequence"], json!(61));
    let text = replayed(&place).ok();
    assert!(
        text.text().contains(&format!("digest {}", replay["digest"].as_str().unwrap())),
        "{}",
        text.text()
    );
    // Another graph has another digest.
    place.append(entries(100, 1));
    place.ship();
    let lines = replayed(&place).arg("--json").ok().json_lines();
    assert_ne!(summary(&lines)["replay"]["digest"], replay["digest"]);
    // Into a database of one's own, which stays, and must have been empty.
    let own = format!("grafeo:{}", place.path("own.grafeo").display());
    replayed(&place).args(["--target", &own]).ok();
    assert_eq!(digest(&own)["digest"], summary(&lines)["replay"]["digest"]);
    replayed(&place)
        .args(["--target", &own])
        .run()
        .expect_code(2)
        .expect_stderr(["is not empty: it is at sequence 62"]);
    let lines = format!("jsonl:{}", place.path("all.jsonl").display());
    let found = replayed(&place).args(["--target", &lines, "--json"]).ok().json_lines();
    assert_eq!(
        (&summary(&found)["replay"]["entries"], &summary(&found)["replay"]["digest"]),
        (&json!(62), &Value::Null)
    );
}

#[test]
fn what_is_damaged_is_not_replayed_and_what_is_refused_is_the_targets() {
    let place = Place::new();
    place.fill(2, 3);
    // Whole, chained, published, and nothing that a database can do: the parameter is missing.
    place.append("{\"query\": \"CREATE (:Person {id: $missing})\"}\n");
    place.ship();
    place.on_store("verify").ok();
    let end = replayed(&place).arg("--json").run().expect_code(6);
    assert_eq!(
        (&end.error()["kind"], &end.error()["sequence"]),
        (&json!("poison"), &json!(7)),
        "{}",
        end.stderr
    );
    fs::remove_file(&place.objects()[0]).unwrap();
    let end = replayed(&place).arg("--json").run().expect_code(5);
    assert!(summary(&end.json_lines())["replay"].is_null());
    assert_eq!(leftovers(&place), 0);
    for wrong in [
        place.on_journal("verify").args(["--depth", "replay"]),
        place.on_store("verify").args(["--target", "jsonl:x"]),
        Graphstream::new("status").args(["--target", "jsonl:-"]).arg("--digest"),
    ] {
        assert!(matches!(wrong.run().code(), Some(2 | 6)));
    }
    Graphstream::new("status").args(["--target", "grafeo:/nowhere/x.grafeo"]).run().expect_code(6);
}
