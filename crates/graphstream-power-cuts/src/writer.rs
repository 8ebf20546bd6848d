//! `graphstream append --ack synced --acks`, fed without end, until something happens to it.
//!
//! ```text
//!  feeder ──lines, so many ahead──▶ graphstream ──▶ journal on the ext4
//!    ▲                                  │
//!    └─────────── acks ◀────────────────┘   kept in their order, for the log
//! ```

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::entry;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);
const KILL: i32 = 9;

/// How it is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) first_line: u64,
    /// How many lines at most.
    pub(crate) lines: u64,
    /// How many lines are on their way at a time.
    pub(crate) ahead: u64,
    pub(crate) segment_bytes_max: u64,
    /// The largest padding of an entry.
    pub(crate) pad_bytes_max: u64,
}

enum Feed {
    One,
    End,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already, if nothing went wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that appends. Dropped, it is killed.
pub(crate) struct Writer {
    process: Process,
    lines: u64,
    feed: Sender<Feed>,
    feeder: JoinHandle<u64>,
    acks: Receiver<u64>,
    acked: Vec<u64>,
}

/// What it left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How many lines it may have read.
    pub(crate) sent: u64,
    /// The sequences it acknowledged, in the order of its lines.
    pub(crate) acked: Vec<u64>,
    /// Its exit code; none if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acked, code, stderr } = self;
        write!(
            f,
            "{} acknowledged of {sent} lines, up to sequence {:?}; code {code:?}",
            acked.len(),
            acked.last()
        )?;
        if stderr.is_empty() { Ok(()) } else { write!(f, "; {}", stderr.trim().replace('\n', "; ")) }
    }
}

impl Writer {
    pub(crate) fn start(binary: &Path, journal: &Path, load: Load) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["append", "--quiet", "--ack", "synced", "--acks", "--segment-bytes-max"])
            .arg(load.segment_bytes_max.to_string())
            .arg("--journal")
            .arg(journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("graphstream append can't be started")?;
        let mut stdin = child.stdin.take().context("it has a standard input")?;
        let stdout = child.stdout.take().context("it has a standard output")?;
        let (feed, orders) = channel();
        for _ in 0..load.ahead {
            let _ = feed.send(Feed::One);
        }
        let feeder = std::thread::spawn(move || {
            let mut sent = 0;
            while let Ok(Feed::One) = orders.recv() {
                if sent == load.lines {
                    continue;
                }
                // Sent as soon as it may have been read.
                sent += 1;
                if writeln!(stdin, "{}", entry::line(load.first_line + sent - 1, load.pad_bytes_max)).is_err()
                {
                    break;
                }
            }
            sent
        });
        let (ack, acks) = channel();
        let more = feed.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                // Half a line acknowledges nothing.
                let Some(sequence) = line.strip_suffix('\n').and_then(|line| line.parse().ok()) else {
                    break;
                };
                let _ = (ack.send(sequence), more.send(Feed::One));
                line.clear();
            }
        });
        Ok(Self { process: Process(child), lines: load.lines, feed, feeder, acks, acked: Vec::new() })
    }

    /// Waits until it has acknowledged so many lines, if it lives that long.
    pub(crate) fn wait_for_acks(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            match self.acks.recv_timeout(DEADLINE) {
                Ok(sequence) => self.acked.push(sequence),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => bail!("no acknowledgement in {DEADLINE:?}"),
            }
        }
        Ok(())
    }

    /// How many lines it has acknowledged by now.
    pub(crate) fn acked_by_now(&mut self) -> usize {
        self.acked.extend(self.acks.try_iter());
        self.acked.len()
    }

    /// Kills it.
    pub(crate) fn kill(mut self) -> Result<Ended> {
        let _ = self.process.0.kill();
        self.end()
    }

    /// Lets it go on until it ends by itself, or until it has acknowledged all lines; then its input ends.
    pub(crate) fn finish(mut self) -> Result<Ended> {
        while (self.acked.len() as u64) < self.lines {
            let before = self.acked.len();
            self.wait_for_acks(1)?;
            if self.acked.len() == before {
                break;
            }
        }
        self.end()
    }

    fn end(mut self) -> Result<Ended> {
        let _ = self.feed.send(Feed::End);
        let end = Instant::now() + DEADLINE;
        loop {
            match self.acks.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(sequence) => self.acked.push(sequence),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => bail!("graphstream append does not end in {DEADLINE:?}"),
            }
        }
        let mut stderr = String::new();
        if let Some(mut said) = self.process.0.stderr.take() {
            said.read_to_string(&mut stderr)?;
        }
        let status = self.process.0.wait()?;
        let sent = self.feeder.join().map_err(|_| anyhow!("the feeder has panicked"))?;
        let code = status.code();
        if code.is_none() && status.signal() != Some(KILL) {
            bail!("graphstream append: {status}: {stderr}");
        }
        Ok(Ended { sent, acked: self.acked, code, stderr })
    }
}
