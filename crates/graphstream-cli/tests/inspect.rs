//! `inspect`: what it says of a field is what stands at that place in the file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Graphstream, Place};
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
    let path = place.open_segment();
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
    let path = place.open_segment();
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
    // Cut.
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let found = inspect(&path).run().expect_code(5).json();
    expect_fields(&found["header"], &bytes, 0..128);
    assert_eq!((&found["body"]["status"], &found["body"]["entries"]), (&json!("damaged"), &json!(0)));
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

/// A sealed segment of that many entries.
fn sealed_v2(place: &Place, count: u64) -> PathBuf {
    place.fill(1, count);
    place.segments().remove(0)
}

#[test]
fn of_an_encrypted_segment_everything_is_shown_that_takes_no_key() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-format/tests/golden/v2-encrypted");
    let path = PathBuf::from(format!("{golden}/three-entries.seg"));
    let bytes = fs::read(&path).unwrap();
    let end = inspect(&path).run();
    assert!(!matches!(end.code(), Some(0 | 5)), "it can't be read, and is not damaged: {}", end.stderr);
    let found = end.json();
    expect_fields(&found["header"], &bytes, 0..128);
    expect_fields(&found["extension"], &bytes, 128..184);
    expect_fields(&found["footer"], &bytes, bytes.len() - 64..bytes.len());
    assert_eq!(
        (&found["extension"][0]["name"], &found["body"]["status"]),
        (&json!("key_id"), &json!("encrypted"))
    );
    let dump = Graphstream::new("inspect").arg("--hex").arg(&path).run();
    assert!(undump(dump.text()) == bytes && dump.text().contains("chunk, "), "{}", dump.text());
}

#[test]
fn a_segment_of_version_2_is_shown_with_its_frames() {
    let place = Place::new();
    let path = sealed_v2(&place, 8_000);
    let bytes = fs::read(&path).unwrap();
    let found = inspect(&path).arg("--frames").ok().json();
    assert_eq!(found["kind"], "sealed_v2");
    expect_fields(&found["header"], &bytes, 0..128);
    expect_fields(&found["footer"], &bytes, bytes.len() - 64..bytes.len());
    let frames = &found["body"]["frames"];
    let rows = found["frames"].as_array().unwrap();
    assert!(rows.len() > 1, "one frame shows little");
    assert_eq!((&frames["count"], &frames["index_rows"]), (&json!(rows.len()), &json!(rows.len())));
    let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("entries"), 8_000);
    assert_eq!(
        (frames["stored_bytes"].as_u64(), frames["raw_bytes"].as_u64()),
        (Some(sum("stored_bytes")), Some(sum("raw_bytes")))
    );
    // They follow each other from the header to the index.
    let mut next = (128, 1);
    for row in rows {
        assert_eq!((row["offset"].as_u64().unwrap(), row["first_sequence"].as_u64().unwrap()), next, "{row}");
        next.0 += row["length"].as_u64().unwrap();
        next.1 += row["entries"].as_u64().unwrap();
    }
    assert_eq!(found["footer"][0]["value"], next.0);
    assert_eq!(
        (bytes.len() as u64 - next.0, &frames["unparsed_bytes"]),
        (56 * rows.len() as u64 + 96, &json!(0))
    );
    let text = Graphstream::new("inspect").arg("--frames").arg(&path).ok();
    assert!(text.text().contains("  frames  ") && text.text().contains("  index  "), "{}", text.text());
}

/// The bytes that a hex dump shows, in order; each line's offset must be that of its first byte.
fn undump(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("  ")) {
        let (offset, rest) = line[2..].split_at(8);
        let hex = rest[2..].get(..47).unwrap_or(&rest[2..]);
        let Ok(line_bytes) = hex
            .split_whitespace()
            .map(|byte| match byte.len() {
                2 => u8::from_str_radix(byte, 16).map_err(|_| ()),
                _ => Err(()),
            })
            .collect::<Result<Vec<_>, _>>()
        else {
            continue;
        };
        assert_eq!(u64::from_str_radix(offset, 16).unwrap(), bytes.len() as u64, "{line}");
        bytes.extend(line_bytes);
    }
    bytes
}

#[test]
fn a_hex_dump_has_every_byte_at_its_offset() {
    let place = Place::new();
    let new = sealed_v2(&place, 50);
    let old = place.path("old.hadbj");
    let convert = Graphstream::new("convert").arg(&new).arg("--output").arg(&old);
    convert.args(["--to-version", "1", "--compression", "none"]).ok();
    for path in [&new, &old] {
        let dump = Graphstream::new("inspect").arg("--hex").arg(path).ok();
        assert!(undump(dump.text()) == fs::read(path).unwrap(), "{}", dump.text());
    }
    let dump = Graphstream::new("inspect").arg("--hex").arg(&new).ok();
    for told in [
        "magic = HADBJ",
        "flags = 37  (compressed, sealed, columns)",
        "frame, ",
        "stored_len = ",
        "index row, 56 bytes",
        "footer, 64 bytes",
    ] {
        assert!(dump.text().contains(told), "no {told} in\n{}", dump.text());
    }
}

#[test]
fn a_hex_dump_shows_an_open_segment_without_its_reserved_space() {
    let place = Place::new();
    let path = place.open_segment();
    let dump = Graphstream::new("inspect").arg("--hex").arg(&path).ok();
    let (shown, bytes) = (undump(dump.text()), fs::read(&path).unwrap());
    assert_eq!(shown, bytes[..shown.len()]);
    assert!(bytes[shown.len()..].iter().all(|byte| *byte == 0) && shown.len() < bytes.len());
    assert_eq!(dump.text().matches("  record, ").count(), 3);
    assert!(dump.text().contains(&format!("{:08x}  zeros, ", shown.len())), "{}", dump.text());
}

#[test]
fn a_hex_dump_shows_any_file_and_says_that_it_is_damaged() {
    let place = Place::new();
    let path = sealed_v2(&place, 3);
    let whole = fs::read(&path).unwrap();
    for at in [0, 60, 126, 128 + 5, 200, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        fs::write(&path, &bytes).unwrap();
        let dump = Graphstream::new("inspect").arg("--hex").arg(&path).run().expect_code(5);
        assert!(undump(dump.text()) == bytes, "damage at {at}: {}", dump.text());
    }
}

#[test]
fn a_hex_dump_ends_quietly_when_nobody_reads_on() {
    let place = Place::new();
    let path = sealed_v2(&place, 8_000);
    let end = Graphstream::new("inspect").arg("--hex").arg(&path).stdout_read_for(5).ok();
    assert!(end.stderr.is_empty(), "{}", end.stderr);
}
