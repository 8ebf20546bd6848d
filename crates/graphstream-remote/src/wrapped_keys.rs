//! `keys.json`: the data keys of a database, wrapped by a master key. Who holds the master reads and writes the database; another master
//! wraps the same keys again, and nothing else changes.
//!
//! ```text
//! {"format":2,"key_id":"<id of the master>","mac":"...","content":{"keys":[{"key_id":"...","wrapped":"<144 hex digits>"}, ...]}}
//!                                                                          the first is the current one
//! ```
//! The document is proven by the master, so that nobody without it takes a key out or puts an older one first. It is small, and replaced by
//! compare-and-swap only. An older one that is put back proves itself: it lacks the newer keys, which readers then name.

use graphstream_format::encryption::{
    DataKey, DocumentKind, KeyId, KeyRing, WRAP_NONCE_LEN, WRAPPED_KEY_LEN, WrappedKey,
};
use graphstream_storage::{ErrorClass, GetOptions, GetOutcome, PutMode, Version};
use serde::{Deserialize, Serialize};

use crate::document::{open_document, seal_document};
use crate::error::{Attempt, Error, Result};
use crate::head::HeadProblem;
use crate::ids::hex_text;
use crate::{ObjectName, Remote};

/// The largest `keys.json` that is read, in bytes: some 1,000 keys.
const BYTES_MAX: u64 = 256 << 10;

/// The keys of a database as they stand in its store.
#[derive(Debug)]
pub struct StoredKeys {
    /// The keys, the current one first.
    pub ring: KeyRing,
    /// The version of the object, for replacing it.
    version: Version,
}

/// What became of the keys in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysWritten {
    /// Whether there were none before.
    pub created: bool,
    /// The keys that are there now, the current one first.
    pub keys: Vec<KeyId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    keys: Vec<KeyJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyJson {
    #[serde(with = "hex_text")]
    key_id: KeyId,
    #[serde(with = "hex_text")]
    wrapped: [u8; WRAPPED_KEY_LEN],
}

impl Remote {
    /// The keys in the store's `keys.json`, opened by whichever of these master keys they were wrapped with; `None` when there are none.
    ///
    /// # Errors
    /// [`Error::HeadDamaged`]: of kind [`Key`](crate::ErrorKind::Key) without the master, otherwise for a document that was changed;
    /// [`Error::Storage`].
    pub async fn read_keys(&self, masters: &KeyRing) -> Result<Option<StoredKeys>> {
        let key = self.layout().key(&ObjectName::Keys)?;
        let failed = |source| Error::storage(Attempt::ReadKeys, &key)(source);
        let object = match self.backend().get(&key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => object,
            Ok(GetOutcome::NotModified) => return Ok(None),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let version = object.meta.version.clone();
        let bytes = object.bytes(BYTES_MAX).await.map_err(failed)?;
        let ring = unwrapped(&bytes, masters).map_err(|source| Error::HeadDamaged { key, source })?;
        Ok(Some(StoredKeys { ring, version }))
    }

    /// Writes the keys of `ring` into `keys.json`, wrapped by the current one of the master keys. Keys that stand there already, wrapped by any of
    /// them, and that `ring` lacks, stay as older ones: no key is ever lost here. Without a ring, what stands there is wrapped anew. `None` when
    /// there is nothing to write.
    ///
    /// # Errors
    /// As [`read_keys`](Self::read_keys), of what stands there; [`Error::Contended`] when somebody else keeps changing it; [`Error::Storage`].
    pub async fn write_keys(&self, ring: Option<&KeyRing>, masters: &KeyRing) -> Result<Option<KeysWritten>> {
        let key = self.layout().key(&ObjectName::Keys)?;
        for _ in 0..Self::ATTEMPTS {
            let stored = self.read_keys(masters).await?;
            let rings = [ring, stored.as_ref().map(|stored| &stored.ring)];
            let mut keys: Vec<&DataKey> = Vec::new();
            for data_key in rings.into_iter().flatten().flat_map(KeyRing::keys) {
                if !keys.iter().any(|known| known.id() == data_key.id()) {
                    keys.push(data_key);
                }
            }
            if keys.is_empty() {
                return Ok(None);
            }
            let written =
                KeysWritten { created: stored.is_none(), keys: keys.iter().map(|key| key.id()).collect() };
            let bytes = self
                .wrapped(&keys, masters.current())?
                .map_err(|source| Error::HeadDamaged { key: key.clone(), source })?;
            let mode = match &stored {
                None => PutMode::Create,
                Some(stored) => PutMode::Match(stored.version.clone()),
            };
            match self.backend().put(&key, bytes.into(), mode).await {
                Ok(_) => return Ok(Some(written)),
                Err(error) => match error.class() {
                    ErrorClass::Exists | ErrorClass::VersionMismatch | ErrorClass::NotFound => {}
                    // Landed or not: what stands there then is read, and the same keys are written once more.
                    ErrorClass::TimeoutUnknown => {}
                    _ => return Err(Error::storage(Attempt::WriteKeys, &key)(error)),
                },
            }
        }
        Err(Error::Contended { attempt: Attempt::WriteKeys, key, attempts: Self::ATTEMPTS })
    }

    fn wrapped(&self, keys: &[&DataKey], master: &DataKey) -> Result<Result<Vec<u8>, HeadProblem>> {
        let mut rows = Vec::with_capacity(keys.len());
        for data_key in keys {
            let random = [self.randomness().bytes16()?, self.randomness().bytes16()?].concat();
            let mut nonce = [0; WRAP_NONCE_LEN];
            for (to, from) in nonce.iter_mut().zip(random) {
                *to = from;
            }
            let WrappedKey { key_id, bytes, .. } = WrappedKey::wrap(master, data_key, &nonce);
            rows.push(KeyJson { key_id, wrapped: bytes });
        }
        Ok(seal_document(DocumentKind::Keys, &Json { keys: rows }, master))
    }
}

fn unwrapped(bytes: &[u8], masters: &KeyRing) -> Result<KeyRing, HeadProblem> {
    let (content, master_id) = open_document(DocumentKind::Keys, bytes, Some(masters))?;
    let master = masters.key(master_id).ok_or(HeadProblem::UnknownKey { id: master_id })?;
    let Json { keys } = serde_json::from_str(content)?;
    let mut ring: Option<KeyRing> = None;
    for KeyJson { key_id, wrapped } in keys {
        let wrapped = WrappedKey { master_id, key_id, bytes: wrapped };
        let key = wrapped.unwrap_with(master).map_err(|_| HeadProblem::Forged { id: master_id })?;
        ring = Some(match ring {
            None => KeyRing::new(key),
            Some(ring) => ring.with_older(key),
        });
    }
    ring.ok_or(HeadProblem::Forged { id: master_id })
}
