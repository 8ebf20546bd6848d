//! Encrypted databases in a store, from outside: shipped, followed, read, rotated, turned on; and what is said without the key, with a wrong
//! one, and to what somebody put there.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Graphstream, Place, entries, get, http_address, key, until};
use graphstream_testkit::s3::{S3Server, environment};
use serde_json::{Value, json};

const KEY_FILE: &str = "GRAPHSTREAM_ENCRYPTION_KEY_FILE";

fn append(place: &Place, first: u64, count: u64, keys: &[&Path]) {
    place.on_journal("append").keys(keys).stdin(entries(first, count)).ok();
}

/// Ten entries in two segments, shipped.
fn shipped(place: &Place, file: &Path) {
    append(place, 1, 5, &[file]);
    append(place, 6, 5, &[file]);
    place.replicate().arg("--once").keys(&[file]).ok();
}

fn follow(place: &Place, name: &str) -> (Graphstream, PathBuf) {
    let path = place.path(name);
    (place.follow(format!("jsonl:{}", path.display())).arg("--once"), path)
}

/// What a follower wrote, without the lineage that `cat` does not print.
fn followed(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|mut line| {
            line.as_object_mut().unwrap().remove("lineage");
            line
        })
        .collect()
}

/// Every object of the store.
fn objects(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found)
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()))
            }
        }
    }
    let mut found = Vec::new();
    walk(&place.store(), &mut found);
    found
}

fn object(place: &Place, name: &str) -> PathBuf {
    place.store().join(Place::DATABASE).join(name)
}

/// What no object may show: words of the entries, the key as it stands in its file and as bytes, and chain hashes.
fn secrets(place: &Place, file: &Path, keys: &[&Path]) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(file).unwrap();
    let base64 = text.trim_end().rsplit(' ').next().unwrap().to_owned();
    let mut secret = vec![b"person".to_vec(), b"CREATE".to_vec(), base64.as_bytes()[..10].to_vec()];
    for line in place.on_journal("cat").arg("--json").keys(keys).ok().json_lines() {
        let hex = line["chain_hash"].as_str().unwrap().to_owned();
        let raw = (0..8).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        secret.extend([hex.as_bytes()[..16].to_vec(), raw]);
    }
    secret
}

#[test]
fn k02_the_whole_path_with_a_key_and_the_store_shows_nothing() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    append(&place, 1, 5, &[&file]);
    append(&place, 6, 5, &[&file]);
    let once = place.replicate().args(["--once", "--json"]).keys(&[&file]).ok().json();
    assert_eq!((&once["committed_sequence"], &once["segments"]), (&json!(10), &json!(2)));
    assert!(once["committed_chain_hash"].is_null());
    // By environment as by flag; the daemon, too, goes on where this was.
    let (call, target) = follow(&place, "follower.jsonl");
    call.env(KEY_FILE, &file).ok();
    append(&place, 11, 5, &[&file]);
    let daemon =
        place.replicate().args(["--upload-interval", "20ms", "--http", "0"]).env(KEY_FILE, &file).spawn();
    let address = http_address(&daemon);
    until("the daemon to ship", || get(&address, "/status").contains("\"sequence\":15").then_some(()));
    let (_, status) = cli::json(&address, "/status");
    assert!(status["databases"][0]["committed"]["chain_hash"].is_null());
    drop(daemon);
    follow(&place, "follower.jsonl").0.keys(&[&file]).ok();
    let entries = place.on_journal("cat").arg("--json").keys(&[&file]).ok().json_lines();
    assert_eq!(followed(&target), entries);
    assert_eq!(place.on_store("cat").arg("--json").keys(&[&file]).ok().json_lines(), entries);
    let verified = place.on_store("verify").arg("--json").keys(&[&file]).ok().json_lines();
    assert_eq!(verified.last().unwrap()["summary"]["entries"], 15);
    let status = place.on_store("status").arg("--json").keys(&[&file]).ok().json();
    let store = &status["store"];
    assert_eq!((&store["committed_sequence"], &store["encryption_key"]), (&json!(15), &json!(id)));
    assert!(store["committed_chain_hash"].is_null() && store["plain_up_to"].is_null());
    assert!(
        place.on_store("status").keys(&[&file]).ok().text().contains(&format!("encrypted    with key {id}"))
    );

    let all = objects(&place);
    assert!(all.len() >= 6, "{all:?}");
    for secret in secrets(&place, &file, &[&file]) {
        for (path, bytes) in &all {
            let shows = bytes.windows(secret.len()).any(|window| window == &secret[..]);
            assert!(!shows, "{} shows {:?}", path.display(), String::from_utf8_lossy(&secret));
        }
    }
}

