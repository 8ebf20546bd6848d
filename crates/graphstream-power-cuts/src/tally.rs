//! What a run has done.

use std::fmt;

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) journals: u64,
    pub(crate) lives: u64,
    pub(crate) acks: u64,
    pub(crate) kills: u64,
    pub(crate) shutdowns: u64,
    /// Power cuts of the disk with a write cache, and those that found anything in the cache.
    pub(crate) power_cuts: u64,
    pub(crate) power_cuts_with_writes: u64,
    /// Lives in which writes of the kernel failed.
    pub(crate) failed_write_backs: u64,
    pub(crate) failed_writes: u64,
    /// Lives that were cut before they acknowledged anything: most of them in recovery.
    pub(crate) early_ends: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} journals, {} lives, {} acknowledgements; {} file systems shut down, {} power cuts ({} with writes in the disk's \
             cache), {} lives with failed write-back ({} writes), {} kills; {} lives ended before their first acknowledgement",
            self.journals,
            self.lives,
            self.acks,
            self.shutdowns,
            self.power_cuts,
            self.power_cuts_with_writes,
            self.failed_write_backs,
            self.failed_writes,
            self.kills,
            self.early_ends,
        )
    }
}
