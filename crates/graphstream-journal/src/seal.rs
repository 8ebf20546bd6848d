//! Sealing: an open segment becomes a sealed one of the same name.
//!
//! ```text
//! journal-N.hadbj (open, synced) --read--> journal-N.hadbj.tmp (sealed) --sync, rename over, sync directory--> journal-N.hadbj
//! ```
//!
//! At every moment one whole file with all entries bears the name, so a crash at any step only means doing it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream_format::open::Scanner;
use graphstream_format::v2::SegmentRange;
use graphstream_format::{ChainHash, Header, ReadAt};

use crate::directory::remove_if_exists;
use crate::error::{Error, Result};
use crate::form::Form;
use crate::fs::{Fs, FsFile};
use crate::segment_file::{FileAt, FileSink, OpenedSegment};
use crate::{names, sabotage, small_file};

/// A sealed segment: final, ready to be shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedSegment {
    /// The file.
    pub path: PathBuf,
    /// Its first sequence.
    pub first_sequence: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// Its length in bytes.
    pub file_bytes: u64,
    /// Commit time of its first entry, in milliseconds since 1970 (UTC).
    pub first_commit_ms: i64,
    /// Commit time of its last entry, in milliseconds since 1970 (UTC).
    pub last_commit_ms: i64,
    /// The chain hash after its last entry.
    pub chain_hash: ChainHash,
}

impl SealedSegment {
    /// Its file's name in the directory.
    #[must_use]
    pub fn name(&self) -> String {
        names::segment_name(self.first_sequence)
    }

    /// How many entries it holds.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.last_sequence - self.first_sequence + 1
    }

    pub(crate) fn new(path: PathBuf, header: &Header, chain_hash: ChainHash) -> Self {
        Self {
            path,
            first_sequence: header.first_seq,
            last_sequence: header.last_seq,
            file_bytes: header.file_len().unwrap_or(0),
            first_commit_ms: header.first_commit_ms,
            last_commit_ms: header.last_commit_ms,
            chain_hash,
        }
    }
}

/// Which open segment to seal, and what it must turn out to hold.
#[derive(Clone, Debug)]
pub(crate) struct SealOrder {
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) chain_hash: ChainHash,
    /// The chain hashes after its first entries, as the committer has computed them; those that are missing are computed again.
    pub(crate) chain: Arc<Vec<ChainHash>>,
}

/// A sealed segment that does not bear its name yet.
#[derive(Debug)]
pub(crate) struct ReadySegment {
    pub(crate) sealed: SealedSegment,
    /// Where it lies, synced; `None` if an earlier attempt has renamed it already.
    pub(crate) temp: Option<PathBuf>,
    /// How long it took so far.
    pub(crate) spent: Duration,
}

/// Seals one segment. Safe to repeat after any failure: the open file is left alone until the rename.
pub(crate) fn seal(fs: &dyn Fs, dir: &Path, form: &Form, order: &SealOrder) -> Result<SealedSegment> {
    let ready = compress(fs, dir, form, order)?;
    publish(fs, dir, &ready)?;
    Ok(ready.sealed)
}

/// Writes and syncs the sealed form under its temporary name.
pub(crate) fn compress(fs: &dyn Fs, dir: &Path, form: &Form, order: &SealOrder) -> Result<ReadySegment> {
    let started = Instant::now();
    let name = names::segment_name(order.first_sequence);
    let path = dir.join(&name);
    let temp = dir.join(names::temp_name(&name));
    let Some(opened) = OpenedSegment::open(fs, &path, order.first_sequence)? else {
        return Err(Error::Gap {
            first: order.first_sequence,
            last: order.last_sequence,
            path: dir.to_path_buf(),
        });
    };
    // A repetition after the rename: only the directory's sync is missing.
    if opened.header.is_sealed() {
        let sealed = SealedSegment::new(path, &opened.header, order.chain_hash);
        check_order(&sealed, order)?;
        return Ok(ReadySegment { sealed, temp: None, spent: started.elapsed() });
    }
    let file = small_file::create_over(fs, &temp)?;
    let written = write_sealed(FileAt(opened.file), &path, &file, &temp, form, order);
    let (header, chain_hash) = match written {
        Ok(written) => written,
        Err(error) => {
            // Best effort: what stays is swept at the next open.
            let _ = remove_if_exists(fs, &temp);
            return Err(error);
        }
    };
    let sealed = SealedSegment::new(path, &header, chain_hash);
    Ok(ReadySegment { sealed, temp: Some(temp), spent: started.elapsed() })
}

