//! `snapshot`: copies of a database in the store, made while its writers stand still.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::Path;

use cli::{Graphstream, Place, Signal, entries, until};
use serde_json::json;

fn snapshot(place: &Place, verb: &str) -> Graphstream {
    Graphstream::new("snapshot")
        .args([verb, "--to", &place.url(), "--database", Place::DATABASE])
        .env("TMPDIR", place.path(""))
}

fn create(place: &Place, target: &str) -> Graphstream {
    snapshot(place, "create").args(["--target", &place.target(target)])
}

/// A command that notes that it was called.
fn note(place: &Place, what: &str, more: &str) -> String {
    format!("echo {what} >> '{}'{more}", place.path("notes").display())
}

fn notes(place: &Place) -> String {
    fs::read_to_string(place.path("notes")).unwrap_or_default()
}

#[test]
fn a_snapshot_of_each_kind_of_database_is_made_shown_and_restored() {
    for (kind, engine) in
        [("grafeo:people.grafeo", "grafeo"), ("grafeo:people", "grafeo"), ("jsonl:people.jsonl", "jsonl")]
    {
        let place = Place::followed(kind);
        let end = create(&place, kind)
            .args(["--json", "--quiesce", &note(&place, "q", ""), "--resume", &note(&place, "r", "")])
            .ok();
        let made = end.json_lines().remove(0);
        assert_eq!(
            (&made["sequence"], &made["engine"], &made["existed"]),
            (&json!(12), &json!(engine), &json!(false))
        );
        assert_eq!(notes(&place), "q\nr\n");
        assert!(create(&place, kind).ok().text().contains("already"), "{kind}");

        let listed = snapshot(&place, "list").arg("--json").ok().json_lines();
        assert_eq!((listed.len(), &listed[0]["complete"]), (1, &json!(true)));
        assert_eq!(listed[0]["chain_hash"], place.cat()[11]["chain_hash"]);
        assert!(snapshot(&place, "list").ok().text().contains("sequence 12"));
        let shown = snapshot(&place, "show").args(["12", "--json"]).ok().json_lines().remove(0);
        assert!(shown["files"][0]["path"].as_str().unwrap().starts_with("database"), "{shown}");
        assert!(snapshot(&place, "show").ok().text().contains("sha256"));

        // Without any segment, the snapshot is all there is.
        for object in place.objects() {
            fs::remove_file(object).unwrap();
        }
        let name = kind.replace("people", "restored");
        let restore = place.on_store("restore").args(["--target", &place.target(&name), "--sequence", "12"]);
        assert!(restore.ok().text().contains("a snapshot of sequence 12"), "{kind}");
    }
}

#[test]
fn an_exec_target_tells_its_position_and_is_restored_at_its_path() {
    let place = Place::followed("jsonl:people.jsonl");
    // A child in the shell whose database is a file of lines: it says its position, and takes no batch here.
    let script = place.path("child.sh");
    fs::write(
        &script,
        "line=$(tail -n 1 \"$GRAPHSTREAM_TARGET_PATH\" 2>/dev/null)\n\
         if [ -z \"$line\" ]; then echo '{\"position\":null}'; else\n\
         echo \"$line\" | sed -E 's/.*\"sequence\":([0-9]+).*\"chain_hash\":\"([0-9a-f]+)\".*\"lineage\":\"([0-9a-f]+)\".*/{\"position\":{\"lineage\":\"\\3\",\"sequence\":\\1,\"chain_hash\":\"\\2\"}}/'\n\
         fi\ncat > /dev/null\n",
    )
    .unwrap();
    let line = fs::read_to_string(place.path("people.jsonl")).unwrap();
    assert!(line.contains("\"lineage\""));
    let target = format!("exec:sh '{}'", script.display());
    let with = |call: Graphstream, path: &Path| {
        call.args(["--target", &target, "--engine", "shell", "--path"]).arg(path)
    };
    let end = with(snapshot(&place, "create"), &place.path("people.jsonl")).arg("--json").run();
    let made = end.expect_code(0).json_lines().remove(0);
    assert_eq!((&made["engine"], &made["sequence"]), (&json!("shell"), &json!(12)));
    with(place.on_store("restore"), &place.path("restored")).ok();
    assert_eq!(fs::read(place.path("restored")).unwrap(), fs::read(place.path("people.jsonl")).unwrap());
    // Of another kind it is of no use.
    let plan =
        place.on_store("restore").args(["--target", &place.target("jsonl:x"), "--dry-run", "--json"]).ok();
    let plan = plan.json_lines().remove(0);
    assert_eq!(plan["snapshot"], json!(null));
    assert!(plan["passed"][0]["reason"].as_str().unwrap().contains("shell"), "{plan}");
}

