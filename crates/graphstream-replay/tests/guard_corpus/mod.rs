//! The statements of `corpus.txt`.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use graphstream_replay::guard::Dialect;

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
