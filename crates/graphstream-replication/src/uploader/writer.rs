//! Who appends to the journal that is shipped, and what the shipper can ask of it.

use graphstream_journal::{Held, Journal, JournalDir, Level};

use crate::Result;
use crate::threads::blocking;

/// The journal's writer, as its shipper sees it.
#[derive(Debug)]
pub(crate) enum Writer {
    /// Another process, or nobody: segments come when they come, and a note in the directory stops it.
    Elsewhere,
    /// This process.
    Here(Journal),
}

impl Writer {
    /// Seals what was appended before the call, if this process can.
    pub(super) async fn seal(&self) -> Result<()> {
        let Self::Here(journal) = self else { return Ok(()) };
        let journal = journal.clone();
        blocking("sealing", move || Ok(journal.seal().map(drop)?)).await
    }

    /// The last sequence that this process is known to have sealed.
    pub(super) fn sealed(&self) -> u64 {
        match self {
            Self::Elsewhere => 0,
            Self::Here(journal) => journal.positions().sealed.sequence,
        }
    }

    /// Waits until this process has sealed more than that; an error when it never will. Of another process nothing is heard.
    pub(super) async fn sealed_beyond(&self, sequence: u64) -> Result<()> {
        match self {
            Self::Elsewhere => std::future::pending().await,
            Self::Here(journal) => Ok(journal.reached(sequence.saturating_add(1), Level::Sealed).await?),
        }
    }

    /// What cursors hold back.
    pub(super) async fn held(&self, dir: &JournalDir) -> Result<Held> {
        let (here, dir) = (self.here(), dir.clone());
        blocking("counting what cursors hold back", move || match here {
            Some(journal) => {
                journal.look_at_cursors()?;
                Ok(journal.held().unwrap_or_default())
            }
            None => Ok(dir.held()?),
        })
        .await
    }

    /// The journal, if this process appends to it.
    pub(super) fn here(&self) -> Option<Journal> {
        match self {
            Self::Elsewhere => None,
            Self::Here(journal) => Some(journal.clone()),
        }
    }

    /// Notes durably that another leader took over after a sequence, and ends the writer.
    pub(super) async fn fence(&self, dir: &JournalDir, after: u64, now_ms: i64) -> Result<()> {
        match self {
            Self::Elsewhere => {
                let dir = dir.clone();
                blocking("noting FENCED", move || Ok(dir.set_fenced(after, now_ms)?)).await
            }
            Self::Here(journal) => {
                let journal = journal.clone();
                blocking("fencing the journal", move || Ok(journal.fence(after)?)).await
            }
        }
    }
}
