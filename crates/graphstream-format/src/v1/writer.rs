//! Writes a sealed version 1 segment as a stream: entries go through the compressor and the body's checksum as they
//! come, and the header, which is known last, is patched in at the end.

use std::io::{BufWriter, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use zstd::stream::write::Encoder;

use super::{ENTRY_HEADER_LEN, EntryFrame};
use crate::admission::Admission;
use crate::chain::ChainHash;
use crate::compression::{self, Compression};
use crate::entry::SegmentStart;
use crate::error::{Error, Result, Unwritable};
use crate::header::{
    COMPRESSION_NONE, COMPRESSION_ZSTD, FLAG_CHAIN_TRAILER, FLAG_COMPRESSED, FLAG_SEALED, HEADER_LEN, Header,
    VERSION_1,
};
use crate::open::EntryRef;

/// Bytes collected before the writer underneath is called.
const BUFFER_LEN: usize = 64 << 10;
/// Framed entries collected before the compressor is called: it has a price per call.
const FRAMES_LEN: usize = 128 << 10;

/// A streaming writer of one sealed version 1 segment. Memory does not grow with the segment. Until
/// [`Writer::finish`] returned, the file starts with zeros, which nothing takes for a segment.
///
/// ```
/// use std::io::Cursor;
/// use graphstream_format::{ChainHash, Compression, Lineage, ReadOptions, SegmentReader, SegmentStart, v1};
///
/// let start = SegmentStart {
///     lineage: Lineage::from_bytes([7; 16]),
///     first_seq: 1,
///     chain_before: ChainHash::ZERO,
///     created_ms: 1_700_000_000_000,
/// };
/// let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start, Compression::default())?;
/// writer.push(b"first", 1_700_000_000_001)?;
/// writer.push(b"second", 1_700_000_000_002)?;
/// let sealed = writer.finish()?;
///
/// let file = sealed.inner.into_inner();
/// let reader = SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default())?;
/// let payloads: Result<Vec<_>, _> = reader.map(|entry| entry.map(|entry| entry.payload)).collect();
/// assert_eq!(payloads?, [b"first".to_vec(), b"second".to_vec()]);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    body: Option<Body<W>>,
    admission: Admission,
    /// Framed entries that the body has not been given yet.
    frames: Vec<u8>,
}

