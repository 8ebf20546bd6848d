//! Snapshots: a copy of a database at one position, `snap/{sequence}-{epoch}-{commit_ms}/`.
//!
//! ```text
//!   part-{attempt}-000000   part-{attempt}-000001   ...     create-only, in any order
//!   manifest.json                                           create-only, last: with it the snapshot is there
//! ```
//! Without its manifest there is no snapshot, whatever else stands there: objects of an attempt that was killed, or that lost
//! a race, are *incomplete* and are collected as garbage. Each attempt draws a number, so that what an earlier one has
//! left never meets the next one's names. Of an encrypted history objects and manifest are encrypted, too (`sealed`). What the objects hold is the business of who makes and restores snapshots.

mod listing;
mod manifest;
mod path;
mod sealed;
mod store;

pub use listing::SnapshotListing;
pub use manifest::{SnapshotEngine, SnapshotFile, SnapshotManifest, SnapshotPart};
pub use path::{SNAPSHOT_PATH_BYTES_MAX, SnapshotPath};
pub use sealed::SEALED_PART_BYTES_MAX;
pub use store::ManifestPut;
