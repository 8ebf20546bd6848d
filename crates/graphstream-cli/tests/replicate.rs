//! `replicate`: what it ships, beside whom, how it ends, and what it does about a store that fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use cli::{Place, Running, Signal, entries, until};

/// Waits until the daemon holds the journal and has read the head.
#[track_caller]
fn shipping(daemon: &Running) {
    daemon.wait_for_stderr("the daemon to start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
}

/// A daemon that looks for segments all the time.
fn eager(place: &Place) -> Running {
    place.replicate().args(["--upload-interval", "10ms"]).spawn()
}

/// An `append` that stays, after its first entries are acknowledged.
#[track_caller]
fn appending(place: &Place, first: u64, count: u64) -> Running {
    let mut running = place.append_left_open().spawn_with_stdin();
    append(&mut running, first, count);
    running
}

/// Hands entries to an `append`, and waits for the acknowledgement of the last.
#[track_caller]
fn append(running: &mut Running, first: u64, count: u64) {
    running.write(&entries(first, count));
    acknowledged(running, first + count - 1);
}

#[track_caller]
fn acknowledged(running: &Running, sequence: u64) {
    let sequence = sequence.to_string();
    running.wait_for_stdout("an acknowledgement", |lines| lines.contains(&&*sequence).then_some(()));
}

/// The store holds what the journal holds, and all of it verifies.
#[track_caller]
fn assert_same_history(place: &Place) {
    let published = place.on_store("cat").arg("--json").ok().json_lines();
    assert_eq!(published, place.cat());
    place.on_store("verify").ok();
}

#[test]
fn once_seals_what_a_killed_writer_left_open_and_ships_it() {
    let place = Place::new();
    place.fill(2, 3);
    assert_eq!(appending(&place, 7, 2).kill(Signal::Kill).signal(), Some(9));
    let shipped = place.replicate().args(["--once", "--json"]).ok().json();
    assert_eq!(shipped["open_segment"], "sealed");
    assert_eq!(shipped["segments"], 3);
    assert_eq!(shipped["committed_sequence"], 8);
    assert_eq!(shipped["epoch"], 1);
    assert_same_history(&place);
}

#[test]
fn once_beside_a_writer_ships_what_is_sealed_and_says_so() {
    let place = Place::new();
    place.fill(2, 3);
    let mut writer = appending(&place, 7, 2);
    let shipped =
        place.replicate().args(["--once", "--json"]).ok().expect_stderr(["only sealed ones are shipped"]);
    assert_eq!(shipped.json()["open_segment"], "in_use");
    assert_eq!(shipped.json()["committed_sequence"], 6);
    // The writer has noticed nothing.
    append(&mut writer, 9, 1);
    writer.close_stdin();
    writer.wait().expect_code(0);
    assert_eq!(place.replicate().args(["--once", "--json"]).ok().json()["committed_sequence"], 9);
    assert_same_history(&place);
}

#[test]
fn once_with_nothing_new_claims_nothing() {
    let place = Place::new();
    place.fill(1, 3);
    place.ship();
    let head = fs::read(place.store().join("people/head.json")).unwrap();
    let shipped = place.replicate().args(["--once", "--json"]).ok().json();
    assert_eq!((shipped["segments"].as_u64(), shipped["epoch"].as_u64()), (Some(0), None));
    assert_eq!(fs::read(place.store().join("people/head.json")).unwrap(), head);
}

#[test]
fn beside_the_daemon_entries_are_acknowledged_when_they_are_stored() {
    let place = Place::new();
    place.append(entries(1, 1));
    let daemon = eager(&place);
    shipping(&daemon);
    let mut writer = place.on_journal("append").args(["--ack", "stored", "--acks"]).spawn_with_stdin();
    for n in 2..6 {
        append(&mut writer, n, 1);
        assert!(place.committed() >= n, "entry {n} was acknowledged as stored");
    }
    writer.close_stdin();
    writer.wait().expect_code(0);
    daemon.kill(Signal::Term).expect_code(0);
    assert_same_history(&place);
}

#[test]
fn a_slow_stream_is_sealed_for_the_daemon() {
    let place = Place::new();
    place.append(entries(1, 1));
    let daemon = eager(&place);
    shipping(&daemon);
    let mut writer =
        place.on_journal("append").args(["--acks", "--segment-age-max", "50ms"]).spawn_with_stdin();
    append(&mut writer, 2, 3);
    // No more input, no end of input: still everything becomes committed.
    place.wait_committed(4);
    writer.close_stdin();
    writer.wait().expect_code(0);
    daemon.kill(Signal::Term).expect_code(0);
}

#[test]
fn a_signal_ships_everything_sealed_and_ends_well() {
    for signal in [Signal::Term, Signal::Int] {
        let place = Place::new();
        place.append(entries(1, 1));
        let daemon = place.replicate().args(["--upload-interval", "1h"]).spawn();
        // It has had its look at the journal, the next one is far away.
        place.wait_committed(1);
        place.append(entries(2, 5));
        daemon.kill(signal).expect_code(0);
        assert_eq!(place.committed(), 6, "{signal:?}");
    }
}

#[test]
fn r01_killed_at_any_moment_it_goes_on_without_a_gap_or_a_loss() {
    let place = Place::new();
    place.append(entries(1, 1));
    let mut writer =
        place.on_journal("append").args(["--acks", "--segment-bytes-max", "4KiB"]).spawn_with_stdin();
    let mut next = 2;
    for moment in cli::moments(0x5eed_0001, 20, Duration::from_millis(25)) {
        let daemon = eager(&place);
        writer.write(&entries(next, 60));
        next += 60;
        std::thread::sleep(moment);
        daemon.kill(Signal::Kill);
    }
    acknowledged(&writer, next - 1);
    writer.close_stdin();
    writer.wait().expect_code(0);
    place.ship();
    assert_eq!(place.committed(), next - 1);
    assert_same_history(&place);
}

#[test]
fn l16_a_second_shipper_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    place.append(entries(1, 1));
    let first = eager(&place);
    shipping(&first);
    for args in [&["--json"][..], &["--json", "--once"]] {
        let refused = place.replicate().args(args).run().expect_code(3);
        assert_eq!(refused.error()["kind"], "locked");
        assert!(refused.error()["message"].to_string().contains(&first.id().to_string()));
    }
    place.append(entries(2, 1));
    place.wait_committed(2);
    // The lock goes with the process, however it ends.
    first.kill(Signal::Kill);
    place.ship();
}

