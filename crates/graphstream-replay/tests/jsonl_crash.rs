//! `jsonl` in real processes and on real files: killed while it writes, without space, without permission.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use graphstream_replay::{Error, ErrorClass, JsonlTarget, ReplayTarget};
use journal::{apply, follow, journal, sequence, sequences};

const FILE: &str = "GRAPHSTREAM_TEST_WRITER_FILE";
const BLOCKS: &str = "GRAPHSTREAM_TEST_WRITER_BLOCKS";
const ENTRIES: i64 = 4000;

/// The process that is killed: follows the journal into the file, and says on standard error what was reported as applied. Without
/// its variable it is no such process, and there is nothing to test.
#[test]
fn writes_a_file() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let mut target = match file.to_str() {
        Some("-") => JsonlTarget::stdout(),
        _ => JsonlTarget::open(file).unwrap(),
    };
    let journal = journal(ENTRIES);
    let mut at = usize::try_from(sequence(&mut target).unwrap()).unwrap();
    while at < journal.len() {
        let batch = &journal[at..journal.len().min(at + 1 + at % 7)];
        if let Err(error) = apply(&mut target, batch) {
            eprintln!("{:?} {}", error.class(), error.reason().unwrap());
            std::process::exit(1);
        }
        at += batch.len();
        eprintln!("applied {at}");
    }
    std::process::exit(0);
}

fn writer(file: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "writes_a_file", "--nocapture"]).env(FILE, file);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Reads what the writer reported until `enough`, or to the end; the last number it said.
fn reported(writer: &mut Child, enough: impl Fn(u64) -> bool) -> u64 {
    let lines = BufReader::new(writer.stderr.as_mut().unwrap()).lines().map_while(Result::ok);
    let mut last = 0;
    for line in lines {
        if let Some(at) = line.strip_prefix("applied ").and_then(|at| at.parse().ok()) {
            last = at;
            if enough(at) {
                break;
            }
        }
    }
    last
}

#[test]
fn r01_killed_at_any_moment_keeps_what_was_reported_and_goes_on_without_a_hole_or_a_duplicate() {
    const KILLS: u64 = 16;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut kept = 0;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut child = writer(&file).spawn().unwrap();
        // Some way into the file, and then somewhere in a batch.
        let goal = kept + 1 + (random >> 40) % 100;
        let at = reported(&mut child, |at| at >= goal).max(kept);
        std::thread::sleep(Duration::from_micros((random >> 52) % 1000));
        child.kill().unwrap();
        child.wait().unwrap();
        // A torn last line is cut when the file is opened, and only then.
        let mut target = JsonlTarget::open(&file).unwrap();
        kept = sequence(&mut target).unwrap();
        assert!(kept >= at, "{at} was reported, {kept} was kept");
        assert_eq!(sequences(&file), Vec::from_iter(1..=kept));
    }
    let mut target = JsonlTarget::open(&file).unwrap();
    let journal = journal(ENTRIES);
    follow(&mut target, &journal, 1000).unwrap();
    target.close().unwrap();
    assert_eq!(sequences(&file), Vec::from_iter(1..=ENTRIES.unsigned_abs()));
}

/// The file may not grow beyond a limit: the write that reaches it arrives in part, the next one not at all. A full disk does the same.
#[test]
fn l06_without_space_it_is_gone_and_what_was_reported_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let binary = std::env::current_exe().unwrap();
    // The shell sets the limit, in blocks of 512 bytes, and has the signal of exceeding it ignored.
    let script = format!(
        "trap '' XFSZ; ulimit -f ${BLOCKS}; exec '{}' --exact writes_a_file --nocapture",
        binary.display()
    );
    let mut kept = 0;
    for blocks in [1, 3, 8, 8, 50] {
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .env(FILE, &file)
            .env(BLOCKS, blocks.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
        assert!(said.contains("Gone File too large"), "{said}");
        let at = said.lines().rev().find_map(|line| line.strip_prefix("applied ")?.parse().ok());
        kept = at.unwrap_or(0).max(kept);
        // The part that did arrive is cut off again, without waiting for the next start.
        assert_eq!(sequences(&file), Vec::from_iter(1..=kept), "{blocks} blocks");
    }
    assert!(kept > 20);
    follow(&mut JsonlTarget::open(&file).unwrap(), &journal(200), 7).unwrap();
    assert_eq!(sequences(&file), Vec::from_iter(1..=200));
}

/// Some users may write a read-only file: the test asks first.
#[test]
fn l15_a_file_that_may_not_be_written_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    apply(&mut JsonlTarget::open(&file).unwrap(), &journal(2)).unwrap();
    let before = std::fs::read(&file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    if std::fs::OpenOptions::new().append(true).open(&file).is_ok() {
        eprintln!("skipped: this user may write a read-only file");
        return;
    }
    let error = JsonlTarget::open(&file).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    assert!(error.reason().unwrap().contains("ermission denied"), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn l15_a_path_that_leads_nowhere_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let error = JsonlTarget::open(dir.path().join("no/such/directory/out.jsonl")).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    assert!(error.reason().unwrap().contains("No such file"), "{error:?}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = JsonlTarget::open(file.join("out.jsonl")).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid, "{error}");
}

#[test]
fn standard_output_begins_at_one_again_and_a_closed_pipe_is_gone() {
    let whole = |child: &mut Child| {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The test harness prints before the first entry.
        let first =
            lines.by_ref().find(|line| line.as_ref().is_ok_and(|line| line.starts_with("{\"seq"))).unwrap();
        assert!(first.unwrap().starts_with("{\"sequence\":1,"));
        lines
    };
    for _ in 0..2 {
        let mut child = writer(Path::new("-")).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let rest = whole(&mut child).map_while(Result::ok).filter(|line| line.starts_with("{\"seq")).count();
        assert_eq!(i64::try_from(rest).unwrap() + 1, ENTRIES);
        assert!(child.wait().unwrap().success());
    }
    let mut child = writer(Path::new("-")).stdout(Stdio::piped()).spawn().unwrap();
    drop(whole(&mut child));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("Gone Broken pipe"), "{}", said.lines().last().unwrap_or_default());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
