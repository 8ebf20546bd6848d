//! The bytes of `head.json`: JSON, plain or keyed.

use graphstream_format::Lineage;
use graphstream_format::encryption::{DocumentKind, KeyRing};
use serde::{Deserialize, Serialize};

use super::{Committed, Head, HeadProblem, Inconsistency, WindowSegment};
use crate::document::{KEYED_FORMAT, format_of, open_document, seal_document};
use crate::ids::hex_text;
use crate::{DatabaseId, EpochRow, OwnerNonce, SegmentName, SnapshotName, WriteId};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    /// Of a keyed head, it stands outside of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<u32>,
    database_id: DatabaseId,
    #[serde(with = "hex_text")]
    lineage: Lineage,
    revision: u64,
    write_id: WriteId,
    epoch: u32,
    owner: Option<OwnerNonce>,
    epochs: Vec<EpochRow>,
    committed: Committed,
    segments: Vec<WindowJson>,
    snapshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_up_to: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowJson {
    key: String,
    size: u64,
    #[serde(with = "hex_text")]
    sha256: [u8; 32],
}

impl Head {
    /// The version of the plain JSON shape that we write and read. Keyed heads are of [`KEYED_FORMAT`].
    pub const FORMAT: u32 = 1;

    /// The object's bytes; equal heads have equal bytes under equal keys. A keyed head is proven by the current key.
    ///
    /// # Errors
    /// [`HeadProblem::KeyRequired`] for a keyed head without keys.
    pub fn render(&self, keys: Option<&KeyRing>) -> Result<Vec<u8>, HeadProblem> {
        let window = |segment: &WindowSegment| WindowJson {
            key: segment.name.to_string(),
            size: segment.size,
            sha256: segment.sha256,
        };
        let json = Json {
            format: (!self.is_keyed()).then_some(Self::FORMAT),
            database_id: self.database_id,
            lineage: self.lineage,
            revision: self.revision,
            write_id: self.write_id,
            epoch: self.epoch,
            owner: self.owner,
            epochs: self.epochs.clone(),
            committed: self.committed,
            segments: self.segments.iter().map(window).collect(),
            snapshot: self.snapshot.as_ref().map(ToString::to_string),
            plain_up_to: self.plain_up_to,
        };
        if let Some(id) = self.committed.chain.key_id() {
            let keys = keys.ok_or(HeadProblem::KeyRequired { id })?;
            return seal_document(DocumentKind::Head, &json, keys.current());
        }
        let mut bytes = serde_json::to_vec(&json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses an object's bytes, proves them if they are keyed, and checks every field against the others. Who has keys takes no plain
    /// head.
    ///
    /// # Errors
    /// [`HeadProblem`].
    pub fn parse(bytes: &[u8], keys: Option<&KeyRing>) -> Result<Self, HeadProblem> {
        let head = Self::parse_plain_too(bytes, keys)?;
        if keys.is_some() && !head.is_keyed() { Err(HeadProblem::Plaintext) } else { Ok(head) }
    }

    /// As [`parse`](Self::parse), also of a plain head with keys: for who turns encryption on.
    pub(crate) fn parse_plain_too(bytes: &[u8], keys: Option<&KeyRing>) -> Result<Self, HeadProblem> {
        let format = format_of(bytes)?;
        let json: Json = if format == u64::from(KEYED_FORMAT) {
            serde_json::from_str(open_document(DocumentKind::Head, bytes, keys)?.0)?
        } else if format == u64::from(Self::FORMAT) {
            serde_json::from_slice(bytes)?
        } else {
            return Err(HeadProblem::Format { found: format, supported: KEYED_FORMAT });
        };
        let is_keyed = format == u64::from(KEYED_FORMAT);
        if json.format.is_some() == is_keyed || json.plain_up_to.is_some() != is_keyed {
            return Err(HeadProblem::Inconsistent(Inconsistency::Keyed));
        }
        let head = Self::try_from(json).map_err(HeadProblem::Inconsistent)?;
        head.check(keys)?;
        Ok(head)
    }
}

impl TryFrom<Json> for Head {
    type Error = Inconsistency;

    fn try_from(json: Json) -> Result<Self, Inconsistency> {
        let window = |row: WindowJson| {
            let name = SegmentName::parse(&row.key).ok_or(Inconsistency::Window)?;
            Ok(WindowSegment::new(name, row.size, row.sha256))
        };
        let snapshot = |text: String| SnapshotName::parse(&text).ok_or(Inconsistency::Snapshot);
        Ok(Self {
            database_id: json.database_id,
            lineage: json.lineage,
            revision: json.revision,
            write_id: json.write_id,
            epoch: json.epoch,
            owner: json.owner,
            epochs: json.epochs,
            committed: json.committed,
            segments: json.segments.into_iter().map(window).collect::<Result<_, _>>()?,
            snapshot: json.snapshot.map(snapshot).transpose()?,
            plain_up_to: json.plain_up_to,
        })
    }
}
