//! `inspect`: what it says of a field is what stands at that place in the file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Graphstream, Place, Signal, entries};
use serde_json::{Value, json};

fn inspect(path: &Path) -> Graphstream {
    Graphstream::new("inspect").arg("--json").arg(path)
}

/// Compares each field with the bytes at its offset; they must follow each other without a hole.
#[track_caller]
fn expect_fields(fields: &Value, bytes: &[u8], range: std::ops::Range<usize>) {
    let mut next = range.start;
    for field in fields.as_array().unwrap() {
        let (offset, length) =
            (field["offset"].as_u64().unwrap() as usize, field["length"].as_u64().unwrap() as usize);
        assert_eq!(offset, next, "{field}");
        next += length;
        let raw = &bytes[offset..next];
        match &field["value"] {
            Value::Number(number) => {
                let found = raw.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
                assert_eq!(number.as_u64(), Some(found), "{field}");
            }
            Value::String(text) if field["name"] == "magic" => assert_eq!(text.as_bytes(), raw),
            Value::String(text) => {
                let found: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(text, &found, "{field}");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(next, range.end);
}

/// The open segment of a killed writer, with entries 1 to 3 in a record each.
fn open_segment(place: &Place) -> PathBuf {
    let mut writer = place.append_left_open().args(["--segment-bytes-max", "4KiB"]).spawn_with_stdin();
    for n in 1..=3 {
        writer.write(&entries(n, 1));
        writer.wait_for_stdout("an acknowledgement", |lines| (lines.len() as u64 == n).then_some(()));
    }
    writer.kill(Signal::Kill);
    place.segments().remove(0)
}

#[test]
fn a_sealed_segment_is_shown_field_by_field() {
    let place = Place::new();
    place.fill(2, 3);
    let path = place.segments().remove(1);
    let bytes = fs::read(&path).unwrap();
    let found = inspect(&path).arg("--entries").ok().json();
    assert_eq!((&found["file"], &found["file_bytes"]), (&json!(path.to_str().unwrap()), &json!(bytes.len())));
    assert_eq!((&found["kind"], &found["legacy"]), (&json!("sealed_v2"), &json!(false)));
    expect_fields(&found["header"], &bytes, 0..128);
    assert!(found["extension"].is_null());
    assert_eq!(found["body"]["commit_times_exact"], true);
    let body = &found["body"];
    assert_eq!((&body["status"], &body["entries"]), (&json!("whole"), &json!(3)));
    assert_eq!((&body["first_sequence"], &body["last_sequence"]), (&json!(4), &json!(6)));
    assert_eq!((&body["payloads_v1"], &body["body_checksum_verified"]), (&json!(3), &json!(true)));
    assert_eq!(body["stored_bytes"], bytes.len() - 128);
    // Entry by entry as `cat` has them.
    let (rows, lines) = (found["entries"].as_array().unwrap(), &place.cat()[3..]);
    assert_eq!(rows.len(), 3);
    for (row, line) in rows.iter().zip(lines) {
        for field in ["sequence", "commit_ms", "chain_hash"] {
            assert_eq!(row[field], line[field]);
        }
    }
    let payload: u64 = rows.iter().map(|row| row["payload_bytes"].as_u64().unwrap()).sum();
    assert_eq!(body["payload_bytes"], payload);
    assert_eq!(body["chain_hash"], rows[2]["chain_hash"]);
}

#[test]
fn an_open_segment_is_shown_with_its_records() {
    let place = Place::new();
    let path = open_segment(&place);
    let bytes = fs::read(&path).unwrap();
    let found = inspect(&path).ok().json();
    assert_eq!(found["kind"], "open");
    expect_fields(&found["header"], &bytes, 0..128);
    expect_fields(&found["extension"], &bytes, 128..176);
    let (body, records) = (&found["body"], &found["body"]["records"]);
    assert_eq!(
        (&body["entries"], &records["count"], &records["entries_largest"]),
        (&json!(3), &json!(3), &json!(1))
    );
    let end = records["end_offset"].as_u64().unwrap() as usize;
    assert!(bytes[end..].iter().all(|byte| *byte == 0), "something stands behind the end");
    assert!(bytes[end - 8..end].iter().any(|byte| *byte != 0), "the end is too late");
    assert_eq!(body["stored_bytes"], end - 128, "reserved space does not count");
    // Each record says what was on disk before it.
    assert_eq!(records["durable_offset"].as_u64().unwrap() as usize % 8, 0);
    assert!((176..end as u64).contains(&records["durable_offset"].as_u64().unwrap()));
}

#[test]
fn a_torn_tail_is_shown_and_no_error() {
    let place = Place::new();
    let path = open_segment(&place);
    let end = inspect(&path).ok().json()["body"]["records"]["end_offset"].as_u64().unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..end as usize - 1]).unwrap();
    let found = inspect(&path).ok().json();
    let body = &found["body"];
    assert_eq!(
        (&body["status"], &body["entries"], &body["records"]["count"]),
        (&json!("torn"), &json!(2), &json!(2))
    );
    assert_eq!(body["torn_offset"], body["records"]["end_offset"]);
    let text = Graphstream::new("inspect").arg(&path).ok();
    assert!(
        text.text().contains("torn tail") && text.text().contains("torn at      file offset "),
        "{}",
        text.text()
    );
}

#[test]
fn the_header_is_shown_although_the_body_is_damaged() {
    let place = Place::new();
    place.fill(1, 3);
    let path = place.segments().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let end = inspect(&path).run().expect_code(5);
    let found = end.json();
    expect_fields(&found["header"], &bytes, 0..128);
    assert_eq!(found["body"]["status"], "damaged");
    assert_eq!(end.error()["file"], path.to_str().unwrap());
    let text = Graphstream::new("inspect").arg(&path).run().expect_code(5);
    assert!(text.text().contains("header_crc32c") && text.text().contains("damaged"), "{}", text.text());
    // Without a header there is nothing to show.
    bytes[124] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = inspect(&path).run().expect_code(5).expect_no_stdout().error();
    assert_eq!(error["offset"], 124, "{error}");
}

#[test]
fn what_is_no_segment_is_named() {
    let place = Place::new();
    for (name, bytes) in [("empty", &b""[..]), ("text", b"{\"query\": \"Q\"}\n"), ("long", &[b'x'; 4096])] {
        let path = place.path(name);
        fs::write(&path, bytes).unwrap();
        let error = inspect(&path).run().expect_code(5).expect_no_stdout().error();
        assert_eq!(error["kind"], "corruption", "{name}");
        assert!(error["message"].as_str().unwrap().contains(path.to_str().unwrap()), "{name}: {error}");
    }
}

#[test]
fn segments_of_the_predecessor_are_shown() {
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-format/tests/fixtures/graphstream-0.3.0");
    for (name, kind) in [
        ("sealed/journal-0000000000000001.hadbj", "sealed_v1"),
        ("unsealed-tail/journal-0000000000000296.hadbj", "legacy_open"),
    ] {
        let path = PathBuf::from(format!("{fixtures}/{name}"));
        let found = inspect(&path).ok().json();
        assert_eq!((&found["kind"], &found["legacy"]), (&json!(kind), &json!(true)), "{name}");
        assert_eq!(found["body"]["payloads_graphd"], found["body"]["entries"], "{name}");
        assert_eq!(found["body"]["commit_times_exact"], false, "{name}");
        expect_fields(&found["header"], &fs::read(&path).unwrap(), 0..128);
    }
}
