//! The uploader's cursor: holds back what is not committed.

use graphstream_journal::JournalDir;

/// The cursor that holds back what is not committed, `cursors/uploader.json`.
pub const UPLOADER_CURSOR: &str = "uploader";

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
