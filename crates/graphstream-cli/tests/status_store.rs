//! `status --from URL`: every database of a store, each by itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::PathBuf;

use cli::{Finished, Graphstream, Place, entries};
use serde_json::{Value, json};

/// A store with the databases `a`, `b` and `c` of four entries in two segments each.
fn three() -> Place {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        let journal = place.path(name);
        for first in [1, 3] {
            Graphstream::new("append").arg("--journal").arg(&journal).stdin(entries(first, 2)).ok();
        }
        ship(&place, name);
    }
    place
}

fn ship(place: &Place, name: &str) {
    let call = Graphstream::new("replicate").args(["--once", "--to", &place.url(), "--database", name]);
    call.arg("--journal").arg(place.path(name)).ok();
}

fn status(place: &Place) -> Graphstream {
    Graphstream::new("status").args(["--from", &place.url()])
}

fn object(place: &Place, relative: &str) -> PathBuf {
    place.store().join(relative)
}

/// The rows by name, and how it ended.
#[track_caller]
fn rows(place: &Place, more: &[&str]) -> (Vec<Value>, Finished) {
    let end = status(place).arg("--json").args(more).run();
    let rows = end.json()["bucket"]["databases"].as_array().unwrap().clone();
    (rows, end)
}

#[test]
fn every_database_is_shown() {
    let place = three();
    fs::create_dir_all(object(&place, "Not A Database")).unwrap();
    fs::write(object(&place, "Not A Database/x"), "x").unwrap();
    fs::create_dir_all(object(&place, "empty")).unwrap();
    fs::write(object(&place, "empty/x"), "x").unwrap();
    let (found, end) = rows(&place, &[]);
    // What is no database, by its name or for what lies in it.
    assert_eq!(end.expect_code(0).json()["bucket"]["others"], json!(2));
    let names: Vec<_> = found.iter().map(|row| row["database"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for row in &found {
        let expected = json!({"committed_sequence": 4, "epoch": 1, "restorable": true, "restorable_from_sequence": 0, "damaged": 0, "leftovers": 0});
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&row[key], value, "{key} in {row}");
        }
        assert!(row["age_seconds"].as_f64().unwrap() < 600.0 && row["bytes"].as_u64().unwrap() > 0);
    }
    let text = status(&place).ok();
    for name in ["a", "b", "c"] {
        let line =
            text.lines().into_iter().find(|line| line.trim_start().starts_with(&format!("{name} "))).unwrap();
        assert!(line.ends_with("yes"), "{line}");
    }
}

#[test]
fn the_rpo_of_the_journal_that_is_given() {
    let place = three();
    Graphstream::new("append").arg("--journal").arg(place.path("b")).stdin(entries(5, 3)).ok();
    let journal = place.path("b");
    let (found, end) = rows(&place, &["--journal", journal.to_str().unwrap()]);
    assert_eq!(end.expect_code(0).json()["journal"]["written_sequence"], json!(7));
    assert_eq!(found[1]["rpo"]["entries"], json!(3), "{}", found[1]);
    assert!(found[0]["rpo"].is_null() && found[2]["rpo"].is_null());
}

#[test]
fn damage_in_one_hides_no_other_and_the_gravest_decides() {
    let place = three();
    let segment = |name: &str, number: usize| {
        let mut found: Vec<_> = fs::read_dir(object(&place, &format!("{name}/seg/0")))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        found.sort();
        found.remove(number)
    };
    // A gap that no snapshot fills, and one that one does.
    fs::remove_file(segment("a", 0)).unwrap();
    fs::remove_file(segment("c", 0)).unwrap();
    let snapshot = "c/snap/0000000000000002-00000001-0000000003e8";
    fs::create_dir_all(object(&place, snapshot)).unwrap();
    fs::write(object(&place, &format!("{snapshot}/manifest.json")), "{}").unwrap();
    let (found, end) = rows(&place, &[]);
    let error = end.expect_code(5).error();
    assert_eq!(error["kind"], "gap");
    assert!(error["message"].as_str().unwrap().contains("1 of 3 databases"), "{error}");
    assert_eq!(found.len(), 3);
    assert_eq!((&found[0]["restorable"], &found[0]["problem"]["kind"]), (&json!(false), &json!("gap")));
    assert_eq!((&found[1]["restorable"], &found[1]["damaged"]), (&json!(true), &json!(0)));
    assert_eq!(
        (&found[2]["restorable_from_sequence"], &found[2]["snapshot"]["sequence"]),
        (&json!(2), &json!(2))
    );
    // A head that can't be read: nothing is known of that one.
    fs::write(object(&place, "b/head.json"), "{}").unwrap();
    fs::remove_file(object(&place, "c/head.json")).unwrap();
    let (found, end) = rows(&place, &[]);
    let message = end.expect_code(5).error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("3 of 3 databases"), "{message}");
    assert!(found[1]["problem"]["message"].as_str().unwrap().contains("head.json"), "{}", found[1]);
    assert!(
        found[2]["problem"]["message"].as_str().unwrap().contains("head.json is missing"),
        "{}",
        found[2]
    );
    let text = status(&place).run().expect_code(5);
    assert!(text.text().contains("entries 1 to 2 are missing"), "{}", text.text());
}

#[test]
fn a_store_without_databases_is_said_to_have_none() {
    let place = Place::new();
    fs::create_dir(place.store()).unwrap();
    assert!(status(&place).run().expect_code(4).text().contains("no database"));
    let end = status(&place).arg("--json").run().expect_code(4);
    assert_eq!(end.json()["bucket"]["databases"], json!([]));
    assert_eq!(end.error()["kind"], "no_database");
    Graphstream::new("status").args(["--from", "file:///nowhere/at/all"]).run().expect_code(4);
}
