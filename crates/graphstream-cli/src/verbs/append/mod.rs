//! `append`: JSON lines into a journal.
//!
//! ```text
//!  input ──▶ thread: line, parse, encode ──▶ bounded channel ──▶ append ──▶ pending ──▶ wait ──▶ acks on stdout
//!                                                                  (many in flight: one sync serves them all)
//! ```

mod admission;
mod input;
mod pending;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use clap::ValueEnum;
use graphstream::journal::{
    self, Journal, JournalOptions, RecoveryReport, SyncPolicy, Ticket, WhenFull as JournalWhenFull,
};

use self::input::{Input, Item};
use self::pending::Pending;
use crate::failure::{Failure, Kind, warn};
use crate::keys::KeyArgs;
use crate::out::Out;
use crate::terminal::{Progress, count, counted};
use crate::{sizes, stop, times};

/// Flags of `append`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream append --journal ./journal --input mutations.jsonl
  echo '{\"query\": \"CREATE (:Person {name: $name})\", \"params\": {\"name\": \"Ada\"}}' |
    graphstream append --journal ./journal --acks --json
  producer | graphstream append --journal ./journal --ack stored --acks | consumer
  graphstream append --journal ./journal --encryption-key-file 2026.key --input mutations.jsonl

A line is {\"query\": \"...\", \"params\": {...}, \"timestamp_ms\": 0, \"uuid\": \"...\"}; all but the query may be absent. Lines
of cat --json can be appended too. Values JSON can't say are one-key objects: {\"$date\": \"2026-01-31\"}, {\"$bytes\":
\"aGk=\"}, {\"$uuid\": ...}; see docs/cli-json.md.

At a bad line append stops, names the line, and exits with 1; everything before it is acknowledged. A statement that would give
another result when it is replayed (rand(), COPY, LIMIT without ORDER BY...) is such a line; current_timestamp() and one
gen_random_uuid() are replaced by the entry's own time and UUID: see docs/determinism.md.
SIGTERM and ctrl-C: what was appended is acknowledged, the journal is sealed, exit code 0.")]
pub(crate) struct Args {
    /// The journal's directory; it is made if it is missing (the directory above must exist)
    #[arg(long, value_name = "DIR", env = "GRAPHSTREAM_JOURNAL")]
    journal: PathBuf,
    /// The file with the lines; - is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// What an acknowledgement means
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = AckLevel::Synced)]
    ack: AckLevel,
    /// Print the sequence of each entry when it is acknowledged
    #[arg(long)]
    acks: bool,
    /// With --acks: {"sequence": n, "position": "..."}, the position for follow --until-position; errors as JSON on stderr
    #[arg(long)]
    pub(crate) json: bool,
    /// Where commit times come from: the clock, or each line's timestamp_ms (for imports; never decreasing)
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t = CommitTime::Now)]
    commit_time: CommitTime,
    /// The largest open segment, in bytes (4194304, 4MiB)
    #[arg(long, value_name = "BYTES", value_parser = segment_bytes, default_value = "4MiB")]
    segment_bytes_max: u64,
    /// How long an entry may stay in the open segment; then it is sealed, for the shipper, also when nothing follows
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration, default_value = "10s")]
    segment_age_max: Duration,
    /// How many bytes of segments the shipper (or another cursor) may leave waiting before --when-full; without a cursor there is no bound
    #[arg(long, value_name = "BYTES", env = "GRAPHSTREAM_HELD_BYTES_MAX", value_parser = sizes::parse)]
    held_bytes_max: Option<u64>,
    /// What happens at --held-bytes-max: no line is read until there is room, or append ends with code 3
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = WhenFull::Block)]
    when_full: WhenFull,
    #[command(flatten)]
    admission: admission::GuardArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// With a key, for a journal whose segments are plain: what is sealed from here on is encrypted, and from then on the journal
    /// opens with its key alone. What was sealed before stays plain
    #[arg(long)]
    encrypt_existing: bool,
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AckLevel {
    /// In the operating system: survives this process
    Written,
    /// On disk: survives a power cut
    Synced,
    /// In the object store and published; needs a running graphstream replicate
    Stored,
}

impl AckLevel {
    fn word(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Synced => "synced",
            Self::Stored => "stored",
        }
    }
}

