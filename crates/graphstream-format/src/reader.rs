//! One reader for every kind of segment.

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use crate::chain::ChainHash;
use crate::damage::{Damage, RecordDefect};
use crate::encryption::KeyRing;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::header::{HEADER_LEN, Header, SegmentKind};
use crate::legacy::LegacyScan;
use crate::limits;
use crate::lineage::Lineage;
use crate::open::{EXTENSION_LEN, OpenHeader, Outcome, Scan, ScanPoint};
use crate::v1::SealedReader;
use crate::v2;
use crate::window::{Forward, Window};

/// What a [`SegmentReader`] accepts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The chain hash that must stand before the first entry; `None` accepts any.
    pub expected_chain: Option<ChainHash>,
    /// The lineage the segment must belong to; `None` accepts any.
    pub expected_lineage: Option<Lineage>,
    /// Whether files of the predecessor, which carry no lineage, are read. A follower refuses them.
    pub accept_legacy: bool,
    /// Most bytes that a body may decompress to; [`limits::BODY_BYTES_MAX`] is the ceiling.
    pub body_bytes_max: u64,
    /// The keys of encrypted segments. With keys, a sealed segment that is not encrypted is refused.
    pub keys: Option<Arc<KeyRing>>,
}

impl Default for ReadOptions {
    /// Any chain, any lineage, legacy files too, [`limits::BODY_BYTES_MAX`], no keys.
    fn default() -> Self {
        Self {
            expected_chain: None,
            expected_lineage: None,
            accept_legacy: true,
            body_bytes_max: limits::BODY_BYTES_MAX,
            keys: None,
        }
    }
}

impl ReadOptions {
    /// Demands this chain hash before the first entry.
    #[must_use]
    pub fn with_expected_chain(mut self, chain: ChainHash) -> Self {
        self.expected_chain = Some(chain);
        self
    }

    /// Demands this lineage. A legacy file, if accepted at all, has [`Lineage::LEGACY`].
    #[must_use]
    pub fn with_expected_lineage(mut self, lineage: Lineage) -> Self {
        self.expected_lineage = Some(lineage);
        self
    }

    /// Refuses files of the predecessor.
    #[must_use]
    pub fn with_legacy_refused(mut self) -> Self {
        self.accept_legacy = false;
        self
    }

    /// Lowers the most bytes that a body may decompress to.
    #[must_use]
    pub fn with_body_bytes_max(mut self, bytes: u64) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// Reads encrypted segments with these keys, and refuses sealed ones that are not encrypted.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeyRing>) -> Self {
        self.keys = Some(keys);
        self
    }
}

/// A torn tail that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// File offset of the first bytes that are not part of a whole entry or record.
    pub offset: u64,
    /// What is wrong there.
    pub why: RecordDefect,
}

/// What is known once a segment was read to its end without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentEnd {
    /// The last sequence (`first_seq - 1` in an open segment without entries).
    pub last_seq: u64,
    /// The chain hash after it ([`ChainHash::ZERO`] in a legacy open segment without entries, which does not say).
    pub chain_hash: ChainHash,
    /// Number of entries.
    pub entries: u64,
    /// Commit time of the last entry, in milliseconds (the creation time without entries).
    pub last_commit_ms: i64,
    /// Whether a checksum over the whole body was verified: in sealed segments.
    pub body_checksum_verified: bool,
    /// A torn tail, in open segments.
    pub torn: Option<Torn>,
}

/// Reads and verifies a segment of any kind from anything that can be read front to back.
///
/// It checks the header, the exact length of the file, each entry's CRC, sequences, the chain, and at the end the SHA-256 of the
/// body and the trailer. Entries before damage are given out; the damage is the last item (one error, then `None`).
/// A torn tail of an open segment is no error: it is reported by [`SegmentReader::end`]. Memory is bounded by one entry (in version 1
/// and one of up to 64 KiB behind it; in open segments one record) and the zstd window, whatever the file says.
///
/// Only after the end was reached is the segment known to be whole.
pub struct SegmentReader<R: Read> {
    header: Header,
    inner: Inner<R>,
    end: Option<SegmentEnd>,
    failed: bool,
    entries: u64,
}

