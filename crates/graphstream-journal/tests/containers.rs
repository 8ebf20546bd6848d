//! Containers that share a journal's directory: process ids mean nothing across them, the lock does (RELIABILITY L16).
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use graphstream_journal::{Ack, Error, Journal, JournalReader, ReaderOptions};

const DIR: &str = "GRAPHSTREAM_TEST_JOURNAL_DIR";
const PATIENCE: Duration = Duration::from_secs(20);

/// What a container's process does: opens the journal, appends one entry, and holds it until its input ends.
#[test]
fn the_containers_process() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let said = match Journal::builder(Path::new(&dir)).open() {
        Ok((journal, _)) => {
            let sequence = *journal.append(b"entry").unwrap().wait(Ack::Synced).unwrap().end();
            say(&format!("process {} appended {sequence}", std::process::id()));
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            journal.close().unwrap();
            return;
        }
        Err(Error::Locked { .. }) => "refused".to_owned(),
        Err(other) => format!("{other:?}"),
    };
    say(&said);
}

fn say(line: &str) {
    // A line is one write, beside what the test runner prints.
    std::io::stdout().lock().write_all(format!("says {line}\n").as_bytes()).unwrap();
}

/// A process that is the first one in a pid namespace of its own.
struct Container {
    unshare: Child,
    lines: BufReader<ChildStdout>,
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]);
    command
}

impl Container {
    fn start(dir: &Path) -> Self {
        let mut unshare = unshare()
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "the_containers_process", "--nocapture"])
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(unshare.stdout.take().unwrap());
        Self { unshare, lines }
    }

    fn says(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended without a word");
            if let Some((_, said)) = line.split_once("says ") {
                return said.trim().to_owned();
            }
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

#[test]
fn l16_containers_exclude_each_other_whatever_their_process_ids_are() {
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: pid namespaces need `unshare` and root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Container::start(dir.path());
    assert_eq!(holder.says(), "process 1 appended 1");
    // The same process id, and not the same process.
    assert_eq!(Container::start(dir.path()).says(), "refused");
    let error = Journal::builder(dir.path()).open().unwrap_err();
    assert!(matches!(error, Error::Locked { holder_pid: Some(1), .. }), "{error:?}");

    // A container that is killed holds nothing; the next one goes on, though process 1 was the holder before.
    drop(holder);
    let started = Instant::now();
    let mut next = loop {
        let mut next = Container::start(dir.path());
        match next.says().as_str() {
            // The kernel is still ending the killed one.
            "refused" => assert!(started.elapsed() < PATIENCE, "a killed container holds the lock"),
            said => {
                assert_eq!(said, "process 1 appended 2");
                break next;
            }
        }
    };
    // The other way round: outside is refused, and gets it once the container closes.
    assert!(matches!(Journal::builder(dir.path()).open(), Err(Error::Locked { .. })));
    drop(next.unshare.stdin.take());
    assert!(next.unshare.wait().unwrap().success());
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert!(report.is_clean(), "{report:?}");
    let refused = Container::start(dir.path()).says();
    assert_eq!(refused, "refused");
    journal.close().unwrap();
    let entries = JournalReader::open(dir.path(), ReaderOptions::default()).unwrap();
    assert_eq!(entries.map(|entry| entry.unwrap().sequence).collect::<Vec<_>>(), [1, 2]);
}
