//! How many segments several uploaders of one process upload at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bound on the uploads of all the uploaders that share it; clones are the same budget.
///
/// Slots are given in the order in which they are asked for, and an uploader asks for one at a time: a database with a large
/// backlog waits behind each of the others once per segment, and starves none of them. What an upload takes in memory and
/// connections is bounded by it, however many databases there are.
///
/// ```
/// use graphstream_replication::UploadBudget;
///
/// let budget = UploadBudget::new(16);
/// // Give a clone to each leader, with `LeaderBuilder::upload_budget`, or uploader, with `Uploader::with_upload_budget`.
/// assert_eq!(budget.clone().uploads_max(), 16);
/// ```
#[derive(Debug, Clone)]
pub struct UploadBudget {
    slots: Arc<Semaphore>,
    uploads_max: usize,
}

impl UploadBudget {
    /// A budget of that many uploads, 1 to 1,024.
    #[must_use]
    pub fn new(uploads_max: usize) -> Self {
        let uploads_max = uploads_max.clamp(1, 1024);
        Self { slots: Arc::new(Semaphore::new(uploads_max)), uploads_max }
    }

    /// How many uploads it allows at the same time.
    #[must_use]
    pub const fn uploads_max(&self) -> usize {
        self.uploads_max
    }

    /// Waits for a slot, which is given back when it is dropped. Nobody closes a budget, so there is always one in the end.
    pub(crate) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }
}
