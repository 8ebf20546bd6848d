//! Journal replication, continuous backup and audit trail for embedded graph databases.
//!
//! A leader appends every mutation (Cypher and typed parameters) to a hash-chained journal, ships sealed segments to an
//! object store and publishes them; followers fetch, verify and replay them into databases of their own.
//!
//! This crate holds no logic: it names the parts. Applications start at [`Leader`] and [`Follower`], or at [`Journal`]
//! alone; tools that only read or write segments need [`format`](mod@format) and nothing else
//! (`default-features = false`); stores and databases plug in through [`StorageBackend`] and [`ReplayTarget`].
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use graphstream::proto::JournalEntry;
//! use graphstream::remote::{DatabaseName, Remote};
//! use graphstream::replay::JsonlTarget;
//! use graphstream::storage_fs::{FsBackend, FsOptions};
//! use graphstream::{Ack, Follower, Leader, Stop};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let store = FsBackend::open(dir.join("store"), FsOptions::default())?;
//! let remote = Remote::new(Arc::new(store), "", DatabaseName::new("people")?)?;
//!
//! let (leader, _) = Leader::builder(dir.join("journal"), remote.clone()).start().await?;
//! let entry = JournalEntry::new("CREATE (:Person {name: $name})", 1_700_000_000_000).with_param("name", "Ada");
//! leader.append(&entry)?.acked(Ack::Synced).await?; // on this disk
//! leader.sync().await?; // in the store, and published
//!
//! let target = JsonlTarget::open(dir.join("follower.jsonl"))?;
//! let mut follower =
//!     Follower::open(remote, Box::new(target), Default::default(), Default::default()).await?;
//! let status = follower.catch_up(None, &Stop::new()).await?;
//! assert_eq!(status.applied_sequence(), 1);
//! leader.shutdown(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```

pub use graphstream_format as format;
#[cfg(feature = "replication")]
pub use graphstream_journal as journal;
#[cfg(feature = "replication")]
pub use graphstream_metrics as metrics;
#[cfg(feature = "replication")]
pub use graphstream_proto as proto;
#[cfg(feature = "replication")]
pub use graphstream_remote as remote;
#[cfg(feature = "replication")]
pub use graphstream_replay as replay;
#[cfg(feature = "replication")]
pub use graphstream_replication as replication;
#[cfg(feature = "replication")]
pub use graphstream_storage as storage;
#[cfg(feature = "fs")]
pub use graphstream_storage_fs as storage_fs;
#[cfg(feature = "grafeo")]
pub use graphstream_target_grafeo as target_grafeo;

#[cfg(feature = "replication")]
pub use graphstream_journal::{Ack, Journal, JournalOptions, JournalReader};
#[cfg(feature = "replication")]
pub use graphstream_metrics::GraphstreamMetrics;
#[cfg(feature = "replication")]
pub use graphstream_proto::{JournalEntry, ParamValue};
#[cfg(feature = "replication")]
pub use graphstream_replay::ReplayTarget;
#[cfg(feature = "replication")]
pub use graphstream_replication::{Follower, Leader, Stop, Uploader};
#[cfg(feature = "replication")]
pub use graphstream_storage::StorageBackend;
