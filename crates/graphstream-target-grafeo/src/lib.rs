//! A replay target for the embedded graph database [grafeo](https://docs.rs/grafeo), pure Rust, version 0.5.44 exactly.
//!
//! ```text
//! x.grafeo                     one file (with x.grafeo.wal/ beside it while open), or a directory: by the name
//!   default graph              what the entries made: all that statements see, counts and digest
//!   graph "__graphstream"      one node (:GraphstreamPosition {lineage, sequence, chain_hash, indexes})
//! ```
//!
//! [`GrafeoTarget`] commits a batch and its position in one grafeo transaction. The position lives in a named graph of its own, so
//! no statement can see, count or delete it: a leader and a follower with different batch sizes compute the same.
//!
//! What this adapter does about the database's habits, each with a test:
//! - **Commits that fail silently.** grafeo only logs a warning when writing or syncing a commit fails. The adapter therefore
//!   runs it without syncs of its own, syncs itself (which reports), and compares the end of the file with the commit.
//! - **Indexes are forgotten** whenever the database recovers from its WAL, and always in the directory format. The position
//!   node keeps the statements of all indexes; they are run again at open.
//! - **Index statements take effect at once**, not at commit, and an index that is made in a transaction lacks the nodes the
//!   transaction has made. The adapter adds these, keeps indexes that share a property apart, and after a rollback makes all
//!   of them again. Other schema statements are refused.
//! - **What a transaction made is half visible in it.** Labels that are set on its nodes, or taken from them, are ignored; a property
//!   that is copied from them (`SET a.x = b.y`) is null; paths of several steps (`-[:KNOWS*1..3]->`) don't find its relationships. A
//!   statement that makes nodes and changes labels is refused. Behind new nodes or relationships in a batch, one that does any of these runs
//!   after a commit of the entries before it, with their position.
//!   Such a batch is tried whole first: only an entry that fails for what it finds in the data can leave the parts before it
//!   applied, and then the position says so.
//! - **Unknown functions are null**, `point()` and `randomUUID()` among them. A statement that calls a function grafeo doesn't
//!   evaluate is refused, and so is one that gives another result every time (`rand()`, `timestamp()`, `id()`...).
//! - **Date-times keep milliseconds** in the one-file format (their microseconds vanish at close). Finer ones are refused
//!   there; the directory format keeps microseconds.
//! - **Statements time out** after 30 s by default, which would make a slow entry a poisonous one. Here they don't.

mod database;
mod digest;
mod durable;
mod error;
mod guard;
mod indexes;
mod reserved;
mod target;
mod temporal;
mod value;

pub use error::{Error, Result};
pub use graphstream_replay::digest::GraphDigest;
pub use target::{GrafeoOptions, GrafeoTarget};
pub use value::{Precision, from_grafeo, to_grafeo};

/// The version of grafeo this adapter was made for.
pub const GRAFEO_VERSION: &str = "0.5.44";
