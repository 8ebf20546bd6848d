//! Every class of damage that a store can show gives `verify` its own kind and exit code 5; what names alone can't show takes the depth that
//! reads.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Place, entries};

/// A store with five objects of two entries each. Commit times are those of the entries: then all objects are equally long, and one that takes
/// another one's place is not given away by its length.
fn shipped() -> Place {
    let place = Place::new();
    for number in 0..5 {
        let lines = entries(number * 2 + 1, 2);
        place.on_journal("append").args(["--commit-time", "entry"]).stdin(lines).ok();
    }
    place.ship();
    place
}

/// What `verify` ends with at a depth: `None` if it finds nothing.
#[track_caller]
fn kind(place: &Place, depth: &str, more: &[&str]) -> Option<String> {
    let end = place.on_store("verify").args(["--depth", depth, "--json"]).args(more).run();
    if end.code() == Some(0) {
        return None;
    }
    let error = end.expect_code(5).error();
    Some(error["kind"].as_str().unwrap().to_owned())
}

type Damage = fn(&Place);

/// A class of damage: how it is done, whether names show it, and the kinds that it may be told as.
const CLASSES: [(&str, Damage, bool, &[&str]); 9] = [
    ("the first segment missing", |place| remove(place, 0), true, &["gap"]),
    ("a middle segment missing", |place| remove(place, 2), true, &["gap"]),
    ("the last segment missing", |place| remove(place, 4), true, &["gap"]),
    ("a byte flipped", |place| change(place, 1, |bytes| bytes[200] ^= 1), false, &["corruption"]),
    ("truncated", |place| change(place, 1, |bytes| bytes.truncate(bytes.len() - 7)), true, &["corruption"]),
    ("longer", |place| change(place, 1, |bytes| bytes.push(0)), true, &["corruption"]),
    // Which of the two is told depends on what is looked at first: the bytes' hash, or what their header says.
    ("swapped", swap, false, &["corruption", "lineage"]),
    ("of a foreign lineage", foreign, false, &["corruption", "lineage"]),
    ("an older head", older_head, true, &["rewind"]),
];

fn remove(place: &Place, number: usize) {
    fs::remove_file(&place.objects()[number]).unwrap();
}

fn change(place: &Place, number: usize, change: impl FnOnce(&mut Vec<u8>)) {
    let object = &place.objects()[number];
    let mut bytes = fs::read(object).unwrap();
    change(&mut bytes);
    fs::write(object, bytes).unwrap();
}

fn swap(place: &Place) {
    let objects = place.objects();
    let (one, other) = (fs::read(&objects[1]).unwrap(), fs::read(&objects[2]).unwrap());
    assert_eq!(one.len(), other.len(), "else names would show it");
    fs::write(&objects[1], other).unwrap();
    fs::write(&objects[2], one).unwrap();
}

fn foreign(place: &Place) {
    let other = shipped();
    let bytes = fs::read(&other.objects()[1]).unwrap();
    let object = &place.objects()[1];
    assert_eq!(fs::metadata(object).unwrap().len(), bytes.len() as u64, "else names would show it");
    fs::write(object, bytes).unwrap();
}

fn older_head(place: &Place) {
    let head = place.store().join(Place::DATABASE).join("head.json");
    let old = fs::read(&head).unwrap();
    place.append(entries(11, 2));
    place.ship();
    fs::write(head, old).unwrap();
}

#[test]
fn every_class_of_damage_gives_its_kind_and_code_5() {
    let place = shipped();
    for depth in ["list", "chain"] {
        assert_eq!(kind(&place, depth, &[]), None);
    }
    for (class, damage, by_names, kinds) in CLASSES {
        let place = shipped();
        damage(&place);
        let listed = kind(&place, "list", &[]);
        assert_eq!(listed.is_some(), by_names, "{class}, by names: {listed:?}");
        let chained = kind(&place, "chain", &[]).unwrap_or_else(|| panic!("{class} is not found"));
        for found in listed.iter().chain([&chained]) {
            assert!(kinds.contains(&found.as_str()), "{class} is told as {found}");
        }
    }
    // What names can't know, somebody may.
    assert_eq!(kind(&place, "list", &["--floor", "10"]), None);
    assert_eq!(kind(&place, "list", &["--floor", "11"]).as_deref(), Some("rewind"));
}
