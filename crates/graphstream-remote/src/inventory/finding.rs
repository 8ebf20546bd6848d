//! What names alone can show to be wrong, and what is merely left over.

use crate::{ErrorKind, SegmentName, SnapshotName};

/// Whether a finding is damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The history is in question.
    Damage,
    /// An object that is no part of the history: it costs storage and nothing else.
    Leftover,
}

/// One finding of an inventory. Its text says what was expected and what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// No head, although there are objects that only a head can have led to.
    #[error("head.json is missing, although {evidence} exists")]
    HeadMissing {
        /// One of them, as keys name it below the database.
        evidence: String,
    },
    /// The head is older than an object: it was replaced by an older one, or lost and written anew.
    #[error("{object} exists, but {shown}: the head was lost or replaced by an older one")]
    HeadOlder {
        /// The object, below the database.
        object: String,
        /// What the head says.
        shown: HeadShows,
    },
    /// The head commits less than was committed before.
    #[error("head.json went back: it commits {committed}, {floor} was committed before")]
    HeadBelowFloor {
        /// A sequence that is known to have been committed.
        floor: u64,
        /// The head's.
        committed: u64,
    },
    /// An epoch with entries in the history has no object.
    #[error(
        "epoch/{epoch:08x}.json is missing, although epoch {epoch} has committed entries after sequence {start}"
    )]
    EpochObjectMissing {
        /// The epoch.
        epoch: u32,
        /// The sequence that it started after.
        start: u64,
    },
    /// An epoch object that is not what the head's row makes it.
    #[error(
        "epoch/{epoch:08x}.json differs from what the head says of epoch {epoch}: two leaders have claimed it"
    )]
    EpochObjectDiffers {
        /// The epoch.
        epoch: u32,
    },
    /// Committed entries that no segment holds, and no snapshot makes dispensable.
    #[error("entries {first} to {last} are missing{}", named.map_or(String::new(), |name| format!(": the head names {name}, which is not there")))]
    Gap {
        /// The first missing sequence.
        first: u64,
        /// The last missing one.
        last: u64,
        /// The first segment that the head's window names for them.
        named: Option<SegmentName>,
    },
    /// A segment with another size than the head's window says.
    #[error("{name} has {found} bytes, the head says {expected}")]
    SizeDiffers {
        /// The segment.
        name: SegmentName,
        /// From the head's window, in bytes.
        expected: u64,
        /// In the listing, in bytes.
        found: u64,
    },
    /// Two segments of level 0, both history by their names, for the same sequences.
    #[error("{name} and {other} both hold sequence {}", name.first())]
    Overlap {
        /// The later one.
        name: SegmentName,
        /// The one before it.
        other: SegmentName,
    },
    /// The head names a snapshot whose manifest is not there.
    #[error("{name}/manifest.json is missing, although the head names the snapshot")]
    SnapshotMissing {
        /// The snapshot.
        name: SnapshotName,
    },
    /// A segment that the history rule refuses: put by a leader that another one had replaced.
    #[error("{name} is not history: {}", fenced_by.map_or("it begins before its epoch".to_owned(), |by| format!("its leader was fenced by epoch {by}")))]
    Orphan {
        /// The segment.
        name: SegmentName,
        /// The epoch that replaced its own.
        fenced_by: Option<u32>,
    },
    /// A segment of the current epoch that the head does not cover: about to be published, or its leader died before that.
    #[error("{name} is not published: {committed} is committed")]
    Unpublished {
        /// The segment.
        name: SegmentName,
        /// The committed sequence.
        committed: u64,
    },
    /// A snapshot of a history that was not to be: taken by a leader that another one had replaced, or beyond what is committed.
    #[error("{name} is not of this history: no restore begins with it")]
    SnapshotOrphan {
        /// The snapshot.
        name: SnapshotName,
    },
    /// A snapshot without its manifest: being written, or its writer died.
    #[error("{name} has no manifest: it is being written, or was never finished")]
    SnapshotUnfinished {
        /// The snapshot.
        name: SnapshotName,
        /// Objects in its directory.
        objects: u64,
    },
    /// A key that graphstream would not write.
    #[error("{relative} is nothing that graphstream would put there")]
    UnknownName {
        /// The key below the database.
        relative: String,
    },
}

