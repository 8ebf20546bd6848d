//! `follow`: what reaches the target, when it ends, and what it refuses to apply.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::Path;

use cli::{Place, Running, Signal, entries, until};
use serde_json::Value;

/// The entries of a `jsonl` target, without the lineage that its lines have beyond those of `cat --json`.
#[track_caller]
fn target(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("lineage").is_some());
    }
    lines
}

/// A follower that looks at the head all the time.
fn tailing(place: &Place, target: &str) -> Running {
    place.follow(target).args(["--poll-interval", "10ms"]).spawn()
}

fn jsonl(place: &Place) -> (std::path::PathBuf, String) {
    let path = place.path("copy.jsonl");
    let target = format!("jsonl:{}", path.display());
    (path, target)
}

#[track_caller]
fn wait_for_lines(path: &Path, count: usize) {
    until(&format!("{count} lines in the target"), || {
        let text = fs::read_to_string(path).ok()?;
        (text.lines().count() >= count && text.ends_with('\n')).then_some(())
    });
}

#[test]
fn once_applies_what_is_published_and_ends() {
    let place = Place::new();
    place.fill(3, 5);
    place.ship();
    let (path, to) = jsonl(&place);
    let said = place.follow(&to).arg("--once").ok();
    assert_eq!(said.text(), "applied through sequence 15 of 15\n");
    assert_eq!(target(&path), place.cat());
    // Again, with nothing new and then with more.
    place.follow(&to).arg("--once").ok();
    place.append(entries(16, 4));
    place.ship();
    place.follow(&to).arg("--once").ok();
    assert_eq!(target(&path), place.cat());
}

#[test]
fn until_a_sequence_in_the_middle_of_a_segment_it_applies_exactly_that() {
    let place = Place::new();
    place.fill(3, 5);
    place.ship();
    let (path, to) = jsonl(&place);
    for (sequence, mode) in [(7, &["--once"][..]), (8, &[]), (15, &[])] {
        place.follow(&to).args(["--until-sequence", &sequence.to_string()]).args(mode).ok();
        assert_eq!(target(&path), place.cat()[..sequence]);
    }
    let early = place.follow(&to).args(["--once", "--until-sequence", "99"]).ok();
    assert!(
        early.stderr.contains("entry 99 is not published yet: the follower is at 15"),
        "{}",
        early.stderr
    );
    assert_eq!(target(&path).len(), 15);
}

#[test]
fn a_daemon_applies_what_comes_and_a_signal_ends_it_well() {
    for signal in [Signal::Term, Signal::Int] {
        let place = Place::new();
        place.fill(1, 5);
        place.ship();
        let (path, to) = jsonl(&place);
        let daemon = tailing(&place, &to);
        wait_for_lines(&path, 5);
        place.append(entries(6, 700));
        place.ship();
        wait_for_lines(&path, 705);
        let ended = daemon.kill(signal).expect_code(0);
        assert_eq!(ended.text(), "applied through sequence 705 of 705\n");
        assert_eq!(target(&path), place.cat());
    }
}

#[test]
fn until_a_sequence_that_comes_later_a_daemon_waits() {
    let place = Place::new();
    place.fill(1, 2);
    place.ship();
    let (path, to) = jsonl(&place);
    let daemon = place.follow(&to).args(["--poll-interval", "10ms", "--until-sequence", "3"]).spawn();
    wait_for_lines(&path, 2);
    place.append(entries(3, 3));
    place.ship();
    daemon.wait().expect_code(0);
    assert_eq!(target(&path), place.cat()[..3]);
}

#[test]
fn standard_output_gets_lines_and_nothing_else() {
    let place = Place::new();
    place.fill(2, 5);
    place.ship();
    let mut lines = place.follow("jsonl:-").arg("--once").ok().json_lines();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("lineage").unwrap();
    }
    assert_eq!(lines, place.cat());
    place.follow("jsonl:-").args(["--once", "--json"]).run().expect_code(2).expect_no_stdout();
}

