//! File work on blocking threads.

use crate::{Error, Result};

/// Runs `work` on a blocking thread; `what` names it if the thread ends without an answer.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Ended(what))?
}