/// Where commit times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CommitTime {
    /// The clock when the entry is written
    Now,
    /// The line's timestamp_ms
    Entry,
}

/// What happens when the disk budget is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhenFull {
    /// Wait for the shipper
    Block,
    /// End
    Fail,
}

/// Refused here, before a directory is made: the journal would refuse it only when it is opened.
fn segment_bytes(text: &str) -> Result<u64, String> {
    let bytes = sizes::parse(text)?;
    if (1 << 10..=1 << 30).contains(&bytes) { Ok(bytes) } else { Err("expected 1KiB to 1GiB".to_owned()) }
}

/// How often an idle loop looks whether it should end.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(args: Args, quiet: bool) -> Result<(), Failure> {
    let Args { journal, input, ack, .. } = &args;
    // Everything that can be wrong with the call comes before the first write.
    let keys = if args.encrypt_existing {
        Some(args.keys.required("--encrypt-existing")?)
    } else {
        args.keys.ring()?
    };
    let source = input::open(input)?;
    if *ack == AckLevel::Stored {
        pending::require_shipper(journal)?;
    }
    create_directory(journal)?;
    let policy = if *ack == AckLevel::Written { SyncPolicy::INTERVAL } else { SyncPolicy::Always };
    let options = JournalOptions::default()
        .with_segment_bytes_max(args.segment_bytes_max)
        .with_segment_age_max(args.segment_age_max)
        .with_sync_policy(policy)
        // Lines are appended ahead of their answers: none may get ahead of one that failed.
        .with_stop_at_failure(true)
        .with_encrypt_existing(args.encrypt_existing)
        // Waiting is done here, where a signal is heard.
        .with_when_full(JournalWhenFull::Fail);
    let options = match args.held_bytes_max {
        Some(bytes) => options.with_held_bytes_max(bytes),
        None => options,
    };
    let mut builder = Journal::builder(journal).options(options);
    if let Some(keys) = keys {
        builder = builder.keys(keys);
    }
    let (journal, recovery) = builder.open()?;
    tell_recovery(&recovery);
    let stopping = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stopping);
    stop::listen(move || asked.store(true, Ordering::Release))?;
    let input = input::start(source, args.admission.guard())?;
    let progress = progress(&input, quiet);
    let mut appender = Appender {
        pending: Pending::new(&journal, args.ack, args.acks, args.json, Out::new()),
        journal,
        args: &args,
        stopping,
        appended: 0,
        held_up: false,
        last_line: 0,
    };
    let read = appender.read(&input, &progress);
    // Whatever ended the reading, what was appended is acknowledged and sealed.
    let acked = appender.pending.acknowledge(&appender.journal);
    let closed = appender.journal.close();
    progress.finish();
    if !quiet && !args.json {
        appender.summary();
    }
    // A failed journal explains why reading ended, not the other way round.
    acked.and(closed.map(drop).map_err(Failure::from)).and(read)
}

struct Appender<'a> {
    journal: Journal,
    pending: Pending,
    args: &'a Args,
    stopping: Arc<AtomicBool>,
    appended: u64,
    /// That appends are held up was said.
    held_up: bool,
    last_line: u64,
}

