//! The statements of `corpus.txt`.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_replay::guard::{Dialect, TokenKind, Tokens};

const CORPUS: &str = include_str!("corpus.txt");

/// What the guard says to a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Accept,
    Rewrite(String),
    Refuse { reason: String, offset: usize },
}

/// A line of the corpus.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) dialect: Dialect,
    pub(crate) query: String,
    pub(crate) expected: Expected,
}

impl Case {
    /// An entry of the corpus, long ago, with a UUID of its own and a value for each parameter.
    pub(crate) fn entry(&self) -> JournalEntry {
        let uuid = format!("00112233-4455-6677-8899-{:012x}", 0x00ff_0000 + self.line);
        let mut entry = JournalEntry::new(self.query.as_str(), 1_000_000_000_000).with_uuid_override(uuid);
        for token in Tokens::new(&self.query, Dialect::Any).map_while(Result::ok) {
            let name = token.name().into_owned();
            if token.kind != TokenKind::Parameter || entry.params.iter().any(|(key, _)| *key == name) {
                continue;
            }
            let row =
                ParamValue::Map(vec![("id".to_owned(), 1_i64.into()), ("now".to_owned(), "then".into())]);
            let value = match name.as_str() {
                "rows" => ParamValue::List(vec![row]),
                "list" => ParamValue::List(vec![1_i64.into(), 2_i64.into()]),
                "id" | "n" => 1_i64.into(),
                _ => format!("the {name}").into(),
            };
            entry = entry.with_param(name, value);
        }
        entry
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut dialect = Dialect::Any;
    let mut cases = Vec::new();
    for (number, line) in (1..).zip(CORPUS.lines()) {
        if let Some(section) = line.strip_prefix('[') {
            let (name, _) = section.split_once(']').unwrap();
            dialect = match name {
                "any" => Dialect::Any,
                "ladybug" => Dialect::Ladybug,
                "grafeo" => Dialect::Grafeo,
                other => panic!("line {number}: section {other}"),
            };
        }
        let Some((verdict, rest)) = line.split_once('\t') else { continue };
        let rest = rest.replace('\u{23ce}', "\n").replace('\u{240d}', "\r");
        let (query, expected) = match verdict.split_once(' ') {
            None if verdict == "accept" => (rest, Expected::Accept),
            None if verdict == "rewrite" => {
                let (query, rewritten) = rest.split_once('\t').unwrap();
                (query.to_owned(), Expected::Rewrite(rewritten.to_owned()))
            }
            Some(("refuse", reason)) => {
                let offset = rest.find('»').unwrap_or_else(|| rest.trim_end().len());
                (rest.replace('»', ""), Expected::Refuse { reason: reason.to_owned(), offset })
            }
            _ => panic!("line {number}: verdict {verdict}"),
        };
        cases.push(Case { line: number, dialect, query, expected });
    }
    cases
}
