//! `convert`: the same entries and chain hashes in another version, or no output at all.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::{Graphstream, Place, Signal, moments};
use serde_json::{Value, json};

fn convert(file: &Path, output: &Path, version: &str) -> Graphstream {
    Graphstream::new("convert").arg(file).arg("--output").arg(output).args(["--to-version", version])
}

/// What `cat` says of a file, without the commit times, which version 1 does not keep.
fn entries_of(file: &Path) -> Vec<Value> {
    let mut lines = Graphstream::new("cat").arg("--json").arg(file).ok().json_lines();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("commit_ms");
    }
    lines
}

/// The names in the place beside its journal: what a call left.
fn left(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path("")).unwrap();
    let mut names: Vec<_> = names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "journal");
    names.sort();
    names
}

fn sealed(place: &Place, count: u64) -> PathBuf {
    place.fill(1, count);
    place.segments().remove(0)
}

/// The same in version 1.
fn sealed_v1(place: &Place, count: u64) -> PathBuf {
    let (file, old) = (sealed(place, count), place.path("old"));
    convert(&file, &old, "1").ok();
    old
}

#[test]
fn a_segment_keeps_its_entries_and_hashes_there_and_back() {
    let place = Place::new();
    let (file, new, back) = (sealed_v1(&place, 200), place.path("new"), place.path("back"));
    let found = convert(&file, &new, "2").arg("--json").ok().json();
    let inspected = Graphstream::new("inspect").arg("--json").arg(&new).ok().json();
    assert_eq!((&found["kind"], &found["output_kind"]), (&json!("sealed_v1"), &inspected["kind"]));
    assert_eq!(inspected["kind"], "sealed_v2");
    assert_eq!((&found["entries"], &found["chain_hash"]), (&json!(200), &inspected["body"]["chain_hash"]));
    assert_eq!(found["file_bytes"], fs::metadata(&file).unwrap().len());
    assert_eq!(found["output_bytes"], fs::metadata(&new).unwrap().len());
    assert!(found["output_bytes"].as_u64() < found["file_bytes"].as_u64(), "{found}");

    let text = convert(&new, &back, "1").args(["--compression", "none"]).ok();
    let chain_hash = found["chain_hash"].as_str().unwrap();
    assert!(text.text().contains(&format!("{chain_hash}, unchanged")), "{}", text.text());
    let wanted = entries_of(&file);
    assert_eq!((entries_of(&new), entries_of(&back)), (wanted.clone(), wanted));
    let inspected = Graphstream::new("inspect").arg("--json").arg(&back).ok().json();
    assert_eq!(
        (&inspected["kind"], &inspected["header"][3]["meaning"]),
        (&json!("sealed_v1"), &json!("none"))
    );
    assert_eq!(left(&place), ["back", "new", "old"]);
}

#[test]
fn columns_are_smaller_and_hold_the_same() {
    let place = Place::new();
    let (file, rows, columns) = (sealed(&place, 200), place.path("rows"), place.path("columns"));
    let size = |output: &Path, compression: &str| {
        let converted =
            convert(&file, output, "2").args(["--compression", compression, "--json"]).ok().json();
        converted["output_bytes"].as_u64().unwrap()
    };
    let (of_rows, of_columns) = (size(&rows, "zstd:3"), size(&columns, "columns:3"));
    assert!(of_columns < of_rows, "{of_columns} bytes beside {of_rows}");
    assert_eq!(entries_of(&columns), entries_of(&file));
    let inspected = Graphstream::new("inspect").arg("--json").arg(&columns).ok().json();
    let header = &inspected["header"];
    assert_eq!(header[3]["meaning"], "columns, zstd");
    assert_eq!(header[2]["meaning"], "compressed, sealed, columns");
    // They are what both `append` and `convert` write unless told otherwise.
    let default = place.path("default");
    convert(&file, &default, "2").ok();
    assert_eq!(fs::read(&default).unwrap(), fs::read(&columns).unwrap());
    let appended = Graphstream::new("inspect").arg("--json").arg(&file).ok().json();
    assert_eq!(appended["header"][3]["meaning"], "columns, zstd");
    // Version 1 has none.
    let old = place.path("v1");
    convert(&columns, &old, "1").args(["--compression", "columns"]).ok();
    assert_eq!(entries_of(&old), entries_of(&file));
}

