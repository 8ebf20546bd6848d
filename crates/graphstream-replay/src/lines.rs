//! Entries as the lines of a `jsonl` file, made before a target sees them.

use std::borrow::Cow;
use std::fmt::Write as _;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::JournalEntry;
use graphstream_proto::json::{EntryLine, write_line};

/// Consecutive entries as lines, in the shape of `cat --json` with the lineage; see [`ReplayTarget::takes_lines`](crate::ReplayTarget::takes_lines).
///
/// ```
/// use graphstream_format::{ChainHash, Lineage};
/// use graphstream_proto::JournalEntry;
/// use graphstream_replay::LineBatch;
///
/// let mut lines = LineBatch::new(Lineage::from_bytes([7; 16]));
/// lines.push(3, 1_700_000_000_000, ChainHash::ZERO, &JournalEntry::new("CREATE (:Person {id: 1})", 0));
/// assert!(lines.text().starts_with("{\"sequence\":3,\"commit_ms\":1700000000000,"));
/// assert_eq!((lines.first(), lines.last().sequence), (3, 3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineBatch {
    lineage: String,
    first: u64,
    last: Position,
    /// An entry that does not follow the one before it.
    misplaced: Option<u64>,
    text: String,
    /// The digits of one hash.
    chain_hash: String,
}

impl LineBatch {
    /// One without lines.
    #[must_use]
    pub fn new(lineage: Lineage) -> Self {
        Self {
            lineage: lineage.to_string(),
            first: 0,
            last: Position::start(lineage),
            misplaced: None,
            text: String::new(),
            chain_hash: String::new(),
        }
    }

    /// Adds an entry's line.
    pub fn push(&mut self, sequence: u64, commit_ms: i64, chain_hash: ChainHash, entry: &JournalEntry) {
        self.follows(sequence);
        (self.last.sequence, self.last.chain_hash) = (sequence, chain_hash);
        self.chain_hash.clear();
        // Writing to a String doesn't fail.
        let _ = write!(self.chain_hash, "{chain_hash}");
        let line = EntryLine {
            sequence,
            commit_ms,
            chain_hash: Cow::Borrowed(&self.chain_hash),
            lineage: Some(Cow::Borrowed(&self.lineage)),
            entry: Cow::Borrowed(entry),
        };
        write_line(&line, &mut self.text);
        self.text.push('\n');
    }

    /// Adds the lines that come behind these.
    pub fn append(&mut self, next: &Self) {
        if next.text.is_empty() {
            return;
        }
        self.follows(next.first);
        self.misplaced = self.misplaced.or(next.misplaced);
        self.last = next.last;
        self.text.push_str(&next.text);
    }

    fn follows(&mut self, sequence: u64) {
        if self.text.is_empty() {
            self.first = sequence;
        } else if self.last.sequence.checked_add(1) != Some(sequence) {
            self.misplaced.get_or_insert(sequence);
        }
    }

    /// The sequence of an entry that has no place here: 0, or none behind the one before it.
    pub(crate) fn misplaced(&self) -> Option<u64> {
        self.misplaced.or((self.first == 0).then_some(0))
    }

    /// Removes the lines, and keeps `bytes` of the room for them.
    pub fn clear(&mut self, bytes: usize) {
        self.misplaced = None;
        self.text.clear();
        self.text.shrink_to(bytes);
    }

    /// The lines, each with its newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The sequence of the first entry.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The position of the last entry.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.last
    }
}
