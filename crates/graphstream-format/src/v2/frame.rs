//! One frame as bytes, and as verified entries. Nothing here depends on the frames around it.

use std::ops::RangeInclusive;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use super::chaining::{Chaining, Span};
use super::columns::{self, Building, COLUMNAR_OVERHEAD_MAX, Decoder, Encoder, Form};
use super::{ENTRY_LEN_MIN, FRAME_HEADER_LEN, frame_field as at};
use crate::bytes::{array, i64_at, put, u32_at, u64_at};
use crate::chain::ChainHash;
use crate::compression;
use crate::damage::Damage;
use crate::error::{Error, Result};
use crate::header::{FLAG_COLUMNS, FLAG_COMPRESSED};
use crate::limits;
use crate::open::EntryRef;
use crate::varint;

/// A zstd block of 128 KiB takes at least four bytes: what claims to hold more than this many times its length is refused unread.
const ZSTD_RATIO_MAX: u64 = (128 << 10) / 4;

/// Where a frame stands, for messages: its own fields are not to be trusted before its checksum was verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Of the frame, or of its chunk, in the file.
    pub(crate) offset: u64,
    /// The sequence that must start there, where that is known.
    pub(crate) sequence: Option<u64>,
}

/// How the entries of a frame are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Rows,
    /// Rows in a zstd frame.
    Zstd,
    /// Columns in a zstd frame.
    Columns,
}

impl Stored {
    /// As these flags of header or footer, which were checked, say.
    pub(crate) const fn by(flags: u8) -> Self {
        if flags & FLAG_COLUMNS != 0 {
            Self::Columns
        } else if flags & FLAG_COMPRESSED != 0 {
            Self::Zstd
        } else {
            Self::Rows
        }
    }
}

/// The fields before a frame's entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) crc: u32,
    pub(crate) stored_len: u32,
    pub(crate) raw_len: u32,
    pub(crate) count: u32,
    pub(crate) first_seq: u64,
    pub(crate) first_commit_ms: i64,
    pub(crate) chain_before: ChainHash,
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut out = [0; FRAME_HEADER_LEN];
        put(&mut out, at::CRC32C, &self.crc.to_be_bytes());
        put(&mut out, at::STORED_LEN, &self.stored_len.to_be_bytes());
        put(&mut out, at::RAW_LEN, &self.raw_len.to_be_bytes());
        put(&mut out, at::COUNT, &self.count.to_be_bytes());
        put(&mut out, at::FIRST_SEQ, &self.first_seq.to_be_bytes());
        put(&mut out, at::FIRST_COMMIT_MS, &self.first_commit_ms.to_be_bytes());
        put(&mut out, at::CHAIN_BEFORE, self.chain_before.as_bytes());
        out
    }

    /// The caller has seen that `bytes` has [`FRAME_HEADER_LEN`] of them.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            crc: u32_at(bytes, at::CRC32C),
            stored_len: u32_at(bytes, at::STORED_LEN),
            raw_len: u32_at(bytes, at::RAW_LEN),
            count: u32_at(bytes, at::COUNT),
            first_seq: u64_at(bytes, at::FIRST_SEQ),
            first_commit_ms: i64_at(bytes, at::FIRST_COMMIT_MS),
            chain_before: ChainHash::from_bytes(array(bytes, at::CHAIN_BEFORE)),
        }
    }

    /// The CRC-32C of a whole frame.
    pub(crate) fn checksum(frame: &[u8]) -> u32 {
        crc32c::crc32c(frame.get(at::STORED_LEN..).unwrap_or_default())
    }

    /// Refuses lengths and counts that no writer leaves, before anything is read or allocated for them. `place` is the frame's.
    pub(crate) fn check(&self, form: Stored, place: Place) -> Result<()> {
        let wrong =
            |what, field: usize| Err(Error::damaged(what, place.offset + field as u64, place.sequence));
        let field = |field, found: u64| Damage::FrameField { field, found };
        let raw_len = u64::from(self.raw_len);
        if self.count == 0 || u64::from(self.count) > raw_len / ENTRY_LEN_MIN {
            return wrong(field("count", self.count.into()), at::COUNT);
        }
        let max = if self.count == 1 {
            limits::PAYLOAD_BYTES_MAX + limits::ENTRY_OVERHEAD_BYTES_MAX
        } else {
            limits::FRAME_RAW_BYTES_MAX
        };
        if raw_len > max as u64 {
            return wrong(Damage::Length { found: raw_len, max: max as u64 }, at::RAW_LEN);
        }
        let stored_len = u64::from(self.stored_len);
        let most = raw_len as usize + if form == Stored::Columns { COLUMNAR_OVERHEAD_MAX } else { 0 };
        // Columns may be far fewer bytes than the rows, but not in a frame that is so large that the ratio tells anything.
        let possible = match form {
            Stored::Rows => stored_len == raw_len,
            Stored::Zstd | Stored::Columns => {
                stored_len <= compress_bound(most) as u64 && raw_len / ZSTD_RATIO_MAX <= stored_len
            }
        };
        if !possible {
            return wrong(field("stored_len", stored_len), at::STORED_LEN);
        }
        if self.first_seq == 0 || self.first_seq.checked_add(u64::from(self.count) - 1).is_none() {
            return wrong(field("first_seq", self.first_seq), at::FIRST_SEQ);
        }
        Ok(())
    }
}

