//! `verify`: continuity, checksums and chain, segment by segment. Goes on behind damage, so that one run names everything.

mod legacy;
pub(crate) mod replay;
pub(crate) mod store;
mod walk;

use std::path::Path;

use graphstream::remote::Finding;
use graphstream::replication::Stop;
use serde::Serialize;

use self::replay::Replayed;
use self::store::Subject;
use self::walk::Row;
use crate::failure::{Failure, Kind, Place, warn};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::source::{Source, SourceArgs};
use crate::terminal::{Palette, Progress, bytes, counted};
use crate::verbs::follow::Target;

/// Flags of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream verify --journal ./journal
  graphstream verify --from file:///srv/store --database social
  graphstream verify --from file:///srv/store --database social --depth list
  graphstream verify --from s3://old-bucket/prefix --database social --legacy
  graphstream verify --json journal/*.hadbj

Depths:
  list    names alone: missing entries, two segments for the same ones, objects that are no part of the history, a head that
          is missing or older than the objects, epoch objects that contradict it. One listing, no segment is read. Of a
          journal, the headers
  chain   that, every byte, and what labels point to
  replay  that, and every entry: into a scratch database, of which a digest is printed. graphstream status --target T --digest
          prints the same of another one, for comparing

Files of one journal are put in order and checked against each other. Reads every byte: header, length, body checksum, the
checksum of each entry, the hash chain within and between segments, missing entries, and for a store the published chain hash.
Of an encrypted segment whose key is not given, only what takes no key is verified: header, length, footer and the checksum of
the body as stored. If nothing is damaged, exit code 2 says so then. Repairs nothing. A torn tail, as an unclean stop leaves it, is reported and is no error; damage, gaps and forks exit with 5.")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// How deep
    #[arg(long, value_name = "DEPTH", default_value = "chain", conflicts_with = "files")]
    depth: Depth,
    /// Where --depth replay replays; it must not hold anything yet [default: a temporary grafeo database]
    #[arg(long, value_name = "TARGET", requires = "from", value_parser = Target::parse)]
    target: Option<Target>,
    /// A database of the predecessor (graphstream 0.3), whose segments are in DIRECTORY/0000/ below the URL [default: the database's name]
    #[arg(long, value_name = "DIRECTORY", num_args = 0..=1, require_equals = true, default_missing_value = "", requires = "from", conflicts_with_all = ["depth", "floor"])]
    legacy: Option<String>,
    /// A sequence that is known to have been published: a store that shows less was set back
    #[arg(long, value_name = "SEQUENCE", requires = "from")]
    floor: Option<u64>,
    /// One JSON object per segment or finding, then a summary
    #[arg(long)]
    pub(crate) json: bool,
}

/// How deep is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Depth {
    /// Names and headers.
    List,
    /// Every byte.
    Chain,
    /// Every byte, and every entry.
    Replay,
}

/// What all rows come to.
#[derive(Debug, Serialize)]
struct Summary {
    depth: Depth,
    segments: u64,
    entries: u64,
    bytes: u64,
    damaged: u64,
    gaps: u64,
    torn: u64,
    /// Segments of which only what takes no key was verified.
    encrypted: u64,
    /// Objects of a store that are no part of the history.
    leftovers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Replayed>,
    #[serde(skip)]
    first_problem: Option<Failure>,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    summary: &'a Summary,
}

/// Prints rows as they come and adds them up.
struct Report {
    out: Out,
    json: bool,
    palette: Palette,
    progress: Progress,
    summary: Summary,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    let mut report = Report {
        out: Out::new(),
        json: args.json,
        palette: Palette::stdout(),
        progress: Progress::endless(quiet),
        summary: Summary::of(args.depth),
    };
    let source = args.source.source();
    let keys = args.keys.ring()?;
    if args.depth == Depth::Replay && !matches!(source, Source::Store(..)) {
        return Err(Failure::new(Kind::Usage, "--depth replay takes --from URL --database NAME"));
    }
    if args.target.is_some() && args.depth != Depth::Replay {
        return Err(Failure::new(Kind::Usage, "--target is for --depth replay"));
    }
    let done = match source {
        Source::Journal(dir) => walk::journal(dir, keys, args.depth, &mut |row| report.row(row)),
        Source::Store(url, database) if args.legacy.is_some() => {
            let directory = args.legacy.clone().filter(|directory| !directory.is_empty());
            let directory = directory.unwrap_or_else(|| database.to_string());
            legacy::verify(url, &directory, &mut |row| report.row(row))
        }
        Source::Store(url, database) => {
            let subject = Subject { url, database, depth: args.depth, floor: args.floor, keys: &args.keys };
            verify_store(&subject, args.target.as_ref(), &mut report)
        }
        Source::Files(paths) => walk::files(paths, keys, &mut |row| report.row(row)),
    };
    report.progress.finish();
    report.out.flush()?;
    done.and_then(|()| report.end()).map_err(|failure| match failure.kind() {
        // What other verbs advise is this one.
        Kind::Corruption | Kind::Gap | Kind::Fork => failure.hint(if matches!(source, Source::Store(..)) {
            "keep the leader's journal: what is damaged or missing here is uploaded again from there (a head: graphstream repair); delete nothing"
        } else {
            "fetch what is damaged or missing again from the object store, or from another copy; keep the damaged files"
        }),
        _ => failure,
    })
}

/// What is damaged is not replayed.
fn verify_store(subject: &Subject<'_>, target: Option<&Target>, report: &mut Report) -> Result<(), Failure> {
    crate::store::runtime()?.block_on(async {
        let remote = subject.open().await?;
        store::verify(&remote, subject, &mut |row| report.row(row)).await?;
        let whole = report.summary.first_problem.is_none() && report.summary.encrypted == 0;
        if subject.depth == Depth::Replay && whole {
            report.progress.say("replaying");
            report.summary.replay = Some(replay::replay(remote, target, &Stop::new()).await?);
        }
        Ok(())
    })
}

impl Depth {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Chain => "chain",
            Self::Replay => "replay",
        }
    }

    /// Parses `verify_depth`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "list" => Ok(Self::List),
            "chain" => Ok(Self::Chain),
            "replay" if cfg!(feature = "grafeo") => Ok(Self::Replay),
            "replay" => {
                Err("this build has no database of its own to replay into (feature grafeo)".to_owned())
            }
            _ => Err("expected list, chain or replay".to_owned()),
        }
    }
}

impl Summary {
    const fn of(depth: Depth) -> Self {
        Self {
            depth,
            segments: 0,
            entries: 0,
            bytes: 0,
            damaged: 0,
            gaps: 0,
            torn: 0,
            encrypted: 0,
            leftovers: 0,
            first_sequence: None,
            last_sequence: None,
            chain_hash: None,
            replay: None,
            first_problem: None,
        }
    }
}

impl Report {
    fn row(&mut self, row: Row) -> Result<(), Failure> {
        self.count(&row);
        if self.json {
            self.out.json(&row)
        } else {
            let status = format!("{:<8}", row.status);
            let status = match row.status {
                "ok" => self.palette.good(status).to_string(),
                "torn" | "encrypted" | "leftover" => self.palette.warning(status).to_string(),
                _ => self.palette.error(status).to_string(),
            };
            let range = match (row.first_sequence, row.last_sequence) {
                (Some(first), Some(last)) if first <= last => format!("  {first}..={last}"),
                _ => String::new(),
            };
            let what = match (&row.file, &row.problem) {
                (Some(file), None) => {
                    format!(
                        "{file}{range}  {}  {}",
                        counted(row.entries, "entry", "entries"),
                        bytes(row.bytes)
                    )
                }
                (_, Some(problem)) => problem.message.clone(),
                (None, None) => range,
            };
            self.out.line(format_args!("{status}  {what}"))
        }?;
        // A run over a large store takes long: what was found is shown when it is found.
        if self.palette.is_on() { self.out.flush() } else { Ok(()) }
    }

    fn count(&mut self, row: &Row) {
        let summary = &mut self.summary;
        summary.entries += row.entries;
        summary.bytes += row.bytes;
        self.progress.add(row.entries);
        self.progress.say("verified entries");
        match row.status {
            "gap" => summary.gaps += 1,
            "leftover" => summary.leftovers += 1,
            "damaged" if !row.is_segment => summary.damaged += 1,
            status => {
                summary.segments += u64::from(row.file.is_some());
                summary.damaged += u64::from(status == "damaged");
                summary.torn += u64::from(status == "torn");
                summary.encrypted += u64::from(status == "encrypted");
                if let Some(first) = row.first_sequence {
                    summary.first_sequence =
                        Some(summary.first_sequence.map_or(first, |least| least.min(first)));
                }
                if let Some(last) = row.last_sequence.filter(|last| *last > 0) {
                    summary.last_sequence = Some(summary.last_sequence.map_or(last, |most| most.max(last)));
                }
                summary.chain_hash.clone_from(&row.chain_hash);
            }
        }
        if let Some(failure) = &row.failure
            && summary.first_problem.is_none()
        {
            summary.first_problem = Some(failure.clone());
        }
        if row.status == "torn"
            && let Some(problem) = &row.problem
        {
            warn(&problem.message);
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        let summary = &self.summary;
        if self.json {
            self.out.json(&SummaryLine { summary })?;
        } else if summary.first_problem.is_none() {
            let range = match (summary.first_sequence, summary.last_sequence) {
                (Some(first), Some(last)) => format!(", sequences {first} to {last}"),
                _ => String::new(),
            };
            let verified = match summary.depth {
                Depth::List => "listed",
                Depth::Chain | Depth::Replay => "verified",
            };
            let leftovers = match summary.leftovers {
                0 => String::new(),
                leftovers => {
                    format!("; {} no part of it", counted(leftovers, "object is", "objects are"))
                }
            };
            self.out.line(format_args!(
                "{verified} {}, {}, {}{range}{leftovers}",
                counted(summary.segments, "segment", "segments"),
                counted(summary.entries, "entry", "entries"),
                bytes(summary.bytes)
            ))?;
            if let Some(replayed) = &summary.replay {
                self.out.line(replayed)?;
            }
        }
        self.out.flush()?;
        let Some(first) = self.summary.first_problem.take() else {
            return match self.summary.encrypted {
                0 => Ok(()),
                encrypted => Err(Failure::new(
                    Kind::Usage,
                    format!(
                        "the entries of {} were not verified: that takes the key",
                        counted(encrypted, "encrypted segment", "encrypted segments")
                    ),
                )
                .hint("--encryption-key-file FILE, once for each key that is named above")),
            };
        };
        let (damaged, gaps) = (self.summary.damaged, self.summary.gaps);
        if damaged + gaps == 1 {
            return Err(first);
        }
        Err(first
            .while_doing(format_args!("{damaged} damaged and {}; the first", counted(gaps, "gap", "gaps"))))
    }
}

/// What is wrong with a row, for programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    kind: &'static str,
    message: String,
    #[serde(flatten)]
    place: Place,
}

impl Problem {
    fn of(failure: &Failure) -> Self {
        Self { kind: failure.kind().word(), message: failure.sentence(), place: failure.where_().clone() }
    }

    /// What was not verified without a key, and what was.
    fn without_key(failure: &Failure) -> Self {
        let message = format!(
            "{}; its length and the checksum of what is stored are right, its entries and chain were not verified",
            failure.sentence()
        );
        Self { kind: "key_required", message, ..Self::of(failure) }
    }

    /// What a database of the predecessor has besides its history.
    fn other(kind: &'static str, message: String, file: &str) -> Self {
        let place = Place { file: Some(file.to_owned()), ..Place::default() };
        Self { kind, message, place }
    }

    /// Where it begins in the file.
    fn at(&mut self, offset: u64) {
        self.place.offset = Some(offset);
    }

    /// An object that is no part of the history.
    fn leftover(finding: &Finding) -> Self {
        let place = Place { file: finding.object(), ..Place::default() };
        Self { kind: finding.word(), message: finding.to_string(), place }
    }

    /// A torn tail, which is no damage.
    fn torn(failure: &Failure) -> Self {
        Self { kind: "torn_tail", ..Self::of(failure) }
    }
}

/// A path as rows show it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
