//! `recovery.json`: where a journal begins that has no segment yet, because the ones before stayed elsewhere.

use std::path::Path;

use graphstream_format::ChainHash;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::Fs;
use crate::{names, small_file};

/// The entry that a journal begins after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartingPoint {
    /// Its sequence.
    pub sequence: u64,
    /// The chain hash after it.
    pub chain_hash: ChainHash,
    /// Its commit time, in milliseconds since 1970 (UTC).
    pub commit_ms: i64,
}

/// The predecessor wrote the first two.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StartingPointFile {
    last_seq: u64,
    chain_hash: String,
    #[serde(default = "unknown")]
    commit_ms: i64,
}

fn unknown() -> i64 {
    i64::MIN
}

impl StartingPoint {
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(names::RECOVERY_JSON);
        let Some(file) = small_file::read_json::<StartingPointFile>(fs, &path)? else { return Ok(None) };
        let chain_hash = file.chain_hash.parse().map_err(|error: graphstream_format::Error| {
            let source = <serde_json::Error as serde::de::Error>::custom(error);
            Error::InvalidJson { path, source }
        })?;
        Ok(Some(Self { sequence: file.last_seq, chain_hash, commit_ms: file.commit_ms }))
    }

    /// Moves the beginning of a journal without segments forward, never back: the history that it continues has grown meanwhile.
    pub(crate) fn move_forward(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        match Self::read(fs, dir)? {
            Some(present) if present.sequence >= self.sequence => Ok(()),
            _ => self.write(fs, dir),
        }
    }

    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let file = StartingPointFile {
            last_seq: self.sequence,
            chain_hash: self.chain_hash.to_string(),
            commit_ms: self.commit_ms,
        };
        small_file::replace_json(fs, dir, names::RECOVERY_JSON, &file)
    }
}
