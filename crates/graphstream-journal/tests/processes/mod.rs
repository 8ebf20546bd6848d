//! A writer in a process of its own (this test binary, started again), what it appends, and what it says.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use graphstream_journal::{Ack, Compression, Journal, JournalOptions};

const DIR: &str = "GRAPHSTREAM_TEST_JOURNAL_DIR";
const ROUND: &str = "GRAPHSTREAM_TEST_JOURNAL_ROUND";
pub const PRODUCERS: usize = 3;

/// One entry: who appended it, in which of its appends, at which place of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub round: u64,
    pub producer: usize,
    pub append: usize,
    pub place: usize,
}

impl Mark {
    /// How many entries go together; the same for all of one append.
    pub fn batch(&self) -> usize {
        [1, 1, 3, 1, 7][(self.append + self.producer) % 5]
    }

    pub fn payload(&self) -> Vec<u8> {
        let Self { round, producer, append, place } = self;
        let filler = "m".repeat((append * 37 + producer) % 300);
        format!("{round} {producer} {append} {place} {filler}").into_bytes()
    }

    /// The mark of a payload, all of which is checked.
    pub fn of(payload: &[u8]) -> Self {
        let text = std::str::from_utf8(payload).unwrap();
        let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(usize::MAX));
        let mut next = || numbers.next().unwrap();
        let mark = Self { round: next() as u64, producer: next(), append: next(), place: next() };
        assert!(mark.payload() == payload, "an entry nobody has appended: {text}");
        mark
    }
}

/// An append that was acknowledged as synced: its sequences, and the mark of its first entry.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    pub first: u64,
    pub last: u64,
    pub mark: Mark,
}

/// What the writer's process does. Returns at once in the test's own process.
pub fn append_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    // Small segments: many kills meet rotation and sealing.
    let options = JournalOptions::default()
        .with_segment_bytes_max(4 << 10)
        .with_compression(Compression::Zstd { level: 1 });
    let (journal, _) = Journal::builder(PathBuf::from(dir)).options(options).open().unwrap();
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let journal = journal.clone();
            scope.spawn(move || {
                for append in 0.. {
                    let mark = Mark { round, producer, append, place: 0 };
                    let batch: Vec<_> =
                        (0..mark.batch()).map(|place| Mark { place, ..mark }.payload()).collect();
                    let range = journal.append_batch(&batch).unwrap().wait(Ack::Synced).unwrap();
                    let line = format!("acked {} {} {producer} {append}\n", range.start(), range.end());
                    // A line is one write: a kill leaves it whole or out.
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

/// The writer's process.
pub struct Writer {
    child: Child,
    lines: BufReader<ChildStdout>,
    round: u64,
}

impl Writer {
    /// Starts the test of this name, which calls [`append_until_killed`].
    pub fn start(test: &str, dir: &Path, round: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, round }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next acknowledgement; `None` when the process has ended.
    pub fn next_ack(&mut self) -> Option<Acked> {
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            if !line.ends_with('\n') {
                return None;
            }
            // The test runner's own lines are others.
            let Some((_, numbers)) = line.split_once("acked ") else { continue };
            let numbers: Vec<u64> =
                numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let &[first, last, producer, append] = numbers.as_slice() else { panic!("{line}") };
            let mark =
                Mark { round: self.round, producer: producer as usize, append: append as usize, place: 0 };
            return Some(Acked { first, last, mark });
        }
    }

    /// Kills it with SIGKILL and returns what it had said until then.
    pub fn kill(mut self) -> Vec<Acked> {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "it ended by itself: {status}"
        );
        std::iter::from_fn(|| self.next_ack()).collect()
    }
}
