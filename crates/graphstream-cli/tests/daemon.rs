//! `replicate --config`: several databases in one process, each on its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use cli::{Graphstream, Place, Running, Signal, copy_dir, entries, until};
use serde_json::Value;

/// A file that names databases: each with its journal of the same name, and its store if it isn't the place's.
fn configured(place: &Place, databases: &[(&str, Option<&str>)]) {
    let mut config = format!(
        "[http]\naddress = '127.0.0.1:0'\n[defaults]\nto = '{}'\nupload_interval = '10ms'\n",
        place.url()
    );
    for (name, to) in databases {
        write!(config, "[[database]]\nname = '{name}'\njournal = '{name}'\n").unwrap();
        if let Some(to) = to {
            writeln!(config, "to = '{to}'").unwrap();
        }
    }
    fs::write(place.path("graphstream.toml"), config).unwrap();
}

fn append(place: &Place, name: &str, first: u64, count: u64) {
    let append = Graphstream::new("append").arg("--journal").arg(place.path(name));
    append.stdin(entries(first, count)).ok();
}

/// Something to publish: with it a shipper learns at the latest that it is fenced. Its note may stand already.
fn append_unless_fenced(place: &Place, name: &str) {
    let append =
        Graphstream::new("append").arg("--journal").arg(place.path(name)).stdin(entries(90, 1)).run();
    assert!(matches!(append.code(), Some(0 | 7)), "{}", append.stderr);
}

fn replicate(place: &Place) -> Graphstream {
    Graphstream::new("replicate").arg("--config").arg(place.path("graphstream.toml"))
}

fn start(place: &Place) -> (Running, String) {
    let daemon = replicate(place).spawn();
    let address = cli::http_address(&daemon);
    (daemon, address)
}

fn database(address: &str, name: &str) -> Value {
    let (code, status) = cli::json(address, "/status");
    assert_eq!(code, 200);
    let databases = status["databases"].as_array().unwrap();
    databases.iter().find(|database| database["database"] == name).unwrap().clone()
}

#[track_caller]
fn wait_committed(address: &str, name: &str, sequence: u64) {
    until(&format!("entry {sequence} of {name} to be committed"), || {
        let committed = database(address, name)["committed"]["sequence"].as_u64();
        (committed >= Some(sequence)).then_some(())
    });
}

#[track_caller]
fn wait_state(address: &str, name: &str, state: &str) -> Value {
    until(&format!("{name} to be {state}"), || {
        let database = database(address, name);
        (database["state"] == state).then_some(database)
    })
}

/// A store that can't be opened: a directory below a file.
fn no_store(place: &Place) -> String {
    fs::write(place.path("file"), "not a directory").unwrap();
    format!("file://{}", place.path("file").join("store").display())
}

#[test]
fn all_databases_are_shipped_watched_and_drained() {
    let place = Place::new();
    for name in ["people", "places", "things"] {
        append(&place, name, 1, 2);
    }
    configured(&place, &[("people", None), ("places", None), ("things", None)]);
    let (daemon, address) = start(&place);
    for name in ["people", "places", "things"] {
        wait_committed(&address, name, 2);
        assert_eq!(database(&address, name)["state"], "shipping");
    }
    assert_eq!(cli::json(&address, "/readyz").0, 200);
    assert!(cli::get(&address, "/healthz").ends_with("ok\n"));
    let metrics = cli::get(&address, "/metrics");
    for line in [
        "graphstream_leader_committed_sequence{database=\"people\"} 2\n",
        "graphstream_leader_committed_sequence{database=\"things\"} 2\n",
        "graphstream_leader_uploaded_segments_total{database=\"places\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} not in {metrics}");
    }
    append(&place, "places", 3, 4);
    daemon.kill(Signal::Term).expect_code(0);
    let status = Graphstream::new("status").args(["--from", &place.url(), "--database", "places", "--json"]);
    assert_eq!(status.ok().json()["store"]["committed_sequence"], 6);
}

