//! Encrypted journals and segments from outside: every verb with its key, without it, and with what is no key.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cli::{Finished, Graphstream, Place, Signal, entries, key};
use serde_json::{Value, json};

const KEY_FILE: &str = "GRAPHSTREAM_ENCRYPTION_KEY_FILE";

fn append(place: &Place, first: u64, count: u64, keys: &[&Path]) {
    place.on_journal("append").keys(keys).stdin(entries(first, count)).ok();
}

/// Two encrypted segments of five entries each.
fn encrypted(place: &Place, key: &Path) -> Vec<PathBuf> {
    append(place, 1, 5, &[key]);
    append(place, 6, 5, &[key]);
    place.segments()
}

fn sequences(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
}

fn holds(path: &Path, what: &str) -> bool {
    fs::read(path).unwrap().windows(what.len()).any(|window| window == what.as_bytes())
}

/// The journal's directory, every file with its content.
fn disk(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(place.journal()).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file() && !path.ends_with("LOCK")).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn k04_an_encrypted_journal_is_written_and_read_with_a_key_file_by_flag_or_environment() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    let segments = encrypted(&place, &file);
    assert!(segments.iter().all(|segment| !holds(segment, "person")));
    assert_eq!(sequences(&place.on_journal("cat").arg("--json").keys(&[&file]).ok().json_lines()).len(), 10);
    let by_environment = || place.on_journal("cat").arg("--json").env(KEY_FILE, &file);
    assert_eq!(sequences(&by_environment().ok().json_lines()), (1..=10).collect::<Vec<_>>());
    let from = by_environment().args(["--from-sequence", "7"]).ok().json_lines();
    assert_eq!(sequences(&from), [7, 8, 9, 10]);
    // The flag is what counts, if there is one; several files in the environment stand between colons.
    let (other, _) = key(&place, "other");
    by_environment().keys(&[&other]).run().expect_code(2);
    let both = format!("{}:{}", other.display(), file.display());
    place.on_journal("append").env(KEY_FILE, &both).stdin(entries(11, 1)).ok();
    assert_eq!(place.on_journal("cat").env(KEY_FILE, &both).ok().lines().len(), 11);
    assert_eq!(
        Graphstream::new("cat").args(&segments).keys(&[&file]).ok().lines().len(),
        10,
        "segment by segment"
    );
    let status = place.on_journal("status").arg("--json").env(KEY_FILE, &both).ok().json();
    assert_eq!(status["journal"]["chain_hash"].as_str().unwrap().len(), 64);
    assert_ne!(status["journal"]["encryption_key"], id, "the new current key");
}

/// Without the key: nothing of an entry, nothing changed, and what to do next.
#[test]
fn h07_without_its_key_nothing_is_read_and_nothing_changes() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    let segments = encrypted(&place, &file);
    let before = disk(&place);
    for call in [
        place.on_journal("append").stdin(entries(11, 1)),
        place.on_journal("cat"),
        Graphstream::new("cat").arg(&segments[0]),
        Graphstream::new("cat").arg("--json").arg(&segments[0]),
    ] {
        let end = call.run().expect_code(2).expect_no_stdout();
        end.expect_stderr([id.as_str(), "--encryption-key-file"]);
    }
    let (other, _) = key(&place, "other");
    for call in [
        place.on_journal("append").stdin(entries(11, 1)),
        place.on_journal("cat"),
        place.on_journal("verify"),
        place.on_journal("status"),
        Graphstream::new("cat").arg(&segments[0]),
    ] {
        let end = call.keys(&[&other]).run().expect_code(2);
        end.expect_stderr([id.as_str(), "--encryption-key-file"]);
    }
    let status = place.on_journal("status").arg("--json").ok().json();
    assert_eq!(
        (&status["journal"]["written_sequence"], &status["journal"]["encryption_key"]),
        (&json!(10), &json!(id))
    );
    assert!(status["journal"]["chain_hash"].is_null());
    place.on_journal("status").ok();
    assert!(disk(&place) == before);
}

