//! What can be wrong with a database of the predecessor.

use graphstream_format::ChainHash;
use graphstream_storage::Key;

/// What is wrong with a database of the predecessor, or with what it is imported to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredecessorError {
    /// Nothing is there.
    #[error("there is no database of the predecessor below {prefix} in {store}")]
    None {
        /// Where it would be.
        prefix: String,
        /// The store, without secrets.
        store: String,
    },
    /// An object is no segment, or a damaged one.
    #[error("{key} can't be read")]
    Object {
        /// Its key.
        key: Key,
        /// What is wrong, and at which offset and sequence.
        source: Box<graphstream_format::Error>,
    },
    /// An object is a segment of a later graphstream.
    #[error("{key} is no segment of the predecessor: it has a lineage")]
    NotLegacy {
        /// Its key.
        key: Key,
    },
    /// An entry's payload is none, or says another sequence than its segment.
    #[error("{key} holds an entry {sequence} that can't be decoded")]
    Payload {
        /// The object.
        key: Key,
        /// The entry.
        sequence: u64,
        /// What is wrong with it.
        source: graphstream_proto::Error,
    },
    /// Entries that no object holds.
    #[error("entries {first} to {last} are missing")]
    Gap {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Two objects hold different entries under one sequence.
    #[error(
        "{key} holds another entry {sequence} than the objects before it: chain hash {found}, expected {expected}"
    )]
    Fork {
        /// The later object.
        key: Key,
        /// Where it was compared.
        sequence: u64,
        /// By the objects before it.
        expected: ChainHash,
        /// By this one.
        found: ChainHash,
    },
    /// A segment that was cut off in its middle, with others behind it.
    #[error("{key} ends in a torn tail after sequence {sequence}, but there are segments behind it")]
    TornWithin {
        /// The object.
        key: Key,
        /// Its last whole entry.
        sequence: u64,
    },
    /// The name is taken.
    #[error("there is a database {database} already, and it is no import of this one")]
    Exists {
        /// Its name.
        database: String,
    },
    /// An object that was there is gone or is another one: somebody works in the predecessor's directory.
    #[error("{key} has changed meanwhile: end whoever writes there")]
    Changed {
        /// Its key.
        key: Key,
    },
}

impl PredecessorError {
    /// The object that it is about.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Object { key, .. }
            | Self::NotLegacy { key }
            | Self::Payload { key, .. }
            | Self::Fork { key, .. }
            | Self::TornWithin { key, .. }
            | Self::Changed { key } => Some(key),
            Self::None { .. } | Self::Gap { .. } | Self::Exists { .. } => None,
        }
    }

    /// The sequences that it is about, both inclusive.
    #[must_use]
    pub fn sequences(&self) -> Option<(u64, u64)> {
        match self {
            Self::Gap { first, last } => Some((*first, *last)),
            Self::Fork { sequence, .. } | Self::Payload { sequence, .. } => Some((*sequence, *sequence)),
            Self::TornWithin { sequence, .. } => {
                Some((sequence.saturating_add(1), sequence.saturating_add(1)))
            }
            _ => None,
        }
    }
}
