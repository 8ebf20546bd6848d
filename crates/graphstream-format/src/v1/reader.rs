//! Reads a sealed version 1 segment as a stream and checks all of it.

use std::io::{BufRead, BufReader, Error as IoError, ErrorKind, Read};

use sha2::{Digest, Sha256};
use zstd::stream::read::Decoder;

use super::frame::checksum;
use super::{ENTRY_HEADER_LEN, EntryFrame, TRAILER_LEN};
use crate::chain::ChainHash;
use crate::compression;
use crate::damage::{Damage, Offset};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::header::{COMPRESSION_ZSTD, HEADER_LEN, Header, field};
use crate::limits;
use crate::reader::{ReadOptions, SegmentEnd};

/// Bytes read from the file at once.
const BUFFER_LEN: usize = 64 << 10;

/// The part of a [`SegmentReader`](crate::SegmentReader) behind the header.
pub(crate) struct SealedReader<R: Read> {
    header: Header,
    body: Body<R>,
    expected_chain: Option<ChainHash>,
    body_bytes_max: u64,
    /// Bytes of the decompressed body before the next entry.
    at: u64,
    /// Entries that were read, the one ahead included.
    entries: u64,
    /// The chain hash after them.
    chain: ChainHash,
    /// What became of the entry behind the one that was given out last: its payload is in `ahead_payload`.
    ahead: Option<Result<()>>,
    ahead_payload: Vec<u8>,
    /// The frame of the next entry, if that was too large to be read ahead.
    frame: Option<[u8; ENTRY_HEADER_LEN]>,
    /// The chain hash before the first entry, once that was read.
    chain_before: Option<ChainHash>,
}

impl<R: Read> SealedReader<R> {
    /// `inner` stands behind the header, which was checked; so was the length of the file.
    pub(crate) fn new(inner: R, header: Header, options: &ReadOptions) -> Result<Self> {
        let stored = BufReader::with_capacity(
            BUFFER_LEN,
            Stored { inner, hasher: Sha256::new(), left: header.body_len, failed: false },
        );
        let body = if header.compression == COMPRESSION_ZSTD {
            let window_log_max = if header.is_legacy() {
                limits::ZSTD_WINDOW_LOG_LEGACY_MAX
            } else {
                limits::ZSTD_WINDOW_LOG_MAX
            };
            let decoder = compression::decoder(stored, window_log_max)
                .map_err(|source| Error::read(source, HEADER_LEN as u64))?;
            Body::Zstd(BufReader::with_capacity(BUFFER_LEN, decoder))
        } else {
            Body::Plain(stored)
        };
        Ok(Self {
            header,
            body,
            expected_chain: options.expected_chain,
            body_bytes_max: options.body_bytes_max.min(limits::BODY_BYTES_MAX),
            at: 0,
            entries: 0,
            chain: ChainHash::ZERO,
            ahead: None,
            ahead_payload: Vec::new(),
            frame: None,
            chain_before: None,
        })
    }

    /// Reads the next entry; false after the last one. Two are read and hashed at once, which takes less time than one after the other: each
    /// names the chain hash before it, so neither hash waits for the other. What is wrong with the second shows when it is its turn.
    pub(crate) fn read_next(&mut self, entry: &mut Entry) -> Result<bool> {
        if self.ahead.is_some() {
            // Looked at where it stands: an error is large, and nearly never there.
            if let Some(Err(_)) = &self.ahead
                && let Some(Err(error)) = self.ahead.take()
            {
                return Err(error);
            }
            self.ahead = None;
            std::mem::swap(&mut entry.payload, &mut self.ahead_payload);
            self.describe(entry, self.chain);
            return Ok(true);
        }
        if self.entries == self.header.entry_count {
            return Ok(false);
        }
        let Some(prev_hash) = self.read_framed(usize::MAX, &mut entry.payload)? else { return Ok(false) };
        self.check_chain(prev_hash)?;
        self.chain_before.get_or_insert(prev_hash);
        self.pass(entry.payload.len());
        self.describe(entry, ChainHash::ZERO);
        if self.entries == self.header.entry_count {
            self.chain = prev_hash.after(&entry.payload);
            entry.chain_hash = self.chain;
            return Ok(true);
        }
        let mut payload = std::mem::take(&mut self.ahead_payload);
        let ahead = self.read_framed(BUFFER_LEN, &mut payload);
        if let Ok(Some(next_prev)) = ahead {
            let (this, next) = ((prev_hash, &*entry.payload), (next_prev, &*payload));
            let [after_this, after_next] = ChainHash::after_two([this, next]);
            self.chain = after_this;
            self.ahead = Some(self.check_chain(next_prev));
            if let Some(Ok(())) = self.ahead {
                self.chain = after_next;
                self.pass(payload.len());
            }
            entry.chain_hash = after_this;
        } else {
            self.chain = prev_hash.after(&entry.payload);
            entry.chain_hash = self.chain;
            self.ahead = ahead.err().map(Err);
        }
        self.ahead_payload = payload;
        Ok(true)
    }