#[test]
fn writers_go_on_whatever_happens() {
    let place = Place::followed("jsonl:people.jsonl");
    let commands = |call: Graphstream, quiesce: &str| {
        call.args(["--quiesce", &note(&place, "q", quiesce), "--resume", &note(&place, "r", "")])
    };
    // The checkpoint fails; the database isn't there; the signal comes while they stand still.
    let end = commands(create(&place, "jsonl:people.jsonl"), "; exit 3").run().expect_code(6);
    end.expect_stderr(["pausing its writers", "exit status: 3"]);
    assert_eq!(notes(&place), "q\nr\n");
    commands(create(&place, "jsonl:nobody"), "").run().expect_code(6);
    assert_eq!(notes(&place), "q\nr\nq\nr\n");
    let mut running = commands(create(&place, "jsonl:people.jsonl"), "; sleep 2").spawn();
    until("the writers to stand still", || (notes(&place).matches('q').count() == 3).then_some(()));
    running.signal(Signal::Term);
    running.wait().expect_code(1);
    assert_eq!(notes(&place).matches('r').count(), 3);
    assert!(snapshot(&place, "list").ok().text().contains("no snapshots"));
    // One of the two alone is a mistake.
    create(&place, "jsonl:people.jsonl").args(["--quiesce", "true"]).run().expect_code(2);
}

#[test]
fn what_is_not_in_the_history_is_refused_with_its_code() {
    let place = Place::followed("jsonl:people.jsonl");
    let path = place.path("people.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let last = whole.lines().last().unwrap();
    // Ahead of what is committed.
    let ahead = last.replace("\"sequence\":12", "\"sequence\":13");
    fs::write(&path, format!("{whole}{ahead}\n")).unwrap();
    let end = create(&place, "jsonl:people.jsonl").args(["--wait", "10ms"]).run().expect_code(4);
    end.expect_stderr(["only 12 is committed", "Try:"]);
    // Forked.
    let chain = place.cat()[11]["chain_hash"].as_str().unwrap().to_owned();
    fs::write(&path, whole.replace(&chain, &"ab".repeat(32))).unwrap();
    let end = create(&place, "jsonl:people.jsonl").arg("--json").run().expect_code(5);
    assert_eq!(end.error()["kind"], json!("fork"));
    // Empty, and no database of its kind.
    fs::write(&path, "").unwrap();
    create(&place, "jsonl:people.jsonl").run().expect_code(6).expect_stderr(["no position"]);
    fs::write(&path, "hello\n").unwrap();
    create(&place, "jsonl:people.jsonl").run();
    assert!(snapshot(&place, "list").arg("--json").ok().stdout.is_empty());
}

#[test]
fn wrong_flags_and_dead_stores_are_said() {
    let place = Place::followed("jsonl:people.jsonl");
    create(&place, "jsonl:people.jsonl").args(["--path", "x"]).run().expect_code(2);
    snapshot(&place, "create").args(["--target", "jsonl:-"]).run().expect_code(2);
    snapshot(&place, "create").args(["--target", "exec:true"]).run().expect_code(2);
    snapshot(&place, "create").run().expect_code(2);
    snapshot(&place, "show").arg("9").run().expect_code(2).expect_stderr(["no snapshot of sequence 9"]);
    let args = ["create", "--to", &place.url(), "--database", "nobody"];
    let target = place.target("jsonl:people.jsonl");
    Graphstream::new("snapshot").args(args).args(["--target", &target]).run().expect_code(4);
    let dead = ["create", "--to", "file:///nowhere/at/all", "--database", "x", "--target", &target];
    Graphstream::new("snapshot").args(dead).run().expect_code(4);
}

#[test]
fn what_an_attempt_left_is_listed_as_incomplete_and_damage_hides_no_other() {
    let place = Place::followed("jsonl:people.jsonl");
    create(&place, "jsonl:people.jsonl").ok();
    place.append(entries(13, 4));
    place.ship();
    place.follow(place.target("jsonl:people.jsonl")).arg("--once").ok();
    create(&place, "jsonl:people.jsonl").ok();
    let snap = place.store().join(Place::DATABASE).join("snap");
    let mut dirs: Vec<_> = fs::read_dir(snap).unwrap().map(|it| it.unwrap().path()).collect();
    dirs.sort();
    fs::remove_file(dirs[1].join("manifest.json")).unwrap();
    assert!(snapshot(&place, "list").ok().text().contains("incomplete"));
    let row = snapshot(&place, "list").arg("--json").ok().json_lines().remove(1);
    assert_eq!((&row["complete"], &row["engine"]), (&json!(false), &json!(null)));
    fs::write(dirs[0].join("manifest.json"), "{}").unwrap();
    let end = snapshot(&place, "list").arg("--json").run().expect_code(5);
    assert!(end.json_lines()[0]["problem"].is_string());
    assert_eq!(end.json_lines().len(), 2);
}

#[test]
fn a_new_follower_begins_with_a_snapshot_where_the_first_entries_are_gone() {
    let place = Place::followed("grafeo:people.grafeo");
    create(&place, "grafeo:people.grafeo").ok();
    place.append(entries(13, 4));
    place.ship();
    for object in &place.objects()[..3] {
        fs::remove_file(object).unwrap();
    }
    let new = place.follow(place.target("grafeo:new.grafeo")).args(["--once", "--json"]).ok();
    assert_eq!(new.json_lines().last().unwrap()["applied_sequence"], json!(16));
    // Of another kind there is no snapshot: what can be restored is named, and nothing is left behind.
    let end = place.follow(place.target("jsonl:lines")).arg("--once").run().expect_code(5);
    end.expect_stderr(["entries 1 to 12 are missing", "nothing can be restored"]);
    assert!(!place.path("lines").exists());
}
