//! Waiting for the journal's disk budget, without a thread that waits.

use std::time::Duration;

use graphstream_journal::Journal;
use tokio::sync::watch;

use super::Leader;
use crate::threads::blocking;
use crate::{Error, OutageStatus, Result};

/// The journal looks at cursors that somebody else moves once a second.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    journal: Journal,
    /// Or says that there is none.
    waits: bool,
    /// Moves when the uploader has moved its cursor, too.
    outage: watch::Receiver<OutageStatus>,
}

impl Room {
    pub(super) fn new(journal: Journal, waits: bool, outage: watch::Receiver<OutageStatus>) -> Self {
        Self { journal, waits, outage }
    }

    pub(super) fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Waits until an append would not be held up.
    pub(super) async fn wait(&self) -> Result<()> {
        self.wait_with(|| {
            let journal = self.journal.clone();
            async move {
                // Without a budget there is nothing to look at.
                if journal.held().is_none() {
                    return Ok(journal.check_room()?);
                }
                blocking("looking at the disk budget", move || Ok(journal.check_room()?)).await
            }
        })
        .await
    }

    /// Tries until the budget does not hold it up.
    pub(super) async fn wait_with<T, F: Future<Output = Result<T>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T> {
        let mut outage = self.outage.clone();
        loop {
            outage.mark_unchanged();
            match attempt().await {
                Err(Error::Journal(graphstream_journal::Error::BudgetFull { .. })) if self.waits => {}
                result => return result,
            }
            tokio::select! {
                Ok(()) = outage.changed() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }
}

impl Leader {
    /// Waits until an append is not held up by the journal's disk budget
    /// ([`held_bytes_max`](graphstream_journal::JournalOptions::held_bytes_max)). Without one it never is.
    ///
    /// # Errors
    /// [`Error::Journal`] at the journal's end, and with [`WhenFull::Fail`](graphstream_journal::WhenFull::Fail) also while it is held up.
    pub async fn room(&self) -> Result<()> {
        self.room.wait().await
    }

    /// Whether what is journaled gets away, as of the uploader's last look.
    #[must_use]
    pub fn outage(&self) -> watch::Receiver<OutageStatus> {
        self.room.outage.clone()
    }
}
