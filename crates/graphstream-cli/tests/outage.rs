//! The disk budget on the command line: `append` waits or ends, `replicate` and `status` tell.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place, Signal, entries};

/// More than the journal's queue takes at once (1 MiB), so that some are still to be let in when the first are held back.
const ENTRIES: u64 = 30_000;

/// A journal of which the first three entries are stored, and nobody ships.
fn place() -> Place {
    let place = Place::new();
    place.fill(1, 3);
    place.ship();
    place
}

/// Takes a few segments: the first that is left exhausts the budget, and sealing them does not make room for all.
fn bounded(place: &Place) -> Graphstream {
    place.on_journal("append").args(["--segment-bytes-max", "16KiB", "--held-bytes-max", "16KiB"])
}

#[test]
fn l06_at_the_budget_append_ends_and_names_the_cursor() {
    let place = place();
    let call = bounded(&place).args(["--when-full", "fail", "--json"]);
    let error = call.stdin(entries(4, ENTRIES)).run().expect_code(3).error();
    assert_eq!(error["kind"], "full");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("held back by cursor uploader (at sequence 3), the budget is 16384"),
        "{message}"
    );
    // What was appended is there; the bound is by segments, so the rest goes on where this ended.
    let journal = place.on_journal("status").arg("--json").ok().json()["journal"].take();
    let last = journal["written_sequence"].as_u64().unwrap();
    // Sealed since, they take less.
    assert!(last < ENTRIES && journal["held_bytes"].as_u64().unwrap() > 1024, "{journal}");
    assert!(journal["outage"].is_null(), "nobody ships");
    assert_eq!(place.cat().len() as u64, last);
    place.ship();
    let journal = place.on_journal("status").arg("--json").ok().json()["journal"].take();
    assert_eq!((&journal["held_bytes"], &journal["held_segments"]), (&0.into(), &0.into()));
    bounded(&place).stdin(entries(last + 1, 1)).ok();
}

#[test]
fn l06_at_the_budget_append_waits_for_the_shipper() {
    let place = place();
    let writer = bounded(&place).stdin(entries(4, ENTRIES)).spawn();
    writer.wait_for_stderr("the budget", |lines| {
        lines.iter().any(|line| line.contains("waiting with line")).then_some(())
    });
    let shipper = place.replicate().args(["--upload-interval", "10ms"]).spawn();
    writer.wait().expect_code(0);
    place.wait_committed(3 + ENTRIES);
    shipper.kill(Signal::Term).expect_code(0);
    let stored = place.on_store("cat").arg("--json").ok().json_lines();
    let ids: Vec<_> = stored.iter().map(|line| line["params"]["id"].as_u64().unwrap()).collect();
    assert!(ids.into_iter().eq(1..=3 + ENTRIES), "each once, in order");
}

#[test]
fn a_signal_ends_an_append_that_waits() {
    let place = place();
    let writer = bounded(&place).args(["--acks", "--json"]).stdin(entries(4, ENTRIES)).spawn();
    writer.wait_for_stderr("the budget", |lines| {
        lines.iter().any(|line| line.contains("waiting with line")).then_some(())
    });
    let acknowledged = writer.kill(Signal::Term).expect_code(0).json_lines();
    assert_eq!(acknowledged.len() + 3, place.cat().len(), "what was appended is acknowledged");
}

#[test]
fn a_shipper_and_status_tell_that_the_budget_is_exhausted() {
    let place = place();
    let state = || place.on_journal("status").arg("--json").ok().json()["journal"]["outage"].take();
    let shipper = place.replicate().spawn();
    shipper.wait_for_stderr("the start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
    assert_eq!(state(), serde_json::json!({"state": "healthy"}));
    assert!(place.on_journal("status").ok().text().contains("shipping     healthy"));
    shipper.kill(Signal::Term).expect_code(0);

    // Not the store: somebody who reads, and has not begun.
    fs::write(place.journal().join("cursors/history.json"), r#"{"sequence": 0, "updated_ms": 0}"#).unwrap();
    place.on_journal("append").args(["--segment-bytes-max", "4KiB"]).stdin(entries(4, 6000)).ok();
    let shipper = place.replicate().args(["--held-bytes-max", "4KiB", "--upload-interval", "10ms"]).spawn();
    let full = cli::until("the state", || Some(state()).filter(|state| state["state"] == "full"));
    assert!(full["since_ms"].as_i64().unwrap() > 0, "{full}");
    assert!(place.on_journal("status").ok().text().contains("shipping     full for "));
    fs::remove_file(place.journal().join("cursors/history.json")).unwrap();
    cli::until("its end", || (state()["state"] == "healthy").then_some(()));
    shipper.kill(Signal::Term).expect_code(0);
}
