//! `tail`: the last entries, and with `-f` those that come.
//!
//! ```text
//!   look back ──▶ the last N of what is wanted ──▶ -f: wait ──▶ print ──┐
//!   (twice as far while they are too few)            ▲                  │
//!                                                    └──────────────────┘
//! ```
//! One reader does both, so nothing is lost or shown twice where looking back ends.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use graphstream::format::{ChainHash, Entry, ReadOptions};
use graphstream::journal::{self, JournalDir, JournalReader, ReaderOptions};
use graphstream::remote::DatabaseName;
use graphstream::replication::Stop;

use crate::entries::{FilterArgs, Lines, Range, RangeArgs, Wanted};
use crate::failure::{Failure, Kind, warn};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::segments::{self, Fetched, History, Piece};
use crate::source::{Source, SourceArgs};
use crate::store::{self, Access, StoreUrl};
use crate::{stop, times};

/// How long is slept between two looks at a journal that has nothing new.
const LOOK: Duration = Duration::from_millis(50);
/// How many entries are looked back for each that is wanted, when not all of them are.
const FILTERED_LOOK_BACK: u64 = 32;

/// Flags of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream tail --journal ./journal -f
  graphstream tail --journal ./journal -n 100 --label Person --kind delete
  graphstream tail --from file:///srv/store --database social -f --json
  graphstream tail --journal ./journal -f -n 0 --param id=7

Prints the last entries that pass the filters, and with -f goes on until ctrl-C, which is success. With --from-sequence or
--since it begins there instead. A journal may be written to meanwhile, by any process; of a store, -f asks for the head
alone, until that changes. A line of --json is as of cat --json.")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// Go on with entries as they come
    #[arg(long, short)]
    follow: bool,
    /// How many of the last entries [default: 10; all with --from-sequence or --since]
    #[arg(long, short = 'n', value_name = "N")]
    entries: Option<u64>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// How often the head of a store is asked for, with -f
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration, default_value = "1s")]
    poll_interval: Duration,
    /// JSON lines, see docs/cli-json.md
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let range = args.range.range()?;
    let from_start = args.range.from_sequence.is_some() || args.range.since.is_some();
    let filter = args.filter.filter();
    let last = args.entries.or((!from_start).then_some(10));
    let stop = Stop::new();
    if args.follow {
        let asked = stop.clone();
        stop::listen(move || asked.cancel())?;
    }
    let all = filter.is_empty() && args.range.until.is_none() && args.range.to_sequence.is_none();
    let mut tail = Tail {
        out: Out::new(),
        lines: Lines::new(filter, args.json),
        range,
        last,
        held: VecDeque::new(),
        looking_back: last.is_some(),
        looked_back: if all { 1 } else { FILTERED_LOOK_BACK },
        seen: 0,
        chain_hash: None,
        ended: false,
    };
    let keys = args.keys.ring()?;
    let wanted = Wanted { range, keys: keys.as_ref() };
    let done = match args.source.source() {
        Source::Journal(dir) => journal(dir, wanted, &mut tail, args.follow.then_some(&stop)),
        Source::Store(url, database) => {
            let follow = args.follow.then_some((&stop, args.poll_interval));
            published(url, database.clone(), &args.keys, &mut tail, follow)
        }
        Source::Files(_) if args.follow => {
            Err(Failure::new(Kind::Usage, "files don't grow: -f takes --journal DIR, or --from URL"))
        }
        Source::Files(paths) => paths.iter().try_for_each(|path| {
            // Files need not follow each other.
            (tail.seen, tail.chain_hash) = (0, None);
            tail.segment(path, path, segments::options(wanted.keys)).map(drop)
        }),
    };
    // What came before an error belongs to the answer.
    tail.release()?;
    tail.out.flush()?;
    done
}

/// Prints the last of what it is given, then everything.
struct Tail {
    out: Out,
    lines: Lines,
    range: Range,
    /// How many to print of what there is already; `None` for all.
    last: Option<u64>,
    /// The last lines so far.
    held: VecDeque<String>,
    /// Lines are held, because a later one may push them out.
    looking_back: bool,
    /// How many entries are looked back for each that is wanted.
    looked_back: u64,
    /// The last entry that was taken; 0 before the first.
    seen: u64,
    /// Its chain hash.
    chain_hash: Option<ChainHash>,
    /// Nothing more is wanted.
    ended: bool,
}

impl Tail {
    /// Takes the next entry.
    fn entry(&mut self, entry: &Entry, beside: impl FnMut() -> bool) -> Result<(), Failure> {
        (self.seen, self.chain_hash) = (entry.sequence, Some(entry.chain_hash));
        if self.range.is_past(entry) {
            self.ended = true;
            return Ok(());
        }
        if !self.range.holds(entry) {
            return Ok(());
        }
        let Some(line) = self.lines.line(entry, beside)? else { return Ok(()) };
        if !self.looking_back {
            return self.out.line(line);
        }
        let last = usize::try_from(self.last.unwrap_or(0)).unwrap_or(usize::MAX);
        if last > 0 {
            if self.held.len() == last {
                self.held.pop_front();
            }
            self.held.push_back(line.to_owned());
        }
        Ok(())
    }

    /// Ends looking back: prints what it has found.
    fn release(&mut self) -> Result<(), Failure> {
        self.looking_back = false;
        self.held.drain(..).try_for_each(|line| self.out.line(line))
    }

