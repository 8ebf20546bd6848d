//! Kinds of databases that live in a file or a directory: what opens one, wherever it stands.

use std::fmt;
use std::path::Path;

use graphstream_format::Position;
use graphstream_remote::SnapshotEngine;
use graphstream_replay::{JsonlTarget, ReplayTarget};

/// A kind of database in a file or a directory, which can be copied, opened elsewhere, and asked for the position in it.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// What snapshots call it: only what has the same name can be restored from one.
    fn describe(&self) -> SnapshotEngine;

    /// Opens the database at `path`, or creates one.
    ///
    /// # Errors
    /// What the database says.
    fn open(&self, path: &Path) -> graphstream_replay::Result<Box<dyn ReplayTarget>>;

    /// The position inside a copy, which nobody else has open. By default the copy is opened and closed again, which proves that
    /// it can be; what that changes in the copy is part of the snapshot.
    ///
    /// # Errors
    /// What the database says.
    fn position(&self, copy: &Path) -> graphstream_replay::Result<Option<Position>> {
        let mut target = self.open(copy)?;
        let position = target.position();
        target.close()?;
        position
    }
}

/// A kind of database that one function opens.
///
/// ```
/// use graphstream_replay::JsonlTarget;
/// use graphstream_replication::{Engine, OpenedBy};
///
/// // With the crate for grafeo: OpenedBy::new("grafeo", GRAFEO_VERSION, |path| Ok(Box::new(GrafeoTarget::open(path)?)))
/// let lines = OpenedBy::new("jsonl", "1", |path| Ok(Box::new(JsonlTarget::open(path)?)));
/// assert_eq!(lines.describe().name, "jsonl");
/// ```
pub struct OpenedBy<F> {
    engine: SnapshotEngine,
    open: F,
}

impl<F> OpenedBy<F>
where
    F: Fn(&Path) -> graphstream_replay::Result<Box<dyn ReplayTarget>> + Send + Sync + 'static,
{
    /// The name and version that snapshots say, and what opens a database at a path, or creates one.
    pub fn new(name: impl Into<String>, version: impl Into<String>, open: F) -> Self {
        Self { engine: SnapshotEngine { name: name.into(), version: version.into() }, open }
    }
}

impl<F> fmt::Debug for OpenedBy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedBy").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl<F> Engine for OpenedBy<F>
where
    F: Fn(&Path) -> graphstream_replay::Result<Box<dyn ReplayTarget>> + Send + Sync + 'static,
{
    fn describe(&self) -> SnapshotEngine {
        self.engine.clone()
    }

    fn open(&self, path: &Path) -> graphstream_replay::Result<Box<dyn ReplayTarget>> {
        (self.open)(path)
    }
}

/// Files of JSON lines ([`JsonlTarget`]), called `jsonl`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonlEngine;

impl Engine for JsonlEngine {
    fn describe(&self) -> SnapshotEngine {
        SnapshotEngine { name: "jsonl".to_owned(), version: "1".to_owned() }
    }

    fn open(&self, path: &Path) -> graphstream_replay::Result<Box<dyn ReplayTarget>> {
        Ok(Box::new(JsonlTarget::open(path)?))
    }
}
