//! `import` and `verify --legacy`: databases as the predecessor itself wrote them, in the places where it put them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::{Finished, Graphstream, Place, Signal, moments};
use serde_json::{Value, json};

fn fixture(journal: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../graphstream-format/tests/fixtures/graphstream-0.3.0")
        .join(journal)
}

/// The predecessor's bucket: `{prefix}{name}/0000/{first:016x}.hadbj`.
fn bucket(place: &Place, directory: &str, journal: &str) -> PathBuf {
    let objects = place.path("old").join(directory).join("0000");
    fs::create_dir_all(&objects).unwrap();
    for file in fs::read_dir(fixture(journal)).unwrap() {
        let path = file.unwrap().path();
        let Some(number) = path.file_stem().unwrap().to_str().unwrap().strip_prefix("journal-") else {
            continue;
        };
        let first: u64 = number.parse().unwrap();
        fs::copy(&path, objects.join(format!("{first:016x}.hadbj"))).unwrap();
    }
    objects
}

fn old(place: &Place) -> String {
    format!("file://{}", place.path("old").display())
}

fn import(place: &Place) -> Graphstream {
    Graphstream::new("import").args([
        "--from",
        &old(place),
        "--database",
        Place::DATABASE,
        "--to",
        &place.url(),
    ])
}

fn verify(place: &Place) -> Graphstream {
    Graphstream::new("verify").args([
        "--from",
        &old(place),
        "--database",
        Place::DATABASE,
        "--legacy",
        "--json",
    ])
}

/// What the predecessor's own reader returned.
fn expected(journal: &str) -> Vec<Value> {
    let file = fs::File::open(fixture(&format!("{journal}.expected.jsonl.zst"))).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn same_entries(place: &Place, journal: &str) {
    let found = place.on_store("cat").arg("--json").ok().json_lines();
    let expected = expected(journal);
    assert_eq!(found.len(), expected.len());
    let mut last = 0;
    for (found, expected) in found.iter().zip(&expected) {
        for (ours, theirs) in [("sequence", "sequence"), ("query", "query"), ("timestamp_ms", "timestamp_ms")]
        {
            assert_eq!(found[ours], expected[theirs], "{found}");
        }
        let chain = ["chain_hash", "hash"].iter().find_map(|key| expected[*key].as_str());
        if let Some(chain) = chain {
            assert_eq!(found["chain_hash"], chain, "{found}");
        }
        assert!(found["commit_ms"].as_i64().unwrap() >= last);
        last = found["commit_ms"].as_i64().unwrap();
    }
}

#[test]
fn a_database_of_the_predecessor_is_verified_and_imported() {
    let place = Place::new();
    bucket(&place, Place::DATABASE, "sealed");
    let rows = verify(&place).ok().json_lines();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3]["summary"]["entries"], json!(600));
    // Looking changes nothing. (The store must be there: its name may be mistyped.)
    import(&place).arg("--dry-run").run().expect_code(4);
    fs::create_dir(place.store()).unwrap();
    let dry = import(&place).args(["--dry-run", "--json"]).ok().json();
    assert_eq!(
        (&dry["entries"], &dry["dry_run"], &dry["segments"]),
        (&json!(600), &json!(true), &Value::Null)
    );
    assert!(!place.store().join(Place::DATABASE).exists());
    let report = import(&place).args(["--json", "--segment-bytes-max", "8KiB"]).ok().json();
    assert_eq!((&report["entries"], &report["last_sequence"]), (&json!(600), &json!(600)));
    assert!(report["segments"].as_u64().unwrap() > 5, "{report}");
    same_entries(&place, "sealed");
    let end = place.on_store("verify").arg("--json").ok().json_lines();
    assert_eq!(end.last().unwrap()["summary"]["chain_hash"], report["chain_hash"]);
    assert_eq!(end[0]["kind"], "sealed_v2");
    // Again: nothing is left to do, and nothing is written.
    let again = import(&place).arg("--json").ok().json();
    assert_eq!((&again["segments"], &again["continued_after"]), (&json!(0), &json!(600)));
    assert_eq!(again["lineage"], report["lineage"]);
    // A follower takes it like any other, and a leader whose journal is gone goes on behind it.
    place.follow(format!("jsonl:{}", place.path("copy.jsonl").display())).arg("--once").ok();
    place.replicate().args(["--once", "--continue-from-head"]).run();
    place.append(cli::entries(601, 3));
    place.ship();
    assert_eq!(place.committed(), 603);
    // Now there are entries that the source does not have: it is another database.
    import(&place).run().expect_code(2).expect_stderr(["there is a database people already"]);
}

