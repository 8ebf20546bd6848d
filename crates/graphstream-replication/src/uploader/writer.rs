//! Who appends to the journal that is shipped, and what the shipper can ask of it.

use graphstream_journal::{Journal, JournalDir};

use super::now_ms;
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

    /// Notes durably that another leader took over after a sequence, and ends the writer.
    pub(super) async fn fence(&self, dir: &JournalDir, after: u64) -> Result<()> {
        match self {
            Self::Elsewhere => {
                let dir = dir.clone();
                blocking("noting FENCED", move || Ok(dir.set_fenced(after, now_ms())?)).await
            }
            Self::Here(journal) => {
                let journal = journal.clone();
                blocking("fencing the journal", move || Ok(journal.fence(after)?)).await
            }
        }
    }
}
