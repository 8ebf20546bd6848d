//! `status`: how far a journal and its store are, how far apart, and who works on them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place, Signal, entries};
use serde_json::{Value, json};

fn status(call: Graphstream) -> Value {
    call.arg("--json").ok().json()
}

/// `status` of the journal and of the store.
fn both(place: &Place) -> Graphstream {
    place.on_journal("status").args(["--from", &place.url(), "--database", Place::DATABASE])
}

#[test]
fn a_journal_says_how_far_it_is() {
    let place = Place::new();
    place.fill(3, 2);
    let found = status(place.on_journal("status"));
    let journal = &found["journal"];
    assert!(found["store"].is_null() && found["rpo"].is_null(), "{found}");
    assert_eq!(journal["directory"], place.journal().to_str().unwrap());
    assert_eq!((&journal["written_sequence"], &journal["sealed_sequence"]), (&json!(6), &json!(6)));
    assert_eq!((&journal["first_sequence"], &journal["sealed_segments"]), (&json!(1), &json!(3)));
    assert_eq!(journal["open_segments"], 0);
    let last = &place.cat()[5];
    assert_eq!(
        (&journal["chain_hash"], &journal["last_commit_ms"]),
        (&last["chain_hash"], &last["commit_ms"])
    );
    let bytes: u64 = place.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(journal["sealed_bytes"], bytes);
    let text = place.on_journal("status").ok();
    for part in ["written 6, sealed 6, from 1", "writer       none", "3 sealed"] {
        assert!(text.text().contains(part), "no {part:?} in\n{}", text.text());
    }
}

#[test]
fn a_journal_without_an_entry_has_a_status() {
    let place = Place::new();
    place.append("");
    let journal = status(place.on_journal("status"))["journal"].take();
    assert_eq!((&journal["written_sequence"], &journal["sealed_sequence"]), (&json!(0), &json!(0)));
    assert!(journal["first_sequence"].is_null() && journal["last_commit_ms"].is_null(), "{journal}");
    assert_eq!(journal["chain_hash"], "0".repeat(64));
}

