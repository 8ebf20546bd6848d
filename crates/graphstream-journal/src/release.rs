//! What cursors hold back, and letting go of what every cursor has passed.

use crate::budget::{Held, LeftSegment};
use crate::core::{Shared, locked};
use crate::cursor::Cursor;
use crate::directory::JournalDir;
use crate::error::{Error, Result};

impl Shared {
    /// Moves a cursor forward and removes what no cursor holds back any more.
    pub(crate) fn release(&self, cursor: &str, sequence: u64) -> Result<usize> {
        {
            let mut state = self.state();
            self.check_process(&mut state);
            if let Some(over) = &state.over {
                return Err(over.not_written());
            }
            let synced = state.synced.sequence;
            if sequence > synced {
                return Err(Error::CursorBeyondSynced { cursor: cursor.to_owned(), sequence, synced });
            }
        }
        // Two at once could move a cursor back, or both write its temporary file.
        let _releasing = locked(&self.releasing);
        if self.dir.cursor(cursor)?.is_none_or(|cursor| cursor.sequence < sequence) {
            self.dir.set_cursor(cursor, sequence, self.clock.now_ms())?;
            self.look_at_cursors()?;
        }
        self.dir.remove_released()
    }
}

impl JournalDir {
    /// The cursor that holds back most; `None` without any.
    pub(crate) fn slowest_cursor(&self) -> Result<Option<Cursor>> {
        Ok(self.cursors()?.into_iter().min_by_key(|cursor| cursor.sequence))
    }

    /// What cursors hold back: what [`JournalOptions::held_bytes_max`](crate::JournalOptions::held_bytes_max) is compared with. Reads the
    /// headers of these segments. One that was left and waits to be sealed counts with its reserved space.
    ///
    /// # Errors
    /// As [`JournalDir::segments`] and [`JournalDir::cursors`].
    pub fn held(&self) -> Result<Held> {
        let Some(cursor) = self.slowest_cursor()? else { return Ok(Held::default()) };
        let segments = self.left_beyond(cursor.sequence)?;
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        Ok(Held { bytes, segments: segments.len(), cursor: Some(cursor) })
    }

    /// All segments with entries beyond `sequence` but the one that is open, ascending.
    pub(crate) fn left_beyond(&self, sequence: u64) -> Result<Vec<LeftSegment>> {
        let sequences = self.segment_sequences()?;
        let from = sequences.partition_point(|&first| first <= sequence).saturating_sub(1);
        let mut left = Vec::new();
        let mut firsts = sequences.get(from..).unwrap_or_default().iter().peekable();
        while let Some(&first) = firsts.next() {
            let Some(segment) = self.segment(first)? else { continue };
            let last_sequence = match firsts.peek() {
                _ if segment.is_sealed() => segment.header.last_seq,
                // It was left before the next one was created.
                Some(&&next) => next.saturating_sub(1),
                None => break,
            };
            if last_sequence > sequence {
                left.push(LeftSegment { last_sequence, bytes: segment.file_bytes });
            }
        }
        Ok(left)
    }
}
