//! A child that doesn't read, doesn't answer, doesn't end or leaves somebody behind.
// It looks into /proc.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;

use std::path::Path;
use std::time::{Duration, Instant};

use graphstream_replay::{Error, ErrorClass, ExecOptions, ExecTarget, ReplayTarget, Violation};
use journal::{apply, journal};

const HELLO: &str = r#"echo '{"position":null}'"#;

/// Deadlines that the tests of them wait for.
fn impatient() -> ExecOptions {
    let short = Duration::from_millis(200);
    ExecOptions::default()
        .with_backoff(Duration::ZERO, Duration::ZERO)
        .with_answer_timeout(Some(short))
        .with_exit_timeout(short)
}

fn spawn(script: &str, options: ExecOptions) -> ExecTarget {
    ExecTarget::spawn(format!("{HELLO}; {script}"), options).unwrap()
}

fn gone(error: &Error, reason: &str) {
    assert_eq!(error.class(), ErrorClass::Gone, "{error}");
    let said = error.reason().unwrap();
    assert!(said.contains(reason), "expected {reason:?} in {said:?}");
}

/// Waits until a process is gone; who is dead and only waits for its new parent counts as gone.
fn await_end(process: u32) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) {
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')) {
            return;
        }
        assert!(Instant::now() < deadline, "process {process} still lives: {stat}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn await_file(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(Instant::now() < deadline, "{} was never written", path.display()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_child_that_never_says_where_it_is_is_killed() {
    let options = impatient().with_handshake_timeout(Some(Duration::from_millis(200)));
    let error = ExecTarget::spawn("sleep 600", options).unwrap_err();
    gone(&error, "longer than it may");
}

#[test]
fn a_child_that_dies_before_its_first_line_is_gone_with_its_last_words() {
    let error =
        ExecTarget::spawn("echo first >&2; echo 'no database here' >&2; exit 3", impatient()).unwrap_err();
    gone(&error, "the child ended (exit status: 3): no database here");
    // Half a line is no line.
    let error = ExecTarget::spawn("printf '{\"position\":null}'", impatient()).unwrap_err();
    gone(&error, "the child ended (exit status: 0)");
}

#[test]
fn a_child_that_dies_in_a_batch_is_gone_whoever_killed_it() {
    let cases = [
        ("read entry; exit 4", "exit status: 4"),
        ("read e1; read e2; read commit; kill -9 $$", "signal: 9"),
        ("read e1; read e2; read commit; printf '{\"applied\":'; exit 0", "exit status: 0"),
    ];
    for (script, reason) in cases {
        let mut target = spawn(script, ExecOptions::default());
        let error = apply(&mut target, &journal(2)).unwrap_err();
        gone(&error, reason);
        assert!(target.process_id().is_none());
    }
}

/// It has died before it is asked again: the next call finds out, and nothing is applied twice.
#[test]
fn a_child_that_dies_after_its_answer_is_gone_at_the_next_batch() {
    let mut target = spawn(r#"read e1; read commit; echo '{"applied":1}'; exit 5"#, ExecOptions::default());
    let journal = journal(2);
    apply(&mut target, &journal[..1]).unwrap();
    gone(&apply(&mut target, &journal[1..]).unwrap_err(), "exit status: 5");
}

#[test]
fn a_child_that_closes_its_output_and_lives_is_gone_and_killed() {
    let mut target = spawn("read e1; exec sleep 600 >&-", ExecOptions::default());
    let process = target.process_id().unwrap();
    gone(&apply(&mut target, &journal(2)).unwrap_err(), "the child closed its output");
    await_end(process);
}

/// A child may answer an error early, or log a lot, before it has read all of a batch: nobody waits in a circle.
#[test]
fn a_child_that_writes_much_while_it_is_written_to_does_not_block() {
    let script = r#"head -c 1000000 /dev/zero | tr '\0' 'y' >&2; echo >&2
        while read line; do case "$line" in '{"commit"'*) echo '{"applied":3000}'; break;; esac; done; cat >/dev/null"#;
    let mut target = spawn(script, ExecOptions::default());
    apply(&mut target, &journal(3000)).unwrap();
    target.close().unwrap();
}

#[test]
fn a_clean_end_is_exit_code_zero_after_the_end_of_input() {
    let mut target = spawn("cat >/dev/null", ExecOptions::default());
    target.close().unwrap();
    target.close().unwrap();
    let mut target = spawn("cat >/dev/null; echo 'checkpoint failed' >&2; exit 9", ExecOptions::default());
    gone(&target.close().unwrap_err(), "the child ended (exit status: 9): checkpoint failed");
    target.close().unwrap();
    let mut target = spawn("cat >/dev/null; echo bye", ExecOptions::default());
    let error = target.close().unwrap_err();
    assert!(matches!(error, Error::Protocol { violation: Violation::AfterEnd, .. }), "{error}");
}

#[test]
fn a_child_that_does_not_end_is_killed() {
    // It ignores what it can, also after its output is closed.
    for script in ["trap '' TERM INT HUP; sleep 600", "exec sleep 600 >&-"] {
        let mut target = spawn(script, impatient());
        let process = target.process_id().unwrap();
        assert_eq!(target.close().unwrap_err().class(), ErrorClass::Gone, "{script}");
        await_end(process);
    }
}

#[test]
fn a_dropped_target_leaves_neither_the_child_nor_what_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let started = dir.path().join("started");
    let script = format!("sleep 600 & echo $! >'{}'; wait", started.display());
    let target = spawn(&script, ExecOptions::default());
    let child = target.process_id().unwrap();
    let grandchild: u32 = await_file(&started).trim().parse().unwrap();
    drop(target);
    // Reaped by us, so not even a zombie.
    assert!(!Path::new(&format!("/proc/{child}")).exists());
    await_end(grandchild);
}

/// The shell ends and is reaped, the process that it left in the background holds its output open.
#[test]
fn what_a_dead_child_left_behind_is_killed_too() {
    let dir = tempfile::tempdir().unwrap();
    let started = dir.path().join("started");
    let script = format!("sleep 600 >/dev/null 2>&1 & echo $! >'{}'; exit 1", started.display());
    let mut target = spawn(&script, ExecOptions::default());
    let left: u32 = await_file(&started).trim().parse().unwrap();
    gone(&apply(&mut target, &journal(2)).unwrap_err(), "exit status: 1");
    await_end(left);
}
