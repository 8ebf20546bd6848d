//! A frame under construction: entries are added until the next one does not fit, then it is encoded, wherever that is done.

use std::io::{Cursor, Result};

use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::frame::{Codec, FrameHeader};
use super::index::IndexRow;
use super::{FRAME_HEADER_LEN, frame_field};
use crate::bytes::put;
use crate::chain::ChainHash;
use crate::compression::Compression;
use crate::limits;
use crate::varint;

/// Appends what `bytes` are compressed to `out`, which ends at `at`.
fn compress(compressor: &mut Compressor<'static>, bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Result<()> {
    out.reserve(compress_bound(bytes.len()));
    let mut behind = Cursor::new(out);
    behind.set_position(at as u64);
    compressor.compress_to_buffer(bytes, &mut behind).map(drop)
}

#[derive(Debug)]
pub(crate) struct RawFrame {
    raw: Vec<u8>,
    count: u32,
    first_seq: u64,
    first_commit_ms: i64,
    last_commit_ms: i64,
    chain_before: ChainHash,
}

impl RawFrame {
    /// An empty frame in a buffer that is used again.
    pub(crate) fn new(mut raw: Vec<u8>, first_seq: u64, chain_before: ChainHash) -> Self {
        raw.clear();
        Self { raw, count: 0, first_seq, first_commit_ms: 0, last_commit_ms: 0, chain_before }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Length in bytes of this entry inside the frame, its varints included; `None` if it belongs into the next one. The first entry
    /// always fits.
    pub(crate) fn room_for(&self, payload: &[u8], commit_ms: i64) -> Option<usize> {
        if self.is_empty() {
            return Some(Self::first_len(payload));
        }
        let delta = commit_ms.abs_diff(self.last_commit_ms);
        let len = varint::len(payload.len() as u64) + varint::len(delta) + payload.len();
        (self.raw.len() + len <= limits::FRAME_RAW_BYTES_MAX).then_some(len)
    }

    /// Length in bytes of an entry that starts a frame.
    pub(crate) fn first_len(payload: &[u8]) -> usize {
        varint::len(payload.len() as u64) + varint::len(0) + payload.len()
    }

    /// The caller has checked that it fits, and that commit times do not decrease.
    pub(crate) fn push(&mut self, payload: &[u8], commit_ms: i64) {
        if self.is_empty() {
            self.first_commit_ms = commit_ms;
            self.last_commit_ms = commit_ms;
        }
        varint::write(payload.len() as u64, &mut self.raw);
        varint::write(commit_ms.abs_diff(self.last_commit_ms), &mut self.raw);
        self.raw.extend_from_slice(payload);
        self.last_commit_ms = commit_ms;
        self.count += 1;
    }

    /// The frame's bytes into `out`, which is used again, behind this many zeros.
    pub(crate) fn encode(
        &self,
        zeros: usize,
        compression: Compression,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let entries_at = zeros + FRAME_HEADER_LEN;
        out.clear();
        out.resize(entries_at, 0);
        match compression {
            Compression::None => out.extend_from_slice(&self.raw),
            Compression::Zstd { level } => compress(codec.compressor(level)?, &self.raw, entries_at, out)?,
            Compression::Columns { level } => {
                let (columns, compressor) = codec.encoders(level)?;
                compress(compressor, columns.encode(&self.raw, self.count), entries_at, out)?;
            }
        }
        let mut header = FrameHeader {
            crc: 0,
            stored_len: (out.len() - entries_at) as u32,
            raw_len: self.raw.len() as u32,
            count: self.count,
            first_seq: self.first_seq,
            first_commit_ms: self.first_commit_ms,
            chain_before: self.chain_before,
        };
        let (_, frame) = out.split_at_mut(zeros);
        put(frame, 0, &header.encode());
        header.crc = FrameHeader::checksum(frame);
        put(frame, frame_field::CRC32C, &header.crc.to_be_bytes());
        Ok(())
    }

    /// The frame's index row, for this offset.
    pub(crate) const fn row(&self, offset: u64) -> IndexRow {
        IndexRow {
            offset,
            first_seq: self.first_seq,
            first_commit_ms: self.first_commit_ms,
            chain_before: self.chain_before,
        }
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.raw
    }
}
