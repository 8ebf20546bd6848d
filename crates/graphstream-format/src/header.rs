//! The first 128 bytes of every segment.
//!
//! ```text
//!   0 magic "HADBJ"   5 version   6 flags   7 compression   8 ext_len u32   12 first_seq u64   20 last_seq u64
//!  28 entry_count u64   36 body_len u64   44 body_checksum (32)   76 prev_segment_checksum u64   84 created_ms i64
//!  92 lineage (16)   108 first_commit_ms i64   116 last_commit_ms i64   124 header_crc32c u32 over 0..124
//! ```
//!
//! The predecessor wrote version 1 without the last four fields: bytes 92..128 are zero. No header of ours looks so,
//! because a lineage is never zero.

use crate::bytes::{array, i64_at, put, u32_at, u64_at};
use crate::damage::Damage;
use crate::encryption::{CHUNK_PREFIX_LEN, EXTENSION_LEN, TAG_LEN};
use crate::error::{Error, Result};
use crate::lineage::Lineage;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 128;
/// The first five bytes of every segment.
pub const MAGIC: [u8; 5] = *b"HADBJ";
/// Version 1: the predecessor's container.
pub const VERSION_1: u8 = 1;
/// Version 2: frames with an index.
pub const VERSION_2: u8 = 2;
/// Version 3: the open segment.
pub const VERSION_OPEN: u8 = 3;

/// Flag: the body is compressed.
pub const FLAG_COMPRESSED: u8 = 0x01;
/// Flag: the segment is sealed, its fields are final.
pub const FLAG_SEALED: u8 = 0x04;
/// Flag, version 1: the last chain hash follows the body.
pub const FLAG_CHAIN_TRAILER: u8 = 0x08;
/// Flag, version 2: the body is encrypted.
pub const FLAG_ENCRYPTED: u8 = 0x10;
/// Flag, version 2: the entries of a frame are stored as columns. It is in the footer too, which says all that reading one frame takes.
pub const FLAG_COLUMNS: u8 = 0x20;

/// Compression byte: none.
pub const COMPRESSION_NONE: u8 = 0;
/// Compression byte: zstd.
pub const COMPRESSION_ZSTD: u8 = 1;

/// Compression byte, version 2: columns ([`v2::columns`](crate::v2::columns)), then zstd.
pub const COMPRESSION_COLUMNS: u8 = 2;

/// Offsets of the fields, in bytes.
pub mod field {
    /// The magic, 5 bytes.
    pub const MAGIC: usize = 0;
    /// The version, u8.
    pub const VERSION: usize = 5;
    /// The flags, u8.
    pub const FLAGS: usize = 6;
    /// The compression, u8.
    pub const COMPRESSION: usize = 7;
    /// Length of the extension behind the header, u32.
    pub const EXT_LEN: usize = 8;
    /// The first sequence, u64.
    pub const FIRST_SEQ: usize = 12;
    /// The last sequence, u64.
    pub const LAST_SEQ: usize = 20;
    /// The number of entries, u64.
    pub const ENTRY_COUNT: usize = 28;
    /// Length of the body as stored, u64.
    pub const BODY_LEN: usize = 36;
    /// SHA-256 of the body as stored (of the extension in an open segment), 32 bytes.
    pub const BODY_CHECKSUM: usize = 44;
    /// First 8 bytes of the chain hash before the first entry, u64.
    pub const PREV_SEGMENT_CHECKSUM: usize = 76;
    /// Creation time, i64 milliseconds.
    pub const CREATED_MS: usize = 84;
    /// The lineage, 16 bytes.
    pub const LINEAGE: usize = 92;
    /// Commit time of the first entry, i64 milliseconds.
    pub const FIRST_COMMIT_MS: usize = 108;
    /// Commit time of the last entry, i64 milliseconds.
    pub const LAST_COMMIT_MS: usize = 116;
    /// CRC-32C of all bytes before it, u32.
    pub const HEADER_CRC32C: usize = 124;
}

/// Which layout follows the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentKind {
    /// Version 1, sealed: by us, or by the predecessor (then the header [is legacy](Header::is_legacy)).
    SealedV1,
    /// Version 2, sealed.
    SealedV2,
    /// The predecessor's open segment: version 1 entries up to the end of the file.
    LegacyOpen,
    /// Our open segment (version 3).
    Open,
}