/// What takes no key is verified without one, and no more is claimed.
#[test]
fn verify_says_what_it_could_not_verify() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    let segments = encrypted(&place, &file);
    let whole = place.on_journal("verify").arg("--json").keys(&[&file]).ok().json_lines();
    assert_eq!((&whole[2]["summary"]["entries"], &whole[2]["summary"]["encrypted"]), (&json!(10), &json!(0)));
    Graphstream::new("verify").args(&segments).keys(&[&file]).ok();

    for call in [place.on_journal("verify"), Graphstream::new("verify").args(&segments)] {
        let end = call.arg("--json").run().expect_code(2);
        let rows = end.json_lines();
        for row in &rows[..2] {
            assert_eq!((&row["status"], &row["entries"]), (&json!("encrypted"), &json!(0)));
            assert_eq!(row["problem"]["kind"], "key_required");
            assert!(row["problem"]["message"].as_str().unwrap().contains(&id));
        }
        let summary = &rows[2]["summary"];
        assert_eq!(
            (&summary["encrypted"], &summary["damaged"], &summary["entries"]),
            (&json!(2), &json!(0), &json!(0))
        );
        assert!(end.error()["message"].as_str().unwrap().contains("2 encrypted segments"));
    }
    place.on_journal("verify").run().expect_code(2).expect_stderr(["--encryption-key-file"]);

    // Damage comes first, with the key and without.
    let mut bytes = fs::read(&segments[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segments[0], &bytes).unwrap();
    for keys in [&[][..], &[file.as_path()]] {
        let rows = place.on_journal("verify").arg("--json").keys(keys).run().expect_code(5).json_lines();
        assert_eq!(rows[0]["status"], "damaged");
        Graphstream::new("inspect").arg(&segments[0]).keys(keys).run().expect_code(5);
    }
    // And so does a gap between segments that can't be read.
    append(&place, 11, 1, &[&file]);
    fs::remove_file(&segments[1]).unwrap();
    let rows = place.on_journal("verify").arg("--json").run().expect_code(5).json_lines();
    assert!(rows.iter().any(|row| row["status"] == "gap" && row["first_sequence"] == 6), "{rows:?}");
}

#[test]
fn inspect_shows_entries_with_the_key_alone() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    let segments = encrypted(&place, &file);
    let inspect = || Graphstream::new("inspect").arg("--json").arg(&segments[0]);
    let without = inspect().run().expect_code(2);
    let found = without.json();
    assert_eq!((&found["body"]["status"], &found["body"]["entries"]), (&json!("encrypted"), &json!(0)));
    assert_eq!(found["body"]["body_checksum_verified"], true);
    assert_eq!(found["header"].as_array().unwrap().len(), 16);
    assert!(without.stderr.contains(&id), "{}", without.stderr);
    let with = inspect().arg("--entries").keys(&[&file]).ok().json();
    assert_eq!((&with["body"]["status"], &with["body"]["entries"]), (&json!("whole"), &json!(5)));
    assert_eq!(with["entries"].as_array().unwrap().len(), 5);
    Graphstream::new("inspect").arg("--hex").arg(&segments[0]).keys(&[&file]).ok();
    // A plain one is shown though a key is given: it shows, and accepts nothing.
    let plain = Place::new();
    plain.fill(1, 3);
    Graphstream::new("inspect").arg(&plain.segments()[0]).keys(&[&file]).ok();
}

#[test]
fn h07_a_plain_journal_is_encrypted_from_here_on_only_if_that_is_said() {
    let place = Place::new();
    place.fill(2, 3);
    let (file, id) = key(&place, "key");
    let before = disk(&place);
    for call in
        [place.on_journal("append").stdin(entries(7, 1)), place.on_journal("cat"), place.on_journal("verify")]
    {
        let end = call.keys(&[&file]).run().expect_code(2).expect_no_stdout();
        end.expect_stderr(["does not say that the journal is encrypted", "--encrypt-existing"]);
    }
    let end = Graphstream::new("cat").arg(&place.segments()[0]).keys(&[&file]).run().expect_code(5);
    end.expect_stderr(["is not encrypted"]);
    let end = place.on_journal("append").arg("--encrypt-existing").stdin(entries(7, 1)).run().expect_code(2);
    end.expect_stderr(["--encrypt-existing takes a key", "graphstream key generate"]);
    assert!(disk(&place) == before);

    place.on_journal("append").arg("--encrypt-existing").keys(&[&file]).stdin(entries(7, 2)).ok();
    let encrypted: Vec<_> =
        place.segments().iter().map(|segment| fs::read(segment).unwrap()[6] & 0x10 != 0).collect();
    assert_eq!(encrypted, [false, false, true]);
    let rows = place.on_journal("verify").arg("--json").keys(&[&file]).ok().json_lines();
    assert_eq!(rows[3]["summary"]["entries"], 8);
    let cat = place.on_journal("cat").arg("--json").keys(&[&file]).ok().json_lines();
    assert_eq!(sequences(&cat), (1..=8).collect::<Vec<_>>());
    let status = place.on_journal("status").arg("--json").ok().json();
    assert_eq!(
        (&status["journal"]["encryption_key"], &status["journal"]["plain_up_to"]),
        (&json!(id), &json!(6))
    );
    place.on_journal("status").ok();
}

