//! `cat`: entries as text or JSON lines.

use std::path::Path;
use std::sync::Arc;

use graphstream::format::Entry;
use graphstream::format::encryption::KeyRing;
use graphstream::journal::{JournalReader, ReaderOptions};
use graphstream::proto::JournalEntry;
use graphstream::proto::json::{EntryLine, write_line};
use graphstream::remote::DatabaseName;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Failure, Kind, warn};
use crate::keys::KeyArgs;
use crate::out::Out;
use crate::segments::{History, Piece};
use crate::source::{Source, SourceArgs};
use crate::store::{self, Access, StoreUrl};
use crate::{segments, times};

/// Flags of `cat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream cat --journal ./journal --from-sequence 1000 | head
  graphstream cat --journal ./journal --since 15m --json
  graphstream cat --from file:///srv/store --database social --json > everything.jsonl
  graphstream cat journal/*.hadbj

A line of --json can be appended again: graphstream append reads it. Commit times in sealed segments are those of the
segment (version 1 keeps one), so --since and --until are exact to a segment there.")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The first entry
    #[arg(long, value_name = "N")]
    from_sequence: Option<u64>,
    /// The last entry
    #[arg(long, value_name = "N")]
    to_sequence: Option<u64>,
    /// Entries committed at or after this: RFC 3339, or a span back from now (15m)
    #[arg(long, value_name = "TIME", value_parser = times::parse_moment, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Entries committed at or before this
    #[arg(long, value_name = "TIME", value_parser = times::parse_moment, allow_hyphen_values = true)]
    until: Option<i64>,
    /// JSON lines, see docs/cli-json.md
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut printer =
        Printer { out: Out::new(), decoded: JournalEntry::default(), line: String::new(), json: args.json };
    let range = Range {
        from: args.from_sequence.unwrap_or(0),
        to: args.to_sequence.unwrap_or(u64::MAX),
        since: args.since.unwrap_or(i64::MIN),
        until: args.until.unwrap_or(i64::MAX),
    };
    if range.from > range.to || range.since > range.until {
        return Err(Failure::new(Kind::Usage, "the range is empty: its end lies before its start"));
    }
    let keys = args.keys.ring()?;
    let wanted = Wanted { range, keys: keys.as_ref() };
    let printed = match args.source.source() {
        Source::Journal(dir) => journal(dir, wanted, &mut printer),
        Source::Store(url, database) => published(url, database.clone(), wanted, &mut printer),
        Source::Files(paths) => paths.iter().try_for_each(|path| segment(path, path, wanted, &mut printer)),
    };
    // What came before an error belongs to the answer.
    printer.out.flush()?;
    printed
}

/// Which entries are wanted, and the keys to read them with.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    range: Range,
    keys: Option<&'a Arc<KeyRing>>,
}

/// Which entries are wanted; all bounds inclusive.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
    since: i64,
    until: i64,
}

impl Range {
    fn holds(self, entry: &Entry) -> bool {
        (self.from..=self.to).contains(&entry.sequence)
            && (self.since..=self.until).contains(&entry.commit_ms)
    }

    /// Sequences and commit times only grow: nothing behind such an entry is wanted.
    fn is_past(self, entry: &Entry) -> bool {
        entry.sequence > self.to || entry.commit_ms > self.until
    }
}

/// Prints the wanted entries of a file.
fn segment(path: &Path, name: &Path, wanted: Wanted<'_>, printer: &mut Printer) -> Result<(), Failure> {
    let range = wanted.range;
    let mut reader = segments::open_as(path, name, segments::options(wanted.keys))?;
    let mut entry = Entry::default();
    loop {
        match reader.read_next(&mut entry) {
            Ok(true) if range.is_past(&entry) => return Ok(()),
            Ok(true) if range.holds(&entry) => printer.entry(&entry, || reader.hash_ahead())?,
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(Failure::in_segment(name, &error)),
        }
    }
    if let Some(torn) = reader.end().and_then(|end| end.torn) {
        warn(format_args!(
            "{} ends in a torn tail at file offset {}: {}",
            name.display(),
            torn.offset,
            torn.why
        ));
    }
    Ok(())
}

fn journal(dir: &Path, wanted: Wanted<'_>, printer: &mut Printer) -> Result<(), Failure> {
    let range = wanted.range;
    let mut options = ReaderOptions::default().with_from_sequence(range.from);
    options.keys = wanted.keys.cloned();
    let mut reader = JournalReader::open(dir, options).map_err(|error| match error {
        graphstream::journal::Error::BeyondEnd { sequence, last, .. } => beyond(sequence, last),
        other => other.into(),
    })?;
    let mut entry = Entry::default();
    loop {
        match reader.read_next(&mut entry) {
            Ok(true) if range.is_past(&entry) => return Ok(()),
            Ok(true) if range.holds(&entry) => printer.entry(&entry, || reader.hash_ahead())?,
            Ok(true) => {}
            Ok(false) => break,
            Err(graphstream::journal::Error::BeyondEnd { sequence, last, .. }) => {
                return Err(beyond(sequence, last));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(torn) = reader.torn_tail() {
        warn(format_args!(
            "{} ends in a torn tail at file offset {}, after sequence {}: {}; the next writer cuts it",
            torn.path.display(),
            torn.offset,
            torn.last_sequence,
            torn.why
        ));
    }
    Ok(())
}

fn published(
    url: &StoreUrl,
    database: DatabaseName,
    wanted: Wanted<'_>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let range = wanted.range;
    store::runtime()?.block_on(async {
        let remote = store::open(url, database, Access::Read).await?;
        let (mut history, head) = History::open(remote, range.from.saturating_sub(1)).await?;
        let committed = head.head.committed();
        if range.from > committed.sequence.saturating_add(1) {
            return Err(beyond(range.from, committed.sequence));
        }
        while let Some(piece) = history.next().await? {
            match piece {
                Piece::Segment(fetched) if fetched.planned.name.first() > range.to => break,
                Piece::Segment(fetched) => segment(&fetched.path, &fetched.name, wanted, printer)?,
                Piece::Bad(bad) => return Err(bad.failure),
            }
        }
        Ok(())
    })
}

fn beyond(wanted: u64, last: u64) -> Failure {
    Failure::new(Kind::Usage, format!("--from-sequence {wanted} is beyond the last entry, {last}"))
}

/// Prints entries, one per line.
struct Printer {
    out: Out,
    decoded: JournalEntry,
    line: String,
    json: bool,
}

#[derive(Deserialize)]
struct ParamsOnly<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl Printer {
    /// `beside` is what can be done for the next entry meanwhile.
    fn entry(&mut self, entry: &Entry, beside: impl FnMut() -> bool) -> Result<(), Failure> {
        self.decoded.decode_beside(&entry.payload, entry.sequence, beside).map_err(|error| {
            Failure::from(error)
                .while_doing(format_args!("entry {} can't be decoded", entry.sequence))
                .place(|place| place.sequence = Some(entry.sequence))
        })?;
        self.line.clear();
        write_line(
            &EntryLine {
                sequence: entry.sequence,
                commit_ms: entry.commit_ms,
                chain_hash: entry.chain_hash.to_string().into(),
                lineage: None,
                entry: std::borrow::Cow::Borrowed(&self.decoded),
            },
            &mut self.line,
        );
        if self.json {
            return self.out.line(self.line.trim_end_matches('\n'));
        }
        let params = serde_json::from_str::<ParamsOnly<'_>>(&self.line)
            .ok()
            .and_then(|line| line.params)
            .map(RawValue::get)
            .filter(|params| *params != "{}");
        let (gap, params) = params.map_or(("", ""), |params| ("  ", params));
        self.out.line(format_args!(
            "{:>10}  {}  {}{gap}{}",
            entry.sequence,
            times::rfc3339(entry.commit_ms),
            OneLine(&self.decoded.query),
            OneLine(params)
        ))
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