impl Appender<'_> {
    /// Appends until the input ends, a line is bad, or a signal comes.
    fn read(&mut self, input: &Input, progress: &Progress) -> Result<(), Failure> {
        loop {
            if self.stopping.load(Ordering::Acquire) {
                return Ok(());
            }
            let item = match self.next(&input.items)? {
                Next::Item(item) => item,
                Next::Idle => continue,
                Next::End => return Ok(()),
            };
            match item {
                Item::Entry { line, payload, timestamp_ms } => {
                    let Some(ticket) = self.append(line, &payload, timestamp_ms)? else { return Ok(()) };
                    self.appended += 1;
                    self.held_up = false;
                    self.last_line = line;
                    self.pending.push(ticket, &payload);
                    if self.pending.is_full() {
                        self.acknowledge(input, progress)?;
                    }
                }
                Item::Bad(failure) => return Err(failure),
                Item::End => return Ok(()),
            }
        }
    }

    /// Appends a line, when there is room for it; `None` if a signal comes first.
    fn append(&mut self, line: u64, payload: &[u8], timestamp_ms: i64) -> Result<Option<Ticket>, Failure> {
        loop {
            let appended = match self.args.commit_time {
                CommitTime::Now => self.journal.append(payload),
                CommitTime::Entry => self.journal.append_at(payload, timestamp_ms),
            };
            match appended {
                Ok(ticket) => return Ok(Some(ticket)),
                Err(error @ journal::Error::BudgetFull { .. }) if self.args.when_full == WhenFull::Block => {
                    if !std::mem::replace(&mut self.held_up, true) {
                        warn(format_args!("waiting with line {line}: {error}"));
                    }
                    // Those before it wait for nothing.
                    self.pending.acknowledge(&self.journal)?;
                    if self.stopping.load(Ordering::Acquire) {
                        return Ok(None);
                    }
                    std::thread::sleep(TICK);
                }
                Err(error) => {
                    let too_large = matches!(error, journal::Error::PayloadTooLarge { .. });
                    let failure = Failure::from(error);
                    return Err(if too_large { input::bad_line(line, failure) } else { failure });
                }
            }
        }
    }

    /// The next item; before waiting for one, everything appended is acknowledged.
    fn next(&mut self, items: &Receiver<Item>) -> Result<Next, Failure> {
        match items.try_recv() {
            Ok(item) => return Ok(Next::Item(item)),
            Err(TryRecvError::Disconnected) => return Ok(Next::End),
            Err(TryRecvError::Empty) => {}
        }
        if !self.pending.is_empty() {
            // A producer that writes line by line gets a moment, so that its lines share a sync.
            match items.recv_timeout(Duration::from_micros(200)) {
                Ok(item) => return Ok(Next::Item(item)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
                Err(RecvTimeoutError::Timeout) => self.pending.acknowledge(&self.journal)?,
            }
        }
        match items.recv_timeout(TICK) {
            Ok(item) => Ok(Next::Item(item)),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Idle),
        }
    }

    fn acknowledge(&mut self, input: &Input, progress: &Progress) -> Result<(), Failure> {
        self.pending.acknowledge(&self.journal)?;
        progress.set(input.bytes_read());
        progress.say(format!("appended {}", count(self.appended)));
        Ok(())
    }

    fn summary(&self) {
        let mut text = match self.pending.acknowledged() {
            None => "nothing was appended".to_owned(),
            Some((first, last)) => {
                let (entries, word) = (self.pending.count(), self.args.ack.word());
                let range = if first == last {
                    format!("sequence {first}")
                } else {
                    format!("sequences {first} to {last}")
                };
                format!("{} {word}, {range}", counted(entries, "entry", "entries"))
            }
        };
        if self.stopping.load(Ordering::Acquire) {
            text.push_str(&format!("; stopped by a signal after line {}", self.last_line));
        }
        tell(text);
    }
}

enum Next {
    Item(Item),
    Idle,
    End,
}

fn tell(text: impl std::fmt::Display) {
    use std::io::Write;

    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Makes the journal's directory, but not those above: a mistyped path must not become a tree.
fn create_directory(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    let failed = |error: &std::io::Error| {
        Failure::new(Kind::Journal, format!("the journal's directory {} can't be made", dir.display()))
            .because(error)
            .file(dir)
    };
    match std::fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = dir.parent().unwrap_or(dir);
            return Err(failed(&error).hint(format!("mkdir -p {}", parent.display())));
        }
        Err(error) => {
            return Err(failed(&error).hint("check --journal: it must be a directory, or not exist yet"));
        }
    }
    // The directory's own name must survive a power cut as the entries in it do.
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(&error))
}

fn tell_recovery(recovery: &RecoveryReport) {
    if let Some(torn) = &recovery.torn_tail {
        warn(format_args!(
            "{} ended in a torn tail, cut at file offset {} after sequence {}",
            torn.path.display(),
            torn.offset,
            torn.last_sequence
        ));
    }
    if !recovery.sealed.is_empty() {
        tracing::info!(segments = recovery.sealed.len(), "sealed what an unclean stop had left open");
    }
    if let Some(forked) = &recovery.forked {
        warn(format_args!("entries that another leader did not take over were moved aside: {forked:?}"));
    }
}

fn progress(input: &Input, quiet: bool) -> Progress {
    match input.bytes_total {
        Some(total) => Progress::new(total, "bytes", quiet),
        None => Progress::endless(true),
    }
}