#[test]
fn a_writer_and_a_shipper_are_named_while_they_hold_the_journal() {
    let place = Place::new();
    let mut writer = place.append_left_open().spawn_with_stdin();
    writer.write(&entries(1, 3));
    writer.wait_for_stdout("acknowledgements", |lines| (lines.len() == 3).then_some(()));
    let shipper = place.replicate().spawn();
    shipper.wait_for_stderr("the start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
    let journal = status(place.on_journal("status"))["journal"].take();
    assert_eq!(journal["writer"], json!({"held": true, "pid": writer.id()}));
    assert_eq!(journal["shipper"], json!({"held": true, "pid": shipper.id()}));
    // Entries count before they are sealed.
    let found = (&journal["written_sequence"], &journal["sealed_sequence"], &journal["open_segments"]);
    assert_eq!(found, (&json!(3), &json!(0), &json!(1)));
    writer.kill(Signal::Kill);
    shipper.kill(Signal::Kill);
    let journal = status(place.on_journal("status"))["journal"].take();
    assert_eq!((&journal["writer"], &journal["shipper"]), (&json!({"held": false}), &json!({"held": false})));
    assert_eq!(journal["written_sequence"], 3);
}

#[test]
fn journal_and_store_together_say_what_a_lost_disk_would_lose() {
    let place = Place::new();
    place.fill(2, 2);
    place.ship();
    let found = status(both(&place));
    assert_eq!(found["rpo"], json!({"entries": 0, "seconds": 0.0, "same_history": true}));
    let last = &place.cat()[3];
    let store = &found["store"];
    assert_eq!(
        (&store["committed_sequence"], &store["committed_commit_ms"]),
        (&json!(4), &last["commit_ms"])
    );
    assert_eq!(store["committed_chain_hash"], last["chain_hash"]);
    assert_eq!(
        (&store["database_id"], &store["lineage"]),
        (&found["journal"]["database_id"], &found["journal"]["lineage"])
    );
    assert_eq!((&store["epoch"], &store["window_segments"]), (&json!(1), &json!(2)));
    assert_eq!(store["epochs"], json!([{"epoch": 1, "start_sequence": 0}]));
    let bytes: u64 = place.objects().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(store["window_bytes"], bytes);
    assert!(both(&place).ok().text().contains("RPO 0 entries: everything written is stored"));

    place.append(entries(5, 1));
    let found = status(both(&place));
    assert_eq!(found["rpo"]["entries"], 1);
    assert!(found["rpo"]["seconds"].as_f64().unwrap() >= 0.0);
    let cursor = &found["journal"]["cursors"][0];
    assert_eq!(
        (&cursor["name"], &cursor["sequence"], &cursor["lag_entries"]),
        (&json!("uploader"), &json!(4), &json!(1))
    );
    let text = both(&place).ok();
    for part in ["RPO 1 entry, ", "cursor       uploader at 4 (stored), 1 entry behind"] {
        assert!(text.text().contains(part), "no {part:?} in\n{}", text.text());
    }
    place.append(entries(6, 2));
    assert_eq!(status(both(&place))["rpo"]["entries"], 3);
    // The store alone knows nothing of that.
    let found = status(place.on_store("status"));
    assert!(found["journal"].is_null() && found["rpo"].is_null());
    assert_eq!(found["store"]["committed_sequence"], 4);
}

#[test]
fn a_journal_and_the_store_of_another_are_told_apart() {
    let (place, other) = (Place::new(), Place::new());
    place.fill(1, 2);
    other.fill(1, 2);
    other.ship();
    let call = || place.on_journal("status").args(["--from", &other.url(), "--database", Place::DATABASE]);
    assert_eq!(status(call())["rpo"]["same_history"], false);
    assert!(call().ok().text().contains("RPO the journal and the store hold different histories"));
}

#[test]
fn a_journal_of_the_predecessor_has_a_status_and_stays_as_it_is() {
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-format/tests/fixtures/graphstream-0.3.0");
    for (name, written, sealed) in [("sealed", 600, 600), ("unsealed-tail", 450, 295)] {
        let directory = format!("{fixtures}/{name}");
        let before = fs::read_dir(&directory).unwrap().count();
        let journal = status(Graphstream::new("status").args(["--journal", &directory]))["journal"].take();
        assert_eq!((&journal["legacy"], &journal["lineage"]), (&json!(true), &json!("0".repeat(32))));
        assert!(journal["database_id"].is_null());
        assert_eq!(
            (&journal["written_sequence"], &journal["sealed_sequence"]),
            (&json!(written), &json!(sealed))
        );
        let last = Graphstream::new("cat").args([
            "--json",
            "--journal",
            &directory,
            "--to-sequence",
            &sealed.to_string(),
        ]);
        assert_eq!(journal["last_commit_ms"], last.ok().json_lines().pop().unwrap()["commit_ms"], "{name}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), before, "status made files");
        let text = Graphstream::new("status").args(["--journal", &directory]).ok();
        assert!(text.text().contains("(a journal of the predecessor)"), "{}", text.text());
    }
}

#[test]
fn a_damaged_end_has_no_status() {
    let place = Place::new();
    place.fill(2, 2);
    let path = place.segments().remove(1);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = place.on_journal("status").arg("--json").run().expect_code(5).expect_no_stdout().error();
    assert_eq!(error["file"], path.to_str().unwrap());
}

#[test]
fn integrity_comes_before_what_is_not_there() {
    let place = Place::new();
    place.fill(1, 2);
    both(&place).run().expect_code(4);
    let shipped = Place::new();
    shipped.fill(1, 2);
    shipped.ship();
    fs::remove_dir_all(shipped.journal()).unwrap();
    both(&shipped).run().expect_code(3);
    fs::write(shipped.store().join(Place::DATABASE).join("head.json"), b"{").unwrap();
    both(&shipped).run().expect_code(5);
    let path = place.segments().remove(0);
    fs::write(&path, b"HADBJ").unwrap();
    both(&place).run().expect_code(5);
}
