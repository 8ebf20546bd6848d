//! The uploader's cursor: holds back what is not committed, and remembers what was.

use graphstream_journal::JournalDir;
use graphstream_remote::Floor;

use super::SealedChain;
use crate::Result;

/// The cursor that holds back what is not committed, `cursors/uploader.json`.
pub const UPLOADER_CURSOR: &str = "uploader";

/// What this journal is known to have published, by its uploader's cursor.
pub(super) enum Published {
    /// Nothing: only such a journal may create the head.
    Nothing,
    /// The head can't be below this; `None` when the journal no longer knows its chain hash there.
    Something(Option<Floor>),
}

impl Published {
    pub(super) fn by(dir: &JournalDir, chain: &SealedChain) -> Result<Self> {
        let Some(cursor) = dir.cursor(UPLOADER_CURSOR)?.filter(|cursor| cursor.sequence > 0) else {
            return Ok(Self::Nothing);
        };
        let hash = chain.hash_at(cursor.sequence)?;
        Ok(Self::Something(hash.map(|hash| Floor::new(0, cursor.sequence, hash))))
    }
}

/// From now on something waits to be shipped, whether the store answers or not: a cursor holds it back, and an earlier outage is over.
pub(super) fn begin_to_hold(dir: &JournalDir, now_ms: i64) {
    let begun = dir.cursor(UPLOADER_CURSOR).and_then(|cursor| match cursor {
        Some(_) => Ok(()),
        None => dir.set_cursor(UPLOADER_CURSOR, 0, now_ms),
    });
    // On a full disk, say. Shipping may be what helps.
    if let Err(error) = begun.and_then(|()| dir.note_outage(None)) {
        tracing::warn!(%error, "the uploader's cursor can't be set yet");
    }
}
