//! Putting a snapshot's objects, and fetching them, verified before anything is believed.

use graphstream_storage::{Bytes, ErrorClass, GetOptions, GetOutcome, Key, PutMode};
use sha2::{Digest, Sha256};

use super::manifest::part_name;
use super::{SnapshotManifest, SnapshotPart};
use crate::error::{Attempt, Error, Result, SegmentDamage};
use crate::{ObjectName, Remote, SegmentSink, SnapshotName};

/// What became of putting a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestPut {
    /// The snapshot is there.
    Created,
    /// Another attempt has made a snapshot of the same position first; ours is not needed.
    Exists(Box<SnapshotManifest>),
}

impl Remote {
    /// Puts a data object, create-only. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::SegmentDiffers`] when the key exists with other content; [`Error::Storage`].
    pub async fn put_snapshot_part(
        &self,
        name: &SnapshotName,
        attempt: u64,
        index: usize,
        bytes: Bytes,
    ) -> Result<SnapshotPart> {
        let object = part_name(&format!("{attempt:016x}"), index);
        let key = self.layout().key(&ObjectName::Snapshot(*name, object))?;
        let part = SnapshotPart { size: bytes.len() as u64, sha256: Sha256::digest(&bytes).into() };
        let mut lost = None;
        for _ in 0..Self::ATTEMPTS {
            let error = match self.backend().put(&key, bytes.clone().into(), PutMode::Create).await {
                Ok(_) => return Ok(part),
                Err(error) => error,
            };
            if error.class() != ErrorClass::Exists && !error.class().is_unknown() {
                return Err(Error::storage(Attempt::UploadSnapshot, key)(error));
            }
            // Ours with a lost answer, or not there (yet): then once more.
            match self.fetch_part(&key, part, &mut Discard).await {
                Ok(true) => return Ok(part),
                Ok(false) => lost = Some(error),
                Err(Error::SegmentDamaged { source, .. }) => {
                    let (found_size, found) = match *source {
                        SegmentDamage::Size { found, .. } => (found, String::new()),
                        SegmentDamage::Sha256 { found, .. } => (part.size, found),
                        _ => (0, String::new()),
                    };
                    let (expected_size, expected) = (part.size, hex::encode(part.sha256));
                    return Err(Error::SegmentDiffers { key, expected_size, expected, found_size, found });
                }
                Err(error) => return Err(error),
            }
        }
        Err(match lost {
            Some(error) => Error::storage(Attempt::UploadSnapshot, key)(error),
            None => Error::Contended { attempt: Attempt::UploadSnapshot, key, attempts: Self::ATTEMPTS },
        })
    }

    /// Puts the manifest, create-only: from then on the snapshot is there. All its parts stand, and were read back.
    ///
    /// # Errors
    /// [`Error::DocumentDamaged`] for a manifest that nobody could read, ours or the one that is there; [`Error::Storage`].
    pub async fn put_snapshot_manifest(&self, manifest: &SnapshotManifest) -> Result<ManifestPut> {
        let name = manifest.name()?;
        let key = self.manifest_key(&name)?;
        let bytes = manifest
            .render(self.proofs().keys())
            .map_err(|source| Error::DocumentDamaged { key: key.clone(), source })?;
        let mut lost = None;
        for _ in 0..Self::ATTEMPTS {
            match self.backend().put(&key, bytes.clone().into(), PutMode::Create).await {
                Ok(_) => return Ok(ManifestPut::Created),
                Err(error) if error.class() == ErrorClass::Exists || error.class().is_unknown() => {
                    match self.read_snapshot_manifest(&name).await? {
                        Some(found) if found == *manifest => return Ok(ManifestPut::Created),
                        Some(found) => return Ok(ManifestPut::Exists(Box::new(found))),
                        None => lost = Some(error),
                    }
                }
                Err(error) => return Err(Error::storage(Attempt::UploadSnapshot, key)(error)),
            }
        }
        Err(match lost {
            Some(error) => Error::storage(Attempt::UploadSnapshot, key)(error),
            None => Error::Contended { attempt: Attempt::UploadSnapshot, key, attempts: Self::ATTEMPTS },
        })
    }