#[test]
fn a_store_that_can_not_be_written_ends_with_4() {
    let place = Place::new();
    place.append(entries(1, 1));
    // Root writes into a read-only directory, but nobody makes one in /proc.
    let mut stores = vec![place.path("file"), PathBuf::from("/proc/graphstream-store")];
    fs::write(place.path("file"), "not a directory").unwrap();
    let sealed = place.path("read-only");
    fs::create_dir(&sealed).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(sealed.join("probe"), "").is_err() {
        stores.push(sealed);
    }
    for store in stores {
        let url = format!("file://{}", store.display());
        for mode in [&["--once"][..], &[]] {
            let run = place.on_journal("replicate").args(["--json", "--database", "people", "--to", &url]);
            let refused = run.args(mode).run().expect_code(4).error();
            assert!(refused["message"].to_string().contains(&url), "{refused}");
        }
    }
    assert_eq!(fs::read(place.path("file")).unwrap(), b"not a directory");
}

#[test]
fn what_can_not_be_shipped_is_said_before_the_store_is_touched() {
    let place = Place::new();
    place.replicate().run().expect_code(3);
    let other = place.on_journal("replicate").args(["--database", "people", "--to", "ftp://host/x"]);
    other.run().expect_code(2).expect_stderr(["no ftp stores"]);
    place
        .on_journal("replicate")
        .args(["--database", "Not A Name", "--to", &place.url()])
        .run()
        .expect_code(2);
    assert!(!place.store().exists());
}

#[test]
fn s01_a_store_that_vanishes_and_comes_back_needs_no_restart() {
    let place = Place::new();
    place.append(entries(1, 1));
    let daemon = eager(&place);
    place.wait_committed(1);
    let away = place.path("away");
    fs::rename(place.store(), &away).unwrap();
    place.append(entries(2, 3));
    daemon.wait_for_stderr("the failure to be told", |lines| {
        lines.iter().any(|line| line.contains("nothing is lost")).then_some(())
    });
    assert!(!place.store().exists(), "a store that vanished is not made anew");
    fs::rename(&away, place.store()).unwrap();
    place.wait_committed(4);
    daemon.kill(Signal::Term).expect_code(0);
    assert_same_history(&place);
}

#[test]
fn r08_a_stop_while_the_store_is_away_ends_with_4_and_the_next_start_ships() {
    let place = Place::new();
    place.append(entries(1, 1));
    let daemon = eager(&place);
    place.wait_committed(1);
    let away = place.path("away");
    fs::rename(place.store(), &away).unwrap();
    place.append(entries(2, 3));
    daemon.kill(Signal::Term).expect_code(4);
    fs::rename(&away, place.store()).unwrap();
    place.ship();
    assert_same_history(&place);
}

#[test]
fn another_history_in_the_store_is_left_alone() {
    let (ours, theirs) = (Place::new(), Place::new());
    theirs.fill(1, 2);
    theirs.ship();
    ours.fill(1, 3);
    let run = ours.on_journal("replicate").args(["--database", "people", "--to", &theirs.url(), "--json"]);
    let refused = run.run().expect_code(5).error();
    assert_eq!(refused["kind"], "lineage");
    assert_same_history(&theirs);
}

#[test]
fn a_lost_head_is_never_taken_for_a_new_database() {
    let place = Place::new();
    place.fill(1, 2);
    place.ship();
    fs::remove_file(place.store().join("people/head.json")).unwrap();
    place.append(entries(3, 2));
    let refused = place.replicate().args(["--once", "--json"]).run().expect_code(5).error();
    assert_eq!(refused["kind"], "corruption");
    assert!(!place.store().join("people/head.json").exists());
}

#[test]
fn metrics_are_served_where_the_log_says() {
    let place = Place::new();
    place.append(entries(1, 3));
    let daemon = place.replicate().args(["--upload-interval", "10ms", "--metrics", "127.0.0.1:0"]).spawn();
    let address = cli::http_address(&daemon);
    let answer = until("the committed sequence in the metrics", || {
        let answer = cli::get(&address, "/metrics");
        answer.contains("graphstream_leader_committed_sequence 3\n").then_some(answer)
    });
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    assert!(body.contains("graphstream_leader_uploaded_segments_total 1\n"), "{body}");
    assert!(body.contains("graphstream_leader_rpo_entries 0\n"), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    // The address is taken: a second one says so and ends.
    let other = Place::new();
    other.append(entries(1, 1));
    other.replicate().args(["--metrics", &address]).run().expect_code(2).expect_stderr(["metrics"]);
    daemon.kill(Signal::Term).expect_code(0);
}
