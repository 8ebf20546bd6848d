//! The errors of every backend, sorted into the classes on which callers decide.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::{Key, Operation, Version};

/// The result of storage calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error. Nobody parses messages.
///
/// Of the classes that a put or delete can end with, all but [`TimeoutUnknown`](Self::TimeoutUnknown) are *definite*:
/// the store is as if the call had not been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// No object under this key. Also the answer to [`PutMode::Match`](crate::PutMode::Match) on a missing object,
    /// where the store can tell.
    NotFound,
    /// A create-only put found an object.
    Exists,
    /// A put with a version found another version (or, in stores that cannot tell, no object). Also: an object was replaced
    /// while it was read.
    VersionMismatch,
    /// Not allowed: credentials, permissions, a read-only store.
    Denied,
    /// Rejected because of the rate of requests; wait and repeat.
    Throttled,
    /// Not reachable or not able for now (a full disk too); nothing was changed; repeat later.
    Unavailable,
    /// Asked, but the answer is missing: the change may have happened, may happen later, or never. Time-outs, resets,
    /// 500s to writes, a failed directory sync. Read back before going on.
    TimeoutUnknown,
    /// What came back is not what was stored.
    Corrupt,
    /// None of these: a wrong call, an unsupported operation, a key conflict.
    Other,
}

impl ErrorClass {
    /// Whether a put or delete that ended so may have changed the store, now or later.
    #[must_use]
    pub fn is_unknown(self) -> bool {
        self == Self::TimeoutUnknown
    }

    /// The class in lower case words, as metrics label it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::VersionMismatch => "version_mismatch",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::TimeoutUnknown => "timeout_unknown",
            Self::Corrupt => "corrupt",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rule of the key grammar that a text broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// No text at all.
    #[error("it is empty")]
    Empty,
    /// More than [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX) bytes.
    #[error("it is longer than 1024 bytes")]
    TooLong,
    /// A leading slash.
    #[error("it starts with a slash")]
    Absolute,
    /// Two slashes in a row or one at the end.
    #[error("a segment is empty")]
    EmptySegment,
    /// `.` or `..`.
    #[error("a segment is `.` or `..`")]
    Dots,
    /// More than [`SEGMENT_BYTES_MAX`](crate::SEGMENT_BYTES_MAX) bytes in one segment.
    #[error("a segment is longer than 255 bytes")]
    SegmentTooLong,
    /// A control character, a backslash, U+FFFE or U+FFFF.
    #[error("a control character or backslash")]
    Character,
    /// A segment that this backend keeps for itself.
    #[error("a segment is reserved by the backend")]
    Reserved,
}

