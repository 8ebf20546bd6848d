//! `jsonl:PATH` and `jsonl:-`: every entry as one line of JSON.
//!
//! ```text
//! {"sequence":1,...,"lineage":"..."}\n{"sequence":2,...}\n{"sequence":3,"que        <- torn by a crash
//! └──────────────── whole lines ───────────────────────┘└─ cut at open ─┘
//!                                     position = that of the last whole line
//! ```
//!
//! Lines have the shape of `cat --json` plus `lineage`. A file keeps no position of its own: its last whole line is the
//! position, so data and position can't come apart. Everything is synced before a position is reported, at open as well:
//! what is read back after a crash may only be in the page cache. While a caller has more batches at hand their lines are synced together: a
//! sync costs as much as writing thousands of them.
//!
//! A file is opened once at a time (an advisory lock), and it must be a regular file: a symbolic link, a FIFO, a device or a
//! directory is refused.

mod file;
mod tail;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};

use graphstream_format::Position;

use self::file::{DiskFile, LineFile};
use crate::target::check_lines;
use crate::{BatchStep, Error, Guarantee, LineBatch, ReplayEntry, ReplayTarget, Result, check_batch};

/// Lines are handed to the file in pieces of about this size, so that memory doesn't grow with the batch.
const WRITE_BYTES: usize = 1 << 20;

/// So many bytes of lines at most wait for their sync.
const UNSYNCED_BYTES_MAX: u64 = 16 << 20;

/// Writes entries as lines of JSON, into a file (exactly once) or to standard output (at least once).
///
/// ```
/// use graphstream_format::{ChainHash, Lineage};
/// use graphstream_proto::JournalEntry;
/// use graphstream_replay::{JsonlTarget, ReplayEntry, ReplayTarget};
///
/// # let dir = std::env::temp_dir().join(format!("graphstream-jsonl-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// let path = dir.join("out.jsonl");
/// let mut target = JsonlTarget::open(&path)?;
/// let entry = JournalEntry::new("CREATE (:Person {id: 1})", 0);
/// let chain_hash = ChainHash::ZERO.after(&entry.encode()?);
/// let batch = [ReplayEntry { sequence: 1, commit_ms: 0, chain_hash, entry }];
/// let position = batch[0].position(Lineage::from_bytes([7; 16]));
/// target.apply(&batch, position)?;
/// target.close()?;
///
/// assert_eq!(JsonlTarget::open(&path)?.position()?, Some(position));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonlTarget {
    name: String,
    sink: Sink,
    /// Of the last line.
    position: Option<Position>,
    /// Of the last line that is synced.
    synced: Option<Position>,
    /// Bytes of lines behind it.
    unsynced: u64,
    /// How much of a file is known to be durable.
    synced_len: u64,
}

#[derive(Debug)]
enum Sink {
    /// A file; `None` once it is closed or has failed.
    File { path: PathBuf, file: Option<Box<dyn LineFile>> },
    /// Standard output, or what stands in for it. `false` once it has failed.
    Stream { out: Stream, usable: bool },
}

