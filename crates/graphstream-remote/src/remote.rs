//! One database in one store: the calls that leaders and followers share.

use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{Header, Lineage, Position, ReadOptions};
use graphstream_storage::check::{Conditions, probe};
use graphstream_storage::{
    ErrorClass, GetOptions, GetOutcome, Key, ListRequest, Lister, PutMode, StorageBackend, Version,
};

use crate::chain_value::Proofs;
use crate::error::{Attempt, Error, Result};
use crate::head::{HEAD_BYTES_MAX, HeadProblem};
use crate::random::{OsRandomness, Randomness};
use crate::{
    ChainValue, DatabaseId, DatabaseName, EpochObject, EpochRow, Floor, Head, Layout, ObjectName, WriteId,
};

/// A head as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredHead {
    /// Its content.
    pub head: Head,
    /// Its version, for conditional reads and for replacing it.
    pub version: Version,
}

/// The answer to a read of the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadRead {
    /// There is no head.
    Missing,
    /// It still has the version that was asked with.
    NotModified,
    /// The head.
    Found(Box<StoredHead>),
}

/// Which database and history a reader or leader means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The database.
    pub database_id: DatabaseId,
    /// Its history.
    pub lineage: Lineage,
}

impl Identity {
    /// All fields.
    #[must_use]
    pub fn new(database_id: DatabaseId, lineage: Lineage) -> Self {
        Self { database_id, lineage }
    }
}

/// One database in one store. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Remote {
    backend: Arc<dyn StorageBackend>,
    layout: Layout,
    randomness: Arc<dyn Randomness>,
    segment_bytes_max: u64,
    proofs: Proofs,
}

impl Remote {
    /// The largest segment that is fetched unless [`with_segment_bytes_max`](Self::with_segment_bytes_max) says
    /// otherwise, in bytes: 16 GiB.
    pub const SEGMENT_BYTES_MAX_DEFAULT: u64 = 16 << 30;

    /// The database under `root` in `backend`; an empty root is the store's own.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`].
    pub fn new(backend: Arc<dyn StorageBackend>, root: &str, database: DatabaseName) -> Result<Self> {
        let layout = Layout::new(root, database)?;
        let segment_bytes_max = Self::SEGMENT_BYTES_MAX_DEFAULT;
        let proofs = Proofs::new(None, layout.key(&ObjectName::Head)?);
        Ok(Self { backend, layout, randomness: Arc::new(OsRandomness), segment_bytes_max, proofs })
    }

