//! Stands in for the crate hadb-io, of which hadb-changeset 0.3.2 names one trait in a module that our proof does not use
//! (`docs/decisions/0006-*`). The decoder that reads our segments, hadb-changeset's `journal` module, is the published one.

use anyhow::Result;
use async_trait::async_trait;

/// What hadb-changeset's storage helpers call.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Writes an object.
    async fn upload_bytes(&self, key: &str, data: Vec<u8>) -> Result<()>;
    /// Reads an object.
    async fn download_bytes(&self, key: &str) -> Result<Vec<u8>>;
    /// Lists keys with a prefix.
    async fn list_objects(&self, prefix: &str) -> Result<Vec<String>>;
    /// Lists keys with a prefix that sort after a key.
    async fn list_objects_after(&self, prefix: &str, start_after: &str) -> Result<Vec<String>>;
}
