//! Which stores this build can open by their URLs.

use graphstream_storage::{MemoryBackend, StoreRegistry};

/// The names that Azure's tools have for its blobs.
const AZURE: &[&str] = &["abfs", "abfss", "az", "azure"];

const HTTP: &[&str] = &["http", "https"];

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
    #[cfg(feature = "gcp")]
    registry.register("gs", "gs://bucket/prefix", graphstream_storage_object_store::open_gcs_url);
    #[cfg(feature = "azure")]
    for scheme in AZURE {
        let opener = graphstream_storage_object_store::open_azure_url;
        registry.register(scheme, "az://container/prefix", opener);
    }
    #[cfg(feature = "http")]
    for scheme in HTTP {
        let opener = graphstream_storage_object_store::open_http_url;
        registry.register(scheme, "https://host/path", opener);
    }
    // Schemes that are there keep their openers.
    registry.not_built("file", "fs").not_built("s3", "s3").not_built("gs", "gcp");
    for (schemes, feature) in [(AZURE, "azure"), (HTTP, "http")] {
        for scheme in schemes {
            registry.not_built(scheme, feature);
        }
    }
    registry
}