    /// Reads the next entry's frame and payload and checks them by themselves; returns the chain hash before it, or `None` (with its frame
    /// kept) if it is longer than `payload_max`.
    fn read_framed(&mut self, payload_max: usize, payload: &mut Vec<u8>) -> Result<Option<ChainHash>> {
        let expected = self.next_seq();
        let mut frame = [0; ENTRY_HEADER_LEN];
        if let Some(kept) = self.frame.take() {
            frame = kept;
        } else if let Err(error) = self.body.read_exact(&mut frame) {
            return Err(self.failed(error, expected));
        }
        let fields = EntryFrame::decode(&frame);
        let payload_len = u64::from(fields.payload_len);
        if payload_len > limits::PAYLOAD_BYTES_MAX as u64 {
            let what = Damage::Length { found: payload_len, max: limits::PAYLOAD_BYTES_MAX as u64 };
            return Err(self.damaged(what, expected));
        }
        if self.at + ENTRY_HEADER_LEN as u64 + payload_len > self.body_bytes_max {
            return Err(Error::BodyTooLarge { sequence: expected, max: self.body_bytes_max });
        }
        if payload_len > payload_max as u64 {
            self.frame = Some(frame);
            return Ok(None);
        }
        if let Err(error) = self.read_payload(payload_len, payload) {
            return Err(self.failed(error, expected));
        }
        let computed = checksum(&frame, payload);
        if computed != fields.crc {
            return Err(self.damaged(Damage::EntryChecksum { found: fields.crc, computed }, expected));
        }
        if fields.sequence != expected {
            return Err(self.damaged(Damage::Sequence { expected, found: fields.sequence }, expected));
        }
        Ok(Some(fields.prev_hash))
    }

    /// The sequence that the next entry must have.
    fn next_seq(&self) -> u64 {
        self.header.first_seq + self.entries
    }

    /// Goes behind the entry that was read.
    fn pass(&mut self, payload_len: usize) {
        self.at += (ENTRY_HEADER_LEN + payload_len) as u64;
        self.entries += 1;
    }

    /// Says of an entry what follows from its place, the last that was passed.
    fn describe(&self, entry: &mut Entry, chain_hash: ChainHash) {
        entry.sequence = self.header.first_seq + (self.entries - 1);
        entry.commit_ms = self.commit_ms();
        entry.commit_exact = false;
        entry.chain_hash = chain_hash;
    }

    /// The chain hash before the first entry; unknown until that was read.
    pub(crate) const fn chain_before(&self) -> Option<ChainHash> {
        self.chain_before
    }

