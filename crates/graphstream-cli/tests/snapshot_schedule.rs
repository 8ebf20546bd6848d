//! `[database.snapshot]`: the daemon copies a database on a schedule, and nothing of that stops its shipping.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::time::Duration;

use cli::{Graphstream, Place, Running, Signal, entries, until};
use serde_json::{Value, json};

/// A store with 12 entries, and a database of lines that follows it.
fn followed() -> Place {
    let place = Place::new();
    place.fill(3, 4);
    place.ship();
    follow(&place);
    place
}

fn follow(place: &Place) {
    place.follow(format!("jsonl:{}", place.path("people.jsonl").display())).arg("--once").ok();
}

/// Four more entries, published, and in the database.
fn grow(place: &Place, first: u64) {
    place.append(entries(first, 4));
    place.wait_committed(first + 3);
    follow(place);
}

fn configure(place: &Place, schedule: &str) {
    let config = format!(
        "[http]\naddress = '127.0.0.1:0'\n[defaults]\nto = '{}'\nupload_interval = '10ms'\n\
         [[database]]\nname = 'people'\njournal = 'journal'\n\
         [database.snapshot]\nsource = 'jsonl:people.jsonl'\nstaging = '.'\n{schedule}",
        place.url()
    );
    fs::write(place.path("graphstream.toml"), config).unwrap();
}

/// Commands that note that they were called.
fn commands(place: &Place, more: &str) -> String {
    let notes = place.path("notes");
    let note = |what: &str| format!("echo {what} >> {}", notes.display());
    format!("quiesce = '{}{more}'\nresume = '{}'\n", note("q"), note("r"))
}

fn notes(place: &Place) -> String {
    fs::read_to_string(place.path("notes")).unwrap_or_default()
}

fn start(place: &Place) -> (Running, String) {
    let daemon = Graphstream::new("replicate").arg("--config").arg(place.path("graphstream.toml")).spawn();
    let address = cli::http_address(&daemon);
    (daemon, address)
}

fn status(address: &str) -> Value {
    cli::json(address, "/status").1["databases"][0].clone()
}

#[track_caller]
fn wait_newest(address: &str, sequence: u64) -> Value {
    until(&format!("a snapshot of sequence {sequence}"), || {
        let snapshot = status(address)["snapshot"].clone();
        (snapshot["newest"]["sequence"] == sequence && snapshot["copying"] == false).then_some(snapshot)
    })
}

fn snapshots(place: &Place) -> Vec<Value> {
    let list = ["list", "--from", &place.url(), "--database", Place::DATABASE, "--json"];
    Graphstream::new("snapshot").args(list).ok().json_lines()
}

#[test]
fn a_database_is_copied_after_so_many_entries_and_a_restart_makes_no_other() {
    let place = followed();
    configure(&place, &format!("entries = 4\n{}", commands(&place, "")));
    let (daemon, address) = start(&place);
    let first = wait_newest(&address, 12);
    assert!(first["newest"]["stored_bytes"].as_u64() > Some(0), "{first}");
    assert!(first["newest"]["age_seconds"].as_f64() < Some(60.0), "{first}");
    grow(&place, 13);
    wait_newest(&address, 16);
    assert_eq!(notes(&place), "q\nr\nq\nr\n");
    let metrics = cli::get(&address, "/metrics");
    for line in [
        "graphstream_snapshot_created_total{database=\"people\"} 2\n",
        "graphstream_snapshot_last_sequence{database=\"people\"} 16\n",
        "graphstream_snapshot_failures_total{database=\"people\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} not in {metrics}");
    }
    daemon.kill(Signal::Term).expect_code(0);
    // A new process knows what there is, and when it was made.
    let (daemon, address) = start(&place);
    wait_newest(&address, 16);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(notes(&place), "q\nr\nq\nr\n");
    let metrics = cli::get(&address, "/metrics");
    let last = metrics.lines().find(|line| line.starts_with("graphstream_snapshot_last_ms")).unwrap();
    assert!(!last.ends_with(" 0"), "{last}");
    daemon.kill(Signal::Term).expect_code(0);
    // They are good to begin with.
    for object in place.objects() {
        fs::remove_file(object).unwrap();
    }
    let target = format!("jsonl:{}", place.path("restored.jsonl").display());
    place.on_store("restore").args(["--target", &target]).ok();
    assert_eq!(
        fs::read(place.path("restored.jsonl")).unwrap(),
        fs::read(place.path("people.jsonl")).unwrap()
    );
}

