//! What exists in the object store: keys, head, epochs, history rule, fencing.
//!
//! ```text
//!   {root}/{database}/
//!     head.json                       what is committed, by whom: replaced by compare-and-swap        Head
//!     epoch/{epoch}.json              create-only witness of each claim                               EpochObject
//!     seg/{level}/{last}-{first}-...  immutable segments; names say what they hold                    SegmentName
//!     snap/{sequence}-...             copies of a database; with its manifest one is there            SnapshotManifest
//!     label/{name}.json               names of positions                                              Label
//!     keys.json                       data keys, wrapped by a master key                              StoredKeys
//!
//!   leader     LeaderSession: open ─► claim ─► uploader().upload ─► publish          (Fenced ends it)
//!   follower   HeadReader:    poll ─► resolve ─► Remote::fetch_segment
//!   both       HistoryRule:   which segments are history under a head (pure)
//!   verify     Inventory:     what names alone show to be missing, wrong or left over (pure, after one listing)
//! ```
//!
//! The protocol was checked with a bounded model before it was written down; the tests of this crate replay each of the
//! model's counterexamples and a seeded simulation of several leaders and followers. The crate has no runtime, no clock
//! and no thread; what blocks is said so.

mod chain_value;
mod committed_chain;
mod databases;
mod document;
mod epoch;
mod error;
mod fetch;
mod head;
mod history;
mod ids;
mod inventory;
mod label;
mod layout;
mod names;
mod plain_document;
mod plan;
mod random;
mod reader;
mod remote;
mod repair;
mod rewind;
mod runs;
mod sabotage;
mod session;
mod snapshot;
mod wrapped_keys;

pub use chain_value::ChainValue;
pub use databases::Databases;
pub use document::{KEYED_FORMAT, open_document, seal_document};
pub use epoch::{EpochObject, EpochRow};
pub use error::{Attempt, Error, ErrorKind, LocalError, NameProblem, Result, Rewind, SegmentDamage};
pub use fetch::{FetchedSegment, SegmentFile, SegmentSink};
pub use head::{
    Committed, EPOCHS_MAX, HEAD_BYTES_MAX, Head, HeadProblem, Inconsistency, WINDOW_SEGMENTS_MAX,
    WindowSegment,
};
pub use history::HistoryRule;
pub use ids::{DatabaseId, OwnerNonce, WriteId};
pub use inventory::{Finding, HeadShows, Inventory, ListedSegment, ListedSnapshot, Severity};
pub use label::{Label, LabelSet};
pub use layout::Layout;
pub use names::{COMMIT_MS_MAX, DatabaseName, LEVEL_MAX, LabelName, ObjectName, SegmentName, SnapshotName};
pub use plain_document::DocumentProblem;
pub use plan::{Plan, PlannedSegment};
pub use random::{OsRandomness, Randomness};
pub use reader::{Floor, HeadPoll, HeadReader};
pub use remote::{HeadRead, Identity, Remote, StoredHead};
pub use repair::{HeadProposal, RepairProblem, Standing};
pub use runs::Run;
pub use session::{
    Comparison, Fenced, LeaderSession, LocalChain, LocalSegment, Published, SegmentUploader, SessionOptions,
    UploadedSegment,
};
pub use snapshot::{
    ManifestPut, SEALED_PART_BYTES_MAX, SNAPSHOT_PATH_BYTES_MAX, SnapshotEngine, SnapshotFile,
    SnapshotListing, SnapshotManifest, SnapshotPart, SnapshotPath,
};
pub use wrapped_keys::{KeysWritten, StoredKeys};