/// What a head says that is older than an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadShows {
    /// Its epoch.
    Epoch(u32),
    /// Its committed sequence.
    Committed(u64),
}

impl std::fmt::Display for HeadShows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Epoch(epoch) => write!(f, "the head's epoch is only {epoch}"),
            Self::Committed(sequence) => write!(f, "the head commits only {sequence}"),
        }
    }
}

impl Finding {
    /// Whether it is damage.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.kind().is_some() { Severity::Damage } else { Severity::Leftover }
    }

    /// What kind of damage; `None` for what is left over.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::HeadMissing { .. }
            | Self::EpochObjectMissing { .. }
            | Self::EpochObjectDiffers { .. }
            | Self::SizeDiffers { .. }
            | Self::SnapshotMissing { .. } => Some(ErrorKind::Damage),
            Self::HeadOlder { .. } | Self::HeadBelowFloor { .. } => Some(ErrorKind::Rewind),
            Self::Gap { .. } => Some(ErrorKind::Gap),
            Self::Overlap { .. } => Some(ErrorKind::Fork),
            Self::Orphan { .. }
            | Self::Unpublished { .. }
            | Self::SnapshotOrphan { .. }
            | Self::SnapshotUnfinished { .. }
            | Self::UnknownName { .. } => None,
        }
    }

    /// The finding in one or two lower-case words, as JSON output shows what is left over.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::HeadMissing { .. } => "head_missing",
            Self::HeadOlder { .. } => "head_older",
            Self::HeadBelowFloor { .. } => "head_below_floor",
            Self::EpochObjectMissing { .. } => "epoch_object_missing",
            Self::EpochObjectDiffers { .. } => "epoch_object_differs",
            Self::Gap { .. } => "gap",
            Self::SizeDiffers { .. } => "size_differs",
            Self::Overlap { .. } => "overlap",
            Self::SnapshotMissing { .. } => "snapshot_missing",
            Self::Orphan { .. } => "orphan",
            Self::Unpublished { .. } => "unpublished",
            Self::SnapshotOrphan { .. } => "snapshot_orphan",
            Self::SnapshotUnfinished { .. } => "snapshot_unfinished",
            Self::UnknownName { .. } => "unknown_name",
        }
    }

    /// The object that it is about, below the database; `None` for entries that are nowhere.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        Some(match self {
            Self::HeadMissing { .. } | Self::HeadBelowFloor { .. } => "head.json".to_owned(),
            Self::HeadOlder { object, .. } => object.clone(),
            Self::EpochObjectMissing { epoch, .. } | Self::EpochObjectDiffers { epoch } => {
                crate::ObjectName::Epoch(*epoch).to_string()
            }
            Self::Gap { .. } => return None,
            Self::SizeDiffers { name, .. }
            | Self::Overlap { name, .. }
            | Self::Orphan { name, .. }
            | Self::Unpublished { name, .. } => name.to_string(),
            Self::SnapshotMissing { name }
            | Self::SnapshotOrphan { name }
            | Self::SnapshotUnfinished { name, .. } => name.to_string(),
            Self::UnknownName { relative } => relative.clone(),
        })
    }

    /// The sequences that it is about, both inclusive.
    #[must_use]
    pub fn sequences(&self) -> Option<(u64, u64)> {
        match self {
            Self::Gap { first, last, .. } => Some((*first, *last)),
            Self::HeadBelowFloor { floor, committed } => Some((committed.saturating_add(1), *floor)),
            Self::SizeDiffers { name, .. }
            | Self::Overlap { name, .. }
            | Self::Orphan { name, .. }
            | Self::Unpublished { name, .. } => Some((name.first(), name.last())),
            _ => None,
        }
    }
}