#[test]
fn a_database_is_copied_after_some_time_if_there_is_anything_new() {
    let place = followed();
    configure(&place, "interval = '100ms'\n");
    let (daemon, address) = start(&place);
    wait_newest(&address, 12);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(snapshots(&place).len(), 1);
    grow(&place, 13);
    wait_newest(&address, 16);
    daemon.kill(Signal::Term).expect_code(0);
    assert_eq!(snapshots(&place).len(), 2);
}

#[test]
fn what_can_not_be_copied_is_told_counted_and_tried_again_while_shipping_goes_on() {
    let place = followed();
    fs::rename(place.path("people.jsonl"), place.path("away")).unwrap();
    configure(&place, "interval = '1h'\n");
    let (daemon, address) = start(&place);
    let failed = until("two failures", || {
        let snapshot = status(&address)["snapshot"].clone();
        (snapshot["failures"].as_u64() >= Some(2)).then_some(snapshot)
    });
    assert_eq!(failed["last_error"]["kind"], json!("target"), "{failed}");
    assert!(failed["last_error"]["message"].as_str().unwrap().contains("people.jsonl"), "{failed}");
    place.append(entries(13, 4));
    place.wait_committed(16);
    assert_eq!(status(&address)["state"], json!("shipping"));
    assert!(cli::get(&address, "/readyz").contains("200"));
    let metrics = cli::get(&address, "/metrics");
    let counted =
        metrics.lines().find(|line| line.starts_with("graphstream_snapshot_failures_total{")).unwrap();
    assert!(counted.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 2, "{counted}");
    fs::rename(place.path("away"), place.path("people.jsonl")).unwrap();
    let made = wait_newest(&address, 12);
    until("the failures to be over", || (status(&address)["snapshot"]["failures"] == 0).then_some(()));
    // What failed stays there to be read.
    assert!(status(&address)["snapshot"]["last_error"].is_object(), "{made}");
    let end = daemon.kill(Signal::Term).expect_code(0);
    end.expect_stderr(["no snapshot could be made: trying again, shipping goes on"]);
}

#[test]
fn l11_a_signal_in_the_middle_leaves_no_half_and_nobody_paused() {
    let place = followed();
    configure(&place, &format!("interval = '1h'\n{}", commands(&place, "; sleep 2")));
    let (mut daemon, address) = start(&place);
    until("the writers to stand still", || notes(&place).contains('q').then_some(()));
    assert_eq!(status(&address)["snapshot"]["copying"], json!(true));
    daemon.signal(Signal::Int);
    daemon.wait().expect_code(0);
    assert_eq!(notes(&place), "q\nr\n");
    assert!(snapshots(&place).iter().all(|row| row["complete"] == false));
    // Nothing of it is left below the staging directory.
    let copies = || {
        let files = fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().file_name());
        files.filter(|name| name.to_string_lossy().starts_with("graphstream-snapshot-")).count()
    };
    assert_eq!(copies(), 0);
    // kill -9: no half either, and the next start makes it.
    let (daemon, _) = start(&place);
    until("the writers to stand still", || (notes(&place).matches('q').count() == 2).then_some(()));
    daemon.kill(Signal::Kill);
    assert!(snapshots(&place).iter().all(|row| row["complete"] == false));
    assert_eq!(copies(), 1);
    configure(&place, "interval = '1h'\n");
    let (daemon, address) = start(&place);
    wait_newest(&address, 12);
    daemon.kill(Signal::Term).expect_code(0);
    assert_eq!(copies(), 0, "what the killed one left is removed, too");
}

#[test]
fn of_two_daemons_beside_one_journal_one_copies() {
    let place = followed();
    configure(&place, &format!("entries = 4\n{}", commands(&place, "; sleep 1")));
    let (one, first) = start(&place);
    let (other, second) = start(&place);
    let newest = |address: &str| status(address)["snapshot"]["newest"]["sequence"] == 12;
    until("a snapshot", || (newest(&first) || newest(&second)).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(notes(&place), "q\nr\n");
    assert_eq!(snapshots(&place).len(), 1);
    // The one that waits takes over when the other one has gone, and knows what is there.
    let (holder, waiting, address) = if newest(&first) { (one, other, second) } else { (other, one, first) };
    holder.kill(Signal::Kill);
    wait_newest(&address, 12);
    grow(&place, 13);
    wait_newest(&address, 16);
    assert_eq!(notes(&place), "q\nr\nq\nr\n");
    waiting.kill(Signal::Term).expect_code(0);
}
