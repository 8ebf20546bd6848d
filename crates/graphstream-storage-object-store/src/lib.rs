//! A [`StorageBackend`](graphstream_storage::StorageBackend) over the Apache [`object_store`] crate: every store that it knows, and
//! any [`ObjectStore`](object_store::ObjectStore) that somebody brings. Written against the public API of `graphstream-storage`
//! alone, as a backend of yours would be.
//!
//! ```text
//!   get, range, if changed ─► get_opts (If-None-Match)         put Overwrite ─► put_opts; a large file: put_multipart_opts
//!   head ─► get_opts(head)    delete ─► delete                 put Create    ─► put_opts(Create)
//!   list ─► list_with_offset, list_with_delimiter              put Match     ─► put_opts(Update)
//! ```
//!
//! What the crate below does not offer, and what is done about it:
//! - **Conditions on multipart uploads.** A file under `Create` or `Match` is put in one request, from memory, up to
//!   [`conditional_file_bytes_max`](ObjectStoreOptions::conditional_file_bytes_max).
//! - **Pages.** Its listings are streams. A page is the first `limit` keys of one, its token the last key. A store whose stream is not
//!   in the order of keys is read to its end for every page (in bounded memory), unless it is
//!   [said to be ordered](ObjectStoreOptions::listing_is_ordered).
//! - **Outcome of a failed put.** Most failures have no class of their own there, so a put that failed without a reason is *unknown*.
//!   A conflict (409) that it reports as "already exists" is believed only if there is an object.
//! - **Versions** are etags. A store without etags can be neither read nor written to through this.
//!
//! Its own retries should be off: retrying is a decorator's business.
//!
//! Features `azure`, `gcp` and `http` open stores by URL (`open_azure_url`, `open_gcs_url`, `open_http_url`), with an HTTP client of
//! this crate's in place of `object_store`'s own: it follows no redirect and repeats nothing. `client` alone sorts the errors of stores
//! over HTTP that the program opens.

mod backend;
#[cfg(any(feature = "azure", feature = "gcp", feature = "http"))]
mod client;
mod error;
mod list;
#[cfg(any(feature = "azure", feature = "gcp", feature = "http"))]
mod open;
mod options;
mod put;

pub use backend::ObjectStoreBackend;
pub use error::Error;
pub use object_store;
#[cfg(feature = "azure")]
pub use open::open_azure_url;
#[cfg(feature = "gcp")]
pub use open::open_gcs_url;
#[cfg(feature = "http")]
pub use open::open_http_url;
pub use options::ObjectStoreOptions;
