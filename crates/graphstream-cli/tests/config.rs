//! `config`: what is refused before a daemon runs with it, and what wins over what.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place};
use serde_json::Value;

fn written(text: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("graphstream.toml"), text).unwrap();
    place
}

fn config(place: &Place, verb: &str) -> Graphstream {
    let config = Graphstream::new("config").arg(verb);
    let config = if verb == "show" { config.arg("--config") } else { config };
    config.arg(place.path("graphstream.toml"))
}

const TWO: &str = "[log]\nformat = 'json'\n[defaults]\nto = 'memory:'\nuploads_max = 2\n\
    [[database]]\nname = 'people'\njournal = 'people'\n\
    [[database]]\nname = 'places'\njournal = '/srv/places'\nuploads_max = 3\n";

#[test]
fn a_file_that_can_work_is_fine_and_journals_to_come_are_warned_of() {
    let place = written(TWO);
    fs::create_dir(place.path("people")).unwrap();
    let checked = config(&place, "check").ok().expect_stderr(["the journal of places is not there (yet)"]);
    assert!(checked.text().contains("nothing wrong, 2 databases"), "{}", checked.text());
    assert!(!checked.stderr.contains("people"), "{}", checked.stderr);
}

#[test]
fn what_can_not_work_is_refused_with_its_line_by_check_and_by_replicate() {
    for (line, text, said) in [
        (7, TWO.replace("name = 'people'", "nam = 'people'"), "did you mean `name`?"),
        (10, TWO.replace("places", "people").replace("'/srv/people'", "'x'"), "lines 7 and 10"),
        (11, TWO.replace("'/srv/places'", "'people'"), "the journal"),
        (4, TWO.replace("memory:", "ftp://host"), "no ftp stores"),
        (2, TWO.replace("'json'", "'xml'"), "text or json"),
    ] {
        let place = written(&text);
        let checked = config(&place, "check").arg("--json").run().expect_code(2);
        let replicate = Graphstream::new("replicate").args(["--json", "--config"]);
        let refused = replicate.arg(place.path("graphstream.toml")).run().expect_code(2);
        assert_eq!(refused.error(), checked.error());
        let error = checked.error();
        assert!(checked.stderr.contains(said), "{said} not in {error}");
        assert_eq!(error["line"], line, "{error}");
    }
    let place = written(&TWO.replace("to = 'memory:'\n", ""));
    config(&place, "check").run().expect_code(2).expect_stderr(["people has no `to`"]);
    Graphstream::new("config").args(["check", "/no/such/file"]).run().expect_code(2);
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let place = written(TWO);
    let show = |with: &dyn Fn(Graphstream) -> Graphstream| -> Vec<Value> {
        let shown = with(config(&place, "show").arg("--json")).ok().json();
        shown["settings"].as_array().unwrap().clone()
    };
    let of = |rows: &[Value], key: &str| rows.iter().find(|row| row["key"] == key).unwrap().clone();

    let rows = show(&|show| show);
    let row = of(&rows, "database.people.uploads_max");
    assert_eq!((&row["value"], &row["origin"], &row["line"]), (&"2".into(), &"file".into(), &5.into()));
    assert_eq!(of(&rows, "database.places.uploads_max")["value"], "3");
    assert_eq!(of(&rows, "database.people.upload_interval")["origin"], "default");
    let journal = of(&rows, "database.people.journal");
    assert_eq!(journal["value"], place.path("people").to_string_lossy().as_ref(), "beside the file");

    let from_environment =
        |show: Graphstream| show.env("GRAPHSTREAM_UPLOADS_MAX", "5").env("GRAPHSTREAM_LOG_FORMAT", "text");
    let rows = show(&from_environment);
    for key in ["database.people.uploads_max", "database.places.uploads_max"] {
        let row = of(&rows, key);
        assert_eq!((&row["value"], &row["variable"]), (&"5".into(), &"GRAPHSTREAM_UPLOADS_MAX".into()));
    }
    assert_eq!(of(&rows, "log.format")["value"], "text");

    let rows = show(&|show| from_environment(show).args(["--uploads-max", "6", "--http=9464"]));
    let row = of(&rows, "database.people.uploads_max");
    assert_eq!((&row["value"], &row["flag"]), (&"6".into(), &"--uploads-max".into()));
    assert_eq!(of(&rows, "http.address")["value"], "127.0.0.1:9464");

    let people = config(&place, "show").ok();
    assert!(people.lines().iter().any(|line| line.ends_with("2  (line 5)")), "{}", people.text());
}

#[test]
fn a_file_and_the_flags_of_one_database_exclude_each_other() {
    let place = written(TWO);
    let replicate = Graphstream::new("replicate").arg("--config").arg(place.path("graphstream.toml"));
    replicate.args(["--journal", "j"]).run().expect_code(2).expect_stderr(["cannot be used with"]);
}
