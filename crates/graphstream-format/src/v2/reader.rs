//! Reads a sealed version 2 segment as a stream and checks all of it.
//!
//! ```text
//! read a frame's bytes (in order) -> decode and verify it (here, or by a worker) -> link it to the one before (in order) -> entries
//! ```

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use super::body::Body;
use super::decoding::{Batch, DecodeWith, Decoded, Decoding};
use super::footer::Footer;
use super::frame::{Codec, FrameHeader, Place, Stored};
use super::index::IndexRow;
use super::workers::Workers;
use super::{
    CHUNK_TEXT_BYTES_MAX, FINAL_HASH_LEN, FOOTER_LEN, FRAME_HEADER_LEN, INDEX_ROW_LEN, footer_field,
    frame_field,
};
use crate::bytes::array;
use crate::chain::ChainHash;
use crate::compression;
use crate::damage::Damage;
use crate::encryption::{CHUNK_PREFIX_LEN, ChunkOpener, EXTENSION_LEN, Extension, KeyRing};
use crate::error::{Error, Result};
use crate::header::{HEADER_LEN, Header, field};
use crate::limits;
use crate::open::EntryRef;
use crate::reader::{ReadOptions, SegmentEnd, read_exact};

/// The part of a [`SegmentReader`](crate::SegmentReader) behind the header.
pub(crate) struct SealedReader<R> {
    header: Header,
    body: Body<R>,
    expected_chain: Option<ChainHash>,
    body_bytes_max: u64,
    codec: Codec,
    with: DecodeWith,
    /// The next chunk's length, once that was read.
    chunk_len: Option<usize>,
    /// Frames that were read.
    frames_read: u32,
    workers: Option<Workers>,
    /// Frames that were read, in order.
    under_way: VecDeque<Decoding>,
    /// Frames that were decoded and not linked yet, in order.
    decoded: VecDeque<Decoded>,
    /// Entries whose frames were read.
    entries_read: u64,
    /// Entry bytes, before compression, whose frames were read.
    raw_bytes_read: u64,
    /// Nothing more is read.
    read_failed: bool,
    /// Buffers to be used again.
    spare: Vec<Decoded>,
    /// The frame whose entries are given out, and how many of them were.
    present: Decoded,
    given: usize,
    /// Entry bytes, before compression, of the frames up to this one.
    raw_bytes: u64,
    /// Entries before `frame`.
    entries_before: u64,
    chain: ChainHash,
    last_commit_ms: i64,
    chain_before: Option<ChainHash>,
    /// What the index must be.
    index: Vec<u8>,
}

impl<R: Read> SealedReader<R> {
    /// `inner` stands behind the header, which was checked; so was the length of the file.
    pub(crate) fn new(mut inner: R, header: Header, options: &ReadOptions) -> Result<Self> {
        let extension = if header.is_encrypted() {
            let mut bytes = [0; EXTENSION_LEN];
            read_exact(&mut inner, &mut bytes, HEADER_LEN as u64)?;
            Some(Extension::decode(&bytes)?)
        } else {
            None
        };
        let opener = match (KeyRing::for_reading(options.keys.as_deref(), extension.as_ref())?, &extension) {
            (Some(key), Some(extension)) => Some(Arc::new(ChunkOpener::new(key, &header, extension)?)),
            _ => None,
        };
        let body = Body::new(inner, HEADER_LEN as u64 + u64::from(header.ext_len), header.body_len);
        Ok(Self {
            body,
            with: DecodeWith { opener, form: Stored::by(header.flags) },
            chunk_len: None,
            frames_read: 0,
            expected_chain: options.expected_chain,
            body_bytes_max: options.body_bytes_max.min(limits::BODY_BYTES_MAX),
            codec: Codec::default(),
            workers: None,
            under_way: VecDeque::new(),
            decoded: VecDeque::new(),
            entries_read: 0,
            raw_bytes_read: 0,
            read_failed: false,
            raw_bytes: 0,
            spare: Vec::new(),
            present: Decoded::new(),
            given: 0,
            entries_before: 0,
            chain: ChainHash::ZERO,
            last_commit_ms: header.first_commit_ms,
            chain_before: None,
            index: Vec::new(),
            header,
        })
    }