#[test]
fn k02_the_whole_path_over_s3() {
    let (place, server) = (Place::new(), S3Server::honest().unwrap());
    let (file, _) = key(&place, "key");
    let url = server.url("secret");
    let with = |call: Graphstream| {
        environment().into_iter().fold(call, |call, (name, value)| call.env(name, value)).keys(&[&file])
    };
    append(&place, 1, 20, &[&file]);
    let ship =
        || with(place.on_journal("replicate")).args(["--once", "--database", Place::DATABASE, "--to", &url]);
    ship().ok();
    append(&place, 21, 20, &[&file]);
    ship().ok();
    let target = place.path("follower.jsonl");
    let to = format!("jsonl:{}", target.display());
    let on = |verb| with(Graphstream::new(verb)).args(["--from", &url, "--database", Place::DATABASE]);
    on("follow").args(["--once", "--target", &to]).ok();
    assert_eq!(followed(&target), place.on_journal("cat").arg("--json").keys(&[&file]).ok().json_lines());
    assert_eq!(on("verify").arg("--json").ok().json_lines().last().unwrap()["summary"]["entries"], 40);
}

#[test]
fn k04_without_the_key_or_with_another_nothing_is_shipped_or_read() {
    let place = Place::new();
    let ((file, id), (other, _)) = (key(&place, "key"), key(&place, "other"));
    append(&place, 1, 5, &[&file]);
    for keys in [&[][..], &[other.as_path()]] {
        for call in [place.replicate().arg("--once"), place.replicate()] {
            let end = call.keys(keys).run().expect_code(2).expect_no_stdout();
            end.expect_stderr([id.as_str(), "--encryption-key-file"]);
        }
    }
    assert!(!place.store().exists());
    place.replicate().arg("--once").keys(&[&file]).ok();
    for keys in [&[][..], &[other.as_path()]] {
        for call in
            [place.on_store("cat"), place.on_store("verify"), place.on_store("status"), follow(&place, "f").0]
        {
            let end = call.keys(keys).run().expect_code(2).expect_no_stdout();
            end.expect_stderr(["head.json", id.as_str(), "--encryption-key-file"]);
        }
    }
    assert!(!place.path("f").exists());
}

/// Keys for what is plain: refused as what a forger could have put there.
#[test]
fn h07_a_plain_database_is_refused_with_a_key() {
    let place = Place::new();
    let (file, _) = key(&place, "key");
    place.fill(1, 3);
    place.ship();
    for call in
        [place.on_store("cat"), place.on_store("verify"), place.on_store("status"), follow(&place, "f").0]
    {
        let end = call.keys(&[&file]).run().expect_code(5);
        end.expect_stderr(["head.json", "nothing unencrypted is accepted"]);
    }
    let end = place.on_store("cat").keys(&[&file]).run().expect_code(5);
    end.expect_stderr(["--encrypt-existing", "find out who replaced it"]);
    let end = place.replicate().arg("--once").keys(&[&file]).run().expect_code(2);
    end.expect_stderr(["does not say that the journal is encrypted"]);
}