/// Gives it its name, in place of the open segment.
pub(crate) fn publish(fs: &dyn Fs, dir: &Path, ready: &ReadySegment) -> Result<()> {
    let path = &ready.sealed.path;
    if let Some(temp) = &ready.temp {
        fs.rename(temp, path).map_err(Error::io("renaming into", path))?;
    }
    if !sabotage::is("skip_a_directory_sync") {
        fs.sync_dir(dir).map_err(Error::io("syncing", dir))?;
    }
    Ok(())
}

/// Gives its space back. Best effort: what stays is replaced by the next attempt, or swept at the next open.
pub(crate) fn discard(fs: &dyn Fs, ready: &ReadySegment) {
    if let Some(temp) = &ready.temp {
        let _ = remove_if_exists(fs, temp);
    }
}

fn write_sealed(
    source: impl ReadAt + Clone,
    path: &Path,
    file: &Arc<dyn FsFile>,
    temp: &Path,
    form: &Form,
    order: &SealOrder,
) -> Result<(Header, ChainHash)> {
    let mut scanner = Scanner::open(source.clone()).map_err(Error::segment(path))?;
    let sink = FileSink::new(Arc::clone(file));
    let start = scanner.header().start;
    let mut writer = form.writer(sink, start, temp, || range(source, path, order))?;
    let mut last = order.first_sequence - 1;
    let mut chain = order.chain.iter();
    while last < order.last_sequence {
        let entry = match chain.next() {
            Some(&known) => scanner.next_entry_known(known),
            None => scanner.next_entry(),
        };
        let Some(entry) = entry.map_err(Error::segment(path))? else {
            // It was written, synced and not touched since: anything but a whole record here is damage.
            return Err(damaged_open(&mut scanner, path, last, order));
        };
        last = writer.push_verified(entry).map_err(Error::segment(temp))?;
    }
    if writer.chain_hash() != order.chain_hash {
        return Err(fork(path, order, writer.chain_hash()));
    }
    let finished = writer.finish().map_err(Error::segment(temp))?;
    file.sync_all().map_err(Error::io("syncing", temp))?;
    Ok((finished.header, finished.chain_hash))
}

/// What the segment will hold, from its own records: the committer's last commit time may have been raised since. Their chain is
/// verified when they are sealed.
fn range(source: impl ReadAt, path: &Path, order: &SealOrder) -> Result<SegmentRange> {
    let mut scanner = Scanner::open(source).map_err(Error::segment(path))?;
    let mut times = None;
    for sequence in order.first_sequence..=order.last_sequence {
        match scanner.next_entry_known(ChainHash::ZERO).map_err(Error::segment(path))? {
            Some(entry) => times = Some((times.map_or(entry.commit_ms, |(first, _)| first), entry.commit_ms)),
            None => return Err(damaged_open(&mut scanner, path, sequence - 1, order)),
        }
    }
    let (first_commit_ms, last_commit_ms) = times.unwrap_or_default();
    Ok(SegmentRange { last_seq: order.last_sequence, first_commit_ms, last_commit_ms })
}

fn damaged_open<S: ReadAt>(scanner: &mut Scanner<S>, path: &Path, last: u64, order: &SealOrder) -> Error {
    match scanner.judge() {
        Err(source) => Error::segment(path)(source),
        Ok(outcome) => match outcome.into_error() {
            Some(source) => Error::segment(path)(source),
            None => Error::EndsEarly {
                path: path.to_path_buf(),
                offset: scanner.point().offset,
                last_sequence: last,
                expected: order.last_sequence,
            },
        },
    }
}

fn check_order(sealed: &SealedSegment, order: &SealOrder) -> Result<()> {
    if sealed.last_sequence == order.last_sequence {
        return Ok(());
    }
    Err(Error::EndsEarly {
        path: sealed.path.clone(),
        offset: sealed.file_bytes,
        last_sequence: sealed.last_sequence,
        expected: order.last_sequence,
    })
}

fn fork(path: &Path, order: &SealOrder, found: ChainHash) -> Error {
    Error::Fork { path: path.to_path_buf(), sequence: order.last_sequence, expected: order.chain_hash, found }
}
