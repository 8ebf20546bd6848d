//! Two leaders of one database: a journal and its copy, each with a `replicate` of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::io::Write;
use std::time::Duration;

use cli::{Finished, Graphstream, Place, Running, Signal, copy_dir, entries};

/// A database whose first three entries both leaders have; the first leader's daemon has shipped them and runs.
fn rivals() -> (Place, Running) {
    let place = Place::new();
    place.fill(1, 3);
    let daemon = place.replicate().args(["--upload-interval", "10ms"]).spawn();
    place.wait_committed(3);
    copy_dir(&place.journal(), &place.path("copy"));
    (place, daemon)
}

fn on_copy(place: &Place, verb: &str) -> Graphstream {
    Graphstream::new(verb).arg("--journal").arg(place.path("copy"))
}

fn replicate_copy(place: &Place) -> Graphstream {
    on_copy(place, "replicate").args(["--database", Place::DATABASE, "--to", &place.url(), "--json"])
}

/// The copy becomes the leader and publishes the entries 100 and 101.
#[track_caller]
fn take_over(place: &Place) {
    on_copy(place, "append").stdin(entries(100, 2)).ok();
    replicate_copy(place).arg("--once").ok();
    assert_eq!(place.committed(), 5);
}

/// Followers have the history of the leader that took over.
#[track_caller]
fn assert_taken_over(place: &Place) {
    let published = place.on_store("cat").arg("--json").ok().json_lines();
    let ids: Vec<_> = published.iter().map(|line| line["params"]["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 100, 101]);
    place.on_store("verify").ok();
}

#[track_caller]
fn assert_fenced(finished: Finished) {
    let error = finished.expect_code(7).error();
    assert_eq!(error["kind"], "fenced");
    assert_eq!(error["sequence"], 3);
}

#[test]
fn r04_a_leader_on_a_copy_fences_the_first_whose_entries_stay_invisible() {
    let (place, daemon) = rivals();
    let mut writer = place.append_left_open().spawn_with_stdin();
    writer.write(&entries(4, 2));
    writer.wait_for_stdout("both entries", |lines| lines.contains(&"5").then_some(()));
    take_over(&place);
    cli::until("the note", || place.journal().join("FENCED").exists().then_some(()));
    writer.kill(Signal::Kill);

    // Neither a writer nor a shipper goes on here, and what is here can still be read.
    assert_fenced(place.on_journal("append").arg("--json").stdin(entries(6, 1)).run());
    assert_fenced(place.replicate().arg("--json").run());
    assert_fenced(place.replicate().args(["--once", "--json"]).run());
    assert_eq!(place.cat().len(), 5);
    assert_eq!(place.on_journal("status").arg("--json").ok().json()["journal"]["fenced_after"], 3);
    assert_taken_over(&place);
    daemon.wait().expect_code(7).expect_stderr(["fenced"]);
}

#[test]
fn r03_an_idle_daemon_learns_it_too() {
    let (place, daemon) = rivals();
    take_over(&place);
    daemon.wait().expect_code(7);
    assert!(place.journal().join("FENCED").exists());
}

#[test]
fn r03_an_application_beside_a_fenced_daemon_is_told() {
    for ack in ["synced", "stored"] {
        let (place, daemon) = rivals();
        let flags = ["--json", "--acks", "--ack", ack, "--segment-bytes-max", "4KiB"];
        let mut writer = place.on_journal("append").args(flags).spawn_with_stdin();
        take_over(&place);
        let mut stdin = writer.take_stdin();
        let producer = std::thread::spawn(move || {
            // Until nobody takes them any more.
            for n in (4..).step_by(10) {
                if stdin.write_all(entries(n, 10).as_bytes()).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let told = writer.wait();
        if ack == "stored" {
            assert_fenced(told.expect_no_stdout());
        } else {
            assert_fenced(told);
        }
        producer.join().unwrap();
        assert_taken_over(&place);
        daemon.wait().expect_code(7);
    }
}

#[test]
fn r04_once_the_fence_is_removed_by_hand_what_lies_beyond_it_is_set_aside() {
    let (place, daemon) = rivals();
    let mut writer = place.append_left_open().spawn_with_stdin();
    writer.write(&entries(4, 2));
    writer.wait_for_stdout("both entries", |lines| lines.contains(&"5").then_some(()));
    take_over(&place);
    daemon.wait().expect_code(7);
    writer.kill(Signal::Kill);
    let refused = place.on_journal("append").stdin(entries(6, 1)).run().expect_code(7);
    refused.expect_stderr(["remove its FENCED by hand"]);
    assert_eq!(place.cat().len(), 5);

    fs::remove_file(place.journal().join("FENCED")).unwrap();
    place.append(entries(6, 1)).expect_stderr(["moved aside"]);
    let ids: Vec<_> = place.cat().iter().map(|line| line["params"]["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 6]);
    assert!(fs::read_dir(place.journal().join("forked")).unwrap().next().is_some());
    // It lacks what the other leader published, so it can't lead.
    place.replicate().arg("--once").run().expect_code(3).expect_stderr(["lacks entries that are published"]);
    assert_taken_over(&place);
}

#[test]
fn r04_a_journal_that_lacks_published_entries_neither_ships_nor_acknowledges() {
    let (place, daemon) = rivals();
    place.append(entries(4, 3));
    place.wait_committed(6);
    daemon.kill(Signal::Term).expect_code(0);
    // An older copy of the machine comes up, and gives sequences to other entries that are published already.
    on_copy(&place, "append").stdin(entries(100, 1)).ok();
    for mode in [&["--once"][..], &[]] {
        let refused = replicate_copy(&place).args(mode).run().expect_code(3).error();
        assert_eq!(refused["kind"], "journal");
        assert!(refused["message"].to_string().contains("ends at sequence 4, 6 is committed"), "{refused}");
    }
    let status = on_copy(&place, "status").arg("--json").ok().json();
    let uploaded =
        status["journal"]["cursors"].as_array().unwrap().iter().map(|c| c["sequence"].as_u64().unwrap());
    assert!(uploaded.max() <= Some(3), "{status}");
}

#[test]
fn a_daemon_that_never_led_and_holds_another_history_says_fork() {
    let (place, daemon) = rivals();
    // The copy's daemon starts and has nothing to publish; then the first publishes, and the copy appends.
    let second = replicate_copy(&place).args(["--upload-interval", "10ms"]).spawn();
    second.wait_for_stderr("its start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
    place.append(entries(4, 2));
    place.wait_committed(5);
    let mut writer =
        on_copy(&place, "append").args(["--acks", "--segment-age-max", "20ms"]).spawn_with_stdin();
    writer.write(&entries(100, 2));
    let forked = second.wait().expect_code(5).error();
    assert_eq!(forked["kind"], "fork");
    assert!(forked["hint"].as_str().unwrap().contains("which leader was started where"), "{forked}");
    // Who never led was not fenced: this may be the wrong store, which is no reason to end the journal's writer.
    assert!(!place.path("copy/FENCED").exists());
    writer.write(&entries(102, 1));
    writer.wait_for_stdout("the writer to go on", |lines| lines.contains(&"6").then_some(()));
    writer.close_stdin();
    writer.wait().expect_code(0);
    // The next start finds the same, and publishes nothing.
    for mode in [&["--once"][..], &[]] {
        assert_eq!(replicate_copy(&place).args(mode).run().expect_code(5).error()["kind"], "fork");
    }
    // The leader goes on.
    place.append(entries(6, 1));
    place.wait_committed(6);
    daemon.kill(Signal::Term).expect_code(0);
    place.on_store("verify").ok();
}
