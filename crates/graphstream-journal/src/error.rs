//! What can go wrong with a journal directory, as values.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::encryption::KeyId;
use graphstream_format::{ChainHash, Lineage};

use crate::fs::FileKind;
use crate::lock::LockKind;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the journal. Messages say what was attempted on which file, sequence or offset, what was expected and
/// what was found; never a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error("{operation} {} failed", path.display())]
    Io {
        /// What was attempted, as a verb ("opening", "syncing").
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// There is no journal in this directory.
    #[error("{} holds no journal (no journal.json and no segment)", path.display())]
    NotAJournal {
        /// The directory.
        path: PathBuf,
    },
    /// Something that is not a regular file stands where one belongs. It is neither followed nor opened.
    #[error("{} is {found}, expected a regular file", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What stands there.
        found: FileKind,
    },
    /// Another process (or another handle in this one) holds the lock.
    #[error("{} is held{}: another {kind} works on this journal", path.display(), Holder(*holder_pid))]
    Locked {
        /// Whose lock it is.
        kind: LockKind,
        /// The lock file.
        path: PathBuf,
        /// The process id its holder wrote into it, if it can be read (of the holder's own pid namespace).
        holder_pid: Option<u32>,
    },
    /// A small JSON file of the directory cannot be understood.
    #[error("{} is not what this version writes", path.display())]
    InvalidJson {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A small file of the directory is larger than anything this version writes.
    #[error("{} has {bytes} bytes, expected at most {max}", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// `journal.json` asks for a directory format that this version does not know.
    #[error("{} says format {found}, this version knows {supported}", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// The format it names.
        found: u32,
        /// The newest one this version knows.
        supported: u32,
    },
    /// Segments of ours stand in a directory without `journal.json`, which is written before the first of them.
    #[error("{} is missing beside segments that were written under it", path.display())]
    IdentityMissing {
        /// Where `journal.json` belongs.
        path: PathBuf,
    },
    /// A segment belongs to another history than the directory.
    #[error("{} belongs to lineage {found}, the journal is {expected}", path.display())]
    ForeignLineage {
        /// The segment.
        path: PathBuf,
        /// The lineage of the journal.
        expected: Lineage,
        /// The lineage of the segment.
        found: Lineage,
    },
    /// A segment's first sequence is not the one in its name.
    #[error("{} starts at sequence {found}, its name says {expected}", path.display())]
    Misnamed {
        /// The segment.
        path: PathBuf,
        /// The sequence in its name.
        expected: u64,
        /// The sequence in its header.
        found: u64,
    },
    /// A segment is damaged, or cannot be read or written.
    #[error("segment {} failed", path.display())]
    Segment {
        /// The segment.
        path: PathBuf,
        /// What is wrong, with offset and sequence.
        #[source]
        source: Box<graphstream_format::Error>,
    },
    /// An open segment ends early although a later segment exists, which was created only after this one was on disk:
    /// corruption, not a torn tail.
    #[error(
        "segment {} is damaged at file offset {offset} (it ends after sequence {last_sequence}), although {} proves it whole",
        path.display(), next.display()
    )]
    DamagedBelowNext {
        /// The damaged segment.
        path: PathBuf,
        /// Where the good part ends.
        offset: u64,
        /// The last sequence of the good part (one before the segment's first when there is none).
        last_sequence: u64,
        /// The segment that proves it.
        next: PathBuf,
    },
    /// A segment that was written and synced by this journal does not hold all of its entries any more.
    #[error("segment {} ends at file offset {offset} after sequence {last_sequence}, expected {expected}", path.display())]
    EndsEarly {
        /// The segment.
        path: PathBuf,
        /// Where it ends.
        offset: u64,
        /// The last sequence it holds.
        last_sequence: u64,
        /// The last sequence it was left with.
        expected: u64,
    },
    /// Entries are missing.
    #[error("gap: entries {first}..={last} are missing in {}", path.display())]
    Gap {
        /// The first missing sequence.
        first: u64,
        /// The last missing sequence.
        last: u64,
        /// The directory.
        path: PathBuf,
    },
    /// A segment starts at a sequence that an earlier segment already holds.
    #[error("{} starts at sequence {found}, the segment before it ends at {last}", path.display())]
    Overlap {
        /// The later segment.
        path: PathBuf,
        /// The last sequence before it.
        last: u64,
        /// Its first sequence.
        found: u64,
    },
    /// A segment is whole but continues another chain than the one before it.
    #[error("fork: {} continues chain {found} before sequence {sequence}, expected {expected}", path.display())]
    Fork {
        /// The segment.
        path: PathBuf,
        /// Its first sequence.
        sequence: u64,
        /// The chain hash before that sequence, from the segment before.
        expected: ChainHash,
        /// The chain hash it was written after.
        found: ChainHash,
    },
    /// A sequence that the journal does not hold (yet).
    #[error("sequence {sequence} is beyond the end of the journal in {} (last {last})", path.display())]
    BeyondEnd {
        /// What was asked for.
        sequence: u64,
        /// The last sequence of the journal.
        last: u64,
        /// The directory.
        path: PathBuf,
    },
    /// The journal was fenced: another leader took over. Entries beyond `after` exist only here.
    #[error("fenced after sequence {after}: another leader has taken over ({})", path.display())]
    Fenced {
        /// The last sequence that the other leader took over.
        after: u64,
        /// The file that says so.
        path: PathBuf,
    },
    /// The device is full. Nothing that was queued has been written; its sequences are given out again, and appending
    /// works again once there is space.
    #[error("no space for {} ({bytes} bytes wanted)", path.display())]
    Full {
        /// The file that could not be written.
        path: PathBuf,
        /// How many bytes were wanted.
        bytes: u64,
    },
    /// Cursors hold back as many bytes as the options allow, and ask for an error. Nothing of the append was queued. Appending works again
    /// once the slowest cursor has moved: mostly the uploader's, which waits for the object store.
    #[error(
        "{held} bytes of segments are held back by cursor {cursor} (at sequence {sequence}), the budget is {max}"
    )]
    BudgetFull {
        /// What is held back, in bytes.
        held: u64,
        /// The budget in bytes.
        max: u64,
        /// The slowest cursor.
        cursor: String,
        /// Where it stands.
        sequence: u64,
    },
    /// Sealing does not get on and as many segments as allowed are waiting for it; nothing that was queued has been
    /// written. Appending works again once sealing does.
    #[error("{waiting} segments wait to be sealed and sealing fails")]
    SealBacklog {
        /// How many wait.
        waiting: usize,
        /// Why the last attempt failed.
        #[source]
        source: Arc<Error>,
    },
    /// A write or sync failed earlier: this journal accepts nothing more until it is opened again. The entries this
    /// answers for were never written.
    #[error("the journal was poisoned by an earlier failure and must be opened again")]
    Poisoned {
        /// The failure.
        #[source]
        source: Arc<Error>,
    },
    /// A write or sync failed while these entries were under way: they may or may not be found at the next open.
    #[error("the journal failed before the entries were acknowledged: they are unresolved")]
    Unresolved {
        /// The failure.
        #[source]
        source: Arc<Error>,
    },
    /// The queue is full and the options ask for an error.
    #[error("the queue holds {queued} bytes, {bytes} more exceed the limit of {max}")]
    QueueFull {
        /// What is queued, in bytes.
        queued: usize,
        /// What was to be appended, in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A cursor was to be moved beyond what is on disk.
    #[error("cursor {cursor} cannot move to {sequence}: the journal is synced up to {synced}")]
    CursorBeyondSynced {
        /// The cursor.
        cursor: String,
        /// Where it was to go.
        sequence: u64,
        /// The last sequence that is synced.
        synced: u64,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// This process is a fork of the one that opened the journal.
    #[error("the journal was opened by process {owner}, this is process {current}")]
    ForeignProcess {
        /// The process that opened it.
        owner: u32,
        /// This process.
        current: u32,
    },
    /// A payload beyond the format's limit.
    #[error("a payload of {bytes} bytes exceeds the limit of {max}")]
    PayloadTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A batch beyond the format's limit.
    #[error("a batch of {bytes} bytes exceeds the limit of {max}")]
    BatchTooLarge {
        /// Its length with framing.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A batch without entries.
    #[error("an empty batch cannot be appended")]
    EmptyBatch,
    /// All sequences are used.
    #[error("the journal has no sequence left after {last}")]
    SequencesExhausted {
        /// The last one.
        last: u64,
    },
    /// A cursor's name is not of the form `[a-z0-9][a-z0-9._-]{0,62}`.
    #[error(
        "a cursor's name has 1 to 63 characters of a-z, 0-9, '.', '_', '-' and starts with a letter or digit"
    )]
    InvalidCursorName,
    /// An option's value cannot work.
    #[error("{option} is {found}, {expected}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// Its value.
        found: u64,
        /// What is asked for.
        expected: &'static str,
    },
    /// A key file that others than its owner have rights to.
    #[error("the key file {} has mode {mode:04o}, expected 0600", path.display())]
    KeyFileExposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key file of another user, who decides what is in it.
    #[error("the key file {} belongs to user {owner}, this process runs as {current}", path.display())]
    KeyFileOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        current: u32,
    },
    /// A key file that does not hold a key.
    #[error("the key file {} cannot be used", path.display())]
    InvalidKeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, without its content.
        #[source]
        source: Box<graphstream_format::Error>,
    },
    /// No random bytes for a key, or for an encrypted segment.
    #[error("drawing random numbers to encrypt with failed")]
    Entropy {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `journal.json` says that the journal is encrypted, and its key was not given.
    #[error("{} says that the journal is encrypted with key {id}, which was not given", path.display())]
    EncryptionRequired {
        /// `journal.json`.
        path: PathBuf,
        /// The key.
        id: KeyId,
    },
    /// `journal.json` says that the journal is encrypted, and its key is not among those given.
    #[error(
        "{} says that the journal is encrypted with key {id}, which is not among those given ({})",
        path.display(), Ids(given)
    )]
    EncryptionKeyMissing {
        /// `journal.json`.
        path: PathBuf,
        /// The key.
        id: KeyId,
        /// The keys that were given, the current one first.
        given: Vec<KeyId>,
    },
    /// Keys were given for a journal whose sealed segments are plain. Nothing unencrypted is accepted where keys are given; to encrypt
    /// from here on, see [`JournalOptions::encrypt_existing`](crate::JournalOptions::encrypt_existing).
    #[error("keys were given, but {} does not say that the journal is encrypted", path.display())]
    NotEncrypted {
        /// `journal.json`.
        path: PathBuf,
    },
    /// A thread panicked while it wrote or synced.
    #[error("a thread panicked while it worked on the journal")]
    Panicked,
    /// A thread could not be started.
    #[error("starting the journal's service thread failed")]
    Thread {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An earlier failure that several callers are told of.
    #[error("{0}")]
    Shared(#[source] Arc<Error>),
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stored bytes are damaged, missing, or of another history: stop and verify.
    Integrity,
    /// Another leader took over: step down.
    Fenced,
    /// Somebody else holds the journal.
    Locked,
    /// The environment failed (device, permissions, space): it may work later.
    Unavailable,
    /// The call or its options are wrong.
    Invalid,
    /// The journal must be opened again.
    Closed,
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidJson { .. }
            | Self::FileTooLarge { .. }
            | Self::IdentityMissing { .. }
            | Self::ForeignLineage { .. }
            | Self::Misnamed { .. }
            | Self::DamagedBelowNext { .. }
            | Self::EndsEarly { .. }
            | Self::Gap { .. }
            | Self::Overlap { .. }
            | Self::Fork { .. }
            | Self::NotAFile { .. } => ErrorKind::Integrity,
            Self::Segment { source, .. } => match **source {
                graphstream_format::Error::Io { .. } => ErrorKind::Unavailable,
                graphstream_format::Error::KeyRequired { .. }
                | graphstream_format::Error::UnknownKey { .. }
                | graphstream_format::Error::WrongKey { .. } => ErrorKind::Invalid,
                _ => ErrorKind::Integrity,
            },
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::Locked { .. } => ErrorKind::Locked,
            Self::Io { .. }
            | Self::Full { .. }
            | Self::BudgetFull { .. }
            | Self::SealBacklog { .. }
            | Self::QueueFull { .. }
            | Self::Entropy { .. }
            | Self::Thread { .. } => ErrorKind::Unavailable,
            Self::Poisoned { .. }
            | Self::Unresolved { .. }
            | Self::Closed
            | Self::Panicked
            | Self::ForeignProcess { .. } => ErrorKind::Closed,
            Self::NotAJournal { .. }
            | Self::UnsupportedFormat { .. }
            | Self::BeyondEnd { .. }
            | Self::PayloadTooLarge { .. }
            | Self::BatchTooLarge { .. }
            | Self::EmptyBatch
            | Self::SequencesExhausted { .. }
            | Self::InvalidCursorName
            | Self::CursorBeyondSynced { .. }
            | Self::KeyFileExposed { .. }
            | Self::KeyFileOwner { .. }
            | Self::InvalidKeyFile { .. }
            | Self::EncryptionRequired { .. }
            | Self::EncryptionKeyMissing { .. }
            | Self::NotEncrypted { .. }
            | Self::InvalidOption { .. } => ErrorKind::Invalid,
            Self::Shared(inner) => inner.kind(),
        }
    }

    pub(crate) fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.as_ref().to_path_buf(), source }
    }

    pub(crate) fn segment(path: impl AsRef<Path>) -> impl FnOnce(graphstream_format::Error) -> Self {
        move |source| Self::Segment { path: path.as_ref().to_path_buf(), source: Box::new(source) }
    }

    /// Whether the device had no space (or no quota) left.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            Self::Io { source, .. } => no_space(source),
            Self::Segment { source, .. } => match &**source {
                graphstream_format::Error::Io { source, .. } => no_space(source),
                _ => false,
            },
            Self::Full { .. } => true,
            _ => false,
        }
    }
}

/// Whether this is the answer of a full device or an exhausted quota.
pub(crate) fn no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

struct Ids<'a>(&'a [KeyId]);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, " by process {pid}"),
            None => Ok(()),
        }
    }
}
