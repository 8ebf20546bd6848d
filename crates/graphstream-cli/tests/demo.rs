//! `demo`: what it shows, what it refuses, and that nothing stays behind: no process, no temporary directory.
#![cfg(feature = "grafeo")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::Path;

use cli::{Graphstream, Place, Running, Signal, entries, until};

/// The sample and the three indexes before it.
const ENTRIES: u64 = 4_998 + 3;

/// A demo whose temporary directories lie in the place.
fn demo(place: &Place) -> Graphstream {
    let temporary = place.path("tmp");
    fs::create_dir_all(&temporary).unwrap();
    Graphstream::new("demo").env("TMPDIR", temporary)
}

/// Whether a process has the path in its arguments.
fn somebody_works_in(path: &Path) -> bool {
    let path = path.to_str().unwrap();
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(path)
    })
}

/// Neither processes nor files, once the demo has ended.
#[track_caller]
fn assert_nothing_left(place: &Place) {
    let temporary = place.path("tmp");
    assert!(!somebody_works_in(&temporary), "a process is left over");
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left over: {left:?}");
}

#[test]
fn both_graphs_are_equal_and_the_follower_was_killed_once() {
    let place = Place::new();
    let ended = demo(&place).arg("--json").ok();
    assert_eq!(ended.stderr, "");
    let summary = ended.json();
    assert_eq!(summary["entries"], ENTRIES);
    assert_eq!(summary["equal"], true);
    assert_eq!(summary["leader"], summary["follower"]);
    assert_eq!(summary["leader"]["sequence"], ENTRIES);
    assert_eq!(summary["leader"]["nodes"]["Person"], 265);
    assert_eq!(summary["leader"]["relationships"]["knows"], 2636 - 55);
    let number = |field: &str| summary[field].as_u64().unwrap();
    assert!(number("killed_at_sequence") > 0);
    assert!(number("resumed_at_sequence") >= number("killed_at_sequence"));
    assert!(number("killed_at_sequence") < ENTRIES, "it had something left to catch up with");
    assert!(number("segments") > 1);
    assert!(number("stored_bytes") < number("payload_bytes"));
    assert_nothing_left(&place);
}

#[test]
fn for_people_it_is_a_table_and_the_course_of_events() {
    let place = Place::new();
    let ended =
        demo(&place).ok().expect_stderr(["leader: writing", "killed (SIGKILL)", "resumed at sequence"]);
    assert_eq!(ended.stderr.matches("killed (SIGKILL)").count(), 1);
    let table = ended.text();
    assert!(table.contains("equal") && !table.contains("DIFFERENT"), "{table}");
    for row in
        ["nodes", "  Person", "relationships", "  knows", "position (sequence)", "digest over all rows"]
    {
        let row = table.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("no {row}"));
        assert!(row.ends_with("equal"), "{row}");
    }
    assert_nothing_left(&place);
}

#[test]
fn quietly_it_prints_the_table_only() {
    let place = Place::new();
    fs::write(place.path("input"), entries(1, 60)).unwrap();
    let ended = demo(&place).arg("--input").arg(place.path("input")).arg("--quiet").ok();
    assert_eq!(ended.stderr, "");
    assert!(ended.text().contains("equal"));
}

#[test]
fn with_a_directory_everything_can_be_looked_at_afterwards() {
    let place = Place::new();
    fs::write(place.path("input"), entries(1, 200)).unwrap();
    let dir = place.path("kept");
    let run = demo(&place).arg("--json").arg("--input").arg(place.path("input"));
    let summary = run.arg("--dir").arg(&dir).ok().json();
    assert_eq!(summary["entries"], 203);
    assert_eq!(summary["leader"]["nodes"]["Person"], 200);
    assert_eq!(summary["directory"], dir.to_str().unwrap());
    assert_nothing_left(&place);

    // As --help says.
    let (journal, store) = (dir.join("leader/journal"), format!("file://{}", dir.join("store").display()));
    let both = ["--from", &store, "--database", "demo"];
    let status =
        Graphstream::new("status").arg("--journal").arg(&journal).args(both).arg("--json").ok().json();
    assert_eq!(status["journal"]["written_sequence"], 203);
    assert_eq!(status["store"]["committed_sequence"], 203);
    assert_eq!(status["rpo"]["entries"], 0);
    Graphstream::new("verify").args(both).ok();

    // Once only: nothing of it is overwritten.
    demo(&place).arg("--dir").arg(&dir).run().expect_code(2).expect_stderr(["is not empty"]);
    assert_eq!(Graphstream::new("cat").args(both).arg("--json").ok().lines().len(), 203);
}

#[test]
fn a_bad_line_is_named_before_anything_starts() {
    let place = Place::new();
    let input = place.path("input");
    fs::write(&input, format!("{}{{\"query\": 7}}\n{}", entries(1, 20), entries(21, 20))).unwrap();
    let refused = demo(&place).arg("--json").arg("--input").arg(&input).run().expect_code(1);
    assert_eq!((&refused.error()["kind"], &refused.error()["line"]), (&"input".into(), &21.into()));
    assert!(refused.error()["message"].to_string().contains(input.to_str().unwrap()));
    refused.expect_no_stdout();
    assert_nothing_left(&place);
}

#[test]
fn input_that_can_not_be_shown_is_refused() {
    let place = Place::new();
    let (missing, few) = (place.path("missing"), place.path("few"));
    fs::write(&few, entries(1, 3)).unwrap();
    for input in [&missing, &place.path("tmp"), &few] {
        let refused = demo(&place).arg("--json").arg("--input").arg(input).run().expect_code(1);
        assert_eq!(refused.error()["kind"], "input", "{}", input.display());
    }
    assert_nothing_left(&place);
}

#[test]
fn an_entry_that_the_graph_refuses_ends_it_with_6() {
    let place = Place::new();
    let input = place.path("input");
    fs::write(&input, format!("{}{{\"query\": \"CREATE (:Person {{name: }})\"}}\n", entries(1, 30))).unwrap();
    let refused = demo(&place).arg("--json").arg("--input").arg(&input).run().expect_code(6);
    assert_eq!(refused.error()["kind"], "poison");
    assert_nothing_left(&place);
}

#[test]
fn a_signal_in_the_middle_cleans_up() {
    let steps: [fn(&str) -> bool; 3] = [
        |line| line.contains("tails the store"),
        |line| line.contains("killed (SIGKILL)"),
        |line| line.contains("resumed at sequence"),
    ];
    for (step, signal) in steps.into_iter().zip([Signal::Int, Signal::Term, Signal::Int]) {
        let place = Place::new();
        let running: Running = demo(&place).spawn();
        running.wait_for_stderr("the moment", |lines| lines.iter().any(|line| step(line)).then_some(()));
        let ended = running.kill(signal);
        assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
        ended.expect_stderr(["stopped by a signal"]).expect_no_stdout();
        assert_nothing_left(&place);
    }
}

#[test]
fn killed_it_takes_its_follower_with_it() {
    let place = Place::new();
    let running = demo(&place).spawn();
    running.wait_for_stderr("the follower's start", |lines| {
        lines.iter().any(|line| line.contains("tails the store")).then_some(())
    });
    running.kill(Signal::Kill);
    until("the follower's end", || (!somebody_works_in(&place.path("tmp"))).then_some(()));
}
