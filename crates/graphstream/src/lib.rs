//! Journal replication, continuous backup and point-in-time restore for embedded graph databases.
//!
//! This crate holds no logic: it names the parts. Applications start at `Journal`, `Leader` and
//! `Follower`; tools that only read or write segments need [`format`](mod@format) and nothing else
//! (`default-features = false`); stores and databases plug in through `StorageBackend` and
//! `ReplayTarget`.

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