/// A plain segment in the place of an encrypted one is damage, by whatever verb.
#[test]
fn h07_a_plain_segment_among_encrypted_ones_is_refused() {
    let place = Place::new();
    let (file, _) = key(&place, "key");
    let segments = encrypted(&place, &file);
    let plain = place.path("plain.hadbj");
    convert(&segments[0], &plain).arg("--decrypt").keys(&[&file]).ok();
    fs::rename(&plain, &segments[0]).unwrap();
    for verb in ["cat", "verify"] {
        let end = place.on_journal(verb).keys(&[&file]).run().expect_code(5);
        end.expect_stderr(["is not encrypted, although encryption is required"]);
    }
}

fn convert(file: &Path, output: &Path) -> Graphstream {
    Graphstream::new("convert").arg(file).arg("--output").arg(output).args(["--to-version", "2"])
}

fn entries_of(file: &Path, keys: &[&Path]) -> Vec<Value> {
    Graphstream::new("cat").arg("--json").arg(file).keys(keys).ok().json_lines()
}

#[test]
fn convert_encrypts_gives_another_key_and_decrypts() {
    let place = Place::new();
    let ((old, old_id), (new, new_id)) = (key(&place, "old"), key(&place, "new"));
    place.fill(1, 2_000);
    let plain = place.segments().remove(0);
    let original = entries_of(&plain, &[]);
    let (once, twice, back) = (place.path("once"), place.path("twice"), place.path("back"));

    let made = convert(&plain, &once).args(["--encrypt", "--json"]).keys(&[&old]).ok().json();
    assert_eq!(
        (&made["encryption_key"], &made["chain_hash"]),
        (&json!(old_id), &original.last().unwrap()["chain_hash"])
    );
    assert!(!holds(&once, "person"));
    assert_eq!(entries_of(&once, &[&old]), original);
    Graphstream::new("cat").arg(&once).keys(&[&new]).run().expect_code(2);

    let made = convert(&once, &twice).args(["--encrypt", "--json"]).keys(&[&new, &old]).ok().json();
    assert_eq!(made["encryption_key"], json!(new_id));
    assert_eq!(entries_of(&twice, &[&new]), original);

    let made = convert(&twice, &back).args(["--decrypt", "--json"]).keys(&[&new]).ok().json();
    assert!(made["encryption_key"].is_null());
    assert!(fs::read(&back).unwrap() == fs::read(&plain).unwrap());

    let output = place.path("none");
    for (call, said) in [
        (convert(&once, &output).keys(&[&old]), "what the output is to be was not said"),
        (convert(&once, &output), "what the output is to be was not said"),
        (convert(&once, &output).arg("--decrypt"), "--decrypt takes a key"),
        (convert(&plain, &output).arg("--encrypt"), "--encrypt takes a key"),
        (convert(&plain, &output).arg("--decrypt").keys(&[&old]), "is not encrypted"),
        (convert(&once, &output).arg("--decrypt").keys(&[&new]), old_id.as_str()),
        (convert(&once, &output).args(["--encrypt", "--decrypt"]).keys(&[&old]), "cannot be used with"),
    ] {
        call.run().expect_code(2).expect_no_stdout().expect_stderr([said]);
    }
    let version_1 = Graphstream::new("convert").arg(&plain).arg("--output").arg(&output);
    let end = version_1.args(["--to-version", "1", "--encrypt"]).keys(&[&old]).run().expect_code(2);
    end.expect_stderr(["version 1 cannot be encrypted"]);
    assert!(!output.exists());
}

