//! `follow` when segments go under it: a snapshot takes the target's place, by itself, wherever that can be done.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cli::{Graphstream, Place, Signal, entries, get, http_address, json, moments, until};
use serde_json::{Value, json};

fn snapshot(place: &Place, target: &str) -> Graphstream {
    let args = ["create", "--to", &place.url(), "--database", Place::DATABASE, "--target", target];
    Graphstream::new("snapshot").args(args).env("TMPDIR", place.path(""))
}

/// Entries 13 to 28 are published, a database with 24 of them is copied, and the segments below are gone.
fn pass_by(place: &Place, kind: &str) {
    place.append(entries(13, 12));
    place.ship();
    let other = place.target(&kind.replace("people", "other"));
    place.follow(&other).arg("--once").ok();
    snapshot(place, &other).ok();
    place.append(entries(25, 4));
    place.ship();
    for object in &place.objects()[..4] {
        fs::remove_file(object).unwrap();
    }
}

fn digest(place: &Place, target: &str) -> Value {
    let args = ["--target", &place.target(target), "--digest", "--json"];
    Graphstream::new("status").args(args).ok().json_lines()[0]["target"]["digest"].clone()
}

fn beside(place: &Place, what: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains(what)).collect()
}

#[test]
fn a_target_that_fell_behind_what_is_retained_is_replaced_and_holds_what_one_from_the_beginning_does() {
    for kind in ["grafeo:people.grafeo", "grafeo:people"] {
        let place = Place::followed(kind);
        pass_by(&place, kind);
        let end = place.follow(place.target(kind)).args(["--once", "--json"]).run().expect_code(0);
        assert_eq!(end.json_lines().last().unwrap()["applied_sequence"], json!(28), "{kind}");
        end.expect_stderr(["a snapshot takes the target's place", "applied=12 snapshot=24"]);
        // The floor beside the target knew the old one: nothing is kept.
        assert_eq!(beside(&place, "before-restore"), Vec::<PathBuf>::new());
        assert_eq!(beside(&place, ".restore"), Vec::<PathBuf>::new());
        let other = kind.replace("people", "other");
        place.follow(place.target(&other)).arg("--once").ok();
        assert_eq!(digest(&place, kind), digest(&place, &other), "{kind}");
    }
}

#[test]
fn a_running_follower_says_what_it_does_and_counts_it() {
    let kind = "grafeo:people.grafeo";
    let place = Place::followed(kind);
    let follow = place.follow(place.target(kind)).args(["--poll-interval", "20ms", "--http", "127.0.0.1:0"]);
    let mut running = follow.spawn();
    let address = http_address(&running);
    until("the follower to follow", || (json(&address, "/status").1["state"] == "following").then_some(()));
    // While it is stopped the history goes on, and its beginning is collected.
    running.signal(Signal::Stop);
    pass_by(&place, kind);
    running.signal(Signal::Cont);
    until("the target to be replaced", || {
        (json(&address, "/status").1["applied"]["sequence"] == json!(28)).then_some(())
    });
    assert_eq!(json(&address, "/status").1["state"], json!("following"));
    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("graphstream_follower_replacements_total 1\n"), "{metrics}");
    assert!(metrics.contains("graphstream_follower_replacement_seconds_count 1\n"));
    // It goes on as before.
    place.append(entries(29, 4));
    place.ship();
    until("the next entries", || {
        (json(&address, "/status").1["applied"]["sequence"] == json!(32)).then_some(())
    });
    running.signal(Signal::Term);
    running.wait().expect_code(0);
    assert_eq!(beside(&place, "before-restore"), Vec::<PathBuf>::new());
}

