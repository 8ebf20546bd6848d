//! Objects in S3 and in what speaks its protocol, as a [`StorageBackend`](graphstream_storage::StorageBackend).
//!
//! ```text
//!   S3Config ──open──▶ S3Backend ──▶ aws-sdk-s3 ──▶ HTTP/1.1 (rustls with ring) ──▶ endpoint
//!                         │
//!                         ├─ put     one PutObject, or parts side by side and one CompleteMultipartUpload
//!                         ├─ get     GetObject with range and condition; checksums verified by the SDK
//!                         ├─ list    ListObjectsV2, a page per call
//!                         └─ error   every answer sorted into a class (module `verdict`)
//! ```
//! A backend makes one attempt and waits as long as it takes: the SDK's retries, time-outs and stalled-stream protection are off,
//! because the decorators of `graphstream-storage` do these things, once, for all stores, and know what is safe to repeat. The
//! SDK would repeat a conditional put whose answer was lost and take the refusal of its own write for somebody else's.
//!
//! Features: `tls` (default) for `https:` endpoints; `ambient-credentials` (default) for profiles, web identity, containers and
//! instance metadata. Without the latter credentials come from `AWS_ACCESS_KEY_ID` and its like or are given.

mod backend;
mod config;
mod connect;
mod delete;
mod error;
mod get;
mod hint;
mod list;
mod multipart;
mod orphans;
mod put;
mod secret;
mod source;
#[cfg(feature = "tls")]
mod trust;
mod url;
mod verdict;

pub use backend::S3Backend;
pub use config::{Credentials, Encryption, S3Config};
pub use error::Error;
pub use orphans::{UnfinishedUpload, UploadMarker, UploadPage};
pub use secret::{CustomerKey, StaticCredentials};
pub use url::open_url;
