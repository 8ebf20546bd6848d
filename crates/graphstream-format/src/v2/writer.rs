//! Writes a sealed version 2 segment as a stream: entries are collected into frames, frames are encoded (by [`Workers`] if there are
//! any) and written in order, and the header, which is known last, is patched in at the end.

use std::collections::VecDeque;
use std::io::{Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::footer::Footer;
use super::frame::Codec;
use super::raw_frame::RawFrame;
use super::workers::{UnderWay, Workers};
use crate::chain::ChainHash;
use crate::compression::Compression;
use crate::entry::SegmentStart;
use crate::error::{Error, Result, Unwritable};
use crate::header::{
    COMPRESSION_NONE, COMPRESSION_ZSTD, FLAG_COMPRESSED, FLAG_SEALED, HEADER_LEN, Header, VERSION_2,
};
use crate::limits;
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
    start: SegmentStart,
    compression: Compression,
    /// The entries that were not encoded yet.
    frame: RawFrame,
    chain: ChainHash,
    /// The sequence of the next entry; `None` once `u64::MAX` was written.
    next_seq: Option<u64>,
    entries: u64,
    raw_bytes: u64,
    first_commit_ms: i64,
    last_commit_ms: i64,
    codec: Codec,
    workers: Option<Workers>,
    /// Frames that are being encoded, in order.
    under_way: VecDeque<UnderWay<std::io::Result<Encoded>>>,
    /// Buffers to be used again.
    spare: Vec<(Vec<u8>, Vec<u8>)>,
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
        inner.write_all(&[0; HEADER_LEN]).map_err(failed)?;
        let body =
            Body { inner, hasher: Sha256::new(), offset: HEADER_LEN as u64, index: Vec::new(), frames: 0 };
        Ok(Self {
            body: Some(body),
            compression,
            frame: RawFrame::new(Vec::new(), start.first_seq, start.chain_before),
            chain: start.chain_before,
            next_seq: Some(start.first_seq),
            start,
            entries: 0,
            raw_bytes: 0,
            first_commit_ms: 0,
            last_commit_ms: 0,
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
        let sequence = self.next_seq.ok_or(Error::Unwritable(Unwritable::SequenceRange))?;
        if payload.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge {
                bytes: payload.len() as u64,
                max: limits::PAYLOAD_BYTES_MAX as u64,
            });
        }
        if self.entries > 0 && commit_ms < self.last_commit_ms {
            return Err(Error::CommitTimeDecreases {
                sequence,
                previous: self.last_commit_ms,
                found: commit_ms,
            });
        }
        let room = self.frame.room_for(payload, commit_ms);
        let raw_bytes = self.raw_bytes + room.unwrap_or_else(|| RawFrame::first_len(payload)) as u64;
        if raw_bytes > limits::BODY_BYTES_MAX {
            return Err(Error::BodyTooLarge { sequence, max: limits::BODY_BYTES_MAX });
        }
        if self.body.is_none() {
            return Err(Error::Unwritable(Unwritable::Poisoned));
        }
        if room.is_none() {
            self.cut(sequence)?;
        }
        self.frame.push(payload, commit_ms);
        self.chain = chain.unwrap_or_else(|| self.chain.after(payload));
        self.raw_bytes = raw_bytes;
        if self.entries == 0 {
            self.first_commit_ms = commit_ms;
        }
        self.last_commit_ms = commit_ms;
        self.entries += 1;
        self.next_seq = sequence.checked_add(1);
        Ok(sequence)
    }

    /// Number of entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of the entries before compression so far.
    #[must_use]
    pub const fn body_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// The chain hash after the last entry so far.
    #[must_use]
    pub const fn chain_hash(&self) -> ChainHash {
        self.chain
    }

    /// Ends the frame under construction; the next one starts at `sequence`.
    fn cut(&mut self, sequence: u64) -> Result<()> {
        let (raw, out) = self.spare.pop().unwrap_or_default();
        let frame = std::mem::replace(&mut self.frame, RawFrame::new(raw, sequence, self.chain));
        let compression = self.compression;
        let result = match &self.workers {
            None => {
                let encoded = Encoded::new(frame, compression, &mut self.codec, out);
                self.write(encoded)
            }
            Some(workers) => {
                let depth = workers.threads();
                let encode = move |codec: &mut Codec| Encoded::new(frame, compression, codec, out);
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

    fn write(&mut self, encoded: std::io::Result<Encoded>) -> Result<()> {
        let body = self.body.as_mut().ok_or(Error::Unwritable(Unwritable::Poisoned))?;
        let encoded = encoded.map_err(|source| Error::write(source, body.offset))?;
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
        if self.entries == 0 {
            return Err(Error::Unwritable(Unwritable::Empty));
        }
        self.cut(0)?;
        self.write_encoded(0)?;
        let mut body = self.body.take().ok_or(Error::Unwritable(Unwritable::Poisoned))?;
        let (flags, compression) = match self.compression {
            Compression::None => (FLAG_SEALED, COMPRESSION_NONE),
            Compression::Zstd { .. } => (FLAG_SEALED | FLAG_COMPRESSED, COMPRESSION_ZSTD),
        };
        let last_seq = self.start.first_seq + (self.entries - 1);
        let footer = Footer {
            index_offset: body.offset,
            frame_count: body.frames,
            first_seq: self.start.first_seq,
            last_seq,
            flags,
        };
        let mut index = std::mem::take(&mut body.index);
        index.extend_from_slice(self.chain.as_bytes());
        body.write(&index)?;
        let header = Header {
            version: VERSION_2,
            flags,
            compression,
            ext_len: 0,
            first_seq: self.start.first_seq,
            last_seq,
            entry_count: self.entries,
            body_len: body.offset - HEADER_LEN as u64,
            body_checksum: body.hasher.finalize().into(),
            prev_segment_checksum: self.start.chain_before.prefix_u64(),
            created_ms: self.start.created_ms,
            lineage: self.start.lineage,
            first_commit_ms: self.first_commit_ms,
            last_commit_ms: self.last_commit_ms,
        };
        let mut inner = body.inner;
        inner.write_all(&footer.encode()).map_err(|source| Error::write(source, body.offset))?;
        let failed = |source| Error::write(source, 0);
        inner.seek(SeekFrom::Start(0)).map_err(failed)?;
        inner.write_all(&header.encode()).map_err(failed)?;
        inner.flush().map_err(failed)?;
        Ok(Finished { inner, header, chain_hash: self.chain })
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
        codec: &mut Codec,
        mut bytes: Vec<u8>,
    ) -> std::io::Result<Self> {
        frame.encode(compression, codec, &mut bytes)?;
        Ok(Self { frame, bytes })
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
