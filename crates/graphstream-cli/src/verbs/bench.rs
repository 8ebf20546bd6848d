//! `bench`: what graphstream costs on this machine, as ratios against the raw cost of the same work in the same run. Absolute figures of
//! two machines say little; a ratio says how much is ours.
//!
//! ```text
//!  raw        write, fdatasync, SHA-256 chain, zstd          over the same payloads, one thread
//!  journal    append written / synced, 1 and 8 producers; batches; a stream; read; seal
//! ```

mod journal;
mod raw;

use std::path::{Path, PathBuf};
use std::time::Duration;

use graphstream::proto::JournalEntry;
use graphstream::proto::json::parse_line;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::out::Out;
use crate::terminal::{Palette, Progress, bytes, count};
use crate::times;

/// Flags of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream bench
  graphstream bench --dir /mnt/data --time 5s --json

Measure on the disk that is to hold the journal (--dir): a temporary directory may be in memory, where a sync costs nothing.
Payloads are those of the bundled sample. Use a release build: a debug build says so, and measures itself.")]
pub(crate) struct Args {
    /// Where to write; a directory in it is made and removed [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long each measurement takes, about
    #[arg(long, value_name = "TIME", value_parser = times::parse_duration, default_value = "1s")]
    time: Duration,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
struct Measure {
    name: &'static str,
    entries: u64,
    bytes: u64,
    seconds: f64,
    entries_per_second: f64,
    bytes_per_second: f64,
    /// Calls of fdatasync, where the journal did some.
    #[serde(skip_serializing_if = "Option::is_none")]
    syncs: Option<u64>,
    /// Its rate divided by that of the raw work.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'static str>,
}

impl Measure {
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn new(name: &'static str, entries: u64, bytes: u64, took: Duration) -> Self {
        let seconds = took.as_secs_f64().max(1e-9);
        Self {
            name,
            entries,
            bytes,
            seconds,
            entries_per_second: entries as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            syncs: None,
            ratio: None,
            against: None,
        }
    }

    fn with_syncs(mut self, syncs: u64) -> Self {
        self.syncs = Some(syncs);
        self
    }

    fn sum(before: Option<Self>, more: Self) -> Self {
        let Some(before) = before else { return more };
        let took = Duration::from_secs_f64(before.seconds + more.seconds);
        let sum = Self::new(more.name, before.entries + more.entries, before.bytes + more.bytes, took);
        Self { syncs: before.syncs.zip(more.syncs).map(|(before, more)| before + more), ..sum }
    }

    /// Compares entries per second.
    fn against(mut self, raw: &Measure) -> Self {
        self.ratio = Some(self.entries_per_second / raw.entries_per_second.max(1e-9));
        self.against = Some(raw.name);
        self
    }
}

#[derive(Serialize)]
struct Report {
    directory: String,
    file_system: String,
    processors: usize,
    debug_build: bool,
    payload_bytes_mean: f64,
    measures: Vec<Measure>,
}

/// The payloads that everything is measured with.
struct Payloads {
    all: Vec<Vec<u8>>,
}

impl Payloads {
    fn load() -> Result<Self, Failure> {
        let broken = |error: &(dyn std::error::Error + 'static)| {
            Failure::new(Kind::Internal, "the bundled sample can't be read").because(error)
        };
        let text = zstd::decode_all(SAMPLE).map_err(|error| broken(&error))?;
        let text = String::from_utf8(text).map_err(|error| broken(&error))?;
        let encode = |line: &str| parse_line(line, 0).and_then(|entry: JournalEntry| entry.encode());
        let all = text.lines().map(encode).collect::<Result<_, _>>().map_err(|error| broken(&error))?;
        Ok(Self { all })
    }

    /// They come round again for ever.
    fn cycle(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().cycle().map(Vec::as_slice)
    }

