//! What an append returns, and how far it has come.

use std::ops::RangeInclusive;

use graphstream_journal::{Ack, Acked, Ticket};
use graphstream_remote::Committed;
use tokio::sync::watch;

use crate::{Error, Result};

/// How far entries have come; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// In the operating system: they survive this process, not the machine. Their sequences are final.
    Written,
    /// On the local disk: they survive a power cut.
    Synced,
    /// In the object store, and covered by the published head: they survive this machine, and followers see them.
    Stored,
}

/// The promise of an append. Dropping it changes nothing about its entries.
#[derive(Debug, Clone)]
#[must_use = "an append is acknowledged only when its ticket says so"]
pub struct AppendTicket {
    ticket: Ticket,
    committed: watch::Receiver<Committed>,
}

impl AppendTicket {
    pub(super) fn new(ticket: Ticket, committed: watch::Receiver<Committed>) -> Self {
        Self { ticket, committed }
    }

    /// Waits until the entries have reached `level` and returns their sequences. For *stored* it rides the next upload, and causes none:
    /// their segment is left when it is full or aged ([`Leader::sync`](crate::Leader::sync) forces that).
    ///
    /// # Errors
    /// [`Error::Journal`] as [`Ticket::wait`]; [`Error::NotStored`] when the uploader has ended.
    pub async fn reached(&self, level: Level) -> Result<RangeInclusive<u64>> {
        let ack = if level == Level::Written { Ack::Written } else { Ack::Synced };
        let sequences = self.ticket.acked(ack).await?;
        if level == Level::Stored {
            stored(self.committed.clone(), *sequences.end()).await?;
        }
        Ok(sequences)
    }

    /// A future of the journal's own acknowledgement.
    pub fn acked(&self, ack: Ack) -> Acked {
        self.ticket.acked(ack)
    }

    /// Waits for the journal's own acknowledgement, on this thread.
    ///
    /// # Errors
    /// As [`Ticket::wait`].
    pub fn wait(&self, ack: Ack) -> graphstream_journal::Result<RangeInclusive<u64>> {
        self.ticket.wait(ack)
    }
}

/// Waits until everything up to `sequence` is covered by the head.
pub(super) async fn stored(mut committed: watch::Receiver<Committed>, sequence: u64) -> Result<Committed> {
    let reached = committed.wait_for(|committed| committed.sequence >= sequence).await;
    reached.map(|committed| *committed).map_err(|_| Error::NotStored { sequence })
}
