//! Walking the chain: from the position a target has, over fetched segments, to the head's chain hash.
//!
//! ```text
//!   applied            segment            segment            committed (head)
//!   (7, chain) ──────► [5 .. 12] ───────► [13 .. 20] ──────► (20, chain)
//!                       5..7 are read, chained and skipped: at 7 both chains must agree
//! ```
//! A segment is walked twice: once to verify that the path ends in the head's chain hash, once to apply it. Each verifies from its own
//! starting hash, so several are verified at once; in order, one after the other, their ends are joined.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::num::NonZeroUsize;

use graphstream_format::header::HEADER_LEN;
use graphstream_format::v2::Workers;
use graphstream_format::{ChainHash, Entry, Header, Lineage, Position, ReadOptions, SegmentReader};
use graphstream_remote::{PlannedSegment, Remote};

use super::cache::CachedSegment;
use crate::threads::is_inline;
use crate::{Error, Result};

/// How much of a file is read at once. The reader itself holds one entry and one zstd window.
const READ_BUFFER_BYTES: usize = 256 << 10;

/// A segment of this size that is verified alone is worth threads of its own.
const WORKERS_FROM_BYTES: u64 = 1 << 20;

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the next entry.
    On,
    /// The caller has enough; the rest of the segment is not looked at.
    Enough,
}

/// Where the path enters a segment: behind an entry, whose chain hash is known when the segments before it are verified.
#[derive(Debug, Clone, Copy)]
struct Entrance {
    lineage: Lineage,
    sequence: u64,
    chain_hash: Option<ChainHash>,
}

/// What a verified segment says of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The chain hash where the path enters it.
    pub(crate) entered: ChainHash,
    /// Where the path leaves it.
    pub(crate) end: Position,
}

impl Stretch {
    /// Joins it to where the path has come: the next point of the path.
    ///
    /// # Errors
    /// [`Error::Forked`] when it continues another chain.
    pub(crate) fn join(&self, planned: &PlannedSegment, at: Position) -> Result<Position> {
        continues(planned, at.sequence, at.chain_hash, self.entered).map(|()| self.end)
    }
}

fn continues(planned: &PlannedSegment, sequence: u64, ours: ChainHash, theirs: ChainHash) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    Err(Error::Forked { segment: planned.name, sequence, ours, theirs })
}

/// Reads a fetched segment from where the path enters it, gives every entry behind that to `visit`, and returns what it says of the path.
///
/// # Errors
/// [`Error::Segment`] for anything wrong inside the file, [`Error::Misnamed`] when its name says other sequences,
/// [`Error::Forked`] when its chain does not pass where the path enters, and whatever `visit` fails with.
fn walk(
    remote: &Remote,
    (mut file, segment): (File, &CachedSegment),
    planned: &PlannedSegment,
    entrance: Entrance,
    workers: Option<Workers>,
    mut visit: impl FnMut(&Entry) -> Result<Step>,
) -> Result<Stretch> {
    let name = planned.name;
    let broken = |source| match source {
        graphstream_format::Error::KeyRequired { id } | graphstream_format::Error::UnknownKey { id } => {
            Error::EncryptedSegment { segment: name, id }
        }
        source => Error::Segment { segment: name, source: Box::new(source) },
    };
    let cache = |source| Error::Cache { attempted: "reading", path: segment.path().to_path_buf(), source };
    let bytes = file.metadata().map_err(cache)?.len();
    let Entrance { lineage, sequence: from, .. } = entrance;
    let options = options(remote, &mut file).map_err(cache)?;
    let options = options.with_expected_lineage(lineage).with_legacy_refused();
    let mut reader = SegmentReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file), bytes, options)
        .map_err(broken)?;
    if let Some(workers) = workers {
        reader = reader.with_workers(workers);
    }
    let header = reader.header();
    if !header.is_sealed() || header.first_seq != name.first() || header.last_seq != name.last() {
        return Err(Error::Misnamed { segment: name, first: header.first_seq, last: header.last_seq });
    }
    let joins = name.first() == from.saturating_add(1);
    let mut entered = None;
    let mut end = Position { lineage, sequence: from, chain_hash: ChainHash::ZERO };
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).map_err(broken)? {
        if entered.is_none() {
            entered = match entry.sequence == from {
                true => Some(entry.chain_hash),
                false => reader.chain_before().filter(|_| joins),
            };
            if let (Some(ours), Some(theirs)) = (entrance.chain_hash, entered) {
                continues(planned, from, ours, theirs)?;
            }
        }
        if entry.sequence <= from {
            continue;
        }
        (end.sequence, end.chain_hash) = (entry.sequence, entry.chain_hash);
        if visit(&entry)? == Step::Enough {
            break;
        }
    }
    // Every segment of a plan holds the next entry.
    let misnamed = Error::Misnamed { segment: name, first: name.first(), last: end.sequence };
    Ok(Stretch { entered: entered.ok_or(misnamed)?, end })
}

/// How a file is read by what its header says; with a damaged one the reader says what is wrong.
pub(super) fn options(remote: &Remote, file: &mut File) -> io::Result<ReadOptions> {
    let mut start = [0; HEADER_LEN];
    let header = file.read_exact(&mut start).ok().and_then(|()| Header::decode(&start).ok());
    file.rewind()?;
    Ok(header.map_or_else(ReadOptions::default, |header| remote.read_options(&header)))
}

fn open(segment: &CachedSegment) -> Result<File> {
    File::open(segment.path()).map_err(|source| Error::Cache {
        attempted: "opening",
        path: segment.path().to_path_buf(),
        source,
    })
}

/// Verifies a whole segment, which the path enters behind the entry `from`; `alone`: no other one is being verified.
///
/// # Errors
/// As [`entries`], but for forks: only the order of segments shows them.
pub(crate) fn verify(
    remote: &Remote,
    segment: &CachedSegment,
    planned: &PlannedSegment,
    (lineage, from): (Lineage, u64),
    alone: bool,
) -> Result<Stretch> {
    // Without threads of its own it is only slower.
    let two = NonZeroUsize::MIN.saturating_add(1);
    let workers = (alone && planned.size >= WORKERS_FROM_BYTES && !is_inline())
        .then(|| Workers::new(two).ok())
        .flatten();
    let entrance = Entrance { lineage, sequence: from, chain_hash: None };
    walk(remote, (open(segment)?, segment), planned, entrance, workers, |_| Ok(Step::On))
}

/// Gives every entry of a segment beyond `from` to `visit`, each verified, and none unless its chain passes through `from`.
///
/// # Errors
/// [`Error::Segment`], [`Error::Misnamed`], [`Error::Forked`], and whatever `visit` fails with.
pub(crate) fn entries(
    remote: &Remote,
    (file, segment): (File, &CachedSegment),
    planned: &PlannedSegment,
    from: Position,
    visit: impl FnMut(&Entry) -> Result<Step>,
) -> Result<()> {
    let Position { lineage, sequence, chain_hash } = from;
    let entrance = Entrance { lineage, sequence, chain_hash: Some(chain_hash) };
    walk(remote, (file, segment), planned, entrance, None, visit).map(drop)
}
