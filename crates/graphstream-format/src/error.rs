//! What can go wrong with a segment, as values.

use std::fmt;
use std::io;

use crate::chain::ChainHash;
use crate::damage::{Damage, Offset};
use crate::encryption::KeyId;
use crate::lineage::Lineage;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error about one segment. Messages name offset and sequence where they are known, never a payload; the caller
/// adds the file or key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The reader or writer underneath failed; nothing is known about the bytes.
    #[error("{operation} a segment at file offset {offset} failed")]
    Io {
        /// What was attempted: "reading" or "writing".
        operation: &'static str,
        /// The file offset it was attempted at.
        offset: u64,
        /// The error underneath.
        #[source]
        source: io::Error,
    },
    /// The first bytes are not the magic of a segment.
    #[error("not a .hadbj segment: the first bytes are {found:02x?}")]
    NotASegment {
        /// The five bytes found.
        found: [u8; 5],
    },
    /// A segment of a version this build does not know.
    #[error("segment version {found} is not supported")]
    UnsupportedVersion {
        /// The version byte.
        found: u8,
    },
    /// A file of the predecessor, where only files with a lineage are accepted.
    #[error("a segment of the predecessor (it carries no lineage) is not accepted here")]
    LegacyRefused,
    /// A segment of another history than the expected one.
    #[error("the segment belongs to lineage {found}, expected {expected}")]
    LineageMismatch {
        /// The lineage the caller expects.
        expected: Lineage,
        /// The lineage in the header.
        found: Lineage,
    },
    /// The segment is whole in itself, but does not continue the expected chain: a fork, or another history.
    #[error(
        "the segment continues another chain before sequence {sequence}: expected {expected}, found {found}"
    )]
    ChainMismatch {
        /// The first sequence of the segment.
        sequence: u64,
        /// The chain hash the caller expects before it.
        expected: ChainHash,
        /// The chain hash the segment was written after.
        found: ChainHash,
    },
    /// The segment is corrupt: its bytes contradict themselves.
    #[error("damaged segment at {offset}{}: {what}", Of(*sequence))]
    Damaged {
        /// What was found.
        what: Damage,
        /// Where: the start of the field or entry.
        offset: Offset,
        /// The entry it was met at, if that much is known.
        sequence: Option<u64>,
    },
    /// A payload beyond [`limits::PAYLOAD_BYTES_MAX`](crate::limits::PAYLOAD_BYTES_MAX).
    #[error("a payload of {bytes} bytes exceeds the limit of {max}")]
    PayloadTooLarge {
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// A group or batch beyond [`limits::BATCH_BYTES_MAX`](crate::limits::BATCH_BYTES_MAX).
    #[error("a batch of at least {bytes} bytes exceeds the limit of {max}")]
    BatchTooLarge {
        /// Its length with the entry that did not fit, in bytes.
        bytes: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// A sealed body beyond [`limits::BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX), or what the reader was told.
    #[error(
        "a segment body of more than {max} bytes before compression is not accepted (sequence {sequence})"
    )]
    BodyTooLarge {
        /// The entry that passed the limit.
        sequence: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// A writer was given a commit time below the one before it.
    #[error("commit time {found} of sequence {sequence} is below {previous}, that of the entry before it")]
    CommitTimeDecreases {
        /// The entry.
        sequence: u64,
        /// The commit time before it, in milliseconds.
        previous: i64,
        /// Its own, in milliseconds.
        found: i64,
    },
    /// A thread of [`v2::Workers`](crate::v2::Workers) ended before it gave back its work.
    #[error("a worker thread ended before its work was done")]
    WorkerLost,
    /// A writer was given something no segment can hold.
    #[error("a segment cannot be written: {0}")]
    Unwritable(Unwritable),
    /// Text that is not the hex form of what it should be.
    #[error("{what} must be {bytes} bytes in hex")]
    InvalidHex {
        /// What was to be parsed.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
    },
    /// Text that is not a position.
    #[error("a position is LINEAGE-SEQUENCE-CHAIN_HASH, as an acknowledgement prints it")]
    InvalidPosition,
    /// An encrypted segment, and no key was given.
    #[error("the segment is encrypted with key {id}, and no key was given")]
    KeyRequired {
        /// The key it takes.
        id: KeyId,
    },
    /// Something is encrypted or authenticated with a key that is not among those given.
    #[error("key {id} is not among the keys given")]
    UnknownKey {
        /// The key it takes.
        id: KeyId,
    },
    /// A key that is not the one its id names: it was copied wrong, or stands under the name of another.
    #[error("the key given as {expected} is another one: its id is {found}")]
    WrongKey {
        /// The id it was given under.
        expected: KeyId,
        /// Its own.
        found: KeyId,
    },
    /// A segment that is not encrypted, where all have to be.
    #[error("the segment is not encrypted, although encryption is required")]
    PlaintextRefused,
    /// A chain value or document that does not have the MAC it comes with: it was changed, or made without the key.
    #[error("the {what} does not have the MAC that key {id} gives it")]
    MacMismatch {
        /// What was checked.
        what: &'static str,
        /// The key that the MAC names.
        id: KeyId,
    },
    /// A wrapped data key that its master key does not open: it was changed.
    #[error("the wrapped key {id} is damaged: master key {master_id} does not open it")]
    WrappedKeyDamaged {
        /// The key inside.
        id: KeyId,
        /// The master key.
        master_id: KeyId,
    },
    /// The text of a key file does not have the form of one.
    #[error("not a key: {defect}")]
    InvalidKeyLine {
        /// What is wrong.
        defect: KeyLineDefect,
    },
}