#[test]
fn status_lines_only_grow_and_the_last_says_that_it_is_done() {
    let place = Place::new();
    place.fill(4, 500);
    place.ship();
    let (_, to) = jsonl(&place);
    let lines = place.follow(&to).args(["--once", "--json", "--batch", "10"]).ok().json_lines();
    let applied: Vec<_> = lines.iter().map(|line| line["applied_sequence"].as_u64().unwrap()).collect();
    assert!(applied.is_sorted(), "{applied:?}");
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().all(|line| line["done"] == false));
    let store = place.on_store("status").arg("--json").ok().json()["store"].take();
    assert_eq!(last["done"], true);
    assert_eq!(last["applied_sequence"], 2000);
    assert_eq!(last["committed_sequence"], 2000);
    assert_eq!(last["lineage"], store["lineage"]);
    assert_eq!(last["chain_hash"], store["committed_chain_hash"]);
    assert_eq!((&last["lag_entries"], &last["lag_bytes"]), (&0.into(), &0.into()));
}

#[test]
fn a_database_that_does_not_exist_ends_with_4_and_leaves_no_target_behind() {
    let place = Place::new();
    place.fill(1, 1);
    place.ship();
    for target in ["jsonl", "grafeo"] {
        let path = place.path("target");
        let missing = ["--from", &place.url(), "--database", "peopel", "--once", "--json"];
        let to = format!("{target}:{}", path.display());
        let run = cli::Graphstream::new("follow").args(missing).args(["--target", &to]);
        assert_eq!(run.run().expect_code(4).error()["kind"], "no_database");
        assert!(!path.exists(), "{target}");
        let elsewhere = format!("file://{}", place.path("nowhere").display());
        let missing = ["--from", &elsewhere, "--database", "people", "--json", "--target", &to];
        cli::Graphstream::new("follow").args(missing).run().expect_code(4);
        assert!(!path.exists() && !place.path("nowhere").exists(), "{target}");
    }
}

#[test]
fn a_daemon_waits_for_a_database_that_does_not_exist_yet() {
    let place = Place::new();
    place.fill(1, 3);
    fs::create_dir(place.store()).unwrap();
    let (path, to) = jsonl(&place);
    let waiting = |path: &Path| {
        let daemon = tailing(&place, &to);
        daemon.wait_for_stderr("a look at the store", |lines| {
            lines.iter().any(|line| line.contains("waiting for it")).then_some(())
        });
        assert!(!path.exists());
        daemon
    };
    // Stopped while it waits it has made nothing.
    waiting(&path).kill(Signal::Term).expect_code(0);
    assert!(!path.exists());
    let daemon = waiting(&path);
    place.ship();
    wait_for_lines(&path, 3);
    daemon.kill(Signal::Term).expect_code(0);
    assert_eq!(target(&path), place.cat());
}

/// A follower that has the first of three segments; the second is to be damaged.
fn one_of_three_applied() -> (Place, std::path::PathBuf, String) {
    let place = Place::new();
    place.fill(3, 5);
    place.ship();
    let (path, to) = jsonl(&place);
    place.follow(&to).args(["--once", "--until-sequence", "5"]).ok();
    // It has fetched all three, and would not ask for the others again.
    fs::remove_dir_all(place.path("copy.jsonl.follow")).unwrap();
    (place, path, to)
}

#[test]
fn s07_a_damaged_object_is_named_and_nothing_of_it_is_applied() {
    let (place, path, to) = one_of_three_applied();
    let object = &place.objects()[1];
    let whole = fs::read(object).unwrap();
    for at in [10, 60, 140, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(object, damaged).unwrap();
        let refused = place.follow(&to).args(["--once", "--json"]).run().expect_code(5).error();
        assert_eq!(refused["kind"], "corruption");
        let key = object.file_name().unwrap().to_str().unwrap();
        assert!(refused["file"].as_str().unwrap().ends_with(key), "{refused}");
        assert!((6..=10).contains(&refused["sequence"].as_u64().unwrap()), "{refused}");
        assert!(refused["offset"].is_u64() || refused["body_offset"].is_u64(), "byte {at}: {refused}");
        assert_eq!(target(&path), place.cat()[..5], "byte {at}");
    }
    // Cut, or with something behind it.
    for length in [0, 100, whole.len() - 1, whole.len() + 1] {
        let mut damaged = whole.clone();
        damaged.resize(length, 0);
        fs::write(object, damaged).unwrap();
        place.follow(&to).arg("--once").run().expect_code(5);
        assert_eq!(target(&path), place.cat()[..5], "{length} bytes");
    }
    fs::write(object, whole).unwrap();
    place.follow(&to).arg("--once").ok();
    assert_eq!(target(&path), place.cat());
}

