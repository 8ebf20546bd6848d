//! `verify` of a journal's directory and of files: whatever is wrong is found, named, and exits with 5; a torn tail is reported and
//! no error. Nothing is ever changed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Finished, Graphstream, Place, Signal, entries};
use serde_json::{Value, json};

/// Verifies the journal with --json: the rows that are not ok, and how it ended.
#[track_caller]
fn problems(call: Graphstream) -> (Vec<Value>, Finished) {
    let end = call.arg("--json").run();
    let mut rows = end.json_lines();
    let summary = rows.pop().unwrap();
    assert!(summary["summary"].is_object(), "{summary}");
    rows.retain(|row| row["status"] != "ok");
    (rows, end)
}

/// Expects one damaged segment, named in the row and in the error, and code 5.
#[track_caller]
fn expect_damage(place: &Place, path: &Path, context: &str) -> Value {
    let (mut rows, end) = problems(place.on_journal("verify"));
    assert_eq!(end.code(), Some(5), "{context}: {rows:?} {}", end.stderr);
    assert_eq!(rows.len(), 1, "{context}: {rows:?}");
    let row = rows.remove(0);
    assert_eq!(row["status"], "damaged", "{context}: {row}");
    let (problem, error) = (&row["problem"], end.error());
    assert_eq!(problem["file"], path.to_str().unwrap(), "{context}: {row}");
    for field in ["kind", "file", "offset", "body_offset", "sequence"] {
        assert_eq!(error[field], problem[field], "{context}: {error}");
    }
    assert_eq!(error["code"], 5);
    assert!(error["hint"].is_string(), "{context}: {error}");
    row
}

/// The segment's bytes with one bit of byte `at` flipped.
fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1 << (at % 8);
    flipped
}

