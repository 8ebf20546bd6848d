//! `append` and statements that a replay would do otherwise.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use cli::{Finished, Place, entries};
use serde_json::{Value, json};

fn line(query: &str) -> String {
    format!("{}\n", json!({"query": query, "timestamp_ms": 1_700_000_000_000_i64}))
}

fn journaled(place: &Place) -> Vec<Value> {
    place.on_journal("cat").arg("--json").ok().json_lines()
}

fn append(place: &Place, arguments: &[&str], lines: &str) -> Finished {
    place.on_journal("append").args(["--acks", "--json"]).args(arguments).stdin(lines).run()
}

#[test]
fn r06_a_line_that_is_not_safe_to_replay_ends_it_and_nothing_before_it_is_lost() {
    let place = Place::new();
    let lines = format!("{}{}{}", entries(1, 3), line("CREATE (:N {x: 1,\n y: rand()})"), entries(5, 2));
    let end = place.on_journal("append").arg("--acks").stdin(lines.clone()).run().expect_code(1);
    assert_eq!(end.lines(), ["1", "2", "3"]);
    end.expect_stderr([
        "error: the statement of line 4 isn't safe to replay: rand at line 2, column 5 (byte 22): it gives another result",
        "Try: mend line 4 and append the rest from there: everything before it is acknowledged",
    ]);
    assert_eq!(journaled(&place).len(), 3);
    let end = append(&place, &[], &lines).expect_code(1);
    let error = end.error();
    assert_eq!((&error["code"], &error["kind"], &error["line"]), (&json!(1), &json!("input"), &json!(4)));
    assert_eq!(journaled(&place).len(), 6);
}

#[test]
fn r06_the_entrys_time_and_uuid_take_the_place_of_the_databases() {
    let place = Place::new();
    let query = "CREATE (:N {id: gen_random_uuid(), d: current_date(), at: current_timestamp()})";
    append(&place, &[], &line(query)).expect_code(0);
    let found = journaled(&place);
    let (entry, uuid) = (&found[0], found[0]["uuid"].as_str().unwrap());
    assert_eq!(
        entry["query"],
        "CREATE (:N {id: $graphstream_uuid, d: $graphstream_date, at: $graphstream_timestamp})"
    );
    let params = json!({
        "graphstream_uuid": {"$uuid": uuid},
        "graphstream_date": {"$date": "2023-11-14"},
        "graphstream_timestamp": {"$localdatetime": "2023-11-14T22:13:20.000"},
    });
    assert_eq!(entry["params"], params);
    // What was journaled can be appended elsewhere, and is the same there.
    let another = Place::new();
    append(&another, &[], place.on_journal("cat").arg("--json").ok().text()).expect_code(0);
    for field in ["query", "params", "uuid", "timestamp_ms", "chain_hash"] {
        assert_eq!(journaled(&another)[0][field], entry[field], "{field}");
    }
    // Each gets a UUID of its own, unless it has one.
    append(&place, &[], &line(query)).expect_code(0);
    let own = json!({"query": query, "uuid": "01234567-89ab-cdef-0123-456789abcdef"});
    append(&place, &[], &format!("{own}\n")).expect_code(0);
    let found = journaled(&place);
    assert_ne!(found[1]["uuid"], uuid);
    assert_eq!(found[2]["uuid"], "01234567-89ab-cdef-0123-456789abcdef");
}

#[test]
fn the_guard_can_be_told_whose_cypher_it_is_what_to_allow_and_to_be_off() {
    let place = Place::new();
    let conversion = line("CREATE (:N {at: timestamp('2024-02-29')})");
    append(&place, &[], &conversion).expect_code(0);
    append(&place, &["--guard", "ladybug"], &conversion).expect_code(0);
    append(&place, &["--guard", "grafeo"], &conversion).expect_code(1);
    let fancy = line("CREATE (:N {x: my_macro(1)})");
    append(&place, &[], &fancy).expect_code(1);
    append(&place, &["--guard-allow", "other", "--guard-allow", "MY_MACRO"], &fancy).expect_code(0);
    append(&place, &["--guard", "off"], &line("no Cypher at all, rand()")).expect_code(0);
    append(&place, &["--guard", "of"], &fancy).expect_code(2);
    assert_eq!(journaled(&place).len(), 4);
}

#[test]
fn k01_a_refusal_shows_nothing_of_the_values() {
    let place = Place::new();
    for query in ["CREATE (:N {x: 's3cr3t', y: rand()})", "CREATE (:N {x: 's3cr3t})", "COPY N FROM 's3cr3t'"]
    {
        let end = append(&place, &[], &line(query)).expect_code(1);
        assert!(!end.stderr.contains("s3cr3t"), "{}", end.stderr);
    }
}
