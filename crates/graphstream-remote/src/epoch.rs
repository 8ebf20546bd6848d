//! One epoch: its row in the head, and its object, whose bytes are a function of that row.
//!
//! Because the head alone determines the bytes of `epoch/{epoch}.json`, anyone who has read the head (the owner, a
//! leader that finds itself fenced, one that is starting) can create the object if its owner died before it did.

//!
//! Of an encrypted history the row's chain value is keyed, and so is the object, under that value's key: HMAC gives equal bytes
//! for equal rows, whoever makes it. Rows from before encryption was turned on stay plain.

use graphstream_format::Lineage;
use graphstream_format::encryption::{DocumentKind, KeyRing};
use serde::{Deserialize, Serialize};

use crate::document::{KEYED_FORMAT, format_of, open_document, seal_document};
use crate::head::{HeadProblem, Inconsistency};
use crate::ids::hex_text;
use crate::{ChainValue, DatabaseId, OwnerNonce};

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
    /// The chain value at `start_sequence`: what was committed at that moment, as the head said it.
    pub start_chain: ChainValue,
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
        start_chain: ChainValue,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<u32>,
    database_id: DatabaseId,
    #[serde(with = "hex_text")]
    lineage: Lineage,
    row: EpochRow,
}

impl EpochObject {
    /// The version of the plain JSON shape that we write and read. Keyed ones are of [`KEYED_FORMAT`].
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
    /// [`HeadProblem::KeyRequired`], [`HeadProblem::UnknownKey`] without the key of a keyed row.
    pub fn render(&self, keys: Option<&KeyRing>) -> Result<Vec<u8>, HeadProblem> {
        let Self { database_id, lineage, row } = *self;
        if let Some(id) = row.start_chain.key_id() {
            let keys = keys.ok_or(HeadProblem::KeyRequired { id })?;
            let key = keys.key(id).ok_or(HeadProblem::UnknownKey { id })?;
            return seal_document(
                DocumentKind::Epoch,
                &Json { format: None, database_id, lineage, row },
                key,
            );
        }
        let mut bytes = serde_json::to_vec(&Json { format: Some(Self::FORMAT), database_id, lineage, row })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses an object's bytes. Who has keys takes no plain one.
    ///
    /// # Errors
    /// [`HeadProblem::Format`] for another version, [`HeadProblem::Json`] for anything that is not exactly this shape;
    /// [`HeadProblem::Plaintext`], [`HeadProblem::KeyRequired`], [`HeadProblem::UnknownKey`], [`HeadProblem::Forged`].
    pub fn parse(bytes: &[u8], keys: Option<&KeyRing>) -> Result<Self, HeadProblem> {
        let found = format_of(bytes)?;
        if found == u64::from(KEYED_FORMAT) {
            let (content, id) = open_document(DocumentKind::Epoch, bytes, keys)?;
            let Json { format, database_id, lineage, row } = serde_json::from_str(content)?;
            if format.is_some() || row.start_chain.key_id() != Some(id) {
                return Err(HeadProblem::Inconsistent(Inconsistency::Keyed));
            }
            return Ok(Self { database_id, lineage, row });
        }
        if found != u64::from(Self::FORMAT) {
            return Err(HeadProblem::Format { found, supported: KEYED_FORMAT });
        }
        if keys.is_some() {
            return Err(HeadProblem::Plaintext);
        }
        let Json { format: _, database_id, lineage, row } = serde_json::from_slice(bytes)?;
        if row.start_chain.key_id().is_some() {
            return Err(HeadProblem::Inconsistent(Inconsistency::Keyed));
        }
        Ok(Self { database_id, lineage, row })
    }
}
