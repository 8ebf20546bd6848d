//! `follow --target exec:COMMAND`: children that do their work, die, refuse, or talk nonsense.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::PathBuf;

use cli::{Place, Signal, until};
use serde_json::Value;

/// A published database with ten entries.
fn published() -> Place {
    let place = Place::new();
    place.fill(2, 5);
    place.ship();
    place
}

/// What `exec/child.sh` keeps its entries in, and the target with it.
fn child(place: &Place, mode: &str) -> (PathBuf, String) {
    let file = place.path("child");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exec/child.sh");
    (file.clone(), format!("exec:sh '{script}' '{}' {mode}", file.display()))
}

#[track_caller]
fn assert_applied(file: &PathBuf, expected: &[Value]) {
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_child_applies_every_entry_once_over_several_runs() {
    let place = published();
    let (file, target) = child(&place, "");
    for until in ["3", "7", "10"] {
        place.follow(&target).args(["--once", "--batch", "2", "--until-sequence", until]).ok();
    }
    assert_applied(&file, &place.cat());
}

#[test]
fn a_child_that_dies_once_is_started_again_and_goes_on_where_it_was() {
    let place = published();
    let (file, target) = child(&place, "die-once 6");
    let ended = place.follow(&target).args(["--once", "--batch", "2"]).ok();
    assert!(place.path("child.died").exists());
    assert!(ended.stderr.contains("the target is gone"), "{}", ended.stderr);
    assert_applied(&file, &place.cat());
}

#[test]
fn r07_an_entry_that_the_child_refuses_stops_the_follower_with_the_childs_words() {
    let place = published();
    let (file, target) = child(&place, "refuse 7");
    for mode in [&["--once"][..], &[]] {
        let refused = place.follow(&target).args(["--json", "--batch", "3"]).args(mode).run();
        let error = refused.expect_code(6).error();
        assert_eq!((&error["kind"], &error["sequence"]), (&"poison".into(), &7.into()));
        assert!(error.to_string().contains("no table Person"), "{error}");
        // Whole batches before it, nothing of its own.
        assert_applied(&file, &place.cat()[..5]);
    }
}

#[test]
fn r07_an_entry_that_the_child_refuses_is_skipped_when_it_is_named_and_that_is_recorded() {
    let place = published();
    let (file, target) = child(&place, "refuse 7");
    let once = || place.follow(&target).args(["--once", "--batch", "3"]);
    let record = place.path("record");
    let unplaced = once().args(["--skip", "7"]).run().expect_code(2);
    assert!(unplaced.stderr.contains("--skip-record"), "{}", unplaced.stderr);
    assert!(!file.exists(), "nothing was applied");
    once().args(["--skip", "6", "--skip-record"]).arg(&record).run().expect_code(6);
    assert!(!record.exists(), "another one was named");
    let skipped = once().args(["--skip", "7", "--skip", "9", "--skip-record"]).arg(&record).ok();
    assert!(skipped.stderr.contains("1 of 2 entries named by --skip were skipped"), "{}", skipped.stderr);
    assert!(skipped.stderr.contains("skipped an entry that the target refuses"), "{}", skipped.stderr);
    let mut expected = place.cat();
    let entry = expected.remove(6);
    assert_applied(&file, &expected);
    let line: Value = serde_json::from_str(fs::read_to_string(&record).unwrap().trim_end()).unwrap();
    assert_eq!((&line["entry"]["sequence"], &line["entry"]["query"]), (&7.into(), &entry["query"]));
    assert_eq!(line["reason"], "no table Person");
    // From then on nobody has to know.
    once().ok();
    assert_applied(&file, &expected);
}

#[test]
fn a_child_that_breaks_the_protocol_ends_the_follower_with_6() {
    let place = published();
    for command in [
        "exit 3",
        "true",
        "no-such-command-anywhere",
        "echo hello",
        "echo '{\"position\":7}'",
        "echo '{\"position\":{\"lineage\":\"x\",\"sequence\":1,\"chain_hash\":\"y\"}}'",
        "echo '{\"position\":null}'; read line; echo '{\"applied\":1}'; cat > /dev/null",
        "echo '{\"position\":null}'; while read line; do case $line in *commit*) echo maybe;; esac; done",
        "echo '{\"position\":null}'; while read line; do case $line in *commit*) echo '{\"applied\":4}';; esac; done",
    ] {
        let ended = place.follow(format!("exec:{command}")).args(["--once", "--json"]).run().expect_code(6);
        assert_eq!(ended.error()["kind"], "target", "{command}");
    }
}

#[test]
fn k01_a_childs_arguments_are_in_no_output() {
    let place = published();
    let target = "exec:PASSWORD=canary-1 sh -c 'exit 1' --token canary-2";
    for log in ["info", "trace"] {
        let ended = place.follow(target).args(["--json", "--log-level", log]).run().expect_code(6);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        ended.expect_no_stdout();
    }
}

#[test]
fn a_position_of_another_history_is_refused_before_anything_is_sent() {
    let (place, other) = (published(), published());
    let (_, target) = child(&other, "");
    other.follow(&target).arg("--once").ok();
    let refused = place.follow(&target).args(["--once", "--json"]).run().expect_code(5).error();
    assert_eq!(refused["kind"], "lineage");
    assert_applied(&other.path("child"), &other.cat());
}

#[test]
fn a_signal_lets_the_child_finish() {
    let place = published();
    let (file, target) = child(&place, "");
    let daemon = place.follow(&target).args(["--poll-interval", "10ms"]).spawn();
    until("all entries", || (fs::read_to_string(&file).ok()?.lines().count() == 10).then_some(()));
    daemon.kill(Signal::Int).expect_code(0);
    assert_applied(&file, &place.cat());
}

#[test]
fn r05_a_child_ends_with_its_follower_even_when_that_is_killed() {
    let place = published();
    let gone = place.path("gone");
    let (file, target) = child(&place, "");
    let daemon = place.follow(format!("{target}; touch '{}'", gone.display())).spawn();
    until("all entries", || (fs::read_to_string(&file).ok()?.lines().count() == 10).then_some(()));
    daemon.kill(Signal::Kill);
    until("the child's end", || gone.exists().then_some(()));
}
