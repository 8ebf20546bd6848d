//! `bench`: it measures everything once, says against what, and leaves nothing behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place};

#[test]
fn everything_is_measured_against_raw_work_and_nothing_stays() {
    let place = Place::new();
    let report =
        Graphstream::new("bench").args(["--time", "4ms", "--json", "--dir"]).arg(place.path("")).ok().json();
    let measures = report["measures"].as_array().unwrap();
    let names: Vec<_> = measures.iter().map(|measure| measure["name"].as_str().unwrap()).collect();
    for (measure, name) in measures.iter().zip(&names) {
        // In so little time a sync may not come back even once; these get somewhere before they look at the clock.
        if ["raw write", "raw SHA-256 chain"].contains(name) {
            assert!(measure["entries"].as_u64().unwrap() > 0, "{measure}");
        }
        assert_eq!(measure["ratio"].is_null(), name.starts_with("raw "), "{measure}");
        if let Some(against) = measure["against"].as_str() {
            assert!(against.starts_with("raw ") && names.contains(&against), "{measure}");
        }
    }
    assert!(names.len() > 10, "{names:?}");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0, "scratch files stayed");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new();
    let end = Graphstream::new("bench")
        .arg("--dir")
        .arg(place.path("none"))
        .run()
        .expect_code(1)
        .expect_no_stdout();
    end.expect_stderr([place.path("none").to_str().unwrap(), "Try: "]);
}
