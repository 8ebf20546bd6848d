//! Letting go of what every cursor has passed.

use crate::core::{Shared, locked};
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
