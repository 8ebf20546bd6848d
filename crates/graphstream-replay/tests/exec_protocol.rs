//! The protocol, byte for byte, and every way a child can break it.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;

use std::path::Path;
use std::time::Duration;

use graphstream_replay::{Error, ErrorClass, ExecOptions, ExecTarget, ReplayTarget, Result, Violation};
use journal::{LINEAGE, apply, end, journal, sequence};

fn options() -> ExecOptions {
    ExecOptions::default().with_backoff(Duration::ZERO, Duration::ZERO)
}

fn spawn(script: &str) -> Result<ExecTarget> {
    ExecTarget::spawn(script, options())
}

fn violation(error: Error) -> Violation {
    assert_eq!(error.class(), ErrorClass::Protocol, "{error}");
    match error {
        Error::Protocol { violation, .. } => violation,
        other => panic!("{other}"),
    }
}

/// What a child did with a batch of entries 1 and 2 after it had read it, as `script` says.
fn answered(script: &str) -> (ExecTarget, Result<()>) {
    let script = format!("echo '{{\"position\":null}}'; read e1; read e2; read commit; {script}");
    let mut target = spawn(&script).unwrap();
    let result = apply(&mut target, &journal(2));
    (target, result)
}

#[test]
fn a_child_gets_entry_lines_and_a_commit_line_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let got = dir.path().join("got");
    let script = format!(
        r#"echo '{{"position":null}}'
        for n in 1 2 3; do IFS= read -r line; printf '%s\n' "$line" >>'{got}'; done; echo '{{"applied":2}}'
        IFS= read -r line; printf '%s\n' "$line" >>'{got}'; echo '{{"applied":3}}'; cat >>'{got}'"#,
        got = got.display()
    );
    let journal = journal(3);
    let mut target = spawn(&script).unwrap();
    apply(&mut target, &journal[..2]).unwrap();
    // An empty batch at a later position is a commit line alone; one at the same position is nothing at all.
    target.apply(&[], end(&journal[..2])).unwrap();
    target.apply(&[], end(&journal)).unwrap();
    target.close().unwrap();
    let [h1, h2, h3] = [0, 1, 2].map(|n: usize| journal[n].chain_hash);
    let entry = |n, hash| {
        format!(
            r#"{{"sequence":{n},"commit_ms":1700000000000,"chain_hash":"{hash}","query":"CREATE (:N {{n: $n}})","params":{{"n":{n}}},"timestamp_ms":1600000000000}}"#
        )
    };
    let commit = |n, hash| {
        format!(
            r#"{{"commit":{{"lineage":"abababababababababababababababab","sequence":{n},"chain_hash":"{hash}"}}}}"#
        )
    };
    let expected =
        [entry(1, h1), entry(2, h2), commit(2, h2), commit(3, h3)].map(|line| line + "\n").concat();
    assert_eq!(std::fs::read_to_string(got).unwrap(), expected);
}

