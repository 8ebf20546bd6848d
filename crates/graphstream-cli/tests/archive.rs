//! What `replicate` says of its archive: what is archived, what waits, what failed and why, what a lost disk would cost now; and how it
//! archives: verified or not, what stays on the disk, what it does when the journal is gone.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place, Running, Signal, entries, until};
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

#[test]
fn a_lost_journal_is_refused_and_begins_behind_the_head_only_if_that_is_said() {
    let place = Place::new();
    place.fill(2, 2);
    place.ship();
    let lost = place.path("lost");
    fs::rename(place.journal(), &lost).unwrap();
    let once = || place.replicate().args(["--once", "--json"]);

    let refused = once().run().expect_code(3);
    let error = refused.error();
    assert_eq!(error["kind"], "journal");
    assert!(error["message"].as_str().unwrap().contains("holds no journal"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--continue-from-head"), "{error}");
    assert!(!place.journal().exists(), "the directory is not made");

    // Wrong: the path. It is not gone, and what is there stays as it is.
    fs::rename(&lost, place.journal()).unwrap();
    let report = once().arg("--continue-from-head").ok().json();
    assert_eq!((&report["committed_sequence"], &report["segments"]), (&4.into(), &0.into()));
    assert_eq!(place.cat().len(), 4);

    // Right: the disk is lost.
    fs::rename(place.journal(), &lost).unwrap();
    let report = once().arg("--continue-from-head").ok().json();
    assert_eq!(report["committed_sequence"], 4);
    place.append(entries(5, 2));
    assert_eq!(once().ok().json()["committed_sequence"], 6);
    let copy = place.path("copy.jsonl");
    place.follow(format!("jsonl:{}", copy.display())).arg("--once").ok();
    assert_eq!(fs::read_to_string(copy).unwrap().lines().count(), 6, "followers see one history");
}

#[test]
fn a_daemon_begins_a_lost_journal_where_its_file_says_so() {
    let place = Place::new();
    place.fill(2, 2);
    place.ship();
    fs::rename(place.journal(), place.path("lost")).unwrap();
    let config = |more: &str| {
        let database = "[[database]]\nname = 'people'\njournal = 'journal'\n";
        let text = format!(
            "[http]\naddress = '0'\n{database}to = '{}'\nupload_interval = '10ms'\n{more}",
            place.url()
        );
        fs::write(place.path("graphstream.toml"), text).unwrap();
        let daemon =
            Graphstream::new("replicate").arg("--config").arg(place.path("graphstream.toml")).spawn();
        let address = cli::http_address(&daemon);
        (daemon, address)
    };
    let (daemon, address) = config("");
    let refused = wait(&address, "the lost journal to be told", |known| known["state"] == "retrying");
    assert!(refused["last_error"]["message"].as_str().unwrap().contains("holds no journal"), "{refused}");
    daemon.kill(Signal::Kill);
    let (daemon, address) = config("continue_from_head = true\n");
    wait(&address, "the database to be shipped", |known| known["committed"]["sequence"] == 4);
    place.append(entries(5, 1));
    wait(&address, "what follows to be committed", |known| known["committed"]["sequence"] == 5);
    daemon.kill(Signal::Term).expect_code(0);
}

#[test]
fn what_is_published_stays_for_a_while_or_goes_as_it_is_said() {
    for (flags, left) in
        [(vec![], 5), (vec!["--delete-after-archive"], 1), (vec!["--cache-bytes-max", "1"], 1)]
    {
        let place = Place::new();
        place.fill(5, 2);
        place.replicate().arg("--once").args(&flags).ok();
        assert_eq!((place.committed(), place.segments().len()), (10, left), "{flags:?}");
    }
}

#[test]
fn s07_damage_is_found_before_it_is_archived_unless_verifying_was_spared() {
    let place = Place::new();
    // Entries that fill several frames of one segment, and a segment behind them.
    let noise = |n: u64| {
        (0..6000_u64).map(move |at| format!("{:016x}", (at + n * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    };
    let lines: String = (1..=12)
        .map(|n| {
            let entry = serde_json::json!({ "query": "CREATE (:A {b: $b})", "params": { "b": noise(n).collect::<String>() } });
            format!("{entry}\n")
        })
        .collect();
    place.append(lines);
    place.append(entries(13, 1));
    let first = &place.segments()[0];
    let mut bytes = fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(first, bytes).unwrap();

    place.replicate().arg("--once").run().expect_code(5);
    place.replicate().args(["--once", "--no-verify-before-archive"]).ok();
    assert_eq!(place.committed(), 13);
    place.follow(format!("jsonl:{}", place.path("copy.jsonl").display())).arg("--once").run().expect_code(5);
}

#[test]
fn how_databases_are_archived_stands_in_the_file_and_is_shown() {
    let place = Place::new();
    let text = "[defaults]\nto = 'memory:'\nverify_before_archive = false\ncache_age_max = '2h'\nheld_bytes_max = '1GiB'\n\
        [[database]]\nname = 'people'\njournal = 'people'\ndelete_after_archive = true\ncache_bytes_max = '1MiB'\n\
        continue_from_head = true\n[[database]]\nname = 'places'\njournal = 'places'\n";
    fs::write(place.path("graphstream.toml"), text).unwrap();
    let show = |flags: &[&str]| {
        let show = Graphstream::new("config")
            .args(["show", "--json", "--config"])
            .arg(place.path("graphstream.toml"));
        let shown = show.args(flags).ok().json();
        move |key: &str| {
            let rows = shown["settings"].as_array().unwrap();
            let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key}"));
            (row["value"].as_str().unwrap().to_owned(), row["origin"].as_str().unwrap().to_owned())
        }
    };
    let is = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    let shown = show(&[]);
    assert_eq!(shown("database.people.verify_before_archive"), is("false", "file"));
    assert_eq!(shown("database.people.delete_after_archive"), is("true", "file"));
    assert_eq!(shown("database.people.cache_bytes_max"), is("1048576", "file"));
    assert_eq!(shown("database.people.continue_from_head"), is("true", "file"));
    assert_eq!(shown("database.places.cache_age_max"), is("2h", "file"));
    assert_eq!(shown("database.places.cache_bytes_max"), is("268435456", "default"));
    assert_eq!(shown("database.places.delete_after_archive"), is("false", "default"));
    assert_eq!(shown("database.places.held_bytes_max"), is("1073741824", "file"));
    let shown = show(&["--held-bytes-max", "8KiB"]);
    assert_eq!(shown("database.places.held_bytes_max"), is("8192", "flag"));
    let shown = show(&["--delete-after-archive", "--continue-from-head", "--cache-age-max", "1m"]);
    assert_eq!(shown("database.places.delete_after_archive"), is("true", "flag"));
    assert_eq!(shown("database.places.continue_from_head"), is("true", "flag"));
    assert_eq!(shown("database.people.cache_age_max"), is("1m", "flag"));
}
