//! Locks, threads and time: the standard library's. The package `graphstream-journal-schedules` compiles this crate with
//! `cfg(shuttle)`, where a scheduler decides who runs next and time is what the waits add up to.

#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, mpsc},
    thread,
    time::Instant,
};

#[cfg(shuttle)]
pub(crate) use scheduled::{Condvar, Instant, spawn_scoped, thread};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, mpsc};

/// Starts a thread that ends before its scope does.
#[cfg(not(shuttle))]
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run)
}

/// A static: one for the process, or one for each run of the scheduler.
#[cfg(not(shuttle))]
macro_rules! per_process {
    ($(#[$doc:meta])* pub(crate) static $name:ident: $type:ty = $value:expr;) => {
        $(#[$doc])*
        pub(crate) static $name: $type = $value;
    };
}

#[cfg(shuttle)]
macro_rules! per_process {
    ($(#[$doc:meta])* pub(crate) static $name:ident: $type:ty = $value:expr;) => {
        shuttle::lazy_static! {
            $(#[$doc])*
            pub(crate) static ref $name: $type = $value;
        }
    };
}

pub(crate) use per_process;

#[cfg(shuttle)]
mod scheduled {
    use std::ops::Add;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{LockResult, PoisonError};
    use std::time::Duration;

    use super::MutexGuard;

    pub(crate) use shuttle::thread;

    /// The scheduler's; its threads have no names, and always start.
    pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        _name: &str,
        run: impl FnOnce() -> T + Send + 'scope,
    ) -> std::io::Result<thread::ScopedJoinHandle<'scope, T>> {
        Ok(scope.spawn(run))
    }

    static NOW_NANOS: AtomicU64 = AtomicU64::new(0);

    /// A time that moves on when somebody waits for it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Instant(Duration);

    impl Instant {
        pub(crate) fn now() -> Self {
            Self(Duration::from_nanos(NOW_NANOS.load(Ordering::SeqCst)))
        }

        pub(crate) fn elapsed(&self) -> Duration {
            Self::now().saturating_duration_since(*self)
        }

        pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
            self.0.checked_add(duration).map(Self)
        }

        pub(crate) fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
            self.0.checked_sub(earlier.0)
        }

        pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
            self.0.saturating_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Self;

        fn add(self, duration: Duration) -> Self {
            Self(self.0.saturating_add(duration))
        }
    }

    /// The scheduler's, but waits with a timeout end.
    #[derive(Debug)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(shuttle::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(guard)
        }

        /// Ends when the scheduler likes, after the timeout or as if it were.
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            timeout: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            let woken = AtomicBool::new(false);
            let guard = thread::scope(|scope| {
                scope.spawn(|| {
                    while !woken.load(Ordering::SeqCst) {
                        self.0.notify_all();
                        thread::yield_now();
                    }
                });
                let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
                woken.store(true, Ordering::SeqCst);
                guard
            });
            let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            let _ = NOW_NANOS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| now.checked_add(nanos));
            Ok((guard, ()))
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
