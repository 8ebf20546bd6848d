//! `upload_manifest.json`: what this journal's shipper last saw published, kept beside the segments.
//!
//! The cursor `uploader` says how far the journal may be cleaned up; the manifest says what stands for it in the store: epoch, chain hash,
//! and the newest objects by key, size and SHA-256. It is written after each publication and before the cursor moves, so it is never behind the
//! cursor, and after a restart a head below it is known to be an old one even when the segments that could prove it are gone. It
//! is a copy of a part of the head: damaged or missing, it is left out, and written anew at the next look.

use graphstream_format::Lineage;
use graphstream_journal::JournalDir;
use graphstream_remote::{ChainValue, Floor, Head, SegmentName};
use serde::{Deserialize, Serialize};

use crate::Result;

const FORMAT: u32 = 1;

/// What the shipper last saw published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UploadManifest {
    format: u32,
    lineage: String,
    /// The epoch under which it was published.
    pub epoch: u32,
    /// The last committed sequence.
    pub committed: u64,
    /// The chain value there, as the head said it.
    #[serde(rename = "chain_hash")]
    pub chain: ChainValue,
    /// The newest objects, oldest first: no more than a head names.
    pub segments: Vec<ManifestSegment>,
}

/// An object that stands in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ManifestSegment {
    /// Its key below the database's prefix.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, as hex.
    pub sha256: String,
}

impl UploadManifest {
    /// What a head says.
    #[must_use]
    pub fn of(head: &Head) -> Self {
        let committed = head.committed();
        let row = |row: &graphstream_remote::WindowSegment| ManifestSegment {
            key: row.name.to_string(),
            size: row.size,
            sha256: hex::encode(row.sha256),
        };
        Self {
            format: FORMAT,
            lineage: head.lineage().to_string(),
            epoch: head.epoch(),
            committed: committed.sequence,
            chain: committed.chain,
            segments: head.segments().iter().map(row).collect(),
        }
    }

    /// Reads the one in a journal's directory; `None` when there is none, or none that can be used: it is written anew. Blocks for the disk.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error::Journal) when the disk fails.
    pub fn read(dir: &JournalDir) -> Result<Option<Self>> {
        let Some(bytes) = dir.upload_manifest()? else { return Ok(None) };
        let lineage = dir.identity()?.map(|identity| identity.lineage);
        let usable =
            serde_json::from_slice::<Self>(&bytes).ok().filter(|manifest| manifest.is_usable(lineage));
        if usable.is_none() {
            tracing::warn!("upload_manifest.json is damaged or of another journal: it is written anew");
        }
        Ok(usable)
    }

    fn is_usable(&self, lineage: Option<Lineage>) -> bool {
        self.format == FORMAT
            && self.lineage.parse::<Lineage>().ok() == lineage
            && self.segments.iter().all(|segment| SegmentName::parse(&segment.key).is_some())
    }

    /// Replaces the one in the directory: temporary file, sync, rename. Blocks for the disk.
    pub(super) fn write(&self, dir: &JournalDir) -> Result<()> {
        Ok(dir.set_upload_manifest(self)?)
    }

    /// No head is below this.
    pub(super) fn floor(&self) -> Floor {
        Floor::new(self.epoch, self.committed, self.chain)
    }
}