#[test]
fn h06_what_somebody_put_into_the_store_is_refused() {
    let place = Place::new();
    let (file, _) = key(&place, "key");
    shipped(&place, &file);
    let head = object(&place, "head.json");
    let whole = fs::read_to_string(&head).unwrap();
    let refused = |words: &[&str]| {
        for (verb, call) in [("follow", follow(&place, "f").0), ("cat", place.on_store("cat"))] {
            let end = call.keys(&[&file]).run().expect_code(5);
            for word in words {
                assert!(end.stderr.contains(word), "{verb}: {}", end.stderr);
            }
        }
        let lines = fs::read_to_string(place.path("f")).unwrap_or_default();
        assert_eq!(lines.lines().count(), 0, "nothing was applied");
    };
    fs::write(&head, whole.replace("\"sequence\":10", "\"sequence\":9")).unwrap();
    refused(&["head.json", "its MAC is not one of key", "find out who can write to the store"]);
    place.replicate().arg("--once").keys(&[&file]).run().expect_code(5);
    let (_, content) = whole.split_once("\"content\":{").unwrap();
    fs::write(&head, format!("{{\"format\":1,{}", content.strip_suffix("}\n").unwrap())).unwrap();
    refused(&["head.json"]);
    fs::copy(object(&place, "epoch/00000001.json"), &head).unwrap();
    refused(&["head.json", "its MAC is not one of key"]);
    // Another database's head under the same key: a follower that knows its database refuses it, and so does every leader.
    let other = Place::new();
    shipped(&other, &file);
    fs::write(&head, &whole).unwrap();
    follow(&place, "known").0.keys(&[&file]).ok();
    fs::copy(object(&other, "head.json"), &head).unwrap();
    follow(&place, "known").0.keys(&[&file]).run().expect_code(5);
    place.replicate().arg("--once").keys(&[&file]).run().expect_code(5);
    fs::write(&head, &whole).unwrap();
    // Two segments change places; one is replaced by a plain one.
    let segments = place.objects();
    let (first, second) = (fs::read(&segments[0]).unwrap(), fs::read(&segments[1]).unwrap());
    fs::write(&segments[0], &second).unwrap();
    fs::write(&segments[1], &first).unwrap();
    follow(&place, "f").0.keys(&[&file]).run().expect_code(5);
    fs::write(&segments[1], &second).unwrap();
    fs::write(&segments[0], &first).unwrap();
    let plain = place.path("plain.hadbj");
    let convert = Graphstream::new("convert").arg(&segments[0]).arg("--output").arg(&plain);
    convert.args(["--to-version", "2", "--decrypt"]).keys(&[&file]).ok();
    fs::copy(&plain, &segments[0]).unwrap();
    follow(&place, "f").0.keys(&[&file]).run().expect_code(5);
    let rows = place.on_store("verify").arg("--json").keys(&[&file]).run().expect_code(5).json_lines();
    assert_eq!(rows[0]["status"], "damaged");
    fs::write(&segments[0], &first).unwrap();
    // An epoch object is for whoever leads next.
    let epoch = object(&place, "epoch/00000001.json");
    let text = fs::read_to_string(&epoch).unwrap();
    fs::write(&epoch, text.replace("\"start_sequence\":0", "\"start_sequence\":1")).unwrap();
    append(&place, 11, 1, &[&file]);
    place
        .replicate()
        .arg("--once")
        .keys(&[&file])
        .run()
        .expect_code(5)
        .expect_stderr(["epoch/00000001.json"]);
    fs::write(&epoch, text).unwrap();
    place.replicate().arg("--once").keys(&[&file]).ok();
    follow(&place, "f").0.keys(&[&file]).ok();
    assert_eq!(followed(&place.path("f")).len(), 11);
}