enum Inner<R: Read> {
    Sealed(Box<SealedReader<R>>),
    SealedV2(Box<v2::SealedReader<R>>),
    Open(Box<Scan<Forward<R>>>),
    Legacy(Box<LegacyScan<Forward<R>>>),
}

impl<R: Read> std::fmt::Debug for SegmentReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentReader")
            .field("header", &self.header)
            .field("entries", &self.entries)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header. `read` stands at the start of a file of `file_len` bytes; of an open segment that is still being
    /// written, `file_len` is the part to look at.
    ///
    /// # Errors
    /// As [`Header::decode`]; [`Error::Damaged`] for a wrong length; [`Error::LegacyRefused`],
    /// [`Error::LineageMismatch`], [`Error::ChainMismatch`] per the options; [`Error::Io`].
    pub fn new(mut read: R, file_len: u64, options: ReadOptions) -> Result<Self> {
        let mut bytes = [0; HEADER_LEN];
        read_exact(&mut read, &mut bytes, 0)?;
        let header = Header::decode(&bytes)?;
        if header.is_legacy() && !options.accept_legacy {
            return Err(Error::LegacyRefused);
        }
        if let Some(expected) = options.expected_lineage
            && expected != header.lineage
        {
            return Err(Error::LineageMismatch { expected, found: header.lineage });
        }
        if let Some(expected) = header.file_len()
            && expected != file_len
        {
            let what = Damage::FileLength { expected, found: file_len };
            return Err(Error::damaged(what, expected.min(file_len), None));
        }
        if header.kind() == SegmentKind::SealedV1 && options.keys.is_some() {
            return Err(Error::PlaintextRefused);
        }
        let inner = match header.kind() {
            SegmentKind::SealedV1 => {
                Inner::Sealed(Box::new(SealedReader::new(read, header.clone(), &options)?))
            }
            SegmentKind::SealedV2 => {
                Inner::SealedV2(Box::new(v2::SealedReader::new(read, header.clone(), &options)?))
            }
            SegmentKind::LegacyOpen => {
                let window = Window::new(Forward::new(read, HEADER_LEN as u64, file_len));
                Inner::Legacy(Box::new(LegacyScan::new(window, header.clone(), options.expected_chain)))
            }
            SegmentKind::Open => {
                let mut extension = [0; EXTENSION_LEN];
                read_exact(&mut read, &mut extension, HEADER_LEN as u64)?;
                let open = OpenHeader::from_parts(&header, &extension)?;
                if let Some(expected) = options.expected_chain
                    && expected != open.start.chain_before
                {
                    return Err(Error::ChainMismatch {
                        sequence: open.start.first_seq,
                        expected,
                        found: open.start.chain_before,
                    });
                }
                let point = ScanPoint::start(&open);
                let window = Window::new(Forward::new(read, point.offset, file_len));
                Inner::Open(Box::new(Scan::new(window, open, point)))
            }
        };
        Ok(Self { header, inner, end: None, failed: false, entries: 0 })
    }

    /// Has the frames of a version 2 segment decoded and verified by these threads; other segments are read as without them. Entries,
    /// errors and their order are the same.
    #[must_use]
    pub fn with_workers(mut self, workers: v2::Workers) -> Self {
        if let Inner::SealedV2(sealed) = &mut self.inner {
            sealed.use_workers(workers);
        }
        self
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Which layout it has.
    #[must_use]
    pub const fn kind(&self) -> SegmentKind {
        self.header.kind()
    }

    /// What the whole segment holds; `None` until it was read to the end without an error.
    #[must_use]
    pub const fn end(&self) -> Option<&SegmentEnd> {
        self.end.as_ref()
    }

    /// The chain hash before the first entry. Sealed segments, and the predecessor's open ones, say it with their first entry: `None`
    /// until that was read.
    #[must_use]
    pub const fn chain_before(&self) -> Option<ChainHash> {
        match &self.inner {
            Inner::Sealed(sealed) => sealed.chain_before(),
            Inner::SealedV2(sealed) => sealed.chain_before(),
            Inner::Open(scan) => Some(scan.header().start.chain_before),
            Inner::Legacy(scan) => scan.chain_before(),
        }
    }

    /// Reads the next entry into `entry`, whose buffer is used again; false at the end. After an error, and after the end, it
    /// returns false. On an error `entry` holds nothing of use.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::BodyTooLarge`], [`Error::ChainMismatch`] (at the first entry) or [`Error::Io`].
    pub fn read_next(&mut self, entry: &mut Entry) -> Result<bool> {
        if self.failed || self.end.is_some() {
            return Ok(false);
        }
        match self.step(entry) {
            Ok(true) => {
                self.entries += 1;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    /// As [`Scanner::hash_ahead`](crate::open::Scanner::hash_ahead), in open segments; in others there is nothing to do.
    #[inline]
    pub fn hash_ahead(&mut self) -> bool {
        match &mut self.inner {
            Inner::Open(scan) => scan.hash_ahead(),
            Inner::Sealed(_) | Inner::SealedV2(_) | Inner::Legacy(_) => false,
        }
    }

    /// Reads what is left, keeping nothing, and returns the end.
    ///
    /// # Errors
    /// As [`SegmentReader::read_next`]; [`Error::Unwritable`] is never returned. A reader that failed before fails with
    /// [`Damage::EndsEarly`] again.
    pub fn verify(&mut self) -> Result<SegmentEnd> {
        let mut entry = Entry::default();
        while self.read_next(&mut entry)? {}
        self.end.ok_or_else(|| Error::damaged(Damage::EndsEarly, 0, None))
    }

    fn step(&mut self, entry: &mut Entry) -> Result<bool> {
        match &mut self.inner {
            Inner::Sealed(sealed) => {
                if sealed.read_next(entry)? {
                    return Ok(true);
                }
                self.end = Some(sealed.finish()?);
            }
            Inner::SealedV2(sealed) => {
                if let Some(found) = sealed.next_entry()? {
                    found.copy_to(entry);
                    return Ok(true);
                }
                self.end = Some(sealed.finish()?);
            }
            Inner::Open(scan) => {
                if scan.read_next(entry)? {
                    return Ok(true);
                }
                let torn = torn(scan.judge()?)?;
                let point = scan.point();
                self.end = Some(SegmentEnd {
                    last_seq: point.sequence,
                    chain_hash: point.chain_hash,
                    entries: self.entries,
                    last_commit_ms: if self.entries == 0 { self.header.created_ms } else { point.commit_ms },
                    body_checksum_verified: false,
                    torn,
                });
            }
            Inner::Legacy(scan) => {
                if scan.read_next(entry)? {
                    return Ok(true);
                }
                let torn = torn(scan.judge()?)?;
                let (last_seq, chain) = scan.last();
                self.end = Some(SegmentEnd {
                    last_seq,
                    chain_hash: chain.unwrap_or(ChainHash::ZERO),
                    entries: self.entries,
                    last_commit_ms: self.header.created_ms,
                    body_checksum_verified: false,
                    torn,
                });
            }
        }
        Ok(false)
    }
}

impl<R: Read> Iterator for SegmentReader<R> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = Entry::default();
        match self.read_next(&mut entry) {
            Ok(true) => Some(Ok(entry)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<R: Read> std::iter::FusedIterator for SegmentReader<R> {}

fn torn(outcome: Outcome) -> Result<Option<Torn>> {
    match outcome {
        Outcome::Torn { offset, why } => Ok(Some(Torn { offset, why })),
        Outcome::Clean { .. } | Outcome::Grown => Ok(None),
        Outcome::Corrupt { offset, sequence, what } => Err(Error::damaged(what, offset, Some(sequence))),
    }
}

pub(crate) fn read_exact<R: Read>(read: &mut R, buffer: &mut [u8], offset: u64) -> Result<()> {
    read.read_exact(buffer).map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof => Error::damaged(Damage::EndsEarly, offset, None),
        _ => Error::read(source, offset),
    })
}