/// The decoded header of a segment. [`Header::decode`] returns only headers whose fields agree with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The layout version: 1 or 2, or 3 for an open segment.
    pub version: u8,
    /// `FLAG_*` bits.
    pub flags: u8,
    /// `COMPRESSION_*` of the body.
    pub compression: u8,
    /// Bytes between this header and the body; 0 in version 1, and in version 2 unless encrypted.
    pub ext_len: u32,
    /// Sequence of the first entry, from 1.
    pub first_seq: u64,
    /// Sequence of the last entry; 0 while open.
    pub last_seq: u64,
    /// Number of entries; 0 while open.
    pub entry_count: u64,
    /// Length of the body as stored, in bytes; 0 while open.
    pub body_len: u64,
    /// SHA-256 of the body as stored; of the extension while open; zeros in the predecessor's open segments.
    pub body_checksum: [u8; 32],
    /// First 8 bytes of the chain hash before the first entry, big-endian (0 in encrypted and in the predecessor's open segments).
    pub prev_segment_checksum: u64,
    /// When the segment was created, in milliseconds since 1970 (UTC).
    pub created_ms: i64,
    /// The history it belongs to.
    pub lineage: Lineage,
    /// Commit time of its first entry, in milliseconds since 1970 (UTC); 0 while open and in legacy files.
    pub first_commit_ms: i64,
    /// Commit time of its last entry, in milliseconds since 1970 (UTC); 0 while open and in legacy files.
    pub last_commit_ms: i64,
}