/// The memory of zstd and of columns, kept from frame to frame. One per thread.
#[derive(Default)]
pub(crate) struct Codec {
    compressor: Option<(i32, Compressor<'static>)>,
    decompressor: Option<Decompressor<'static>>,
    encoder: Encoder,
    decoder: Decoder,
    /// A columnar form that was decompressed.
    columnar: Vec<u8>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl Codec {
    pub(crate) fn compressor(&mut self, level: i32) -> std::io::Result<&mut Compressor<'static>> {
        if self.compressor.as_ref().is_none_or(|(present, _)| *present != level) {
            self.compressor = Some((level, Compressor::new(level)?));
        }
        match &mut self.compressor {
            Some((_, compressor)) => Ok(compressor),
            None => Err(std::io::ErrorKind::Other.into()),
        }
    }

    /// What makes columns, and what compresses them.
    pub(crate) fn encoders(
        &mut self,
        level: i32,
    ) -> std::io::Result<(&mut Encoder, &mut Compressor<'static>)> {
        self.compressor(level)?;
        match &mut self.compressor {
            Some((_, compressor)) => Ok((&mut self.encoder, compressor)),
            None => Err(std::io::ErrorKind::Other.into()),
        }
    }

    /// Replaces `into` by what one zstd frame holds. `None` if it is none, or is not of one of these lengths.
    fn decompress(
        decompressor: &mut Option<Decompressor<'static>>,
        packed: &[u8],
        lengths: RangeInclusive<usize>,
        into: &mut Vec<u8>,
    ) -> Option<()> {
        let len = compression::content_len(packed).filter(|len| lengths.contains(len))?;
        into.clear();
        into.reserve_exact(len);
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().ok()?),
        };
        (decompressor.decompress_to_buffer(packed, into).ok()? == len).then_some(())
    }
}

/// The entries of one frame, checked in every way that needs no other frame.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) first_seq: u64,
    pub(crate) first_commit_ms: i64,
    pub(crate) last_commit_ms: i64,
    pub(crate) chain_before: ChainHash,
    pub(crate) chain_after: ChainHash,
    pub(crate) raw_len: usize,
    /// The bytes the entries lie in.
    bytes: Vec<u8>,
    entries: Vec<Span>,
}

impl Frame {
    /// Decodes a whole frame. `stored` is its bytes, and holds nothing of use afterwards.
    pub(crate) fn decode(
        &mut self,
        stored: &mut Vec<u8>,
        place: Place,
        form: Stored,
        codec: &mut Codec,
    ) -> Result<()> {
        self.unpack(stored, place, form, codec)?;
        self.chain();
        Ok(())
    }

    /// Continues the chain over the entries of a frame that was unpacked.
    pub(crate) fn chain(&mut self) {
        self.chain_after = self.chaining().finish();
    }

    /// The same for two frames at once.
    pub(crate) fn chain_two(one: &mut Self, other: &mut Self) {
        [one.chain_after, other.chain_after] = one.chaining().finish_two(other.chaining());
    }

