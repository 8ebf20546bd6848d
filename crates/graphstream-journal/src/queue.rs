//! What producers have appended and nobody has written yet.
//!
//! ```text
//! append ->  [ queue: payloads back to back | group 7 ]  --take-->  committer  --outcome--> group 7 (tickets look there)
//! append ->  [ queue                        | group 8 ]  ...
//! ```
//!
//! An append copies its payload behind the others and takes a share of the current group; no allocation per entry.

use std::sync::{Arc, OnceLock};

use crate::failure::Failure;

/// What became of the entries that were taken from the queue in one go.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) outcome: OnceLock<Outcome>,
}

/// See [`Group`]. Entries `0..written` are in the file; `written..attempted` may be; the rest is not.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) first_sequence: u64,
    pub(crate) written: usize,
    pub(crate) attempted: usize,
    /// Why not all were written.
    pub(crate) failure: Option<Failure>,
}

/// One entry of the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) bytes: usize,
    /// How many of the following items belong into the same record (the rest of a batch).
    pub(crate) together: usize,
    /// The commit time the appender asks for, if any.
    pub(crate) commit_ms: Option<i64>,
}

/// Payloads and who waits for them.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) group: Arc<Group>,
    pub(crate) payloads: Vec<u8>,
    pub(crate) items: Vec<Item>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self { group: Arc::new(Group { outcome: OnceLock::new() }), payloads: Vec::new(), items: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes everything, leaving `spare` (an emptied queue whose buffers are used again).
    pub(crate) fn take(&mut self, spare: Option<Self>) -> Self {
        std::mem::replace(self, spare.unwrap_or_else(Self::new))
    }

    /// Ready for new entries: a new group, buffers kept unless a giant entry has blown them up.
    pub(crate) fn recycle(mut self, keep_bytes: usize) -> Self {
        self.payloads.clear();
        self.payloads.shrink_to(keep_bytes);
        self.items.clear();
        self.items.shrink_to(keep_bytes / 64);
        self.group = Arc::new(Group { outcome: OnceLock::new() });
        self
    }

    /// Tells everybody that nothing of it was written.
    pub(crate) fn fail(&self, failure: &Failure) {
        // A group has one outcome: whoever takes it sets it, and only then.
        let _ = self.group.outcome.set(Outcome {
            first_sequence: 0,
            written: 0,
            attempted: 0,
            failure: Some(failure.clone()),
        });
    }
}
