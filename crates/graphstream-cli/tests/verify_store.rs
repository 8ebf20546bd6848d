//! `verify` of a store: what the head publishes must be there, whole, and of one history.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Finished, Graphstream, Place};
use serde_json::{Value, json};

/// A store with four objects of two entries each, and the journal they came from.
fn shipped() -> Place {
    let place = Place::new();
    place.fill(4, 2);
    place.ship();
    assert_eq!(place.objects().len(), 4);
    place
}

/// How an object is called in rows.
fn key(place: &Place, object: &Path) -> String {
    let database = place.store().join(Place::DATABASE);
    object.strip_prefix(database).unwrap().to_str().unwrap().to_owned()
}

/// The rows that are not ok, and how it ended.
#[track_caller]
fn problems(place: &Place) -> (Vec<Value>, Finished) {
    let end = place.on_store("verify").arg("--json").run();
    let mut rows = end.json_lines();
    rows.retain(|row| row["summary"].is_null() && row["status"] != "ok");
    (rows, end)
}

/// Expects one damaged object, named with its sequences in the row and in the error, and code 5.
#[track_caller]
fn expect_damage(place: &Place, object: &Path, sequences: (u64, u64), context: &str) -> Value {
    let (mut rows, end) = problems(place);
    let end = end.expect_code(5);
    assert_eq!(rows.len(), 1, "{context}: {rows:?}");
    let row = rows.remove(0);
    assert_eq!(
        (&row["status"], &row["file"]),
        (&json!("damaged"), &json!(key(place, object))),
        "{context}: {row}"
    );
    let (first, last) = sequences;
    assert_eq!(
        (&row["first_sequence"], &row["last_sequence"]),
        (&json!(first), &json!(last)),
        "{context}: {row}"
    );
    let error = end.error();
    assert!(error["file"].as_str().unwrap().ends_with(&key(place, object)), "{context}: {error}");
    assert_eq!(error["code"], json!(5), "{context}: {error}");
    // The damaged entry where the bytes tell, else the first of those that are not to be had.
    assert!((first..=last).contains(&error["sequence"].as_u64().unwrap()), "{context}: {error}");
    assert!(error["hint"].as_str().unwrap().contains("journal"), "{context}: {error}");
    row
}

fn head(place: &Place) -> PathBuf {
    place.store().join(Place::DATABASE).join("head.json")
}

#[test]
fn a_published_history_is_ok() {
    let place = shipped();
    let end = place.on_store("verify").arg("--json").ok();
    assert_eq!(end.stderr, "");
    let rows = end.json_lines();
    assert_eq!(rows.len(), 5);
    for (row, object) in rows.iter().zip(place.objects()) {
        assert_eq!((&row["status"], &row["file"]), (&json!("ok"), &json!(key(&place, &object))));
    }
    let summary = &rows[4]["summary"];
    assert_eq!((&summary["entries"], &summary["last_sequence"]), (&json!(8), &json!(8)));
    assert_eq!(summary["chain_hash"], place.cat()[7]["chain_hash"]);
}

#[test]
fn a_flipped_bit_in_an_object_is_named() {
    let place = shipped();
    let object = place.objects().remove(1);
    let bytes = fs::read(&object).unwrap();
    for at in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&object, flipped).unwrap();
        let row = expect_damage(&place, &object, (3, 4), &format!("byte {at}"));
        let problem = &row["problem"];
        assert!(problem["offset"].is_u64() || problem["body_offset"].is_u64(), "byte {at}: {row}");
    }
    fs::write(&object, bytes).unwrap();
    place.on_store("verify").ok();
}

#[test]
fn an_object_cut_or_extended_is_named() {
    let place = shipped();
    let object = place.objects().remove(1);
    let bytes = fs::read(&object).unwrap();
    for cut in [0, 1, 127, 128, bytes.len() - 1] {
        fs::write(&object, &bytes[..cut]).unwrap();
        expect_damage(&place, &object, (3, 4), &format!("cut at {cut}"));
    }
    let mut longer = bytes.clone();
    longer.push(0);
    fs::write(&object, longer).unwrap();
    expect_damage(&place, &object, (3, 4), "one byte more");
}

