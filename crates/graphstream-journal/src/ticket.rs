//! What an append returns.

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::{Shared, Wanted};
use crate::error::Result;
use crate::options::SyncPolicy;
use crate::queue::Group;
use crate::sync::Instant;

/// What is to be known about an entry before the caller goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ack {
    /// It is in the operating system: it survives this process, not the machine. Its sequence is final.
    Written,
    /// fdatasync has returned for it: it survives a power cut.
    Synced,
}

/// How far the journal has come with entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// In the operating system.
    Written,
    /// On disk.
    Synced,
    /// In a sealed segment.
    Sealed,
}

/// The promise of an append. Dropping it changes nothing about its entries.
#[derive(Clone, Debug)]
#[must_use = "an append is acknowledged only when its ticket says so"]
pub struct Ticket {
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Arc<Group>,
    pub(crate) index: usize,
    pub(crate) count: usize,
}

impl Ticket {
    /// Waits until the entries have reached `ack` and returns their sequences. The waiting thread does the work (write, sync) for
    /// everybody when nobody else is at it; under [`SyncPolicy::Interval`] *synced* comes with the timer.
    ///
    /// # Errors
    /// [`Error::Full`](crate::Error::Full), [`Error::SealBacklog`](crate::Error::SealBacklog),
    /// [`Error::Poisoned`](crate::Error::Poisoned) or [`Error::Fenced`](crate::Error::Fenced) when the entries were not written;
    /// [`Error::Unresolved`](crate::Error::Unresolved) when that is not known.
    pub fn wait(&self, ack: Ack) -> Result<RangeInclusive<u64>> {
        // Without a deadline there is always an answer.
        self.shared.wait(self.wanted(ack), None).unwrap_or(Err(crate::Error::Closed))
    }

    /// As [`Ticket::wait`], but gives up after `timeout` with `None`. A write or sync that this thread has begun is finished first.
    ///
    /// # Errors
    /// As [`Ticket::wait`].
    pub fn wait_timeout(&self, ack: Ack, timeout: Duration) -> Result<Option<RangeInclusive<u64>>> {
        let deadline = Instant::now().checked_add(timeout);
        self.shared.wait(self.wanted(ack), deadline).transpose()
    }

    fn wanted(&self, ack: Ack) -> Wanted<'_> {
        Wanted { group: &self.group, index: self.index, count: self.count, ack }
    }

    /// A future of the same. Polling it does no file operation: the service pool does.
    pub fn acked(&self, ack: Ack) -> Acked {
        Acked { ticket: self.clone(), ack, waker: None }
    }

    /// The sequences, once they are final: when the entries are written.
    #[must_use]
    pub fn sequences(&self) -> Option<RangeInclusive<u64>> {
        let state = self.shared.state();
        Shared::resolve(&state, self.wanted(Ack::Written))?.ok()
    }
}

/// See [`Ticket::acked`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acked {
    ticket: Ticket,
    ack: Ack,
    waker: Option<u64>,
}

impl Future for Acked {
    type Output = Result<RangeInclusive<u64>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Ticket { shared, group, .. } = &this.ticket;
        if !shared.pooled() {
            // Without a pool there is nobody to hand the work to; this mode is for tests.
            return Poll::Ready(this.ticket.wait(this.ack));
        }
        let mut state = shared.state();
        shared.check_process(&mut state);
        if let Some(result) = Shared::resolve(&state, this.ticket.wanted(this.ack)) {
            return Poll::Ready(result);
        }
        let level = match (this.ack, group.outcome.get()) {
            (Ack::Synced, Some(_)) => Level::Synced,
            _ => Level::Written,
        };
        shared.register_waker(&mut state, &mut this.waker, level, context.waker());
        let timed = matches!(shared.options.sync_policy, SyncPolicy::Interval(_));
        // Its group is in the queue, or on its way, or written.
        let number = state.newest_group();
        if this.ack == Ack::Synced && !timed {
            shared.ask_to_sync(&mut state, number);
        } else {
            shared.ask_to_write(&mut state, number);
        }
        Poll::Pending
    }
}

impl Drop for Acked {
    fn drop(&mut self) {
        self.ticket.shared.forget_waker(self.waker.take());
    }
}
