//! Writes a sealed version 2 segment as a stream: entries are collected into frames, frames are encoded (by [`Workers`] if there are
//! any) and written in order, and the header, which is known last, is patched in at the end.

use std::collections::VecDeque;
use std::io::{Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::footer::Footer;
use super::frame::Codec;
use super::range::SegmentRange;
use super::raw_frame::RawFrame;
use super::workers::{UnderWay, Workers};
use crate::admission::Admission;
use crate::chain::ChainHash;
use crate::compression::Compression;
use crate::encryption::{
    CHUNK_PREFIX_LEN, ChunkSealer, ChunkSlot, DataKey, EXTENSION_LEN, SEGMENT_RANDOM_LEN,
};
use crate::entry::SegmentStart;
use crate::error::{Error, Result, Unwritable};
use crate::header::{
    COMPRESSION_COLUMNS, COMPRESSION_NONE, COMPRESSION_ZSTD, FLAG_COLUMNS, FLAG_COMPRESSED, FLAG_ENCRYPTED,
    FLAG_SEALED, HEADER_LEN, Header, VERSION_2,
};
use crate::open::EntryRef;
use crate::v1::Finished;

/// A streaming writer of one sealed version 2 segment. Memory does not grow with the segment but for the index, 56 bytes a frame. Until
/// [`Writer::finish`] returned, the file starts with zeros, which nothing takes for a segment.
///
/// ```
/// use std::io::Cursor;
/// use graphstream_format::{ChainHash, Compression, Lineage, ReadOptions, SegmentReader, SegmentStart, v2};
///
/// let start = SegmentStart {
///     lineage: Lineage::from_bytes([7; 16]),
///     first_seq: 1,
///     chain_before: ChainHash::ZERO,
///     created_ms: 1_700_000_000_000,
/// };
/// let mut writer = v2::Writer::new(Cursor::new(Vec::new()), start, Compression::default())?;
/// writer.push(b"first", 1_700_000_000_001)?;
/// writer.push(b"second", 1_700_000_000_002)?;
/// let sealed = writer.finish()?;
///
/// let file = sealed.inner.into_inner();
/// let reader = SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default())?;
/// let times: Result<Vec<_>, _> = reader.map(|entry| entry.map(|entry| entry.commit_ms)).collect();
/// assert_eq!(times?, [1_700_000_000_001, 1_700_000_000_002]);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    /// `None` after a failure.
    body: Option<Body<W>>,
    admission: Admission,
    compression: Compression,
    encryption: Option<Encryption>,
    /// The entries that were not encoded yet.
    frame: RawFrame,
    codec: Codec,
    workers: Option<Workers>,
    /// Frames that are being encoded, in order.
    under_way: VecDeque<UnderWay<Result<Encoded>>>,
    /// Buffers to be used again.
    spare: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a segment at the beginning of `inner`, which must be empty.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a zero lineage, a zero sequence or a level out of range; [`Error::Io`].
    pub fn new(inner: W, start: SegmentStart, compression: Compression) -> Result<Self> {
        start.check()?;
        compression.check()?;
        Self::started(inner, start, compression, None)
    }

    /// As [`Writer::new`], for an encrypted segment. Its header is bound to its chunks, so it must be known before the first one what the
    /// segment will hold: `range`. `random` must come from a source of cryptographic quality and serve no other segment.
    ///
    /// # Errors
    /// As [`Writer::new`]; [`Unwritable::Range`] for an impossible one.
    pub fn encrypted(
        inner: W,
        start: SegmentStart,
        compression: Compression,
        range: SegmentRange,
        key: &DataKey,
        random: &[u8; SEGMENT_RANDOM_LEN],
    ) -> Result<Self> {
        start.check()?;
        compression.check()?;
        if range.last_seq < start.first_seq || range.last_commit_ms < range.first_commit_ms {
            return Err(Error::Unwritable(Unwritable::Range));
        }
        let sealer = ChunkSealer::new(key, &header(&start, range, compression, true), random);
        Self::started(inner, start, compression, Some(Encryption { sealer, range }))
    }

    fn started(
        mut inner: W,
        start: SegmentStart,
        compression: Compression,
        encryption: Option<Encryption>,
    ) -> Result<Self> {
        let failed = |source| Error::write(source, 0);
        inner.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut front = vec![0; HEADER_LEN];
        if let Some(encryption) = &encryption {
            front.extend_from_slice(&encryption.sealer.extension().encode());
        }
        inner.write_all(&front).map_err(failed)?;
        let offset = front.len() as u64;
        let body = Body { inner, hasher: Sha256::new(), offset, index: Vec::new(), frames: 0 };
        Ok(Self {
            body: Some(body),
            encryption,
            compression,
            frame: RawFrame::new(Vec::new(), start.first_seq, start.chain_before),
            admission: Admission::new(start),
            codec: Codec::default(),
            workers: None,
            under_way: VecDeque::new(),
            spare: Vec::new(),
        })
    }

    /// Has frames encoded by these threads. The file gets the same bytes.
    #[must_use]
    pub fn with_workers(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
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
        let room = self.frame.room_for(payload, commit_ms);
        let raw_len = room.unwrap_or_else(|| RawFrame::first_len(payload));
        let admitted = self.admission.check(payload, commit_ms, raw_len)?;
        if self.body.is_none() {
            return Err(Error::Unwritable(Unwritable::Poisoned));
        }
        if room.is_none() {
            self.cut(admitted.sequence)?;
        }
        self.frame.push(payload, commit_ms);
        self.admission.add(admitted, payload, chain);
        Ok(admitted.sequence)
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

    /// Ends the frame under construction; the next one starts at `sequence`.
    fn cut(&mut self, sequence: u64) -> Result<()> {
        let (raw, out) = self.spare.pop().unwrap_or_default();
        let frame = std::mem::replace(&mut self.frame, RawFrame::new(raw, sequence, self.admission.chain));
        let compression = self.compression;
        // Numbered in the order of the frames, whoever seals them.
        let slot = match &mut self.encryption {
            Some(encryption) => Some(encryption.sealer.next_chunk()?),
            None => None,
        };
        let result = match &self.workers {
            None => {
                let encoded = Encoded::new(frame, compression, slot, &mut self.codec, out);
                self.write(encoded)
            }
            Some(workers) => {
                let depth = workers.threads();
                let encode = move |codec: &mut Codec| Encoded::new(frame, compression, slot, codec, out);
                self.under_way.push_back(workers.submit(encode));
                self.write_encoded(depth)
            }
        };
        if result.is_err() {
            self.body = None;
        }
        result
    }

    /// Writes frames until at most this many are under way.
    fn write_encoded(&mut self, leave: usize) -> Result<()> {
        while self.under_way.len() > leave {
            let Some(encoded) = self.under_way.pop_front() else { break };
            let encoded = encoded.wait()?;
            self.write(encoded)?;
        }
        Ok(())
    }

    fn write(&mut self, encoded: Result<Encoded>) -> Result<()> {
        let body = self.body.as_mut().ok_or(Error::Unwritable(Unwritable::Poisoned))?;
        let encoded = encoded.map_err(|error| match error {
            Error::Io { source, .. } => Error::write(source, body.offset),
            other => other,
        })?;
        body.index.extend_from_slice(&encoded.frame.row(body.offset).encode());
        body.frames += 1;
        body.write(&encoded.bytes)?;
        self.spare.push((encoded.frame.into_buffer(), encoded.bytes));
        Ok(())
    }

    /// Ends the body, appends index and footer and writes the header. Nothing is synced.
    ///
    /// # Errors
    /// [`Unwritable::Empty`] without entries; [`Error::Io`].
    pub fn finish(mut self) -> Result<Finished<W>> {
        if self.body.is_none() {
            return Err(Error::Unwritable(Unwritable::Poisoned));
        }
        let last_seq = self.admission.last_seq()?;
        self.cut(0)?;
        self.write_encoded(0)?;
        let mut body = self.body.take().ok_or(Error::Unwritable(Unwritable::Poisoned))?;
        let range = SegmentRange {
            last_seq,
            first_commit_ms: self.admission.first_commit_ms,
            last_commit_ms: self.admission.last_commit_ms,
        };
        let mut header = header(&self.admission.start, range, self.compression, self.encryption.is_some());
        let footer = Footer {
            index_offset: body.offset,
            frame_count: body.frames,
            first_seq: header.first_seq,
            last_seq: header.last_seq,
            flags: header.flags,
        };
        let mut index = std::mem::take(&mut body.index);
        index.extend_from_slice(self.admission.chain.as_bytes());
        if let Some(encryption) = self.encryption {
            if range != encryption.range {
                return Err(Error::Unwritable(Unwritable::Range));
            }
            index.splice(..0, [0; CHUNK_PREFIX_LEN]);
            encryption.sealer.last_chunk().seal(&mut index)?;
        }
        body.write(&index)?;
        header.body_len = body.offset - HEADER_LEN as u64 - u64::from(header.ext_len);
        header.body_checksum = body.hasher.finalize().into();
        let mut inner = body.inner;
        inner.write_all(&footer.encode()).map_err(|source| Error::write(source, body.offset))?;
        let failed = |source| Error::write(source, 0);
        inner.seek(SeekFrom::Start(0)).map_err(failed)?;
        inner.write_all(&header.encode()).map_err(failed)?;
        inner.flush().map_err(failed)?;
        Ok(Finished { inner, header, chain_hash: self.admission.chain })
    }
}

/// A frame ready to be written, with both buffers.
#[derive(Debug)]
struct Encoded {
    frame: RawFrame,
    bytes: Vec<u8>,
}

impl Encoded {
    fn new(
        frame: RawFrame,
        compression: Compression,
        slot: Option<ChunkSlot>,
        codec: &mut Codec,
        mut bytes: Vec<u8>,
    ) -> Result<Self> {
        let zeros = if slot.is_some() { CHUNK_PREFIX_LEN } else { 0 };
        frame.encode(zeros, compression, codec, &mut bytes).map_err(|source| Error::write(source, 0))?;
        if let Some(slot) = slot {
            slot.seal(&mut bytes)?;
        }
        Ok(Self { frame, bytes })
    }
}

#[derive(Debug)]
struct Encryption {
    sealer: ChunkSealer,
    range: SegmentRange,
}

/// The header but for length and checksum of the body.
fn header(start: &SegmentStart, range: SegmentRange, compression: Compression, encrypted: bool) -> Header {
    let (flags, compression) = match compression {
        Compression::None => (FLAG_SEALED, COMPRESSION_NONE),
        Compression::Zstd { .. } => (FLAG_SEALED | FLAG_COMPRESSED, COMPRESSION_ZSTD),
        Compression::Columns { .. } => (FLAG_SEALED | FLAG_COMPRESSED | FLAG_COLUMNS, COMPRESSION_COLUMNS),
    };
    Header {
        version: VERSION_2,
        flags: if encrypted { flags | FLAG_ENCRYPTED } else { flags },
        compression,
        ext_len: if encrypted { EXTENSION_LEN as u32 } else { 0 },
        first_seq: start.first_seq,
        last_seq: range.last_seq,
        entry_count: (range.last_seq - start.first_seq).saturating_add(1),
        body_len: 0,
        body_checksum: [0; 32],
        // A chain value outside of the encrypted part would let a guess of an entry be tested.
        prev_segment_checksum: if encrypted { 0 } else { start.chain_before.prefix_u64() },
        created_ms: start.created_ms,
        lineage: start.lineage,
        first_commit_ms: range.first_commit_ms,
        last_commit_ms: range.last_commit_ms,
    }
}

/// What was written: hashed, counted, and listed for the index.
#[derive(Debug)]
struct Body<W> {
    inner: W,
    hasher: Sha256,
    offset: u64,
    index: Vec<u8>,
    frames: u32,
}

impl<W: Write> Body<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(|source| Error::write(source, self.offset))?;
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
