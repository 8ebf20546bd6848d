//! `key generate`: a file for its owner alone, its id on stdout, the key nowhere but in the file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cli::{Graphstream, Place};

fn generate(place: &Place, name: &str) -> Graphstream {
    Graphstream::new("key").args(["generate", "--output"]).arg(place.path(name))
}

#[test]
fn k03_a_key_is_generated_into_a_file_of_its_owner_and_its_id_is_printed() {
    let place = Place::new();
    let done = generate(&place, "key").run().expect_code(0);
    let path = place.path("key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let file = fs::read_to_string(&path).unwrap();
    let [label, id, secret] = file.trim_end().split(' ').collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((label, id.len(), secret.len()), ("graphstream-key-1", 32, 44));
    assert_eq!(done.lines()[0], format!("key {id} in {}", path.display()));
    // K01: the key is in the file and nowhere else.
    assert!(!done.text().contains(secret) && !done.stderr.contains(secret));

    let second = generate(&place, "second").arg("--json").run().expect_code(0).json();
    assert_eq!(second["file"], place.path("second").display().to_string());
    assert_ne!(second["id"], id);
    assert!(fs::read_to_string(place.path("second")).unwrap().contains(second["id"].as_str().unwrap()));
}

#[test]
fn k03_a_key_file_is_never_overwritten() {
    let place = Place::new();
    generate(&place, "key").run().expect_code(0);
    let before = fs::read(place.path("key")).unwrap();
    let refused = generate(&place, "key").run().expect_code(2).expect_no_stdout();
    refused.expect_stderr(["creating the key file", "name a new file"]);
    assert_eq!(fs::read(place.path("key")).unwrap(), before);
    generate(&place, "none/key").run().expect_code(1).expect_no_stdout();
}