#[test]
fn r04_a_fenced_database_and_a_dead_store_do_not_stop_the_others() {
    let place = Place::new();
    for name in ["fenced", "lost", "people"] {
        append(&place, name, 1, 2);
    }
    let dead = no_store(&place);
    configured(&place, &[("fenced", None), ("lost", Some(&dead)), ("people", None)]);
    let (mut daemon, address) = start(&place);
    wait_committed(&address, "fenced", 2);
    // Another leader takes one of them over.
    copy_dir(&place.path("fenced"), &place.path("copy"));
    append(&place, "copy", 3, 1);
    let other = Graphstream::new("replicate").arg("--journal").arg(place.path("copy"));
    other.args(["--database", "fenced", "--to", &place.url(), "--once"]).ok();
    append_unless_fenced(&place, "fenced");
    let fenced = wait_state(&address, "fenced", "fenced");
    assert_eq!(fenced["last_error"]["kind"], "fenced");
    let lost = wait_state(&address, "lost", "retrying");
    assert_eq!(lost["last_error"]["kind"], "store");
    append(&place, "people", 3, 1);
    wait_committed(&address, "people", 3);

    let (code, readiness) = cli::json(&address, "/readyz");
    assert_eq!((code, &readiness["ready"]), (503, &false.into()));
    let reasons: Vec<_> = readiness["reasons"].as_array().unwrap().iter().map(|r| &r["database"]).collect();
    assert_eq!(reasons, ["fenced", "lost"]);
    assert!(daemon.is_running());
    // The gravest of what happened: fenced before a store that is away.
    daemon.kill(Signal::Term).expect_code(7);
}

#[test]
fn s01_a_database_whose_store_or_journal_comes_later_is_shipped_then() {
    let place = Place::new();
    append(&place, "people", 1, 2);
    let late = no_store(&place);
    configured(&place, &[("people", Some(&late)), ("places", None)]);
    let (daemon, address) = start(&place);
    wait_state(&address, "people", "retrying");
    assert_eq!(wait_state(&address, "places", "retrying")["last_error"]["kind"], "journal");
    fs::remove_file(place.path("file")).unwrap();
    fs::create_dir(place.path("file")).unwrap();
    append(&place, "places", 1, 1);
    wait_committed(&address, "people", 2);
    wait_committed(&address, "places", 1);
    assert_eq!(cli::json(&address, "/readyz").0, 200);
    daemon.kill(Signal::Term).expect_code(0);
}

#[test]
fn the_process_ends_when_no_database_is_left_with_the_gravest_code() {
    let place = Place::new();
    for name in ["people", "places"] {
        append(&place, name, 1, 2);
        let ship = Graphstream::new("replicate").arg("--journal").arg(place.path(name));
        ship.args(["--database", name, "--to", &place.url(), "--once"]).ok();
        append(&place, name, 3, 1);
    }
    // One head is lost, and the other journal is told that another leader has taken over.
    fs::remove_file(place.store().join("people/head.json")).unwrap();
    copy_dir(&place.path("places"), &place.path("copy"));
    append(&place, "copy", 4, 1);
    let other = Graphstream::new("replicate").arg("--journal").arg(place.path("copy"));
    other.args(["--database", "places", "--to", &place.url(), "--once"]).ok();
    fs::write(place.path("places/FENCED"), fs::read(fenced_note(&place)).unwrap()).unwrap();
    configured(&place, &[("people", None), ("places", None)]);
    let ended = replicate(&place).run().expect_code(5);
    assert!(ended.stderr.contains("the others go on"), "{}", ended.stderr);
    assert!(ended.stderr.contains("another leader"), "{}", ended.stderr);
}

/// A note as a fenced shipper leaves it.
fn fenced_note(place: &Place) -> std::path::PathBuf {
    let rival = place.path("rival");
    append(place, "rival", 1, 1);
    let ship = |journal: &Path| {
        let ship = Graphstream::new("replicate").arg("--journal").arg(journal);
        ship.args(["--database", "rival", "--to", &place.url()])
    };
    let first = ship(&rival).args(["--upload-interval", "10ms"]).spawn();
    until("the first entry to be shipped", || place.store().join("rival/head.json").exists().then_some(()));
    copy_dir(&rival, &place.path("rival-copy"));
    append(place, "rival-copy", 2, 1);
    ship(&place.path("rival-copy")).arg("--once").ok();
    append_unless_fenced(place, "rival");
    first.wait().expect_code(7);
    rival.join("FENCED")
}

#[test]
fn once_ships_every_database_and_says_what_failed() {
    let place = Place::new();
    append(&place, "people", 1, 2);
    append(&place, "places", 1, 3);
    let dead = no_store(&place);
    configured(&place, &[("lost", None), ("people", None), ("far", Some(&dead)), ("places", None)]);
    append(&place, "far", 1, 1);
    let once = replicate(&place).args(["--once", "--json"]).run().expect_code(3);
    let shipped = once.json_lines();
    let of = |row: &Value| (row["database"].clone(), row["committed_sequence"].as_u64());
    assert_eq!(
        shipped.iter().map(of).collect::<Vec<_>>(),
        [("people".into(), Some(2)), ("places".into(), Some(3))]
    );
    assert_eq!(once.error()["kind"], "journal");
}

