//! The objects of one check: every key that was ever named is remembered, so that cleaning up needs no listing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::{GetOptions, GetOutcome, Key, PutMode, StorageBackend, Version};

/// The bodies of a check are far smaller.
const BODY_BYTES_MAX: u64 = 1 << 20;

pub(super) struct Scope<'a> {
    pub(super) backend: &'a dyn StorageBackend,
    root: Key,
    named: Mutex<BTreeSet<Key>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(backend: &'a dyn StorageBackend, root: Key) -> Self {
        Self { backend, root, named: Mutex::default() }
    }

    pub(super) fn root(&self) -> &Key {
        &self.root
    }

    pub(super) fn key(&self, name: &str) -> Result<Key> {
        let key = self.root.join(name)?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        Ok(key)
    }

    /// The text `name` below the root.
    pub(super) fn text(&self, name: &str) -> String {
        format!("{}{name}", self.root.as_prefix())
    }

    pub(super) async fn put(&self, key: &Key, body: &str, mode: PutMode) -> Result<Version> {
        self.backend.put(key, body.as_bytes().to_vec().into(), mode).await
    }

    /// Version and body; a body that is no text is shown as it can be.
    pub(super) async fn read(&self, key: &Key) -> Result<(Version, String)> {
        match self.backend.get(key, GetOptions::default()).await? {
            GetOutcome::Found(object) => {
                let version = object.meta.version.clone();
                let bytes = object.bytes(BODY_BYTES_MAX).await?;
                Ok((version, String::from_utf8_lossy(&bytes).into_owned()))
            }
            GetOutcome::NotModified => Err(crate::Error::Unsupported {
                backend: self.backend.describe(),
                operation: crate::Operation::Get,
            }),
        }
    }

    /// Deletes everything; how many objects may be left.
    pub(super) async fn clean(&self) -> usize {
        let named: Vec<Key> =
            self.named.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let mut left = 0;
        for keys in named.chunks(100) {
            left += match self.backend.delete_many(keys).await {
                Ok(outcomes) => outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count(),
                Err(_) => keys.len(),
            };
        }
        left
    }
}
