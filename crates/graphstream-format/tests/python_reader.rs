//! `docs/format/read_hadbj.py` was written from `docs/format.md` alone. That it reads the golden files as this crate does proves the page.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the reader printed: entry lines, and in the last line what became of the file.
fn read(python: &str, segment: &Path) -> (String, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format/read_hadbj.py");
    let output = Command::new(python).arg(script).arg(segment).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let (entries, verdict) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    assert!(!verdict.is_empty(), "{}: {errors}", segment.display());
    assert_eq!(output.status.success(), !verdict.starts_with("damaged"), "{}", segment.display());
    (entries.to_owned(), verdict.to_owned())
}

#[test]
fn an_independent_reader_agrees_on_every_golden_file() {
    let python = std::env::var("GRAPHSTREAM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !Command::new(&python).arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: the independent reader of docs/format. It needs python3.");
        return;
    }
    let mut seen = BTreeMap::new();
    for layout in ["v1", "v2", "open"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(layout);
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.extension().is_none_or(|extension| extension != "seg") {
                continue;
            }
            let text = fs::read_to_string(path.with_extension("txt")).unwrap();
            let expected: Vec<_> = text.lines().filter(|line| line.starts_with("entry ")).collect();
            let (entries, verdict) = read(&python, &path);
            let word = verdict.split(' ').next().unwrap().to_owned();
            // Its own judgement of a torn tail it does not give.
            match (word.as_str(), name.starts_with("broken") && name != "broken-below-durable") {
                ("skipped", _) => {
                    assert!(name.contains("zstd") || name.contains("columns"), "{layout}/{name}")
                }
                ("damaged", broken) => assert!(broken, "{layout}/{name}: {verdict}"),
                ("whole", broken) => {
                    assert!(!broken, "{layout}/{name} is broken");
                    // A payload may hold line breaks; its chain hash tells what follows them.
                    let found: Vec<_> = entries.lines().filter(|line| line.starts_with("entry ")).collect();
                    assert_eq!(found, expected, "{layout}/{name}");
                }
                _ => panic!("{layout}/{name}: {verdict}"),
            }
            *seen.entry((layout, word)).or_insert(0) += 1;
        }
    }
    for (layout, word, least) in [
        ("v1", "whole", 4),
        ("v2", "whole", 5),
        ("open", "whole", 4),
        ("v1", "damaged", 10),
        ("v2", "damaged", 20),
    ] {
        assert!(seen.get(&(layout, word.to_owned())).is_some_and(|&count| count >= least), "{seen:?}");
    }
}