/// An open segment has no range in its header: it is read first.
#[test]
fn convert_encrypts_an_open_segment_without_its_torn_tail() {
    let place = Place::new();
    let mut writer = place.append_left_open().spawn_with_stdin();
    writer.write(&entries(1, 4));
    writer.wait_for_stdout("acknowledgements", |lines| (lines.len() == 4).then_some(()));
    writer.kill(Signal::Kill);
    let (file, _) = key(&place, "key");
    let (open, output) = (place.segments().remove(0), place.path("encrypted"));
    convert(&open, &output).arg("--encrypt").keys(&[&file]).ok();
    assert_eq!(sequences(&entries_of(&output, &[&file])), [1, 2, 3, 4]);
}

/// What is no key file, and what to do about it.
#[test]
fn k03_what_is_no_key_file_is_named_with_the_next_step() {
    let place = Place::new();
    let (file, id) = key(&place, "key");
    encrypted(&place, &file);
    let text = fs::read_to_string(&file).unwrap();
    let secret = text.trim_end().rsplit(' ').next().unwrap().to_owned();
    let with = |name: &str, content: &str, mode: u32| {
        let path = place.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let wrong_id = text.replacen(&id, "000102030405060708090a0b0c0d0e0f", 1);
    for (path, said) in [
        (place.path("missing"), ["missing", "check --encryption-key-file"]),
        (place.path(""), ["not a regular file", "check --encryption-key-file"]),
        (with("exposed", &text, 0o644), ["has mode 0644, expected 0600", "chmod 600"]),
        (with("swapped", &wrong_id, 0o600), ["000102030405060708090a0b0c0d0e0f", "a copy of the key file"]),
        (with("empty", "", 0o600), ["graphstream-key-1", "a copy of the key file"]),
        (with("long", &text.repeat(9), 0o600), ["expected at most", "check --encryption-key-file"]),
    ] {
        for verb in ["cat", "append", "verify", "status"] {
            let end = place.on_journal(verb).keys(&[&path]).run().expect_code(2).expect_no_stdout();
            let end = end.expect_stderr(said);
            assert!(!end.stderr.contains(&secret[..8]), "{}", end.stderr);
        }
    }
    // The key itself belongs into no flag, and is shown by no message.
    let end = place.on_journal("cat").arg("--encryption-key-file").arg(&secret).run().expect_code(2);
    assert!(end.stderr.contains("check --encryption-key-file"), "{}", end.stderr);
}

/// K01: neither a key nor an entry is in anything that the verbs print or log, but for `cat`, which prints entries.
#[test]
fn k01_no_output_shows_a_key_or_an_entry() {
    let place = Place::new();
    let (file, _) = key(&place, "key");
    let segments = encrypted(&place, &file);
    let text = fs::read_to_string(&file).unwrap();
    let secret = text.trim_end().rsplit(' ').next().unwrap();
    let hidden = |end: Finished| {
        let said = format!("{}{}", String::from_utf8_lossy(&end.stdout), end.stderr);
        assert!(!said.contains(&secret[..8]), "graphstream {}: {said}", end.args);
        assert!(!said.contains("person"), "graphstream {}: {said}", end.args);
    };
    for keys in [&[][..], &[file.as_path()]] {
        for level in ["trace", "warn"] {
            let log = |call: Graphstream| call.args(["--log-level", level]).keys(keys).run();
            hidden(log(place.on_journal("append").arg("--acks").stdin(entries(11, 2))));
            hidden(log(place.on_journal("verify")));
            hidden(log(place.on_journal("status")));
            hidden(log(Graphstream::new("inspect").arg("--entries").arg(&segments[0])));
            hidden(log(convert(&segments[1], &place.path("out")).arg("--encrypt")));
            let _ = fs::remove_file(place.path("out"));
        }
    }
    let end = place.on_journal("cat").args(["--log-level", "trace"]).keys(&[&file]).ok();
    assert!(
        end.text().contains("person") && !end.stderr.contains("person") && !end.stderr.contains(&secret[..8])
    );
    assert!(place.segments().iter().all(|segment| !holds(segment, "person")));
}
