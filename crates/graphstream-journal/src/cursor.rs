//! Named cursors: who has read how far. They hold segments back from cleanup.

use serde::{Deserialize, Serialize};

/// How far somebody has come, from `cursors/{name}.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// Its name, `[a-z0-9][a-z0-9._-]{0,62}`.
    pub name: String,
    /// The last sequence its owner no longer needs; 0 when it needs everything.
    pub sequence: u64,
    /// When it was written, in milliseconds since 1970 (UTC).
    pub updated_ms: i64,
}

impl Cursor {
    /// How long ago it was written, in milliseconds; 0 when the clock has gone back since.
    #[must_use]
    pub const fn age_ms(&self, now_ms: i64) -> u64 {
        match now_ms.checked_sub(self.updated_ms) {
            Some(age) if age > 0 => age.cast_unsigned(),
            _ => 0,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CursorFile {
    pub(crate) sequence: u64,
    pub(crate) updated_ms: i64,
}

/// What the file `FENCED` says, written by a shipper beside the writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FencedNote {
    /// The last sequence that the other leader took over.
    pub after: u64,
    /// When it was noted, in milliseconds since 1970 (UTC).
    pub noted_ms: i64,
}

/// What the file `OUTAGE` says, written by a shipper while its store fails or the budget is exhausted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutageNote {
    /// The shipper's name for its state.
    pub state: String,
    /// Since when, in milliseconds since 1970 (UTC).
    pub since_ms: i64,
}
