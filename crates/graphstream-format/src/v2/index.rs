//! One row of the index: where a frame is and where it begins.

use super::{INDEX_ROW_LEN, index_field as at};
use crate::bytes::{array, i64_at, put, u64_at};
use crate::chain::ChainHash;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexRow {
    pub(crate) offset: u64,
    pub(crate) first_seq: u64,
    pub(crate) first_commit_ms: i64,
    pub(crate) chain_before: ChainHash,
}

impl IndexRow {
    pub(crate) fn encode(&self) -> [u8; INDEX_ROW_LEN] {
        let mut out = [0; INDEX_ROW_LEN];
        put(&mut out, at::OFFSET, &self.offset.to_be_bytes());
        put(&mut out, at::FIRST_SEQ, &self.first_seq.to_be_bytes());
        put(&mut out, at::FIRST_COMMIT_MS, &self.first_commit_ms.to_be_bytes());
        put(&mut out, at::CHAIN_BEFORE, self.chain_before.as_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8; INDEX_ROW_LEN]) -> Self {
        Self {
            offset: u64_at(bytes, at::OFFSET),
            first_seq: u64_at(bytes, at::FIRST_SEQ),
            first_commit_ms: i64_at(bytes, at::FIRST_COMMIT_MS),
            chain_before: ChainHash::from_bytes(array(bytes, at::CHAIN_BEFORE)),
        }
    }
}
