//! Failures that more than one caller is told of.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;

/// Why entries were not written, or why the journal takes no more.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The device is full; the journal goes on when there is space.
    Full { path: PathBuf, bytes: u64 },
    /// Sealing fails and too many segments wait; the journal goes on when sealing does.
    Backlog { waiting: usize, source: Arc<Error> },
    /// A new segment could not be created, without any harm done; the journal goes on when that works again.
    NotCreated(Arc<Error>),
    /// A write or sync failed: the journal is over.
    Poisoned(Arc<Error>),
    /// Another leader took over: the journal is over.
    Fenced { after: u64, path: PathBuf },
    /// No sequence is left.
    Exhausted { last: u64 },
    /// The journal was closed.
    Closed,
}

impl Failure {
    pub(crate) fn poison(error: Error) -> Self {
        Self::Poisoned(Arc::new(error))
    }

    /// Whether the journal takes nothing more.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Poisoned(_) | Self::Fenced { .. } | Self::Closed)
    }

    /// The error for entries that were never written.
    pub(crate) fn not_written(&self) -> Error {
        match self {
            Self::Full { path, bytes } => Error::Full { path: path.clone(), bytes: *bytes },
            Self::Backlog { waiting, source } => {
                Error::SealBacklog { waiting: *waiting, source: Arc::clone(source) }
            }
            Self::NotCreated(source) => Error::Shared(Arc::clone(source)),
            Self::Poisoned(source) => Error::Poisoned { source: Arc::clone(source) },
            Self::Fenced { after, path } => Error::Fenced { after: *after, path: path.clone() },
            Self::Exhausted { last } => Error::SequencesExhausted { last: *last },
            Self::Closed => Error::Closed,
        }
    }

    /// The error for entries that may or may not be found at the next open.
    pub(crate) fn unresolved(&self) -> Error {
        match self {
            Self::Poisoned(source) => Error::Unresolved { source: Arc::clone(source) },
            other => other.not_written(),
        }
    }
}