/// What [`Writer::finish`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished<W> {
    /// The writer underneath; the whole segment was handed to it (it is not synced).
    pub inner: W,
    /// The header as written.
    pub header: Header,
    /// The chain hash after the last entry.
    pub chain_hash: ChainHash,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a segment at the beginning of `inner`, which must be empty.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a zero lineage, a zero sequence or a level out of range; [`Error::Io`].
    pub fn new(mut inner: W, start: SegmentStart, compression: Compression) -> Result<Self> {
        start.check()?;
        compression.check()?;
        let failed = |source| Error::write(source, 0);
        inner.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut hashed =
            Hashed { inner: BufWriter::with_capacity(BUFFER_LEN, inner), hasher: Sha256::new(), written: 0 };
        hashed.inner.write_all(&[0; HEADER_LEN]).map_err(failed)?;
        let body = match compression {
            Compression::None => Body::Plain(hashed),
            Compression::Zstd { level } | Compression::Columns { level } => {
                Body::Zstd(compression::encoder(hashed, level).map_err(failed)?)
            }
        };
        Ok(Self { body: Some(body), admission: Admission::new(start), frames: Vec::new() })
    }

    /// Appends the next entry and returns its sequence. `commit_ms` must not decrease.
    ///
    /// # Errors
    /// [`Error::PayloadTooLarge`], [`Error::BodyTooLarge`], [`Error::CommitTimeDecreases`] and
    /// [`Unwritable::SequenceRange`] leave the writer as it was; after [`Error::Io`] it is of no more use.
    pub fn push(&mut self, payload: &[u8], commit_ms: i64) -> Result<u64> {
        self.push_chained(payload, commit_ms, None)
    }

    /// As [`Writer::push`], for an entry that was just read and verified: its chain hash is not computed again. Every reader
    /// refuses a segment that was given a wrong one.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn push_verified(&mut self, entry: EntryRef<'_>) -> Result<u64> {
        self.push_chained(entry.payload, entry.commit_ms, Some(entry.chain_hash))
    }

    fn push_chained(&mut self, payload: &[u8], commit_ms: i64, chain: Option<ChainHash>) -> Result<u64> {
        let admitted = self.admission.check(payload, commit_ms, ENTRY_HEADER_LEN + payload.len())?;
        if self.body.is_none() {
            return Err(Error::Unwritable(Unwritable::Poisoned));
        }
        self.frames.extend_from_slice(&EntryFrame::encode(admitted.sequence, &self.admission.chain, payload));
        self.frames.extend_from_slice(payload);
        if self.frames.len() >= FRAMES_LEN {
            self.write_frames()?;
        }
        self.admission.add(admitted, payload, chain);
        Ok(admitted.sequence)
    }

    fn write_frames(&mut self) -> Result<()> {
        let body = self.body.as_mut().ok_or(Error::Unwritable(Unwritable::Poisoned))?;
        if let Err(source) = body.write_all(&self.frames) {
            let offset = body.offset();
            self.body = None;
            return Err(Error::write(source, offset));
        }
        self.frames.clear();
        Ok(())
    }

    /// Number of entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.admission.entries
    }

    /// The chain hash after the last entry so far.
    #[must_use]
    pub const fn chain_hash(&self) -> ChainHash {
        self.admission.chain
    }

    /// Ends the body, appends the trailer and writes the header. Nothing is synced.
    ///
    /// # Errors
    /// [`Unwritable::Empty`] without entries; [`Error::Io`].
    pub fn finish(mut self) -> Result<Finished<W>> {
        self.write_frames()?;
        let body = self.body.take().ok_or(Error::Unwritable(Unwritable::Poisoned))?;
        let last_seq = self.admission.last_seq()?;
        let offset = body.offset();
        let failed = |source| Error::write(source, offset);
        let (flags, compression, mut hashed) = match body {
            Body::Plain(hashed) => (0, COMPRESSION_NONE, hashed),
            Body::Zstd(encoder) => (FLAG_COMPRESSED, COMPRESSION_ZSTD, encoder.finish().map_err(failed)?),
        };
        let header = Header {
            version: VERSION_1,
            flags: flags | FLAG_SEALED | FLAG_CHAIN_TRAILER,
            compression,
            ext_len: 0,
            first_seq: self.admission.start.first_seq,
            last_seq,
            entry_count: self.admission.entries,
            body_len: hashed.written,
            body_checksum: hashed.hasher.finalize().into(),
            prev_segment_checksum: self.admission.start.chain_before.prefix_u64(),
            created_ms: self.admission.start.created_ms,
            lineage: self.admission.start.lineage,
            first_commit_ms: self.admission.first_commit_ms,
            last_commit_ms: self.admission.last_commit_ms,
        };
        hashed.inner.write_all(self.admission.chain.as_bytes()).map_err(failed)?;
        let mut inner = hashed.inner.into_inner().map_err(|error| failed(error.into_error()))?;
        let failed = |source| Error::write(source, 0);
        inner.seek(SeekFrom::Start(0)).map_err(failed)?;
        inner.write_all(&header.encode()).map_err(failed)?;
        inner.flush().map_err(failed)?;
        Ok(Finished { inner, header, chain_hash: self.admission.chain })
    }
}

enum Body<W: Write> {
    Plain(Hashed<W>),
    Zstd(Encoder<'static, Hashed<W>>),
}

impl<W: Write> std::fmt::Debug for Body<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body(at {})", self.offset())
    }
}

impl<W: Write> Body<W> {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(hashed) => hashed.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// The file offset behind what the compressor has let go.
    fn offset(&self) -> u64 {
        let written = match self {
            Self::Plain(hashed) => hashed.written,
            Self::Zstd(encoder) => encoder.get_ref().written,
        };
        HEADER_LEN as u64 + written
    }
}

/// Hashes and counts what passes to the file.
struct Hashed<W: Write> {
    inner: BufWriter<W>,
    hasher: Sha256,
    written: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        let (written, _) = bytes.split_at(taken.min(bytes.len()));
        self.hasher.update(written);
        self.written += written.len() as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
