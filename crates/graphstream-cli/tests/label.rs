//! `label`: names for points of a history.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place};
use serde_json::json;

fn label(place: &Place, verb: &str) -> Graphstream {
    Graphstream::new("label").args([verb, "--to", &place.url(), "--database", Place::DATABASE])
}

fn shipped() -> Place {
    let place = Place::new();
    place.fill(3, 4);
    place.ship();
    place
}

#[test]
fn a_label_names_what_is_committed_a_sequence_or_a_time() {
    let place = shipped();
    let entries = place.cat();
    let end = label(&place, "set").args(["now", "--json"]).env("USER", "ada").ok();
    let now = end.json_lines().remove(0);
    assert_eq!(now["sequence"], json!(12));
    assert_eq!(now["chain_hash"], entries[11]["chain_hash"]);
    assert!(now["set_by"].as_str().unwrap().starts_with("ada"), "{now}");

    let end = label(&place, "set").args(["fifth", "--sequence", "5", "--json"]).ok();
    let fifth = end.json_lines().remove(0);
    assert_eq!((&fifth["sequence"], &fifth["commit_ms"]), (&json!(5), &entries[4]["commit_ms"]));
    assert_eq!(fifth["chain_hash"], entries[4]["chain_hash"]);

    // The time is inclusive: the last entry with that commit time.
    let ms = entries[6]["commit_ms"].as_i64().unwrap();
    let expected = entries.iter().filter(|entry| entry["commit_ms"].as_i64().unwrap() <= ms).count();
    let time = format!("{}.{:03}Z", rfc3339_seconds(ms), ms % 1000);
    let end = label(&place, "set").args(["timed", "--timestamp", &time, "--json"]).ok();
    assert_eq!(end.json_lines()[0]["sequence"], json!(expected));

    let names: Vec<_> = label(&place, "list")
        .arg("--json")
        .ok()
        .json_lines()
        .iter()
        .map(|row| row["label"].clone())
        .collect();
    assert_eq!(names, [json!("fifth"), json!("now"), json!("timed")]);
    assert!(label(&place, "list").ok().text().contains("sequence 5"));
}

/// `2026-01-31T12:00:00` of milliseconds since 1970.
fn rfc3339_seconds(ms: i64) -> String {
    let (days, seconds) = (ms / 1000 / 86_400, ms / 1000 % 86_400);
    // Civil from days, for years after 1970.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[test]
fn a_label_stays_unless_it_is_said() {
    let place = shipped();
    label(&place, "set").args(["here", "--sequence", "3"]).ok();
    assert!(label(&place, "set").args(["here", "--sequence", "3"]).ok().text().contains("already names"));
    let end = label(&place, "set").args(["here", "--sequence", "4"]).run().expect_code(2);
    end.expect_stderr(["names sequence 3 already", "--replace"]);
    label(&place, "set").args(["here", "--sequence", "4", "--replace"]).ok();
    assert_eq!(label(&place, "list").arg("--json").ok().json_lines()[0]["sequence"], json!(4));
}

#[test]
fn what_is_not_committed_can_not_be_named() {
    let place = shipped();
    place.append(cli::entries(13, 1));
    for beyond in ["13", "0", "18446744073709551615"] {
        let end = label(&place, "set").args(["later", "--sequence", beyond]).run().expect_code(2);
        end.expect_stderr(["12 entries are committed"]);
    }
    let end =
        label(&place, "set").args(["early", "--timestamp", "1980-01-01T00:00:00Z"]).run().expect_code(2);
    end.expect_stderr(["no entry was committed at"]);
    assert!(label(&place, "list").ok().text().contains("no labels"));
}

#[test]
fn wrong_names_flags_and_stores_are_said() {
    let place = shipped();
    for bad in ["Upper", "-x", "a/b", "../x"] {
        label(&place, "set").args(["--", bad]).run().expect_code(2);
    }
    label(&place, "set").args(["x", "--sequence", "1", "--timestamp", "1h"]).run().expect_code(2);
    label(&place, "set").run().expect_code(2);
    let end = Graphstream::new("label").args(["list", "--from", &place.url(), "--database", "nobody"]).ok();
    assert!(end.text().contains("no labels"));
    let args = ["set", "x", "--to", &place.url(), "--database", "nobody"];
    Graphstream::new("label").args(args).run().expect_code(4);
}

#[test]
fn a_damaged_label_is_integrity_and_hides_no_other() {
    let place = shipped();
    label(&place, "set").args(["one", "--sequence", "1"]).ok();
    label(&place, "set").args(["two", "--sequence", "2"]).ok();
    let object = place.store().join(Place::DATABASE).join("label/one.json");
    fs::write(object, "{}").unwrap();
    let end = label(&place, "list").arg("--json").run().expect_code(5);
    let rows = end.json_lines();
    assert!(rows[0]["problem"].is_string() && rows[0]["sequence"].is_null(), "{rows:?}");
    assert_eq!(rows[1]["sequence"], json!(2));
    assert!(end.stderr.contains("label/one.json"));
    label(&place, "set").args(["one", "--sequence", "1"]).run().expect_code(5);
    label(&place, "set").args(["one", "--sequence", "1", "--replace"]).ok();
}

#[test]
fn a_missing_segment_is_a_gap_that_is_named() {
    let place = shipped();
    fs::remove_file(&place.objects()[1]).unwrap();
    label(&place, "set").args(["fine", "--sequence", "10"]).ok();
    // The window of the head still names it.
    let end = label(&place, "set").args(["lost", "--sequence", "6"]).run().expect_code(5);
    end.expect_stderr(["entries 6 to 8 are missing"]);
}