#[test]
fn the_first_line_is_the_childs_position() {
    let at = end(&journal(3));
    let script = format!(
        r#"echo '{{"position": {{"lineage": "{LINEAGE}", "sequence": 3, "chain_hash": "{}"}}}}'; cat"#,
        at.chain_hash
    );
    let mut target = spawn(&script).unwrap();
    assert_eq!(target.position().unwrap(), Some(at));
    // The follower's checks come before anything is written: this child would echo it.
    assert!(matches!(apply(&mut target, &journal(3)), Err(Error::Backwards { recorded: 3, offered: 1, .. })));
    assert!(matches!(apply(&mut target, &journal(5)[4..]), Err(Error::Gap { recorded: 3, first: 5, .. })));
    target.close().unwrap();
    assert_eq!(spawn(r#"echo '{ "position" : null }'; cat"#).unwrap().position().unwrap(), None);
}

#[test]
fn a_first_line_that_is_no_position_is_a_violation() {
    let hash = "00".repeat(32);
    let whole = format!(r#"{{"lineage":"{LINEAGE}","sequence":1,"chain_hash":"{hash}"}}"#);
    let lines = [
        String::new(),
        "hello".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"applied":1}"#.to_owned(),
        r#"{"position":1}"#.to_owned(),
        r#"{"position":{}}"#.to_owned(),
        r#"{"position":null,"version":2}"#.to_owned(),
        r#"{"position":null} {"position":null}"#.to_owned(),
        r#"{"position":null,"position":null}"#.to_owned(),
        format!(r#"{{"position":{}}}"#, whole.replace("\"sequence\":1", "\"sequence\":-1")),
        format!(r#"{{"position":{}}}"#, whole.replace("\"sequence\":1", "\"sequence\":1.0")),
        format!(r#"{{"position":{}}}"#, whole.replace("\"sequence\":1", "\"sequence\":18446744073709551616")),
        format!(r#"{{"position":{}}}"#, whole.replace("ab", "a")),
        format!(r#"{{"position":{}}}"#, whole.replace("ab", "zz")),
        format!(r#"{{"position":{}}}"#, whole.replace("00", "0")),
        format!(r#"{{"position":{}}}"#, whole.replace('}', ",\"more\":0}")),
    ];
    for line in lines {
        let error = spawn(&format!("printf '%s\\n' '{line}'; cat")).unwrap_err();
        assert_eq!(violation(error), Violation::Handshake, "{line}");
    }
    let error = spawn(r"printf '\377\376\n'; cat").unwrap_err();
    assert_eq!(violation(error), Violation::Handshake);
    let error = ExecTarget::spawn("yes | tr -d '\\n'", options().with_answer_bytes_max(1000)).unwrap_err();
    assert_eq!(violation(error), Violation::TooLong { limit: 1000 });
}

#[test]
fn an_answer_that_is_none_is_a_violation() {
    let answers = [
        "",
        "applied",
        "null",
        "2",
        "{}",
        r#"{"applied":"2"}"#,
        r#"{"applied":2.0}"#,
        r#"{"applied":-2}"#,
        r#"{"applied":2,"took_ms":1}"#,
        r#"{"applied":2,"error":{"sequence":2,"message":""}}"#,
        r#"{"applied":2}{"applied":2}"#,
        r#"{"error":"no"}"#,
        r#"{"error":{"sequence":2}}"#,
        r#"{"error":{"message":"no"}}"#,
        r#"{"error":{"sequence":2,"message":"no","code":7}}"#,
        r#"{"position":null}"#,
    ];
    for answer in answers {
        let (mut target, result) = answered(&format!("printf '%s\\n' '{answer}'; cat >/dev/null"));
        assert_eq!(violation(result.unwrap_err()), Violation::Answer, "{answer}");
        // Only reopening is left, and the child is gone.
        assert!(target.process_id().is_none());
        assert_eq!(target.position().unwrap_err().class(), ErrorClass::Gone);
    }
    let (_, result) = answered(r#"printf '{"applied":2\377}\n'; cat >/dev/null"#);
    assert_eq!(violation(result.unwrap_err()), Violation::Answer);
}

#[test]
fn an_answer_about_something_else_is_a_violation() {
    let (mut target, result) = answered(r#"echo '{"applied":1}'; cat >/dev/null"#);
    assert_eq!(violation(result.unwrap_err()), Violation::WrongSequence { expected: 2, found: 1 });
    assert!(target.process_id().is_none());
    assert_eq!(target.position().unwrap_err().class(), ErrorClass::Gone);
    for found in [0, 3] {
        let script = format!(r#"echo '{{"error":{{"sequence":{found},"message":"no"}}}}'; cat >/dev/null"#);
        let (_, result) = answered(&script);
        let expected = Violation::ErrorOutside { first: 1, last: 2, found };
        assert_eq!(violation(result.unwrap_err()), expected);
    }
}

#[test]
fn a_line_longer_than_the_limit_is_a_violation_and_never_held() {
    for script in ["yes | tr -d '\\n'", "head -c 2000 /dev/zero; echo; cat >/dev/null"] {
        let script = format!("echo '{{\"position\":null}}'; read e1; read e2; read commit; {script}");
        let mut target = ExecTarget::spawn(script, options().with_answer_bytes_max(1000)).unwrap();
        let error = apply(&mut target, &journal(2)).unwrap_err();
        assert_eq!(violation(error), Violation::TooLong { limit: 1000 });
    }
}

#[test]
fn the_longest_line_allowed_is_an_answer() {
    let answer = format!("{:30}", r#"{"applied":2}"#);
    let script = format!(
        "echo '{{\"position\":null}}'; read e1; read e2; read commit; echo '{answer}'; cat >/dev/null"
    );
    for (limit, allowed) in [(30, true), (29, false)] {
        let mut target = ExecTarget::spawn(&*script, options().with_answer_bytes_max(limit)).unwrap();
        assert_eq!(apply(&mut target, &journal(2)).is_ok(), allowed, "{limit}");
    }
}

/// Whether the second answer is found before the next batch is written or after depends on the moment. It is never taken for the
/// next batch's.
#[test]
fn an_answer_too_many_is_a_violation() {
    let (mut target, result) = answered(r#"printf '{"applied":2}\n{"applied":2}\n'; cat >/dev/null"#);
    result.unwrap();
    let found = violation(apply(&mut target, &journal(4)[2..]).unwrap_err());
    assert!(
        matches!(found, Violation::Unasked | Violation::WrongSequence { expected: 4, found: 2 }),
        "{found:?}"
    );
    let (mut target, result) = answered(r#"printf '{"applied":2}\n{"applied":2}\n'; cat >/dev/null"#);
    result.unwrap();
    assert_eq!(violation(target.close().unwrap_err()), Violation::AfterEnd);
}

#[test]
fn an_answer_before_the_commit_line_is_a_violation() {
    // The batch is larger than a pipe holds, so the child can't have been sent the commit line.
    let journal = journal(20_000);
    let mut target =
        spawn(r#"echo '{"position":null}'; read e1; echo '{"applied":20000}'; exec sleep 600"#).unwrap();
    assert_eq!(violation(apply(&mut target, &journal).unwrap_err()), Violation::Unasked);
}

#[test]
fn an_error_is_the_entrys_with_the_childs_words_and_the_child_goes_on() {
    let (mut target, result) = answered(
        r#"printf '%s\n' '{"error":{"sequence":2,"message":"no such table: \u001b[31mP\nline two"}}'
        read e1; read e2; read commit; echo '{"applied":2}'; cat >/dev/null"#,
    );
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Poison { sequence: 2, .. }), "{error:?}");
    assert_eq!(error.sequence(), Some(2));
    // What a child says ends up on a terminal: no escape sequences.
    assert_eq!(error.reason().unwrap(), "no such table: \u{fffd}[31mP\nline two");
    assert_eq!(target.position().unwrap(), None);
    apply(&mut target, &journal(2)).unwrap();
    assert_eq!(sequence(&mut target).unwrap(), 2);
    target.close().unwrap();
}

#[test]
fn a_message_never_quotes_what_a_child_printed_or_how_it_was_called() {
    let error = spawn("PASSWORD=hunter2 printf 'hunter2\\n' hunter2; cat").unwrap_err();
    let mut text = format!("{error} {error:?}");
    text.push_str(&error.reason().unwrap_or_default());
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("exec:printf"), "{text}");
}

#[test]
fn a_command_that_does_not_exist_is_gone_and_says_so() {
    let error = spawn("graphstream-no-such-command --flag").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone, "{error}");
    let reason = error.reason().unwrap();
    assert!(reason.contains("exit status: 127") && reason.contains("not found"), "{reason}");
    let error = spawn("").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone, "{error}");
    let error = spawn(&format!("{}", Path::new("/").display())).unwrap_err();
    assert!(error.reason().unwrap().contains("exit status: 126"), "{error:?}");
}
