//! `verify --depth list`: what names alone show, without reading a segment.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::PathBuf;

use cli::{Finished, Place, entries};
use serde_json::{Value, json};

/// A store with four objects of two entries each.
fn shipped() -> Place {
    let place = Place::new();
    place.fill(4, 2);
    place.ship();
    place
}

fn object(place: &Place, relative: &str) -> PathBuf {
    place.store().join(Place::DATABASE).join(relative)
}

/// The rows that are not ok, the summary, and how it ended.
#[track_caller]
fn listed(place: &Place, more: &[&str]) -> (Vec<Value>, Value, Finished) {
    let end = place.on_store("verify").args(["--depth", "list", "--json"]).args(more).run();
    let mut rows = end.json_lines();
    let summary = rows.pop().map_or(Value::Null, |mut last| last["summary"].take());
    rows.retain(|row| row["status"] != "ok");
    (rows, summary, end)
}

/// Expects one finding of damage, and code 5 with its kind.
#[track_caller]
fn expect_damage(place: &Place, kind: &str, status: &str, object: Option<&str>) -> Value {
    let (mut rows, _, end) = listed(place, &[]);
    assert_eq!(end.expect_code(5).error()["kind"], kind);
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = rows.remove(0);
    assert_eq!((&row["status"], &row["problem"]["kind"]), (&json!(status), &json!(kind)), "{row}");
    assert_eq!(row["file"].as_str(), object, "{row}");
    row
}

#[test]
fn a_whole_history_is_listed_without_reading_it() {
    let place = shipped();
    // Whatever is inside: depth list reads names and sizes.
    let first = place.objects().remove(0);
    let bytes = fs::read(&first).unwrap();
    fs::write(&first, vec![0; bytes.len()]).unwrap();
    let (rows, summary, end) = listed(&place, &[]);
    assert_eq!((rows.len(), end.expect_code(0).stderr), (0, String::new()));
    let expected =
        json!({"depth": "list", "segments": 4, "entries": 8, "damaged": 0, "gaps": 0, "leftovers": 0});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&summary[key], value, "{key} in {summary}");
    }
    assert_eq!((&summary["first_sequence"], &summary["last_sequence"]), (&json!(1), &json!(8)));
    place.on_store("verify").run().expect_code(5);
    let text = place.on_store("verify").args(["--depth", "list"]).ok();
    assert!(text.text().contains("listed 4 segments, 8 entries"), "{}", text.text());
}

#[test]
fn missing_objects_are_gaps_with_their_sequences() {
    for (missing, (first, last)) in [(0, (1, 2)), (2, (5, 6)), (3, (7, 8))] {
        let place = shipped();
        fs::remove_file(&place.objects()[missing]).unwrap();
        let row = expect_damage(&place, "gap", "gap", None);
        assert_eq!((&row["first_sequence"], &row["last_sequence"]), (&json!(first), &json!(last)));
        assert!(row["problem"]["message"].as_str().unwrap().contains("the head names seg/0/"), "{row}");
    }
}

#[test]
fn an_object_of_another_size_is_damage() {
    let place = shipped();
    let cut = place.objects().remove(1);
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let name = format!("seg/0/{}", cut.file_name().unwrap().to_str().unwrap());
    expect_damage(&place, "corruption", "damaged", Some(&name));
}

#[test]
fn h08_an_older_head_is_a_rewind() {
    let place = shipped();
    let head = object(&place, "head.json");
    let old = fs::read(&head).unwrap();
    // The same leader's: unpublished segments and a head that is older than somebody knows look the same without a floor.
    place.append(entries(9, 2));
    place.ship();
    fs::write(&head, &old).unwrap();
    let (rows, ..) = listed(&place, &[]);
    let epochs = rows.iter().filter(|row| row["file"].as_str().unwrap().starts_with("epoch/")).count();
    // Each call of replicate that published something has claimed an epoch.
    assert_eq!(epochs, 1, "{rows:?}");
    let (rows, _, end) = listed(&place, &["--floor", "10"]);
    assert_eq!(end.expect_code(5).error()["kind"], "rewind");
    assert!(
        rows[0]["problem"]["message"].as_str().unwrap().contains("commits 8, 10 was committed"),
        "{rows:?}"
    );
    for depth in ["list", "chain"] {
        let error = place.on_store("verify").args(["--depth", depth, "--json"]).run().expect_code(5).error();
        assert_eq!(error["kind"], "rewind", "{error}");
    }
    place.on_store("verify").args(["--floor", "11"]).run().expect_code(5).expect_stderr(["went back"]);
}