#[test]
fn s07_a_damaged_object_that_is_not_in_the_window_is_named_with_the_place_of_the_damage() {
    let (place, path, to) = one_of_three_applied();
    // As of an old segment: the head no longer knows its SHA-256.
    let head = place.store().join("people/head.json");
    let mut short: Value = serde_json::from_slice(&fs::read(&head).unwrap()).unwrap();
    short["segments"] = Value::Array(Vec::new());
    fs::write(&head, short.to_string()).unwrap();
    let object = &place.objects()[1];
    let whole = fs::read(object).unwrap();
    for at in (0..whole.len()).step_by(29) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(object, damaged).unwrap();
        let refused = place.follow(&to).args(["--once", "--json"]).run().expect_code(5).error();
        let key = object.file_name().unwrap().to_str().unwrap();
        assert!(refused["file"].as_str().unwrap().ends_with(key), "byte {at}: {refused}");
        let placed = ["offset", "body_offset", "sequence"].iter().any(|field| refused[field].is_u64());
        assert!(placed, "byte {at}: {refused}");
        assert_eq!(target(&path), place.cat()[..5], "byte {at}");
    }
    fs::write(object, whole).unwrap();
    place.follow(&to).arg("--once").ok();
    assert_eq!(target(&path), place.cat());
}

#[test]
fn s07_swapped_objects_are_refused() {
    let (place, path, to) = one_of_three_applied();
    let objects = place.objects();
    fs::copy(&objects[2], &objects[1]).unwrap();
    place.follow(&to).arg("--once").run().expect_code(5);
    assert_eq!(target(&path), place.cat()[..5]);
}

#[test]
fn s08_a_missing_object_is_a_gap_with_its_sequences() {
    let (place, path, to) = one_of_three_applied();
    let object = &place.objects()[1];
    let away = place.path("away");
    fs::rename(object, &away).unwrap();
    for mode in [&["--once"][..], &[]] {
        let refused = place.follow(&to).arg("--json").args(mode).run().expect_code(5).error();
        assert_eq!(refused["kind"], "gap");
        assert_eq!((&refused["sequence"], &refused["last_sequence"]), (&6.into(), &10.into()));
        assert_eq!(target(&path), place.cat()[..5]);
    }
    fs::rename(&away, object).unwrap();
    place.follow(&to).arg("--once").ok();
    assert_eq!(target(&path), place.cat());
}

#[test]
fn s08_an_older_head_than_the_target_is_a_rewind() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    let head = place.store().join("people/head.json");
    let older = fs::read(&head).unwrap();
    place.append(entries(6, 5));
    place.ship();
    let (path, to) = jsonl(&place);
    place.follow(&to).arg("--once").ok();
    fs::write(&head, older).unwrap();
    let refused = place.follow(&to).args(["--once", "--json"]).run().expect_code(5).error();
    assert_eq!(refused["kind"], "rewind");
    assert_eq!(target(&path), place.cat());
}

#[test]
fn s08_with_a_position_a_missing_head_is_damage_and_not_an_empty_database() {
    let (place, path, to) = one_of_three_applied();
    fs::remove_file(place.store().join("people/head.json")).unwrap();
    for mode in [&["--once"][..], &[]] {
        let refused = place.follow(&to).arg("--json").args(mode).run().expect_code(5).error();
        assert_eq!(refused["kind"], "corruption");
    }
    assert_eq!(target(&path), place.cat()[..5]);
}

