//! Reading one's own writes from the command line, and what a follower keeps beside its target.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Place, entries};
use serde_json::Value;

/// Appends an entry and returns its position.
fn written(place: &Place, number: u64) -> String {
    let append = place.on_journal("append").args(["--acks", "--json"]).stdin(entries(number, 1)).ok();
    append.json()["position"].as_str().unwrap().to_owned()
}

#[test]
fn a_follower_runs_until_a_position_that_append_printed() {
    let place = Place::new();
    place.fill(1, 4);
    place.ship();
    let path = place.path("copy.jsonl");
    let target = format!("jsonl:{}", path.display());
    let position = written(&place, 5);
    let daemon =
        place.follow(&target).args(["--poll-interval", "10ms", "--until-position", &position]).spawn();
    written(&place, 6);
    place.ship();
    daemon.wait().expect_code(0);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 5, "what was asked for, and no more");
    // It is there: nothing is left to do.
    place.follow(&target).args(["--until-position", &position]).ok();
    place.follow(&target).args(["--once", "--until-position", &position]).ok();
    let early = written(&place, 7);
    let early = place.follow(&target).args(["--once", "--until-position", &early]).ok();
    assert!(early.stderr.contains("entry 7 is not published yet"), "{}", early.stderr);
}

#[test]
fn a_position_that_is_not_in_the_history_is_an_error() {
    let place = Place::new();
    place.fill(2, 4);
    place.ship();
    let target = format!("jsonl:{}", place.path("copy.jsonl").display());
    let entry = &place.cat()[5];
    let lineage = place.on_store("status").arg("--json").ok().json()["store"]["lineage"].take();
    let lineage = lineage.as_str().unwrap();
    let (forked, foreign) = ("5a".repeat(32), "07".repeat(16));
    let positions = [
        (format!("{lineage}-6-{forked}"), "fork"),
        (format!("{foreign}-6-{}", entry["chain_hash"].as_str().unwrap()), "lineage"),
    ];
    // While it gets there, and when it is there.
    for mode in [&["--once"][..], &[]] {
        for (position, kind) in &positions {
            let run = place.follow(&target).args(["--json", "--until-position", position]).args(mode).run();
            assert_eq!(run.expect_code(5).error()["kind"], *kind, "{position}");
        }
    }
    for bad in ["", "6", "x-6-y", &format!("{lineage}-06-{forked}")] {
        place.follow(&target).args(["--until-position", bad]).run().expect_code(2);
    }
}

#[test]
fn h08_what_was_seen_published_outlives_the_follower_beside_its_target() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    let head = place.store().join("people/head.json");
    let older = fs::read(&head).unwrap();
    place.append(entries(6, 5));
    place.ship();
    let newer = fs::read(&head).unwrap();
    let target = format!("jsonl:{}", place.path("copy.jsonl").display());
    // It has less than either head says, but has seen the newer one.
    place.follow(&target).args(["--once", "--until-sequence", "3"]).ok();
    fs::write(&head, &older).unwrap();
    let error = place.follow(&target).args(["--once", "--json"]).run().expect_code(5).error();
    assert_eq!(error["kind"], "rewind");
    // What it knows can be taken from it; then it believes what it is shown.
    fs::remove_dir_all(place.path("copy.jsonl.follow")).unwrap();
    place.follow(&target).arg("--once").ok();
    fs::write(&head, newer).unwrap();
    let done: Value = place.follow(&target).args(["--once", "--json"]).ok().json_lines().pop().unwrap();
    assert_eq!(done["applied_sequence"], 10);
}

#[test]
fn an_idle_follower_asks_less_and_less_within_its_bounds() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    let target = format!("jsonl:{}", place.path("copy.jsonl").display());
    let polls = |flags: &[&str]| {
        let daemon =
            place.follow(&target).args(["--http", "0", "--poll-interval", "5ms"]).args(flags).spawn();
        let address = cli::http_address(&daemon);
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let metrics = cli::get(&address, "/metrics");
        daemon.kill(cli::Signal::Term).expect_code(0);
        let line =
            metrics.lines().find(|line| line.starts_with("graphstream_follower_head_polls_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let slow = polls(&["--poll-interval-max", "1h"]);
    assert!((8..=25).contains(&slow), "{slow} looks");
}
