//! File work and targets on blocking threads, or, in a simulation, on the one thread there is.
//!
//! A simulation (feature `simulation`) holds an [`Inline`](crate::simulation::Inline): until it is dropped, what this thread would
//! hand to another runs at once. Without the feature there is none of it.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Error, Result};

/// Whether blocking work runs where it is asked for.
#[cfg(feature = "simulation")]
pub(crate) use crate::simulation::is_inline;

/// Whether blocking work runs where it is asked for: never in this build.
#[cfg(not(feature = "simulation"))]
pub(crate) const fn is_inline() -> bool {
    false
}

/// Runs `work` on a blocking thread; `what` names it if the thread ends without an answer.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    start(work).end(what).await
}

/// Begins `work` on a blocking thread.
pub(crate) fn start<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Running<T> {
    if is_inline() { Running::Ended(work()) } else { Running::Thread(tokio::task::spawn_blocking(work)) }
}

/// Has a task of its own do what hashes and copies between waits, so that several of them use several processors; it ends when this is dropped.
/// `what` names it if it ends without an answer.
pub(crate) async fn task<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    if is_inline() {
        return work.await;
    }
    let mut task = Task(tokio::spawn(work));
    (&mut task.0).await.map_err(|_| Error::Ended(what))?
}

struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Work that was begun.
pub(crate) enum Running<T> {
    Thread(JoinHandle<Result<T>>),
    Ended(Result<T>),
}

impl<T> Running<T> {
    /// Its result; `what` names it if the thread ends without one.
    pub(crate) async fn end(self, what: &'static str) -> Result<T> {
        match self {
            Self::Thread(thread) => thread.await.map_err(|_| Error::Ended(what))?,
            Self::Ended(result) => result,
        }
    }
}

/// A channel from blocking work to a task, with room for so many values.
pub(crate) fn channel<T>(room: usize) -> (Outlet<T>, mpsc::Receiver<T>) {
    // Inline nobody takes anything before the work has ended.
    let room = if is_inline() { tokio::sync::Semaphore::MAX_PERMITS } else { room };
    let (sender, receiver) = mpsc::channel(room);
    (Outlet(sender), receiver)
}

/// Where blocking work puts what it has.
pub(crate) struct Outlet<T>(mpsc::Sender<T>);

impl<T> Outlet<T> {
    /// Waits for room; `false` when nobody wants more.
    pub(crate) fn send(&self, value: T) -> bool {
        if is_inline() { self.0.try_send(value).is_ok() } else { self.0.blocking_send(value).is_ok() }
    }
}
