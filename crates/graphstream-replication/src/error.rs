//! What can go wrong in a leader or follower, sorted by what the operator must do.

use std::path::PathBuf;

use graphstream_format::ChainHash;
use graphstream_format::encryption::KeyId;
use graphstream_remote::{ChainValue, SegmentName};
use graphstream_replay::ErrorClass as TargetClass;

/// The result of calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where the cause of an [`Error`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The local journal, or this machine.
    Journal,
    /// The object store did not do what was asked; retrying may help.
    Store,
    /// The history is in question: damage, gap, fork, rewind, another lineage. Stop and verify.
    Integrity,
    /// The replay target, or a statement it refused.
    Target,
    /// Another leader has taken over.
    Fenced,
    /// The call was wrong.
    Invalid,
}

/// What is wrong with the content of a snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotDamage {
    /// A data object is not there.
    #[error("data object {index} is missing")]
    Missing {
        /// Its place, from 0.
        index: usize,
    },
    /// The archive can't be decompressed, or ends early.
    #[error("its archive can't be read")]
    Compression(#[source] std::io::Error),
    /// The archive goes on with something else than the manifest says.
    #[error("its archive does not go on with {path}")]
    Header {
        /// What the manifest says.
        path: String,
    },
    /// A file has other content than the manifest says.
    #[error("{path} has SHA-256 {found}, expected {expected}")]
    File {
        /// Its path in the snapshot.
        path: String,
        /// From the manifest, hex.
        expected: String,
        /// Of what is there, hex.
        found: String,
    },
    /// The archive goes on after its end.
    #[error("its archive goes on after its end")]
    Trailing,
    /// A data object is not what the manifest says.
    #[error("a data object is not what its manifest says")]
    Object(#[source] Box<graphstream_remote::Error>),
    /// A data object can't be decrypted.
    #[error("data object {index} does not open")]
    Sealed {
        /// Its place, from 0.
        index: u32,
        /// How it is wrong.
        source: Box<graphstream_format::Error>,
    },
    /// What its manifest says of its encryption is of no use.
    #[error("its manifest can't be used")]
    Manifest(#[source] graphstream_remote::DocumentProblem),
    /// The unpacked database has another position than the manifest says.
    #[error(
        "the database in it is at sequence {found}, its manifest says {expected}, or their chain hashes differ"
    )]
    Position {
        /// From the manifest.
        expected: u64,
        /// In the database; 0 for none.
        found: u64,
    },
    /// A path that belongs to no database.
    #[error("its manifest names {path}, which is no part of a database")]
    Path {
        /// The path.
        path: String,
    },
}

