//! The predecessor's writer: a thread, a channel, and `Flush` as the only answer it gives.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use predecessor::{JournalCommand, JournalSender, JournalState, PendingEntry, spawn_journal_writer};

pub(crate) struct Writer {
    sender: JournalSender,
    state: Arc<JournalState>,
}

impl Writer {
    pub(crate) fn open(dir: &Path, segment: u64) -> Self {
        let state = Arc::new(JournalState::with_sequence_and_hash(0, [0; 32]));
        // It syncs when nothing has come for this long, as it does by default.
        let sender = spawn_journal_writer(dir.to_path_buf(), segment, 100, Arc::clone(&state));
        Self { sender, state }
    }

    /// A handle for a thread.
    pub(crate) fn sender(&self) -> Sender {
        Sender(self.sender.clone())
    }

    pub(crate) fn append(&self, entry: PendingEntry) -> Result<()> {
        self.sender.send(JournalCommand::Write(entry)).context("the predecessor's writer has ended")
    }

    /// So many entries are in the operating system.
    pub(crate) fn wait_written(&self, count: u64) -> Result<()> {
        while self.state.sequence.load(Ordering::Acquire) < count {
            ensure!(self.state.is_alive(), "the predecessor's writer has ended");
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Everything before is written and synced (or it failed: the predecessor does not say).
    pub(crate) fn flush(&self) -> Result<()> {
        self.sender().flush()
    }

    pub(crate) fn seal(&self) -> Result<()> {
        let (answer, sealed) = sync_channel(1);
        self.sender
            .send(JournalCommand::SealForUpload(answer))
            .context("the predecessor's writer has ended")?;
        sealed.recv()?.context("the predecessor did not seal").map(drop)
    }
}

/// It seals when it ends; the next turn must not run beside that.
impl Drop for Writer {
    fn drop(&mut self) {
        if self.sender.send(JournalCommand::Shutdown).is_ok() {
            while self.state.is_alive() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

pub(crate) struct Sender(JournalSender);

impl Sender {
    pub(crate) fn append_synced(&self, entry: PendingEntry) -> Result<()> {
        self.0.send(JournalCommand::Write(entry)).context("the predecessor's writer has ended")?;
        self.flush()
    }

    fn flush(&self) -> Result<()> {
        let (answer, flushed) = sync_channel(1);
        self.0.send(JournalCommand::Flush(answer)).context("the predecessor's writer has ended")?;
        Ok(flushed.recv()?)
    }
}
