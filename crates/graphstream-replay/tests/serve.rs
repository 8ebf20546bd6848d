//! The child's side of the protocol, on what a follower sends before it dies and on what no follower sends.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;

use std::io::Cursor;
use std::path::Path;

use graphstream_format::Position;
use graphstream_replay::{
    Error, ErrorClass, Guarantee, JsonlTarget, ReplayEntry, ReplayTarget, Result, serve,
};
use journal::{LINEAGE, end, journal, sequences};

/// Entry lines of a batch and its commit line, made by the lines of a `jsonl` file.
fn sent(batch: &[ReplayEntry]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lines");
    let mut target = JsonlTarget::open(&file).unwrap();
    target.apply(batch, end(batch)).unwrap();
    let at = end(batch);
    let commit = format!(
        "{{\"commit\":{{\"lineage\":\"{LINEAGE}\",\"sequence\":{},\"chain_hash\":\"{}\"}}}}\n",
        at.sequence, at.chain_hash
    );
    std::fs::read_to_string(file).unwrap() + &commit
}

/// Serves a file until the input ends; returns what was answered.
fn served(file: &Path, input: &[u8]) -> (String, Result<()>) {
    let mut target = JsonlTarget::open(file).unwrap();
    let mut output = Vec::new();
    let result = serve(&mut target, Cursor::new(input), &mut output);
    (String::from_utf8(output).unwrap(), result)
}

#[test]
fn batches_are_applied_and_answered_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let journal = journal(3);
    let input = sent(&journal[..2]) + &sent(&journal[2..]);
    let (answers, result) = served(&file, input.as_bytes());
    result.unwrap();
    assert_eq!(answers, "{\"position\":null}\n{\"applied\":2}\n{\"applied\":3}\n");
    let (answers, result) = served(&file, b"");
    result.unwrap();
    let hash = journal[2].chain_hash;
    assert_eq!(
        answers,
        format!("{{\"position\":{{\"lineage\":\"{LINEAGE}\",\"sequence\":3,\"chain_hash\":\"{hash}\"}}}}\n")
    );
}

#[test]
fn r05_a_follower_that_dies_at_any_byte_leaves_whole_batches() {
    let journal = journal(3);
    let first = sent(&journal[..1]);
    let input = first.clone() + &sent(&journal[1..]);
    for cut in 0..=input.len() {
        let mut target = Recorder::default();
        serve(&mut target, Cursor::new(&input.as_bytes()[..cut]), std::io::sink())
            .unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let whole = match cut {
            _ if cut == input.len() => 3,
            _ if cut >= first.len() => 1,
            _ => 0,
        };
        assert_eq!(target.applied, Vec::from_iter(1..=whole), "cut at {cut}");
        assert!(target.closed, "cut at {cut}");
    }
}

#[test]
fn what_no_follower_sends_ends_the_child_and_applies_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let whole = sent(&journal(1));
    let (entry, commit) = whole.split_at(whole.find('\n').unwrap() + 1);
    let cases = [
        "\n".to_owned(),
        "no JSON\n".to_owned(),
        "{}\n".to_owned(),
        entry.replace("\"chain_hash\":\"", "\"chain_hash\":\"0"),
        commit.replace("ab", "zz"),
        commit.replace("\"sequence\":1", "\"sequence\":-1"),
        commit.replace("}}", ",\"more\":1}}"),
    ];
    for case in cases {
        let (answers, result) = served(&file, format!("{case}{whole}").as_bytes());
        let error = result.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Gone, "{case:?}: {error}");
        assert_eq!(answers, "{\"position\":null}\n", "{case:?}");
        assert!(sequences(&file).is_empty(), "{case:?}");
    }
    let (_, result) = served(&file, b"\xff\xfe\n");
    assert_eq!(result.unwrap_err().class(), ErrorClass::Gone);
}

#[test]
fn a_batch_that_does_not_fit_is_answered_and_the_child_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let journal = journal(4);
    let input = sent(&journal[..2]) + &sent(&journal[3..]) + &sent(&journal[1..2]) + &sent(&journal[2..]);
    let (answers, result) = served(&file, input.as_bytes());
    result.unwrap();
    let answers: Vec<_> = answers.lines().skip(1).collect();
    assert_eq!(answers[0], "{\"applied\":2}");
    assert!(answers[1].starts_with("{\"error\":{\"sequence\":4,"), "{}", answers[1]);
    assert!(answers[2].starts_with("{\"error\":{\"sequence\":2,"), "{}", answers[2]);
    assert_eq!(answers[3], "{\"applied\":4}");
    assert_eq!(sequences(&file), [1, 2, 3, 4]);
}

/// Remembers what it was given; may refuse an entry or be gone at one.
#[derive(Default)]
struct Recorder {
    applied: Vec<u64>,
    closed: bool,
    refuses: Option<u64>,
    gone_at: Option<u64>,
}

impl ReplayTarget for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }
    fn position(&mut self) -> Result<Option<Position>> {
        Ok(None)
    }
    fn apply(&mut self, batch: &[ReplayEntry], _: Position) -> Result<()> {
        let target = "recorder".to_owned();
        for ReplayEntry { sequence, .. } in batch {
            if self.refuses == Some(*sequence) {
                let source = "\"no\"\n\u{1f980}\\".into();
                return Err(Error::Poison { target, sequence: *sequence, source });
            }
            if self.gone_at == Some(*sequence) {
                return Err(Error::Gone { target, attempt: "writing", source: "no disk".into() });
            }
        }
        self.applied.extend(batch.iter().map(|entry| entry.sequence));
        Ok(())
    }
    fn reopen(&mut self) -> Result<()> {
        Ok(())
    }
    fn close(&mut self) -> Result<()> {
        self.closed = true;
        Ok(())
    }
}

#[test]
fn a_refusal_is_one_line_in_the_targets_words_and_its_death_is_the_childs() {
    let journal = journal(4);
    let input = sent(&journal[..2]) + &sent(&journal[2..3]) + &sent(&journal[3..]);
    let mut target = Recorder { refuses: Some(2), gone_at: Some(3), ..Recorder::default() };
    let mut output = Vec::new();
    let error = serve(&mut target, Cursor::new(input), &mut output).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone);
    assert!(target.applied.is_empty(), "{:?}: the target was gone", target.applied);
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "{\"position\":null}\n{\"error\":{\"sequence\":2,\"message\":\"\\\"no\\\"\\n\u{1f980}\\\\\"}}\n"
    );
}