    fn bytes(&self) -> u64 {
        self.all.iter().map(|payload| payload.len() as u64).sum()
    }
}

/// The bundled sample, as the demo has it.
const SAMPLE: &[u8] = include_bytes!("../../sample/ldbc-snb-sample.jsonl.zst");

pub(crate) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    let failed =
        |error: &std::io::Error| Failure::new(Kind::Io, "the scratch directory can't be made").because(error);
    let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new()
        .prefix("graphstream-bench-")
        .tempdir_in(&parent)
        .map_err(|error| failed(&error).file(&parent))?;
    let payloads = Payloads::load()?;
    let progress = Progress::new(Step::ALL.len() as u64, "measurements", quiet);
    let mut measures: Vec<Measure> = Vec::new();
    for step in Step::ALL {
        progress.say(step.name());
        let measure = match step.raw() {
            Some(raw @ (Step::RawSync | Step::RawSync8)) => {
                step.run_in_turns(raw, scratch.path(), &payloads, args.time)?
            }
            raw => {
                let measure = step.run(scratch.path(), &payloads, args.time)?;
                match raw.and_then(|raw| measures.iter().find(|measure| measure.name == raw.name())) {
                    Some(raw) => measure.against(raw),
                    None => measure,
                }
            }
        };
        measures.push(measure);
        progress.add(1);
    }
    progress.finish();
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    let payload_bytes_mean = payloads.bytes() as f64 / payloads.all.len().max(1) as f64;
    let report = Report {
        directory: parent.display().to_string(),
        file_system: file_system(scratch.path()),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        debug_build: cfg!(debug_assertions),
        payload_bytes_mean,
        measures,
    };
    let mut out = Out::new();
    if args.json {
        out.json(&report)?;
    } else {
        print(&mut out, &report)?;
    }
    out.flush()
}

/// What is measured, in this order: the raw work first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    RawWrite,
    RawSync,
    RawSync8,
    RawChain,
    RawCompress,
    Written1,
    Written8,
    Stream,
    Synced1,
    Synced8,
    Batch,
    Read,
    Seal,
}

impl Step {
    const ALL: [Self; 13] = [
        Self::RawWrite,
        Self::RawSync,
        Self::RawSync8,
        Self::RawChain,
        Self::RawCompress,
        Self::Written1,
        Self::Written8,
        Self::Stream,
        Self::Synced1,
        Self::Synced8,
        Self::Batch,
        Self::Read,
        Self::Seal,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::RawWrite => "raw write",
            Self::RawSync => "raw write + fdatasync",
            Self::RawSync8 => "raw write + fdatasync, 8 threads",
            Self::RawChain => "raw SHA-256 chain",
            Self::RawCompress => "raw zstd level 1",
            Self::Written1 => "append written, 1 producer",
            Self::Written8 => "append written, 8 producers",
            Self::Stream => "append stream, synced at the end",
            Self::Synced1 => "append synced, 1 producer",
            Self::Synced8 => "append synced, 8 producers",
            Self::Batch => "append batches of 100, synced",
            Self::Read => "read and verify",
            Self::Seal => "seal",
        }
    }

    /// The raw work that it can't do without.
    const fn raw(self) -> Option<Self> {
        match self {
            Self::RawWrite | Self::RawSync | Self::RawSync8 | Self::RawChain | Self::RawCompress => None,
            Self::Written1 | Self::Written8 | Self::Stream => Some(Self::RawWrite),
            Self::Synced1 | Self::Batch => Some(Self::RawSync),
            Self::Synced8 => Some(Self::RawSync8),
            Self::Read => Some(Self::RawChain),
            Self::Seal => Some(Self::RawCompress),
        }
    }

    /// How long a sync takes may change by the second (other writers, a host's cache): the raw work and ours take turns.
    fn run_in_turns(
        self,
        baseline: Self,
        dir: &Path,
        payloads: &Payloads,
        time: Duration,
    ) -> Result<Measure, Failure> {
        const TURNS: u32 = 4;
        let (mut raw, mut ours) = (None, None);
        for _ in 0..TURNS {
            let slice = time / TURNS;
            raw = Some(Measure::sum(raw, baseline.run(dir, payloads, slice)?));
            ours = Some(Measure::sum(ours, self.run(dir, payloads, slice)?));
        }
        match (raw, ours) {
            (Some(raw), Some(ours)) => Ok(ours.against(&raw)),
            _ => Err(Failure::new(Kind::Internal, "nothing was measured")),
        }
    }

    fn run(self, dir: &Path, payloads: &Payloads, time: Duration) -> Result<Measure, Failure> {
        let name = self.name();
        match self {
            Self::RawWrite => raw::write(name, dir, payloads, time),
            Self::RawSync => raw::sync(name, dir, payloads, time, 1),
            Self::RawSync8 => raw::sync(name, dir, payloads, time, 8),
            Self::RawChain => Ok(raw::chain(name, payloads, time)),
            Self::RawCompress => raw::compress(name, payloads, time),
            Self::Written1 => journal::produce(name, dir, payloads, time, journal::Load::written(1)),
            Self::Written8 => journal::produce(name, dir, payloads, time, journal::Load::written(8)),
            Self::Synced1 => journal::produce(name, dir, payloads, time, journal::Load::synced(1)),
            Self::Synced8 => journal::produce(name, dir, payloads, time, journal::Load::synced(8)),
            Self::Batch => {
                journal::produce(name, dir, payloads, time, journal::Load::synced(1).in_batches(100))
            }
            Self::Stream => journal::stream(name, dir, payloads, time),
            Self::Read => journal::read(name, dir, payloads, time),
            Self::Seal => journal::seal(name, dir, payloads, time),
        }
    }
}

