//! Which stores this build can open by their URLs.

use graphstream_storage::{MemoryBackend, StoreRegistry};

/// The registry of all schemes that this crate's features bring; others may be added to it.
///
/// ```
/// use graphstream::storage::{Access, StoreUrl};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stores = graphstream::store_registry();
/// let store = stores.open(&StoreUrl::new("memory:")?, Access::Write).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn store_registry() -> StoreRegistry {
    let mut registry = StoreRegistry::new();
    registry.register("memory", "memory:", MemoryBackend::open_url);
    #[cfg(feature = "fs")]
    registry.register("file", "file:///path", graphstream_storage_fs::open_url);
    #[cfg(feature = "s3")]
    registry.register("s3", "s3://bucket/prefix", graphstream_storage_s3::open_url);
    // Schemes that are there keep their openers.
    registry.not_built("file", "fs").not_built("s3", "s3");
    registry
}
