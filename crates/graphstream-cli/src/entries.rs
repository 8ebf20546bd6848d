//! Entries as the verbs that print them take and show them: which ones (a range, a filter), and how (as text or JSON lines).

use std::sync::Arc;

use graphstream::format::Entry;
use graphstream::format::encryption::KeyRing;
use graphstream::proto::JournalEntry;
use graphstream::proto::json::{EntryLine, write_line};
use graphstream::replay::filter::{EntryFilter, StatementKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Failure, Kind};
use crate::times;

/// The flags of a range.
#[derive(Debug, clap::Args)]
pub(crate) struct RangeArgs {
    /// The first entry
    #[arg(long, value_name = "N")]
    pub(crate) from_sequence: Option<u64>,
    /// The last entry
    #[arg(long, value_name = "N")]
    pub(crate) to_sequence: Option<u64>,
    /// Entries committed at or after this: RFC 3339, or a span back from now (15m)
    #[arg(long, value_name = "TIME", value_parser = times::parse_moment, allow_hyphen_values = true)]
    pub(crate) since: Option<i64>,
    /// Entries committed at or before this
    #[arg(long, value_name = "TIME", value_parser = times::parse_moment, allow_hyphen_values = true)]
    pub(crate) until: Option<i64>,
}

impl RangeArgs {
    pub(crate) fn range(&self) -> Result<Range, Failure> {
        let range = Range {
            from: self.from_sequence.unwrap_or(0),
            to: self.to_sequence.unwrap_or(u64::MAX),
            since: self.since.unwrap_or(i64::MIN),
            until: self.until.unwrap_or(i64::MAX),
        };
        if range.from > range.to || range.since > range.until {
            return Err(Failure::new(Kind::Usage, "the range is empty: its end lies before its start"));
        }
        Ok(range)
    }
}

/// Which entries are wanted; all bounds inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) since: i64,
    pub(crate) until: i64,
}

impl Range {
    pub(crate) fn holds(self, entry: &Entry) -> bool {
        (self.from..=self.to).contains(&entry.sequence)
            && (self.since..=self.until).contains(&entry.commit_ms)
    }

    /// Sequences and commit times only grow: nothing behind such an entry is wanted.
    pub(crate) fn is_past(self, entry: &Entry) -> bool {
        entry.sequence > self.to || entry.commit_ms > self.until
    }
}

/// Which entries are wanted, and the keys to read them with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) range: Range,
    pub(crate) keys: Option<&'a Arc<KeyRing>>,
}

/// What an entry's statement may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KindArg {
    /// Makes nodes or relationships.
    Create,
    /// Makes what is not there.
    Merge,
    /// Changes properties or labels.
    Set,
    /// Takes away nodes or relationships.
    Delete,
    /// Changes tables, types, indexes.
    Schema,
}

/// The flags of a filter. A flag that is given several times: one of them must hold of --kind and --label, all of --param and --grep.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only entries whose statement does this
    #[arg(long, value_name = "KIND")]
    kind: Vec<KindArg>,
    /// Only entries whose statement names this label, relationship type or table
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// Only entries with this parameter, also inside of other parameters: id=7, name=Ada
    #[arg(long, value_name = "NAME=VALUE", value_parser = param)]
    param: Vec<(String, String)>,
    /// Only entries whose statement contains this text
    #[arg(long, value_name = "TEXT")]
    grep: Vec<String>,
}

fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.strip_prefix('$').unwrap_or(name).to_owned(), value.to_owned()))
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> EntryFilter {
        let kind = |kind: &KindArg| match kind {
            KindArg::Create => StatementKind::Create,
            KindArg::Merge => StatementKind::Merge,
            KindArg::Set => StatementKind::Set,
            KindArg::Delete => StatementKind::Delete,
            KindArg::Schema => StatementKind::Schema,
        };
        let mut filter = EntryFilter::default();
        filter.kinds = self.kind.iter().map(kind).collect();
        filter.labels.clone_from(&self.label);
        filter.params.clone_from(&self.param);
        filter.texts.clone_from(&self.grep);
        filter
    }
}

/// Makes lines of the entries that pass a filter.
#[derive(Debug)]
pub(crate) struct Lines {
    filter: EntryFilter,
    json: bool,
    decoded: JournalEntry,
    json_line: String,
    line: String,
}

#[derive(Deserialize)]
struct ParamsOnly<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl Lines {
    pub(crate) fn new(filter: EntryFilter, json: bool) -> Self {
        let decoded = JournalEntry::default();
        Self { filter, json, decoded, json_line: String::new(), line: String::new() }
    }

    /// The entry's line, without its end; `None` if the filter holds it back. `beside` is what can be done for the next entry meanwhile.
    pub(crate) fn line(
        &mut self,
        entry: &Entry,
        beside: impl FnMut() -> bool,
    ) -> Result<Option<&str>, Failure> {
        use std::fmt::Write;

        self.decoded.decode_beside(&entry.payload, entry.sequence, beside).map_err(|error| {
            Failure::from(error)
                .while_doing(format_args!("entry {} can't be decoded", entry.sequence))
                .place(|place| place.sequence = Some(entry.sequence))
        })?;
        if !self.filter.matches(&self.decoded) {
            return Ok(None);
        }
        self.json_line.clear();
        write_line(
            &EntryLine {
                sequence: entry.sequence,
                commit_ms: entry.commit_ms,
                chain_hash: entry.chain_hash.to_string().into(),
                lineage: None,
                entry: std::borrow::Cow::Borrowed(&self.decoded),
            },
            &mut self.json_line,
        );
        if self.json {
            return Ok(Some(self.json_line.trim_end_matches('\n')));
        }
        let params = serde_json::from_str::<ParamsOnly<'_>>(&self.json_line)
            .ok()
            .and_then(|line| line.params)
            .map(RawValue::get)
            .filter(|params| *params != "{}");
        let (gap, params) = params.map_or(("", ""), |params| ("  ", params));
        self.line.clear();
        // Writing to a String doesn't fail.
        let _ = write!(
            self.line,
            "{:>10}  {}  {}{gap}{}",
            entry.sequence,
            times::rfc3339(entry.commit_ms),
            OneLine(&self.decoded.query),
            OneLine(params)
        );
        Ok(Some(&self.line))
    }
}

/// A text on one line, with nothing in it that a terminal would obey. (JSON leaves the controls U+007F to U+009F as they are.)
struct OneLine<'a>(&'a str);

impl std::fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            let text = part.trim_end_matches(char::is_control);
            f.write_str(text)?;
            for control in part.chars().skip(text.chars().count()) {
                write!(f, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}
