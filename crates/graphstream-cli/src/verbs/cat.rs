//! `cat`: entries as text or JSON lines.

use std::path::Path;

use graphstream::format::{Entry, ReadOptions};
use graphstream::journal::{JournalReader, ReaderOptions};
use graphstream::remote::DatabaseName;

use crate::entries::{FilterArgs, Lines, Range, RangeArgs, Wanted};
use crate::failure::{Failure, Kind, warn};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::segments;
use crate::segments::{History, Piece};
use crate::source::{Source, SourceArgs};
use crate::store::{self, Access, StoreUrl};

/// Flags of `cat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream cat --journal ./journal --from-sequence 1000 | head
  graphstream cat --journal ./journal --since 15m --json
  graphstream cat --from file:///srv/store --database social --json > everything.jsonl
  graphstream cat --journal ./journal --kind delete --label Person
  graphstream cat journal/*.hadbj

A line of --json can be appended again: graphstream append reads it. Commit times in sealed segments are those of the
segment (version 1 keeps one), so --since and --until are exact to a segment there.")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    keys: StoreKeyArgs,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// JSON lines, see docs/cli-json.md
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let range = args.range.range()?;
    let mut printer = Printer { out: Out::new(), lines: Lines::new(args.filter.filter(), args.json) };
    let keys = args.keys.ring()?;
    let wanted = Wanted { range, keys: keys.as_ref() };
    let printed = match args.source.source() {
        Source::Journal(dir) => journal(dir, wanted, &mut printer),
        Source::Store(url, database) => published(url, database.clone(), range, &args.keys, &mut printer),
        Source::Files(paths) => paths.iter().try_for_each(|path| segment(path, path, wanted, &mut printer)),
    };
    // What came before an error belongs to the answer.
    printer.out.flush()?;
    printed
}

/// Prints the wanted entries of a file.
fn segment(path: &Path, name: &Path, wanted: Wanted<'_>, printer: &mut Printer) -> Result<(), Failure> {
    print_segment(path, name, segments::options(wanted.keys), wanted.range, printer)
}

fn print_segment(
    path: &Path,
    name: &Path,
    options: ReadOptions,
    range: Range,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut reader = segments::open_as(path, name, options)?;
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
    range: Range,
    keys: &StoreKeyArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    store::runtime()?.block_on(async {
        let remote = keys.give(store::open(url, database, Access::Read).await?).await?;
        let (mut history, head) = History::open(remote, range.from.saturating_sub(1)).await?;
        let committed = head.head.committed();
        if range.from > committed.sequence.saturating_add(1) {
            return Err(beyond(range.from, committed.sequence));
        }
        while let Some(piece) = history.next().await? {
            match piece {
                Piece::Segment(fetched) if fetched.planned.name.first() > range.to => break,
                Piece::Segment(fetched) => {
                    print_segment(&fetched.path, &fetched.name, fetched.options, range, printer)?;
                }
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
    lines: Lines,
}

impl Printer {
    /// `beside` is what can be done for the next entry meanwhile.
    fn entry(&mut self, entry: &Entry, beside: impl FnMut() -> bool) -> Result<(), Failure> {
        match self.lines.line(entry, beside)? {
            Some(line) => self.out.line(line),
            None => Ok(()),
        }
    }
}
