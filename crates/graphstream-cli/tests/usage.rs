//! Calls that can't work: exit code 2 (or that of what is missing), nothing on stdout, and what to try next on stderr.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Graphstream, Place};

const VERBS: [&str; 14] = [
    "demo",
    "append",
    "replicate",
    "follow",
    "cat",
    "tail",
    "import",
    "inspect",
    "convert",
    "verify",
    "status",
    "storage check",
    "key generate",
    "bench",
];

/// A verb, perhaps of two words.
fn call(verb: &str) -> Graphstream {
    Graphstream::new("").args(verb.split(' '))
}

/// Runs a call that is refused, and returns what it said.
fn refused(args: &[&str], code: i32) -> String {
    let text = Graphstream::new("").args(args).run().expect_code(code).expect_no_stdout();
    let said = text.stderr;
    assert!(said.starts_with("error: "), "{args:?}: {said}");
    let advice = said.lines().last().unwrap();
    assert!(
        advice.starts_with("Try: ") || advice == "For more information, try '--help'.",
        "{args:?} ends without what to try next:\n{said}"
    );
    assert!(!said.contains("panicked") && !said.contains("Error {"), "{args:?}: {said}");
    if args.contains(&"--json") || args.contains(&"bench") || args.contains(&"nonsense") {
        return said;
    }
    // Programs get the same as one object.
    let error =
        Graphstream::new("").args(args).arg("--json").run().expect_code(code).expect_no_stdout().error();
    assert_eq!(error["code"], code, "{args:?}: {error}");
    for field in ["kind", "message", "hint"] {
        assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{args:?}: {error}");
    }
    said
}

#[test]
fn unknown_verbs_and_flags_are_usage_errors() {
    assert!(refused(&["nonsense"], 2).contains("unrecognized subcommand 'nonsense'"));
    for verb in VERBS {
        let args: Vec<_> = verb.split(' ').chain(["--nonsense"]).collect();
        let said = refused(&args, 2);
        assert!(said.contains("unexpected argument '--nonsense'"), "{said}");
    }
    let said = refused(&["append", "--jurnal", "x"], 2);
    assert!(said.contains("'--journal'"), "a mistyped flag is named as it should be: {said}");
}

#[test]
fn what_is_missing_is_named() {
    for (args, missing) in [
        (&["append"][..], "--journal <DIR>"),
        (&["cat"], "<FILE|--journal <DIR>|--from <URL>>"),
        (&["verify"], "<FILE|--journal <DIR>|--from <URL>>"),
        (&["status"], "--journal <DIR>"),
        (&["inspect"], "<FILE>"),
        (&["convert", "a.hadbj", "--to-version", "2"], "--output <FILE>"),
        (&["convert", "a.hadbj", "--output", "b.hadbj"], "--to-version <VERSION>"),
        (&["replicate", "--journal", "j", "--to", "file:///s"], "--database <NAME>"),
        (&["replicate", "--journal", "j", "--database", "d"], "--to <URL>"),
        (&["follow", "--from", "file:///s", "--database", "d"], "--target <TARGET>"),
        (&["cat", "--from", "file:///s"], "--database <NAME>"),
        (&["verify", "--from", "file:///s"], "--database <NAME>"),
    ] {
        let said = refused(args, 2);
        assert!(said.contains(missing), "{args:?}: {said}");
    }
}

#[test]
fn values_that_mean_nothing_are_named_with_what_was_expected() {
    for (args, told) in [
        (&["cat", "--from", "ftp://host/x", "--database", "d"][..], "memory: or s3://bucket/prefix"),
        (&["cat", "--from", "file://relative", "--database", "d"], "an absolute path: file:///srv/store"),
        (&["verify", "--from", "s3:/bucket/x", "--database", "d"], "s3://bucket/prefix"),
        (&["status", "--from", "file:///s", "--database", "A/B"], "1 to 63 characters"),
        (&["status", "--from", "file:///s", "--database", "../x"], "1 to 63 characters"),
        (&["follow", "--from", "file:///s", "--database", "d", "--target", "nope:x"], "jsonl:PATH"),
        (&["follow", "--from", "file:///s", "--database", "d", "--target", "jsonl:"], "jsonl:PATH"),
        (&["append", "--journal", "j", "--ack", "sometimes"], "written, synced, stored"),
        (&["append", "--journal", "j", "--segment-bytes-max", "4 megs"], "4MiB"),
        (&["append", "--journal", "j", "--segment-bytes-max", "1"], "1KiB to 1GiB"),
        (&["append", "--journal", "j", "--segment-bytes-max", "2GiB"], "1KiB to 1GiB"),
        (&["append", "--journal", "j", "--segment-age-max", "0s"], "more than nothing"),
        (&["cat", "--journal", "j", "--since", "soon"], "2026-01-31T12:00:00Z"),
        (&["cat", "--journal", "j", "--from-sequence", "ten"], "--from-sequence"),
        (&["cat", "--journal", "j", "--from-sequence", "5", "--to-sequence", "4"], "the range is empty"),
        (&["cat", "--journal", "j", "--since", "1m", "--until", "1h"], "the range is empty"),
        (&["status", "--journal", "j", "--log-level", "loud"], "error, warn, info"),
        (&["convert", "a", "--output", "b", "--to-version", "3"], "expected 1 or 2"),
        (&["convert", "a", "--output", "b", "--to-version", "2", "--compression", "zstd:20"], "from 1 to 19"),
        (&["convert", "a", "--output", "b", "--to-version", "2", "--lineage", "xyz"], "16 bytes in hex"),
        (&["inspect", "a", "--hex", "--frames"], "cannot be used with"),
        (&["bench", "--time", "fast"], "500ms, 1s, 2m"),
        (
            &["replicate", "--journal", "j", "--database", "d", "--to", "file:///s", "--uploads-max", "0"],
            "1..=64",
        ),
    ] {
        let said = refused(args, 2);
        assert!(said.contains(told), "{args:?}: {said}");
    }
}

