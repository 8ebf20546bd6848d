//! `journal.json`: which journal a directory holds. It is written before the first segment, so segments of ours without
//! it are damage.

use std::path::Path;

use graphstream_format::Lineage;
use graphstream_format::encryption::KeyId;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::Fs;
use crate::{names, small_file};

/// The directory format this version writes.
const FORMAT: u32 = 1;

/// What `journal.json` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The database the journal belongs to: 16 random bytes, the same across lineages of it.
    pub database_id: [u8; 16],
    /// The history the journal holds.
    pub lineage: Lineage,
    /// When the directory was set up, in milliseconds since 1970 (UTC).
    pub created_ms: i64,
    /// The last sequence another leader took over, noted before anybody was told [`Error::Fenced`]: what the journal holds
    /// beyond it was never part of the published history.
    pub fenced_after: Option<u64>,
    /// Whether segments of the predecessor are being sealed again under `lineage`; the next open goes on with it.
    pub adopting: bool,
    /// The key that new segments are encrypted with: without it the journal is not opened. `None`: they are plain. Older segments may
    /// have older keys.
    pub encryption_key: Option<KeyId>,
    /// The last sequence that sealed segments may hold without being encrypted: what was there when encryption was turned on. `None`:
    /// all of them are encrypted (or none, without `encryption_key`).
    pub plain_up_to: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    format: u32,
    #[serde(with = "hex_id")]
    database_id: [u8; 16],
    #[serde(with = "hex_id")]
    lineage: [u8; 16],
    created_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fenced_after: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    adopting: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex_key_id")]
    encryption_key: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain_up_to: Option<u64>,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Identity {
    pub(crate) fn new(database_id: [u8; 16], lineage: Lineage, created_ms: i64) -> Self {
        Self {
            database_id,
            lineage,
            created_ms,
            fenced_after: None,
            adopting: false,
            encryption_key: None,
            plain_up_to: None,
        }
    }

    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(names::JOURNAL_JSON);
        let Some(bytes) = small_file::read(fs, &path)? else { return Ok(None) };
        let invalid = |source| Error::InvalidJson { path: path.clone(), source };
        // The format first: a newer one may have fields that this version would refuse with a worse message.
        let FormatOnly { format } = serde_json::from_slice(&bytes).map_err(invalid)?;
        if format != FORMAT {
            return Err(Error::UnsupportedFormat { path, found: format, supported: FORMAT });
        }
        let file: IdentityFile = serde_json::from_slice(&bytes).map_err(invalid)?;
        Ok(Some(Self {
            database_id: file.database_id,
            lineage: Lineage::from_bytes(file.lineage),
            created_ms: file.created_ms,
            fenced_after: file.fenced_after,
            adopting: file.adopting,
            encryption_key: file.encryption_key,
            plain_up_to: file.plain_up_to,
        }))
    }

    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let file = IdentityFile {
            format: FORMAT,
            database_id: self.database_id,
            lineage: *self.lineage.as_bytes(),
            created_ms: self.created_ms,
            fenced_after: self.fenced_after,
            adopting: self.adopting,
            encryption_key: self.encryption_key,
            plain_up_to: self.plain_up_to,
        };
        small_file::replace_json(fs, dir, names::JOURNAL_JSON, &file)
    }
}

/// A key's id as hex digits, where there is one.
mod hex_key_id {
    use graphstream_format::encryption::KeyId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(id: &Option<KeyId>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyId>, D::Error> {
        let text = <Option<std::borrow::Cow<'de, str>>>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// Sixteen bytes as 32 hex digits.
pub(crate) mod hex_id {
    use graphstream_format::Lineage;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        // A lineage prints as the hex of its bytes, which is all that is wanted here.
        serializer.collect_str(&Lineage::from_bytes(*bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let lineage: Lineage = text.parse().map_err(D::Error::custom)?;
        Ok(*lineage.as_bytes())
    }
}