fn print(out: &mut Out, report: &Report) -> Result<(), Failure> {
    let palette = Palette::stdout();
    out.line(format_args!(
        "{} on {} in {}, {} processors, payloads of {:.0} bytes on average",
        palette.head("bench"),
        report.file_system,
        report.directory,
        report.processors,
        report.payload_bytes_mean
    ))?;
    if report.debug_build {
        out.line(palette.warning("This is a debug build: it measures itself. Use a release build."))?;
    }
    if matches!(report.file_system.as_str(), "tmpfs" | "ramfs") {
        out.line(
            palette
                .warning("This directory is in memory: a sync costs nothing here. Name a disk with --dir."),
        )?;
    }
    out.line(
        palette.head(format_args!("\n{:<34}{:>12}{:>16}{:>9}  of", "", "entries/s", "bytes/s", "ratio")),
    )?;
    for measure in &report.measures {
        let ratio = measure.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rates are positive and shown rounded"
        )]
        let (entries, rate) = (measure.entries_per_second as u64, measure.bytes_per_second as u64);
        let shared = match measure.syncs {
            #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
            Some(syncs) if syncs > 0 => {
                format!("  ({:.1} entries per sync)", measure.entries as f64 / syncs as f64)
            }
            _ => String::new(),
        };
        out.line(format_args!(
            "{:<34}{:>12}{:>16}{ratio:>9}  {}{}",
            measure.name,
            count(entries).to_string(),
            bytes(rate).to_string(),
            measure.against.unwrap_or_default(),
            palette.quiet(shared)
        ))?;
    }
    Ok(())
}

/// The kind of file system that holds the directory, as the kernel calls it.
fn file_system(dir: &Path) -> String {
    let unknown = || "an unknown file system".to_owned();
    let (Ok(dir), Ok(mounts)) = (dir.canonicalize(), std::fs::read_to_string("/proc/self/mountinfo")) else {
        return unknown();
    };
    let of_line = |line: &str| {
        // 36 35 98:0 /root /mount options - type source options
        let (left, right) = line.split_once(" - ")?;
        let mount = PathBuf::from(left.split(' ').nth(4)?.replace("\\040", " "));
        dir.starts_with(&mount)
            .then(|| (mount.as_os_str().len(), right.split(' ').next().unwrap_or_default().to_owned()))
    };
    // Of two mounts on one path the later hides the earlier: max_by_key keeps the last.
    mounts
        .lines()
        .filter_map(of_line)
        .max_by_key(|(length, _)| *length)
        .map_or_else(unknown, |(_, kind)| kind)
}
