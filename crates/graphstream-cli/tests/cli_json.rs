//! `docs/cli-json.md` is what programs rely on: its tables are compared with the keys of real output, both ways.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cli::{Graphstream, Place, Running, Signal, copy_dir, entries};
use graphstream::format::{ReadOptions, SegmentReader, SegmentVersion, WriteOptions, convert};
use graphstream_testkit::s3::{Conduct, S3Server, environment};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../docs/cli-json.md");

/// The lines of the section with this heading.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    let begin = format!("## {heading}");
    assert!(DOCUMENT.lines().any(|line| line == begin), "no section {heading}");
    DOCUMENT
        .lines()
        .skip_while(move |line| *line != begin)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
}

/// The keys of a section's table, and whether each is always there.
fn documented(heading: &str) -> BTreeMap<String, bool> {
    let rows = section(heading).filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.len() == 4);
    rows.map(|cells| (cells[0].trim_matches(['|', ' ', '`']).to_owned(), cells[2] == "always")).collect()
}

/// Collects `a.b` and `a[].b` for every value that is no object and no list of objects.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        // What stands in there is the application's.
        _ if path == "params" => {
            found.insert(path.to_owned());
        }
        Value::Object(map) => {
            for (key, value) in map {
                keys(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
            }
        }
        Value::Array(list) if list.iter().all(Value::is_object) => {
            list.iter().for_each(|value| keys(value, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// Expects that `outputs` have the documented keys: no other, each at least once, and those that are always there always.
#[track_caller]
fn compare(heading: &str, outputs: &[Value]) {
    let documented = documented(heading);
    assert!(!documented.is_empty(), "no table in {heading}");
    let mut all = BTreeSet::new();
    for output in outputs {
        let mut found = BTreeSet::new();
        keys(output, "", &mut found);
        for (key, always) in &documented {
            let parent = key.rfind('.').map_or("", |dot| &key[..=dot]);
            let has_parent = found.iter().any(|found| found.starts_with(parent));
            // A summary stands on a line of its own.
            let has_parent = has_parent && !(parent.is_empty() && output["summary"].is_object());
            assert!(!always || !has_parent || found.contains(key), "{heading}: no {key} in {output}");
        }
        all.extend(found);
    }
    let undocumented: Vec<_> = all.iter().filter(|key| !documented.contains_key(*key)).collect();
    assert!(undocumented.is_empty(), "{heading} does not know {undocumented:?}");
    let unseen: Vec<_> = documented.keys().filter(|key| !all.contains(*key)).collect();
    assert!(unseen.is_empty(), "{heading}: never printed {unseen:?}");
}

/// Output with --json, whatever the exit code.
fn printed(call: Graphstream) -> Vec<Value> {
    call.arg("--json").run().json_lines()
}

fn flip_last_byte(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Seals a segment again in version 1, where damage may show while decompressing, at an offset that is not the file's.
fn damage_compressed_body(path: &std::path::Path) {
    let bytes = fs::read(path).unwrap();
    let mut reader =
        SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
    let options = WriteOptions::default().with_version(SegmentVersion::V1);
    let sealed = convert(&mut reader, std::io::Cursor::new(Vec::new()), &options, None).unwrap();
    let mut bytes = sealed.inner.into_inner();
    bytes[128] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A journal with a sealed segment, and an open one whose writer was killed.
fn with_open_segment() -> Place {
    let place = Place::new();
    place.fill(1, 2);
    let mut writer = place.append_left_open().args(["--segment-bytes-max", "4KiB"]).spawn_with_stdin();
    writer.write(&entries(3, 1));
    writer.wait_for_stdout("an acknowledgement", |lines| lines.first().map(|_| ()));
    writer.kill(Signal::Kill);
    place
}

/// Plain segments, and encrypted ones behind them; and the key's file.
fn encrypted_from_here_on() -> (Place, PathBuf) {
    let place = with_open_segment();
    let key = place.path("key");
    Graphstream::new("key").args(["generate", "--output"]).arg(&key).ok();
    let append = place.on_journal("append").arg("--encrypt-existing").arg("--encryption-key-file").arg(&key);
    append.stdin(entries(10, 2)).ok();
    (place, key)
}

/// A database that was published plain, and then encrypted; and the key's file.
fn turned_on_when_published() -> (Place, PathBuf) {
    let place = Place::new();
    place.fill(1, 3);
    place.ship();
    let key = place.path("key");
    Graphstream::new("key").args(["generate", "--output"]).arg(&key).ok();
    let append = place.on_journal("append").arg("--encrypt-existing").arg("--encryption-key-file").arg(&key);
    append.stdin(entries(4, 2)).ok();
    place.replicate().args(["--once", "--encryption-key-file"]).arg(&key).ok();
    (place, key)
}

#[test]
fn storage_checked() {
    let lacking = S3Server::start(Conduct::Ignoring).unwrap();
    let check = |url: &str| {
        let call = Graphstream::new("storage").args(["check", url]);
        printed(environment().into_iter().fold(call, |call, (name, value)| call.env(name, value)))
    };
    compare("storage check --json", &[check("memory:"), check(&lacking.url(""))].concat());
}

#[test]
fn heads_repaired() {
    let place = Place::new();
    place.fill(2, 3);
    place.ship();
    let stands = place.on_store("repair").arg("--json").ok().json();
    fs::remove_file(place.store().join("people/head.json")).unwrap();
    let shown = place.on_store("repair").arg("--json").ok().json();
    compare("repair --json", &[stands, shown]);
}

#[test]
fn keys_generated() {
    let place = Place::new();
    let call = Graphstream::new("key").args(["generate", "--output"]).arg(place.path("key"));
    compare("key generate --json", &printed(call));
}

#[test]
fn keys_wrapped() {
    let (place, key) = turned_on_when_published();
    let master = place.path("master");
    Graphstream::new("key").args(["generate", "--output"]).arg(&master).ok();
    let call = Graphstream::new("key").args(["wrap", "--database", Place::DATABASE, "--to", &place.url()]);
    let call = call.arg("--encryption-key-file").arg(&key).arg("--encryption-master-key-file").arg(&master);
    compare("key wrap --json", &printed(call));
}

#[test]
fn acknowledgements() {
    let place = Place::new();
    compare("append --acks --json", &printed(place.on_journal("append").arg("--acks").stdin(entries(1, 2))));
}

#[test]
fn entry_lines() {
    let place = Place::new();
    place.append(
        "{\"query\": \"RETURN 1\"}\n{\"query\": \"RETURN 1\", \"uuid\": \"01234567-89ab-cdef-0123-456789abcdef\"}\n",
    );
    compare("cat --json", &printed(place.on_journal("cat")));
}

#[test]
fn the_values_of_entry_lines_are_read_and_written_as_documented() {
    let mut examples = Vec::new();
    for row in section("Entry lines").filter(|line| line.starts_with("| ")).skip(1) {
        let (_, written) = row.trim_matches(['|', ' ']).split_once(" | ").unwrap();
        examples.extend(written.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(examples.len() > 25, "{examples:?}");
    let place = Place::new();
    let line = |value: &String| format!("{{\"query\": \"RETURN 1\", \"params\": {{\"p\": {value}}}}}\n");
    place.append(examples.iter().map(line).collect::<String>());
    let end = place.on_journal("cat").arg("--json").ok();
    for (line, example) in end.lines().into_iter().zip(&examples) {
        let expected = format!("\"params\":{{\"p\":{}}}", example.replace(", ", ","));
        assert!(line.contains(&expected), "{example} came back as {line}");
    }
    // Every kind that is written as an object is in the table.
    for kind in [
        "double",
        "map",
        "bytes",
        "date",
        "datetime",
        "localdatetime",
        "time",
        "localtime",
        "duration",
        "point",
        "uuid",
        "decimal",
        "int128",
    ] {
        assert!(examples.iter().any(|example| example.starts_with(&format!("{{\"${kind}\":"))), "{kind}");
    }
}

#[test]
fn segments() {
    let place = with_open_segment();
    let flags = ["--entries", "--frames"];
    let inspect = |number: usize| Graphstream::new("inspect").args(flags).arg(&place.segments()[number]);
    let mut outputs = [printed(inspect(0)), printed(inspect(1))].concat();
    let new = place.path("new.hadbj");
    let convert = |file: &Path, output: &Path| {
        let call = Graphstream::new("convert").arg(file).arg("--output").arg(output);
        printed(call.args(["--to-version", "2"]))
    };
    let mut converted = convert(&place.segments()[0], &new);
    outputs.extend(printed(Graphstream::new("inspect").args(flags).arg(&new)));
    // A torn tail, and damage.
    let open = place.segments().remove(1);
    let mut bytes = fs::read(&open).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let torn = place.path("torn.hadbj");
    fs::write(&torn, [&bytes[..(end + 1).next_multiple_of(8)], b"torn"].concat()).unwrap();
    converted.extend(convert(&torn, &place.path("new-torn.hadbj")));
    let (encrypted, key) = encrypted_from_here_on();
    let call = Graphstream::new("convert")
        .arg(&encrypted.segments()[0])
        .arg("--output")
        .arg(place.path("encrypted.hadbj"));
    converted
        .extend(printed(call.args(["--to-version", "2", "--encrypt", "--encryption-key-file"]).arg(&key)));
    compare("convert --json", &converted);
    bytes[end] ^= 1;
    fs::write(&open, bytes).unwrap();
    flip_last_byte(&place.segments()[0]);
    outputs.extend([printed(inspect(0)), printed(inspect(1))].concat());
    let statuses: Vec<_> = outputs.iter().map(|output| output["body"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["whole", "whole", "whole", "damaged", "torn"]);
    compare("inspect --json", &outputs);
}

#[test]
fn verified_segments() {
    let place = with_open_segment();
    place.fill(5, 2);
    fs::remove_file(&place.segments()[3]).unwrap();
    flip_last_byte(&place.segments()[2]);
    damage_compressed_body(&place.segments()[0]);
    let mut rows = printed(place.on_journal("verify"));
    rows.extend(printed(encrypted_from_here_on().0.on_journal("verify")));
    let stored = Place::new();
    stored.fill(1, 2);
    stored.ship();
    fs::write(stored.store().join(Place::DATABASE).join("notes.txt"), "x").unwrap();
    rows.extend(printed(stored.on_store("verify").args(["--depth", "list"])));
    rows.extend(printed(stored.on_store("verify").args(["--depth", "replay"])));
    compare("verify --json", &rows);
}

#[test]
fn status_of_a_journal_and_its_store() {
    let place = with_open_segment();
    let mut outputs = printed(place.on_journal("status"));
    let shipper = place.replicate().spawn();
    shipper.wait_for_stderr("the start", |lines| {
        lines.iter().any(|line| line.contains("shipping")).then_some(())
    });
    let mut writer = place.append_left_open().spawn_with_stdin();
    writer.write(&entries(4, 1));
    writer.wait_for_stdout("an acknowledgement", |lines| lines.first().map(|_| ()));
    outputs.extend(printed(place.on_journal("status")));
    // As the shipper notes it while its store fails.
    fs::write(place.journal().join("OUTAGE"), r#"{"state": "degraded", "since_ms": 1700000000000}"#).unwrap();
    outputs.extend(printed(place.on_journal("status")));
    drop((writer, shipper));
    place.ship();
    outputs.extend(printed(place.on_journal("status").args([
        "--from",
        &place.url(),
        "--database",
        Place::DATABASE,
    ])));
    outputs.extend(printed(place.on_store("status")));
    let whole_store = || Graphstream::new("status").args(["--from", &place.url()]);
    place.append(entries(20, 2));
    let snapshot = place.store().join(Place::DATABASE).join("snap/0000000000000002-00000001-0000000003e8");
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("manifest.json"), "{}").unwrap();
    outputs.extend(printed(whole_store().arg("--journal").arg(place.journal())));
    fs::remove_file(place.objects().last().unwrap()).unwrap();
    outputs.extend(printed(whole_store()));
    fs::write(place.store().join(Place::DATABASE).join("head.json"), "{}").unwrap();
    outputs.extend(printed(whole_store()));
    let replica = format!("grafeo:{}", place.path("replica.grafeo").display());
    let stored = Place::new();
    stored.fill(1, 2);
    stored.ship();
    stored.follow(&replica).arg("--once").ok();
    outputs.extend(printed(Graphstream::new("status").args(["--target", &replica, "--digest"])));
    outputs.extend(printed(fenced().on_journal("status")));
    outputs.extend(printed(encrypted_from_here_on().0.on_journal("status")));
    // A store whose database was plain first.
    let (place, key) = turned_on_when_published();
    outputs.extend(printed(place.on_store("status").arg("--encryption-key-file").arg(&key)));
    compare("status --json", &outputs);
}

/// A journal whose leader was fenced: its copy has taken over.
fn fenced() -> Place {
    let (place, rival) = (Place::new(), Place::new());
    place.fill(1, 1);
    let shipper = place.replicate().args(["--upload-interval", "20ms"]).spawn();
    place.append(entries(2, 1));
    place.wait_committed(2);
    copy_dir(&place.journal(), &rival.journal());
    rival.append(entries(3, 1));
    rival.on_journal("replicate").args(["--once", "--database", Place::DATABASE, "--to", &place.url()]).ok();
    // Whether the fence is seen before or after this entry is appended makes no difference here.
    place.on_journal("append").stdin(entries(3, 1)).run();
    shipper.wait().expect_code(7);
    place
}

#[test]
fn what_was_imported() {
    let place = Place::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../graphstream-format/tests/fixtures/graphstream-0.3.0/unsealed-tail");
    let objects = place.path("old").join("old-name").join("0000");
    fs::create_dir_all(&objects).unwrap();
    for first in [1_u64, 296] {
        let bytes = fs::read(fixture.join(format!("journal-{first:016}.hadbj"))).unwrap();
        // The last one is torn.
        let end = bytes.len() - usize::from(first > 1);
        fs::write(objects.join(format!("{first:016x}.hadbj")), &bytes[..end]).unwrap();
    }
    let from = format!("file://{}", place.path("old").display());
    let import = |more: &[&str]| {
        let call =
            Graphstream::new("import").args(["--from", &from, "--legacy", "old-name", "--to", &place.url()]);
        printed(call.args(["--database", Place::DATABASE]).args(more))
    };
    compare("import --json", &[import(&[]), import(&["--dry-run"])].concat());
}

#[test]
fn what_was_shipped_and_followed() {
    let place = Place::new();
    place.fill(2, 2);
    compare("replicate --once --json", &printed(place.replicate().arg("--once")));
    let target = format!("jsonl:{}", place.path("copy.jsonl").display());
    compare("follow --json", &printed(place.follow(target).arg("--once")));
}

/// A daemon with a database that is shipped and one whose store is a file; with all that is ever said of either.
fn daemon_of_two() -> (Place, Running, String) {
    let place = Place::new();
    place.append(entries(1, 2));
    fs::write(place.path("file"), "no directory").unwrap();
    let config = format!(
        "[http]\naddress = '0'\n[defaults]\nto = '{}'\nupload_interval = '10ms'\n\
         verify_interval = '100ms'\nverify_depth = 'replay'\n\
         [[database]]\nname = 'people'\njournal = 'journal'\n\
         [database.snapshot]\nsource = 'jsonl:people.jsonl'\nentries = 1\n\
         [[database]]\nname = 'places'\njournal = 'journal-2'\nto = 'file://{}'\n",
        place.url(),
        place.path("file").display()
    );
    fs::write(place.path("graphstream.toml"), config).unwrap();
    Graphstream::new("append").arg("--journal").arg(place.path("journal-2")).stdin(entries(1, 1)).ok();
    let daemon = Graphstream::new("replicate").arg("--config").arg(place.path("graphstream.toml"));
    let daemon = daemon.args(["--held-bytes-max", "1GiB"]).spawn();
    let address = cli::http_address(&daemon);
    (place, daemon, address)
}

#[test]
fn what_a_daemon_answers() {
    let (place, daemon, address) = daemon_of_two();
    let status = cli::until("one database to be shipped and one to fail", || {
        let (code, status) = cli::json(&address, "/status");
        assert_eq!(code, 200);
        let both = status["databases"].as_array().unwrap();
        let shipped = both[0]["committed"]["sequence"] == 2;
        let verified = both[0]["verification"]["restore_seconds"].is_f64();
        (shipped && verified && both[1]["last_error"].is_object()).then_some(status)
    });
    // There is nothing to copy before somebody follows.
    cli::until("a copy to fail", || {
        let (_, status) = cli::json(&address, "/status");
        status["databases"][0]["snapshot"]["last_error"].is_object().then_some(())
    });
    place.follow(format!("jsonl:{}", place.path("people.jsonl").display())).arg("--once").ok();
    let copied = cli::until("a copy to be made", || {
        let (_, status) = cli::json(&address, "/status");
        status["databases"][0]["snapshot"]["newest"].is_object().then_some(status)
    });
    // What failed stays there to be read.
    let (there, aside) = (place.store().join("people"), place.store().join("aside"));
    fs::rename(&there, &aside).unwrap();
    fs::write(&there, "no directory").unwrap();
    place.append(entries(3, 1));
    let failed = cli::until("archiving to fail", || {
        let (_, status) = cli::json(&address, "/status");
        status["databases"][0]["archive"]["last_failure"].is_object().then_some(status)
    });
    // The head is gone, and what needs one is still there.
    fs::remove_file(&there).unwrap();
    fs::rename(&aside, &there).unwrap();
    fs::remove_file(there.join("head.json")).unwrap();
    let damaged = cli::until("what is published to be found damaged", || {
        let (_, status) = cli::json(&address, "/status");
        (status["databases"][0]["verification"]["whole"] == false).then_some(status)
    });
    compare("GET /status", &[status, copied, failed, damaged]);
    let (code, readiness) = cli::json(&address, "/readyz");
    assert_eq!(code, 503);
    compare("GET /readyz", &[readiness]);
    daemon.kill(Signal::Kill);
    let show = Graphstream::new("config").arg("show").env("GRAPHSTREAM_UPLOAD_INTERVAL", "2s");
    let show = show.args(["--http", "0", "--config"]).arg(place.path("graphstream.toml"));
    compare("config show --json", &printed(show));
}

#[test]
fn pages_of_a_follower() {
    let place = Place::new();
    place.fill(2, 5);
    place.ship();
    let target = format!("jsonl:{}", place.path("copy").display());
    let daemon = place.follow(&target).args(["--http", "0"]).spawn();
    let address = cli::http_address(&daemon);
    let status = cli::until("everything to be applied", || {
        let (code, status) = cli::json(&address, "/status");
        assert_eq!(code, 200);
        (status["applied"]["sequence"] == 10).then_some(status)
    });
    assert_eq!(status["applied"]["position"], status["committed"]["position"]);
    assert_eq!(status["state"], "following");
    compare("GET /status of a follower", &[status]);
    daemon.kill(Signal::Term).expect_code(0);
}

#[test]
fn measurements() {
    let place = Place::new();
    compare(
        "bench --json",
        &printed(Graphstream::new("bench").args(["--time", "4ms"]).arg("--dir").arg(place.path(""))),
    );
}

#[test]
fn errors() {
    let place = Place::new();
    place.fill(4, 2);
    let segments = place.segments();
    fs::remove_file(&segments[2]).unwrap();
    let error = |call: Graphstream| {
        let end = call.arg("--json").run();
        let error = end.error();
        assert_eq!(error["code"].as_i64(), end.code().map(i64::from));
        error
    };
    let mut errors = vec![
        error(place.on_journal("append").stdin("{}")),
        error(place.on_journal("append").args(["--ack", "stored"])),
        error(Graphstream::new("cat")),
        error(place.on_journal("verify")),
        error(place.on_store("status")),
        error(Graphstream::new("inspect").arg(place.path("none"))),
    ];
    flip_last_byte(&segments[0]);
    errors.push(error(place.on_journal("verify")));
    damage_compressed_body(&segments[1]);
    errors.push(error(Graphstream::new("verify").arg(&segments[1])));
    let wrapped: Vec<_> = errors.iter().map(|error| serde_json::json!({ "error": error })).collect();
    compare("Errors", &wrapped);
    // Kinds and codes are those of the table.
    for error in errors {
        let row = format!("| {} | ", error["code"]);
        let row = section("Errors").find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("{error}"));
        assert!(row.contains(&format!("`{}`", error["kind"].as_str().unwrap())), "{error} and {row}");
    }
}

/// A store with entries, and a database of lines that has them all.
fn followed() -> (Place, String) {
    let place = Place::new();
    place.fill(2, 3);
    place.ship();
    let target = format!("jsonl:{}", place.path("people.jsonl").display());
    place.follow(&target).arg("--once").ok();
    (place, target)
}

#[test]
fn labels() {
    let (place, _) = followed();
    let label = |args: &[&str]| {
        let call = Graphstream::new("label").args(args);
        printed(call.args(["--to", &place.url(), "--database", Place::DATABASE]))
    };
    let mut rows = label(&["set", "here"]);
    label(&["set", "there", "--sequence", "2"]);
    fs::write(place.store().join(Place::DATABASE).join("label/here.json"), "?").unwrap();
    rows.extend(label(&["list"]));
    compare("label set --json, label list --json", &rows);
}

#[test]
fn snapshots_and_restores() {
    let (place, target) = followed();
    let snapshot = |args: &[&str]| {
        let call = Graphstream::new("snapshot").args(args).env("TMPDIR", place.path(""));
        printed(call.args(["--to", &place.url(), "--database", Place::DATABASE]))
    };
    let mut created = snapshot(&["create", "--target", &target]);
    let mut rows = snapshot(&["show"]);
    // One of an encrypted database, too.
    let encrypted = Place::new();
    let key = encrypted.path("key");
    Graphstream::new("key").args(["generate", "--output"]).arg(&key).ok();
    let with = |call: Graphstream| {
        call.env("TMPDIR", encrypted.path("")).env("GRAPHSTREAM_ENCRYPTION_KEY_FILE", &key)
    };
    with(encrypted.on_journal("append")).stdin(entries(1, 2)).ok();
    with(encrypted.replicate()).arg("--once").ok();
    let people = format!("jsonl:{}", encrypted.path("people").display());
    with(encrypted.follow(&people)).arg("--once").ok();
    let on = |args: &[&str]| {
        let call = with(Graphstream::new("snapshot").args(args));
        printed(call.args(["--to", &encrypted.url(), "--database", Place::DATABASE]))
    };
    created.extend(on(&["create", "--target", &people]));
    rows.extend(on(&["list"]));
    compare("snapshot create --json", &created);
    let mut restores = Vec::new();
    let restore = |args: &[&str]| {
        let out = format!("jsonl:{}", place.path("out").display());
        printed(place.on_store("restore").args(["--target", &out]).args(args))
    };
    restores.extend(restore(&["--dry-run"]));
    fs::write(place.path("out"), "mine").unwrap();
    restores.extend(restore(&["--if-not-exists"]));
    let manifests = place.store().join(Place::DATABASE).join("snap");
    let dir = fs::read_dir(manifests).unwrap().next().unwrap().unwrap().path();
    fs::write(dir.join("manifest.json"), "?").unwrap();
    rows.extend(snapshot(&["list"]));
    restores.extend(restore(&["--replace"]));
    fs::remove_file(dir.join("manifest.json")).unwrap();
    rows.extend(snapshot(&["list"]));
    compare("snapshot list --json, snapshot show --json", &rows);
    compare("restore --json", &restores);
}
