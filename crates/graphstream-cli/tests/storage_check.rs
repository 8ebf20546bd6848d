//! `storage check`: the table, the JSON, the exit code, and nothing left behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use cli::{Graphstream, Place};

fn check(url: &str) -> Graphstream {
    Graphstream::new("storage").args(["check", url])
}

#[test]
fn o4_o5_a_good_store_gets_a_table_of_good_words() {
    let place = Place::new();
    std::fs::create_dir(place.store()).unwrap();
    for url in [place.url(), "memory:".to_owned()] {
        let done = check(&url).run().expect_code(0);
        let lines = done.lines();
        assert_eq!(lines[0], format!("store {url}"));
        assert_eq!(lines[lines.len() - 1], "a leader finds here all that it needs");
        assert!(lines[1..lines.len() - 1].iter().all(|line| line.ends_with(" works")), "{lines:?}");
        assert_eq!(lines.len(), 15);

        let report = check(&url).arg("--json").run().expect_code(0).json();
        assert_eq!((&report["store"], &report["can_lead"]), (&url.as_str().into(), &true.into()));
        let needed: Vec<_> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["needed_to_lead"] == true)
            .collect();
        assert!(needed.len() >= 4 && needed.iter().all(|row| row["verdict"] == "works"));
    }
    // All below one prefix, which is gone.
    let left: Vec<_> =
        std::fs::read_dir(place.store()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".graphstream"]);
}

#[test]
fn a_store_that_can_not_be_opened_is_a_store_error() {
    let refused = check("file:///proc/none/store").run().expect_code(4).expect_no_stdout();
    refused.expect_stderr(["file:///proc/none/store can't be opened"]);
    // A mistyped name is not made true.
    let place = Place::new();
    check(&place.url()).run().expect_code(4).expect_no_stdout();
    assert!(!place.store().exists());
    check("file:relative").run().expect_code(2).expect_stderr(["an absolute path"]);
}
