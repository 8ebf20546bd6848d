//! Pausing the writers of a database while it is copied, and letting them go on whatever happens.

use crate::{Error, Result};

/// The error of a callback.
pub type QuiesceError = Box<dyn std::error::Error + Send + Sync>;

/// How an application stands still for a copy of its database's files: writers paused and everything in the files (a
/// checkpoint), not merely in a log beside them that is about to be merged. Called on a blocking thread.
pub trait Quiesce: Send + 'static {
    /// Returns when the files are whole and nobody writes to them.
    ///
    /// # Errors
    /// Whatever went wrong; [`resume`](Self::resume) is called nevertheless.
    fn quiesce(&mut self) -> Result<(), QuiesceError>;

    /// Lets the writers go on. Called exactly once after each call of [`quiesce`](Self::quiesce), whether that, or anything
    /// behind it, failed or panicked.
    ///
    /// # Errors
    /// Whatever went wrong; the snapshot is given up, for nobody else would tell that the application still stands.
    fn resume(&mut self) -> Result<(), QuiesceError>;
}

/// Writers that stand still until this is ended or dropped.
pub(super) struct Paused(Option<Box<dyn Quiesce>>);

impl Paused {
    /// Pauses them, if there is a way.
    pub(super) fn begin(quiesce: Option<Box<dyn Quiesce>>) -> Result<Self> {
        let mut paused = Self(quiesce);
        if let Some(quiesce) = &mut paused.0 {
            quiesce
                .quiesce()
                .map_err(|source| Error::Quiesce { attempted: "pausing its writers", source })?;
        }
        Ok(paused)
    }

    /// Lets them go on.
    pub(super) fn end(mut self) -> Result<()> {
        match self.0.take() {
            Some(mut quiesce) => quiesce
                .resume()
                .map_err(|source| Error::Quiesce { attempted: "letting its writers go on", source }),
            None => Ok(()),
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Some(mut quiesce) = self.0.take()
            && let Err(error) = quiesce.resume()
        {
            tracing::error!(%error, "the database's writers were paused for a snapshot, and could not be told to go on");
        }
    }
}