    /// The keys of an encrypted history. What is written is keyed with the current one; nothing plain is accepted, but segments that the
    /// head says were published before encryption was turned on.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeyRing>) -> Self {
        self.proofs.keys = Some(keys);
        self
    }

    /// The keys it was given.
    #[must_use]
    pub fn keys(&self) -> Option<&Arc<KeyRing>> {
        self.proofs.keys.as_ref()
    }

    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// Whether a published chain value is that of this position.
    ///
    /// # Errors
    /// [`Error::HeadDamaged`] of kind [`Key`](crate::ErrorKind::Key) when that takes a key that was not given.
    pub fn is_chain(&self, published: &ChainValue, position: &Position) -> Result<bool> {
        self.proofs.is(published, position)
    }

    /// A position's chain hash as it may be shown: under the key of `published`, if the history is encrypted.
    #[must_use]
    pub fn shown_chain(&self, position: &Position, published: &ChainValue) -> ChainValue {
        self.proofs.shown_like(published, position)
    }

    /// Checks that a head is not below a floor and does not contradict it, as a [`HeadReader`](crate::HeadReader) does with its own.
    ///
    /// # Errors
    /// [`Error::Rewound`], [`Error::Fork`]; [`Error::HeadDamaged`] when a key is missing to compare them.
    pub fn check_floor(&self, head: &Head, floor: &Floor) -> Result<()> {
        floor.check(head, &self.proofs)
    }

    /// How a segment with this header is read, after [`fetch_segment`](Self::fetch_segment) has compared it with the head.
    #[must_use]
    pub fn read_options(&self, header: &Header) -> ReadOptions {
        match self.keys().filter(|_| header.is_encrypted()) {
            Some(keys) => ReadOptions::default().with_keys(Arc::clone(keys)),
            None => ReadOptions::default(),
        }
    }

    /// Draws nonces and write ids from `randomness`.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Arc<dyn Randomness>) -> Self {
        self.randomness = randomness;
        self
    }

    /// Fetches no segment larger than this, in bytes.
    #[must_use]
    pub fn with_segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }

    /// The store.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn StorageBackend> {
        &self.backend
    }

    /// Names and keys.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where nonces and write ids come from.
    #[must_use]
    pub fn randomness(&self) -> &dyn Randomness {
        &*self.randomness
    }

    pub(crate) fn segment_bytes_max(&self) -> u64 {
        self.segment_bytes_max
    }

    /// The key of the head.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`], which a constructed remote does not meet.
    pub fn head_key(&self) -> Result<Key> {
        self.layout.key(&ObjectName::Head)
    }

    /// Reads the head, if its version is not `unless`.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::HeadDamaged`] for bytes that are not a head, or that the keys don't prove.
    pub async fn read_head(&self, unless: Option<&Version>) -> Result<HeadRead> {
        self.read_head_as(unless, None).await
    }

    /// As [`read_head`](Self::read_head). A plain head is taken in spite of keys, if it commits nothing behind `plain_up_to`.
    pub(crate) async fn read_head_as(
        &self,
        unless: Option<&Version>,
        plain_up_to: Option<u64>,
    ) -> Result<HeadRead> {
        let key = self.head_key()?;
        let failed = |source| Error::storage(Attempt::ReadHead, &key)(source);
        let mut options = GetOptions::default();
        options.if_changed_from = unless.cloned();
        let object = match self.backend.get(&key, options).await {
            Ok(GetOutcome::Found(object)) => object,
            Ok(GetOutcome::NotModified) => return Ok(HeadRead::NotModified),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(HeadRead::Missing),
            Err(error) => return Err(failed(error)),
        };
        let version = object.meta.version.clone();
        let bytes = object.bytes(HEAD_BYTES_MAX).await.map_err(failed)?;
        let keys = self.proofs.keys();
        let damaged = |source| Error::HeadDamaged { key: key.clone(), source };
        let head = Head::parse_plain_too(&bytes, keys).map_err(damaged)?;
        let taken = plain_up_to.is_some_and(|plain| head.committed().sequence <= plain);
        if keys.is_some() && !head.is_keyed() && !taken {
            return Err(damaged(HeadProblem::Plaintext));
        }
        Ok(HeadRead::Found(Box::new(StoredHead { head, version })))
    }

    /// Checks that a head is of the database and lineage that is meant.
    ///
    /// # Errors
    /// [`Error::OtherDatabase`], [`Error::OtherLineage`].
    pub fn check_identity(&self, head: &Head, identity: &Identity) -> Result<()> {
        let (expected, found) = (identity.database_id, head.database_id());
        if expected != found {
            return Err(Error::OtherDatabase { key: self.head_key()?, expected, found });
        }
        let (expected, found) = (identity.lineage, head.lineage());
        if expected != found {
            return Err(Error::OtherLineage { key: self.head_key()?, expected, found });
        }
        Ok(())
    }

    /// Looks whether the store keeps conditions on puts, with some 12 requests on an object of their own.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn probe_conditions(&self) -> Result<Conditions> {
        let key = self.layout.probe_key()?;
        let [a, b, c, d, e, f, g, h, ..] = self.randomness().bytes16()?;
        let salt = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        probe(&*self.backend, &key, salt).await.map_err(Error::storage(Attempt::Probe, &key))
    }

    /// Looks for an object that proves that the database was not always empty: anything under `seg/`, `snap/`, `epoch/`,
    /// whether or not we would parse its name.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn evidence(&self) -> Result<Option<Key>> {
        for directory in ["seg/", "snap/", "epoch/"] {
            let prefix = self.layout.prefix(directory);
            let mut lister = Lister::new(&*self.backend, ListRequest::new(prefix.as_str()).with_limit(1));
            while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
                if let Some(object) = page.objects.into_iter().next() {
                    return Ok(Some(object.key));
                }
            }
        }
        Ok(None)
    }

    /// Creates the head of a new database (epoch 0, nothing committed) unless there is one, whoever created it. The caller
    /// has made sure that the database is new.
    ///
    /// # Errors
    /// [`Error::Storage`]; with class `TimeoutUnknown` the head may exist now or later. Read it again.
    pub async fn create_head(&self, identity: &Identity) -> Result<()> {
        let key = self.head_key()?;
        let write_id = WriteId::random(self.randomness())?;
        let keys = self.proofs.keys();
        let head = Head::created(identity.database_id, identity.lineage, write_id, keys);
        match self.put_head(&key, &head, PutMode::Create).await? {
            Ok(_) => Ok(()),
            Err(error) if error.class() == ErrorClass::Exists => Ok(()),
            Err(error) => Err(Error::storage(Attempt::CreateHead, key)(error)),
        }
    }

    /// Writes a head; the inner result is the store's answer.
    pub(crate) async fn put_head(
        &self,
        key: &Key,
        head: &Head,
        mode: PutMode,
    ) -> Result<Result<Version, graphstream_storage::Error>> {
        let damaged = |source| Error::HeadDamaged { key: key.clone(), source };
        let bytes = head.render(self.proofs.keys()).map_err(damaged)?;
        Ok(self.backend.put(key, bytes.into(), mode).await)
    }

    /// Makes sure that the epoch object of `row` stands, creating it when it is missing. Any holder of the head may do so.
    ///
    /// # Errors
    /// [`Error::EpochObjectDiffers`] when it stands with other content; [`Error::Storage`].
    pub async fn ensure_epoch_object(&self, head: &Head, row: &EpochRow) -> Result<()> {
        let epoch = row.epoch;
        let key = self.layout.key(&ObjectName::Epoch(epoch))?;
        let bytes = head
            .epoch_object(row)
            .render(self.proofs.keys())
            .map_err(|source| Error::HeadDamaged { key: key.clone(), source })?;
        // Created first, compared only if it exists: one request in the usual case. An unknown outcome is settled by the
        // next attempt, which then finds the object or creates it.
        let mut unknown = None;
        for _ in 0..Self::ATTEMPTS {
            match self.backend.put(&key, bytes.clone().into(), PutMode::Create).await {
                Ok(_) => {
                    tracing::debug!(epoch, "epoch object created");
                    return Ok(());
                }
                Err(error) if error.class() == ErrorClass::Exists => {
                    return match self.read_epoch_object(&key).await? {
                        Some(found) if found == bytes => Ok(()),
                        Some(_) => Err(Error::EpochObjectDiffers { key, epoch }),
                        None => continue,
                    };
                }
                Err(error) if error.class().is_unknown() => unknown = Some(error),
                Err(error) => return Err(Error::storage(Attempt::CreateEpochObject, key)(error)),
            }
        }
        Err(match unknown {
            Some(error) => Error::storage(Attempt::CreateEpochObject, key)(error),
            None => Error::Contended { attempt: Attempt::CreateEpochObject, key, attempts: Self::ATTEMPTS },
        })
    }

    /// How often a write is attempted whose answers are lost or which collides with our own earlier attempts.
    pub(crate) const ATTEMPTS: u32 = 8;

    /// The bytes of an epoch object; `None` when there is none.
    pub(crate) async fn read_epoch_object(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let failed = |source| Error::storage(Attempt::ReadEpochObject, &key)(source);
        match self.backend.get(key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => {
                Ok(Some(object.bytes(EpochObject::BYTES_MAX).await.map_err(failed)?.to_vec()))
            }
            Ok(GetOutcome::NotModified) => Ok(None),
            Err(error) if error.class() == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The numbers of all epoch objects above `after`, ascending, at most `limit`. Keys that are not epoch objects are
    /// skipped.
    pub(crate) async fn list_epochs(&self, after: u32, limit: usize) -> Result<Vec<u32>> {
        let prefix = self.layout.prefix("epoch/");
        let start = self.layout.prefix(&ObjectName::Epoch(after).to_string());
        let request = ListRequest::new(prefix.as_str()).with_start_after(start);
        let mut lister = Lister::new(&*self.backend, request);
        let mut epochs = Vec::new();
        while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
            for object in page.objects {
                match self.layout.parse(&object.key) {
                    Some(ObjectName::Epoch(epoch)) if epochs.len() < limit => epochs.push(epoch),
                    Some(ObjectName::Epoch(_)) => return Ok(epochs),
                    _ => tracing::warn!(key = %object.key, "a key under epoch/ that is not an epoch object"),
                }
            }
        }
        Ok(epochs)
    }
}