#[test]
fn a_target_of_another_history_is_left_alone() {
    let (place, other) = (Place::new(), Place::new());
    for place in [&place, &other] {
        place.fill(1, 5);
        place.ship();
    }
    let (path, to) = jsonl(&place);
    place.follow(&to).arg("--once").ok();
    let before = fs::read(&path).unwrap();
    let refused = other.follow(&to).args(["--once", "--json"]).run().expect_code(5).error();
    assert_eq!(refused["kind"], "lineage");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn s01_a_store_that_vanishes_and_comes_back_needs_no_restart() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    let (path, to) = jsonl(&place);
    let daemon = tailing(&place, &to);
    wait_for_lines(&path, 5);
    let away = place.path("away");
    fs::rename(place.store(), &away).unwrap();
    daemon.wait_for_stderr("the failure to be told", |lines| {
        lines.iter().any(|line| line.contains("the store failed, trying again")).then_some(())
    });
    fs::rename(&away, place.store()).unwrap();
    place.append(entries(6, 5));
    place.ship();
    wait_for_lines(&path, 10);
    daemon.kill(Signal::Term).expect_code(0);
    assert_eq!(target(&path), place.cat());
}

#[test]
fn what_is_not_a_target_is_a_usage_error() {
    let place = Place::new();
    for target in ["jsonl:", "csv:x", "ladybug:x", "grafeo"] {
        place.follow(target).run().expect_code(2).expect_no_stdout();
    }
    place.fill(1, 1);
    place.ship();
    // A directory where the file should be.
    fs::create_dir(place.path("directory")).unwrap();
    place.follow(format!("jsonl:{}", place.path("directory").display())).arg("--once").run().expect_code(6);
    // A file with something else.
    fs::write(place.path("notes"), "not ours\n").unwrap();
    let notes = place.follow(format!("jsonl:{}", place.path("notes").display()));
    notes.arg("--once").run().expect_code(5);
    assert_eq!(fs::read(place.path("notes")).unwrap(), b"not ours\n");
}

#[test]
fn two_followers_do_not_share_a_target() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    let (path, to) = jsonl(&place);
    let first = tailing(&place, &to);
    wait_for_lines(&path, 5);
    place.follow(&to).arg("--once").run().expect_code(6);
    first.kill(Signal::Term).expect_code(0);
    assert_eq!(target(&path), place.cat());
}

#[test]
fn metrics_say_how_far_the_follower_is() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    let (path, to) = jsonl(&place);
    let daemon = place.follow(&to).args(["--metrics", "0"]).spawn();
    wait_for_lines(&path, 5);
    let address = cli::http_address(&daemon);
    until("the metrics", || {
        cli::get(&address, "/metrics").contains("graphstream_follower_applied_sequence 5\n").then_some(())
    });
    daemon.kill(Signal::Term).expect_code(0);
}

#[cfg(feature = "grafeo")]
#[test]
fn r07_what_is_skipped_is_recorded_beside_the_target() {
    let place = Place::new();
    place.append(entries(1, 2));
    // What the guard would have refused, and grafeo does.
    let random = "{\"query\": \"CREATE (:Person {id: rand()})\"}\n";
    place.on_journal("append").args(["--guard", "off"]).stdin(random).ok();
    place.append(entries(4, 2));
    place.ship();
    let path = place.path("copy.grafeo");
    let target = format!("grafeo:{}", path.display());
    let stopped = place.follow(&target).arg("--once").run().expect_code(6);
    assert!(stopped.stderr.contains("follow --skip"), "{}", stopped.stderr);
    place.follow(&target).args(["--once", "--skip", "3"]).ok();
    let record = fs::read_to_string(place.path("copy.grafeo.skipped.jsonl")).unwrap();
    let line: Value = serde_json::from_str(record.trim_end()).unwrap();
    assert_eq!((&line["entry"]["sequence"], &line["target"]), (&3.into(), &target.clone().into()));
    assert!(line["reason"].as_str().unwrap().contains("rand() gives another result"), "{line}");
    let again = place.follow(&target).arg("--once").ok();
    assert!(again.text().contains("applied through sequence 5 of 5"), "{}", again.text());
}