impl Header {
    /// Whether the segment is sealed: complete, final, never written again.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.flags & FLAG_SEALED != 0
    }

    /// Whether the body is encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }

    /// Whether the predecessor wrote it.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.lineage.is_legacy()
    }

    /// Which layout follows.
    #[must_use]
    pub const fn kind(&self) -> SegmentKind {
        match (self.version, self.is_sealed()) {
            (VERSION_OPEN, _) => SegmentKind::Open,
            (VERSION_2, _) => SegmentKind::SealedV2,
            (_, true) => SegmentKind::SealedV1,
            (_, false) => SegmentKind::LegacyOpen,
        }
    }

    /// The exact length of the file in bytes, where the header determines it (sealed segments).
    #[must_use]
    pub fn file_len(&self) -> Option<u64> {
        match self.kind() {
            SegmentKind::SealedV1 => self.body_len.checked_add((HEADER_LEN + crate::v1::TRAILER_LEN) as u64),
            SegmentKind::SealedV2 => {
                let around = (HEADER_LEN + crate::v2::FOOTER_LEN) as u64 + u64::from(self.ext_len);
                self.body_len.checked_add(around)
            }
            SegmentKind::LegacyOpen | SegmentKind::Open => None,
        }
    }

    /// The 128 bytes, with their checksum. A legacy header (zero lineage) is encoded as the predecessor did, without
    /// the last four fields.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        put(&mut out, field::MAGIC, &MAGIC);
        put(&mut out, field::VERSION, &[self.version, self.flags, self.compression]);
        put(&mut out, field::EXT_LEN, &self.ext_len.to_be_bytes());
        put(&mut out, field::FIRST_SEQ, &self.first_seq.to_be_bytes());
        put(&mut out, field::LAST_SEQ, &self.last_seq.to_be_bytes());
        put(&mut out, field::ENTRY_COUNT, &self.entry_count.to_be_bytes());
        put(&mut out, field::BODY_LEN, &self.body_len.to_be_bytes());
        put(&mut out, field::BODY_CHECKSUM, &self.body_checksum);
        put(&mut out, field::PREV_SEGMENT_CHECKSUM, &self.prev_segment_checksum.to_be_bytes());
        put(&mut out, field::CREATED_MS, &self.created_ms.to_be_bytes());
        if self.is_legacy() {
            return out;
        }
        put(&mut out, field::LINEAGE, self.lineage.as_bytes());
        put(&mut out, field::FIRST_COMMIT_MS, &self.first_commit_ms.to_be_bytes());
        put(&mut out, field::LAST_COMMIT_MS, &self.last_commit_ms.to_be_bytes());
        let (covered, _) = out.split_at(field::HEADER_CRC32C);
        let crc = crc32c::crc32c(covered);
        put(&mut out, field::HEADER_CRC32C, &crc.to_be_bytes());
        out
    }

    /// Reads a header and checks everything that can be checked without the body.
    ///
    /// # Errors
    /// [`Error::NotASegment`], [`Error::UnsupportedVersion`], or [`Error::Damaged`] with the field that is wrong.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self> {
        let magic: [u8; 5] = array(bytes, field::MAGIC);
        if magic != MAGIC {
            return Err(Error::NotASegment { found: magic });
        }
        let [version, flags, compression] = array(bytes, field::VERSION);
        let header = Self {
            version,
            flags,
            compression,
            ext_len: u32_at(bytes, field::EXT_LEN),
            first_seq: u64_at(bytes, field::FIRST_SEQ),
            last_seq: u64_at(bytes, field::LAST_SEQ),
            entry_count: u64_at(bytes, field::ENTRY_COUNT),
            body_len: u64_at(bytes, field::BODY_LEN),
            body_checksum: array(bytes, field::BODY_CHECKSUM),
            prev_segment_checksum: u64_at(bytes, field::PREV_SEGMENT_CHECKSUM),
            created_ms: i64_at(bytes, field::CREATED_MS),
            lineage: Lineage::from_bytes(array(bytes, field::LINEAGE)),
            first_commit_ms: i64_at(bytes, field::FIRST_COMMIT_MS),
            last_commit_ms: i64_at(bytes, field::LAST_COMMIT_MS),
        };
        let (covered, tail) = bytes.split_at(field::HEADER_CRC32C);
        let legacy =
            version == VERSION_1 && covered.iter().skip(field::LINEAGE).chain(tail).all(|&byte| byte == 0);
        if !legacy {
            let (found, computed) = (u32_at(bytes, field::HEADER_CRC32C), crc32c::crc32c(covered));
            if found != computed {
                // A version this build can't know may have another checksum: name the version, which is more use.
                if !matches!(version, VERSION_1 | VERSION_2 | VERSION_OPEN) {
                    return Err(Error::UnsupportedVersion { found: version });
                }
                return Err(Error::damaged(
                    Damage::HeaderChecksum { found, computed },
                    field::HEADER_CRC32C as u64,
                    None,
                ));
            }
            if header.is_legacy() {
                return Err(wrong("lineage", field::LINEAGE, 0));
            }
        }
        header.check()?;
        Ok(header)
    }

    /// Refuses headers whose fields contradict each other, so that nothing behind has to think about them.
    fn check(&self) -> Result<()> {
        match self.version {
            VERSION_1 if self.is_sealed() => self.check_sealed_v1(),
            VERSION_1 if self.is_legacy() => self.check_unsealed(),
            VERSION_1 => Err(wrong("flags", field::FLAGS, self.flags.into())),
            VERSION_2 => self.check_sealed_v2(),
            VERSION_OPEN => {
                if self.ext_len != crate::open::EXTENSION_LEN as u32 {
                    return Err(wrong("ext_len", field::EXT_LEN, self.ext_len.into()));
                }
                self.check_unsealed()
            }
            found => Err(Error::UnsupportedVersion { found }),
        }
    }

    fn check_sealed_v1(&self) -> Result<()> {
        if self.compression == COMPRESSION_COLUMNS {
            return Err(wrong("compression", field::COMPRESSION, self.compression.into()));
        }
        let compressed = self.check_compression(FLAG_SEALED | FLAG_CHAIN_TRAILER)?;
        let entry_least = crate::v1::ENTRY_HEADER_LEN as u64;
        let least = if compressed { Some(1) } else { self.entry_count.checked_mul(entry_least) };
        self.check_sealed(0, least)
    }

    fn check_sealed_v2(&self) -> Result<()> {
        let compressed = self.check_compression(FLAG_SEALED | (self.flags & FLAG_ENCRYPTED))?;
        let (ext_len, overhead) = if self.is_encrypted() {
            let found = self.prev_segment_checksum;
            if found != 0 {
                return Err(wrong("prev_segment_checksum", field::PREV_SEGMENT_CHECKSUM, found));
            }
            (EXTENSION_LEN as u32, 2 * (CHUNK_PREFIX_LEN + TAG_LEN) as u64)
        } else {
            (0, 0)
        };
        let entries =
            if compressed { Some(1) } else { self.entry_count.checked_mul(crate::v2::ENTRY_LEN_MIN) };
        let overhead = overhead + crate::v2::BODY_OVERHEAD_MIN;
        self.check_sealed(ext_len, entries.and_then(|entries| entries.checked_add(overhead)))
    }

    /// Demands these flags, and with them those of the compression. Returns whether there is one.
    fn check_compression(&self, flags: u8) -> Result<bool> {
        let of_compression = match self.compression {
            COMPRESSION_NONE => 0,
            COMPRESSION_ZSTD => FLAG_COMPRESSED,
            COMPRESSION_COLUMNS => FLAG_COMPRESSED | FLAG_COLUMNS,
            other => return Err(wrong("compression", field::COMPRESSION, other.into())),
        };
        if self.flags != flags | of_compression {
            return Err(wrong("flags", field::FLAGS, self.flags.into()));
        }
        Ok(of_compression != 0)
    }

    /// What holds for all sealed segments; a body of less than `body_least` bytes (`None`: of any number) can't hold the entries.
    fn check_sealed(&self, ext_len: u32, body_least: Option<u64>) -> Result<()> {
        if self.ext_len != ext_len {
            return Err(wrong("ext_len", field::EXT_LEN, self.ext_len.into()));
        }
        if self.first_seq == 0 {
            return Err(wrong("first_seq", field::FIRST_SEQ, 0));
        }
        if self.last_seq < self.first_seq {
            return Err(wrong("last_seq", field::LAST_SEQ, self.last_seq));
        }
        // first_seq >= 1, so the difference plus one fits.
        if self.entry_count != self.last_seq - self.first_seq + 1 {
            return Err(wrong("entry_count", field::ENTRY_COUNT, self.entry_count));
        }
        if body_least.is_none_or(|least| self.body_len < least) || self.file_len().is_none() {
            return Err(wrong("body_len", field::BODY_LEN, self.body_len));
        }
        if self.last_commit_ms < self.first_commit_ms {
            return Err(wrong("last_commit_ms", field::LAST_COMMIT_MS, self.last_commit_ms.cast_unsigned()));
        }
        Ok(())
    }

    /// What is known only at the end must be zero before: a sealed header with a cleared flag is not taken for open.
    fn check_unsealed(&self) -> Result<()> {
        let zeros = [
            ("flags", field::FLAGS, u64::from(self.flags)),
            ("compression", field::COMPRESSION, u64::from(self.compression)),
            ("last_seq", field::LAST_SEQ, self.last_seq),
            ("entry_count", field::ENTRY_COUNT, self.entry_count),
            ("body_len", field::BODY_LEN, self.body_len),
            ("first_commit_ms", field::FIRST_COMMIT_MS, self.first_commit_ms.cast_unsigned()),
            ("last_commit_ms", field::LAST_COMMIT_MS, self.last_commit_ms.cast_unsigned()),
        ];
        if let Some((name, at, found)) = zeros.into_iter().find(|(_, _, found)| *found != 0) {
            return Err(wrong(name, at, found));
        }
        if self.version == VERSION_1 {
            if self.ext_len != 0 {
                return Err(wrong("ext_len", field::EXT_LEN, self.ext_len.into()));
            }
            if self.body_checksum != [0; 32] {
                return Err(wrong("body_checksum", field::BODY_CHECKSUM, u64_at(&self.body_checksum, 0)));
            }
            if self.prev_segment_checksum != 0 {
                return Err(wrong(
                    "prev_segment_checksum",
                    field::PREV_SEGMENT_CHECKSUM,
                    self.prev_segment_checksum,
                ));
            }
        }
        if self.first_seq == 0 {
            return Err(wrong("first_seq", field::FIRST_SEQ, 0));
        }
        Ok(())
    }
}

fn wrong(name: &'static str, at: usize, found: u64) -> Error {
    Error::damaged(Damage::HeaderField { field: name, found }, at as u64, None)
}