    /// Replaces `payload` by the next `len` bytes. A large one grows with what is really there, not with what its length
    /// claims.
    fn read_payload(&mut self, len: u64, payload: &mut Vec<u8>) -> std::io::Result<()> {
        payload.clear();
        if len <= BUFFER_LEN as u64 {
            payload.resize(len as usize, 0);
            return self.body.read_exact(payload);
        }
        let read = self.body.by_ref().take(len).read_to_end(payload)?;
        if read as u64 == len { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn check_chain(&self, prev_hash: ChainHash) -> Result<()> {
        let sequence = self.next_seq();
        if self.entries > 0 {
            if prev_hash != self.chain {
                return Err(self.damaged(Damage::Chain { expected: self.chain, found: prev_hash }, sequence));
            }
            return Ok(());
        }
        let (found, expected) = (self.header.prev_segment_checksum, prev_hash.prefix_u64());
        if found != expected {
            let offset = field::PREV_SEGMENT_CHECKSUM as u64;
            return Err(Error::damaged(Damage::ChainPrefix { expected, found }, offset, Some(sequence)));
        }
        match self.expected_chain {
            Some(expected) if expected != prev_hash => {
                Err(Error::ChainMismatch { sequence, expected, found: prev_hash })
            }
            _ => Ok(()),
        }
    }

    /// Checks everything behind the last entry: the end of the body, its checksum, the trailer, the end of the file.
    pub(crate) fn finish(&mut self) -> Result<SegmentEnd> {
        let last = self.header.last_seq;
        match compression::at_end(&mut self.body) {
            Ok(true) => {}
            Ok(false) => return Err(self.damaged(Damage::TrailingBytes, last)),
            Err(error) => return Err(self.failed(error, last)),
        }
        let body_end = HEADER_LEN as u64 + self.header.body_len;
        let stored = self.body.stored();
        let rest = loop {
            match stored.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                rest => break rest,
            }
        };
        match rest {
            // Behind the zstd frame.
            Ok(rest) if !rest.is_empty() => {
                let offset = body_end - rest.len() as u64 - stored.get_ref().left;
                return Err(Error::damaged(Damage::TrailingBytes, offset, Some(last)));
            }
            Ok(_) => {}
            Err(source) => return Err(Error::read(source, body_end)),
        }
        let stored = stored.get_mut();
        if stored.left > 0 {
            return Err(Error::damaged(Damage::EndsEarly, body_end - stored.left, Some(last)));
        }
        let checksum: [u8; 32] = std::mem::take(&mut stored.hasher).finalize().into();
        if checksum != self.header.body_checksum {
            return Err(Error::damaged(Damage::BodyChecksum, HEADER_LEN as u64, None));
        }
        let mut trailer = [0; TRAILER_LEN];
        stored.inner.read_exact(&mut trailer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::damaged(Damage::EndsEarly, body_end, Some(last)),
            _ => Error::read(source, body_end),
        })?;
        let found = ChainHash::from_bytes(trailer);
        if found != self.chain {
            let what = Damage::Chain { expected: self.chain, found };
            return Err(Error::damaged(what, body_end, Some(last)));
        }
        let file_end = body_end + TRAILER_LEN as u64;
        if !compression::at_end(&mut stored.inner).map_err(|source| Error::read(source, file_end))? {
            return Err(Error::damaged(Damage::TrailingBytes, file_end, Some(last)));
        }
        Ok(SegmentEnd {
            last_seq: last,
            chain_hash: self.chain,
            entries: self.entries,
            last_commit_ms: self.commit_ms(),
            body_checksum_verified: true,
            torn: None,
        })
    }

    /// Legacy headers carry no commit times.
    fn commit_ms(&self) -> i64 {
        if self.header.is_legacy() { self.header.created_ms } else { self.header.last_commit_ms }
    }

    /// Where the current entry starts.
    fn offset(&self) -> Offset {
        match self.body {
            Body::Plain(_) => Offset::File(HEADER_LEN as u64 + self.at),
            Body::Zstd(_) => Offset::Body(self.at),
        }
    }

    fn damaged(&self, what: Damage, sequence: u64) -> Error {
        Error::Damaged { what, offset: self.offset(), sequence: Some(sequence) }
    }

    /// Tells a failing file from a damaged body.
    fn failed(&mut self, error: IoError, sequence: u64) -> Error {
        let offset = HEADER_LEN as u64 + self.header.body_len;
        let compressed = matches!(self.body, Body::Zstd(_));
        let stored = self.body.stored().get_ref();
        if stored.failed {
            return Error::read(error, offset - stored.left);
        }
        // A decoder that ran dry at the end of the body was given a body that ends early, whoever noticed.
        let what = if compressed && error.kind() != ErrorKind::UnexpectedEof {
            Damage::Compression
        } else {
            Damage::EndsEarly
        };
        self.damaged(what, sequence)
    }
}

enum Body<R: Read> {
    Plain(BufReader<Stored<R>>),
    Zstd(BufReader<Decoder<'static, BufReader<Stored<R>>>>),
}

impl<R: Read> Body<R> {
    fn stored(&mut self) -> &mut BufReader<Stored<R>> {
        match self {
            Self::Plain(stored) => stored,
            Self::Zstd(decoder) => decoder.get_mut().get_mut(),
        }
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stored) => stored.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// The body as stored: hashes what passes and ends where the header says.
struct Stored<R> {
    inner: R,
    hasher: Sha256,
    left: u64,
    /// The file itself could not be read.
    failed: bool,
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(room);
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.inner.read(buffer) {
            Ok(read) => {
                let (taken, _) = buffer.split_at(read.min(room));
                self.hasher.update(taken);
                self.left -= taken.len() as u64;
                Ok(taken.len())
            }
            Err(error) => {
                self.failed = error.kind() != ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}