/// All files of the journal.
fn snapshot(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(place.journal()).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn a_clean_journal_is_ok() {
    let place = Place::new();
    place.fill(3, 2);
    let before = snapshot(&place);
    let end = place.on_journal("verify").arg("--json").ok();
    assert_eq!(end.stderr, "");
    let rows = end.json_lines();
    assert_eq!(rows.len(), 4);
    for (row, first) in rows.iter().zip([1, 3, 5]) {
        assert_eq!(row["status"], "ok");
        assert_eq!((&row["first_sequence"], &row["last_sequence"]), (&json!(first), &json!(first + 1)));
    }
    let summary = &rows[3]["summary"];
    assert_eq!(
        (&summary["segments"], &summary["entries"], &summary["damaged"]),
        (&json!(3), &json!(6), &json!(0))
    );
    assert_eq!(summary["chain_hash"], place.cat()[5]["chain_hash"]);
    let text = place.on_journal("verify").ok();
    assert!(text.text().contains("verified 3 segments, 6 entries, "), "{}", text.text());
    // The files say the same in any order, and alone.
    let mut files = place.segments();
    files.reverse();
    Graphstream::new("verify").args(&files).ok();
    Graphstream::new("verify").arg(&files[1]).ok();
    assert!(snapshot(&place) == before, "verify changed something");
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_sealed_segment_is_named() {
    let place = Place::new();
    place.fill(3, 2);
    let path = place.segments().remove(1);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        fs::write(&path, flip(&bytes, at)).unwrap();
        let context = format!("byte {at} of {}", bytes.len());
        let row = expect_damage(&place, &path, &context);
        assert_eq!(row["first_sequence"], 3, "{context}: {row}");
        assert_eq!(row["problem"]["kind"], "corruption", "{context}: {row}");
        // Where: in the file, or (met while decompressing) in the body.
        let offset = |field: &str| row["problem"][field].as_u64();
        assert!(offset("offset").is_some() != offset("body_offset").is_some(), "{context}: {row}");
        if at < 128 {
            assert!(offset("offset").is_some_and(|offset| offset < 128), "{context}: {row}");
        } else {
            assert!(offset("offset").is_none_or(|offset| offset >= 128), "{context}: {row}");
        }
        if let Some(sequence) = row["problem"]["sequence"].as_u64() {
            assert!((3..=4).contains(&sequence), "{context}: {row}");
        } else {
            // Header and footer belong to no entry.
            assert!(at < 128 || at >= bytes.len() - 64, "{context}: no sequence in {row}");
        }
    }
    // The text says the same, here of a bit in the entries.
    fs::write(&path, flip(&bytes, bytes.len() / 2)).unwrap();
    let end = place.on_journal("verify").run().expect_code(5);
    assert!(
        end.text().contains("damaged  ") && end.text().contains(path.to_str().unwrap()),
        "{}",
        end.text()
    );
    end.expect_stderr([path.to_str().unwrap(), "offset", "sequence", "Try: "]);
    fs::write(&path, &bytes).unwrap();
    place.on_journal("verify").ok();
}

#[test]
fn a_segment_cut_anywhere_or_extended_is_named() {
    let place = Place::new();
    place.fill(3, 2);
    let path = place.segments().remove(1);
    let bytes = fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(5).chain([127, 128, bytes.len() - 1]) {
        fs::write(&path, &bytes[..cut]).unwrap();
        let row = expect_damage(&place, &path, &format!("cut at {cut}"));
        assert_eq!(row["problem"]["kind"], "corruption", "cut at {cut}: {row}");
        assert_eq!(row["problem"]["offset"], cut, "{row}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    fs::write(&path, &longer).unwrap();
    expect_damage(&place, &path, "one byte more");
}

#[test]
fn every_damaged_segment_is_named_and_whole_ones_are_counted() {
    let place = Place::new();
    place.fill(5, 2);
    for damaged in [1, 3] {
        let path = &place.segments()[damaged];
        let bytes = fs::read(path).unwrap();
        fs::write(path, flip(&bytes, bytes.len() - 1)).unwrap();
    }
    let (rows, end) = problems(place.on_journal("verify"));
    let first: Vec<_> = rows.iter().map(|row| row["first_sequence"].clone()).collect();
    assert_eq!(first, [3, 7], "{rows:?}");
    let end = end.expect_code(5);
    assert!(end.error()["message"].as_str().unwrap().contains("2 damaged and 0 gaps"), "{}", end.stderr);
    let summary = end.json_lines().pop().unwrap();
    assert_eq!((&summary["summary"]["segments"], &summary["summary"]["damaged"]), (&json!(5), &json!(2)));
}

#[test]
fn missing_segments_are_gaps_with_their_sequences() {
    let place = Place::new();
    place.fill(7, 2);
    let segments = place.segments();
    for missing in [1, 3, 4] {
        fs::remove_file(&segments[missing]).unwrap();
    }
    let left = place.segments();
    for call in [place.on_journal("verify"), Graphstream::new("verify").args(&left)] {
        let (rows, end) = problems(call);
        let end = end.expect_code(5);
        let found: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row["status"].as_str().unwrap(),
                    row["first_sequence"].as_u64(),
                    row["last_sequence"].as_u64(),
                )
            })
            .collect();
        assert_eq!(found, [("gap", Some(3), Some(4)), ("gap", Some(7), Some(10))]);
        assert_eq!(rows[0]["problem"]["kind"], "gap");
        let error = end.error();
        assert_eq!(
            (&error["kind"], &error["sequence"], &error["last_sequence"]),
            (&json!("gap"), &json!(3), &json!(4))
        );
        assert_eq!(end.json_lines().pop().unwrap()["summary"]["gaps"], 2);
    }
    let text = place.on_journal("verify").run().expect_code(5);
    assert!(text.text().contains("gap       gap: entries 3..=4 are missing"), "{}", text.text());
    // What is missing before the first is released, not lost.
    let place = Place::new();
    place.fill(3, 2);
    fs::remove_file(&place.segments()[0]).unwrap();
    place.on_journal("verify").ok();
}

