//! What graphstream asks of an object store, and nothing more.
//!
//! ```text
//!   remote, compaction, replication          callers: keys, conditional puts, listings
//!            │
//!     StorageBackend (object-safe trait)     obligations O1..O10, see its documentation
//!            │
//!   decorators: retry, metrics, faults, ..   wrap any backend, are a backend
//!            │
//!   memory │ file system │ S3 │ yours        one crate each; `conformance` tells whether it keeps its word
//! ```
//!
//! The crate needs no async runtime: futures are plain, a backend brings the runtime that it needs. Decorators that wait do so
//! on tokio's clock, so within a tokio runtime with time enabled.

mod backend;
mod breaker;
pub mod check;
mod clock;
mod error;
mod key;
mod lister;
mod memory;
mod metered;
mod object;
mod prefix;
mod random;
mod rate_limit;
mod registry;
mod request;
mod retry;
mod stack;
mod stream;
mod timeout;
mod turn;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "faults")]
pub mod faults;

pub use backend::{Operation, StorageBackend};
pub use breaker::{CircuitBreaker, CircuitBreakerBackend, CircuitBreakerConfig, CircuitPass, CircuitState};
pub use bytes::Bytes;
pub use clock::MonotonicClock;
pub use error::{Error, ErrorClass, KeyProblem, ListingProblem, Result};
pub use graphstream_metrics::GraphstreamMetrics;
pub use key::{KEY_BYTES_MAX, Key, SEGMENT_BYTES_MAX};
pub use lister::Lister;
pub use memory::MemoryBackend;
pub use metered::MeteredBackend;
pub use object::{GetOutcome, ListPage, Object, ObjectMeta, Version};
pub use prefix::PrefixBackend;
pub use rate_limit::{RateLimitBackend, RateLimitConfig};
pub use registry::{Access, Forms, OpenError, OpenFuture, Parameters, StoreRegistry, StoreUrl};
pub use request::{GetOptions, ListRequest, PutBody, PutMode, Token};
pub use retry::{Attempts, Backoff, RetryBackend, RetryConfig, RetryPolicy};
pub use stack::StackConfig;
pub use stream::ByteStream;
pub use timeout::{TimeoutBackend, TimeoutConfig};

#[cfg(feature = "faults")]
pub use faults::FaultBackend;
