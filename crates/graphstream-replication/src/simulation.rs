//! For simulations, which run everything on one thread: the order of steps is then the runtime's, not the operating system's.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// As long as this lives, leaders, uploaders and followers on this thread do file work and call targets on it, instead of on blocking
/// threads. With a current-thread runtime, a journal with [`Service::Inline`](graphstream_journal::Service::Inline), clocks and randomness
/// that repeat, and a store in memory, every run takes the same steps.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Inline(PhantomData<*const ()>);

impl Inline {
    /// From now on.
    pub fn enter() -> Self {
        INLINE.set(true);
        Self(PhantomData)
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        INLINE.set(false);
    }
}

pub(crate) fn is_inline() -> bool {
    INLINE.get()
}