/// Everything that a storage call can fail with. [`class`](Self::class) sorts it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a key. The text itself is not repeated: it may come from a hostile listing.
    #[error("invalid key: {problem} (at byte {offset})")]
    InvalidKey {
        /// Where in the text, in bytes.
        offset: usize,
        /// The broken rule.
        problem: KeyProblem,
    },
    /// A version from a store that is empty, too long, or holds control characters.
    #[error("invalid version of {length} bytes: expected 1 to 512 printable ASCII characters")]
    InvalidVersion {
        /// Its length in bytes.
        length: usize,
    },
    /// No object under this key.
    #[error("{operation} {key}: no such object")]
    NotFound {
        /// What was asked.
        operation: Operation,
        /// For which object.
        key: Key,
    },
    /// A create-only put found an object.
    #[error("create {key}: the object exists already")]
    Exists {
        /// Which object.
        key: Key,
    },
    /// A put with a version found another one.
    #[error("replace {key}: expected version {expected}, found {}", found.as_ref().map_or("another", Version::as_str))]
    VersionMismatch {
        /// Which object.
        key: Key,
        /// The version that the caller had seen.
        expected: Version,
        /// The version that is there, if the store says.
        found: Option<Version>,
    },
    /// The key is an ancestor or a descendant of an existing object, and this backend can't hold both.
    #[error(
        "put {key}: another object's key is an ancestor or a descendant of it, which this store cannot hold"
    )]
    KeyConflict {
        /// The key that was refused.
        key: Key,
    },
    /// A range that holds no byte of the object.
    #[error("get {key}: range {start}..{end} holds no byte of the object{}", size.map_or(String::new(), |size| format!(" ({size} bytes)")))]
    InvalidRange {
        /// Which object.
        key: Key,
        /// First byte asked for.
        start: u64,
        /// End of the range, exclusive.
        end: u64,
        /// The object's size in bytes, if known.
        size: Option<u64>,
    },
    /// The body is larger than the caller allowed for.
    #[error("get {key}: {size} bytes, more than the {limit} allowed here")]
    TooLarge {
        /// Which object.
        key: Key,
        /// Bytes that the store announced or sent.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The body had another length than announced.
    #[error("get {key}: the body ended at byte {found}, expected {expected} bytes")]
    BodyLength {
        /// Which object.
        key: Key,
        /// Announced bytes.
        expected: u64,
        /// Received bytes; when larger than expected, reading stopped there.
        found: u64,
    },
    /// The file to put changed its length while it was read; nothing was stored.
    #[error("put {key}: the source file changed while it was read, expected {expected} bytes, found {found}")]
    SourceChanged {
        /// Which object.
        key: Key,
        /// Length when the put began, in bytes.
        expected: u64,
        /// Length as read, in bytes.
        found: u64,
    },
    /// The file to put could not be read; nothing was stored.
    #[error("put {key}: reading the source file {}", path.display())]
    Source {
        /// Which object.
        key: Key,
        /// The file that was to become the object.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A listing whose pages contradict the contract (order, duplicates, a token that leads nowhere).
    #[error("list {prefix:?}: broken page {page}: {problem}")]
    BrokenListing {
        /// The prefix that was listed.
        prefix: String,
        /// The number of the page, from 1.
        page: u64,
        /// What was wrong with it.
        problem: ListingProblem,
    },
    /// An object was replaced while its body was read in several requests.
    #[error("get {key}: the object changed while it was read, expected version {expected}, found {found}")]
    Changed {
        /// Which object.
        key: Key,
        /// The version that the first bytes belong to.
        expected: Version,
        /// The version that is there now.
        found: Version,
    },
    /// The store answered with other bytes than were asked for.
    #[error("get {key}: asked for bytes {}..{}, the store sent {}..{}", expected.start, expected.end, found.start, found.end)]
    WrongRange {
        /// Which object.
        key: Key,
        /// What was asked for.
        expected: Range<u64>,
        /// What came.
        found: Range<u64>,
    },
    /// The answer to a put was lost, and what is there now is not what was put. Whether it was there in between, nobody can
    /// say: another caller may have replaced it.
    #[error("put {key}: an answer was lost, and {} is there now", found.as_ref().map_or("no object".to_owned(), |found| format!("another object (version {found})")))]
    Unresolved {
        /// Which object.
        key: Key,
        /// The version that is there; `None` when there is no object.
        found: Option<Version>,
        /// The error in place of the answer.
        source: Box<Error>,
    },
    /// Nothing came from the store for so long. Unknown for puts and deletes.
    #[error("{operation} {subject} in {backend}: silent for {silent:?}")]
    Timeout {
        /// What was asked.
        operation: Operation,
        /// The key (of a bulk delete: the first) or prefix.
        subject: String,
        /// The backend as it describes itself, without secrets.
        backend: Box<str>,
        /// How long was waited.
        silent: Duration,
    },
    /// The store was not asked: it has failed repeatedly.
    #[error("{backend}: not asked, because it kept failing; it may be asked again in {retry_after:?}")]
    CircuitOpen {
        /// The backend as it describes itself, without secrets.
        backend: Box<str>,
        /// How long to stay away.
        retry_after: Duration,
    },
    /// The backend can't do this at all.
    #[error("{backend}: {operation} is not supported in this form")]
    Unsupported {
        /// The backend as it describes itself.
        backend: String,
        /// What was asked.
        operation: Operation,
    },
    /// A failure of the store or the way to it, classified by the backend.
    #[error("{operation} {subject} in {backend} failed ({class})")]
    Backend {
        /// The class that the backend assigned.
        class: ErrorClass,
        /// What was asked.
        operation: Operation,
        /// The key or prefix.
        subject: String,
        /// The backend as it describes itself, without secrets.
        backend: Box<str>,
        /// When the store wants to be asked again, if it said so: time from its answer.
        retry_after: Option<Duration>,
        /// The backend's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with a page of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingProblem {
    /// Keys not ascending, within the page or against the page before; duplicates included.
    #[error("keys are not in ascending order or repeat")]
    Order,
    /// A key that does not start with the prefix, or is not beyond start-after.
    #[error("a key lies outside of what was asked")]
    Outside,
    /// The same continuation token twice in a row.
    #[error("the continuation token does not advance")]
    Token,
}

impl Error {
    /// A failure that the backend classified; `source` is its own, typed error.
    pub fn backend(
        class: ErrorClass,
        operation: Operation,
        subject: impl fmt::Display,
        backend: impl fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Backend {
            class,
            operation,
            subject: subject.to_string(),
            backend: backend.to_string().into_boxed_str(),
            retry_after: None,
            source: source.into(),
        }
    }

    /// Notes when the store wants to be asked again (`Retry-After`). Other errors than [`Backend`](Self::Backend) stay as they are.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        if let Self::Backend { retry_after, .. } = &mut self {
            *retry_after = Some(after);
        }
        self
    }

    /// How long to wait at least before asking again, if anybody said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Backend { retry_after, .. } => *retry_after,
            Self::CircuitOpen { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The class on which to decide.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::Exists { .. } => ErrorClass::Exists,
            Self::VersionMismatch { .. } | Self::Changed { .. } => ErrorClass::VersionMismatch,
            Self::InvalidVersion { .. }
            | Self::BodyLength { .. }
            | Self::WrongRange { .. }
            | Self::BrokenListing { .. } => ErrorClass::Corrupt,
            Self::Unresolved { .. } => ErrorClass::TimeoutUnknown,
            Self::CircuitOpen { .. } => ErrorClass::Unavailable,
            Self::Timeout { operation, .. } => match operation {
                Operation::Put | Operation::Delete | Operation::DeleteMany => ErrorClass::TimeoutUnknown,
                Operation::Get | Operation::Head | Operation::List => ErrorClass::Unavailable,
            },
            Self::InvalidKey { .. }
            | Self::KeyConflict { .. }
            | Self::InvalidRange { .. }
            | Self::TooLarge { .. }
            | Self::SourceChanged { .. }
            | Self::Source { .. }
            | Self::Unsupported { .. } => ErrorClass::Other,
            Self::Backend { class, .. } => *class,
        }
    }
}
