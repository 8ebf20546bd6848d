//! Walking the chain: from the position a target has, over fetched segments, to the head's chain hash.
//!
//! ```text
//!   applied            segment            segment            committed (head)
//!   (7, chain) ──────► [5 .. 12] ───────► [13 .. 20] ──────► (20, chain)
//!                       5..7 are read, chained and skipped: at 7 both chains must agree
//! ```
//! A segment is walked twice: once to verify that the path ends in the head's chain hash, once to apply it.

use std::fs::File;
use std::io::BufReader;

use graphstream_format::{Entry, Position, SegmentReader};
use graphstream_remote::PlannedSegment;

use super::cache::CachedSegment;
use crate::{Error, Result};

/// How much of a file is read at once. The reader itself holds one entry and one zstd window.
const READ_BUFFER_BYTES: usize = 256 << 10;

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the next entry.
    On,
    /// The caller has enough; the rest of the segment is not looked at.
    Enough,
}

/// Reads a fetched segment from `from` on, gives every entry beyond it to `visit`, and returns where the chain stands then.
///
/// # Errors
/// [`Error::Segment`] for anything wrong inside the file, [`Error::Misnamed`] when its name says other sequences,
/// [`Error::Forked`] when its chain does not pass through `from`, and whatever `visit` fails with.
pub(crate) fn walk(
    segment: &CachedSegment,
    planned: &PlannedSegment,
    from: Position,
    mut visit: impl FnMut(&Entry) -> Result<Step>,
) -> Result<Position> {
    let name = planned.name;
    let (file, options) = (segment.path(), segment.options());
    let segment = |source| match source {
        graphstream_format::Error::KeyRequired { id } | graphstream_format::Error::UnknownKey { id } => {
            Error::EncryptedSegment { segment: name, id }
        }
        source => Error::Segment { segment: name, source: Box::new(source) },
    };
    let cache = |source| Error::Cache { attempted: "reading", path: file.to_path_buf(), source };
    let opened = File::open(file).map_err(cache)?;
    let bytes = opened.metadata().map_err(cache)?.len();
    let mut options = options.with_expected_lineage(from.lineage).with_legacy_refused();
    let joins = name.first() == from.sequence.saturating_add(1);
    if joins {
        options = options.with_expected_chain(from.chain_hash);
    }
    let mut reader = SegmentReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, opened), bytes, options)
        .map_err(segment)?;
    let header = reader.header();
    if !header.is_sealed() || header.first_seq != name.first() || header.last_seq != name.last() {
        return Err(Error::Misnamed { segment: name, first: header.first_seq, last: header.last_seq });
    }
    let mut at = from;
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).map_err(segment)? {
        if entry.sequence < from.sequence {
            continue;
        }
        if entry.sequence == from.sequence {
            if entry.chain_hash != from.chain_hash {
                return Err(Error::Forked {
                    segment: name,
                    sequence: from.sequence,
                    ours: from.chain_hash,
                    theirs: entry.chain_hash,
                });
            }
            continue;
        }
        at = Position { lineage: from.lineage, sequence: entry.sequence, chain_hash: entry.chain_hash };
        if visit(&entry)? == Step::Enough {
            break;
        }
    }
    Ok(at)
}

/// Verifies a whole segment.
pub(crate) fn verify(segment: &CachedSegment, planned: &PlannedSegment, from: Position) -> Result<Position> {
    walk(segment, planned, from, |_| Ok(Step::On))
}
