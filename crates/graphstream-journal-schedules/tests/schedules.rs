//! Group commit, sealing, failures and the end of the journal, with its threads run in thousands of random orders. A wait that nobody ends is
//! found as a deadlock.
//!
//! `GRAPHSTREAM_SCHEDULES=n` changes how many orders each test tries.
//!
//! Not covered: weak memory (the journal's few atomics are read under its lock), and a lost wake-up of an idle service thread,
//! which ends by its timeout.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// The testkit's own depends on the journal that everybody else uses.
#[allow(dead_code, unused_imports, unreachable_pub, reason = "a part of it is used here")]
#[path = "../../graphstream-testkit/src/crash_fs/mod.rs"]
mod crash_fs;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "a part of it is used here")]
#[path = "../../graphstream-testkit/src/fixed.rs"]
mod fixed;

mod schedules {
    pub(crate) mod closing;
    pub(crate) mod failing;
    pub(crate) mod futures;
    pub(crate) mod group_commit;
    pub(crate) mod held_bytes;
    pub(crate) mod rig;
    pub(crate) mod sealing;
    pub(crate) mod slow_fs;
}