#[test]
fn r01_killed_while_it_is_replaced_the_next_start_goes_on() {
    let kind = "grafeo:people.grafeo";
    let place = Place::followed(kind);
    pass_by(&place, kind);
    let before = place.path("before");
    fs::copy(place.path("people.grafeo"), &before).unwrap();
    for (attempt, moment) in moments(7, 8, Duration::from_millis(400)).enumerate() {
        fs::copy(&before, place.path("people.grafeo")).unwrap();
        let running = place.follow(place.target(kind)).arg("--once").spawn();
        std::thread::sleep(moment);
        running.kill(Signal::Kill);
        let end = place.follow(place.target(kind)).args(["--once", "--json"]).ok();
        assert_eq!(end.json_lines().last().unwrap()["applied_sequence"], json!(28), "attempt {attempt}");
    }
    let other = "grafeo:other.grafeo";
    place.follow(place.target(other)).arg("--once").ok();
    assert_eq!(digest(&place, kind), digest(&place, other));
}

#[test]
fn s08_without_a_snapshot_of_its_kind_it_is_a_gap_that_says_what_to_do() {
    let place = Place::followed("jsonl:people.jsonl");
    pass_by(&place, "grafeo:people.grafeo");
    let held = fs::read(place.path("people.jsonl")).unwrap();
    let error = place
        .follow(place.target("jsonl:people.jsonl"))
        .args(["--once", "--json"])
        .run()
        .expect_code(5)
        .error();
    assert_eq!(error["kind"], json!("gap"));
    assert!(error["hint"].as_str().unwrap().contains("no snapshot of this kind"), "{error}");
    assert_eq!(fs::read(place.path("people.jsonl")).unwrap(), held);
}

/// A child in the shell whose database is a file of lines, which it appends to as they come.
fn child(place: &Place) -> String {
    let script = place.path("child.sh");
    fs::write(
        &script,
        "db=${GRAPHSTREAM_TARGET_PATH:-$1}\n\
         touch \"$db\"\n\
         position=$(grep commit \"$db\" | tail -n 1 | sed 's/^{\"commit\":\\(.*\\)}$/\\1/')\n\
         echo \"{\\\"position\\\":${position:-null}}\"\n\
         while read -r line; do\n\
           echo \"$line\" >> \"$db\"\n\
           case $line in '{\"commit\"'*) echo \"{\\\"applied\\\":$(echo \"$line\" | sed 's/.*\"sequence\":\\([0-9]*\\).*/\\1/')}\";; esac\n\
         done\n",
    )
    .unwrap();
    format!("exec:sh '{}'", script.display())
}

#[test]
fn an_exec_target_is_replaced_where_it_is_said_what_it_opens() {
    let place = Place::new();
    place.fill(3, 4);
    place.ship();
    let target = child(&place);
    let at = |call: Graphstream, name: &str| {
        call.args(["--target", &target, "--engine", "lines", "--path"]).arg(place.path(name))
    };
    let follow = |name: &str| at(place.on_store("follow").env("TMPDIR", place.path("")).arg("--once"), name);
    follow("people").ok();
    place.append(entries(13, 12));
    place.ship();
    follow("other").ok();
    let create = ["create", "--to", &place.url(), "--database", Place::DATABASE];
    at(Graphstream::new("snapshot").args(create).env("TMPDIR", place.path("")), "other").ok();
    place.append(entries(25, 4));
    place.ship();
    for object in &place.objects()[..4] {
        fs::remove_file(object).unwrap();
    }
    // Without the path: what can be done is said.
    let plain = format!("{target} '{}'", place.path("people").display());
    let held = fs::read(place.path("people")).unwrap();
    let error = place.follow(&plain).args(["--once", "--json"]).run().expect_code(5).error();
    assert_eq!(error["kind"], json!("gap"));
    assert!(error["hint"].as_str().unwrap().contains("graphstream restore --target exec:"), "{error}");
    assert_eq!(fs::read(place.path("people")).unwrap(), held);
    // With it: done.
    follow("people").ok();
    follow("other").ok();
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(place.path(name)).unwrap();
        text.lines().filter(|line| !line.contains("\"commit\"")).map(str::to_owned).collect()
    };
    assert_eq!(lines("people").len(), 28);
    assert_eq!(lines("people"), lines("other"));
}
