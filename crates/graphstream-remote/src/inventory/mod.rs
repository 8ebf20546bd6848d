//! What is in the store of one database, by names alone: head, one listing, epoch objects. No segment is read.
//!
//! ```text
//!   head ──► list {database}/ in order of keys ──► head again ──► epoch objects of its rows        Inventory
//!                                                                            │
//!                                              findings() ◄──────────────────┘    pure: what is wrong, what is left over
//! ```
//! The head is read on both sides of the listing. What the first one committed must be there: a compactor writes a higher level before
//! it deletes from a lower one, and lower levels are listed first. What the second one does not know was not there by mistake: no
//! object of an epoch is put before the head names that epoch.

mod finding;
mod judge;

use std::collections::BTreeMap;

use graphstream_storage::{ListRequest, Lister};

pub use finding::{Finding, HeadShows, Severity};

use crate::error::{Attempt, Error, Result};
use crate::{Head, HeadRead, LabelName, ObjectName, Remote, SegmentName, SnapshotName};

/// A segment as the listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedSegment {
    /// Its name.
    pub name: SegmentName,
    /// Bytes of the object.
    pub size: u64,
    /// Whether it is history under the head.
    pub history: bool,
}

/// A snapshot as the listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedSnapshot {
    /// Its name.
    pub name: SnapshotName,
    /// Objects in its directory.
    pub objects: u64,
    /// Their bytes.
    pub size: u64,
    /// Whether its manifest, which is written last, is there.
    pub complete: bool,
    /// Whether its last entry is history under the head.
    pub history: bool,
}

impl ListedSnapshot {
    /// Whether a restore may begin with it, as far as names tell.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.complete && self.history
    }
}

/// A key that the layout does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unknown {
    /// Below the database.
    relative: String,
    size: u64,
}

/// What a database's part of a store holds, by names. Takes memory for each object, about 64 bytes.
#[derive(Debug, Clone)]
pub struct Inventory {
    database: String,
    head: Option<Head>,
    /// What was committed before the listing began: it must be in it.
    settled: u64,
    /// A sequence that is known to have been committed.
    floor: u64,
    segments: Vec<ListedSegment>,
    snapshots: Vec<ListedSnapshot>,
    labels: Vec<LabelName>,
    /// The epochs that have an object.
    epochs: Vec<u32>,
    /// Of those that the head has a row for, whether they are what that says.
    epoch_objects: BTreeMap<u32, bool>,
    unknown: Vec<Unknown>,
    objects: u64,
    bytes: u64,
}

impl Remote {
    /// Takes an inventory: two reads of the head, one listing of everything below the database, and the epoch objects that the head
    /// has rows for.
    ///
    /// # Errors
    /// [`Error::HeadDamaged`]: nothing can be judged without a head; [`Error::Storage`]. A missing head is no error here but a
    /// [`Finding`].
    pub async fn inventory(&self) -> Result<Inventory> {
        let before = self.any_head().await?;
        let mut inventory = Inventory {
            database: self.layout().database().to_string(),
            settled: before.map_or(0, |head| head.committed().sequence),
            ..Inventory::empty()
        };
        let prefix = self.layout().prefix("");
        let mut lister = Lister::new(&**self.backend(), ListRequest::new(prefix.as_str()));
        while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
            for object in page.objects {
                if let Some(relative) = self.layout().relative(&object.key) {
                    inventory.take(relative, object.size);
                }
            }
        }
        inventory.head = self.any_head().await?;
        if let Some(head) = &inventory.head {
            inventory.epoch_objects = self.compare_epoch_objects(head).await?;
        }
        inventory.sort();
        Ok(inventory)
    }

    async fn compare_epoch_objects(&self, head: &Head) -> Result<BTreeMap<u32, bool>> {
        let mut compared = BTreeMap::new();
        for row in head.epochs() {
            let key = self.layout().key(&ObjectName::Epoch(row.epoch))?;
            if let Some(found) = self.read_epoch_object(&key).await? {
                let rendered = head.epoch_object(row).render(self.proofs().keys());
                let expected = rendered.map_err(|source| Error::HeadDamaged { key, source })?;
                compared.insert(row.epoch, found == expected);
            }
        }
        Ok(compared)
    }

    async fn any_head(&self) -> Result<Option<Head>> {
        Ok(match self.read_head(None).await? {
            HeadRead::Found(stored) => Some(stored.head),
            HeadRead::Missing | HeadRead::NotModified => None,
        })
    }
}

impl Inventory {
    fn empty() -> Self {
        Self {
            database: String::new(),
            head: None,
            settled: 0,
            floor: 0,
            segments: Vec::new(),
            snapshots: Vec::new(),
            labels: Vec::new(),
            epochs: Vec::new(),
            epoch_objects: BTreeMap::new(),
            unknown: Vec::new(),
            objects: 0,
            bytes: 0,
        }
    }

    /// Sorts an object into what it is by its name below the database. Keys come in ascending order.
    fn take(&mut self, relative: &str, size: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size);
        match ObjectName::parse(relative) {
            Some(ObjectName::Segment(name)) => {
                self.segments.push(ListedSegment { name, size, history: false });
            }
            Some(ObjectName::Snapshot(name, object)) => {
                if self.snapshots.last().is_none_or(|last| last.name != name) {
                    let new = ListedSnapshot { name, objects: 0, size: 0, complete: false, history: false };
                    self.snapshots.push(new);
                }
                if let Some(snapshot) = self.snapshots.last_mut() {
                    snapshot.objects += 1;
                    snapshot.size = snapshot.size.saturating_add(size);
                    snapshot.complete |= object == SnapshotName::MANIFEST;
                }
            }
            Some(ObjectName::Epoch(epoch)) => self.epochs.push(epoch),
            Some(ObjectName::Label(name)) => self.labels.push(name),
            Some(ObjectName::Head | ObjectName::Keys) => {}
            // A leader tries out conditional puts on it: it stays, says nothing and is never read.
            None if relative == "probe" => {}
            None => self.unknown.push(Unknown { relative: relative.to_owned(), size }),
        }
    }

    /// Judges a head that commits less than `sequence`, which is known to have been committed, as the older one that it is. Names alone
    /// can't tell it from one whose leader is about to publish.
    #[must_use]
    pub fn with_floor(mut self, sequence: u64) -> Self {
        self.floor = sequence;
        self
    }

    /// What the head has committed, if there is a head.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// All objects of the database.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Segments of all levels, by first sequence; history and others.
    #[must_use]
    pub fn segments(&self) -> &[ListedSegment] {
        &self.segments
    }

    /// Snapshots, by sequence.
    #[must_use]
    pub fn snapshots(&self) -> &[ListedSnapshot] {
        &self.snapshots
    }

    /// Labels, by name.
    #[must_use]
    pub fn labels(&self) -> &[LabelName] {
        &self.labels
    }

    /// The newest snapshot that a restore may begin with, as far as names tell.
    #[must_use]
    pub fn newest_snapshot(&self) -> Option<&ListedSnapshot> {
        self.snapshots.iter().rev().find(|snapshot| snapshot.is_usable())
    }
}
