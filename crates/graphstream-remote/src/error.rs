//! Everything that can go wrong between a leader or follower and its object store.

use graphstream_format::Lineage;
use graphstream_storage::Key;

use crate::head::HeadProblem;
use crate::plain_document::DocumentProblem;
use crate::reader::Floor;
use crate::session::Fenced;
use crate::{ChainValue, Committed, DatabaseId, LabelName, RepairProblem, SegmentName};

/// The result of calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of a caller's own part (its journal).
pub type LocalError = Box<dyn std::error::Error + Send + Sync>;

/// What an error means for whoever runs the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another leader has taken over: step down.
    Fenced,
    /// Entries are missing from the history.
    Gap,
    /// Two histories under one name.
    Fork,
    /// The store shows an older state than was seen before.
    Rewind,
    /// Objects contradict each other, or are not what they should be.
    Damage,
    /// Another database or another lineage.
    Lineage,
    /// The history is encrypted, and its key is not at hand. Nothing is known to be wrong.
    Key,
    /// The store could not be reached, refused, or failed; retrying may help.
    Storage,
    /// The caller's journal failed to answer.
    Local,
    /// A wrong call or name.
    Invalid,
}

impl ErrorKind {
    /// Whether the history is in question: gap, fork, rewind, damage, lineage.
    #[must_use]
    pub fn is_integrity(self) -> bool {
        matches!(self, Self::Gap | Self::Fork | Self::Rewind | Self::Damage | Self::Lineage)
    }

    /// The kind in one lower-case word, as JSON output and metrics show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Gap => "gap",
            Self::Fork => "fork",
            Self::Rewind => "rewind",
            Self::Damage => "damage",
            Self::Lineage => "lineage",
            Self::Key => "key",
            Self::Storage => "storage",
            Self::Local => "local",
            Self::Invalid => "invalid",
        }
    }
}

/// The rule that a name broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// No text.
    #[error("it is empty")]
    Empty,
    /// More than 63 characters.
    #[error("it is longer than 63 characters")]
    TooLong,
    /// The first character is not a lower-case letter or digit.
    #[error("it must start with a lower-case letter or a digit")]
    FirstCharacter,
    /// A character outside the grammar.
    #[error("only lower-case letters, digits, `.`, `_` and `-` are allowed")]
    Character,
    /// A level above the highest.
    #[error("the level is above 3")]
    Level,
    /// Sequences start at 1 and the last is not before the first.
    #[error("the sequences are not a range from 1 or above")]
    Sequences,
    /// Epochs start at 1.
    #[error("the epoch is 0")]
    Epoch,
    /// A commit time that 12 hex digits cannot hold, or before 1970.
    #[error("the commit time is out of range")]
    CommitTime,
}

/// What the store was asked for when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attempt {
    /// Reading `head.json`.
    ReadHead,
    /// Creating `head.json`.
    CreateHead,
    /// Claiming an epoch.
    Claim,
    /// Publishing.
    Publish,
    /// Creating an epoch object.
    CreateEpochObject,
    /// Reading an epoch object.
    ReadEpochObject,
    /// Uploading a segment.
    UploadSegment,
    /// Reading a segment.
    ReadSegment,
    /// Listing.
    List,
    /// Reading `keys.json`.
    ReadKeys,
    /// Writing `keys.json`.
    WriteKeys,
    /// Finding out whether the store takes conditions seriously.
    Probe,
    /// Reading a label.
    ReadLabel,
    /// Setting a label.
    WriteLabel,
    /// Reading a snapshot's manifest or data.
    ReadSnapshot,
    /// Uploading a snapshot's data or manifest.
    UploadSnapshot,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ReadHead => "read the head",
            Self::CreateHead => "create the head",
            Self::Claim => "claim an epoch in the head",
            Self::Publish => "publish in the head",
            Self::CreateEpochObject => "create the epoch object",
            Self::ReadEpochObject => "read the epoch object",
            Self::UploadSegment => "upload the segment",
            Self::ReadSegment => "read the segment",
            Self::List => "list",
            Self::ReadKeys => "read the keys",
            Self::WriteKeys => "write the keys",
            Self::Probe => "probe conditional puts on",
            Self::ReadLabel => "read the label",
            Self::WriteLabel => "set the label",
            Self::ReadSnapshot => "read the snapshot",
            Self::UploadSnapshot => "upload the snapshot",
        })
    }
}

