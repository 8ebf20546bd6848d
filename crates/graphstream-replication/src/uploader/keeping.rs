//! What the shipper knows and leaves in the journal's directory: what was sealed, what is committed, what may go.

use std::sync::Arc;
use std::time::Duration;

use graphstream_remote::Committed;

use super::cache::Kept;
use super::manifest::UploadManifest;
use super::{UPLOADER_CURSOR, Uploader};
use crate::archive::{ArchiveSegment, ArchiveStatus, Gap, LiveJournal, Look, Names};
use crate::threads::blocking;
use crate::{Error, Result};

impl Uploader {
    /// Finds what was sealed since the last look; what is missing before the next one, if anything is. `begins`: it is the first look
    /// of this shipping.
    pub(super) async fn look(&mut self, begins: bool) -> Result<Option<Gap>> {
        // What vanishes later is found when there is time: a listing takes the longer, the more segments stay.
        let names = match (self.whole, begins) {
            (false, _) => Names::Always,
            (true, true) => Names::IfNothing,
            (true, false) => Names::Never,
        };
        let (expected, inside) = {
            let state = self.archive.state();
            (state.expected(), state.pending().segments == 0)
        };
        let dir = self.dir.clone();
        let look =
            blocking("looking for sealed segments", move || Look::at(&dir, expected, inside, names)).await?;
        let told = look.tell(&mut self.archive.state());
        told.map_err(|next| Error::LocalGap { first: next.expected, last: next.first.saturating_sub(1) })?;
        self.whole = look.gap.is_none();
        Ok(look.gap)
    }

    /// Published segments stay on the disk for a while.
    pub(super) fn keep(&mut self, segments: Vec<ArchiveSegment>) {
        let since_ms = self.clock.now_ms();
        for ArchiveSegment { first, last, bytes, .. } in segments {
            self.cache.keep(Kept { first, last, bytes, since_ms });
        }
    }

    /// Everything up to here is stored: watchers, metrics and the cursor learn it.
    pub(super) async fn committed_is(&mut self, committed: Committed) -> Result<()> {
        // A keyed head shows no chain hash; what this journal has published, its chain knows.
        if let Some(chain_hash) = committed.chain.hash() {
            self.chain.advance(committed.sequence, chain_hash);
        }
        // An attempt of ours whose answer was lost may have landed.
        let covered = self.archive.state().archived_elsewhere(committed.sequence);
        self.keep(covered);
        let news = self.committed.send_if_modified(|known| std::mem::replace(known, committed) != committed);
        self.gap_is();
        let leader = &self.metrics.leader;
        leader.committed_sequence.set(committed.sequence);
        if news {
            leader.last_publication_ms.set(u64::try_from(self.clock.now_ms()).unwrap_or(0));
        }
        self.note(committed).await?;
        self.clean(committed).await?;
        // When nothing waits, nothing is under way here either.
        self.waiting_is();
        Ok(())
    }

    /// What waits to be stored, for the metrics.
    pub(super) fn waiting_is(&self) {
        let status = self.gap_is();
        let leader = &self.metrics.leader;
        leader.queue_segments.set(status.pending.segments as u64);
        leader.queue_bytes.set(status.pending.bytes);
        leader.rpo_seconds.set(Duration::try_from_secs_f64(status.gap_seconds).unwrap_or_default());
    }

    /// What a lost machine would cost, for the metrics.
    fn gap_is(&self) -> ArchiveStatus {
        let written = self.metrics.journal.written_sequence.get();
        let status = self.archive.state().status(LiveJournal::at(written, self.clock.now_ms()));
        self.metrics.leader.rpo_entries.set(status.gap_entries);
        status
    }

    /// The manifest first: it is never behind the cursor.
    async fn note(&mut self, committed: Committed) -> Result<()> {
        if self.noted == Some(committed.sequence) {
            return Ok(());
        }
        let manifest = self.session.head().map(|stored| UploadManifest::of(&stored.head));
        let (dir, here, now_ms) = (self.dir.clone(), self.writer.here(), self.clock.now_ms());
        let lock = Arc::clone(&self.lock);
        blocking("moving the uploader's cursor", move || {
            let _lock = lock;
            if let Some(manifest) = manifest {
                manifest.write(&dir)?;
            }
            dir.set_cursor(UPLOADER_CURSOR, committed.sequence, now_ms)?;
            // Whoever waits for room may go on.
            if let Some(journal) = here {
                journal.look_at_cursors()?;
            }
            Ok(())
        })
        .await?;
        self.noted = Some(committed.sequence);
        Ok(())
    }

    /// Lets go of what is published and needed by nobody here. That it can't does not hold up shipping.
    async fn clean(&mut self, committed: Committed) -> Result<()> {
        let now_ms = self.clock.now_ms();
        if !self.cache.is_due(committed.sequence, now_ms) {
            return Ok(());
        }
        // A copy: this future may be dropped on the way.
        let (dir, lock, mut cache) = (self.dir.clone(), Arc::clone(&self.lock), self.cache.clone());
        self.cache = blocking("cleaning up", move || {
            let _lock = lock;
            match cache.clean(&dir, committed.sequence, now_ms) {
                Ok(removed) if removed.segments > 0 => {
                    tracing::debug!(
                        segments = removed.segments,
                        bytes = removed.bytes,
                        "published segments removed"
                    );
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "published segments could not be removed"
                ),
            }
            Ok(cache)
        })
        .await?;
        Ok(())
    }
}
