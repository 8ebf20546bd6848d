//! What damage there is, and where: the defects of bytes, as values.

use std::fmt;

use crate::chain::ChainHash;

/// Where damage was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offset {
    /// Bytes from the start of the file.
    File(u64),
    /// Bytes from the start of the decompressed body of a compressed segment.
    Body(u64),
}

impl Offset {
    /// The number of bytes, whatever it counts from.
    #[must_use]
    pub const fn get(self) -> u64 {
        match self {
            Self::File(bytes) | Self::Body(bytes) => bytes,
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "file offset {bytes}"),
            Self::Body(bytes) => write!(f, "offset {bytes} of the decompressed body"),
        }
    }
}

/// What kind of damage it is. The text says what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A checksum over the header's fields failed.
    #[error("the header's checksum is {found:08x}, its bytes give {computed:08x}")]
    HeaderChecksum {
        /// The stored value.
        found: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A header field contradicts the others or the version.
    #[error("the header's {field} is {found}, which no writer leaves")]
    HeaderField {
        /// The field's name, as in docs/format.md.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// The extension of an open segment does not have the hash that its header keeps.
    #[error("the header's extension does not have the hash in the header")]
    ExtensionChecksum,
    /// The file is longer or shorter than its header says.
    #[error("the file has {found} bytes, its header says {expected}")]
    FileLength {
        /// What the header gives.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// The bytes ended where more had to be.
    #[error("the bytes end too early")]
    EndsEarly,
    /// The compressed body is not a zstd frame, or is damaged.
    #[error("the compressed body cannot be decompressed")]
    Compression,
    /// Something stands behind the last entry.
    #[error("bytes follow the last entry")]
    TrailingBytes,
    /// A length beyond the limits.
    #[error("a length of {found} bytes exceeds the limit of {max}")]
    Length {
        /// The length found.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The CRC of an entry failed.
    #[error("the entry's CRC is {found:08x}, its bytes give {computed:08x}")]
    EntryChecksum {
        /// The stored value.
        found: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// An entry has another sequence than its place demands.
    #[error("found sequence {found}, expected {expected}")]
    Sequence {
        /// The sequence its place demands.
        expected: u64,
        /// The sequence found.
        found: u64,
    },
    /// An entry does not continue the chain of the one before it.
    #[error("the chain is broken: expected {expected}, found {found}")]
    Chain {
        /// The running chain hash.
        expected: ChainHash,
        /// The one stored.
        found: ChainHash,
    },
    /// `prev_segment_checksum` of the header is not that of the chain hash before the first entry.
    #[error("the header's chain prefix is {found:016x}, the first entry continues {expected:016x}")]
    ChainPrefix {
        /// From the chain hash before the first entry.
        expected: u64,
        /// From the header.
        found: u64,
    },
    /// The CRC of a version 2 frame failed.
    #[error("the frame's CRC is {found:08x}, its bytes give {computed:08x}")]
    FrameChecksum {
        /// The stored value.
        found: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A field of a version 2 frame contradicts the others, the frames before it, or the limits.
    #[error("the frame's {field} is {found}, which no writer leaves there")]
    FrameField {
        /// The field's name, as in docs/format.md.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// The entries of a version 2 frame can't be taken apart.
    #[error("the frame's entries do not fill it exactly")]
    FrameEntries,
    /// More frames than the limit.
    #[error("at least {found} frames exceed the limit of {max}")]
    Frames {
        /// The number so far.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The index of a version 2 segment says something else than the frames.
    #[error("the index contradicts the frames")]
    Index,
    /// The CRC of the footer failed.
    #[error("the footer's CRC is {found:08x}, its bytes give {computed:08x}")]
    FooterChecksum {
        /// The stored value.
        found: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A field of the footer contradicts the header, the body, or the length of the file.
    #[error("the footer's {field} is {found}, which no writer leaves there")]
    FooterField {
        /// The field's name, as in docs/format.md.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// The SHA-256 of the stored body is not the header's.
    #[error("the body does not have the SHA-256 in the header")]
    BodyChecksum,
    /// A record of an open segment is damaged below what a later record says was durable.
    #[error("{defect}, below offset {durable_offset} that a later record says was on disk")]
    BelowDurable {
        /// What is wrong with the record.
        defect: RecordDefect,
        /// The later record's durable offset.
        durable_offset: u64,
    },
    /// A record of an open segment has valid checksums and impossible content.
    #[error("a record with valid checksums is malformed: {what}")]
    Record {
        /// What is impossible.
        what: RecordDefect,
    },
    /// Whole entries of a predecessor's open segment stand behind damaged bytes.
    #[error("{defect}, and a whole entry stands behind it at file offset {later}")]
    EntriesBehind {
        /// What is wrong at the damaged entry.
        defect: RecordDefect,
        /// The file offset of the first whole entry behind it.
        later: u64,
    },
    /// Too many places look like a later record to check them all; no writer leaves such a file.
    #[error("{defect}, and too much behind it looks like a record to tell a torn tail from corruption")]
    SearchExhausted {
        /// What is wrong at the first damaged record.
        defect: RecordDefect,
    },
    /// A chunk of an encrypted segment does not open.
    #[error("chunk{} does not open: {defect}", Numbered(*number))]
    Chunk {
        /// Its number from 0, where that is known.
        number: Option<u32>,
        /// Why not.
        defect: ChunkDefect,
    },
}

/// Why a chunk of an encrypted segment does not open. The data key is the right one in all cases: another one has another id, which is an error
/// of its own ([`Error::UnknownKey`](crate::Error::UnknownKey), [`Error::WrongKey`](crate::Error::WrongKey)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkDefect {
    /// It has fewer bytes than a tag.
    #[error("it is shorter than its tag")]
    TooShort,
    /// It is a chunk of this segment at its right place, but not the last one: the end of the segment is missing.
    #[error("it is not the last one, the end of the segment is missing")]
    Truncated,
    /// It is the last chunk of this segment at its right place, but more follow: they do not belong to it.
    #[error("it is the last one, what follows it does not belong to the segment")]
    Extended,
    /// It is a chunk of this segment at the wrong place.
    #[error("it is chunk {found} of this segment")]
    Reordered {
        /// Its true number.
        found: u32,
    },
    /// It was not written for this segment, while other chunks were: it is damaged, or comes from elsewhere. No cipher can tell these two apart;
    /// a `body_checksum` that fits the bytes speaks for the second.
    #[error("it is damaged, or was not written for this segment")]
    Foreign,
    /// Nothing of the segment has opened so far: header or extension are not those that it was written with, or all chunks read are damaged.
    #[error("header or extension are not those the segment was written with, or this chunk is damaged")]
    Header,
}

/// Why the bytes at some offset of an open segment are not a whole record (or legacy entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDefect {
    /// The file ends inside it.
    #[error("the file ends inside a record")]
    EndsEarly,
    /// The segment's nonce does not stand there.
    #[error("no record starts here")]
    NoRecord,
    /// The checksum of the fixed fields failed.
    #[error("a record's header checksum fails")]
    HeaderChecksum,
    /// The checksum of the body failed.
    #[error("a record's body checksum fails")]
    BodyChecksum,
    /// The length exceeds the limits.
    #[error("a record's length of {found} bytes exceeds the limit of {max}")]
    Length {
        /// The length found.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The count contradicts the length.
    #[error("a record's count of {found} entries does not fit its length")]
    Count {
        /// The count found.
        found: u64,
    },
    /// It starts with another sequence than the one after the last.
    #[error("a record starts at sequence {found}, expected {expected}")]
    Sequence {
        /// The sequence its place demands.
        expected: u64,
        /// The sequence found.
        found: u64,
    },
    /// Its durable offset lies behind itself, or inside the header.
    #[error("a record's durable offset {found} is impossible")]
    DurableOffset {
        /// The value found.
        found: u64,
    },
    /// Its commit time is below the one before it, or leaves the range of times.
    #[error("a record's commit times decrease")]
    CommitTime,
    /// Its entries cannot be taken apart.
    #[error("a record's entries do not fill it exactly")]
    Entries,
    /// An entry of the predecessor does not continue the chain.
    #[error("an entry does not continue the chain")]
    Chain,
}

/// " 7" in messages, where it is known.
struct Numbered(Option<u32>);

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, " {number}"),
            None => Ok(()),
        }
    }
}
