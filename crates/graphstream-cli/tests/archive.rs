//! What `replicate` says of its archive: what is archived, what waits, what failed and why, what a lost disk would cost now.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Place, Running, Signal, entries, until};
use serde_json::Value;

fn start(place: &Place) -> (Running, String) {
    let flags = ["--upload-interval", "10ms", "--http", "0", "--held-bytes-max", "1GiB"];
    let daemon = place.replicate().args(flags).spawn();
    let address = cli::http_address(&daemon);
    (daemon, address)
}

fn database(address: &str) -> Value {
    let (code, status) = cli::json(address, "/status");
    assert_eq!(code, 200);
    status["databases"][0].clone()
}

#[track_caller]
fn wait(address: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
    until(what, || {
        let database = database(address);
        reached(&database).then_some(database)
    })
}

fn metric(address: &str, name: &str) -> f64 {
    let metrics = cli::get(address, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[test]
fn s01_status_and_metrics_say_what_is_archived_what_failed_and_what_a_lost_disk_costs() {
    let place = Place::new();
    place.append(entries(1, 2));
    let (daemon, address) = start(&place);
    let shipped = wait(&address, "two entries to be archived", |known| known["archive"]["sequence"] == 2);
    let archive = &shipped["archive"];
    assert_eq!((&archive["segments"], &archive["failures"]), (&1.into(), &0.into()));
    let bytes = fs::metadata(&place.segments()[0]).unwrap().len();
    assert_eq!(archive["bytes"], bytes);
    assert!(archive["archived_ms"].as_u64() > Some(0) && archive["last_failure"].is_null(), "{archive}");
    assert_eq!((&archive["gap_entries"], &archive["gap_bytes"]), (&0.into(), &0.into()));
    assert_eq!((&archive["pending_segments"], &archive["gap_seconds"]), (&0.into(), &0.0.into()));
    assert_eq!(shipped["outage"]["state"], "healthy");
    assert_eq!(shipped["outage"]["held_bytes_max"], 1_u64 << 30);

    // Entries in the open segment of a process that appends: they wait for its sealing.
    let mut append = place.on_journal("append").args(["--acks", "--json"]).spawn_with_stdin();
    append.write(&entries(3, 3));
    append.wait_for_stdout("the entries to be synced", |lines| (lines.len() >= 3).then_some(()));
    let open = database(&address)["archive"].clone();
    assert_eq!((&open["gap_entries"], &open["pending_entries"]), (&3.into(), &0.into()), "{open}");
    assert!(open["gap_bytes"].as_u64() > Some(0), "{open}");

    // The store is away: a file stands where the database was.
    let (there, aside) = (place.store().join("people"), place.store().join("aside"));
    fs::rename(&there, &aside).unwrap();
    fs::write(&there, "no directory").unwrap();
    append.close_stdin();
    append.wait().expect_code(0);
    let failed = wait(&address, "the outage to be told", |known| known["outage"]["state"] == "degraded");
    let archive = &failed["archive"];
    assert!(archive["failures"].as_u64() >= Some(3), "{archive}");
    assert_eq!(archive["last_failure"]["sequence"], 3);
    assert!(!archive["last_failure"]["reason"].as_str().unwrap().is_empty());
    assert!(archive["last_failure"]["at_ms"].as_u64() >= shipped["since_ms"].as_u64(), "{archive}");
    assert_eq!((&archive["gap_entries"], &archive["pending_entries"]), (&3.into(), &3.into()), "{archive}");
    assert!(
        archive["gap_bytes"].as_u64() > Some(0) && archive["gap_seconds"].as_f64() > Some(0.0),
        "{archive}"
    );
    assert!(failed["outage"]["held_bytes"].as_u64() > Some(0), "{failed}");
    assert_eq!(metric(&address, "graphstream_leader_outage_state"), 1.0);
    assert!(metric(&address, "graphstream_leader_archive_failures_total") >= 3.0);
    assert!(metric(&address, "graphstream_leader_last_archive_failure_ms") > 0.0);
    assert_eq!(metric(&address, "graphstream_leader_published_segments_total"), 1.0);

    fs::remove_file(&there).unwrap();
    fs::rename(&aside, &there).unwrap();
    let back = wait(&address, "the rest to be archived", |known| known["archive"]["sequence"] == 5);
    // What failed last stays to be read.
    assert_eq!(back["archive"]["last_failure"]["sequence"], 3);
    assert_eq!(back["archive"]["segments"], 2);
    wait(&address, "the outage to be over", |known| known["outage"]["state"] == "healthy");
    assert_eq!(metric(&address, "graphstream_leader_published_segments_total"), 2.0);
    assert!(metric(&address, "graphstream_leader_published_bytes_total") > bytes as f64);
    daemon.kill(Signal::Term).expect_code(0);
}