/// Everything that can go wrong in a leader or follower.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The local journal failed.
    #[error(transparent)]
    Journal(#[from] graphstream_journal::Error),
    /// The object store, or what it holds, failed.
    #[error(transparent)]
    Remote(#[from] graphstream_remote::Error),
    /// The target failed.
    #[error(transparent)]
    Target(#[from] graphstream_replay::Error),
    /// The target of a drill holds something already.
    #[error("{target} is not empty: it is at sequence {sequence}")]
    ScratchNotEmpty {
        /// Its name.
        target: String,
        /// Where it is.
        sequence: u64,
    },
    /// Something is wrong with a database of the predecessor.
    #[error(transparent)]
    Predecessor(#[from] crate::predecessor::PredecessorError),
    /// A fetched segment is damaged.
    #[error("segment {segment} can't be read")]
    Segment {
        /// Its name.
        segment: SegmentName,
        /// What is wrong, and at which offset and sequence.
        source: Box<graphstream_format::Error>,
    },
    /// The store does not keep conditions on puts, without which two leaders at once would overwrite each other's history.
    #[error("the store {store} does not keep conditions on puts: create {}, replace {}", conditions.create, conditions.swap)]
    UnconditionalStore {
        /// The store as it describes itself.
        store: String,
        /// What it makes of them.
        conditions: graphstream_storage::check::Conditions,
    },
    /// A fetched segment is encrypted with a key that was not given.
    #[error("segment {segment} is encrypted with key {id}, which was not given")]
    EncryptedSegment {
        /// Its name.
        segment: SegmentName,
        /// Its key.
        id: KeyId,
    },
    /// A sealed segment of the journal is encrypted with a key that was not given to its shipper: it came into use while the shipper ran.
    #[error("{} is encrypted with key {id}, which was not given", path.display())]
    EncryptedLocal {
        /// The segment's file.
        path: PathBuf,
        /// Its key.
        id: KeyId,
    },
    /// A fetched segment holds other sequences than its name says.
    #[error("segment {segment} holds sequences {first} to {last}, which its name denies")]
    Misnamed {
        /// Its name.
        segment: SegmentName,
        /// First sequence by its header.
        first: u64,
        /// Last sequence by its header.
        last: u64,
    },
    /// A fetched segment does not continue what the target has.
    // No message shows a chain hash: of an encrypted history it would let anybody who reads a log test a guess at an entry.
    #[error("segment {segment} forks from the target at sequence {sequence}: it continues other entries")]
    Forked {
        /// Its name.
        segment: SegmentName,
        /// Where both are known.
        sequence: u64,
        /// The target's chain hash.
        ours: ChainHash,
        /// The segment's chain hash.
        theirs: ChainHash,
    },
    /// The segments do not lead to the head's chain hash.
    #[error("the segments end at sequence {sequence} with chain hash {found}; the head says {expected}")]
    HeadChain {
        /// The committed sequence.
        sequence: u64,
        /// From the head.
        expected: Box<ChainValue>,
        /// By the segments; of an encrypted history as a MAC, by the key of the head's.
        found: Box<ChainValue>,
    },
    /// The target is of another lineage than the published history.
    #[error("the target holds lineage {target}, the database in the store is of lineage {published}")]
    TargetLineage {
        /// In the target's position.
        target: graphstream_format::Lineage,
        /// In the head.
        published: graphstream_format::Lineage,
    },
    /// What a reader waits for is of another history than the one that is followed.
    #[error("the position is of lineage {waited}, followed is lineage {followed}")]
    ForeignPosition {
        /// Of the position.
        waited: graphstream_format::Lineage,
        /// Of the follower's target.
        followed: graphstream_format::Lineage,
    },
    /// What a reader waits for is not in the history: the leader that acknowledged it was fenced before it was committed.
    #[error("the position is not in the history, which has another entry {sequence}")]
    PositionForked {
        /// Where both are known.
        sequence: u64,
        /// The position's chain hash.
        waited: ChainHash,
        /// The history's.
        followed: ChainHash,
    },
    /// What a reader waits for was not applied in time.
    #[error("entry {sequence} was not applied within {waited:?}: the follower is at {applied}")]
    NotApplied {
        /// The sequence that was waited for.
        sequence: u64,
        /// The last one that is applied.
        applied: u64,
        /// For how long.
        waited: std::time::Duration,
    },
    /// A target was replaced from a snapshot, and does not stand where that was restored to: it is not the database at that path.
    #[error(
        "{target} stands at sequence {found} after a snapshot took its place up to sequence {expected}: it is not the database that was replaced"
    )]
    NotReplaced {
        /// Its name.
        target: String,
        /// Where it was restored to.
        expected: u64,
        /// Where it stands; 0 for nowhere.
        found: u64,
    },
    /// A segment was compacted away between verifying and applying. The next look finds where its entries are now.
    #[error("segment {segment} is not there any more")]
    Moved {
        /// Its name.
        segment: SegmentName,
    },
    /// There is no database in the store.
    #[error("there is no database {database} in {store}")]
    NoDatabase {
        /// Its name.
        database: String,
        /// The store, without secrets.
        store: String,
    },
    /// An entry's payload is not one.
    #[error("entry {sequence} can't be decoded")]
    Payload {
        /// Its sequence.
        sequence: u64,
        /// What is wrong with it.
        source: graphstream_proto::Error,
    },
    /// An entry can't be encoded.
    #[error("entry {index} of the batch can't be encoded")]
    Encode {
        /// Its place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        source: graphstream_proto::Error,
    },
    /// A file of the local segment cache failed.
    #[error("{attempted} {} failed", path.display())]
    Cache {
        /// What was attempted.
        attempted: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A sealed segment of the journal is damaged, or does not continue what is committed.
    #[error("{} can't be shipped", path.display())]
    Local {
        /// The segment's file.
        path: PathBuf,
        /// What is wrong, and at which offset and sequence.
        source: Box<graphstream_format::Error>,
    },
    /// A sealed segment of the journal can't be read, or cut again.
    #[error("{attempted} {} failed", path.display())]
    LocalFile {
        /// What was attempted.
        attempted: &'static str,
        /// The segment's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal lacks entries that are not committed yet.
    #[error("entries {first} to {last} are neither in the journal nor committed")]
    LocalGap {
        /// The first missing sequence.
        first: u64,
        /// The last missing one.
        last: u64,
    },
    /// The journal's directory says that another leader took over.
    #[error("another leader took over after sequence {after}: this journal ships nothing any more")]
    FencedBefore {
        /// The last sequence that is part of the history.
        after: u64,
    },
    /// The journal has no `journal.json`: it is the predecessor's and was never opened for writing.
    #[error("{} holds a journal of the predecessor: open it for writing once, then its segments can be shipped", path.display())]
    NotAdopted {
        /// The journal's directory.
        path: PathBuf,
    },
    /// A thread could not be started.
    #[error("the thread {thread} could not be started")]
    Thread {
        /// Its name.
        thread: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A thread or task ended without an answer: it panicked, or the runtime is shutting down.
    #[error("{0} ended without an answer")]
    Ended(&'static str),
    /// The leader was told to write through, but has no database.
    #[error("the leader has no database to write through")]
    NoTarget,
    /// The leader must be started again: a commit failed after the entries were journaled.
    #[error(
        "the leader must be restarted: entries {first} to {last} are journaled, but the database did not take them"
    )]
    Diverged {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// The leader's database refused a statement; nothing of the batch was executed or journaled.
    #[error("statement {index} of the batch was refused")]
    Statement {
        /// Its place in the batch, from 0.
        index: usize,
        /// The database's words.
        source: graphstream_replay::Error,
    },
    /// The determinism guard refused a statement; nothing was executed or journaled.
    #[error("statement {index} of the batch isn't safe to replay")]
    Refused {
        /// Its place in the batch, from 0.
        index: usize,
        /// The construct, its place in the statement, and what to do instead.
        source: graphstream_replay::guard::Refusal,
    },
    /// A statement was executed as it is that the determinism guard would have rewritten.
    #[error(
        "statement {index} of the batch takes a time or a UUID that a replay would not find again: pass entries through \
         `admit` before they are executed"
    )]
    NotAdmitted {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// The operating system gave no random number for an entry's UUID.
    #[error("there is no random number for the UUID of an entry")]
    Randomness {
        /// Why.
        source: std::io::Error,
    },
    /// Appending beside a database that is written through would leave the entry out of it.
    #[error("the leader writes through a database: use execute, append would leave the entry out of it")]
    WriteThrough,
    /// The leader's database and its journal disagree.
    #[error(
        "the leader's database forks from its journal at sequence {sequence}: their entries up to there differ"
    )]
    DatabaseForked {
        /// Where both are known.
        sequence: u64,
        /// The database's chain hash.
        database: ChainHash,
        /// The journal's.
        journal: ChainHash,
    },
    /// The leader's database has entries that the journal does not have.
    #[error(
        "the leader's database is at sequence {database}, its journal ends at {journal}: restore the database"
    )]
    DatabaseAhead {
        /// The database's sequence.
        database: u64,
        /// The journal's last sequence.
        journal: u64,
    },
    /// The leader's database lacks entries that the journal does not have any more, or never had.
    #[error(
        "the leader's database is at sequence {database}, its journal begins after {journal}: restore the database to {journal} or later"
    )]
    DatabaseBehind {
        /// The database's sequence.
        database: u64,
        /// The sequence that the journal's first entry follows.
        journal: u64,
    },
    /// The directory holds no journal, but the history that it would begin anew is published.
    #[error(
        "{} holds no journal, but database {database} is published up to sequence {}: the path is wrong, or the journal is lost",
        path.display(), committed.sequence
    )]
    NoJournal {
        /// The directory.
        path: PathBuf,
        /// The database in the store.
        database: String,
        /// What is committed.
        committed: Box<graphstream_remote::Committed>,
    },
    /// The leader's database lacks entries that its journal has: replay them, then write through.
    #[error("the leader's database lacks entries {first} to {last} of its journal: replay them first")]
    DatabaseLacks {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Not everything was stored before the deadline.
    #[error(
        "shutdown ended at its deadline with {unstored} entries not stored; they are in the journal and ship at the next start"
    )]
    Deadline {
        /// Entries journaled but not covered by the head.
        unstored: u64,
    },
    /// An application could not be paused for a snapshot, or be told to go on.
    #[error("{attempted} failed")]
    Quiesce {
        /// What was attempted.
        attempted: &'static str,
        /// Why.
        source: crate::QuiesceError,
    },
    /// A database has something among its files that a snapshot can't hold.
    #[error("{} is {found}: no snapshot can be made of that", path.display())]
    SnapshotSource {
        /// Where it stands.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A file of a database, or of its copy, failed.
    #[error("{attempted} {} failed", path.display())]
    SnapshotFile {
        /// What was attempted.
        attempted: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A copied database has no position: nothing was ever replayed into it.
    #[error("the {engine} database has no position: nothing was ever replayed into it")]
    NoPosition {
        /// What kind it is.
        engine: String,
    },
    /// A database holds entries that are not committed.
    #[error("the database is at sequence {sequence}, but only {committed} is committed")]
    SnapshotAhead {
        /// The position in the copy.
        sequence: u64,
        /// The last committed sequence.
        committed: u64,
    },
    /// A database holds entries that are not in the published history.
    #[error(
        "the database is of a branch that is not the history: their entries up to sequence {sequence} differ"
    )]
    SnapshotForked {
        /// The position in the copy.
        sequence: u64,
        /// Its chain hash.
        copy: ChainHash,
        /// The history's.
        history: ChainHash,
    },
    /// A snapshot's objects are not what its manifest says.
    #[error("{snapshot} is damaged")]
    SnapshotDamaged {
        /// Its name.
        snapshot: graphstream_remote::SnapshotName,
        /// What is wrong.
        source: SnapshotDamage,
    },
    /// A file of a restore failed.
    #[error("{attempted} {} failed", path.display())]
    RestoreFile {
        /// What was attempted.
        attempted: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another restore works in the directory.
    #[error("another restore works in {}", path.display())]
    RestoreRunning {
        /// The directory.
        path: PathBuf,
    },
    /// Something stands where a restore is to put what it restores.
    #[error("{} is there already", path.display())]
    RestoreExists {
        /// Where.
        path: PathBuf,
    },
    /// A target that is no file of ours has entries already.
    #[error("the target {target} is not empty: it is at sequence {sequence}")]
    RestoreNotEmpty {
        /// Its name.
        target: String,
        /// Where it stands.
        sequence: u64,
    },
    /// Entries are missing on the way to the point that is to be restored.
    #[error("{0}")]
    RestoreHole(crate::Hole),
    /// The segments that were planned do not lead to the goal.
    #[error("the segments end at sequence {end}, before {goal}")]
    RestoreShort {
        /// What was to be restored.
        goal: u64,
        /// Where they end.
        end: u64,
    },
    /// An encrypted segment can't be given another lineage, or be cut, in passing.
    #[error("segment {segment} is encrypted: it can't be changed for the restored journal")]
    RestoreEncrypted {
        /// Its name.
        segment: SegmentName,
    },
    /// A segment from before encryption was turned on can't be part of a restored journal, which is encrypted.
    #[error(
        "segment {segment} was published before encryption was turned on: the restored journal is encrypted"
    )]
    RestorePlain {
        /// Its name.
        segment: SegmentName,
    },
    /// An entry that is not committed (yet), or sequence 0.
    #[error("there is no entry {sequence} in the history: {committed} entries are committed")]
    BeyondCommitted {
        /// What was asked for.
        sequence: u64,
        /// The last committed sequence.
        committed: u64,
    },
    /// Nothing was ever committed.
    #[error("nothing is committed in database {database} yet")]
    NothingCommitted {
        /// Its name.
        database: String,
    },
    /// A time before the first entry.
    #[error("no entry was committed at {goal_ms} ms or before: the first one was at {first_ms} ms")]
    BeforeHistory {
        /// What was asked for, in ms since 1970.
        goal_ms: i64,
        /// When the first entry was committed, in ms since 1970.
        first_ms: i64,
    },
    /// There is no such label.
    #[error("there is no label {label} in database {database}")]
    NoLabel {
        /// Its name.
        label: String,
        /// The database's.
        database: String,
    },
    /// A label of another history.
    #[error("the label {label} is of lineage {lineage}, the database in the store is of lineage {published}")]
    LabelLineage {
        /// Its name.
        label: String,
        /// In the label.
        lineage: graphstream_format::Lineage,
        /// In the head.
        published: graphstream_format::Lineage,
    },
    /// The history does not have what was labelled.
    #[error(
        "the label {label} names sequence {sequence} with chain value {expected}; the history has {found} there"
    )]
    LabelForked {
        /// Its name.
        label: String,
        /// Where it points.
        sequence: u64,
        /// In the label.
        expected: Box<graphstream_remote::ChainValue>,
        /// In the history.
        found: Box<graphstream_remote::ChainValue>,
    },
    /// Waiting for *stored* ended because the uploader has.
    #[error("entry {sequence} will not be stored: the uploader has ended")]
    NotStored {
        /// The sequence that was waited for.
        sequence: u64,
    },
}