#[test]
fn an_open_last_segment_is_taken_as_far_as_it_goes() {
    let place = Place::new();
    let objects = bucket(&place, "prod-Social", "unsealed-tail");
    let directory = ["--legacy", "prod-Social"];
    let report = import(&place).args(directory).args(["--json", "--commit-time", "entry"]).ok().json();
    assert_eq!(report["entries"], json!(450));
    same_entries(&place, "unsealed-tail");
    // Cut in its last entry: reported, and imported up to there.
    let last = objects.join(format!("{:016x}.hadbj", 296));
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 3]).unwrap();
    let torn = Place::new();
    let to = ["--to", &torn.url()].map(str::to_owned);
    let call =
        Graphstream::new("import").args(["--from", &old(&place), "--database", "people"]).args(directory);
    let end = call.args(to).arg("--json").ok();
    assert!(end.stderr.contains("torn tail"), "{}", end.stderr);
    assert_eq!((&end.json()["entries"], end.json()["torn_offset"].is_u64()), (&json!(449), true));
    let rows = Graphstream::new("verify")
        .args(["--from", &old(&place), "--database", "people", "--legacy=prod-Social", "--json"])
        .ok()
        .json_lines();
    assert_eq!(rows[1]["status"], "torn", "{rows:?}");
}

/// What `verify` and `import` say of a damaged source; neither writes anything.
#[track_caller]
fn refused(place: &Place, kind: &str) -> (Vec<Value>, Value) {
    let end = verify(place).run().expect_code(5);
    let verified = end.error();
    assert_eq!(verified["kind"], kind, "{verified}");
    let imported = import(place).arg("--json").run().expect_code(5).expect_no_stdout().error();
    assert_eq!(imported["kind"], kind, "{imported}");
    assert!(!place.store().join(Place::DATABASE).exists());
    let mut rows = end.json_lines();
    rows.pop();
    rows.retain(|row| row["status"] != "ok");
    (rows, imported)
}

