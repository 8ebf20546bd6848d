//! `tail`: the last entries, and those that come, once each and in order, while others append, rotate, seal, die and ship.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place, Running, Signal, entries};
use serde_json::Value;

fn sequences(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
}

/// The sequences in what a running `tail --json` has printed so far.
fn so_far(lines: &[&str]) -> Vec<u64> {
    lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64().unwrap())
        .collect()
}

#[track_caller]
fn wait_for(tail: &Running, last: u64) {
    tail.wait_for_stdout(&format!("entry {last}"), |lines| {
        (so_far(lines).last() == Some(&last)).then_some(())
    });
}

/// Ends it as a person does, and expects these sequences.
#[track_caller]
fn ended(tail: Running, expected: impl Iterator<Item = u64>) {
    let end = tail.kill(Signal::Int).expect_code(0);
    assert_eq!(sequences(&end.json_lines()), expected.collect::<Vec<_>>(), "{}", end.stderr);
}

/// Entries of several kinds, a segment for each line.
fn mixed() -> Place {
    let place = Place::new();
    place.append_segments([
        "{\"query\": \"CREATE NODE TABLE Person(id INT64, PRIMARY KEY(id))\"}\n",
        "{\"query\": \"CREATE (:Person {id: $id})\", \"params\": {\"id\": 7}}\n",
        "{\"query\": \"MERGE (c:City {name: $name})\", \"params\": {\"name\": \"Oslo\"}}\n",
        "{\"query\": \"MATCH (p:Person {id: $id}) SET p.name = $name\", \"params\": {\"id\": 7, \"name\": \"Ada\"}}\n",
        "{\"query\": \"UNWIND $rows AS row MATCH (p:Person {id: row.id}) DELETE p\", \"params\": {\"rows\": [{\"id\": 7}, {\"id\": 8}]}}\n",
    ]);
    place
}

#[test]
fn the_last_entries_are_printed() {
    let place = Place::new();
    place.fill(6, 5);
    place.ship();
    for on in [Place::on_journal, Place::on_store] {
        let tail = |args: &[&str]| sequences(&on(&place, "tail").arg("--json").args(args).ok().json_lines());
        assert_eq!(tail(&[]), (21..=30).collect::<Vec<_>>());
        assert_eq!(tail(&["-n", "1"]), [30]);
        assert_eq!(tail(&["-n", "0"]), Vec::<u64>::new());
        assert_eq!(tail(&["-n", "100"]), (1..=30).collect::<Vec<_>>());
        assert_eq!(tail(&["--from-sequence", "27"]), [27, 28, 29, 30]);
        assert_eq!(tail(&["--from-sequence", "4", "--to-sequence", "6"]), [4, 5, 6]);
        assert_eq!(tail(&["--to-sequence", "6", "-n", "2"]), [5, 6]);
        assert_eq!(tail(&["--since", "1h", "-n", "3"]), [28, 29, 30]);
        assert_eq!(tail(&["--until", "1h"]), Vec::<u64>::new());
        // Far back: looked for in ever larger parts.
        assert_eq!(tail(&["--param", "id=2", "-n", "1"]), [2]);
    }
    let files = Graphstream::new("tail").args(place.segments()).args(["-n", "3", "--json"]).ok();
    assert_eq!(sequences(&files.json_lines()), [28, 29, 30]);
    Graphstream::new("tail").args(place.segments()).arg("-f").run().expect_code(2);
    // The same lines as cat's.
    let cat = place.on_journal("cat").args(["--from-sequence", "30"]).ok();
    assert_eq!(place.on_journal("tail").args(["-n", "1"]).ok().text(), cat.text());
}

#[test]
fn filters_are_of_tail_and_cat() {
    let place = mixed();
    place.ship();
    for (filter, expected) in [
        (&["--kind", "create"][..], &[2_u64][..]),
        (&["--kind", "schema"], &[1]),
        (&["--kind", "merge", "--kind", "set"], &[3, 4]),
        (&["--kind", "delete", "--label", "City"], &[]),
        (&["--label", "Person"], &[1, 2, 4, 5]),
        (&["--param", "id=7"], &[2, 4, 5]),
        (&["--param", "id=7", "--param", "name=Ada"], &[4]),
        (&["--grep", "SET p.name", "--grep", "MATCH"], &[4]),
    ] {
        for (verb, on) in [
            ("tail", Place::on_journal as fn(&Place, &str) -> Graphstream),
            ("tail", Place::on_store),
            ("cat", Place::on_journal),
            ("cat", Place::on_store),
        ] {
            let end = on(&place, verb).arg("--json").args(filter).ok();
            assert_eq!(sequences(&end.json_lines()), expected, "{verb} {filter:?}");
        }
    }
    place.on_journal("tail").args(["--param", "no-value"]).run().expect_code(2);
    place.on_journal("tail").args(["--kind", "select"]).run().expect_code(2);
}