/// What is wrong with a fetched segment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentDamage {
    /// Not as long as the window or the listing says.
    #[error("expected {expected} bytes, found {found}")]
    Size {
        /// Expected bytes.
        expected: u64,
        /// Received bytes, or as many as were read before giving up.
        found: u64,
    },
    /// As long as its own header says, but not as the window or the listing does: a segment with other entries.
    #[error("expected {expected} bytes, found another segment of {found}")]
    Replaced {
        /// Expected bytes.
        expected: u64,
        /// Bytes of the other one.
        found: u64,
    },
    /// Other bytes than the window names.
    #[error("expected SHA-256 {expected}, found {found}")]
    Sha256 {
        /// From the head's window, hex.
        expected: String,
        /// Of what was received, hex.
        found: String,
    },
    /// Other bytes than the window names, and this is where they contradict themselves.
    #[error("its bytes are not those that the head names")]
    Contents(#[source] graphstream_format::Error),
    /// The first 128 bytes are not a header.
    #[error("its header is damaged")]
    Header(#[source] graphstream_format::Error),
    /// Not a sealed segment.
    #[error("it is not a sealed segment")]
    NotSealed,
    /// A plain segment behind the point from which on the head says that all are encrypted.
    #[error("it is not encrypted, and the head admits plain segments up to sequence {plain_up_to} only")]
    Plaintext {
        /// From the head.
        plain_up_to: u64,
    },
    /// It ends elsewhere than the head says.
    #[error("it ends with chain hash {found}; the head says {expected}")]
    Chain {
        /// From the head.
        expected: ChainValue,
        /// By the segment.
        found: ChainValue,
    },
    /// A segment of another lineage.
    #[error("expected lineage {expected}, found {found}")]
    Lineage {
        /// Of the head.
        expected: Lineage,
        /// In the segment's header.
        found: Lineage,
    },
    /// Other sequences than its name says.
    #[error("its header says sequences {first} to {last}")]
    Sequences {
        /// First sequence in the header.
        first: u64,
        /// Last sequence in the header.
        last: u64,
    },
}

/// A head that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewind {
    /// The key of the head.
    pub key: Key,
    /// What had been seen.
    pub floor: Floor,
    /// The head's epoch now, or the later epoch that begins too early.
    pub epoch: u32,
    /// What is committed now, or where that epoch begins.
    pub committed: Committed,
}

impl std::fmt::Display for Rewind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, floor, epoch, committed } = self;
        let sequence = committed.sequence;
        write!(f, "{key} went back: expected at least {floor}, found epoch {epoch} and sequence {sequence}")
    }
}

