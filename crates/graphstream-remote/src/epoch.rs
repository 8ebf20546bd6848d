//! One epoch: its row in the head, and its object, whose bytes are a function of that row.
//!
//! Because the head alone determines the bytes of `epoch/{epoch}.json`, anyone who has read the head (the owner, a
//! leader that finds itself fenced, one that is starting) can create the object if its owner died before it did.

use graphstream_format::{ChainHash, Lineage};
use serde::{Deserialize, Serialize};

use crate::head::HeadProblem;
use crate::ids::hex_text;
use crate::{DatabaseId, OwnerNonce};

/// An epoch's row: who claimed it, and the position that was committed at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EpochRow {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Whose it is.
    pub owner: OwnerNonce,
    /// The last committed sequence when it was claimed; its first entry is the next one.
    pub start_sequence: u64,
    /// The chain hash at `start_sequence`.
    #[serde(with = "hex_text")]
    pub start_chain: ChainHash,
    /// When it was claimed by the owner's clock, in ms since 1970. For people.
    pub claimed_ms: i64,
}

impl EpochRow {
    /// All fields.
    #[must_use]
    pub fn new(
        epoch: u32,
        owner: OwnerNonce,
        start_sequence: u64,
        start_chain: ChainHash,
        claimed_ms: i64,
    ) -> Self {
        Self { epoch, owner, start_sequence, start_chain, claimed_ms }
    }
}

/// The content of `epoch/{epoch}.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochObject {
    /// The database.
    pub database_id: DatabaseId,
    /// Its history.
    pub lineage: Lineage,
    /// The epoch's row.
    pub row: EpochRow,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    format: u32,
    database_id: DatabaseId,
    #[serde(with = "hex_text")]
    lineage: Lineage,
    row: EpochRow,
}

impl EpochObject {
    /// The version of the JSON shape that we write and read.
    pub const FORMAT: u32 = 1;
    /// The largest object that is read, in bytes.
    pub const BYTES_MAX: u64 = 4096;

    /// All fields.
    #[must_use]
    pub fn new(database_id: DatabaseId, lineage: Lineage, row: EpochRow) -> Self {
        Self { database_id, lineage, row }
    }

    /// The object's bytes; equal objects have equal bytes.
    ///
    /// # Errors
    /// [`HeadProblem::Json`], which does not happen for these types.
    pub fn render(&self) -> Result<Vec<u8>, HeadProblem> {
        let Self { database_id, lineage, row } = *self;
        let mut bytes = serde_json::to_vec(&Json { format: Self::FORMAT, database_id, lineage, row })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses an object's bytes.
    ///
    /// # Errors
    /// [`HeadProblem::Format`] for another version, [`HeadProblem::Json`] for anything that is not exactly this shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadProblem> {
        crate::head::check_format(bytes, Self::FORMAT)?;
        let Json { format: _, database_id, lineage, row } = serde_json::from_slice(bytes)?;
        Ok(Self { database_id, lineage, row })
    }
}
