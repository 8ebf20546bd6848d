//! `repair`: a head that was lost, and what is put in its place.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cli::{Graphstream, Place, entries};
use serde_json::Value;

fn head(place: &Place) -> PathBuf {
    place.store().join("people/head.json")
}

fn repair(place: &Place) -> Graphstream {
    place.on_store("repair")
}

/// Appends and ships, as a leader of its own, so that each call is an epoch.
fn lead(place: &Place, first: u64, count: u64) {
    place.append(entries(first, count));
    place.ship();
}

fn published(place: &Place) -> usize {
    place.on_store("cat").arg("--json").ok().json_lines().len()
}

/// Every file of the store, but the bookkeeping of the backend.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files.extend(everything(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

#[test]
fn s08_a_lost_head_is_proposed_and_put_back_and_the_history_goes_on() {
    let place = Place::new();
    lead(&place, 1, 40);
    lead(&place, 41, 25);
    let lost: Value = serde_json::from_slice(&fs::read(head(&place)).unwrap()).unwrap();
    fs::remove_file(head(&place)).unwrap();
    place.on_store("verify").run().expect_code(5).expect_stderr(["graphstream repair"]);

    // Shown, and nothing else.
    let before = everything(&place.store().join("people"));
    let shown = repair(&place).arg("--json").ok().json();
    assert_eq!((&shown["head"], &shown["repaired"]), (&"missing".into(), &false.into()), "{shown}");
    let proposed = &shown["proposed"];
    assert_eq!((&proposed["committed_sequence"], &proposed["epoch"]), (&65.into(), &3.into()), "{shown}");
    assert_eq!(proposed["chain"], lost["committed"]["chain_hash"]);
    assert_eq!(proposed["committed_ms"], lost["committed"]["commit_ms"]);
    assert_eq!(proposed["lineage"], lost["lineage"]);
    assert_eq!(everything(&place.store().join("people")), before, "nothing was changed");

    let done = repair(&place).arg("--confirm").ok();
    assert!(done.text().contains("put back, as epoch 3"), "{}", done.text());
    place.on_store("verify").ok();
    assert_eq!(published(&place), 65);
    assert!(repair(&place).arg("--confirm").ok().text().contains("nothing to repair"));
    // The leader goes on where it was.
    lead(&place, 66, 10);
    assert_eq!(published(&place), 75);
}

#[test]
fn s08_an_older_head_and_one_that_is_none_are_replaced() {
    let place = Place::new();
    lead(&place, 1, 40);
    let old = fs::read(head(&place)).unwrap();
    lead(&place, 41, 25);
    for (wrong, word) in [(old, "older"), (b"no head".to_vec(), "damaged")] {
        fs::write(head(&place), wrong).unwrap();
        place.replicate().arg("--once").run().expect_code(5);
        let shown = repair(&place).args(["--confirm", "--json"]).ok().json();
        assert_eq!((&shown["head"], &shown["repaired"]), (&word.into(), &true.into()), "{shown}");
        place.on_store("verify").ok();
        assert_eq!(published(&place), 65);
    }
    lead(&place, 66, 10);
    assert_eq!(published(&place), 75);
}

#[test]
fn s08_what_can_not_be_repaired_is_named_and_left_alone() {
    let place = Place::new();
    lead(&place, 1, 40);
    lead(&place, 41, 25);
    fs::remove_file(head(&place)).unwrap();
    // The last epoch's object is gone, too: nobody knows where it began.
    fs::remove_file(place.store().join("people/epoch/00000002.json")).unwrap();
    let before = everything(&place.store().join("people"));
    let refused = repair(&place).arg("--confirm").run().expect_code(5);
    refused.expect_stderr(["a key names epoch 2, which has no epoch object"]);
    assert_eq!(everything(&place.store().join("people")), before);

    let nothing = Place::new();
    fs::create_dir_all(nothing.store()).unwrap();
    repair(&nothing).run().expect_code(5).expect_stderr(["there is no epoch object"]);
}

#[test]
fn repair_asks_for_a_store_that_is_there_and_a_database() {
    Graphstream::new("repair").run().expect_code(2);
    repair(&Place::new()).arg("--confirm").run().expect_code(4);
}