    pub(crate) fn use_workers(&mut self, workers: Workers) {
        self.workers = Some(workers);
    }

    /// The next entry; `None` after the last one.
    pub(crate) fn next_entry(&mut self) -> Result<Option<EntryRef<'_>>> {
        if self.given == self.present.frame.count() && !self.next_frame()? {
            return Ok(None);
        }
        self.given += 1;
        Ok(self.present.frame.entry(self.given - 1))
    }

    /// The chain hash before the first entry; unknown until that was read.
    pub(crate) const fn chain_before(&self) -> Option<ChainHash> {
        self.chain_before
    }

    /// Makes the next frame the one whose entries are given out; false after the last.
    fn next_frame(&mut self) -> Result<bool> {
        if self.decoded.is_empty() && !self.next_batch()? {
            return Ok(false);
        }
        let Some(mut decoded) = self.decoded.pop_front() else { return Ok(false) };
        std::mem::replace(&mut decoded.result, Ok(()))?;
        self.entries_before += self.present.frame.count() as u64;
        let passed = std::mem::replace(&mut self.present, decoded);
        self.spare.push(passed);
        self.given = 0;
        self.link()?;
        Ok(true)
    }

    /// Waits for the next frames, and has those behind them read and decoded; false after the last.
    fn next_batch(&mut self) -> Result<bool> {
        let depth = self.workers.as_ref().map_or(1, |workers| workers.threads() + 1);
        while self.under_way.len() < depth {
            let batch = self.read_batch();
            if batch.is_empty() {
                break;
            }
            let with = self.with.clone();
            self.under_way.push_back(match &self.workers {
                Some(workers) => Decoding::Worker(workers.submit(move |codec| batch.decode(&with, codec))),
                None => Decoding::Done(batch.decode(&with, &mut self.codec)),
            });
        }
        let Some(batch) = self.under_way.pop_front() else { return Ok(false) };
        self.decoded.extend(batch.wait()?.into_frames());
        Ok(true)
    }

    /// Reads the frames that are decoded together. An error shows after the frames before it; nothing behind it is read.
    fn read_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        while batch.has_room() && !self.read_failed {
            let follows = self.frame_follows();
            if matches!(follows, Ok(false)) {
                break;
            }
            let mut next = self.spare.pop().unwrap_or_else(Decoded::new);
            next.result = follows.and_then(|_| self.read_frame(&mut next));
            self.read_failed = next.result.is_err();
            batch.push(next);
        }
        batch
    }

    /// Whether a frame follows, rather than the index.
    fn frame_follows(&mut self) -> Result<bool> {
        if self.with.opener.is_none() {
            return Ok(self.entries_read < self.header.entry_count);
        }
        let length = match self.chunk_len {
            Some(length) => length,
            None => {
                let offset = self.body.offset;
                let mut prefix = Vec::new();
                self.body.read(CHUNK_PREFIX_LEN as u64, &mut prefix, None)?;
                let length = ChunkOpener::length(array(&prefix, 0), CHUNK_TEXT_BYTES_MAX, offset)?;
                *self.chunk_len.insert(length)
            }
        };
        // The last chunk is the index.
        Ok(length as u64 != self.body.left)
    }

    /// Reads the bytes of the next frame.
    fn read_frame(&mut self, next: &mut Decoded) -> Result<()> {
        next.stored.clear();
        next.number = self.frames_read;
        // How many entries an encrypted frame holds shows only when it was decrypted.
        let sequence = self.with.opener.is_none().then_some(self.header.first_seq + self.entries_read);
        let offset = match self.chunk_len.take() {
            Some(length) => {
                let offset = self.body.offset - CHUNK_PREFIX_LEN as u64;
                self.body.read(length as u64, &mut next.stored, None).map(|()| offset)
            }
            None => self.read_plain(&mut next.stored),
        }?;
        next.place = Place { offset, sequence };
        if next.number == limits::FRAMES_MAX {
            let (found, max) = (u64::from(next.number) + 1, u64::from(limits::FRAMES_MAX));
            return Err(Error::damaged(Damage::Frames { found, max }, offset, None));
        }
        self.frames_read += 1;
        Ok(())
    }

    /// The same for one that is not encrypted; returns where it stands. Its lengths and its count are checked before they are trusted.
    fn read_plain(&mut self, stored: &mut Vec<u8>) -> Result<u64> {
        let offset = self.body.offset;
        let sequence = self.header.first_seq + self.entries_read;
        self.body.read(FRAME_HEADER_LEN as u64, stored, Some(sequence))?;
        let fields = FrameHeader::decode(stored);
        let place = Place { offset, sequence: Some(sequence) };
        fields.check(self.with.form, place)?;
        let count = u64::from(fields.count);
        if count > self.header.entry_count - self.entries_read {
            let what = Damage::FrameField { field: "count", found: count };
            return Err(Error::damaged(what, offset + frame_field::COUNT as u64, Some(sequence)));
        }
        let raw_bytes = self.raw_bytes_read + u64::from(fields.raw_len);
        if raw_bytes > self.body_bytes_max {
            return Err(Error::BodyTooLarge { sequence, max: self.body_bytes_max });
        }
        self.body.read(fields.stored_len.into(), stored, Some(sequence))?;
        self.entries_read += count;
        self.raw_bytes_read = raw_bytes;
        Ok(offset)
    }

    /// Checks that the new frame goes on where the one before it ended, and notes its row of the index.
    fn link(&mut self) -> Result<()> {
        let frame = &self.present.frame;
        let sequence = self.header.first_seq + self.entries_before;
        let damaged = |what, field: usize| Error::damaged(what, frame.offset + field as u64, Some(sequence));
        if frame.first_seq != sequence {
            let what = Damage::Sequence { expected: sequence, found: frame.first_seq };
            return Err(damaged(what, frame_field::FIRST_SEQ));
        }
        // Of an encrypted frame both show only now.
        let count = frame.count() as u64;
        if count > self.header.entry_count - self.entries_before {
            return Err(damaged(Damage::FrameField { field: "count", found: count }, frame_field::COUNT));
        }
        self.raw_bytes += frame.raw_len as u64;
        if self.raw_bytes > self.body_bytes_max {
            return Err(Error::BodyTooLarge { sequence, max: self.body_bytes_max });
        }
        let first = self.chain_before.is_none();
        if !first && frame.chain_before != self.chain {
            let what = Damage::Chain { expected: self.chain, found: frame.chain_before };
            return Err(damaged(what, frame_field::CHAIN_BEFORE));
        }
        let time = frame.first_commit_ms;
        if if first { time != self.last_commit_ms } else { time < self.last_commit_ms } {
            let what = Damage::FrameField { field: "first_commit_ms", found: time.cast_unsigned() };
            return Err(damaged(what, frame_field::FIRST_COMMIT_MS));
        }
        if first {
            let (found, expected) = (self.header.prev_segment_checksum, frame.chain_before.prefix_u64());
            // An encrypted segment shows none.
            if found != expected && self.with.opener.is_none() {
                let offset = field::PREV_SEGMENT_CHECKSUM as u64;
                return Err(Error::damaged(Damage::ChainPrefix { expected, found }, offset, Some(sequence)));
            }
            if let Some(expected) = self.expected_chain
                && expected != frame.chain_before
            {
                return Err(Error::ChainMismatch { sequence, expected, found: frame.chain_before });
            }
            self.chain_before = Some(frame.chain_before);
        }
        let row = IndexRow {
            offset: frame.offset,
            first_seq: frame.first_seq,
            first_commit_ms: frame.first_commit_ms,
            chain_before: frame.chain_before,
        };
        self.index.extend_from_slice(&row.encode());
        self.chain = frame.chain_after;
        self.last_commit_ms = frame.last_commit_ms;
        Ok(())
    }

    /// Checks everything behind the last frame: the index, the last chain hash, the body's checksum, the footer, the end of the file.
    pub(crate) fn finish(&mut self) -> Result<SegmentEnd> {
        let last = self.header.last_seq;
        let damaged = |what, offset| Error::damaged(what, offset, Some(last));
        let expected = self.index.len() + FINAL_HASH_LEN;
        let mut index_offset = self.body.offset;
        let mut found = Vec::new();
        match (&self.with.opener, self.chunk_len) {
            (Some(opener), Some(length)) => {
                index_offset -= CHUNK_PREFIX_LEN as u64;
                self.body.read(length as u64, &mut found, Some(last))?;
                let text_len = opener.open(self.frames_read, true, &mut found, index_offset)?.len();
                found.truncate(text_len);
            }
            _ if self.body.left > expected as u64 => {
                return Err(damaged(Damage::TrailingBytes, index_offset));
            }
            _ => self.body.read(expected as u64, &mut found, Some(last))?,
        }
        if self.last_commit_ms != self.header.last_commit_ms {
            let found = self.header.last_commit_ms.cast_unsigned();
            let what = Damage::HeaderField { field: "last_commit_ms", found };
            return Err(damaged(what, field::LAST_COMMIT_MS as u64));
        }
        if self.entries_before + self.present.frame.count() as u64 != self.header.entry_count {
            let what = Damage::HeaderField { field: "entry_count", found: self.header.entry_count };
            return Err(damaged(what, field::ENTRY_COUNT as u64));
        }
        if found.len() != expected {
            return Err(damaged(Damage::Index, index_offset));
        }
        let (rows, chain) = found.split_at(self.index.len());
        if rows != self.index {
            let same = rows.iter().zip(&self.index).take_while(|(found, expected)| found == expected).count();
            return Err(damaged(Damage::Index, index_offset + (same - same % INDEX_ROW_LEN) as u64));
        }
        let found = ChainHash::from_bytes(array(chain, 0));
        if found != self.chain {
            let what = Damage::Chain { expected: self.chain, found };
            return Err(damaged(what, index_offset + rows.len() as u64));
        }
        if self.body.checksum() != self.header.body_checksum {
            return Err(Error::damaged(Damage::BodyChecksum, field::BODY_CHECKSUM as u64, None));
        }
        self.check_footer(index_offset)?;
        Ok(SegmentEnd {
            last_seq: last,
            chain_hash: self.chain,
            entries: self.header.entry_count,
            last_commit_ms: self.last_commit_ms,
            body_checksum_verified: true,
            torn: None,
        })
    }

    fn check_footer(&mut self, index_offset: u64) -> Result<()> {
        let start = self.body.offset;
        let end = start + FOOTER_LEN as u64;
        let mut bytes = [0; FOOTER_LEN];
        read_exact(&mut self.body.inner, &mut bytes, start)?;
        let footer = Footer::decode(&bytes, end)?;
        // With the file's length, the number of frames gives the index's offset.
        if footer.index_offset != index_offset {
            let what = Damage::FooterField { field: "index_offset", found: footer.index_offset };
            return Err(Error::damaged(what, start + footer_field::INDEX_OFFSET as u64, None));
        }
        footer.check_against(&self.header, start)?;
        if !compression::at_end(&mut self.body.inner).map_err(|source| Error::read(source, end))? {
            return Err(Error::damaged(Damage::TrailingBytes, end, None));
        }
        Ok(())
    }
}
