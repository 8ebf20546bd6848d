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
//!
//! # Writing through
//!
//! [`Leader::execute`] executes, journals and commits in the leader's own database (a
//! [`TransactionalTarget`](replay::TransactionalTarget)). An application that executes in its database itself takes the same steps as
//! calls of their own; in another order they don't compile. Whatever is dropped between the append and the commit, the leader writes nothing
//! more until it is told of a database that holds everything the journal does.
//!
//! ```
//! use std::sync::Arc;
//!
//! use graphstream::format::Position;
//! use graphstream::remote::{DatabaseName, Remote};
//! use graphstream::replication::Error;
//! use graphstream::storage::MemoryBackend;
//! use graphstream::{JournalEntry, Leader};
//!
//! /// The application's own database, with the position in it.
//! struct Database {
//!     people: Vec<String>,
//!     position: Position,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let remote = Remote::new(Arc::new(MemoryBackend::new()), "", DatabaseName::new("people")?)?;
//! let (leader, _) = Leader::builder(dir.join("journal"), remote).start().await?;
//! let mut database = Database { people: Vec::new(), position: Position::start(leader.journal().lineage()) };
//!
//! let through = leader.write_through(database.position).await?; // they agree
//! let writing = through.write().await?; // nobody else writes; begin a transaction, and execute in it
//! let entry = JournalEntry::new("CREATE (:Person {name: $name})", 1_700_000_000_000).with_param("name", "Ada");
//! let synced = writing.append(&[entry.clone()])?.synced().await?; // on this disk
//! database.people.push("Ada".to_owned()); // commit, with the position in the same transaction
//! database.position = synced.position();
//! synced.committed();
//!
//! // A crash between the append and the commit: the journal has what the database lacks.
//! drop(through.write().await?.append(&[entry])?.synced().await?);
//! assert!(matches!(through.write().await, Err(Error::Diverged { first: 2, last: 2 })));
//! # Ok(())
//! # }
//! ```
//!
//! # Positions
//!
//! Whoever appends gets a [`Ticket`], to wait for it or to await it. Everybody else waits for a sequence and a [`Level`]: that causes
//! no write, sync or seal, it rides along with those that happen. *Stored* is the leader's to say
//! ([`Leader::stored`], and [`Leader::journal`] for everything here). A reader names its cursor when it is done with entries: what
//! every cursor has passed is removed from the local disk, but for the newest sealed segment.
//!
//! ```
//! use std::time::Duration;
//!
//! use graphstream::{Ack, Journal, JournalEntry, JournalOptions, Level};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! // No entry waits in the open segment for longer: with a leader, this is the RPO.
//! let options = JournalOptions::default().with_segment_age_max(Duration::from_millis(50));
//! let (journal, _) = Journal::builder(dir).options(options).open()?;
//! let payload = JournalEntry::new("CREATE (:Person {name: 'Ada'})", 1_700_000_000_000).encode()?;
//!
//! let ticket = journal.append(&payload)?;
//! assert_eq!(ticket.acked(Ack::Written).await?, 1..=1); // its sequence is final
//! assert_eq!(ticket.wait(Ack::Synced)?, 1..=1); // the same from blocking code: it survives a power cut
//! journal.reached(1, Level::Sealed).await?; // nobody has asked: its time came
//!
//! let batch = journal.append_batch(&[&payload, &payload])?; // one record: both or none
//! let sealed = journal.seal()?.map(|segment| segment.last_sequence); // now, and not when the time comes
//! assert_eq!(sealed, Some(3));
//! assert_eq!(batch.wait(Ack::Synced)?, 2..=3);
//! journal.wait(3, Level::Sealed)?; // of other appenders' entries, say
//! assert!(!journal.wait_timeout(4, Level::Written, Duration::ZERO)?); // nobody has appended it
//! assert_eq!(journal.positions().sealed.sequence, 3);
//!
//! assert_eq!(journal.release("reader", 1)?, 1); // the first segment is gone
//! # journal.close()?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "replication")]
mod stores;

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
#[cfg(any(feature = "azure", feature = "gcp", feature = "http"))]
pub use graphstream_storage_object_store as storage_object_store;
#[cfg(feature = "s3")]
pub use graphstream_storage_s3 as storage_s3;
#[cfg(feature = "grafeo")]
pub use graphstream_target_grafeo as target_grafeo;

#[cfg(feature = "replication")]
pub use graphstream_journal::{Ack, Journal, JournalOptions, JournalReader, Level, Ticket};
#[cfg(feature = "replication")]
pub use graphstream_metrics::GraphstreamMetrics;
#[cfg(feature = "replication")]
pub use graphstream_proto::{JournalEntry, ParamValue};
#[cfg(feature = "replication")]
pub use graphstream_replay::ReplayTarget;
#[cfg(feature = "replication")]
pub use graphstream_replication::{Follower, Goal, Leader, Restore, Snapshot, Stop, Uploader};
#[cfg(feature = "replication")]
pub use graphstream_storage::StorageBackend;
#[cfg(feature = "replication")]
pub use stores::store_registry;