#[test]
fn a_missing_object_is_a_gap_with_its_sequences() {
    for (missing, sequences) in [(0, (1, 2)), (2, (5, 6)), (3, (7, 8))] {
        let place = shipped();
        fs::remove_file(&place.objects()[missing]).unwrap();
        let (rows, end) = problems(&place);
        let error = end.expect_code(5).error();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["status"], "gap");
        for found in [&rows[0]["problem"], &error] {
            let found = (found["kind"].as_str(), found["sequence"].as_u64(), found["last_sequence"].as_u64());
            assert_eq!(found, (Some("gap"), Some(sequences.0), Some(sequences.1)), "object {missing}");
        }
        // Others don't walk past it either.
        place.on_store("cat").run().expect_code(5);
    }
}

#[test]
fn swapped_objects_are_named_both() {
    let place = shipped();
    let objects = place.objects();
    let (second, third) = (fs::read(&objects[1]).unwrap(), fs::read(&objects[2]).unwrap());
    fs::write(&objects[1], third).unwrap();
    fs::write(&objects[2], second).unwrap();
    let (rows, end) = problems(&place);
    end.expect_code(5);
    let files: Vec<_> = rows.iter().map(|row| row["file"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files, [key(&place, &objects[1]), key(&place, &objects[2])]);
}

#[test]
fn an_object_of_another_history_is_named() {
    let (place, foreign) = (shipped(), shipped());
    let object = place.objects().remove(1);
    fs::copy(&foreign.objects()[1], &object).unwrap();
    expect_damage(&place, &object, (3, 4), "foreign");
}

#[test]
fn a_head_that_is_damaged_or_lost_is_no_empty_database() {
    let place = shipped();
    let bytes = fs::read(head(&place)).unwrap();
    let wrong_chain = String::from_utf8(bytes.clone()).unwrap();
    let chain = place.cat()[7]["chain_hash"].as_str().unwrap().to_owned();
    assert!(wrong_chain.contains(&chain));
    let wrong_chain = wrong_chain.replace(&chain, &"0".repeat(64)).into_bytes();
    for (damaged, what) in
        [(Vec::new(), "empty"), (bytes[..bytes.len() / 2].to_vec(), "cut"), (wrong_chain, "chain")]
    {
        fs::write(head(&place), damaged).unwrap();
        let end = place.on_store("verify").arg("--json").run().expect_code(5);
        assert_eq!(end.error()["kind"], "corruption", "{what}: {}", end.stderr);
    }
    fs::remove_file(head(&place)).unwrap();
    for verb in ["verify", "cat", "status"] {
        let error = place.on_store(verb).arg("--json").run().expect_code(5).expect_no_stdout().error();
        assert!(error["message"].as_str().unwrap().contains("head.json is missing, although"), "{error}");
    }
    // Objects are not lost with it.
    fs::write(head(&place), bytes).unwrap();
    place.on_store("verify").ok();
}

#[test]
fn what_is_not_published_is_not_read() {
    let place = shipped();
    let stray =
        place.objects()[3].with_file_name("0000000000000009-0000000000000009-00000001-0000000003e8.hadbj");
    fs::write(stray, b"an orphan of a fenced leader").unwrap();
    place.on_store("verify").ok();
    assert_eq!(place.on_store("cat").arg("--json").ok().json_lines().len(), 8);
}

#[test]
fn a_label_that_names_what_is_not_history_is_damage() {
    let place = shipped();
    let set = |name: &str, sequence: &str| {
        let flags =
            ["set", name, "--to", &place.url(), "--database", Place::DATABASE, "--sequence", sequence];
        Graphstream::new("label").args(flags).ok();
    };
    set("good", "2");
    set("bad", "3");
    let object = place.store().join(Place::DATABASE).join("label/bad.json");
    let label: Value = serde_json::from_slice(&fs::read(&object).unwrap()).unwrap();
    let other = place.cat()[3]["chain_hash"].clone();
    for (field, value, kind) in [
        ("sequence", json!(9_999), "rewind"),
        ("chain_hash", other, "fork"),
        ("lineage", json!("07".repeat(16)), "lineage"),
    ] {
        let mut forged = label.clone();
        assert_ne!(forged[field], value);
        forged[field] = value;
        fs::write(&object, format!("{forged}\n")).unwrap();
        let (rows, end) = problems(&place);
        assert_eq!(rows.len(), 1, "{field}: {rows:?}");
        assert_eq!((&rows[0]["file"], &rows[0]["problem"]["kind"]), (&json!("label/bad.json"), &json!(kind)));
        end.expect_stderr(["bad"]);
    }
    // Names alone say nothing about it.
    place.on_store("verify").args(["--depth", "list"]).ok();
    fs::write(&object, format!("{label}\n")).unwrap();
    place.on_store("verify").ok();
}