    fn chaining(&mut self) -> Chaining<'_> {
        Chaining::new(&self.bytes, &mut self.entries, self.chain_before)
    }

    /// As [`Frame::decode`], but for the chain.
    pub(crate) fn unpack(
        &mut self,
        stored: &mut Vec<u8>,
        place: Place,
        form: Stored,
        codec: &mut Codec,
    ) -> Result<()> {
        if stored.len() < FRAME_HEADER_LEN {
            return Err(Error::damaged(Damage::EndsEarly, place.offset, place.sequence));
        }
        let header = FrameHeader::decode(stored);
        let computed = FrameHeader::checksum(stored);
        let damaged = |what| Error::damaged(what, place.offset, place.sequence);
        if computed != header.crc {
            return Err(damaged(Damage::FrameChecksum { found: header.crc, computed }));
        }
        header.check(form, place)?;
        if stored.len() - FRAME_HEADER_LEN != header.stored_len as usize {
            let found = header.stored_len.into();
            return Err(damaged(Damage::FrameField { field: "stored_len", found }));
        }
        self.offset = place.offset;
        self.first_seq = header.first_seq;
        self.first_commit_ms = header.first_commit_ms;
        self.chain_before = header.chain_before;
        let raw_len = header.raw_len as usize;
        self.raw_len = raw_len;
        let (_, packed) = stored.split_at(FRAME_HEADER_LEN);
        let entries = match form {
            Stored::Rows => {
                std::mem::swap(&mut self.bytes, stored);
                self.rows(FRAME_HEADER_LEN, &header)
            }
            Stored::Zstd => {
                Codec::decompress(&mut codec.decompressor, packed, raw_len..=raw_len, &mut self.bytes)
                    .ok_or_else(|| damaged(Damage::Compression))?;
                self.rows(0, &header)
            }
            Stored::Columns => {
                let lengths = 1..=raw_len + COLUMNAR_OVERHEAD_MAX;
                Codec::decompress(&mut codec.decompressor, packed, lengths, &mut codec.columnar)
                    .ok_or_else(|| damaged(Damage::Compression))?;
                match columns::form_of(&codec.columnar, raw_len) {
                    Some(Form::Rows { start }) => {
                        std::mem::swap(&mut self.bytes, &mut codec.columnar);
                        self.rows(start, &header)
                    }
                    Some(Form::Columns) => self.columns(&codec.columnar, &mut codec.decoder, &header),
                    None => None,
                }
            }
        };
        entries.ok_or_else(|| damaged(Damage::FrameEntries))
    }

    /// Makes the entries of columns and continues the chain over them; `None` if their rows would not have the frame's length.
    fn columns(&mut self, columnar: &[u8], decoder: &mut Decoder, header: &FrameHeader) -> Option<()> {
        self.entries.clear();
        decoder.begin(columnar, header.count)?;
        // What was there before is written over.
        self.bytes.resize(self.raw_len + columns::SLACK, 0);
        let mut payloads = Building::new(&mut self.bytes);
        let mut commit_ms = header.first_commit_ms;
        let mut rows_len = 0;
        for index in 0..header.count {
            let start = payloads.at;
            let delta = decoder.next(columnar, &mut payloads)?;
            if index == 0 && delta != 0 {
                return None;
            }
            commit_ms = commit_ms.checked_add_unsigned(delta)?;
            let payload = payloads.since(start)?;
            rows_len += varint::len(payload.len() as u64) + varint::len(delta) + payload.len();
            let (start, end) = (start as u32, payloads.at as u32);
            self.entries.push(Span { start, end, commit_ms, chain_hash: ChainHash::ZERO });
        }
        self.last_commit_ms = commit_ms;
        (decoder.finished() && rows_len == self.raw_len).then_some(())
    }

    /// Finds the entries in rows and continues the chain over them; `None` if they do not fill the frame exactly.
    fn rows(&mut self, mut at: usize, header: &FrameHeader) -> Option<()> {
        self.entries.clear();
        let mut commit_ms = header.first_commit_ms;
        for index in 0..header.count {
            let (payload_len, read) = varint::read(self.bytes.get(at..)?)?;
            at += read;
            let (delta, read) = varint::read(self.bytes.get(at..)?)?;
            at += read;
            if payload_len > limits::PAYLOAD_BYTES_MAX as u64 || (index == 0 && delta != 0) {
                return None;
            }
            commit_ms = commit_ms.checked_add_unsigned(delta)?;
            let end = at + payload_len as usize;
            self.bytes.get(at..end)?;
            self.entries.push(Span {
                start: at as u32,
                end: end as u32,
                commit_ms,
                chain_hash: ChainHash::ZERO,
            });
            at = end;
        }
        self.last_commit_ms = commit_ms;
        (at == self.bytes.len()).then_some(())
    }

    pub(crate) const fn count(&self) -> usize {
        self.entries.len()
    }

    /// The entry at this place, from 0.
    pub(crate) fn entry(&self, index: usize) -> Option<EntryRef<'_>> {
        let place = self.entries.get(index)?;
        Some(EntryRef {
            sequence: self.first_seq + index as u64,
            commit_ms: place.commit_ms,
            chain_hash: place.chain_hash,
            payload: place.payload(&self.bytes)?,
        })
    }

    /// The place of the first entry with this commit time or a later one.
    pub(crate) fn first_at_or_after(&self, commit_ms: i64) -> Option<usize> {
        let place = self.entries.partition_point(|entry| entry.commit_ms < commit_ms);
        (place < self.entries.len()).then_some(place)
    }
}