#[test]
fn k03_a_key_is_rotated_as_the_runbook_says() {
    let place = Place::new();
    let ((old, old_id), (new, new_id)) = (key(&place, "old"), key(&place, "new"));
    shipped(&place, &old);
    follow(&place, "follower").0.keys(&[&old]).ok();
    // Everybody has the new key before anybody uses it.
    follow(&place, "follower").0.keys(&[&old, &new]).ok();
    append(&place, 11, 5, &[&new, &old]);
    let end = place.replicate().arg("--once").keys(&[&old]).run().expect_code(2);
    end.expect_stderr([new_id.as_str()]);
    place.replicate().arg("--once").keys(&[&new, &old]).ok();
    follow(&place, "follower").0.keys(&[&old]).run().expect_code(2).expect_stderr([new_id.as_str()]);
    follow(&place, "follower").0.keys(&[&old, &new]).ok();
    assert_eq!(followed(&place.path("follower")).len(), 15);
    let status = place.on_store("status").arg("--json").keys(&[&new, &old]).ok().json();
    assert_eq!(status["store"]["encryption_key"], json!(new_id));
    // What the old key sealed still takes it.
    follow(&place, "fresh").0.keys(&[&new]).run().expect_code(2).expect_stderr([old_id.as_str()]);
}

#[test]
fn k03_encryption_is_turned_on_for_a_published_database() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    place.fill(2, 3);
    place.ship();
    follow(&place, "follower").0.ok();
    place.append(entries(7, 3));
    place.on_journal("append").arg("--encrypt-existing").keys(&[&file]).stdin(entries(10, 3)).ok();
    place.replicate().arg("--once").run().expect_code(2).expect_stderr([id.as_str()]);
    let before = place.objects().len();
    place.replicate().arg("--once").keys(&[&file]).ok();
    let flags: Vec<_> = place.objects().iter().map(|path| fs::read(path).unwrap()[6] & 0x10 != 0).collect();
    assert_eq!(flags, [false, false, true, true], "{before} were plain; what was sealed plain later is not");
    let status = place.on_store("status").arg("--json").keys(&[&file]).ok().json();
    assert_eq!(
        (&status["store"]["plain_up_to"], &status["store"]["encryption_key"]),
        (&json!(6), &json!(id))
    );
    follow(&place, "follower").0.run().expect_code(2).expect_stderr([id.as_str()]);
    follow(&place, "follower").0.keys(&[&file]).ok();
    follow(&place, "fresh").0.keys(&[&file]).ok();
    let all = place.on_journal("cat").arg("--json").keys(&[&file]).ok().json_lines();
    assert_eq!((followed(&place.path("follower")), followed(&place.path("fresh"))), (all.clone(), all));
    place.on_store("verify").keys(&[&file]).ok();
    place.on_store("cat").keys(&[&file]).ok();
}

#[test]
fn the_configuration_names_key_files_for_one_database_or_all() {
    let place = Place::new();
    let ((one, _), (other, _)) = (key(&place, "one.key"), key(&place, "other.key"));
    place.on_journal("append").keys(&[&one]).stdin(entries(1, 3)).ok();
    let second = place.path("second");
    Graphstream::new("append").arg("--journal").arg(&second).keys(&[&other]).stdin(entries(1, 4)).ok();
    let file = place.path("graphstream.toml");
    let text = format!(
        "[defaults]\nto = \"{}\"\nencryption_key_file = \"one.key\"\n\n[[database]]\nname = \"first\"\njournal = {:?}\n\n\
         [[database]]\nname = \"second\"\njournal = \"second\"\nencryption_key_file = [\"other.key\", \"one.key\"]\n",
        place.url(),
        place.journal()
    );
    fs::write(&file, text).unwrap();
    let rows = Graphstream::new("config").args(["show", "--json", "--config"]).arg(&file).ok().json();
    let shown = |key: &str| {
        let rows = rows["settings"].as_array().unwrap_or_else(|| panic!("{rows}"));
        rows.iter().find(|row| row["key"] == key).unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown("database.first.encryption_key_file"), one.display().to_string());
    let both = format!("{}:{}", other.display(), one.display());
    assert_eq!(shown("database.second.encryption_key_file"), both);
    Graphstream::new("replicate").args(["--once", "--config"]).arg(&file).ok();
    for (name, key, count) in [("first", &one, 3), ("second", &other, 4)] {
        let cat = Graphstream::new("cat").args(["--json", "--database", name, "--from", &place.url()]);
        assert_eq!(cat.keys(&[key]).ok().json_lines().len(), count);
    }
}