#[test]
fn every_defect_of_the_predecessors_buckets_is_named_and_nothing_is_written() {
    let sealed = || {
        let place = Place::new();
        let objects = bucket(&place, Place::DATABASE, "sealed");
        (place, objects)
    };
    let named = |objects: &Path, first: u64| objects.join(format!("{first:016x}.hadbj"));
    // Missing: first, middle. (A missing last one leaves no trace in this layout.)
    for (missing, range) in [(1, (1, 295)), (296, (296, 598))] {
        let (place, objects) = sealed();
        fs::remove_file(named(&objects, missing)).unwrap();
        let (rows, error) = refused(&place, "gap");
        assert_eq!((&error["sequence"], &error["last_sequence"]), (&json!(range.0), &json!(range.1)));
        assert_eq!(rows[0]["status"], "gap");
    }
    // Flipped bytes, all over.
    let (place, objects) = sealed();
    let middle = named(&objects, 296);
    let bytes = fs::read(&middle).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 12) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(&middle, flipped).unwrap();
        let end = verify(&place).run().expect_code(5);
        assert!(
            end.error()["kind"] == "corruption" || end.error()["kind"] == "fork",
            "byte {at}: {}",
            end.stderr
        );
        import(&place).run().expect_code(5);
    }
    // Cut.
    fs::write(&middle, &bytes[..bytes.len() / 2]).unwrap();
    refused(&place, "corruption");
    fs::write(&middle, "").unwrap();
    refused(&place, "corruption");
    // Swapped: both are where their headers say, whatever they are called.
    let (place, objects) = sealed();
    let (one, other) = (named(&objects, 296), named(&objects, 599));
    fs::rename(&one, objects.join("x")).unwrap();
    fs::rename(&other, &one).unwrap();
    fs::rename(objects.join("x"), &other).unwrap();
    fs::create_dir(place.store()).unwrap();
    let end = import(&place).args(["--dry-run", "--json"]).ok();
    assert!(end.stderr.contains("whatever its name says"), "{}", end.stderr);
    // One generation holds two histories: the other database's segment under a name that was free.
    let (place, objects) = sealed();
    fs::copy(fixture("unsealed-tail/journal-0000000000000296.hadbj"), named(&objects, 599)).unwrap();
    let end = verify(&place).run();
    assert!(matches!(end.code(), Some(0 | 5)), "{}", end.stderr);
    // A compacted segment under a time, beside those that it was made of: the same twice is no defect.
    let (place, objects) = sealed();
    fs::copy(named(&objects, 296), named(&objects, 1_700_000_000_000)).unwrap();
    let rows = verify(&place).ok().json_lines();
    assert_eq!(rows.iter().filter(|row| row["problem"]["kind"] == "duplicate").count(), 1, "{rows:?}");
    import(&place).ok();
    same_entries(&place, "sealed");
    // A segment of ours.
    let (place, objects) = sealed();
    place.append(cli::entries(1, 2));
    fs::copy(&place.segments()[0], named(&objects, 700)).unwrap();
    refused(&place, "lineage");
    // Nothing there.
    let nowhere = Place::new();
    fs::create_dir_all(nowhere.path("old")).unwrap();
    assert_eq!(verify(&nowhere).run().expect_code(4).error()["kind"], "no_database");
    import(&nowhere).run().expect_code(4);
}

#[test]
fn nothing_is_imported_over_another_database() {
    let place = Place::new();
    bucket(&place, Place::DATABASE, "sealed");
    place.append(cli::entries(1, 2));
    place.ship();
    let before = fs::read(place.store().join("people/head.json")).unwrap();
    import(&place).run().expect_code(2).expect_stderr(["already", "another --database"]);
    assert_eq!(fs::read(place.store().join("people/head.json")).unwrap(), before);
    // A head that was lost is no free name.
    fs::remove_file(place.store().join("people/head.json")).unwrap();
    import(&place).run().expect_code(5);
}

#[test]
fn r01_an_import_that_is_killed_goes_on_where_it_was() {
    let place = Place::new();
    bucket(&place, Place::DATABASE, "sealed");
    let small = |place: &Place| import(place).args(["--segment-bytes-max", "1KiB", "--json"]);
    let mut killed = 0;
    for pause in moments(7, 12, Duration::from_millis(120)) {
        let running = small(&place).spawn();
        std::thread::sleep(pause);
        let end: Finished = running.kill(Signal::Kill);
        killed += u32::from(end.signal().is_some());
    }
    let report = small(&place).ok().json();
    assert_eq!(report["entries"], json!(600));
    same_entries(&place, "sealed");
    place.on_store("verify").ok();
    assert!(killed > 0, "every one was faster than its kill");
    // The same history, whoever imports it; of another lineage.
    let other = Place::new();
    bucket(&other, Place::DATABASE, "sealed");
    let again = import(&other).arg("--json").ok().json();
    assert_eq!(
        (&again["chain_hash"], &again["database_id"]),
        (&report["chain_hash"], &report["database_id"])
    );
    assert_ne!(again["lineage"], report["lineage"]);
}
