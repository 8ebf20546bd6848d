//! `append`: what goes in, what is acknowledged, and what stands in the journal afterwards.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use cli::{Graphstream, Place, Running, Signal, entries, entry};
use graphstream::proto::json::LINE_BYTES_MAX;
use serde_json::{Value, json};

/// Expects the journal to hold the entries 1 to `last`, each once.
#[track_caller]
fn expect_entries(place: &Place, last: u64) {
    let found = place.cat();
    for (line, n) in found.iter().zip(1..) {
        assert_eq!(line["sequence"], n);
        assert_eq!(line["params"], entry(n)["params"], "sequence {n}");
    }
    assert_eq!(found.len() as u64, last);
}

/// The acknowledged sequences, which must be each once and in order.
#[track_caller]
fn acked(lines: &[&str]) -> Vec<u64> {
    let acked: Vec<u64> = lines.iter().map(|line| line.parse().unwrap()).collect();
    assert!(acked.windows(2).all(|pair| pair[1] == pair[0] + 1), "{acked:?}");
    acked
}

/// Writes entries from `first` on to the process, until it ends.
fn endless(running: &mut Running, first: u64) -> std::thread::JoinHandle<()> {
    let mut stdin = running.take_stdin();
    std::thread::spawn(move || {
        for n in (first..).step_by(10) {
            if stdin.write_all(entries(n, 10).as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn what_was_appended_is_read_in_order_from_stdin_and_from_a_file() {
    let place = Place::new();
    let end = place.append(entries(1, 3));
    assert_eq!(end.stderr, "3 entries synced, sequences 1 to 3\n");
    fs::write(place.path("more.jsonl"), entries(4, 2)).unwrap();
    place.on_journal("append").arg("--input").arg(place.path("more.jsonl")).ok();
    // The last line needs no end, lines may end as on Windows, and empty ones are none.
    let end = place.append(format!("\r\n{}\r\n\n{}", entry(6), entry(7)));
    assert_eq!(end.stderr, "2 entries synced, sequences 6 to 7\n");
    expect_entries(&place, 7);
}

#[test]
fn one_entry_is_no_entries() {
    let place = Place::new();
    assert_eq!(place.append(entries(1, 1)).stderr, "1 entry synced, sequence 1\n");
    assert_eq!(place.append("").stderr, "nothing was appended\n");
    let end = place.on_journal("append").arg("--quiet").stdin(entries(2, 1)).ok();
    assert_eq!(end.stderr, "");
    expect_entries(&place, 2);
}

#[test]
fn acks_name_each_sequence_once_and_in_order() {
    for level in ["written", "synced"] {
        let place = Place::new();
        let end = place.on_journal("append").args(["--acks", "--ack", level]).stdin(entries(1, 5000)).ok();
        assert_eq!(acked(&end.lines()), (1..=5000).collect::<Vec<_>>());
        let end = place
            .on_journal("append")
            .args(["--acks", "--json", "--ack", level])
            .stdin(entries(5001, 2))
            .ok();
        let journal = &place.on_journal("status").arg("--json").ok().json()["journal"];
        let lineage = journal["lineage"].as_str().unwrap();
        let entries = place.cat();
        let acks = end.json_lines();
        assert_eq!(acks.len(), 2);
        for (ack, entry) in acks.iter().zip(&entries[5000..]) {
            let (sequence, hash) = (&entry["sequence"], entry["chain_hash"].as_str().unwrap());
            let position = format!("{lineage}-{sequence}-{hash}");
            assert_eq!(*ack, json!({"sequence": sequence, "position": position}));
        }
        assert_eq!(end.stderr, "", "with --json only errors are on stderr");
        expect_entries(&place, 5002);
    }
}

#[test]
fn an_ack_comes_while_the_input_is_open_and_only_for_what_others_can_read() {
    let place = Place::new();
    let mut writer = place.on_journal("append").args(["--acks", "--ack", "written"]).spawn_with_stdin();
    for n in 1..=5 {
        writer.write(&entries(n, 1));
        let lines = writer.wait_for_stdout("an acknowledgement", |lines| {
            (lines.len() as u64 >= n).then_some(lines.len() as u64)
        });
        assert_eq!(lines, n, "acknowledged before it was given");
        expect_entries(&place, n);
    }
    writer.close_stdin();
    writer.wait().expect_code(0);
}

#[test]
fn without_acks_nothing_is_printed() {
    let place = Place::new();
    place.append(entries(1, 10)).expect_no_stdout();
}

#[test]
fn a_reader_of_the_acks_who_goes_away_does_not_stop_the_appending() {
    let place = Place::new();
    let end = place.on_journal("append").arg("--acks").stdout_read_for(1).stdin(entries(1, 60_000)).run();
    end.expect_code(0).expect_stderr(["warning: nobody reads the acknowledgements any more"]);
    assert_eq!(place.cat().len(), 60_000);
}

#[test]
fn segments_are_cut_at_the_size_asked_for() {
    let place = Place::new();
    place.on_journal("append").args(["--segment-bytes-max", "4KiB"]).stdin(entries(1, 500)).ok();
    assert!(place.segments().len() > 5, "{:?}", place.segments());
    expect_entries(&place, 500);
}

/// Nobody ships here: what is sealed is ready for whoever comes to.
#[test]
fn an_entry_that_nothing_follows_is_sealed_in_time() {
    let place = Place::new();
    let mut writer =
        place.on_journal("append").args(["--acks", "--segment-age-max", "20ms"]).spawn_with_stdin();
    for n in 1..=3 {
        writer.write(&entries(n, 1));
        writer.wait_for_stdout("an acknowledgement", |lines| (lines.len() as u64 == n).then_some(()));
        cli::until("the entry to be sealed", || {
            let status = place.on_journal("status").arg("--json").ok().json();
            (status["journal"]["sealed_sequence"] == n).then_some(())
        });
    }
    assert_eq!(place.segments().len(), 3);
    writer.close_stdin();
    let end = writer.wait().expect_code(0);
    assert_eq!(acked(&end.lines()), [1, 2, 3]);
    expect_entries(&place, 3);
}

#[test]
fn commit_times_come_from_the_entries_if_asked_to_and_never_decrease() {
    let place = Place::new();
    let line = |ms: i64| format!("{}\n", json!({"query": "RETURN 1", "timestamp_ms": ms}));
    for ms in [1000, 3000, 2000] {
        place.on_journal("append").args(["--commit-time", "entry"]).stdin(line(ms)).ok();
    }
    let times: Vec<_> = place.cat().iter().map(|line| line["commit_ms"].clone()).collect();
    assert_eq!(times, [1000, 3000, 3000]);
    let given: Vec<_> = place.cat().iter().map(|line| line["timestamp_ms"].clone()).collect();
    assert_eq!(given, [1000, 3000, 2000], "what the application said stays");
}

/// Lines that are no entries, and what the message must say.
fn bad_lines() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let long = |bytes: usize| format!(r#"{{"query": "RETURN '{}'"}}"#, "x".repeat(bytes)).into_bytes();
    vec![
        ("no JSON", b"CREATE (:Person)".to_vec(), "invalid JSON: expected value in column 1"),
        ("cut off", br#"{"query": "Q", "params": {"a": "#.to_vec(), "invalid JSON: EOF"),
        ("no object", b"[1]".to_vec(), "expected an object, found an array at $"),
        ("unknown field", br#"{"query": "Q", "extra": 1}"#.to_vec(), "an unknown field (known are query"),
        ("unknown $ key", br#"{"query": "Q", "params": {"a": {"$dat": 1}}}"#.to_vec(), "at $.params.a.$dat"),
        (
            "beyond int64",
            br#"{"query": "Q", "params": {"a": 9223372036854775808}}"#.to_vec(),
            "an integer outside -2^63 to 2^63 - 1",
        ),
        ("key twice", br#"{"query": "Q", "query": "R"}"#.to_vec(), "a key given twice at $.query"),
        (
            "parameter twice",
            br#"{"query": "Q", "params": {"a": 1, "a": 2}}"#.to_vec(),
            "a key given twice at $.params.a",
        ),
        ("no UTF-8", b"{\"query\": \"\xff\"}".to_vec(), "it is not UTF-8 from byte 11"),
        ("no query", br#"{"params": {}}"#.to_vec(), "the field `query` is missing"),
        ("empty query", br#"{"query": ""}"#.to_vec(), "an empty query"),
        ("query is no text", br#"{"query": 5}"#.to_vec(), "expected a string, found a number at $.query"),
        ("payload too large", long(16 << 20), "the payload is larger than 16777216 bytes"),
    ]
}

#[test]
fn h01_a_bad_line_is_named_and_everything_before_it_is_acknowledged() {
    for (name, bad, expected) in bad_lines() {
        let place = Place::new();
        let mut input = entries(1, 2).into_bytes();
        input.push(b'\n');
        input.extend(&bad);
        input.push(b'\n');
        input.extend(entries(3, 1).into_bytes());
        let end = place.on_journal("append").arg("--acks").stdin(input).run().expect_code(1);
        assert_eq!(acked(&end.lines()), [1, 2], "{name}");
        let said = end.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        assert!(said.starts_with("error: line 4 is no entry: "), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.len() < 300, "{name}: {said}");
        assert!(
            end.stderr.contains("Try: mend line 4 and append the rest from there"),
            "{name}: {}",
            end.stderr
        );
        expect_entries(&place, 2);
        // The journal is whole: the rest can be appended.
        place.append(entries(3, 1));
        expect_entries(&place, 3);
    }
}

#[test]
fn h01_a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let place = Place::new();
    let mut writer = place.on_journal("append").arg("--acks").spawn_with_stdin();
    let mut stdin = writer.take_stdin();
    let producer = std::thread::spawn(move || {
        stdin.write_all(entries(1, 1).as_bytes()).unwrap();
        while stdin.write_all(&[b'['; 1 << 20]).is_ok() {}
    });
    let end = writer.wait().expect_code(1);
    producer.join().unwrap();
    assert_eq!(acked(&end.lines()), [1]);
    end.expect_stderr([&format!("error: line 2 is no entry: it is longer than {LINE_BYTES_MAX} bytes")[..]]);
    expect_entries(&place, 1);
}

#[test]
fn a_bad_line_is_named_to_programs_too() {
    let place = Place::new();
    let end =
        place.on_journal("append").args(["--acks", "--json"]).stdin("{\"query\": \"RETURN 1\"}\n{}\n").run();
    let end = end.expect_code(1);
    assert_eq!(end.json_lines()[0]["sequence"], json!(1));
    let error = end.error();
    assert_eq!((&error["code"], &error["kind"], &error["line"]), (&json!(1), &json!("input"), &json!(2)));
}

#[test]
fn k01_a_bad_line_is_named_without_what_stands_in_it() {
    let place = Place::new();
    for bad in [
        r#"{"query": "s3cr3t", "params": {"a": {"$date": "s3cr3t"}}}"#,
        r#"{"query": "s3cr3t", "params": "s3cr3t"}"#,
        r#"s3cr3t"#,
        r#"{"query": "s3cr3t"#,
    ] {
        let end = place.on_journal("append").stdin(bad).run().expect_code(1);
        assert!(!end.stderr.contains("s3cr3t"), "{}", end.stderr);
    }
}

#[test]
fn an_input_that_can_not_be_read_makes_no_journal() {
    let place = Place::new();
    for input in [place.path("missing.jsonl"), place.path("")] {
        let end =
            place.on_journal("append").arg("--input").arg(input).run().expect_code(1).expect_no_stdout();
        assert!(end.stderr.contains("Try: "), "{}", end.stderr);
        assert!(!place.journal().exists());
    }
}

#[test]
fn the_directory_above_the_journal_must_exist() {
    let place = Place::new();
    let end = Graphstream::new("append").arg("--journal").arg(place.path("a/b/journal")).run().expect_code(3);
    end.expect_stderr(["can't be made", "Try: mkdir -p "]);
    assert!(!place.path("a").exists());
}

#[test]
fn a_second_writer_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let mut first = place.on_journal("append").arg("--acks").spawn_with_stdin();
    first.write(&entries(1, 1));
    first.wait_for_stdout("an acknowledgement", |lines| lines.first().map(|_| ()));
    let second = place.on_journal("append").arg("--json").stdin(entries(9, 1)).run().expect_code(3);
    let error = second.expect_no_stdout().error();
    assert_eq!(error["kind"], "locked");
    assert!(
        error["message"].as_str().unwrap().contains(&first.id().to_string()),
        "names the process: {error}"
    );
    first.write(&entries(2, 1));
    first.close_stdin();
    first.wait().expect_code(0);
    // LOCK has gone with its holder.
    place.append(entries(3, 1));
    expect_entries(&place, 3);
}

#[test]
fn a_directory_that_can_not_be_written_is_code_3() {
    let place = Place::new();
    fs::create_dir(place.journal()).unwrap();
    let mode = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(place.path(""), 0o755);
    mode(place.journal(), 0o555);
    let end = place.on_journal("append").without_privileges().stdin(entries(1, 1)).run();
    mode(place.journal(), 0o755);
    let end = end.expect_code(3).expect_no_stdout();
    end.expect_stderr(["ermission denied", "Try: check the permissions of the journal's directory"]);
}

#[test]
fn stored_without_a_shipper_is_refused_before_anything_is_made() {
    let place = Place::new();
    let end = place.on_journal("append").args(["--ack", "stored"]).stdin(entries(1, 1)).run();
    end.expect_code(2)
        .expect_no_stdout()
        .expect_stderr(["none holds SHIP", "Try: graphstream replicate --journal"]);
    assert!(!place.journal().exists());
}

/// A shipper that looks often.
fn shipper(place: &Place) -> Running {
    let daemon = place.replicate().args(["--upload-interval", "20ms"]).spawn();
    daemon.wait_for_stderr("the shipper's start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
    daemon
}

#[test]
fn stored_is_acknowledged_when_followers_can_see_it() {
    let place = Place::new();
    place.fill(1, 1);
    let daemon = shipper(&place);
    let mut writer = place.on_journal("append").args(["--acks", "--ack", "stored"]).spawn_with_stdin();
    for n in 2..=4 {
        writer.write(&entries(n, 1));
        writer.wait_for_stdout("an acknowledgement", |lines| (lines.len() as u64 == n - 1).then_some(()));
        let published = place.on_store("cat").arg("--json").ok().json_lines();
        assert_eq!(published.len() as u64, n, "acknowledged, and not in the store");
    }
    // Without the shipper the next one is synced, and not claimed to be stored.
    daemon.kill(Signal::Kill);
    writer.write(&entries(5, 1));
    let end = writer
        .wait()
        .expect_code(2)
        .expect_stderr(["entries up to 5 are synced, and not known to be stored"]);
    assert_eq!(acked(&end.lines()), [2, 3, 4]);
    expect_entries(&place, 5);
}

#[test]
fn a_signal_in_the_middle_drains_and_acknowledges_everything() {
    for signal in [Signal::Term, Signal::Int] {
        let place = Place::new();
        let mut writer = place.on_journal("append").arg("--acks").spawn_with_stdin();
        let producer = endless(&mut writer, 1);
        writer.wait_for_stdout("acknowledgements", |lines| (lines.len() > 500).then_some(()));
        let end = writer.kill(signal).expect_code(0);
        producer.join().unwrap();
        let last = *acked(&end.lines()).last().unwrap();
        expect_entries(&place, last);
        end.expect_stderr([&format!("stopped by a signal after line {last}")[..]]);
        let status = place.on_journal("status").arg("--json").ok().json();
        assert_eq!(status["journal"]["open_segments"], 0, "sealed: {status}");
    }
}

#[test]
fn a_signal_ends_a_writer_that_waits_for_input() {
    let place = Place::new();
    let mut writer = place.on_journal("append").arg("--acks").spawn_with_stdin();
    writer.write(&entries(1, 1));
    writer.wait_for_stdout("an acknowledgement", |lines| lines.first().map(|_| ()));
    writer.kill(Signal::Term).expect_code(0);
    expect_entries(&place, 1);
}

#[test]
fn a01_what_was_acknowledged_survives_sigkill_and_appending_goes_on_without_a_hole() {
    for level in ["written", "synced"] {
        let place = Place::new();
        let mut known = 0;
        // Small segments: some rounds die in a rotation.
        for round in 0..6 {
            let writer =
                place.on_journal("append").args(["--acks", "--ack", level, "--segment-bytes-max", "16KiB"]);
            let mut writer = writer.spawn_with_stdin();
            let producer = endless(&mut writer, known + 1);
            writer.wait_for_stdout("acknowledgements", |lines| (lines.len() > round * 157).then_some(()));
            let end = writer.kill(Signal::Kill);
            assert_eq!(end.signal(), Some(9));
            producer.join().unwrap();
            // The last line may be cut off: it was not said whole.
            let whole = end.text().rfind('\n').map_or("", |end_of_line| &end.text()[..end_of_line]);
            let acked = acked(&whole.lines().collect::<Vec<_>>());
            assert_eq!(acked.first(), Some(&(known + 1)), "no hole, no sequence twice");
            let found: Vec<Value> = place.cat();
            assert!(found.len() as u64 >= *acked.last().unwrap(), "an acknowledged entry was lost");
            known = found.len() as u64;
            expect_entries(&place, known);
        }
        place.append(entries(known + 1, 1));
        expect_entries(&place, known + 1);
        place.on_journal("verify").ok();
    }
}
