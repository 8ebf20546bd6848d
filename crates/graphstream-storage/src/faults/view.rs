//! A copy of a store at one time, from which stale reads are answered.

use std::sync::Arc;

use crate::error::Result;
use crate::{GetOptions, GetOutcome, ListRequest, Lister, MemoryBackend, StorageBackend};

/// A store as it was when captured, versions included. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreView(Arc<MemoryBackend>);

impl StoreView {
    /// Copies every object. Objects that vanish while copying are left out.
    pub(super) async fn capture(backend: &dyn StorageBackend) -> Result<Self> {
        let copy = MemoryBackend::new();
        for meta in Lister::new(backend, ListRequest::default()).objects().await? {
            match backend.get(&meta.key, GetOptions::default()).await {
                Ok(GetOutcome::Found(object)) => {
                    let meta = object.meta.clone();
                    copy.insert(meta, object.bytes(u64::MAX).await?);
                }
                Ok(GetOutcome::NotModified) => {}
                Err(error) if error.class() == crate::ErrorClass::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(Arc::new(copy)))
    }

    pub(super) fn backend(&self) -> &MemoryBackend {
        &self.0
    }
}