    /// Reads a snapshot's manifest, which must be of that name; `None` when there is none. With keys, a plain one is damage.
    ///
    /// # Errors
    /// [`Error::DocumentDamaged`], of kind [`Key`](crate::ErrorKind::Key) where only the key is missing; [`Error::Storage`].
    pub async fn read_snapshot_manifest(&self, name: &SnapshotName) -> Result<Option<SnapshotManifest>> {
        let key = self.manifest_key(name)?;
        let read = self.read_small(&key, SnapshotManifest::BYTES_MAX, Attempt::ReadSnapshot);
        let Some(bytes) = read.await? else { return Ok(None) };
        let damaged = |source| Error::DocumentDamaged { key: key.clone(), source };
        let manifest = SnapshotManifest::parse(&bytes, self.proofs().keys()).map_err(damaged)?;
        if manifest.name()? != *name {
            return Err(damaged(crate::DocumentProblem::Field("it is of another snapshot")));
        }
        Ok(Some(manifest))
    }

    /// The key of a snapshot's manifest.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`], which a constructed remote does not meet.
    pub fn manifest_key(&self, name: &SnapshotName) -> Result<Key> {
        self.layout().key(&ObjectName::Snapshot(*name, "manifest.json".to_owned()))
    }

    /// The key of a snapshot's data object, by its place from 0.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`], [`Error::InvalidSnapshotName`], which a parsed manifest does not meet.
    pub fn part_key(&self, manifest: &SnapshotManifest, index: usize) -> Result<Key> {
        self.layout().key(&ObjectName::Snapshot(manifest.name()?, manifest.part_name(index)))
    }

    /// Streams a data object into `sink` and compares it with the manifest; `false` when it is not there. The sink's content is
    /// worthless unless this returns `true`.
    ///
    /// # Errors
    /// [`Error::SegmentDamaged`] for other bytes than the manifest names; [`Error::Sink`]; [`Error::Storage`].
    pub async fn fetch_snapshot_part(
        &self,
        manifest: &SnapshotManifest,
        index: usize,
        sink: &mut dyn SegmentSink,
    ) -> Result<bool> {
        let key = self.part_key(manifest, index)?;
        match manifest.parts.get(index) {
            Some(part) => self.fetch_part(&key, *part, sink).await,
            None => Ok(false),
        }
    }

    async fn fetch_part(&self, key: &Key, part: SnapshotPart, sink: &mut dyn SegmentSink) -> Result<bool> {
        let failed = |source| Error::storage(Attempt::ReadSnapshot, key)(source);
        let damaged = |source| Error::SegmentDamaged { key: key.clone(), source: Box::new(source) };
        let wrong_size = |found| damaged(SegmentDamage::Size { expected: part.size, found });
        let object = match self.backend().get(key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => object,
            Ok(GetOutcome::NotModified) => return Ok(false),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        if object.meta.size != part.size {
            return Err(wrong_size(object.meta.size));
        }
        let mut body = object.body;
        let mut sha256 = Sha256::new();
        let mut found: u64 = 0;
        while let Some(chunk) = body.next_chunk().await.map_err(failed)? {
            found = found.saturating_add(chunk.len() as u64);
            if found > part.size {
                break;
            }
            sha256.update(&chunk);
            sink.write(&chunk).map_err(|source| Error::Sink { key: key.clone(), source })?;
        }
        if found != part.size {
            return Err(wrong_size(found));
        }
        let found: [u8; 32] = sha256.finalize().into();
        if found != part.sha256 {
            let (expected, found) = (hex::encode(part.sha256), hex::encode(found));
            return Err(damaged(SegmentDamage::Sha256 { expected, found }));
        }
        Ok(true)
    }
}

/// For looking at an object only.
struct Discard;

impl SegmentSink for Discard {
    fn write(&mut self, _chunk: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}
