//! A [`StorageBackend`](graphstream_storage::StorageBackend) on a local or mounted file system: one file per object.
//!
//! ```text
//! {root}/
//!   {key as a path}             an object: a plain file, never written after it has its name
//!   .graphstream/               marks the store; objects cannot have this segment
//!     tmp/{unique}.tmp          bodies on their way; left by a crash only, swept when old
//!     clock                     the last version given out, as its modification time
//!     lock                      held (flock) while an object is replaced or deleted
//!
//! put: tmp file ─► write ─► version from clock ─► fsync ─► directories (each fsynced)
//!        ─► create: renameat2(NOREPLACE), else link(2)      ─► fsync of the directory ─► Ok
//!        ─► overwrite, match: lock, compare, rename, unlock ─┘
//! ```
//!
//! **Crashes.** Up to the rename nothing of a put is visible; with it all is. A process killed in between leaves a file in
//! `tmp`, and perhaps empty directories. The kernel releases the lock of a dead process.
//!
//! **Versions** are modification time and size: `{seconds}.{nanoseconds}-{bytes}`. The time of each object is taken, under
//! a lock, from `clock`, which never gives the same time twice and never runs back, whatever the machine's clock does and
//! however coarse the file system's times are (then it runs ahead). So a version never returns, not for equal bytes, not
//! after delete and create, and neither inode numbers (reused by Linux within microseconds) nor extended attributes are
//! needed. Copying a store with its times kept (`cp -a`, `rsync -a`) keeps the versions. Modification times of objects
//! must not be set by hand.
//!
//! **Several processes** may use one root, which must be the same directory for all of them; conditional puts are exact
//! between them as far as the file system's `flock` is (all local ones; NFS with lock support). Where it has none, puts fail.
//!
//! **Nothing is followed.** Symbolic links, FIFOs, sockets and devices in the store are not objects: listings leave them out,
//! other calls fail with [`Error::NotAnObject`] without opening them. The root itself may be reached through links.
//!
//! A key cannot be both an object and an ancestor of objects here (`a` and `a/b`): the second is refused.
//! Unix only. The calls need a tokio runtime and use its blocking threads.

mod backend;
mod delete;
mod directory;
mod error;
mod list;
mod lock;
mod options;
mod put;
mod read;
mod store;
mod url;

#[cfg(test)]
mod crash_tests;

pub use backend::FsBackend;
pub use error::{Error, FileKind, Result, Step};
pub use options::FsOptions;
pub use url::open_url;