#[test]
fn epoch_objects_and_the_head_must_agree() {
    let place = shipped();
    let epoch = object(&place, "epoch/00000001.json");
    let bytes = fs::read(&epoch).unwrap();
    fs::write(&epoch, "{}").unwrap();
    for depth in ["list", "chain"] {
        let error = place.on_store("verify").args(["--depth", depth, "--json"]).run().expect_code(5).error();
        assert_eq!((&error["kind"], &error["file"]), (&json!("corruption"), &json!("epoch/00000001.json")));
    }
    fs::remove_file(&epoch).unwrap();
    expect_damage(&place, "corruption", "damaged", Some("epoch/00000001.json"));
    fs::write(&epoch, bytes).unwrap();
    let head = object(&place, "head.json");
    fs::remove_file(&head).unwrap();
    let error = place.on_store("verify").args(["--depth", "list", "--json"]).run().expect_code(5).error();
    assert!(error["message"].as_str().unwrap().contains("head.json is missing, although"), "{error}");
    fs::write(&head, "{}").unwrap();
    place.on_store("verify").args(["--depth", "list"]).run().expect_code(5);
}

#[test]
fn leftovers_are_shown_and_are_no_error() {
    let place = shipped();
    let leftovers = [
        ("seg/0/0000000000000009-0000000000000009-00000001-0000000003e8.hadbj", "unpublished"),
        ("seg/0/0000000000000002-0000000000000001-00000000-0000000003e8.hadbj", "unknown_name"),
        ("snap/0000000000000002-00000001-0000000003e8/data", "snapshot_unfinished"),
        ("snap/00000000000000ff-00000001-0000000003e8/manifest.json", "snapshot_orphan"),
        ("notes.txt", "unknown_name"),
    ];
    for (name, _) in leftovers {
        fs::create_dir_all(object(&place, name).parent().unwrap()).unwrap();
        fs::write(object(&place, name), "x").unwrap();
    }
    for depth in ["list", "chain"] {
        let end = place.on_store("verify").args(["--depth", depth, "--json"]).ok();
        let mut rows = end.json_lines();
        assert_eq!(rows.pop().unwrap()["summary"]["leftovers"], json!(leftovers.len()));
        rows.retain(|row| row["status"] != "ok");
        let mut found: Vec<_> = rows.iter().map(|row| row["problem"]["kind"].as_str().unwrap()).collect();
        let mut expected = leftovers.map(|(_, kind)| kind);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{rows:?}");
        assert!(rows.iter().all(|row| row["status"] == "leftover"), "{rows:?}");
    }
    let text = place.on_store("verify").args(["--depth", "list"]).ok();
    assert!(text.text().contains("5 objects are no part of it"), "{}", text.text());
}

#[test]
fn a_journal_is_listed_by_its_headers() {
    let place = Place::new();
    place.fill(5, 2);
    let list = || place.on_journal("verify").args(["--depth", "list", "--json"]);
    assert_eq!(list().ok().json_lines().last().unwrap()["summary"]["entries"], json!(10));
    // The body is not looked at.
    let mut bytes = fs::read(&place.segments()[1]).unwrap();
    bytes[200] ^= 1;
    fs::write(&place.segments()[1], bytes).unwrap();
    list().ok();
    fs::remove_file(&place.segments()[3]).unwrap();
    let error = list().run().expect_code(5).error();
    assert_eq!(
        (&error["kind"], &error["sequence"], &error["last_sequence"]),
        (&json!("gap"), &json!(7), &json!(8))
    );
    place.on_store("verify").args(["--journal", "x"]).run().expect_code(2);
    cli::Graphstream::new("verify").args(["--depth", "list"]).arg(&place.segments()[0]).run().expect_code(2);
}
