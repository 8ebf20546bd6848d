//! `cat`: what was appended comes out again, from a journal, from files and from a store.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place, entries, entry};
use serde_json::Value;

/// One value of each kind as it is written in a line, in the form in which `cat` prints it.
const VALUES: [&str; 26] = [
    "null",
    "false",
    "-9223372036854775808",
    "9223372036854775807",
    "0",
    "-0.0",
    "1e300",
    r#"{"$double":"NaN"}"#,
    r#"{"$double":"NaN(0xfff80000deadbeef)"}"#,
    r#"{"$double":"-Infinity"}"#,
    "\"\\u0000\\\"\\\\\\u001f ünï \u{1f980}\u{2028}\"",
    r#""""#,
    "[null,[],[1,2.0]]",
    r#"{"z":null,"a":{"b":true}}"#,
    r#"{"$map":{"$date":"x"}}"#,
    r#"{"$bytes":"AP+A"}"#,
    r#"{"$date":"2024-02-29"}"#,
    r#"{"$datetime":"2024-02-29T23:59:59.123456789+02:00[Europe/Berlin]"}"#,
    r#"{"$localdatetime":"-0044-03-15T12:00"}"#,
    r#"{"$time":"12:00:00Z"}"#,
    r#"{"$localtime":"12:00:00.5"}"#,
    r#"{"$duration":"P1Y2M3W4DT5H6M7.5S"}"#,
    r#"{"$point":{"srid":4326,"x":-0.0,"y":{"$double":"NaN"}}}"#,
    r#"{"$point":{"srid":0,"x":0.0,"y":1e300,"z":0.0}}"#,
    r#"{"$uuid":"01234567-89ab-cdef-0123-456789abcdef"}"#,
    r#"{"$int128":"-170141183460469231731687303715884105728"}"#,
];

