//! Why bytes are no head.

use graphstream_format::encryption::KeyId;

/// Why bytes are not a head (or not an epoch object).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadProblem {
    /// Not JSON, or not exactly the documented fields.
    #[error("it is not JSON of the documented shape")]
    Json(#[from] serde_json::Error),
    /// Written by a newer graphstream, or not by graphstream.
    #[error("its format is {found}, this version reads {supported}")]
    Format {
        /// The format that it claims.
        found: u64,
        /// The format that we read.
        supported: u32,
    },
    /// Fields that contradict each other.
    #[error("{0}")]
    Inconsistent(Inconsistency),
    /// Of an encrypted history, and there is no key at all.
    #[error("the history is encrypted (key {id}), and no key was given")]
    KeyRequired {
        /// The key that it takes.
        id: KeyId,
    },
    /// Of an encrypted history, and its key is not among those given.
    #[error("it takes key {id}, which is not among the keys given")]
    UnknownKey {
        /// The key that it takes.
        id: KeyId,
    },
    /// Whoever wrote this, or changed it, did not have the key, or wrote it as something else.
    #[error("its MAC is not one of key {id}: it was changed, or written without the key")]
    Forged {
        /// The key that it claims.
        id: KeyId,
    },
    /// Plain, where all must be proven by a key.
    #[error("it is plain, and keys were given: nothing unencrypted is accepted")]
    Plaintext,
}

impl HeadProblem {
    /// Whether a key is missing, and nothing is known to be wrong.
    #[must_use]
    pub fn is_missing_key(&self) -> bool {
        matches!(self, Self::KeyRequired { .. } | Self::UnknownKey { .. })
    }
}

/// Which promise among a head's fields is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// An epoch without an owner, or the reverse.
    #[error("the epoch's owner is missing, or epoch 0 has one")]
    Owner,
    /// `epochs` does not end with the epoch and its owner, is not ascending, starts beyond `committed`, or is too long.
    #[error("`epochs` is not an ascending list that ends with the head's epoch and owner")]
    Epochs,
    /// A sequence with two chain hashes, or a chain hash before the first entry.
    #[error("the chain hashes of `epochs` and `committed` contradict each other")]
    Chain,
    /// The window is not a contiguous run of level-0 segments that ends at `committed`, or too long.
    #[error("`segments` is not a contiguous run of level-0 segments that ends at the committed sequence")]
    Window,
    /// The snapshot lies beyond `committed`.
    #[error("`snapshot` is beyond the committed sequence")]
    Snapshot,
    /// A commit time out of range.
    #[error("the committed time is out of range")]
    CommitTime,
    /// A keyed document with plain chain values where they must be keyed, or the reverse, or what a plain one does not have.
    #[error("its chain values are plain where they must be keyed, or keyed where they must be plain")]
    Keyed,
}