    /// Where to begin, for a history from `first` to `end`: as far back as was looked now.
    fn begin(&self, first: u64, end: u64) -> u64 {
        match self.last {
            Some(last) => {
                let back = last.saturating_mul(self.looked_back);
                end.min(self.range.to).saturating_add(1).saturating_sub(back).max(first).max(self.range.from)
            }
            None => self.range.from,
        }
    }

    /// Whether too few were found, and there is more to look at. Then it is to begin again, further back.
    fn must_look_further(&mut self, began: u64, first: u64) -> bool {
        let enough = self.last.is_none_or(|last| self.held.len() as u64 >= last);
        if !self.looking_back || enough || began <= first.max(self.range.from) {
            return false;
        }
        self.looked_back = self.looked_back.saturating_mul(4);
        self.held.clear();
        (self.seen, self.chain_hash, self.ended) = (0, None, false);
        true
    }

    /// Takes the entries of a file that are not taken yet.
    fn segment(&mut self, path: &Path, name: &Path, mut options: ReadOptions) -> Result<(), Failure> {
        let first = segments::header(path).map_or(0, |header| header.first_seq);
        if let Some(chain_hash) = self.chain_hash.filter(|_| self.seen + 1 == first) {
            options = options.with_expected_chain(chain_hash);
        }
        let mut reader = segments::open_as(path, name, options)?;
        let mut entry = Entry::default();
        while !self.ended {
            match reader.read_next(&mut entry) {
                Ok(true) if entry.sequence <= self.seen => {}
                Ok(true) => self.entry(&entry, || reader.hash_ahead())?,
                Ok(false) => break,
                Err(error) => return Err(Failure::in_segment(name, &error)),
            }
        }
        Ok(())
    }
}

fn journal(dir: &Path, wanted: Wanted<'_>, tail: &mut Tail, follow: Option<&Stop>) -> Result<(), Failure> {
    let mut opened = JournalDir::open(dir)?;
    if let Some(keys) = wanted.keys {
        opened = opened.with_keys(keys.clone());
    }
    let end = opened.position()?.sequence;
    let first = opened.segment_sequences()?.first().copied().unwrap_or(0);
    let reader = |from: u64| {
        let mut options = ReaderOptions::default().with_from_sequence(from).with_follow(follow.is_some());
        options.keys = wanted.keys.cloned();
        JournalReader::open(dir, options)
    };
    let mut began = tail.begin(first, end);
    let mut reading = reader(began)?;
    let mut entry = Entry::default();
    let mut told = false;
    loop {
        let read = match reading.read_next(&mut entry) {
            // A history that is not there yet is waited for.
            Err(journal::Error::BeyondEnd { .. }) if follow.is_some() => false,
            read => read?,
        };
        if read {
            tail.entry(&entry, || reading.hash_ahead())?;
            if tail.looking_back && (tail.seen >= end || tail.ended) && !tail.must_look_further(began, first)
            {
                tail.release()?;
            }
            if tail.ended {
                return Ok(());
            }
            // It was set back to look further.
            if tail.seen == 0 {
                began = tail.begin(first, end);
                reading = reader(began)?;
            }
            continue;
        }
        tail.release()?;
        tail.out.flush()?;
        if let Some(torn) = reading.torn_tail() {
            if !std::mem::replace(&mut told, true) {
                warn(format_args!(
                    "{} ends in a torn tail at file offset {}, after sequence {}: {}; the next writer cuts it",
                    torn.path.display(),
                    torn.offset,
                    torn.last_sequence,
                    torn.why
                ));
            }
            if follow.is_some() {
                std::thread::sleep(LOOK);
                reading = reader(torn.last_sequence.max(tail.seen) + 1)?;
            }
        }
        match follow {
            Some(stop) if !stop.is_cancelled() => std::thread::sleep(LOOK),
            _ => return Ok(()),
        }
    }
}

fn published(
    url: &StoreUrl,
    database: DatabaseName,
    keys: &StoreKeyArgs,
    tail: &mut Tail,
    follow: Option<(&Stop, Duration)>,
) -> Result<(), Failure> {
    store::runtime()?.block_on(async {
        let remote = keys.give(store::open(url, database, Access::Read).await?).await?;
        let (mut history, head) = History::open(remote.clone(), 0).await?;
        let end = head.head.committed().sequence;
        let mut began = tail.begin(1, end).max(1);
        loop {
            history = history.after(began - 1);
            take(&mut history, tail).await?;
            if !tail.must_look_further(began, 1) {
                break;
            }
            began = tail.begin(1, end).max(1);
        }
        tail.release()?;
        let Some((stop, poll_interval)) = follow else { return Ok(()) };
        let mut failing = false;
        while !tail.ended {
            tail.out.flush()?;
            tokio::select! {
                () = tokio::time::sleep(poll_interval) => {}
                () = stop.cancelled() => return Ok(()),
            }
            match history.poll().await {
                Ok(true) => take(&mut history, tail).await?,
                Ok(false) => {}
                Err(error) if error.kind() == graphstream::remote::ErrorKind::Storage => {
                    if !std::mem::replace(&mut failing, true) {
                        warn(format_args!("{}: it is asked again", Failure::from(error).sentence()));
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            failing = false;
        }
        Ok(())
    })
}

/// Takes everything that is published now.
async fn take(history: &mut History, tail: &mut Tail) -> Result<(), Failure> {
    while !tail.ended
        && let Some(piece) = history.next().await?
    {
        match piece {
            Piece::Segment(fetched) => {
                let Fetched { path, name, options, .. } = *fetched;
                tail.segment(&path, &name, options)?;
            }
            Piece::Bad(bad) => return Err(bad.failure),
        }
    }
    Ok(())
}