#[test]
fn a_journal_is_followed_while_it_is_written_to_sealed_and_taken_over() {
    let place = Place::new();
    place.fill(2, 3);
    let tail = place.on_journal("tail").args(["-f", "-n", "2", "--json"]).spawn();
    wait_for(&tail, 6);
    // Segments of a few entries: rotated and sealed under the reader's hands.
    let mut last = 6;
    for _ in 0..5 {
        place.on_journal("append").args(["--segment-bytes-max", "4KiB"]).stdin(entries(last + 1, 200)).ok();
        last += 200;
    }
    wait_for(&tail, last);
    // A writer that is killed, and one that goes on behind it.
    let mut writer = place.append_left_open().spawn_with_stdin();
    writer.write(&entries(last + 1, 3));
    wait_for(&tail, last + 3);
    writer.kill(Signal::Kill);
    place.append(entries(last + 4, 2));
    wait_for(&tail, last + 5);
    ended(tail, 5..=last + 5);
}

#[test]
fn l04_a_torn_tail_is_waited_for() {
    let place = Place::new();
    place.fill(1, 2);
    let mut writer = place.append_left_open().args(["--segment-bytes-max", "4KiB"]).spawn_with_stdin();
    writer.write(&entries(3, 1));
    writer.wait_for_stdout("an acknowledgement", |lines| (!lines.is_empty()).then_some(()));
    writer.kill(Signal::Kill);
    // Half a record, as a crash leaves it.
    let open = place.segments().remove(1);
    let mut bytes = fs::read(&open).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let end = end.next_multiple_of(8);
    bytes.truncate(end);
    bytes.extend_from_slice(b"torn");
    fs::write(&open, bytes).unwrap();
    let tail = place.on_journal("tail").args(["-f", "--json"]).spawn();
    tail.wait_for_stderr("the torn tail", |lines| {
        lines.iter().any(|line| line.contains("torn tail")).then_some(())
    });
    place.append(entries(4, 2));
    wait_for(&tail, 5);
    ended(tail, 1..=5);
}

#[test]
fn a_store_is_followed_by_its_head() {
    let place = Place::new();
    place.fill(1, 2);
    place.ship();
    let follow = ["-f", "--poll-interval", "50ms", "--json"];
    let tail = place.on_store("tail").args(follow).spawn();
    let filtered = place.on_store("tail").args(follow).args(["-n", "0", "--param", "id=6"]).spawn();
    wait_for(&tail, 2);
    for first in [3, 5, 7] {
        place.append(entries(first, 2));
        place.ship();
        wait_for(&tail, first + 1);
    }
    wait_for(&filtered, 6);
    // What is wrong with the store ends it, with what it knows.
    let head = place.store().join(Place::DATABASE).join("head.json");
    fs::remove_file(head).unwrap();
    let end = filtered.wait().expect_code(5);
    assert_eq!((sequences(&end.json_lines()), &end.error()["code"]), (vec![6], &Value::from(5)));
    let end = tail.wait().expect_code(5);
    assert_eq!(sequences(&end.json_lines()), (1..=8).collect::<Vec<_>>());
}

#[test]
fn an_end_that_is_reached_and_a_reader_that_has_gone_are_success() {
    let place = Place::new();
    place.fill(2, 50);
    let tail = place.on_journal("tail").args(["-f", "--to-sequence", "102", "-n", "1", "--json"]).spawn();
    wait_for(&tail, 100);
    place.append(entries(101, 5));
    let end = tail.wait().expect_code(0);
    assert_eq!(sequences(&end.json_lines()), [100, 101, 102]);
    let gone = place.on_journal("tail").args(["-n", "5000"]).stdout_read_for(1).run();
    assert_eq!((gone.code(), gone.stderr.as_str()), (Some(0), ""));
    Graphstream::new("tail").args(["--journal", "/nowhere"]).run().expect_code(3);
}

#[test]
fn what_lies_far_back_is_looked_for_further_and_further() {
    let place = Place::new();
    place.fill(1, 3000);
    place.ship();
    let text = place.on_journal("cat").args(["--from-sequence", "3000"]).ok();
    let time = text.text().split_whitespace().nth(1).unwrap().to_owned();
    // The next one is of another millisecond.
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.append(entries(3001, 1));
    place.ship();
    for on in [Place::on_journal, Place::on_store] {
        let tail = |args: &[&str]| sequences(&on(&place, "tail").arg("--json").args(args).ok().json_lines());
        assert_eq!(tail(&["--to-sequence", "6", "-n", "2"]), [5, 6]);
        assert_eq!(tail(&["--param", "id=2", "-n", "1"]), [2]);
        assert_eq!(tail(&["--param", "id=nobody", "-n", "1"]), Vec::<u64>::new());
        assert_eq!(tail(&["--until", &time, "-n", "1"]), [3000]);
    }
}
