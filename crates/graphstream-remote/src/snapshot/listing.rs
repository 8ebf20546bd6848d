//! What stands under `snap/`, by names alone.

use std::collections::BTreeMap;

use graphstream_storage::{ListRequest, Lister};

use crate::error::{Attempt, Error, Result};
use crate::{ObjectName, Remote, SnapshotName};

/// A snapshot's directory as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotListing {
    /// What it is called.
    pub name: SnapshotName,
    /// Whether its manifest is there. Without it there is no snapshot, only objects that will be collected.
    pub is_complete: bool,
    /// Data objects under its name, also those of attempts that were given up.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest of its objects was put, by the store's clock, in ms since 1970.
    pub modified_ms: i64,
}

impl Remote {
    /// Everything under `snap/`, ascending by sequence, then epoch. Keys that no snapshot can have are skipped.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_snapshots(&self) -> Result<Vec<SnapshotListing>> {
        let prefix = self.layout().prefix("snap/");
        let mut lister = Lister::new(&**self.backend(), ListRequest::new(prefix.as_str()));
        let mut found: BTreeMap<(u64, u32, i64), SnapshotListing> = BTreeMap::new();
        while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
            for object in page.objects {
                let Some(ObjectName::Snapshot(name, relative)) = self.layout().parse(&object.key) else {
                    tracing::warn!(key = %object.key, "a key under snap/ that is not of a snapshot");
                    continue;
                };
                let order = (name.sequence(), name.epoch(), name.commit_ms());
                let listing = found.entry(order).or_insert(SnapshotListing {
                    name,
                    is_complete: false,
                    objects: 0,
                    bytes: 0,
                    modified_ms: 0,
                });
                listing.modified_ms = listing.modified_ms.max(object.modified_ms);
                if relative == "manifest.json" {
                    listing.is_complete = true;
                } else {
                    listing.objects = listing.objects.saturating_add(1);
                    listing.bytes = listing.bytes.saturating_add(object.size);
                }
            }
        }
        Ok(found.into_values().collect())
    }
}