#[test]
fn one_source_at_a_time() {
    for verb in ["cat", "verify"] {
        let said = refused(&[verb, "--journal", "j", "--from", "file:///s", "--database", "d"], 2);
        assert!(said.contains("cannot be used with"), "{said}");
        refused(&[verb, "a.hadbj", "--journal", "j"], 2);
    }
}

#[test]
fn reading_verbs_never_make_what_is_missing() {
    let place = Place::new();
    let (journal, store) = (place.journal(), place.url());
    let journal = journal.to_str().unwrap();
    for verb in ["cat", "verify", "status"] {
        let said = refused(&[verb, "--journal", journal], 3);
        assert!(said.contains("holds no journal") && said.contains("Try: check --journal"), "{said}");
        let said = refused(&[verb, "--from", &store, "--database", "d"], 4);
        assert!(said.contains("no such directory") && said.contains("Try: check the URL"), "{said}");
    }
    refused(&["replicate", "--journal", journal, "--database", "d", "--to", &store], 3);
    for verb in ["cat", "verify", "inspect"] {
        let said = refused(&[verb, journal], 3);
        assert!(said.contains("can't be opened") && said.contains("Try: check the path"), "{said}");
    }
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_directory_without_a_journal_is_none() {
    let place = Place::new();
    fs::create_dir(place.journal()).unwrap();
    fs::write(place.journal().join("notes.txt"), "x").unwrap();
    for verb in ["cat", "verify", "status"] {
        let said = refused(&[verb, "--journal", place.journal().to_str().unwrap()], 3);
        assert!(said.contains("holds no journal"), "{said}");
    }
    // A directory in place of a segment, and a segment in place of a directory.
    for verb in ["cat", "verify", "inspect"] {
        let said = refused(&[verb, place.journal().to_str().unwrap()], 3);
        assert!(said.contains("is a directory") && said.contains("Try: --journal "), "{said}");
    }
    let file = place.journal().join("notes.txt");
    for verb in ["cat", "verify", "status", "append"] {
        refused(&[verb, "--journal", file.to_str().unwrap()], 3);
    }
}

#[test]
fn a_store_without_the_database_says_so() {
    let place = Place::new();
    place.fill(1, 1);
    place.ship();
    for verb in ["cat", "verify", "status"] {
        let said = refused(&[verb, "--from", &place.url(), "--database", "other"], 4);
        assert!(said.contains("other") && said.contains("Try: check --database"), "{said}");
    }
}

#[test]
fn a_fifo_is_refused_instead_of_waited_for() {
    let place = Place::new();
    let fifo = place.path("pipe.hadbj");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for verb in ["cat", "verify", "inspect"] {
        let said = refused(&[verb, fifo.to_str().unwrap()], 3);
        assert!(said.contains("is not a regular file"), "{said}");
    }
}

#[test]
fn k01_credentials_in_a_url_are_not_repeated() {
    let url = "s3://AKIAKEY:s3cr3t@bucket/x?secret_access_key=s3cr3t";
    for args in [
        &["cat", "--from", url, "--database", "d"][..],
        &["cat", "--from", url, "--database", "d", "--json"],
        &["replicate", "--journal", "j", "--database", "d", "--to", url],
        &["status", url, "--json"],
    ] {
        let end = Graphstream::new("").args(args).run().expect_code(2).expect_no_stdout();
        assert!(end.stderr.contains("bucket/x") && !end.stderr.contains("s3cr3t"), "{}", end.stderr);
        assert!(!end.stderr.contains("AKIAKEY"), "{}", end.stderr);
    }
    let end =
        Graphstream::new("replicate").args(["--journal", "j", "--database", "d"]).env("GRAPHSTREAM_TO", url);
    assert!(!end.run().expect_code(2).stderr.contains("s3cr3t"), "from the environment");
}

#[test]
fn help_goes_to_stdout_and_has_examples() {
    for verb in VERBS {
        let help = call(verb).arg("--help").ok();
        assert!(help.stderr.is_empty(), "{}", help.stderr);
        let (_, examples) =
            help.text().split_once("Examples:").unwrap_or_else(|| panic!("{verb}: {}", help.text()));
        assert!(examples.contains(&format!("graphstream {verb}")), "{examples}");
    }
    let help = Graphstream::new("--help").ok();
    let words = VERBS.iter().flat_map(|verb| verb.split(' ').next());
    for part in words.chain(["Exit codes:", "Start here:"]) {
        assert!(help.text().contains(part), "no {part} in\n{}", help.text());
    }
    assert!(Graphstream::new("--version").ok().text().starts_with("graphstream "));
    // Without a verb: the same help, as an error.
    let bare = Graphstream::new("").run().expect_code(2).expect_no_stdout();
    assert!(bare.stderr.contains("Exit codes:"), "{}", bare.stderr);
}

#[test]
fn flags_in_help_are_those_of_the_examples() {
    // An example with a flag that does not exist would be worse than none.
    for verb in VERBS {
        let help = call(verb).arg("--help").ok();
        let (flags, examples) = help.text().split_once("Examples:").unwrap();
        let mine = examples.lines().filter(|line| line.contains(&format!("graphstream {verb}")));
        for flag in mine.flat_map(|line| line.split_whitespace().filter(|word| word.starts_with("--"))) {
            assert!(flags.contains(flag), "{verb}: no flag {flag}");
        }
    }
}