#[test]
fn swapped_segments_are_named_both() {
    let place = Place::new();
    place.fill(4, 2);
    let segments = place.segments();
    let (second, third) = (fs::read(&segments[1]).unwrap(), fs::read(&segments[2]).unwrap());
    fs::write(&segments[1], third).unwrap();
    fs::write(&segments[2], second).unwrap();
    let (rows, end) = problems(place.on_journal("verify"));
    end.expect_code(5);
    let files: Vec<_> = rows.iter().map(|row| row["problem"]["file"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files, [segments[1].to_str().unwrap(), segments[2].to_str().unwrap()], "{rows:?}");
}

/// A journal, and a copy of it that went on differently.
fn forked() -> (Place, Place) {
    let (place, other) = (Place::new(), Place::new());
    place.fill(1, 2);
    fs::create_dir(other.journal()).unwrap();
    for (path, bytes) in snapshot(&place) {
        fs::write(other.journal().join(path.file_name().unwrap()), bytes).unwrap();
    }
    place.append_segments([&entries(3, 2)[..], &entries(5, 2)]);
    other.append(entries(13, 2));
    (place, other)
}

#[test]
fn a_segment_of_a_fork_is_found_where_the_chain_parts() {
    let (place, other) = forked();
    fs::copy(&other.segments()[1], &place.segments()[1]).unwrap();
    let row = expect_damage(&place, &place.segments()[2], "the third no longer continues the second");
    assert_eq!(row["problem"]["kind"], "fork");
    assert_eq!(row["problem"]["sequence"], 5);
}

#[test]
fn a_segment_of_another_lineage_is_named() {
    let (place, foreign) = (Place::new(), Place::new());
    place.fill(3, 2);
    foreign.fill(3, 2);
    fs::copy(&foreign.segments()[1], &place.segments()[1]).unwrap();
    let row = expect_damage(&place, &place.segments()[1], "foreign");
    assert_eq!(row["problem"]["kind"], "lineage");
}

/// A journal whose writer was killed: one sealed segment with entries 1 and 2, and an open one with a record for each of 3, 4, 5.
fn killed() -> (Place, PathBuf, Vec<usize>) {
    let place = Place::new();
    place.fill(1, 2);
    let mut writer = place.append_left_open().args(["--segment-bytes-max", "4KiB"]).spawn_with_stdin();
    for n in 3..=5 {
        writer.write(&entries(n, 1));
        writer.wait_for_stdout("an acknowledgement", |lines| (lines.len() as u64 == n - 2).then_some(()));
    }
    assert_eq!(writer.kill(Signal::Kill).signal(), Some(9));
    let path = place.segments().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    // docs/format.md: records from 176 on, a length at byte 24, 56 bytes before what it counts, 8-aligned.
    let mut starts = vec![176];
    for _ in 0..3 {
        let start = *starts.last().unwrap();
        let length = u32::from_be_bytes(bytes[start + 24..start + 28].try_into().unwrap()) as usize;
        starts.push(start + (56 + length).next_multiple_of(8));
    }
    (place, path, starts)
}

#[test]
fn the_open_segment_of_a_killed_writer_is_ok() {
    let (place, path, _) = killed();
    let end = place.on_journal("verify").arg("--json").ok();
    assert_eq!(end.stderr, "");
    let row = &end.json_lines()[1];
    assert_eq!(
        (&row["kind"], &row["status"], &row["last_sequence"]),
        (&json!("open"), &json!("ok"), &json!(5))
    );
    assert_eq!(row["file"], path.to_str().unwrap());
}

#[test]
fn a_torn_tail_is_a_warning_wherever_it_begins() {
    let (place, path, starts) = killed();
    let bytes = fs::read(&path).unwrap();
    for at in starts[2]..starts[3] {
        fs::write(&path, flip(&bytes, at)).unwrap();
        let (rows, end) = problems(place.on_journal("verify"));
        let end = end.expect_code(0);
        assert_eq!(rows.len(), 1, "byte {at}");
        let row = &rows[0];
        assert_eq!((&row["status"], &row["last_sequence"]), (&json!("torn"), &json!(4)), "byte {at}: {row}");
        let problem = &row["problem"];
        assert_eq!((&problem["kind"], &problem["offset"]), (&json!("torn_tail"), &json!(starts[2])), "{row}");
        assert!(end.stderr.starts_with("warning: "), "{}", end.stderr);
        assert!(end.stderr.contains(path.to_str().unwrap()) && end.stderr.contains("after sequence 4"));
        assert_eq!(end.json_lines().pop().unwrap()["summary"]["torn"], 1);
    }
    for cut in [starts[2] + 1, starts[2] + 40, starts[3] - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let before = snapshot(&place);
        let (rows, end) = problems(place.on_journal("verify"));
        end.expect_code(0);
        assert_eq!(rows[0]["status"], "torn", "cut at {cut}");
        assert!(snapshot(&place) == before, "verify repaired");
        // The other reading verbs stop there too, and say so.
        let found = place.on_journal("cat").arg("--json").ok().expect_stderr(["warning: ", "torn tail"]);
        assert_eq!(found.json_lines().len(), 4);
    }
    // The next writer cuts it and goes on.
    place.append(entries(5, 1)).expect_stderr(["torn tail, cut at"]);
    let (rows, end) = problems(place.on_journal("verify"));
    end.expect_code(0);
    assert!(rows.is_empty(), "{rows:?}");
    assert_eq!(place.cat().len(), 5);
}

#[test]
fn damage_below_the_durable_offset_is_corruption() {
    let (place, path, starts) = killed();
    let bytes = fs::read(&path).unwrap();
    // Header, extension, and the first record, which the third says was on disk.
    for at in (0..starts[1]).step_by(3) {
        fs::write(&path, flip(&bytes, at)).unwrap();
        let row = expect_damage(&place, &path, &format!("byte {at}"));
        assert_eq!(row["problem"]["kind"], "corruption", "byte {at}: {row}");
        assert_eq!(row["first_sequence"], 3, "byte {at}: {row}");
        if at >= starts[0] {
            assert_eq!(row["problem"]["offset"], starts[0], "byte {at}: {row}");
            assert_eq!(row["problem"]["sequence"], 3, "byte {at}: {row}");
        }
    }
    // Nothing opens it for writing either.
    place.on_journal("append").stdin(entries(6, 1)).run().expect_code(5);
    place.on_journal("cat").run().expect_code(5);
    fs::write(&path, &bytes).unwrap();
    place.append(entries(6, 1));
    assert_eq!(place.cat().len(), 6);
}

#[test]
fn a_journal_is_verified_while_it_is_written() {
    let place = Place::new();
    place.fill(2, 2);
    let mut writer = place.on_journal("append").arg("--acks").spawn_with_stdin();
    writer.write(&entries(5, 2));
    writer.wait_for_stdout("acknowledgements", |lines| (lines.len() == 2).then_some(()));
    let (rows, end) = problems(place.on_journal("verify"));
    assert_eq!(end.expect_code(0).stderr, "");
    assert!(rows.is_empty(), "{rows:?}");
    writer.close_stdin();
    writer.wait().expect_code(0);
}

#[test]
fn journals_of_the_predecessor_are_verified() {
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-format/tests/fixtures/graphstream-0.3.0");
    for (name, entries) in [("sealed", 600), ("unsealed-tail", 450)] {
        let end =
            Graphstream::new("verify").args(["--json", "--journal", &format!("{fixtures}/{name}")]).ok();
        let summary = end.json_lines().pop().unwrap();
        assert_eq!(summary["summary"]["entries"], entries, "{name}");
        // Their headers carry no checksum; everything behind does.
        let place = Place::new();
        cli::copy_dir(&Path::new(fixtures).join(name), &place.journal());
        let path = place.segments().remove(0);
        let bytes = fs::read(&path).unwrap();
        for at in (128..bytes.len()).step_by(1009).chain([bytes.len() - 1]) {
            fs::write(&path, flip(&bytes, at)).unwrap();
            expect_damage(&place, &path, &format!("{name}: byte {at}"));
        }
    }
}