/// A line for each value, without what only the journal knows.
fn lines_of_all_kinds() -> Vec<String> {
    let all = VALUES
        .iter()
        .zip(1..)
        .map(|(value, n)| format!(r#""query":"RETURN $p","params":{{"p":{value}}},"timestamp_ms":{n}"#));
    let mut lines: Vec<_> = all.collect();
    lines.push(r#""query":"MATCH (n)\nRETURN \"n\"","params":{},"timestamp_ms":-5,"uuid":"01234567-89ab-cdef-0123-456789abcdef""#.to_owned());
    lines
}

/// Expects lines that are those of [`lines_of_all_kinds`] byte for byte, behind what the journal adds.
#[track_caller]
fn expect_all_kinds(printed: &[&str]) {
    let expected = lines_of_all_kinds();
    assert_eq!(printed.len(), expected.len());
    for ((line, expected), n) in printed.iter().zip(expected).zip(1..) {
        let tail =
            line.strip_suffix(&format!("{expected}}}")).unwrap_or_else(|| panic!("{line}\n{expected}"));
        let added: Value = serde_json::from_str(&format!("{}}}", tail.trim_end_matches(','))).unwrap();
        let keys: Vec<_> = added.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["chain_hash", "commit_ms", "sequence"], "{line}");
        assert_eq!(added["sequence"], n);
        assert!(added["commit_ms"].as_i64().unwrap() > 1_700_000_000_000);
        let chain_hash = added["chain_hash"].as_str().unwrap();
        assert!(chain_hash.len() == 64 && chain_hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
    }
}

/// A journal with a line of each kind.
fn all_kinds() -> Place {
    let place = Place::new();
    place.append(lines_of_all_kinds().iter().map(|line| format!("{{{line}}}\n")).collect::<String>());
    place
}

#[test]
fn every_kind_of_value_comes_out_as_it_went_in() {
    let place = all_kinds();
    expect_all_kinds(&place.on_journal("cat").arg("--json").ok().lines());
}

#[test]
fn journal_files_and_store_give_the_same_bytes() {
    let place = all_kinds();
    place.append(entries(1, 3));
    place.ship();
    let journal = place.on_journal("cat").arg("--json").ok().stdout;
    assert_eq!(place.on_store("cat").arg("--json").ok().stdout, journal);
    assert_eq!(Graphstream::new("cat").args(place.segments()).arg("--json").ok().stdout, journal);
    assert_eq!(Graphstream::new("cat").args(place.objects()).arg("--json").ok().stdout, journal);
}

#[test]
fn what_was_printed_can_be_appended_again() {
    let (place, copy) = (all_kinds(), Place::new());
    let printed = place.on_journal("cat").arg("--json").ok();
    copy.append(printed.stdout.clone());
    let again = copy.on_journal("cat").arg("--json").ok();
    expect_all_kinds(&again.lines());
    // The same payloads in the same order: the same chain.
    let chain =
        |lines: Vec<Value>| lines.into_iter().map(|mut line| line["chain_hash"].take()).collect::<Vec<_>>();
    assert_eq!(chain(again.json_lines()), chain(printed.json_lines()));
}

#[test]
fn text_is_one_line_an_entry_and_nothing_in_it_moves_the_cursor() {
    let place = Place::new();
    let lines = format!(
        "{}\n{}\n",
        r#"{"query": "RETURN 1\r\n\u001b[2J\u009b2J", "params": {"a": "\u001b[31m\u009b31m"}}"#,
        r#"{"query": "RETURN 2"}"#
    );
    // What the guard would not let in.
    place.on_journal("append").args(["--guard", "off"]).stdin(lines).ok();
    let text = place.on_journal("cat").ok();
    let lines = text.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(!text.text().contains(|c: char| c.is_control() && c != '\n'), "{lines:?}");
    assert!(lines[0].trim_start().starts_with("1  20"), "{lines:?}");
    assert!(lines[0].contains(r"RETURN 1\r\n\u{1b}[2J\u{9b}2J  {"), "{lines:?}");
    assert!(lines[1].ends_with("  RETURN 2"), "{lines:?}");
}

/// The sequences that a range gives.
fn sequences(call: Graphstream) -> Vec<u64> {
    call.arg("--json").ok().json_lines().iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn ranges_of_sequences_are_inclusive_wherever_they_are_read() {
    let place = Place::new();
    place.fill(4, 5);
    place.ship();
    let calls =
        || [place.on_journal("cat"), place.on_store("cat"), Graphstream::new("cat").args(place.segments())];
    for (from, to) in [(1, 20), (1, 1), (5, 6), (7, 9), (20, 20), (6, 15), (18, 99)] {
        for call in calls() {
            let call = call.args(["--from-sequence", &from.to_string(), "--to-sequence", &to.to_string()]);
            assert_eq!(sequences(call), (from..=to.min(20)).collect::<Vec<_>>(), "{from} to {to}");
        }
    }
    for call in calls() {
        assert_eq!(sequences(call.args(["--from-sequence", "19"])), [19, 20]);
    }
    for call in calls() {
        assert_eq!(sequences(call.args(["--to-sequence", "2"])), [1, 2]);
    }
}

#[test]
fn a_range_that_begins_behind_the_end_is_a_usage_error() {
    let place = Place::new();
    place.fill(1, 5);
    place.ship();
    for call in [place.on_journal("cat"), place.on_store("cat")] {
        // What comes next is not there yet, and no error: a poller asks for it.
        let call = call.args(["--from-sequence", "7"]);
        call.run().expect_code(2).expect_no_stdout().expect_stderr(["is beyond the last entry, 5", "Try: "]);
    }
    for call in [place.on_journal("cat"), place.on_store("cat")] {
        call.args(["--from-sequence", "6"]).ok().expect_no_stdout();
    }
}

#[test]
fn ranges_of_time_are_inclusive() {
    let place = Place::new();
    for second in [10, 20, 30] {
        let line = format!("{{\"query\": \"RETURN 1\", \"timestamp_ms\": {}}}", second * 1000);
        place.on_journal("append").args(["--commit-time", "entry"]).stdin(line).ok();
    }
    place.ship();
    for (since, until, expected) in [
        ("1970-01-01T00:00:20Z", "1970-01-01T00:00:30Z", vec![2, 3]),
        ("1970-01-01T00:00:20.001Z", "2026-01-01T00:00:00Z", vec![3]),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:19.999Z", vec![1]),
        ("1970-01-01T02:00:20+02:00", "1970-01-01T02:00:20+02:00", vec![2]),
    ] {
        let files = Graphstream::new("cat").args(place.segments());
        for call in [place.on_journal("cat"), place.on_store("cat"), files] {
            assert_eq!(sequences(call.args(["--since", since, "--until", until])), expected);
        }
    }
    assert_eq!(sequences(place.on_journal("cat").args(["--since", "1h"])), Vec::<u64>::new());
    place.append(entries(4, 1));
    assert_eq!(sequences(place.on_journal("cat").args(["--since", "1h"])), [4]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let place = Place::new();
    place.fill(1, 20_000);
    place.ship();
    for call in [place.on_journal("cat"), place.on_store("cat").arg("--json")] {
        let end = call.stdout_read_for(1).run().expect_code(0);
        assert_eq!(end.stderr, "");
        assert!(end.lines().len() < 20_000, "the reader did not go away");
    }
}

#[test]
fn an_output_that_is_full_is_an_error() {
    let place = Place::new();
    place.fill(1, 1);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let end = place.on_journal("cat").stdout_to(full).run().expect_code(1);
    end.expect_stderr(["standard output can't be written", "Try: "]);
}

#[test]
fn entries_before_damage_are_printed_and_damage_is_an_error() {
    let place = Place::new();
    place.fill(3, 2);
    let second = place.segments().remove(1);
    let mut bytes = fs::read(&second).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&second, bytes).unwrap();
    let end = place.on_journal("cat").arg("--json").run().expect_code(5);
    let sequences: Vec<_> = end.json_lines().iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert!(sequences.starts_with(&[1, 2]) && !sequences.contains(&5), "{sequences:?}");
    assert_eq!(end.error()["file"], second.to_str().unwrap());
}

#[test]
fn a_journal_is_read_while_it_is_written() {
    let place = Place::new();
    let mut writer = place.on_journal("append").arg("--acks").spawn_with_stdin();
    writer.write(&entries(1, 3));
    writer.wait_for_stdout("three acknowledgements", |lines| (lines.len() == 3).then_some(()));
    let found = place.on_journal("cat").arg("--json").ok();
    assert_eq!(found.stderr, "");
    assert_eq!(found.json_lines().len(), 3);
    assert_eq!(found.json_lines()[2]["params"], entry(3)["params"]);
    assert_eq!(sequences(place.on_journal("cat").args(["--from-sequence", "3"])), [3]);
    writer.close_stdin();
    writer.wait().expect_code(0);
}

#[test]
fn journals_of_the_predecessor_are_read() {
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-format/tests/fixtures/graphstream-0.3.0");
    for name in ["sealed", "unsealed-tail"] {
        let expected = fs::File::open(format!("{fixtures}/{name}.expected.jsonl.zst")).unwrap();
        let expected = String::from_utf8(zstd::decode_all(expected).unwrap()).unwrap();
        let expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = Graphstream::new("cat").args(["--json", "--journal", &format!("{fixtures}/{name}")]).ok();
        let found = found.json_lines();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            for field in ["sequence", "query", "timestamp_ms", "chain_hash"] {
                assert_eq!(found[field], expected[field], "{name}");
            }
            let pairs = expected["params"].as_array().unwrap();
            assert_eq!(found["params"].as_object().unwrap().len(), pairs.len());
            for pair in pairs {
                assert_eq!(found["params"][pair[0].as_str().unwrap()], pair[1], "{name}");
            }
        }
    }
}