#[test]
fn the_log_is_json_where_that_is_said() {
    let place = Place::new();
    append(&place, "people", 1, 2);
    configured(&place, &[("people", None)]);
    let daemon = replicate(&place).env("GRAPHSTREAM_LOG_FORMAT", "json").spawn();
    let line = daemon.wait_for_stderr("the database to be shipped", |lines| {
        lines.iter().find(|line| line.contains("\"shipped\"")).map(|line| (*line).to_owned())
    });
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["committed"], 2);
    assert_eq!(line["span"]["database"], "people");
    let ended = daemon.kill(Signal::Term).expect_code(0);
    for line in ended.stderr.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

/// What the unit of `docs/systemd` says, by section and key; of keys given several times the last.
fn unit() -> Vec<(String, String, String)> {
    let text = include_str!("../../../docs/systemd/graphstream.service");
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
            settings.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    settings
}

#[test]
fn the_systemd_unit_calls_what_there_is() {
    let unit = unit();
    let value = |key: &str| &unit.iter().find(|(_, known, _)| known == key).unwrap().2;
    let place = Place::new();
    append(&place, "people", 1, 1);
    configured(&place, &[("people", None)]);
    let file = place.path("graphstream.toml");
    // As systemd calls them, with the file of this test.
    let call = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let call = Graphstream::new(words.next().unwrap()).env("GRAPHSTREAM_CONFIG", &file);
        words.fold(call, |call, word| match word {
            "${GRAPHSTREAM_CONFIG}" => call.arg(&file),
            word => call.arg(word),
        })
    };
    assert!(value("Environment").starts_with("GRAPHSTREAM_CONFIG="));
    call(value("ExecStartPre")).ok();
    let daemon = call(value("ExecStart")).spawn();
    let address = cli::http_address(&daemon);
    wait_committed(&address, "people", 1);
    assert_eq!(value("KillSignal"), "SIGTERM");
    daemon.kill(Signal::Term).expect_code(0);
    // More time than it takes by itself.
    let shown = Graphstream::new("config").args(["show", "--json", "--config"]).arg(&file).ok().json();
    let rows = shown["settings"].as_array().unwrap();
    let drain = rows.iter().find(|row| row["key"] == "drain_timeout").unwrap();
    assert_eq!(drain["value"], "1m");
    assert!(value("TimeoutStopSec").parse::<u64>().unwrap() > 60);
}

#[test]
fn the_systemd_unit_is_one_for_systemd() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/systemd/graphstream.service");
    let verify = std::process::Command::new("systemd-analyze").args(["verify", "--man=no", unit]).output();
    let Ok(verified) = verify else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // The binary is not installed where the unit has it.
    let wrong: Vec<_> = said.lines().filter(|line| line.contains("graphstream.service")).collect();
    let wrong: Vec<_> = wrong.iter().filter(|line| !line.contains("is not executable")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
#[cfg(feature = "grafeo")]
fn what_is_published_is_verified_on_a_schedule() {
    let place = Place::new();
    for name in ["people", "places"] {
        append(&place, name, 1, 20);
    }
    configured(&place, &[("people", None), ("places", None)]);
    let file = place.path("graphstream.toml");
    let config = fs::read_to_string(&file).unwrap();
    let config = config
        .replace("upload_interval", "verify_interval = '100ms'\nverify_depth = 'replay'\nupload_interval");
    fs::write(&file, config + "verify_depth = 'chain'\n").unwrap();
    let (daemon, address) = start(&place);
    let verified = |name: &str, is: fn(&Value) -> bool| {
        until(&format!("{name} to be verified"), || {
            let found = database(&address, name)["verification"].clone();
            (found["committed_sequence"] == 20 && is(&found)).then_some(found)
        })
    };
    let drilled = verified("people", |found| found["restore_seconds"].is_f64());
    assert_eq!((&drilled["whole"], &drilled["depth"]), (&Value::from(true), &Value::from("replay")));
    assert!(drilled["restore_bytes"].as_u64().unwrap() > 0, "{drilled}");
    let chained = verified("places", |_| true);
    assert_eq!((&chained["depth"], &chained["restore_seconds"]), (&Value::from("chain"), &Value::Null));
    // One is damaged: the other, and shipping, go on.
    let objects = place.store().join("people/seg/0");
    let object = fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&object).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&object, &bytes).unwrap();
    let damaged = verified("people", |found| found["whole"] == false);
    assert_eq!(damaged["problem"]["kind"], "corruption", "{damaged}");
    assert_eq!(verified("places", |_| true)["whole"], true);
    let metrics = cli::get(&address, "/metrics");
    for line in [
        "graphstream_verify_damaged{database=\"people\"} 1",
        "graphstream_verify_damaged{database=\"places\"} 0",
        "graphstream_verify_depth{database=\"places\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    }
    append(&place, "people", 21, 1);
    wait_committed(&address, "people", 21);
    let end = daemon.kill(Signal::Term).expect_code(0);
    assert!(end.stderr.contains("what is published is damaged"), "{}", end.stderr);
}
