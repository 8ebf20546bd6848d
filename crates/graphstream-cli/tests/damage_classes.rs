//! Every class of damage that a store can show, from one table, as `follow`, `restore` and `verify` meet it: exit code 5, the same kind from each,
//! and nothing of it in a target, or where a restore would have put it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Place, entries};
use graphstream_testkit::damage::{Damage, Objects};

#[test]
fn s07_s08_h08_every_class_of_damage_ends_with_code_5_and_its_kind_for_whoever_reads() {
    let place = Place::new();
    place.fill(4, 5);
    place.ship();
    let older = Objects::read(&place.store()).unwrap();
    let older_head = older.0[older.head()].clone();
    place.append(entries(21, 5));
    place.ship();
    let whole = Objects::read(&place.store()).unwrap();
    assert_eq!(whole.segments().len(), 5);

    let follow = |path: &std::path::Path| place.follow(format!("jsonl:{}", path.display()));
    let caught_up = place.path("caught-up.jsonl");
    follow(&caught_up).arg("--once").ok();
    let applied = fs::read(&caught_up).unwrap();
    for damage in Damage::ALL {
        damage.done_to(&whole, &older_head).write(&place.store()).unwrap();
        // Only who has seen a newer head can know that one is old.
        let behind = place.path(&format!("{damage:?}.jsonl"));
        let path = if damage == Damage::OlderHead { &caught_up } else { &behind };
        for mode in [&["--once"][..], &[]] {
            let error = follow(path).arg("--json").args(mode).run().expect_code(5).error();
            assert_eq!(error["kind"], damage.kind(), "{damage:?}: {error}");
            assert!(!error["hint"].as_str().unwrap().is_empty());
            let nothing = fs::read(path).map_or(true, |found| found.is_empty() || found == applied);
            assert!(nothing, "{damage:?}: something was applied");
        }
        let restored = place.path(&format!("restored-{damage:?}"));
        let journal = restored.display().to_string();
        for (verb, more) in [
            ("verify", &["--depth", "chain"][..]),
            ("restore", &["--journal", &journal]),
            ("restore", &["--journal", &journal, "--dry-run"]),
        ] {
            let end = place.on_store(verb).arg("--json").args(more).run();
            if more.contains(&"--dry-run") && end.code() == Some(0) {
                // A plan is made of names.
                continue;
            }
            let error = end.expect_code(5).error();
            assert_eq!(error["kind"], damage.kind(), "{verb} {more:?}, {damage:?}: {error}");
            assert!(!restored.exists(), "{damage:?}: something was restored");
        }
        // Names may not show it; if they do, they show the same.
        let listed = place.on_store("verify").args(["--json", "--depth", "list"]).run();
        if listed.code() != Some(0) {
            assert_eq!(listed.expect_code(5).error()["kind"], damage.kind(), "by names: {damage:?}");
        }
        whole.write(&place.store()).unwrap();
    }
    let mended = place.path("mended.jsonl");
    follow(&mended).arg("--once").ok();
    assert_eq!(fs::read(&mended).unwrap(), applied);
}
