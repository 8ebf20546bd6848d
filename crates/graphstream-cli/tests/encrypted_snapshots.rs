//! Snapshots of an encrypted database, from outside: made, shown, restored and followed with its key, and what is said without it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Graphstream, Place, Signal, entries, key, until};
use serde_json::{Value, json};

fn ship(place: &Place, first: u64, count: u64, file: &Path) {
    place.on_journal("append").keys(&[file]).stdin(entries(first, count)).ok();
    place.replicate().arg("--once").keys(&[file]).ok();
}

fn target(place: &Place, name: &str) -> String {
    format!("grafeo:{}", place.path(name).display())
}

fn snapshot(place: &Place, args: &[&str]) -> Graphstream {
    let call = Graphstream::new("snapshot").args(args).env("TMPDIR", place.path(""));
    call.args(["--to", &place.url(), "--database", Place::DATABASE])
}

/// Twelve entries in three segments, and a database of grafeo that has them.
fn followed(place: &Place, file: &Path) -> String {
    for first in [1, 5, 9] {
        ship(place, first, 4, file);
    }
    let people = target(place, "people.grafeo");
    place.follow(&people).arg("--once").keys(&[file]).ok();
    people
}

fn digest(target: &str) -> Value {
    let status = Graphstream::new("status").args(["--target", target, "--digest", "--json"]);
    status.ok().json_lines()[0]["target"]["digest"].clone()
}

/// Everything below a directory.
fn files(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
}

#[test]
fn k02_an_encrypted_database_is_copied_restored_and_followed_and_the_store_shows_nothing() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    let people = followed(&place, &file);
    let create = snapshot(&place, &["create", "--target", &people, "--json"]).keys(&[&file]);
    let made = create.ok().json();
    assert_eq!((&made["sequence"], &made["key_id"]), (&json!(12), &json!(id)));
    let shown = snapshot(&place, &["show"]).keys(&[&file]).ok();
    assert!(shown.text().contains(&format!("key         {id}")), "{}", shown.text());
    let rows = snapshot(&place, &["show", "--json"]).keys(&[&file]).ok().json_lines();
    let hashes = rows[0]["files"].as_array().unwrap().iter().map(|it| it["sha256"].as_str().unwrap());
    let mut secrets: Vec<Vec<u8>> = hashes.map(|hash| hash.as_bytes()[..16].to_vec()).collect();
    secrets.push(made["chain_hash"].as_str().unwrap().as_bytes()[..16].to_vec());
    secrets.extend([
        b"person".to_vec(),
        b"CREATE".to_vec(),
        b"Person".to_vec(),
        b"\"path\"".to_vec(),
        b"ustar".to_vec(),
    ]);
    let mut objects = Vec::new();
    files(&place.store(), &mut objects);
    assert!(objects.iter().any(|(path, _)| path.to_string_lossy().contains("/part-")), "{objects:?}");
    for secret in secrets {
        for (path, bytes) in &objects {
            let shows = bytes.windows(secret.len()).any(|window| window == &secret[..]);
            assert!(!shows, "{} shows {:?}", path.display(), String::from_utf8_lossy(&secret));
        }
    }
    // Back from the first entry, then from the snapshot alone; each is the database that was copied.
    let restore = |name: &str, with: &[&str]| {
        let to = target(&place, name);
        let restore = place.on_store("restore").args(["--target", &to, "--json"]).args(with);
        (restore.keys(&[&file]).ok().json(), digest(&to))
    };
    let expected = digest(&people);
    let (report, found) = restore("first.grafeo", &["--sequence", "11"]);
    assert!(report["snapshot"].is_null() && found != expected, "{report}");
    ship(&place, 13, 4, &file);
    for object in &place.objects()[..3] {
        fs::remove_file(object).unwrap();
    }
    let (report, found) = restore("second.grafeo", &["--sequence", "12"]);
    assert_eq!((report["snapshot"].is_null(), found), (false, expected));
    // A new follower, and one that fell behind.
    let new = target(&place, "new.grafeo");
    place.follow(&new).arg("--once").keys(&[&file]).ok();
    let behind = target(&place, "first.grafeo");
    place.follow(&behind).arg("--once").keys(&[&file]).run().expect_code(0);
    assert_eq!(digest(&behind), digest(&new));
}

#[test]
fn k04_without_its_key_and_with_another_each_verb_says_which() {
    let place = Place::new();
    let ((file, id), (other, _)) = (key(&place, "key"), key(&place, "other"));
    let people = followed(&place, &file);
    snapshot(&place, &["create", "--target", &people]).keys(&[&file]).ok();
    for (keys, said) in [(vec![], "no key was given"), (vec![&*other], "not among the keys given")] {
        let to = target(&place, "nothing.grafeo");
        for call in [
            snapshot(&place, &["create", "--target", &people]),
            snapshot(&place, &["list"]),
            snapshot(&place, &["show"]),
            place.on_store("restore").args(["--target", &to]),
        ] {
            call.keys(&keys).run().expect_code(2).expect_stderr([said, &id, "Try:"]);
        }
        assert!(!place.path("nothing.grafeo").exists());
    }
    // What is plain is refused by who has a key, as damage.
    let snap = place.store().join(Place::DATABASE).join("snap");
    let manifest = fs::read_dir(snap).unwrap().next().unwrap().unwrap().path().join("manifest.json");
    let sealed = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, sealed.replacen("\"format\":2", "\"format\":1", 1)).unwrap();
    let end = snapshot(&place, &["list"]).keys(&[&file]).run().expect_code(5);
    end.expect_stderr(["nothing unencrypted is accepted"]);
    fs::write(&manifest, sealed.replacen("\"created_ms\":1", "\"created_ms\":2", 1)).unwrap();
    let end = snapshot(&place, &["list"]).keys(&[&file]).run().expect_code(5);
    end.expect_stderr(["was not written by who has key"]);
}

#[test]
fn a_daemon_with_the_key_makes_encrypted_ones_on_its_schedule() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    followed(&place, &file);
    let config = format!(
        "[defaults]\nto = '{}'\nencryption_key_file = 'key'\n[[database]]\nname = 'people'\njournal = 'journal'\n\
         [database.snapshot]\nsource = 'grafeo:people.grafeo'\ninterval = '1h'\nstaging = '.'\n",
        place.url()
    );
    fs::write(place.path("graphstream.toml"), config).unwrap();
    let daemon = Graphstream::new("replicate").arg("--config").arg(place.path("graphstream.toml")).spawn();
    let list = || snapshot(&place, &["list", "--json"]).keys(&[&file]).ok().json_lines();
    let made = until("a snapshot", || list().into_iter().find(|row| row["complete"] == true));
    assert_eq!((&made["sequence"], &made["key_id"]), (&json!(12), &json!(id)));
    daemon.kill(Signal::Term).expect_code(0);
}
