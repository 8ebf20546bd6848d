//! The lines of the protocol other than entries.

use std::borrow::Cow;
use std::fmt::Write as _;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::json::{EntryLine, write_line};
use serde::{Deserialize, Serialize};

use crate::{Reason, ReplayEntry};

/// A position on a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionLine<'a> {
    lineage: Cow<'a, str>,
    sequence: u64,
    chain_hash: Cow<'a, str>,
}

impl PositionLine<'_> {
    fn position(&self) -> Result<Position, Reason> {
        let lineage: Lineage =
            self.lineage.parse().map_err(|_| Reason::new("a lineage has 32 hexadecimal digits"))?;
        let chain_hash: ChainHash =
            self.chain_hash.parse().map_err(|_| Reason::new("a chain hash has 64 hexadecimal digits"))?;
        Ok(Position { lineage, sequence: self.sequence, chain_hash })
    }
}

/// The child's first line. `position` must be there, even when it is null.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handshake<'a> {
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    position: Option<PositionLine<'a>>,
}

impl Handshake<'_> {
    pub(super) fn position(&self) -> Result<Option<Position>, Reason> {
        self.position.as_ref().map(PositionLine::position).transpose()
    }
}

/// The child's answer to a batch: an object with exactly one of the two.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Answer {
    Applied(u64),
    Error(Refusal),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    pub(super) sequence: u64,
    pub(super) message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitLine<'a> {
    #[serde(borrow)]
    commit: PositionLine<'a>,
}

/// Appends an entry's line.
pub(super) fn write_entry_line(entry: &ReplayEntry, out: &mut String) {
    let line = EntryLine {
        sequence: entry.sequence,
        commit_ms: entry.commit_ms,
        chain_hash: entry.chain_hash.to_string().into(),
        lineage: None,
        entry: Cow::Borrowed(&entry.entry),
    };
    write_line(&line, out);
    out.push('\n');
}

/// Appends the line that ends a batch, with its newline.
pub(crate) fn write_commit_line(position: &Position, out: &mut String) {
    out.push_str("{\"commit\":");
    push_position(position, out);
    out.push_str("}\n");
}

/// Reads the line that ends a batch; `None` for any other line, entries among them.
#[must_use]
pub(crate) fn parse_commit_line(line: &str) -> Option<Position> {
    serde_json::from_str::<CommitLine<'_>>(line).ok()?.commit.position().ok()
}

/// Appends a child's first line, with its newline.
pub(crate) fn write_handshake(position: Option<&Position>, out: &mut String) {
    out.push_str("{\"position\":");
    match position {
        None => out.push_str("null"),
        Some(position) => push_position(position, out),
    }
    out.push_str("}\n");
}

/// Appends a child's answer to a batch that it applied up to `sequence`, with its newline.
pub(crate) fn write_answer(sequence: u64, out: &mut String) {
    // Writing to a String doesn't fail.
    let _ = writeln!(out, "{{\"applied\":{sequence}}}");
}

/// Appends a child's answer to a batch that it refused, with its newline.
pub(crate) fn write_error(sequence: u64, message: &str, out: &mut String) {
    let message = serde_json::Value::from(message);
    let _ = writeln!(out, "{{\"error\":{{\"sequence\":{sequence},\"message\":{message}}}}}");
}

fn push_position(position: &Position, out: &mut String) {
    let Position { lineage, sequence, chain_hash } = position;
    let _ =
        write!(out, "{{\"lineage\":\"{lineage}\",\"sequence\":{sequence},\"chain_hash\":\"{chain_hash}\"}}");
}
