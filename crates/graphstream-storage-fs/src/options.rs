//! How to open a store.

use std::time::Duration;

/// Options of [`FsBackend::open`](crate::FsBackend::open).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsOptions {
    /// Make the root directory when it is missing. Default true; never done when reading only.
    pub create_root: bool,
    /// Only read: nothing is created, locked or swept, so a read-only mount will do. Puts and deletes fail. Default false.
    pub read_only: bool,
    /// How long a put or delete waits for another process that holds the lock. Default 30 s.
    pub lock_timeout: Duration,
    /// Files in `tmp` that have not been written to for so long are removed at open. Default 24 h: longer than any put.
    pub stray_age: Duration,
    /// Bytes read from a file at a time, at least 4096. Default 256 KiB.
    pub chunk_bytes: usize,
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            create_root: true,
            read_only: false,
            lock_timeout: Duration::from_secs(30),
            stray_age: Duration::from_secs(24 * 60 * 60),
            chunk_bytes: 256 << 10,
        }
    }
}

impl FsOptions {
    /// Whether to make a missing root.
    #[must_use]
    pub fn with_create_root(mut self, create_root: bool) -> Self {
        self.create_root = create_root;
        self
    }

    /// Whether to read only.
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How long to wait for the lock.
    #[must_use]
    pub fn with_lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.lock_timeout = lock_timeout;
        self
    }

    /// When a file in `tmp` counts as left behind.
    #[must_use]
    pub fn with_stray_age(mut self, stray_age: Duration) -> Self {
        self.stray_age = stray_age;
        self
    }

    /// Bytes to read at a time.
    #[must_use]
    pub fn with_chunk_bytes(mut self, chunk_bytes: usize) -> Self {
        self.chunk_bytes = chunk_bytes.max(4096);
        self
    }
}
