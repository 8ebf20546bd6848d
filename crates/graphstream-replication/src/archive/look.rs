//! Finding what was sealed since the last look: the next segment bears the next sequence in its name, so nothing that is known is read again.

use graphstream_journal::{JournalDir, SegmentInfo};

use super::{ArchiveSegment, ArchiveState, NotNext};
use crate::Result;

/// Entries that are neither archived nor in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// When the names of all segments are listed: for a gap, and for a segment that begins before what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Always,
    IfNothing,
    Never,
}

/// What one look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Consecutive, from where the state expects the next one.
    pub(crate) sealed: Vec<ArchiveSegment>,
    /// What is missing behind them.
    pub(crate) gap: Option<Gap>,
}

impl Look {
    /// Looks for what is sealed from `expected` on. `inside`: a segment may begin before it. Blocks for the disk.
    pub(crate) fn at(dir: &JournalDir, expected: u64, inside: bool, names: Names) -> Result<Self> {
        let mut look = Self::default();
        let mut next = expected;
        loop {
            while let Some(segment) = dir.segment(next)? {
                if !segment.is_sealed() {
                    return Ok(look);
                }
                next = look.take(&segment);
            }
            match names {
                Names::Always => {}
                Names::IfNothing if look.sealed.is_empty() => {}
                Names::IfNothing | Names::Never => return Ok(look),
            }
            // By names alone. Between the two looks more may have been sealed.
            let names = dir.segment_sequences()?;
            if names.binary_search(&next).is_ok() {
                continue;
            }
            let behind = names.partition_point(|&first| first <= next);
            let before = behind.checked_sub(1).and_then(|before| names.get(before));
            if let (Some(&before), true) = (before, inside && look.sealed.is_empty())
                && let Some(segment) = dir.segment(before)?
            {
                if !segment.is_sealed() {
                    return Ok(look);
                }
                if segment.header.last_seq >= next {
                    next = look.take(&segment);
                    continue;
                }
            }
            look.gap = names.get(behind).map(|&first| Gap { first: next, last: first.saturating_sub(1) });
            return Ok(look);
        }
    }

    fn take(&mut self, segment: &SegmentInfo) -> u64 {
        let header = &segment.header;
        let found = ArchiveSegment::new(header.first_seq..=header.last_seq, segment.file_bytes);
        self.sealed.push(found.with_first_commit_ms(header.first_commit_ms));
        header.last_seq.saturating_add(1)
    }

    /// Tells the state.
    pub(crate) fn tell(&self, state: &mut ArchiveState) -> Result<(), NotNext> {
        self.sealed.iter().try_for_each(|segment| state.sealed(*segment))
    }
}
