//! One entry as version 1 frames it.

use super::{ENTRY_HEADER_LEN, entry_field as at};
use crate::bytes::{array, put, u32_at, u64_at};
use crate::chain::ChainHash;

/// The 48 bytes before a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryFrame {
    pub(crate) crc: u32,
    pub(crate) payload_len: u32,
    pub(crate) sequence: u64,
    pub(crate) prev_hash: ChainHash,
}

impl EntryFrame {
    pub(crate) fn decode(bytes: &[u8; ENTRY_HEADER_LEN]) -> Self {
        Self {
            crc: u32_at(bytes, at::CRC32C),
            payload_len: u32_at(bytes, at::PAYLOAD_LEN),
            sequence: u64_at(bytes, at::SEQUENCE),
            prev_hash: ChainHash::from_bytes(array(bytes, at::PREV_HASH)),
        }
    }

    /// The frame of a payload, its checksum included. The caller has checked the payload's length.
    pub(crate) fn encode(sequence: u64, prev_hash: &ChainHash, payload: &[u8]) -> [u8; ENTRY_HEADER_LEN] {
        let mut out = [0; ENTRY_HEADER_LEN];
        put(&mut out, at::PAYLOAD_LEN, &(payload.len() as u32).to_be_bytes());
        put(&mut out, at::SEQUENCE, &sequence.to_be_bytes());
        put(&mut out, at::PREV_HASH, prev_hash.as_bytes());
        let crc = checksum(&out, payload);
        put(&mut out, at::CRC32C, &crc.to_be_bytes());
        out
    }
}

/// The CRC-32C over a frame (without its own field) and the payload behind it.
pub(crate) fn checksum(frame: &[u8; ENTRY_HEADER_LEN], payload: &[u8]) -> u32 {
    let (_, covered) = frame.split_at(at::PAYLOAD_LEN);
    crc32c::crc32c_append(crc32c::crc32c(covered), payload)
}
