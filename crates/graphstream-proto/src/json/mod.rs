//! The JSON line shape of `append --input`, `cat --json` and the `jsonl` and `exec` targets.
//!
//! ```text
//! {"query": "...", "params": {...}, "timestamp_ms": 0, "uuid": "..."}                             an input line
//! {"sequence": 1, "commit_ms": 0, "chain_hash": "hex", "query": ..., "params": ..., ...}          an entry line
//! ```
//!
//! `params`, `timestamp_ms` and `uuid` may be absent from an input line. An entry line is an input line too: what it says
//! about its segment is passed over, so the output of `cat --json` can be appended elsewhere.
//!
//! | JSON | value |
//! |---|---|
//! | `null`, `true`, `"text"`, `[...]`, `{...}` | null, bool, string, list, map |
//! | a number without point or exponent | int64; beyond its range an error |
//! | a number with a point or an exponent | double |
//! | `{"$double": "NaN"}` | the doubles JSON can't say: `NaN`, `Infinity`, `-Infinity`; a NaN with other bits than the usual one is `NaN(0x7ff8000000000001)` |
//! | `{"$bytes": "aGk="}` | bytes, base64 with padding |
//! | `{"$date": "2024-02-29"}`, `$datetime`, `$localdatetime`, `$time`, `$localtime`, `$duration` | temporal, as [`TextKind`](crate::TextKind) says |
//! | `{"$point": {"srid": 4326, "x": 1.0, "y": 2.0, "z": 3.0}}` | point; `z` may be absent; the coordinates are numbers or `$double` |
//! | `{"$uuid": "..."}`, `{"$decimal": "1.10"}`, `{"$int128": "..."}` | uuid, decimal, int128 |
//! | `{"$map": {"$date": 1}}` | a map whose only key begins with `$` |
//!
//! Any other object with one key that begins with `$` is an error, and so is a key given twice in one object. `params` itself is
//! never read as a one-key value.

mod parse;
mod path;
mod text;
mod write;

use std::borrow::Cow;

use crate::JournalEntry;

pub use parse::{parse_entry_line, parse_line};
pub use path::{JsonPath, JsonProblem};
pub use write::write_line;

/// The longest line that is read, in bytes. The JSON of the largest payload is below it: it writes a byte as six at most
/// (`\u0000`), so whatever was journaled can be printed and read again.
pub const LINE_BYTES_MAX: usize = 128 * 1024 * 1024;
const _: () = assert!(LINE_BYTES_MAX >= 7 * crate::limits::PAYLOAD_BYTES_MAX);

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

/// The one-key objects, by key.
mod keys {
    pub(super) const BYTES: &str = "$bytes";
    pub(super) const DATE: &str = "$date";
    pub(super) const DATETIME: &str = "$datetime";
    pub(super) const DECIMAL: &str = "$decimal";
    pub(super) const DOUBLE: &str = "$double";
    pub(super) const DURATION: &str = "$duration";
    pub(super) const INT128: &str = "$int128";
    pub(super) const LOCAL_DATETIME: &str = "$localdatetime";
    pub(super) const LOCAL_TIME: &str = "$localtime";
    pub(super) const MAP: &str = "$map";
    pub(super) const POINT: &str = "$point";
    pub(super) const TIME: &str = "$time";
    pub(super) const UUID: &str = "$uuid";
}