#[test]
fn a_lost_disk_is_continued_with_the_key() {
    let (place, new) = (Place::new(), Place::new());
    let (file, id) = key(&place, "key");
    shipped(&place, &file);
    let call = |keys: &[&Path]| {
        let call = new.on_journal("replicate").args(["--once", "--continue-from-head", "--database"]);
        call.args([Place::DATABASE, "--to", &place.url()]).keys(keys)
    };
    call(&[]).run().expect_code(2).expect_stderr([id.as_str()]);
    call(&[&file]).ok();
    append(&new, 11, 5, &[&file]);
    call(&[&file]).ok();
    follow(&place, "follower").0.keys(&[&file]).ok();
    assert_eq!(followed(&place.path("follower")).len(), 15);
    place.on_store("verify").keys(&[&file]).ok();
}

#[test]
fn k03_keys_in_the_store_are_opened_by_a_master_and_wrapped_again_by_another() {
    let place = Place::new();
    let ((file, id), (master, master_id), (next, next_id)) =
        (key(&place, "key"), key(&place, "master"), key(&place, "next"));
    append(&place, 1, 5, &[&file]);
    let masters = |call: Graphstream, files: &[&Path]| {
        files.iter().fold(call, |call, file| call.arg("--encryption-master-key-file").arg(file))
    };
    let wrap = || {
        let call = Graphstream::new("key").args(["wrap", "--json", "--database", Place::DATABASE, "--to"]);
        call.arg(place.url())
    };
    // A store that is not there is not made.
    masters(wrap(), &[&master]).keys(&[&file]).run().expect_code(4);
    place.replicate().arg("--once").keys(&[&file]).ok();
    wrap().keys(&[&file]).run().expect_code(2).expect_stderr(["--encryption-master-key-file"]);
    masters(wrap(), &[&master]).run().expect_code(2).expect_stderr(["no keys.json", "--encryption-key-file"]);
    masters(follow(&place, "f").0, &[&master]).run().expect_code(2).expect_stderr(["graphstream key wrap"]);
    let made = masters(wrap(), &[&master]).keys(&[&file]).ok().json();
    assert_eq!(made, json!({"created": true, "master_key": master_id, "keys": [id]}));
    // The master alone, by flag and environment, for whoever opens the store.
    append(&place, 6, 5, &[&file]);
    masters(place.replicate().arg("--once"), &[&master]).ok();
    follow(&place, "f").0.env("GRAPHSTREAM_ENCRYPTION_MASTER_KEY_FILE", &master).ok();
    assert_eq!(followed(&place.path("f")).len(), 10);
    for verb in ["cat", "verify", "status"] {
        masters(place.on_store(verb), &[&master]).ok();
        place.on_store(verb).run().expect_code(2);
    }
    // Another master: the old one opens nothing any more, and no segment was touched.
    let segments = place.objects().iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    let made = masters(wrap(), &[&next, &master]).ok().json();
    assert_eq!(made, json!({"created": false, "master_key": next_id, "keys": [id]}));
    let end = masters(place.on_store("cat"), &[&master]).run().expect_code(2);
    end.expect_stderr(["keys.json", next_id.as_str()]);
    masters(place.on_store("cat"), &[&next]).ok();
    assert!(
        segments.iter().eq(place
            .objects()
            .iter()
            .map(|path| fs::read(path).unwrap())
            .collect::<Vec<_>>()
            .iter())
    );
    // What somebody changed is no ring.
    let keys = object(&place, "keys.json");
    fs::write(&keys, fs::read_to_string(&keys).unwrap().replace("\"key_id\":\"", "\"key_id\": \"")).unwrap();
    masters(place.on_store("cat"), &[&next]).run().expect_code(5).expect_stderr(["keys.json"]);
}