/// Why something cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// A segment needs at least one entry.
    #[error("it has no entry")]
    Empty,
    /// The all-zero lineage is that of the predecessor's files.
    #[error("its lineage is zero, which marks the predecessor's files")]
    LegacyLineage,
    /// Sequences begin at 1 and end at `u64::MAX`.
    #[error("its sequences leave the range from 1 to 2^64 - 1")]
    SequenceRange,
    /// The zstd level is outside [`limits::ZSTD_LEVELS`](crate::limits::ZSTD_LEVELS).
    #[error("zstd level {0} is not supported")]
    ZstdLevel(i32),
    /// An encrypted segment was given other entries than its header was bound to.
    #[error("its entries are not the range it was started for")]
    Range,
    /// Version 1 has no place for a key.
    #[error("version 1 cannot be encrypted, version 2 can")]
    EncryptedVersion,
    /// A writer that failed before, or was finished, is used again.
    #[error("the writer failed before")]
    Poisoned,
    /// A record at an offset that is no multiple of 8 or lies below the durable offset it claims.
    #[error("a record can't stand at offset {offset} with durable offset {durable_offset}")]
    Placement {
        /// The record's own file offset.
        offset: u64,
        /// The durable offset it was to carry.
        durable_offset: u64,
    },
    /// An encrypted segment numbers its chunks with 32 bits.
    #[error("it has too many chunks to encrypt")]
    Chunks,
    /// A chunk that its length field cannot describe.
    #[error("a chunk of {bytes} bytes cannot be encrypted")]
    ChunkLength {
        /// Its length in bytes.
        bytes: u64,
    },
}

/// What is wrong with the text of a key file. The text itself is in no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyLineDefect {
    /// It does not start with the label.
    #[error("the line does not start with `graphstream-key-1`")]
    Label,
    /// It has more or fewer parts than label, id and key.
    #[error("the line is not `graphstream-key-1`, an id and a key, with one space between them")]
    Fields,
    /// The id is not one.
    #[error("the id is not 16 bytes in hex")]
    Id,
    /// The key is not one.
    #[error("the key is not 32 bytes in base64")]
    Secret,
    /// There is more than one line.
    #[error("there is more than one line")]
    Lines,
}

impl Error {
    /// Damage at a file offset.
    pub(crate) fn damaged(what: Damage, offset: u64, sequence: Option<u64>) -> Self {
        Self::Damaged { what, offset: Offset::File(offset), sequence }
    }

    /// A failed read at a file offset.
    pub(crate) fn read(source: io::Error, offset: u64) -> Self {
        Self::Io { operation: "reading", offset, source }
    }

    /// A failed write at a file offset.
    pub(crate) fn write(source: io::Error, offset: u64) -> Self {
        Self::Io { operation: "writing", offset, source }
    }

    /// Whether the bytes themselves are at fault (rather than the reader, the writer or the call).
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::NotASegment { .. } | Self::BodyTooLarge { .. })
    }
}

/// " (sequence 7)" in messages, where it is known.
struct Of(Option<u64>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(sequence) => write!(f, " (sequence {sequence})"),
            None => Ok(()),
        }
    }
}
