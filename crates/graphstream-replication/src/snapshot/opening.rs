//! Decrypting a snapshot's data objects on their way into the archive's reader.

use std::io;

use graphstream_format::encryption::{KeyRing, ObjectOpener};
use graphstream_remote::{SnapshotManifest, SnapshotName};

use crate::error::SnapshotDamage;
use crate::{Error, Result};

/// Takes data objects in order, as they are stored, and gives them as they were written.
#[derive(Debug)]
pub(crate) struct Opening {
    opener: Option<ObjectOpener>,
    next: u32,
}

/// What an error of a reader of objects says, when one does not open.
#[derive(Debug, thiserror::Error)]
#[error("data object {index} does not open")]
struct Unopened {
    index: u32,
    source: graphstream_format::Error,
}

impl Opening {
    /// Of the snapshot with this manifest.
    pub(crate) fn of(manifest: &SnapshotManifest, keys: Option<&KeyRing>) -> Result<Self> {
        let snapshot = manifest.name()?;
        let damaged = |source| Error::SnapshotDamaged { snapshot, source: SnapshotDamage::Manifest(source) };
        Ok(Self { opener: manifest.opener(keys).map_err(damaged)?, next: 0 })
    }

    /// Whether objects must be held whole.
    pub(crate) const fn is_needed(&self) -> bool {
        self.opener.is_some()
    }

    /// The next object.
    pub(crate) fn open(&mut self, mut object: Vec<u8>) -> io::Result<Vec<u8>> {
        let index = self.next;
        self.next = index.saturating_add(1);
        if let Some(opener) = &self.opener {
            let unopened = |source| io::Error::other(Unopened { index, source });
            opener.open(index, false, &mut object).map_err(unopened)?;
        }
        Ok(object)
    }
}

/// What is wrong with a snapshot of which reading the archive failed so.
pub(super) fn damage(snapshot: SnapshotName, source: io::Error) -> Error {
    let source = match source.downcast::<Unopened>() {
        Ok(Unopened { index, source }) => SnapshotDamage::Sealed { index, source: Box::new(source) },
        Err(source) => SnapshotDamage::Compression(source),
    };
    Error::SnapshotDamaged { snapshot, source }
}