#[test]
fn the_output_is_as_readable_as_the_input() {
    let place = Place::new();
    let (file, new) = (sealed(&place, 1), place.path("new"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    convert(&file, &new, "2").ok();
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_exists_is_not_overwritten() {
    let place = Place::new();
    let file = sealed(&place, 3);
    let (taken, link) = (place.path("taken"), place.path("link"));
    fs::write(&taken, "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for output in [&taken, &link] {
        let end = convert(&file, output, "2").run().expect_code(2).expect_no_stdout();
        end.expect_stderr(["exists already", "Try: "]);
    }
    let bytes = fs::read(&file).unwrap();
    convert(&file, &file, "2").run().expect_code(2).expect_stderr(["is input and output"]);
    assert_eq!((fs::read(&file).unwrap(), fs::read(&taken).unwrap()), (bytes, b"mine".to_vec()));
    assert_eq!(left(&place), ["link", "taken"]);
}

#[test]
fn damage_leaves_no_output() {
    let place = Place::new();
    let (file, new) = (sealed(&place, 50), place.path("new"));
    let whole = fs::read(&file).unwrap();
    // In the header, in the body, behind the last entry.
    for at in [20, 128 + 60, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let error = convert(&file, &new, "2").arg("--json").run().expect_code(5).expect_no_stdout().error();
        assert_eq!((&error["kind"], &error["file"]), (&json!("corruption"), &json!(file.to_str().unwrap())));
        assert_eq!(left(&place), Vec::<String>::new(), "damage at {at}");
    }
}

#[test]
fn an_open_segment_is_converted_up_to_its_torn_tail() {
    let place = Place::new();
    let file = place.open_segment();
    let whole = convert(&file, &place.path("whole"), "2").arg("--json").ok();
    assert!(whole.stderr.is_empty() && whole.json()["torn_offset"].is_null(), "{}", whole.stderr);
    assert_eq!(entries_of(&place.path("whole")), entries_of(&file));

    let bytes = fs::read(&file).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&file, &bytes[..end]).unwrap();
    let torn =
        convert(&file, &place.path("torn"), "1").arg("--json").ok().expect_stderr(["warning: ", "torn tail"]);
    assert_eq!(torn.json()["entries"], 2);
    let at = torn.json()["torn_offset"].as_u64().unwrap();
    assert!(torn.stderr.contains(&format!("at offset {at}")), "{}", torn.stderr);
    assert_eq!(entries_of(&place.path("torn")), entries_of(&place.path("whole"))[..2]);

    // Nothing whole: nothing to write.
    fs::write(&file, &bytes[..180]).unwrap();
    convert(&file, &place.path("none"), "2").run().expect_code(2).expect_stderr(["holds no whole entry"]);
    assert_eq!(left(&place), ["torn", "whole"]);
}

#[test]
fn a_file_of_the_predecessor_needs_a_lineage() {
    let place = Place::new();
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-format/tests/fixtures/graphstream-0.3.0");
    let file = PathBuf::from(format!("{fixtures}/sealed/journal-0000000000000001.hadbj"));
    let new = place.path("new");
    convert(&file, &new, "2")
        .run()
        .expect_code(2)
        .expect_stderr(["carries no lineage", "Try: --lineage HEX"]);
    let zeros = "0".repeat(32);
    convert(&file, &new, "2").args(["--lineage", &zeros]).run().expect_code(2);
    let lineage = "00112233445566778899aabbccddeeff";
    let found = convert(&file, &new, "2").args(["--lineage", lineage, "--json"]).ok().json();
    assert_eq!(found["lineage"], lineage);
    assert_eq!(
        entries_of(&new).last().unwrap()["chain_hash"],
        entries_of(&file).last().unwrap()["chain_hash"]
    );
    // Of any other file the lineage stays.
    let own = sealed(&place, 1);
    let refused = convert(&own, &place.path("own"), "2").args(["--lineage", lineage]).run().expect_code(2);
    refused.expect_stderr(["which stays"]);
    assert_eq!(left(&place), ["new"]);
}

#[test]
fn what_cannot_be_written_says_so() {
    let place = Place::new();
    let file = sealed(&place, 1);
    let error = convert(&file, &place.path("no/such/new"), "2").arg("--json").run().expect_code(1).error();
    assert_eq!(error["kind"], "io", "{error}");
    convert(&place.path("none"), &place.path("new"), "2").run().expect_code(3);
}

#[test]
fn a_killed_conversion_leaves_nothing_under_the_name_of_its_output() {
    let place = Place::new();
    let file = sealed(&place, 20_000);
    let wanted = entries_of(&file);
    let mut whole = 0;
    for (number, moment) in moments(7, 12, Duration::from_millis(400)).enumerate() {
        let new = place.path(&format!("new-{number}"));
        let running = convert(&file, &new, "2").args(["--compression", "zstd:19"]).spawn();
        std::thread::sleep(moment);
        running.kill(Signal::Kill);
        if new.exists() {
            assert_eq!(entries_of(&new), wanted);
            whole += 1;
        }
    }
    assert!(whole < 12, "no kill came before the end");
}
