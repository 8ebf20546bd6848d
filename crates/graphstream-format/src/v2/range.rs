//! What an encrypted segment holds, which must be known before its first chunk: its header is bound to every one.

use std::io::Read;

use crate::entry::Entry;
use crate::error::{Error, Result, Unwritable};
use crate::header::SegmentKind;
use crate::reader::SegmentReader;

/// What an encrypted segment is going to hold, known before its first entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRange {
    /// Sequence of the last entry.
    pub last_seq: u64,
    /// Commit time of the first entry, in milliseconds since 1970 (UTC).
    pub first_commit_ms: i64,
    /// Commit time of the last entry, in milliseconds since 1970 (UTC).
    pub last_commit_ms: i64,
}

impl SegmentRange {
    /// The range of a whole segment of any kind. Sealed ones say it in their header; others are read to their end, a torn tail left out.
    /// So the reader is of no more use to a conversion: open the segment anew for it.
    ///
    /// # Errors
    /// [`Unwritable::Empty`] without entries; as [`SegmentReader::read_next`].
    pub fn of<R: Read>(reader: &mut SegmentReader<R>) -> Result<Self> {
        let header = reader.header();
        match reader.kind() {
            SegmentKind::SealedV2 => Ok(Self {
                last_seq: header.last_seq,
                first_commit_ms: header.first_commit_ms,
                last_commit_ms: header.last_commit_ms,
            }),
            // One time for all entries.
            SegmentKind::SealedV1 => {
                let commit_ms = if header.is_legacy() { header.created_ms } else { header.last_commit_ms };
                let last_seq = header.last_seq;
                Ok(Self { last_seq, first_commit_ms: commit_ms, last_commit_ms: commit_ms })
            }
            SegmentKind::Open | SegmentKind::LegacyOpen => {
                let mut entry = Entry::default();
                let mut range: Option<Self> = None;
                while reader.read_next(&mut entry)? {
                    let first_commit_ms = range.map_or(entry.commit_ms, |range| range.first_commit_ms);
                    let (last_seq, last_commit_ms) = (entry.sequence, entry.commit_ms);
                    range = Some(Self { last_seq, first_commit_ms, last_commit_ms });
                }
                range.ok_or(Error::Unwritable(Unwritable::Empty))
            }
        }
    }
}