impl Error {
    /// Where the cause lies.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use crate::predecessor::PredecessorError as Predecessor;
        use graphstream_remote::ErrorKind as Remote;
        match self {
            Self::Journal(error) => match error.kind() {
                graphstream_journal::ErrorKind::Fenced => ErrorKind::Fenced,
                graphstream_journal::ErrorKind::Integrity => ErrorKind::Integrity,
                _ => ErrorKind::Journal,
            },
            Self::Remote(error) => match error.kind() {
                Remote::Fenced => ErrorKind::Fenced,
                Remote::Storage => ErrorKind::Store,
                Remote::Local => ErrorKind::Journal,
                Remote::Invalid if matches!(error, graphstream_remote::Error::Behind { .. }) => {
                    ErrorKind::Journal
                }
                Remote::Invalid | Remote::Key => ErrorKind::Invalid,
                _ => ErrorKind::Integrity,
            },
            Self::Predecessor(error) => match error {
                Predecessor::None { .. } | Predecessor::Changed { .. } => ErrorKind::Store,
                Predecessor::Exists { .. } => ErrorKind::Invalid,
                _ => ErrorKind::Integrity,
            },
            Self::FencedBefore { .. } => ErrorKind::Fenced,
            Self::Target(error) => match error.class() {
                TargetClass::Position | TargetClass::Damaged => ErrorKind::Integrity,
                TargetClass::Invalid => ErrorKind::Invalid,
                _ => ErrorKind::Target,
            },
            Self::Segment { .. }
            | Self::Misnamed { .. }
            | Self::Forked { .. }
            | Self::HeadChain { .. }
            | Self::TargetLineage { .. }
            | Self::ForeignPosition { .. }
            | Self::PositionForked { .. }
            | Self::Local { .. }
            | Self::LocalGap { .. }
            | Self::DatabaseAhead { .. }
            | Self::DatabaseBehind { .. }
            | Self::DatabaseForked { .. }
            | Self::LabelLineage { .. }
            | Self::LabelForked { .. }
            | Self::SnapshotForked { .. }
            | Self::SnapshotDamaged { .. }
            | Self::RestoreHole(_)
            | Self::RestoreShort { .. }
            | Self::Payload { .. } => ErrorKind::Integrity,
            Self::NoDatabase { .. }
            | Self::UnconditionalStore { .. }
            | Self::SnapshotAhead { .. }
            | Self::Moved { .. }
            | Self::Deadline { .. }
            | Self::NotApplied { .. }
            | Self::NotStored { .. } => ErrorKind::Store,
            Self::Encode { .. }
            | Self::ScratchNotEmpty { .. }
            | Self::NoTarget
            | Self::BeyondCommitted { .. }
            | Self::NothingCommitted { .. }
            | Self::BeforeHistory { .. }
            | Self::NoLabel { .. }
            | Self::RestoreEncrypted { .. }
            | Self::RestorePlain { .. }
            | Self::WriteThrough
            | Self::Refused { .. }
            | Self::NotAdmitted { .. }
            | Self::EncryptedLocal { .. }
            | Self::EncryptedSegment { .. }
            | Self::NotAdopted { .. } => ErrorKind::Invalid,
            Self::Diverged { .. }
            | Self::DatabaseLacks { .. }
            | Self::Quiesce { .. }
            | Self::SnapshotSource { .. }
            | Self::SnapshotFile { .. }
            | Self::NoPosition { .. }
            | Self::RestoreFile { .. }
            | Self::RestoreRunning { .. }
            | Self::RestoreExists { .. }
            | Self::RestoreNotEmpty { .. }
            | Self::NotReplaced { .. }
            | Self::Statement { .. } => ErrorKind::Target,
            Self::NoJournal { .. }
            | Self::Cache { .. }
            | Self::Randomness { .. }
            | Self::LocalFile { .. }
            | Self::Thread { .. }
            | Self::Ended(_) => ErrorKind::Journal,
        }
    }

    /// Whether the head is gone. No leader makes a new one, but who runs already waits for it to be put back.
    pub(crate) fn is_missing_head(&self) -> bool {
        matches!(self, Self::Remote(graphstream_remote::Error::HeadMissing { .. }))
    }

    /// Whether entries are nowhere in the store.
    pub(crate) fn is_gap(&self) -> bool {
        matches!(self, Self::Remote(graphstream_remote::Error::Gap { .. }))
    }

    /// Its words and those of its causes, for a report.
    #[must_use]
    pub(crate) fn in_full(&self) -> String {
        let mut words = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            words = format!("{words}: {cause}");
            source = cause.source();
        }
        words
    }

    /// Whether trying again later may help, without anybody doing anything here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Remote(error) => error.kind() == graphstream_remote::ErrorKind::Storage,
            // A full disk, mostly.
            Self::Journal(error) => error.kind() == graphstream_journal::ErrorKind::Unavailable,
            Self::NoDatabase { .. } | Self::Moved { .. } | Self::LocalFile { .. } => true,
            _ => false,
        }
    }

    /// Whether it is of bytes that are not what they should be, which may have been damaged on their way.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Remote(error) => error.kind() == graphstream_remote::ErrorKind::Damage,
            Self::Segment { .. } | Self::Misnamed { .. } => true,
            _ => false,
        }
    }
}