/// The errors of this crate; [`kind`](Self::kind) sorts them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A database name that breaks the grammar.
    #[error("invalid database name: {problem}")]
    InvalidDatabaseName {
        /// The broken rule.
        problem: NameProblem,
    },
    /// A label that breaks the grammar.
    #[error("invalid label: {problem}")]
    InvalidLabelName {
        /// The broken rule.
        problem: NameProblem,
    },
    /// A segment that can't be named.
    #[error("invalid segment name: {problem}")]
    InvalidSegmentName {
        /// The broken rule.
        problem: NameProblem,
    },
    /// A snapshot that can't be named.
    #[error("invalid snapshot name: {problem}")]
    InvalidSnapshotName {
        /// The broken rule.
        problem: NameProblem,
    },
    /// Text that is not an identity.
    #[error("invalid {what}: expected 32 lower-case hex digits")]
    InvalidIdentity {
        /// Which identity was parsed.
        what: &'static str,
    },
    /// The root below which databases live breaks the grammar of keys.
    #[error("invalid root for keys")]
    InvalidRoot {
        /// The broken rule.
        source: graphstream_storage::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for a nonce or write id")]
    NoRandomness {
        /// Why.
        source: getrandom::Error,
    },
    /// The store failed. For writes whose outcome is unknown this comes only after reading back was tried.
    #[error("could not {attempt} ({subject})")]
    Storage {
        /// What was attempted.
        attempt: Attempt,
        /// The key or prefix.
        subject: String,
        /// Why, with its class.
        source: Box<graphstream_storage::Error>,
    },
    /// Reads or writes of the head kept colliding with changes.
    #[error(
        "gave up to {attempt} {key} after {attempts} attempts: it kept changing or its answers were lost"
    )]
    Contended {
        /// What was attempted.
        attempt: Attempt,
        /// The key of the head.
        key: Key,
        /// How often.
        attempts: u32,
    },
    /// The caller's journal failed to answer.
    #[error("could not read the journal's chain hash at sequence {sequence}")]
    Local {
        /// The sequence that was asked for.
        sequence: u64,
        /// Why.
        source: LocalError,
    },
    /// The caller's journal no longer knows its chain at a sequence that must be compared.
    #[error("the journal has no chain hash at sequence {sequence}, which must be compared with the head")]
    LocalChainMissing {
        /// The sequence that was asked for.
        sequence: u64,
    },
    /// A head (or epoch object) that is not one, or that the keys at hand don't prove.
    #[error("{key} is damaged or unreadable")]
    HeadDamaged {
        /// Which object.
        key: Key,
        /// What is wrong with it.
        source: HeadProblem,
    },
    /// No head, although there was one.
    #[error("{key} is missing{}", evidence.as_ref().map_or(String::new(), |key| format!(", although {key} exists")))]
    HeadMissing {
        /// The key of the head.
        key: Key,
        /// An object that proves that the database was not empty, when one was looked for.
        evidence: Option<Key>,
    },
    /// The head belongs to another database.
    #[error("{key} belongs to database {found}, expected {expected}")]
    OtherDatabase {
        /// The key of the head.
        key: Key,
        /// Ours.
        expected: DatabaseId,
        /// The head's.
        found: DatabaseId,
    },
    /// The head belongs to another history.
    #[error("{key} has lineage {found}, expected {expected}")]
    OtherLineage {
        /// The key of the head.
        key: Key,
        /// Ours.
        expected: Lineage,
        /// The head's.
        found: Lineage,
    },
    /// An epoch object above the head's epoch: the head is older than it was.
    #[error(
        "{key} exists, but the head's epoch is only {head_epoch}: the head was lost or replaced by an older one"
    )]
    EpochAboveHead {
        /// The epoch object.
        key: Key,
        /// The head's epoch.
        head_epoch: u32,
    },
    /// An epoch object with other content than the head demands: two owners of one epoch.
    #[error("{key} differs from what the head says of epoch {epoch}")]
    EpochObjectDiffers {
        /// The epoch object.
        key: Key,
        /// The epoch.
        epoch: u32,
    },
    /// The head fell below an epoch or revision that was seen, or its committed position below a known one.
    #[error("{0}")]
    Rewound(Box<Rewind>),
    /// Local and published history differ.
    #[error(
        "the histories differ at sequence {sequence}: here chain hash {local}, published {published}; equal up to {common_through} at least"
    )]
    Fork {
        /// Where it was compared.
        sequence: u64,
        /// The local chain hash there; of an encrypted history as a MAC, by the key of the published one.
        local: Box<ChainValue>,
        /// The published chain value there.
        published: Box<ChainValue>,
        /// The last sequence at which both are known to be equal.
        common_through: u64,
    },
    /// The local journal ends before what is committed; it must be caught up, or its end compared, before a claim.
    #[error("the journal ends at sequence {local}, {} is committed: catch up first", committed.sequence)]
    Behind {
        /// The journal's last sequence.
        local: u64,
        /// What is committed.
        committed: Committed,
    },
    /// Another leader owns the database.
    #[error("{0}")]
    Fenced(Box<Fenced>),
    /// A call that needs a claimed epoch.
    #[error("no epoch has been claimed")]
    NotClaimed,
    /// No further epoch can be claimed: the head lists too many with entries in level 0. Compaction makes room.
    #[error("the head of epoch {epoch} lists too many epochs to claim another one; compact the history")]
    TooManyEpochs {
        /// The head's epoch.
        epoch: u32,
    },
    /// A segment that begins at or before the start of the epoch; it must be cut again.
    #[error("segment {first} to {last} begins before epoch {epoch}, which starts after sequence {start}")]
    StraddlesEpochStart {
        /// Its first sequence.
        first: u64,
        /// Its last sequence.
        last: u64,
        /// Our epoch.
        epoch: u32,
        /// The committed sequence when it was claimed.
        start: u64,
    },
    /// A plain segment, where the head says that all are encrypted from here on.
    #[error("segment {first} to {last} is not encrypted, and the published history is: it is not uploaded")]
    PlainSegment {
        /// Its first sequence.
        first: u64,
        /// Its last sequence.
        last: u64,
    },
    /// A segment uploaded under another epoch.
    #[error("{name} was not uploaded under epoch {epoch}")]
    OtherEpoch {
        /// The segment.
        name: SegmentName,
        /// Our epoch.
        epoch: u32,
    },
    /// The object exists with other content: two histories under one name, or a reused epoch.
    #[error(
        "{key} exists with other content: expected {expected_size} bytes with SHA-256 {expected}, found {found_size} with {found}"
    )]
    SegmentDiffers {
        /// The segment.
        key: Key,
        /// Bytes of ours.
        expected_size: u64,
        /// SHA-256 of ours, hex.
        expected: String,
        /// Bytes of the other (or as many as were read).
        found_size: u64,
        /// SHA-256 of the other as far as read, hex.
        found: String,
    },
    /// Entries that should be history are nowhere, and the head stands.
    #[error("entries {first} to {last} are missing from {database}, where sequence {committed} is committed")]
    Gap {
        /// The database as keys name it.
        database: String,
        /// The first missing sequence.
        first: u64,
        /// The last missing one.
        last: u64,
        /// The head's committed sequence.
        committed: u64,
    },
    /// No head can be proposed from what is left.
    #[error("no head can be proposed: {problem}")]
    Unrepairable {
        /// Why.
        problem: RepairProblem,
    },
    /// A segment that is not what its name, the window or the lineage promise, or a snapshot's data that its manifest does not name. It
    /// must not be applied.
    #[error("{key} is damaged")]
    SegmentDamaged {
        /// The segment.
        key: Key,
        /// What is wrong.
        source: Box<SegmentDamage>,
    },
    /// A label or a snapshot's manifest that is not one.
    #[error("{key} is damaged or unreadable")]
    DocumentDamaged {
        /// Which object.
        key: Key,
        /// What is wrong with it.
        source: DocumentProblem,
    },
    /// A label that names another position.
    #[error("the label {name} names sequence {sequence} already")]
    LabelExists {
        /// The label.
        name: LabelName,
        /// Where it points.
        sequence: u64,
    },
    /// A segment larger than allowed.
    #[error("{key} has {size} bytes, more than the {limit} allowed")]
    SegmentTooLarge {
        /// The segment.
        key: Key,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The caller's file failed while a segment was written to it.
    #[error("could not store {key} in a local file")]
    Sink {
        /// The segment.
        key: Key,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::SegmentDamaged { source, .. } if matches!(**source, SegmentDamage::Lineage { .. }) => {
                ErrorKind::Lineage
            }
            Self::InvalidDatabaseName { .. }
            | Self::InvalidLabelName { .. }
            | Self::InvalidSegmentName { .. }
            | Self::InvalidSnapshotName { .. }
            | Self::InvalidIdentity { .. }
            | Self::InvalidRoot { .. }
            | Self::NotClaimed
            | Self::StraddlesEpochStart { .. }
            | Self::OtherEpoch { .. }
            | Self::PlainSegment { .. }
            | Self::Behind { .. }
            | Self::TooManyEpochs { .. }
            | Self::LabelExists { .. }
            | Self::SegmentTooLarge { .. } => ErrorKind::Invalid,
            Self::Storage { .. } | Self::Contended { .. } => ErrorKind::Storage,
            Self::Local { .. }
            | Self::LocalChainMissing { .. }
            | Self::Sink { .. }
            | Self::NoRandomness { .. } => ErrorKind::Local,
            Self::HeadDamaged { source, .. } if source.is_missing_key() => ErrorKind::Key,
            Self::DocumentDamaged { source, .. } if source.is_missing_key() => ErrorKind::Key,
            Self::HeadDamaged { .. }
            | Self::DocumentDamaged { .. }
            | Self::HeadMissing { .. }
            | Self::EpochObjectDiffers { .. }
            | Self::SegmentDiffers { .. }
            | Self::SegmentDamaged { .. } => ErrorKind::Damage,
            Self::Unrepairable { problem: RepairProblem::HeadStands { .. } } => ErrorKind::Invalid,
            Self::Unrepairable { problem: RepairProblem::Gap { .. } } => ErrorKind::Gap,
            Self::Unrepairable { .. } => ErrorKind::Damage,
            Self::OtherDatabase { .. } | Self::OtherLineage { .. } => ErrorKind::Lineage,
            Self::Rewound(_) | Self::EpochAboveHead { .. } => ErrorKind::Rewind,
            Self::Fork { .. } => ErrorKind::Fork,
            Self::Gap { .. } => ErrorKind::Gap,
            Self::Fenced(_) => ErrorKind::Fenced,
        }
    }

    pub(crate) fn rewound(key: &Key, floor: Floor, epoch: u32, committed: Committed) -> Self {
        Self::Rewound(Box::new(Rewind { key: key.clone(), floor, epoch, committed }))
    }

    pub(crate) fn storage(
        attempt: Attempt,
        subject: impl std::fmt::Display,
    ) -> impl FnOnce(graphstream_storage::Error) -> Self {
        let subject = subject.to_string();
        move |source| Self::Storage { attempt, subject, source: Box::new(source) }
    }
}