struct Stream(Box<dyn Write + Send>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl JsonlTarget {
    /// Opens or creates a file. A torn last line is cut.
    ///
    /// # Errors
    /// [`Error::NotAFile`] for anything but a regular file, [`Error::Damaged`] when its last whole line isn't one of ours
    /// (nothing is changed then), [`Error::Open`] when it can't be opened, or is open already.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut target = Self {
            name: format!("jsonl:{}", path.display()),
            sink: Sink::File { path: path.to_path_buf(), file: None },
            position: None,
            synced: None,
            unsynced: 0,
            synced_len: 0,
        };
        target.reopen()?;
        Ok(target)
    }

    /// Writes to standard output. It remembers nothing beyond the process: entries may come again after a restart.
    #[must_use]
    pub fn stdout() -> Self {
        Self::stream("jsonl:-", std::io::stdout())
    }

    /// Writes to any stream, like [`stdout`](Self::stdout); `name` is what messages call it.
    #[must_use]
    pub fn stream(name: impl Into<String>, out: impl Write + Send + 'static) -> Self {
        Self {
            name: name.into(),
            sink: Sink::Stream { out: Stream(Box::new(out)), usable: true },
            position: None,
            synced: None,
            unsynced: 0,
            synced_len: 0,
        }
    }

    #[cfg(test)]
    fn with_file(path: &Path, mut file: Box<dyn LineFile>) -> Result<Self> {
        let name = format!("jsonl:{}", path.display());
        let position = tail::recover(&name, path, file.as_mut())?;
        Ok(Self {
            name,
            synced: position,
            unsynced: 0,
            synced_len: file.len(),
            sink: Sink::File { path: path.to_path_buf(), file: Some(file) },
            position,
        })
    }

    fn gone(&self, attempt: &'static str, source: std::io::Error) -> Error {
        Error::Gone { target: self.name.clone(), attempt, source: Box::new(source) }
    }

    /// Hands lines to the file or stream.
    fn write(&mut self, lines: &LineBatch) -> Result<()> {
        if let Err(error) = self.sink.write(lines.text().as_bytes()) {
            return Err(self.given_up("writing a batch", error));
        }
        self.unsynced += lines.text().len() as u64;
        self.position = Some(lines.last());
        Ok(())
    }

    /// Makes durable what is not.
    fn settle(&mut self) -> Result<()> {
        if self.unsynced > 0 {
            self.sink.sync().map_err(|error| self.given_up("syncing a batch", error))?;
            (self.synced, self.unsynced, self.synced_len) = (self.position, 0, self.sink.len());
        }
        Ok(())
    }

    /// Whatever is beyond the last synced byte is unproven: a failed sync may have dropped pages that still read well.
    /// Should the cut itself fail, opening again finds whole lines (a prefix of what was taken) and a torn one.
    fn given_up(&mut self, attempt: &'static str, source: std::io::Error) -> Error {
        match &mut self.sink {
            Sink::File { file, .. } => {
                if let Some(mut file) = file.take()
                    && let Err(error) = file.cut(self.synced_len)
                {
                    tracing::warn!(target = %self.name, %error, "the unfinished batch could not be cut off again");
                }
            }
            Sink::Stream { usable, .. } => *usable = false,
        }
        (self.position, self.unsynced) = (self.synced, 0);
        self.gone(attempt, source)
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::File { file: Some(file), .. } => file.append(bytes),
            Self::File { file: None, .. } => Err(closed()),
            Self::Stream { out, .. } => out.0.write_all(bytes),
        }
    }

    fn sync(&mut self) -> std::io::Result<()> {
        match self {
            Self::File { file: Some(file), .. } => file.sync(),
            Self::File { file: None, .. } => Err(closed()),
            Self::Stream { out, .. } => out.0.flush(),
        }
    }

    /// The length of a file.
    fn len(&self) -> u64 {
        match self {
            Self::File { file: Some(file), .. } => file.len(),
            _ => 0,
        }
    }

    fn is_usable(&self) -> bool {
        match self {
            Self::File { file, .. } => file.is_some(),
            Self::Stream { usable, .. } => *usable,
        }
    }
}

fn closed() -> std::io::Error {
    std::io::Error::other("it is closed, or failed before: reopen it")
}

impl ReplayTarget for JsonlTarget {
    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        match self.sink {
            Sink::File { .. } => Guarantee::ExactlyOnce,
            Sink::Stream { .. } => Guarantee::AtLeastOnce,
        }
    }

    fn position(&mut self) -> Result<Option<Position>> {
        if !self.sink.is_usable() {
            return Err(self.gone("asking for its position", closed()));
        }
        self.settle().map(|()| self.position)
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        if !self.sink.is_usable() {
            return Err(self.gone("writing a batch", closed()));
        }
        match check_batch(&self.name, self.position.as_ref(), batch, &position)? {
            BatchStep::Nothing => return self.settle(),
            BatchStep::PositionOnly => {
                return Err(Error::CannotSkip {
                    target: self.name.clone(),
                    recorded: self.position.map_or(0, |p| p.sequence),
                    offered: position.sequence,
                });
            }
            BatchStep::Entries => {}
        }
        let mut lines = LineBatch::new(position.lineage);
        for entry in batch {
            lines.push(entry.sequence, entry.commit_ms, entry.chain_hash, &entry.entry);
            if lines.text().len() >= WRITE_BYTES {
                self.write(&lines)?;
                lines.clear(WRITE_BYTES);
            }
        }
        if !lines.text().is_empty() {
            self.write(&lines)?;
        }
        self.settle()
    }

    fn takes_lines(&self) -> bool {
        true
    }

    fn apply_lines(&mut self, lines: &LineBatch) -> Result<bool> {
        if !self.sink.is_usable() {
            return Err(self.gone("writing a batch", closed()));
        }
        if lines.text().is_empty() {
            return self.settle().map(|()| true);
        }
        check_lines(&self.name, self.position.as_ref(), lines)?;
        self.write(lines)?;
        // Whoever reads a stream need not wait for it.
        if matches!(self.sink, Sink::Stream { .. }) || self.unsynced >= UNSYNCED_BYTES_MAX {
            self.settle()?;
        }
        Ok(self.unsynced == 0)
    }

    fn reopen(&mut self) -> Result<()> {
        match &mut self.sink {
            Sink::File { path, file } => {
                // The lock goes with the old handle.
                *file = None;
                let mut opened: Box<dyn LineFile> = Box::new(DiskFile::open(&self.name, path)?);
                self.position = tail::recover(&self.name, path, opened.as_mut())?;
                (self.synced, self.unsynced, self.synced_len) = (self.position, 0, opened.len());
                *file = Some(opened);
            }
            Sink::Stream { usable, .. } => *usable = true,
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if !self.sink.is_usable() {
            return Ok(());
        }
        self.settle()?;
        match &mut self.sink {
            Sink::File { file, .. } => {
                *file = None;
                Ok(())
            }
            Sink::Stream { out, usable } => {
                *usable = false;
                out.0.flush().map_err(|source| self.gone("flushing", source))
            }
        }
    }
}
