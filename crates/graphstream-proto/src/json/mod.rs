//! The JSON line shape.

use std::borrow::Cow;
use std::fmt;

use crate::{JournalEntry, Result};

/// One line of `cat --json`: an entry and what its segment says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLine<'a> {
    /// The entry's sequence.
    pub sequence: u64,
    /// The leader's clock when the entry was committed, in ms since 1970-01-01 UTC.
    pub commit_ms: i64,
    /// The chain hash after the entry: 64 lowercase hexadecimal digits.
    pub chain_hash: Cow<'a, str>,
    /// The journal's lineage, 32 lowercase hexadecimal digits; only in the lines of the `jsonl` target.
    pub lineage: Option<Cow<'a, str>>,
    /// The entry.
    pub entry: Cow<'a, JournalEntry>,
}

/// Where in a JSON text something is wrong: `$.params.rows[3].name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(String);

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a JSON text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// Placeholder list of problems follows.
    #[error("an unknown field")]
    UnknownField,
}

/// Reads one `--input` line.
///
/// # Errors
/// When the line is not an entry.
pub fn parse_line(line: &str, default_timestamp_ms: i64) -> Result<JournalEntry> {
    let _ = (line, default_timestamp_ms);
    Err(crate::Error::Json { path: JsonPath("$".to_owned()), problem: JsonProblem::UnknownField })
}

/// Appends an entry's line to `out`, without a newline.
pub fn write_line(line: &EntryLine<'_>, out: &mut String) {
    let _ = (line, out);
}

/// Reads one line of `cat --json`.
///
/// # Errors
/// When the line is not an entry line.
pub fn parse_entry_line(line: &str) -> Result<EntryLine<'static>> {
    let _ = line;
    Err(crate::Error::Json { path: JsonPath("$".to_owned()), problem: JsonProblem::UnknownField })
}
