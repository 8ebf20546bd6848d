//! Where everything stands in a segment: its parts one after another, and the fields of each part. For tools that show a segment as it is,
//! a damaged one too.
//!
//! ```text
//!  sealed, version 1   header | entry ... (or one compressed body) | chain hash
//!  sealed, version 2   header | frame ... | index row ... | chain hash | footer
//!  encrypted           header | extension | chunk ... | footer
//!  open                header | extension | record ... | zeros
//!  of any kind         ... | unparsed    where no part is recognised
//! ```
//!
//! [`Parts`] believes lengths as far as the file and the [limits](crate::limits) allow, and verifies nothing beyond what tells one part from
//! another: that is what [`SegmentReader`](crate::SegmentReader) is for. The parts fill the file without a hole, and the fields fill their
//! part, whatever the bytes are.

mod fields;
mod frames;
mod parts;
#[cfg(test)]
mod tests;

pub use parts::Parts;

/// What a [`Part`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// The first 128 bytes.
    Header,
    /// The extension of an open segment.
    Extension,
    /// The extension of an encrypted segment.
    EncryptionExtension,
    /// One record of an open segment.
    Record,
    /// One entry of an uncompressed segment of version 1, or of the predecessor's open segment.
    Entry,
    /// The compressed body of version 1.
    Body,
    /// One frame of version 2.
    Frame,
    /// One chunk of an encrypted segment.
    Chunk,
    /// One row of the index of version 2.
    IndexRow,
    /// The chain hash of the last entry: behind the body of version 1, behind the index of version 2.
    ChainHash,
    /// The last 64 bytes of version 2.
    Footer,
    /// Zeros: the reserved space of an open segment.
    Zeros,
    /// Bytes that are none of these.
    Unparsed,
}

impl PartKind {
    /// The kind in words, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Extension | Self::EncryptionExtension => "extension",
            Self::Record => "record",
            Self::Entry => "entry",
            Self::Body => "body",
            Self::Frame => "frame",
            Self::Chunk => "chunk",
            Self::IndexRow => "index row",
            Self::ChainHash => "chain hash",
            Self::Footer => "footer",
            Self::Zeros => "zeros",
            Self::Unparsed => "unparsed",
        }
    }
}

/// How the bytes of a [`Field`] are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// ASCII text.
    Text,
    /// An unsigned big-endian number of up to 8 bytes.
    Number,
    /// A signed big-endian number of 8 bytes: milliseconds since 1970 (UTC).
    Milliseconds,
    /// A checksum, hash or id: bytes that are shown in hex. At most 32 of them.
    Bytes,
    /// Of any length: entries, a payload, padding.
    Content,
}

/// One field of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name, as in docs/format.md.
    pub name: &'static str,
    /// How its bytes are to be read.
    pub encoding: Encoding,
    /// Where it stands, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes; 0 for a payload without bytes.
    pub length: u64,
}

/// One part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Where it stands, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes, at least 1.
    pub length: u64,
    /// Length of what stands behind the fields of the table: the padding of a record, the tag of a chunk.
    tail: u64,
}

impl Part {
    /// Where the next part begins, in bytes from the start of the file.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.length
    }

    /// Its fields in order; they fill it.
    pub fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        let part = *self;
        let table = fields::table(part.kind);
        let body_end = part.length - part.tail;
        let field = move |name, encoding, start: u64, end: u64| Field {
            name,
            encoding,
            offset: part.offset + start,
            length: end.saturating_sub(start),
        };
        let fixed = table.iter().enumerate().map(move |(number, row)| {
            let end = table.get(number + 1).map_or(body_end, |next| next.at as u64);
            field(row.name, row.encoding, row.at as u64, end)
        });
        let tail = fields::tail(part.kind).filter(|_| part.tail > 0);
        fixed.chain(tail.map(move |(name, encoding)| field(name, encoding, body_end, part.length)))
    }
}
