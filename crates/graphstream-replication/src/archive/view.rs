//! The archive state of a running uploader, for whoever reports it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphstream_journal::{Clock, JournalDir};

use super::{ArchiveState, ArchiveStatus, LiveJournal};
use crate::Result;

/// Shows the archive state of an uploader. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ArchiveView {
    state: Arc<Mutex<ArchiveState>>,
    dir: JournalDir,
    clock: Arc<dyn Clock>,
}

impl ArchiveView {
    pub(crate) fn new(state: ArchiveState, dir: JournalDir, clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::new(Mutex::new(state)), dir, clock }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ArchiveState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is archived and what waits, and what a lost machine would cost, for a journal that another process appends to: reads its open
    /// segment, if there is one, to find its end. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error::Journal).
    pub fn status_beside(&self) -> Result<ArchiveStatus> {
        let open_at = self.state().expected();
        let written = match self.dir.segment(open_at)? {
            Some(_) => self.dir.position()?.sequence,
            None => 0,
        };
        self.status(written)
    }

    /// What is archived, what waits, and what a lost machine would cost, against a journal that ends at `written`. Blocks for the disk: it looks at
    /// the open segment's header.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error::Journal).
    pub fn status(&self, written: u64) -> Result<ArchiveStatus> {
        let open_at = self.state().expected();
        let mut live = LiveJournal::at(written, self.clock.now_ms());
        if let Some(open) = self.dir.segment(open_at)? {
            live = live.with_open(open.file_bytes, open.header.created_ms);
        }
        Ok(self.state().status(live))
    }
}
