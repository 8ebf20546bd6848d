//! `restore`: to any point, into any target or a journal, and nothing that stands there is lost.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::Path;

use cli::{Graphstream, Place, Signal, entries, moments};
use serde_json::{Value, json};

fn shipped() -> Place {
    let place = Place::new();
    place.fill(3, 4);
    place.ship();
    place
}

fn restore(place: &Place, target: &str) -> Graphstream {
    let (kind, name) = target.split_once(':').unwrap();
    let target = format!("{kind}:{}", place.path(name).display());
    place.on_store("restore").args(["--target", &target])
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_plan_is_shown_and_nothing_is_done() {
    let place = shipped();
    let end = restore(&place, "jsonl:out").args(["--sequence", "6", "--dry-run"]).ok();
    for text in ["sequence 6 of 12", "from the first entry", "2 segments", "6 entries", "estimate"] {
        assert!(end.text().contains(text), "{}", end.text());
    }
    let plan = restore(&place, "jsonl:out").args(["--dry-run", "--json"]).ok().json_lines().remove(0);
    assert_eq!(
        (&plan["outcome"], &plan["sequence"], &plan["segments"]),
        (&json!("planned"), &json!(12), &json!(3))
    );
    assert!(!place.path("out").exists() && !place.path("out.restore").exists());
}

#[test]
fn sequences_times_and_labels_into_lines_a_graph_and_standard_output() {
    let place = shipped();
    let all = place.cat();
    restore(&place, "jsonl:seven").args(["--sequence", "7"]).ok();
    assert_eq!(lines(&place.path("seven")).len(), 7);
    // Inclusive: all that has that commit time.
    let ms = all[4]["commit_ms"].as_i64().unwrap();
    let upto = all.iter().filter(|entry| entry["commit_ms"].as_i64().unwrap() <= ms).count();
    let set = ["set", "five", "--to", &place.url(), "--database", Place::DATABASE, "--sequence", "5"];
    Graphstream::new("label").args(set).ok();
    restore(&place, "jsonl:labelled").args(["--label", "five"]).ok();
    assert_eq!(lines(&place.path("labelled")).len(), 5);
    let end = restore(&place, "jsonl:now").args(["--timestamp", "1ms", "--json"]).ok();
    assert_eq!(end.json_lines()[0]["sequence"], json!(12));
    assert!(upto >= 5);
    let out = place.on_store("restore").args(["--target", "jsonl:-", "--sequence", "3"]).ok();
    assert_eq!(out.json_lines().len(), 3);
    let end = restore(&place, "grafeo:graph.grafeo").arg("--json").ok();
    let report = end.json_lines().remove(0);
    assert_eq!((&report["outcome"], &report["chain_hash"]), (&json!("restored"), &all[11]["chain_hash"]));
    // A follower goes on with it.
    place.append(entries(13, 2));
    place.ship();
    let follow =
        place.follow(format!("grafeo:{}", place.path("graph.grafeo").display())).args(["--once", "--json"]);
    assert_eq!(follow.ok().json_lines().last().unwrap()["applied_sequence"], json!(14));
}

#[test]
fn a_restored_journal_is_read_verified_and_appended_to() {
    let place = shipped();
    let journal = place.path("restored");
    let on = |verb: &str| Graphstream::new(verb).arg("--journal").arg(&journal);
    place.on_store("restore").arg("--journal").arg(&journal).args(["--sequence", "6"]).ok();
    let read = on("cat").arg("--json").ok().json_lines();
    assert_eq!(read, place.cat()[..6]);
    on("verify").ok();
    on("append").stdin(entries(7, 1)).ok();
    on("verify").ok();
    let status = on("status").arg("--json").ok().json_lines().remove(0);
    let original = place.on_journal("status").arg("--json").ok().json_lines().remove(0);
    assert_ne!(status["journal"]["lineage"], original["journal"]["lineage"]);
    assert_eq!(status["journal"]["database_id"], original["journal"]["database_id"]);
    // It is a history of its own: not over the one that it came from, but under another name.
    let ship =
        |database: &str| on("replicate").args(["--database", database, "--to", &place.url(), "--once"]);
    ship(Place::DATABASE).run().expect_code(5);
    ship("other").ok();
    let kept = place.path("kept");
    place.on_store("restore").arg("--journal").arg(&kept).arg("--keep-lineage").ok();
    let status =
        Graphstream::new("status").arg("--journal").arg(&kept).arg("--json").ok().json_lines().remove(0);
    assert_eq!(status["journal"]["lineage"], original["journal"]["lineage"]);
    // The lost leader's journal goes on under its name.
    Graphstream::new("append").arg("--journal").arg(&kept).stdin(entries(13, 1)).ok();
    let ship = Graphstream::new("replicate").arg("--journal").arg(&kept);
    ship.args(["--database", Place::DATABASE, "--to", &place.url(), "--once"]).ok();
    assert_eq!(place.committed(), 13);
}

#[test]
fn nothing_that_stands_there_is_lost() {
    let place = shipped();
    fs::write(place.path("mine"), "mine").unwrap();
    let end = restore(&place, "jsonl:mine").arg("--json").run().expect_code(6);
    assert_eq!(end.error()["kind"], json!("exists"));
    assert!(end.error()["hint"].as_str().unwrap().contains("--replace"));
    let end = restore(&place, "jsonl:mine").args(["--if-not-exists", "--json"]).ok();
    assert_eq!(end.json_lines()[0]["outcome"], json!("exists"));
    assert_eq!(fs::read_to_string(place.path("mine")).unwrap(), "mine");
    let end = restore(&place, "jsonl:mine").args(["--replace", "--json"]).ok();
    let aside = end.json_lines()[0]["set_aside"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(aside).unwrap(), "mine");
    assert_eq!(lines(&place.path("mine")).len(), 12);
    let journal = place.on_store("restore").arg("--journal").arg(place.journal());
    journal.run().expect_code(6);
    assert_eq!(place.cat().len(), 12);
}

#[test]
fn init_containers_end_well_where_there_is_nothing_to_do() {
    let place = shipped();
    let nothing = |from: &str, database: &str| {
        let target = format!("jsonl:{}", place.path("out").display());
        Graphstream::new("restore").args(["--from", from, "--database", database, "--target", &target])
    };
    nothing(&place.url(), "nobody").run().expect_code(4);
    let end = nothing(&place.url(), "nobody").args(["--if-archive-exists", "--json"]).ok();
    assert_eq!(end.json_lines()[0]["outcome"], json!("no_archive"));
    nothing(&place.url(), "nobody").args(["--if-archive-exists", "--if-not-exists"]).ok();
    assert!(!place.path("out").exists());
    nothing(&place.url(), Place::DATABASE).args(["--if-archive-exists", "--if-not-exists"]).ok();
    assert_eq!(lines(&place.path("out")).len(), 12);
    nothing(&place.url(), Place::DATABASE).args(["--if-archive-exists", "--if-not-exists"]).ok();
}

#[test]
fn holes_and_damage_are_integrity_and_leave_nothing_visible() {
    let place = shipped();
    let middle = place.objects().remove(1);
    let whole = fs::read(&middle).unwrap();
    fs::remove_file(&middle).unwrap();
    let end = restore(&place, "jsonl:out").arg("--json").run().expect_code(5);
    let error = end.error();
    assert_eq!(
        (&error["kind"], &error["sequence"], &error["last_sequence"]),
        (&json!("gap"), &json!(5), &json!(8))
    );
    assert!(error["message"].as_str().unwrap().contains("the nearest restorable point is 4"), "{error}");
    restore(&place, "jsonl:four").args(["--sequence", "4"]).ok();
    let mut flipped = whole.clone();
    let at = flipped.len() / 2;
    flipped[at] ^= 1;
    for (damage, bytes) in [("flipped", flipped), ("cut", whole[..whole.len() - 9].to_vec())] {
        fs::write(&middle, bytes).unwrap();
        let end = restore(&place, "jsonl:out").arg("--json").run().expect_code(5);
        assert_eq!(end.error()["kind"], json!("corruption"), "{damage}");
        assert!(!place.path("out").exists());
    }
    fs::write(&middle, &whole).unwrap();
    restore(&place, "jsonl:out").ok();
    assert_eq!(lines(&place.path("out")).len(), 12);
}

#[test]
fn r01_a_killed_restore_is_gone_on_with() {
    let place = Place::new();
    place.fill(6, 40);
    place.ship();
    let expected = place.cat();
    for (n, pause) in moments(11, 6, std::time::Duration::from_millis(150)).enumerate() {
        let name = format!("graph-{n}.grafeo");
        let running = restore(&place, &format!("grafeo:{name}")).args(["--batch", "5"]).spawn();
        std::thread::sleep(pause);
        running.kill(Signal::Kill);
        let end = restore(&place, &format!("grafeo:{name}")).args(["--if-not-exists", "--json"]).ok();
        let report = end.json_lines().remove(0);
        assert!(["restored", "exists"].contains(&report["outcome"].as_str().unwrap()), "{report}");
        let follow =
            place.follow(format!("grafeo:{}", place.path(&name).display())).args(["--once", "--json"]);
        let status = follow.ok().json_lines().pop().unwrap();
        assert_eq!(status["applied_sequence"], json!(240));
        assert_eq!(status["chain_hash"], expected[239]["chain_hash"]);
    }
}

#[test]
fn wrong_flags_and_points_are_said() {
    let place = shipped();
    for wrong in [
        vec![],
        vec!["--target", "jsonl:x", "--journal", "y"],
        vec!["--target", "csv:x"],
        vec!["--target", "jsonl:x", "--sequence", "1", "--label", "x"],
        vec!["--target", "jsonl:x", "--timestamp", "soon"],
        vec!["--target", "jsonl:x", "--keep-lineage"],
        vec!["--target", "jsonl:x", "--replace", "--if-not-exists"],
        vec!["--target", "jsonl:x", "--path", "y"],
        vec!["--target", "jsonl:-", "--json"],
    ] {
        place.on_store("restore").args(&wrong).run().expect_code(2);
    }
    for point in [
        ["--sequence", "13"],
        ["--sequence", "0"],
        ["--label", "nobody"],
        ["--timestamp", "1990-01-01T00:00:00Z"],
    ] {
        restore(&place, "jsonl:out").args(point).run().expect_code(2).expect_stderr(["Try:"]);
    }
    assert!(!place.path("out").exists());
}
